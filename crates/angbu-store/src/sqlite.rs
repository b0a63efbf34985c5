//! SQLite: how a file is opened, migrated, asked and looked after.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};

use angbu_units::UnixTime;

use crate::StoreError;
use crate::database;
use crate::sql::{self, Connection, Next, Row, Value, column};
use crate::store::unusable;

/// Every migration, in order. One that has been released is never changed; what it made is changed by a later one.
const MIGRATIONS: [(i64, &str, &str); 12] = [
    (1, "site", include_str!("../migrations/sqlite/0001_site.sql")),
    (2, "accounts", include_str!("../migrations/sqlite/0002_accounts.sql")),
    (3, "time", include_str!("../migrations/sqlite/0003_time.sql")),
    (4, "evidence", include_str!("../migrations/sqlite/0004_evidence.sql")),
    (5, "chain", include_str!("../migrations/sqlite/0005_chain.sql")),
    (6, "retention", include_str!("../migrations/sqlite/0006_retention.sql")),
    (7, "third_parties", include_str!("../migrations/sqlite/0007_third_parties.sql")),
    (8, "incidents", include_str!("../migrations/sqlite/0008_incidents.sql")),
    (9, "operations", include_str!("../migrations/sqlite/0009_operations.sql")),
    (10, "keys", include_str!("../migrations/sqlite/0010_keys.sql")),
    (11, "requests", include_str!("../migrations/sqlite/0011_requests.sql")),
    (12, "passkeys", include_str!("../migrations/sqlite/0012_passkeys.sql")),
];

/// From how many pages in the write-ahead log on they are moved into the database file, by a thread beside the writer: 8 MiB.
const PAGES_TO_MOVE: i64 = 2_048;
/// From how many pages on the writer itself moves what that thread left, so that the write-ahead log begins anew instead of
/// growing for as long as there is load: 32 MiB.
const PAGES_FOR_THE_WRITER: i64 = 8_192;

/// More statements than the noun modules have, so that none is ever prepared twice.
const KEPT_STATEMENTS: usize = 256;

/// A database in one file.
pub(crate) struct Database {
    path: PathBuf,
}

impl Database {
    /// The database in this folder; the folder is the caller's alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("angbu.sqlite");
        make_file(&path)?;
        Ok(Self { path })
    }
}

impl database::Database for Database {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn writer(&self) -> Result<Box<dyn database::Session>, StoreError> {
        let connection = open_writer(&self.path)?;
        let log = LogKeeper::start(&self.path)?;
        Ok(Box::new(Session {
            log: Some(log),
            connection,
            begin: "BEGIN IMMEDIATE",
            failed: RefCell::default(),
        }))
    }

    fn reader(&self) -> Result<Box<dyn database::Session>, StoreError> {
        let connection = open_reader(&self.path)?;
        Ok(Box::new(Session { log: None, connection, begin: "BEGIN", failed: RefCell::default() }))
    }

    fn maintain(&self, _now: UnixTime) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A connection and what one thread does with it.
struct Session {
    // Closed before the connection, which then is the last and tidies the write-ahead log away.
    log: Option<LogKeeper>,
    connection: rusqlite::Connection,
    begin: &'static str,
    failed: RefCell<Option<StoreError>>,
}

impl Session {
    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl Connection for Session {
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.noted(Connection::execute(&self.connection, sql, values))
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        // What the caller makes of a row is no failure of the statement.
        let mut refused = None;
        let asked = Connection::query(&self.connection, sql, values, &mut |row| {
            Ok(each(row).unwrap_or_else(|error| {
                refused = Some(error);
                Next::Enough
            }))
        });
        self.noted(asked)?;
        refused.map_or(Ok(()), Err)
    }
}

impl database::Session for Session {
    fn begin(&self) -> Result<(), StoreError> {
        self.failed.take();
        control(&self.connection, self.begin)
    }

    fn begin_alone(&self) -> Result<(), StoreError> {
        // Whoever writes is alone.
        self.begin()
    }

    fn commit(&self, last: Option<(&'static str, &[Value<'_>])>) -> Result<(), StoreError> {
        if let Some((sql, values)) = last {
            Connection::execute(&self.connection, sql, values)?;
        }
        control(&self.connection, "COMMIT")
    }

    fn rollback(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = control(&self.connection, "ROLLBACK")
        {
            tracing::error!(%error, "a group of transactions could not be undone");
        }
    }

    fn savepoint(&self) -> Result<(), StoreError> {
        self.failed.take();
        control(&self.connection, "SAVEPOINT job")
    }

    fn keep(&self) -> Result<(), StoreError> {
        control(&self.connection, "RELEASE job")
    }

    fn undo(&self) -> Result<(), StoreError> {
        self.failed.take();
        control(&self.connection, "ROLLBACK TO job")?;
        control(&self.connection, "RELEASE job")
    }

    fn failed(&self) -> Option<StoreError> {
        self.failed.borrow().clone()
    }

    /// Some failures of the disk make SQLite undo the whole transaction by itself.
    fn check(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::unavailable("the database undid the transaction; its disk may be full"));
        }
        Ok(())
    }

    fn look_after(&self) {
        if let Some(log) = &self.log {
            log.look_after(&self.connection);
        }
    }
}

/// Keeps the write-ahead log from growing, by a thread that moves its pages while the writer goes on.
struct LogKeeper {
    // Dropped to end the thread.
    wake: Option<SyncSender<()>>,
    finish: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LogKeeper {
    fn start(path: &Path) -> Result<Self, StoreError> {
        let (wake, woken) = sync_channel(1);
        let finish = Arc::new(AtomicBool::new(false));
        let (mover, told) = (open_checkpointer(path)?, Arc::clone(&finish));
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || move_pages(&mover, &woken, &told))
            .map_err(|error| unusable(path, &error))?;
        Ok(Self { wake: Some(wake), finish, thread: Some(thread) })
    }

    fn look_after(&self, connection: &rusqlite::Connection) {
        let finishing = self.finish.load(Ordering::Relaxed);
        match if finishing { checkpoint(connection) } else { look_at_log(connection) } {
            // Where the thread beside is still at it, the next group tries again.
            Ok(log) if finishing => self.finish.store(log.moved < log.pages, Ordering::Relaxed),
            Ok(log) if log.pages - log.moved >= PAGES_TO_MOVE => {
                // Full means that it is awake already.
                let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be looked after"),
        }
    }
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Moves pages of the write-ahead log into the database file while the writer goes on, and leaves the writer the rest.
fn move_pages(connection: &rusqlite::Connection, woken: &Receiver<()>, finish: &AtomicBool) {
    while woken.recv().is_ok() {
        match checkpoint(connection) {
            // Only the writer can bring the log to where all of it is moved, since only it does not write meanwhile.
            Ok(log) if log.pages >= PAGES_FOR_THE_WRITER => finish.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database");
            }
        }
    }
}

/// Makes the database's file for its owner alone; what SQLite puts beside it takes after it.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| unusable(path, &error))
}

/// Opens the one connection that writes, and brings the tables up to date.
pub(crate) fn open_writer(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // FULL: a commit is on the disk before anyone is told. Checkpoints of the write-ahead log are made by a thread of
    // their own, because whoever makes one waits for the disk twice more. What is deleted or overwritten is wiped from the
    // pages that held it: what was erased does not stay behind in them.
    pragmas(
        &connection,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -3072; PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;",
    )?;
    migrate(&connection)?;
    Ok(connection)
}

/// Opens a connection that reads.
fn open_reader(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragmas(
        &connection,
        "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -512;",
    )?;
    Ok(connection)
}

/// Opens a connection that moves the write-ahead log into the database file.
fn open_checkpointer(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragmas(&connection, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    Ok(connection)
}

/// The write-ahead log: how many pages it has, and how many of those are in the database file already.
struct WriteAheadLog {
    pages: i64,
    moved: i64,
}

/// Moves what can be moved of the write-ahead log into the database file without making anyone wait.
fn checkpoint(connection: &rusqlite::Connection) -> Result<WriteAheadLog, StoreError> {
    write_ahead_log(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Looks at the write-ahead log and moves nothing.
fn look_at_log(connection: &rusqlite::Connection) -> Result<WriteAheadLog, StoreError> {
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
        sql::fit(values)?;
        let mut statement = self.prepare_cached(sql).map_err(|error| failed(&error))?;
        let changed =
            statement.execute(rusqlite::params_from_iter(values)).map_err(|error| failed(&error))?;
        is_prepared_once(&statement, sql);
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        sql::fit(values)?;
        let mut statement = self.prepare_cached(sql).map_err(|error| failed(&error))?;
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(|error| failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            match each(row)? {
                Next::More => {}
                Next::Enough => break,
            }
        }
        drop(rows);
        is_prepared_once(&statement, sql);
        Ok(())
    }
}

/// What [`open`] asks of SQLite, in the builds that tests run in.
fn is_prepared_once(statement: &rusqlite::Statement<'_>, sql: &str) {
    debug_assert!(
        statement.get_status(rusqlite::StatementStatus::RePrepare) == 0,
        "broken invariant: this statement is prepared whenever it runs: {sql}"
    );
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
    // The same plan whatever the values: otherwise SQLite prepares whatever has a range, a list or a limit anew at every use,
    // which costs more than what is asked.
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|error| failed(&error))?;
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
    let database: &dyn Connection = connection;
    let done = database.all("SELECT number, name FROM site_migrations ORDER BY number", &[], |row| {
        Ok((column::<i64>(row, 0)?, column::<String>(row, 1)?))
    })?;
    let names: Vec<(i64, &'static str)> =
        MIGRATIONS.iter().map(|(number, name, _)| (*number, *name)).collect();
    let missing = sql::check_migrations(&names, &done)?;
    for (number, name, text) in MIGRATIONS.iter().filter(|(number, _, _)| missing.contains(number)) {
        let all = format!(
            "BEGIN IMMEDIATE; {text} INSERT INTO site_migrations (number, name) VALUES ({number}, '{name}'); COMMIT"
        );
        pragmas(connection, &all)?;
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
                sql::taken(|column| said.contains(column))
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
