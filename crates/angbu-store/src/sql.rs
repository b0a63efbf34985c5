//! The narrow way to a database: one subset of SQL, three kinds of values.
//!
//! The noun modules speak only this: each database is an implementation of [`Connection`] and a folder of migrations. Parameters are written `?1`, `?2`, ...; every integer is 64 bits wide.

use angbu_evidence::Hash;
use angbu_units::{
    AgentId, CentreId, CodeId, CustomerId, DeliveryId, EntryId, IncidentId, KeyTokenId, MachineId, MessageId,
    Nanos, NtpServerId, PasskeyId, PersonId, Ppb, ReportId, RequestId, SessionId, ShareId, StaffId, TokenId,
    UnixTime, WebhookId,
};

use crate::StoreError;

/// A value on its way into the database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// An id that is computed rather than lent.
    Id([u8; 16]),
}

/// A row on its way out. `None` stands for SQL's NULL.
pub(crate) trait Row {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, column: usize) -> Result<Option<&str>, StoreError>;
    fn blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError>;
}

/// Whether a query should give its next row.
pub(crate) enum Next {
    More,
    Enough,
}

/// One connection inside a transaction that somebody else began and will end.
pub(crate) trait Connection {
    /// Runs a statement and says how many rows it changed.
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement once for each row of values, together, and says how many rows each run changed.
    fn execute_many(&self, sql: &'static str, rows: &[&[Value<'_>]]) -> Result<Vec<u64>, StoreError> {
        rows.iter().map(|values| self.execute(sql, values)).collect()
    }

    /// Runs a query and hands over each row. The statement bounds how many there are; what asks for more than it may
    /// want is a [`Connection::scan`].
    fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError>;

    /// As [`Connection::query`], for a statement that nothing bounds: rows come as they are wanted.
    fn scan(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        self.query(sql, values, each)
    }

    /// Runs a statement that waits until no other transaction is where this one goes. Where transactions come one after
    /// the other anyway there is nothing to wait for.
    fn exclude_others(&self, _lock: &'static str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is said to be taken when a unique column of this name refuses a value.
const TAKEN: [(&str, &str); 8] = [
    ("accounts_customers.name", "the customer's name"),
    ("accounts_staff.name", "the name"),
    ("accounts_people.login_hash", "the login id"),
    ("accounts_machines.name", "the machine's name"),
    ("keys_tokens.holder_id", "the holder's one token"),
    ("time_agents.name", "the agent's name"),
    ("passkeys.credential_hash", "the passkey"),
    ("time_kept_reports.month", "the month's report"),
];

/// What a refused value means: `is_column` says whether a column, as `table.column`, is among those that refused it.
pub(crate) fn taken(is_column: impl Fn(&str) -> bool) -> StoreError {
    let taken = TAKEN.iter().find(|(column, _)| is_column(column));
    StoreError::Taken { what: taken.map_or("the id", |(_, what)| what) }
}

/// Which migrations a database lacks, when `done` are those that it has.
pub(crate) fn check_migrations(
    known: &[(i64, &'static str)],
    done: &[(i64, String)],
) -> Result<Vec<i64>, StoreError> {
    let newest = known.last().map_or(0, |(number, _)| *number);
    if let Some((found, _)) = done.iter().find(|(found, _)| *found > newest) {
        return Err(StoreError::Newer { found: *found, known: newest });
    }
    let mut missing = Vec::new();
    for (number, name) in known {
        match done.iter().find(|(found, _)| found == number) {
            Some((_, found)) if found != name => {
                return Err(StoreError::OtherMigration {
                    number: *number,
                    found: found.clone(),
                    known: name,
                });
            }
            Some(_) => {}
            None => missing.push(*number),
        }
    }
    Ok(missing)
}

/// Refuses what one of the databases could not keep, so that both refuse it.
pub(crate) fn fit(values: &[Value<'_>]) -> Result<(), StoreError> {
    let holds_nul = |value: &Value<'_>| matches!(value, Value::Text(text) if text.contains('\0'));
    if values.iter().any(holds_nul) {
        return Err(StoreError::Unfit { what: "a text with a NUL inside".to_owned() });
    }
    Ok(())
}

impl dyn Connection + '_ {
    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut decode: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.query(sql, values, &mut |row| {
            found = Some(decode(row)?);
            Ok(Next::Enough)
        })?;
        Ok(found)
    }

    /// All rows. The statement bounds how many there can be.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut decode: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.query(sql, values, &mut |row| {
            found.push(decode(row)?);
            Ok(Next::More)
        })?;
        Ok(found)
    }

    /// Runs a statement that must change exactly one row; `missed` says what it means when it changes none.
    pub(crate) fn execute_one(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        missed: StoreError,
    ) -> Result<(), StoreError> {
        match self.execute(sql, values)? {
            1 => Ok(()),
            0 => Err(missed),
            more => Err(StoreError::corrupt(format!("{more} rows where one was expected, in: {sql}"))),
        }
    }
}

/// What can be handed to a statement.
pub(crate) trait ToValue {
    fn to_value(&self) -> Value<'_>;
}

/// What can be read from a column.
pub(crate) trait FromColumn: Sized {
    /// `None` is SQL's NULL.
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError>;
}

/// Reads a column that is never NULL.
pub(crate) fn column<T: FromColumn>(row: &dyn Row, column: usize) -> Result<T, StoreError> {
    T::from_column(row, column)?.ok_or_else(|| StoreError::corrupt(format!("column {column} is empty")))
}

/// Reads a column that can be NULL.
pub(crate) fn optional<T: FromColumn>(row: &dyn Row, column: usize) -> Result<Option<T>, StoreError> {
    T::from_column(row, column)
}

macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::ToValue::to_value(&$value)),*] };
}
pub(crate) use values;

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl FromColumn for i64 {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        row.integer(column)
    }
}

impl ToValue for u64 {
    /// Counts and log indexes stay far below 2^63; a larger number can only be a caller's question about what
    /// cannot exist, and the largest integer finds nothing as well.
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl FromColumn for u64 {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        let Some(number) = row.integer(column)? else { return Ok(None) };
        let count = u64::try_from(number).map_err(|_| {
            StoreError::corrupt(format!("column {column} is {number} where a count was expected"))
        })?;
        Ok(Some(count))
    }
}

impl ToValue for u8 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for u16 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromColumn for u16 {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        let Some(number) = row.integer(column)? else { return Ok(None) };
        let number = Self::try_from(number)
            .map_err(|_| StoreError::corrupt(format!("column {column} is {number}, beyond 16 bits")))?;
        Ok(Some(number))
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromColumn for bool {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        Ok(row.integer(column)?.map(|number| number != 0))
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl FromColumn for String {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        Ok(row.text(column)?.map(str::to_owned))
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        Ok(row.blob(column)?.map(<[u8]>::to_vec))
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = row.blob(column)? else { return Ok(None) };
        let found = bytes.len();
        let bytes = Self::try_from(bytes)
            .map_err(|_| StoreError::corrupt(format!("column {column} has {found} bytes, expected {N}")))?;
        Ok(Some(bytes))
    }
}

macro_rules! nanoseconds {
    ($($type:ty, $make:path, $number:ident;)*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                Value::Integer(self.$number())
            }
        }

        impl FromColumn for $type {
            fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
                Ok(row.integer(column)?.map($make))
            }
        }
    )*};
}
nanoseconds! {
    UnixTime, UnixTime::from_nanos, nanos;
    Nanos, Nanos::new, count;
    Ppb, Ppb::new, count;
}

macro_rules! ids {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                Value::Blob(self.as_bytes())
            }
        }

        impl FromColumn for $type {
            fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
                Ok(FromColumn::from_column(row, column)?.map(Self::from_bytes))
            }
        }
    )*};
}
ids!(
    CustomerId,
    AgentId,
    CentreId,
    NtpServerId,
    StaffId,
    PersonId,
    MachineId,
    TokenId,
    KeyTokenId,
    SessionId,
    CodeId,
    ShareId,
    ReportId,
    RequestId,
    IncidentId,
    MessageId,
    PasskeyId,
    DeliveryId,
    WebhookId,
    Hash
);

impl ToValue for EntryId {
    fn to_value(&self) -> Value<'_> {
        Value::Id(self.to_bytes())
    }
}

impl FromColumn for EntryId {
    fn from_column(row: &dyn Row, column: usize) -> Result<Option<Self>, StoreError> {
        Ok(FromColumn::from_column(row, column)?.map(Self::from_bytes))
    }
}
