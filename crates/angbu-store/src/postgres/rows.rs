//! Values on their way into PostgreSQL, rows and errors on their way out.

use std::error::Error as _;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::StoreError;
use crate::sql::{self, Row, Value};

/// A value for a statement. The client logs what it sends in debug builds, and a value is nobody's to read there.
pub(super) struct Parameter<'a>(pub(super) Value<'a>);

impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => match *kind {
                Type::INT2 => i16::try_from(number)?.to_sql(kind, out),
                Type::INT4 => i32::try_from(number)?.to_sql(kind, out),
                Type::INT8 => number.to_sql(kind, out),
                _ => Err(format!("an integer where the database expects {kind}").into()),
            },
            Value::Text(text) => text.to_sql(kind, out),
            Value::Blob(bytes) => bytes.to_sql(kind, out),
            Value::Id(bytes) => bytes.as_slice().to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The type that a value says it has, so that the database does not have to guess a narrower one.
pub(super) fn kind(value: &Value<'_>) -> Type {
    match value {
        // To be inferred.
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) | Value::Id(_) => Type::BYTEA,
    }
}

/// A row as it came.
pub(super) struct Found<'a>(pub(super) &'a tokio_postgres::Row);

impl Found<'_> {
    fn kind(&self, column: usize) -> Result<&Type, StoreError> {
        let found = self.0.columns().get(column).map(tokio_postgres::Column::type_);
        found.ok_or_else(|| StoreError::corrupt(format!("there is no column {column}")))
    }
}

impl Row for Found<'_> {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match *self.kind(column)? {
            Type::INT2 => Ok(read::<i16>(self.0, column)?.map(i64::from)),
            Type::INT4 => Ok(read::<i32>(self.0, column)?.map(i64::from)),
            Type::INT8 => read(self.0, column),
            _ => Err(StoreError::corrupt(format!("column {column} is not an integer"))),
        }
    }

    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match *self.kind(column)? {
            Type::TEXT | Type::VARCHAR => read(self.0, column),
            _ => Err(StoreError::corrupt(format!("column {column} is not text"))),
        }
    }

    fn blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match *self.kind(column)? {
            Type::BYTEA => read(self.0, column),
            _ => Err(StoreError::corrupt(format!("column {column} is not a blob"))),
        }
    }
}

fn read<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    column: usize,
) -> Result<Option<T>, StoreError> {
    row.try_get(column).map_err(|error| StoreError::corrupt(format!("column {column}: {error}")))
}

/// What an error of the client or the database means.
pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        let why = words(error);
        return if is_lost(error) { StoreError::unavailable(why) } else { StoreError::corrupt(why) };
    };
    let why = format!("{} ({})", said.message(), said.code().code());
    match *said.code() {
        SqlState::UNIQUE_VIOLATION => {
            // The name that the database gives a UNIQUE column's constraint: TABLE_COLUMN_key.
            let (table, constraint) =
                (said.table().unwrap_or_default(), said.constraint().unwrap_or_default());
            sql::taken(|column| {
                column.split_once('.').is_some_and(|(its_table, column)| {
                    its_table == table && constraint.ends_with(&format!("_{column}_key"))
                })
            })
        }
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => StoreError::Conflict { what: "what this rests on" },
        _ if passes(said.code()) => StoreError::unavailable(why),
        _ => StoreError::corrupt(why),
    }
}

/// Whether the database only cannot do so now.
fn passes(code: &SqlState) -> bool {
    // 08 connection, 28 authorisation, 53 resources, 57 operator's intervention and its timeouts, 58 its system.
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "28" | "53" | "57" | "58")
        || [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::INVALID_CATALOG_NAME,
        ]
        .contains(code)
        || invalidates(code)
}

/// Whether the connection is good for nothing any more: the database ends it, or it leads to one that only reads, or what
/// was prepared on it no longer fits the tables.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(said) = error.as_db_error() else {
        return error.is_closed() || error.source().is_some_and(|why| why.is::<std::io::Error>());
    };
    let ends = matches!(said.code().code().get(..2), Some("08"))
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_SESSION_TIMEOUT,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(said.code());
    ends || invalidates(said.code())
}

fn invalidates(code: &SqlState) -> bool {
    [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::FEATURE_NOT_SUPPORTED].contains(code)
}

/// An error and what is behind it, without the server's details: those can quote values.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(why) = behind {
        words = format!("{words}: {why}");
        behind = why.source();
    }
    words
}
