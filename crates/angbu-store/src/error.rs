//! Everything that a store can refuse or fail at.

use std::path::PathBuf;
use std::time::Duration;

/// Why the store did not do what it was asked.
///
/// Whatever the variant: an operation that ended in one was not acknowledged, and nothing of it was kept,
/// with the one exception that [`StoreError::Unavailable`] names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The row was changed by somebody else since it was read: load it again and decide again.
    #[error("{what} was changed by somebody else in the meantime; load it again and retry")]
    Conflict {
        /// The row's noun.
        what: &'static str,
    },
    /// Another row already has this name, secret or id.
    #[error("{what} is taken already; choose another")]
    Taken {
        /// What is taken, as a noun phrase.
        what: &'static str,
    },
    /// What was asked for was asked for before, and is not done yet.
    #[error("{what} is still being replaced; wait until that is done, and try again")]
    UnderWay {
        /// What, as a noun phrase.
        what: &'static str,
    },
    /// There is no such row.
    #[error("there is no such {what}")]
    NotFound {
        /// The row's noun.
        what: &'static str,
    },
    /// The database cannot take or give anything now: its disk is full or fails, or the store is stopping.
    /// A commit that failed this way is in doubt: it was not acknowledged, yet can turn up after a restart.
    #[error("the database is not available: {why}; retry in {} ms", retry.as_millis())]
    Unavailable {
        /// What the database said.
        why: String,
        /// When to ask again.
        retry: Duration,
    },
    /// What stands in the database is not what this program wrote there.
    #[error("the database holds something that cannot be right: {what}; restore it from a backup")]
    Corrupt {
        /// What is wrong, and where.
        what: String,
    },
    /// A sealed value does not open with the key and row that it names.
    #[error(
        "a sealed value of {table} does not open: it was altered, moved, or the root secret is another site's"
    )]
    NotOurs {
        /// The table that it stands in.
        table: &'static str,
    },
    /// The root secret's file cannot be used.
    #[error("the root secret {} cannot be used: {why}", path.display())]
    RootSecret {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Another process has this store open.
    #[error("{} is in use by another process; stop that one first", path.display())]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The database would acknowledge what a power cut takes back.
    #[error(
        "the database acknowledges commits before they are on its disk ({setting} = off), and evidence must not be lost; \
         set {setting} to on for this database or its role"
    )]
    NotDurable {
        /// Its setting that is off.
        setting: &'static str,
    },
    /// A newer program made this database.
    #[error("the database has migration {found}, this program knows only {known}; use the newer program")]
    Newer {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// A migration that is in the database is not the one that this program would have made.
    #[error("migration {number} in the database is '{found}', this program's is '{known}'")]
    OtherMigration {
        /// Its number.
        number: i64,
        /// Its name in the database.
        found: String,
        /// Its name in this program.
        known: &'static str,
    },
    /// A file or folder beside the database cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// What was to be stored is nothing that the store can keep: a fault of the program.
    #[error("this cannot be stored: {what}")]
    Unfit {
        /// What is wrong with it.
        what: String,
    },
    /// A head of the log was signed once that the database does not lead to: it is an older copy, or another log's.
    #[error(
        "the log stands still: a checkpoint of {seen} entries was signed before, and the database, which has {size}, does \
         not lead to it; put the newer database back, or, when what is missing is lost for good, go on with: angbu evidence \
         confirm --size {size}"
    )]
    LogInDoubt {
        /// The size of that head.
        seen: u64,
        /// How many entries the database has.
        size: u64,
    },
    /// Nothing beside the database shows that it is the newest.
    #[error(
        "the log stands still: the file evidence.guard is missing or not this log's, so that nothing here shows that the \
         database's {size} entries are all that were signed; put the file back, or compare with a witness's checkpoint and \
         go on with: angbu evidence confirm --size {size}"
    )]
    LogUnguarded {
        /// How many entries the database has.
        size: u64,
    },
    /// More was asked for or given than the store takes at once.
    #[error("{what} is more than the store takes at once, which is {limit}")]
    TooMuch {
        /// What was too much.
        what: &'static str,
        /// The most that is taken.
        limit: u64,
    },
}

impl StoreError {
    /// Whether the same request can succeed when it is simply made again.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Unavailable { .. }
                | Self::LogInDoubt { .. }
                | Self::LogUnguarded { .. }
        )
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry: Duration::from_millis(500) }
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("the store is stopping")
    }
}
