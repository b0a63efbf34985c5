//! What the store's threads ask of a database: sessions, transactions, savepoints. One implementation a database.

use angbu_units::UnixTime;

use crate::StoreError;
use crate::sql::{Connection, Value};

/// A database that is there, migrated, and ready to be asked.
pub(crate) trait Database: Send + Sync {
    /// Its word in answers: `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// A session whose transactions write.
    fn writer(&self) -> Result<Box<dyn Session>, StoreError>;

    /// A session whose transactions see one state and change nothing.
    fn reader(&self) -> Result<Box<dyn Session>, StoreError>;

    /// Makes what the time to come needs, as tables by the month.
    fn maintain(&self, now: UnixTime) -> Result<(), StoreError>;
}

/// A connection of one thread's own, transaction after transaction.
///
/// Durability: what [`Session::commit`] acknowledged is on the disk. Concurrency: what two sessions write to the same
/// rows takes effect one after the other; one of them waits, or is told [`StoreError::Conflict`].
pub(crate) trait Session: Connection + Send {
    /// Begins a transaction. A session that lost its connection looks for a new one first.
    fn begin(&self) -> Result<(), StoreError>;

    /// Begins a transaction that has the site to itself: no other such transaction of any centre runs meanwhile.
    fn begin_alone(&self) -> Result<(), StoreError>;

    /// Runs one last statement, if there is one, and commits.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] the commit can be in doubt. Whatever the error, the transaction is over as soon
    /// as [`Session::rollback`] was called.
    fn commit(&self, last: Option<(&'static str, &[Value<'_>])>) -> Result<(), StoreError>;

    /// Ends whatever transaction there still is, and undoes it.
    fn rollback(&self);

    /// Marks a point within the transaction, before which nothing is undone by [`Session::undo`].
    fn savepoint(&self) -> Result<(), StoreError>;

    /// Keeps what was done since the savepoint.
    fn keep(&self) -> Result<(), StoreError>;

    /// Undoes what was done since the savepoint.
    fn undo(&self) -> Result<(), StoreError>;

    /// How a statement since the savepoint failed, if one did: then nothing since the savepoint may be kept, whatever
    /// whoever ran it made of the error.
    fn failed(&self) -> Option<StoreError>;

    /// Whether the transaction can still be committed: some failures end the whole of it.
    fn check(&self) -> Result<(), StoreError>;

    /// Does what is to be done between two transactions, quickly.
    fn look_after(&self);
}
