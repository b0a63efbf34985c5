//! The one thread that writes. It commits in groups, so that a thousand waiting answers share one flush.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use angbu_units::EntryId;
use tokio::sync::oneshot;

use crate::board::Board;
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::store::unusable;
use crate::{Snapshot, StoreError, Tx, sqlite};

/// How many transactions wait before callers do.
const ROOM: usize = 16_384;
/// The most transactions that one flush is shared by.
const GROUP: usize = 1_024;
/// How long a group that has begun takes in more.
const GROUP_TIME: Duration = Duration::from_millis(20);
/// How long a group waits for company when the one before had some: a flush costs more than this wait.
const LINGER: Duration = Duration::from_millis(2);
/// How many groups are committed before the write-ahead log is moved into the database file, and how often at least.
const GROUPS_BETWEEN_CHECKPOINTS: u32 = 256;
const TIME_BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(1);
/// From how many pages in the write-ahead log the writer itself moves what a checkpoint beside it could not, so that
/// the log begins anew instead of growing for as long as there is load: 64 MiB.
const PAGES_FOR_THE_WRITER: i64 = 16_384;

/// A transaction that waits for its turn: handed a transaction, or why there is none.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) -> Ran + Send>;

/// What is told to whoever waits, once the group's commit has ended.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What became of a transaction before its commit.
pub(crate) enum Ran {
    Keep(Answer),
    Undo(Answer),
}

/// A closure over a transaction as a job that answers its result, or the group's error.
pub(crate) fn job<T, E>(
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    answer: oneshot::Sender<Result<T, E>>,
) -> Job
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(move |tx| match tx.map_err(E::from).and_then(work) {
        Ok(value) => Ran::Keep(Box::new(move |committed| {
            // Whoever asked may have gone.
            let _ = answer.send(committed.map(|()| value).map_err(E::from));
        })),
        // A refusal can rest on what a neighbour in the group did, so it is told only if that became true.
        Err(refusal) => Ran::Undo(Box::new(move |committed| {
            let _ = answer.send(Err(committed.err().map_or(refusal, E::from)));
        })),
    })
}

pub(crate) struct Writer {
    queue: Arc<Queue<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: rusqlite::Connection,
        path: &Path,
        keys: Arc<Keyring>,
        board: Arc<Board>,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new(ROOM));
        let (wake, woken) = sync_channel(1);
        let finish = Arc::new(AtomicBool::new(false));
        let mover = sqlite::open_checkpointer(path)?;
        let mut writer = Self { queue: Arc::clone(&queue), threads: Vec::new() };
        let mut work = Work {
            connection,
            keys,
            board,
            queue,
            wake,
            finish: Arc::clone(&finish),
            groups: 0,
            woken: Instant::now(),
            had_company: false,
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| unusable(path, &error))
        };
        writer.threads.push(spawn("store-write", Box::new(move || work.run()))?);
        writer.threads.push(spawn("store-checkpoint", Box::new(move || move_pages(&mover, &woken, &finish)))?);
        Ok(writer)
    }

    pub(crate) async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.queue.push(job).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // The last handle of a store can be dropped inside a transaction.
            if thread.thread().id() != std::thread::current().id() {
                // A thread that panicked has said so already.
                let _ = thread.join();
            }
        }
    }
}

struct Work {
    connection: rusqlite::Connection,
    keys: Arc<Keyring>,
    board: Arc<Board>,
    queue: Arc<Queue<Job>>,
    wake: SyncSender<()>,
    finish: Arc<AtomicBool>,
    groups: u32,
    woken: Instant,
    had_company: bool,
}

/// Transactions that share a commit.
#[derive(Default)]
struct Group {
    answers: Vec<Answer>,
    appended: Vec<EntryId>,
}

impl Work {
    fn run(&mut self) {
        while let Some(first) = self.queue.pop() {
            self.commit_group(first);
        }
    }

    fn commit_group(&mut self, first: Job) {
        if let Err(error) = sqlite::control(&self.connection, "BEGIN IMMEDIATE") {
            let (Ran::Keep(answer) | Ran::Undo(answer)) = first(Err(error.clone()));
            return answer(Err(error));
        }
        let begun = Instant::now();
        let company_until = self.had_company.then(|| begun + LINGER);
        let (mut group, mut next) = (Group::default(), Some(first));
        let mut outcome = Ok(());
        while let Some(job) = next {
            outcome = self.run_job(job, &mut group);
            if outcome.is_err() || group.answers.len() >= GROUP || begun.elapsed() > GROUP_TIME {
                break;
            }
            next = self.queue.pop_until(company_until);
        }
        self.had_company = group.answers.len() > 1;
        let outcome = outcome.and_then(|()| sqlite::control(&self.connection, "COMMIT"));
        self.end(group, outcome);
    }

    /// Runs one transaction inside a savepoint. An error is one of the whole group.
    fn run_job(&self, job: Job, group: &mut Group) -> Result<(), StoreError> {
        let saved = sqlite::control(&self.connection, "SAVEPOINT job");
        if let Err(error) = saved {
            let (Ran::Keep(answer) | Ran::Undo(answer)) = job(Err(error.clone()));
            group.answers.push(answer);
            return Err(error);
        }
        let mut tx = Tx::new(Snapshot { sql: &self.connection, keys: &self.keys });
        // A transaction that panics loses its own answer and leaves nothing behind; its neighbours go on.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(Ok(&mut tx))));
        let appended = std::mem::take(&mut tx.appended);
        let keep = matches!(ran, Ok(Ran::Keep(_)));
        match ran {
            Ok(Ran::Keep(answer)) => {
                group.answers.push(answer);
                group.appended.extend(appended);
            }
            Ok(Ran::Undo(answer)) => group.answers.push(answer),
            Err(_) => tracing::error!("a transaction panicked"),
        }
        // Some failures of the disk make SQLite undo the whole transaction by itself.
        if self.connection.is_autocommit() {
            return Err(StoreError::unavailable("the database undid the transaction; its disk may be full"));
        }
        if !keep {
            sqlite::control(&self.connection, "ROLLBACK TO job")?;
        }
        sqlite::control(&self.connection, "RELEASE job")
    }

    fn end(&mut self, group: Group, outcome: Result<(), StoreError>) {
        match &outcome {
            Ok(()) => {
                // Before anyone is answered, so that whoever then waits for the proof is known to wait for something.
                self.board.add(group.appended);
                self.groups += 1;
            }
            Err(error) => {
                tracing::error!(%error, "a group of {} transactions was not committed", group.answers.len());
                if !self.connection.is_autocommit()
                    && let Err(error) = sqlite::control(&self.connection, "ROLLBACK")
                {
                    tracing::error!(%error, "a group of transactions could not be undone");
                }
            }
        }
        for answer in group.answers {
            answer(outcome.clone());
        }
        self.see_to_checkpoints();
    }

    fn see_to_checkpoints(&mut self) {
        if self.groups >= GROUPS_BETWEEN_CHECKPOINTS || self.woken.elapsed() >= TIME_BETWEEN_CHECKPOINTS {
            (self.groups, self.woken) = (0, Instant::now());
            // Full means that it is awake already.
            let _ = self.wake.try_send(());
        }
        if self.finish.swap(false, Ordering::Relaxed)
            && let Err(error) = sqlite::checkpoint(&self.connection)
        {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database");
        }
    }
}

/// Moves pages of the write-ahead log into the database file while the writer goes on, and leaves the writer the rest.
fn move_pages(connection: &rusqlite::Connection, woken: &Receiver<()>, finish: &AtomicBool) {
    while woken.recv().is_ok() {
        match sqlite::checkpoint(connection) {
            Ok((left, pages)) if left > 0 && pages >= PAGES_FOR_THE_WRITER => {
                finish.store(true, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database");
            }
        }
    }
}
