//! The store: a folder with one database, its threads, and the two ways to it.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use angbu_evidence::{Body, Draft, Kind};
use angbu_units::{Clock, EntryId, UnixTime};
use tokio::sync::oneshot;

use crate::board::Board;
use crate::database::{Database, Session};
use crate::evidence::{self, KnownClockState, Sealed};
use crate::guard::Guard;
use crate::readers::Readers;
use crate::seal::{Keyring, RootSecret};
use crate::sql::{Connection, values};
use crate::writer::{self, Job, Writer};
use crate::{PostgresUrl, StoreError, UrlError, postgres, sqlite};

/// Where a store is and how it is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder; made, for its owner alone, where there is none.
    pub folder: PathBuf,
    /// Which database it has.
    pub engine: Engine,
    /// The file with the site's root secret; `root.secret` in the folder unless it is kept elsewhere.
    pub root_secret: PathBuf,
    /// How many questions are answered at the same time.
    pub readers: usize,
}

impl Options {
    /// A store in this folder, run as most are.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { root_secret: folder.join("root.secret"), folder, engine: Engine::Sqlite, readers: 4 }
    }
}

/// Which database a store has.
#[derive(Debug, Clone, Default)]
pub enum Engine {
    /// One SQLite file in the store's folder, for one centre.
    #[default]
    Sqlite,
    /// A PostgreSQL database, which any number of centres share, each with a folder of its own.
    Postgres(PostgresUrl),
}

impl FromStr for Engine {
    type Err = UrlError;

    /// `sqlite`, or the address of a PostgreSQL database as [`PostgresUrl`] reads it.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text == "sqlite" { Ok(Self::Sqlite) } else { text.parse().map(Self::Postgres) }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite => f.write_str("sqlite"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// The site's database. Clones share it; the last one dropped closes it.
///
/// Durability: what [`Store::write`] acknowledged is on the disk. Ordering: transactions take effect one after the
/// other, in the order in which they were accepted. Concurrency: questions never wait for transactions.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    // Closed in this order: the last connection to close, which tidies the write-ahead log away, is one that writes.
    readers: Readers,
    writer: Writer,
    database: Box<dyn Database>,
    keys: Arc<Keyring>,
    board: Arc<Board>,
    guard: Guard,
    clock: Arc<dyn Clock>,
    // Held for as long as the store is open, so that no second process opens it; released by the system even after kill -9.
    _lock: File,
}

/// One consistent state of the database, to be asked. What can be asked stands in the nouns' modules:
/// [`crate::site`], [`crate::accounts`], [`crate::time`], [`crate::evidence`].
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    pub(crate) sql: &'a dyn Connection,
    pub(crate) keys: &'a Keyring,
}

/// A state transaction: everything that a [`Snapshot`] can be asked, and every change.
/// It sees its own changes and those of transactions before it. If its closure ends in an error, nothing of it stays.
pub struct Tx<'a> {
    snapshot: Snapshot<'a>,
    pub(crate) clock_state: &'a KnownClockState,
    pub(crate) board: &'a Board,
    /// The entries that it appended, for the outbox.
    pub(crate) drafts: Vec<(EntryId, Vec<u8>)>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(snapshot: Snapshot<'a>, clock_state: &'a KnownClockState, board: &'a Board) -> Self {
        Self { snapshot, clock_state, board, drafts: Vec::new() }
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = Snapshot<'a>;
    fn deref(&self) -> &Snapshot<'a> {
        &self.snapshot
    }
}

impl Store {
    /// Opens the store in a folder; makes folder, root secret, keys and tables where they are missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has the folder open, [`StoreError::NotDurable`] where the database does
    /// not keep what it acknowledges, [`StoreError::RootSecret`] and
    /// [`StoreError::NotOurs`] when the root secret is missing or another site's, [`StoreError::Newer`] when a newer
    /// program was here, [`StoreError::File`] and [`StoreError::Unavailable`] as the system has it.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        // Whoever opens a store may be driving futures on this thread, where a connection's futures cannot be waited for.
        apart(|| Self::open_here(options, clock))
    }

    fn open_here(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        make_folder(&options.folder)?;
        let lock = lock(&options.folder)?;
        let database: Box<dyn Database> = match &options.engine {
            Engine::Sqlite => Box::new(sqlite::Database::open(&options.folder)?),
            Engine::Postgres(url) => Box::new(postgres::Database::open(url)?),
        };
        let session = database.writer()?;
        let now = clock.read().wall;
        if let Err(error) = database.maintain(now) {
            // Nothing depends on it today.
            tracing::warn!(%error, "the database could not be made ready for the months to come");
        }
        let keys = Arc::new(open_keys(&*session, &options.root_secret, now)?);
        sync_folder(&options.folder)?;
        let board = Arc::new(Board::new());
        let readers = Readers::start(&*database, options.readers, &keys)?;
        let writer = Writer::start(session, Arc::clone(&keys), Arc::clone(&board))?;
        let guard = Guard::open(&options.folder)?;
        let inner = Inner { readers, writer, database, keys, board, guard, clock, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Which kind of database it is: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        self.inner.database.kind()
    }

    /// Makes what the time to come needs of the database, as tables by the month. A centre does so at its start and then
    /// every day. It can take as long as a connection to the database takes, and blocks meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and then it can simply be done again later.
    pub fn maintain(&self) -> Result<(), StoreError> {
        apart(|| self.inner.database.maintain(self.inner.clock.read().wall))
    }

    /// Runs a transaction and resolves when it is on the disk, or when nothing of it was kept.
    ///
    /// The closure runs on the store's writer thread, where everybody else's transactions wait for it: it computes and
    /// calls the transaction's methods, and does nothing slow. It commits when it returns `Ok`. Dropping the future
    /// does not take the transaction back.
    ///
    /// # Errors
    /// The closure's own error, or [`StoreError::Unavailable`] when the commit failed.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.inner.writer.send(writer::job(work, answer)).await?;
        answered.await.unwrap_or_else(|_| Err(no_answer().into()))
    }

    /// Appends one entry that belongs to no change of state; resolves when it is on the disk. It is cheaper than
    /// [`Tx::append`] in a transaction of its own, because its fields are sealed on the caller's thread.
    ///
    /// # Errors
    /// As [`Tx::append`].
    pub async fn append(&self, draft: &Draft, body: &Body) -> Result<(), StoreError> {
        if draft.kind == Kind::CLOCK_STATE {
            // More than one row, and thus a savepoint.
            let (draft, body) = (draft.clone(), body.clone());
            return self.write(move |tx| tx.append(&draft, &body)).await;
        }
        evidence::refuse(self.board(), draft)?;
        let sealed = Sealed::new(&self.inner.keys, draft, body)?;
        let (answer, answered) = oneshot::channel();
        self.inner.writer.send(Job::Append(sealed, answer)).await?;
        answered.await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Leaves a transaction to the writer; nobody learns how it ends.
    pub(crate) fn post(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        let (answer, _) = oneshot::channel();
        // It fails only while the store closes, when nobody misses it.
        let _ = block_on(self.inner.writer.send(writer::job(work, answer)));
    }

    /// As [`Store::write`], for threads that may block.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        block_on(self.write(work))
    }

    /// Asks a snapshot of the database; the closure runs on a thread of the store's own.
    ///
    /// # Errors
    /// The closure's own error, or [`StoreError::Unavailable`].
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.inner
            .readers
            .send(Box::new(move |snapshot| {
                let result = snapshot.map_err(E::from).and_then(|snapshot| work(&snapshot));
                // Whoever asked may have gone.
                let _ = answer.send(result);
            }))
            .await?;
        answered.await.unwrap_or_else(|_| Err(no_answer().into()))
    }

    /// As [`Store::read`], for threads that may block.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        block_on(self.read(work))
    }

    /// Whether other processes can have the same database open.
    pub fn is_shared(&self) -> bool {
        self.kind() != "sqlite"
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.inner.guard
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.inner.board
    }

    pub(crate) fn shared_keys(&self) -> Arc<Keyring> {
        Arc::clone(&self.inner.keys)
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.inner.keys
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }
}

/// Runs a future that needs no runtime on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Does something on a thread of its own and waits for it.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Makes what was created in a folder survive a loss of power.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(folder, &error))
}

pub(crate) fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), why: error.to_string() }
}

fn no_answer() -> StoreError {
    StoreError::unavailable("the store ended or failed before it answered")
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unusable(folder, &error))
}

/// Unwraps the site's keys; whoever comes first makes them.
fn open_keys(session: &dyn Session, root_secret: &Path, now: UnixTime) -> Result<Keyring, StoreError> {
    session.begin_alone()?;
    let sql: &dyn Connection = session;
    let keys = sql.first("SELECT 1 FROM site_keys LIMIT 1", values![], |_| Ok(()));
    // A database without its root secret is lost; a fresh secret beside it would only hide that.
    let keys = keys
        .and_then(|key| RootSecret::open(root_secret, key.is_none()))
        .and_then(|root| Keyring::open(sql, root, now));
    let keys = keys.and_then(|keys| session.commit(None).map(|()| keys));
    if keys.is_err() {
        session.rollback();
    }
    keys
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("angbu.lock");
    let file = File::create(&path).map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(unusable(&path, &error)),
    }
}
