//! SQLite behind [`Connection`]: how a file is opened, migrated and asked.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};

use crate::StoreError;
use crate::sql::{Connection, Next, Row, Value, column};

/// Every migration, in order. One that has been released is never changed; what it made is changed by a later one.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "site", include_str!("../migrations/sqlite/0001_site.sql")),
    (2, "accounts", include_str!("../migrations/sqlite/0002_accounts.sql")),
    (3, "time", include_str!("../migrations/sqlite/0003_time.sql")),
    (4, "evidence", include_str!("../migrations/sqlite/0004_evidence.sql")),
];

/// What is said to be taken when a unique column of this name refuses a value.
const TAKEN: [(&str, &str); 5] = [
    ("accounts_customers.name", "the customer's name"),
    ("accounts_staff.name", "the name"),
    ("accounts_people.login_hash", "the login id"),
    ("accounts_machines.name", "the machine's name"),
    ("time_agents.name", "the agent's name"),
];

/// More statements than the noun modules have, so that none is ever prepared twice.
const KEPT_STATEMENTS: usize = 256;

/// Opens the one connection that writes, and brings the tables up to date.
pub(crate) fn open_writer(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // FULL: a commit is on the disk before anyone is told. Checkpoints of the write-ahead log are made by a thread of
    // their own, because whoever makes one waits for the disk twice more.
    pragmas(
        &connection,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA foreign_keys = ON;",
    )?;
    migrate(&connection)?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(crate) fn open_reader(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragmas(
        &connection,
        "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16384;",
    )?;
    Ok(connection)
}

/// Opens a connection that moves the write-ahead log into the database file.
pub(crate) fn open_checkpointer(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragmas(&connection, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    Ok(connection)
}

/// The write-ahead log: how many pages it has, and how many of those are in the database file already.
pub(crate) struct WriteAheadLog {
    pub(crate) pages: i64,
    pub(crate) moved: i64,
}

/// Moves what can be moved of the write-ahead log into the database file without making anyone wait.
pub(crate) fn checkpoint(connection: &rusqlite::Connection) -> Result<WriteAheadLog, StoreError> {
    write_ahead_log(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Looks at the write-ahead log and moves nothing.
pub(crate) fn look_at_log(connection: &rusqlite::Connection) -> Result<WriteAheadLog, StoreError> {
    write_ahead_log(connection, "PRAGMA wal_checkpoint(NOOP)")
}

fn write_ahead_log(
    connection: &rusqlite::Connection,
    sql: &'static str,
) -> Result<WriteAheadLog, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.query_row([], |row| Ok(WriteAheadLog { pages: row.get(1)?, moved: row.get(2)? }))
        })
        .map_err(|error| failed(&error))
}

/// Begins, ends or undoes; for the threads that own connections.
pub(crate) fn control(connection: &rusqlite::Connection, sql: &'static str) -> Result<(), StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(drop)
        .map_err(|error| failed(&error))
}

impl Connection for rusqlite::Connection {
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(|error| failed(&error))?;
        let changed =
            statement.execute(rusqlite::params_from_iter(values)).map_err(|error| failed(&error))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare_cached(sql).map_err(|error| failed(&error))?;
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(|error| failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            match each(row)? {
                Next::More => {}
                Next::Enough => break,
            }
        }
        Ok(())
    }
}

impl Row for rusqlite::Row<'_> {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.get_ref(column).map_err(|error| failed(&error))? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(StoreError::corrupt(format!("column {column} is not an integer"))),
        }
    }

    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.get_ref(column).map_err(|error| failed(&error))? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map(Some)
                .map_err(|_| StoreError::corrupt(format!("column {column} is not UTF-8"))),
            _ => Err(StoreError::corrupt(format!("column {column} is not text"))),
        }
    }

    fn blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.get_ref(column).map_err(|error| failed(&error))? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            _ => Err(StoreError::corrupt(format!("column {column} is not a blob"))),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Id(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn open(path: &Path, flags: OpenFlags) -> Result<rusqlite::Connection, StoreError> {
    // Each connection stays with one thread, so SQLite's own locks would only cost.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(|error| failed(&error))?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(|error| failed(&error))?;
    Ok(connection)
}

fn pragmas(connection: &rusqlite::Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(|error| failed(&error))
}

fn migrate(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    pragmas(
        connection,
        "CREATE TABLE IF NOT EXISTS site_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    )?;
    let sql: &dyn Connection = connection;
    let done = sql.all("SELECT number, name FROM site_migrations ORDER BY number", &[], |row| {
        Ok((column::<i64>(row, 0)?, column::<String>(row, 1)?))
    })?;
    let known = MIGRATIONS.last().map_or(0, |(number, _, _)| *number);
    if let Some((found, _)) = done.last().filter(|(found, _)| *found > known) {
        return Err(StoreError::Newer { found: *found, known });
    }
    for (number, name, sql) in MIGRATIONS {
        match done.iter().find(|(found, _)| *found == number) {
            Some((_, found)) if found != name => {
                return Err(StoreError::OtherMigration { number, found: found.clone(), known: name });
            }
            Some(_) => {}
            None => {
                let all = format!(
                    "BEGIN IMMEDIATE; {sql} INSERT INTO site_migrations (number, name) VALUES ({number}, '{name}'); COMMIT"
                );
                pragmas(connection, &all)?;
            }
        }
    }
    Ok(())
}

fn failed(error: &rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return StoreError::corrupt(error.to_string());
    };
    let said = message.clone().unwrap_or_else(|| code.to_string());
    match code.code {
        ErrorCode::ConstraintViolation => match code.extended_code {
            rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                let taken = TAKEN.iter().find(|(column, _)| said.contains(column));
                StoreError::Taken { what: taken.map_or("the id", |(_, what)| what) }
            }
            _ => StoreError::corrupt(said),
        },
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::TypeMismatch
        | ErrorCode::Unknown => StoreError::corrupt(said),
        _ => StoreError::unavailable(said),
    }
}
