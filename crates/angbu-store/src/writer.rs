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
use crate::evidence::{self, KnownClockState, Sealed};
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
/// How long a group waits for company when the one before had as much as `COMPANY`: under load, fewer flushes give back
/// more than this wait takes.
const LINGER: Duration = Duration::from_millis(4);
const COMPANY: usize = 4;
/// From how many pages in the write-ahead log on they are moved into the database file, by a thread beside the writer: 8 MiB.
const PAGES_TO_MOVE: i64 = 2_048;
/// From how many pages on the writer itself moves what that thread left, so that the write-ahead log begins anew instead of
/// growing for as long as there is load: 32 MiB.
const PAGES_FOR_THE_WRITER: i64 = 8_192;

/// What waits for its turn on the writer's thread.
pub(crate) enum Job {
    /// A transaction of somebody's making.
    Transaction(Transaction),
    /// A transaction of one entry alone. It writes one row, so that it needs no savepoint: the row is there or not.
    Append(Sealed, oneshot::Sender<Result<(), StoreError>>),
}

/// A closure that is handed a transaction, or why there is none.
type Transaction = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) -> Ran + Send>;

/// What became of a transaction before its commit.
pub(crate) enum Ran {
    Keep(Answer),
    Undo(Answer),
}

/// What is told to whoever waits, once the group's commit has ended.
pub(crate) enum Answer {
    Transaction(Box<dyn FnOnce(Result<(), StoreError>) + Send>),
    Append(Result<(), StoreError>, oneshot::Sender<Result<(), StoreError>>),
}

impl Answer {
    fn tell(self, committed: Result<(), StoreError>) {
        match self {
            Self::Transaction(tell) => tell(committed),
            // Whoever asked may have gone.
            Self::Append(appended, answer) => drop(answer.send(committed.and(appended))),
        }
    }
}

impl Job {
    fn refuse(self, error: StoreError) -> Answer {
        match self {
            Self::Transaction(run) => {
                let (Ran::Keep(answer) | Ran::Undo(answer)) = run(Err(error));
                answer
            }
            Self::Append(_, answer) => Answer::Append(Err(error), answer),
        }
    }
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
    Job::Transaction(Box::new(move |tx| match tx.map_err(E::from).and_then(work) {
        Ok(value) => Ran::Keep(Answer::Transaction(Box::new(move |committed| {
            // Whoever asked may have gone.
            let _ = answer.send(committed.map(|()| value).map_err(E::from));
        }))),
        // A refusal can rest on what a neighbour in the group did, so it is told only if that became true.
        Err(refusal) => Ran::Undo(Answer::Transaction(Box::new(move |committed| {
            let _ = answer.send(Err(committed.err().map_or(refusal, E::from)));
        }))),
    }))
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
            clock_state: KnownClockState::default(),
            had_company: false,
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(run)
                .map_err(|error| unusable(path, &error))
        };
        writer.threads.push(spawn("store-write", Box::new(move || work.run()))?);
        writer
            .threads
            .push(spawn("store-checkpoint", Box::new(move || move_pages(&mover, &woken, &finish)))?);
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
    clock_state: KnownClockState,
    had_company: bool,
}

/// Transactions that share a commit.
#[derive(Default)]
struct Group {
    answers: Vec<Answer>,
    drafts: Vec<(EntryId, Vec<u8>)>,
}

impl Work {
    fn run(&mut self) {
        while let Some(first) = self.queue.pop() {
            if self.had_company && self.queue.len() < GROUP {
                // Asleep for good: nobody has to wake it for every transaction that comes.
                std::thread::sleep(LINGER);
            }
            self.commit_group(first);
        }
    }

    fn commit_group(&mut self, first: Job) {
        if let Err(error) = sqlite::control(&self.connection, "BEGIN IMMEDIATE") {
            return first.refuse(error.clone()).tell(Err(error));
        }
        let begun = Instant::now();
        let (mut group, mut next) = (Group::default(), vec![first]);
        let mut outcome = self.keys.refresh(&self.connection);
        while !next.is_empty() {
            for job in next {
                match &outcome {
                    Ok(()) => outcome = self.run_job(job, &mut group),
                    Err(error) => group.answers.push(job.refuse(error.clone())),
                }
            }
            if outcome.is_err() || begun.elapsed() > GROUP_TIME {
                break;
            }
            next = self.queue.take(GROUP.saturating_sub(group.answers.len()));
        }
        self.had_company = group.answers.len() >= COMPANY;
        let outcome = outcome
            .and_then(|()| evidence::fill_outbox(&self.connection, &group.drafts))
            .and_then(|()| sqlite::control(&self.connection, "COMMIT"));
        self.end(group, outcome);
    }

    /// Runs one job. An error is one of the whole group.
    fn run_job(&mut self, job: Job, group: &mut Group) -> Result<(), StoreError> {
        match job {
            Job::Append(sealed, answer) => {
                let appended = sealed.insert(&self.connection, &self.keys, &self.clock_state);
                if appended.is_ok() {
                    group.drafts.push(sealed.draft());
                }
                group.answers.push(Answer::Append(appended, answer));
                self.check_transaction()
            }
            Job::Transaction(_) => self.run_transaction(job, group),
        }
    }

    /// Runs a transaction inside a savepoint.
    fn run_transaction(&mut self, job: Job, group: &mut Group) -> Result<(), StoreError> {
        if let Err(error) = sqlite::control(&self.connection, "SAVEPOINT job") {
            group.answers.push(job.refuse(error.clone()));
            return Err(error);
        }
        let Job::Transaction(run) = job else { return Ok(()) };
        let mut tx = Tx::new(Snapshot { sql: &self.connection, keys: &self.keys }, &self.clock_state);
        // A transaction that panics loses its own answer and leaves nothing behind; its neighbours go on.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(Ok(&mut tx))));
        let drafts = std::mem::take(&mut tx.drafts);
        let keep = matches!(ran, Ok(Ran::Keep(_)));
        match ran {
            Ok(Ran::Keep(answer)) => {
                group.answers.push(answer);
                group.drafts.extend(drafts);
            }
            Ok(Ran::Undo(answer)) => group.answers.push(answer),
            Err(_) => tracing::error!("a transaction panicked"),
        }
        self.check_transaction()?;
        if !keep {
            // It may have been the transaction that appended the clock state.
            self.clock_state.forget();
            sqlite::control(&self.connection, "ROLLBACK TO job")?;
        }
        sqlite::control(&self.connection, "RELEASE job")
    }

    /// Some failures of the disk make SQLite undo the whole transaction by itself.
    fn check_transaction(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::unavailable("the database undid the transaction; its disk may be full"));
        }
        Ok(())
    }

    fn end(&mut self, group: Group, outcome: Result<(), StoreError>) {
        match &outcome {
            Ok(()) => {
                // Before anyone is answered, so that whoever then waits for the proof is known to wait for something.
                self.board.add(group.drafts.into_iter().map(|(id, _)| id));
            }
            Err(error) => {
                tracing::error!(%error, "a group of {} transactions was not committed", group.answers.len());
                self.clock_state.forget();
                if !self.connection.is_autocommit()
                    && let Err(error) = sqlite::control(&self.connection, "ROLLBACK")
                {
                    tracing::error!(%error, "a group of transactions could not be undone");
                }
            }
        }
        for answer in group.answers {
            answer.tell(outcome.clone());
        }
        self.see_to_checkpoints();
    }

    fn see_to_checkpoints(&self) {
        let finishing = self.finish.load(Ordering::Relaxed);
        let seen = if finishing {
            sqlite::checkpoint(&self.connection)
        } else {
            sqlite::look_at_log(&self.connection)
        };
        match seen {
            // Where the thread beside is still at it, the next group tries again.
            Ok(log) if finishing => self.finish.store(log.moved < log.pages, Ordering::Relaxed),
            Ok(log) if log.pages - log.moved >= PAGES_TO_MOVE => {
                // Full means that it is awake already.
                let _ = self.wake.try_send(());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be looked after"),
        }
    }
}

/// Moves pages of the write-ahead log into the database file while the writer goes on, and leaves the writer the rest.
fn move_pages(connection: &rusqlite::Connection, woken: &Receiver<()>, finish: &AtomicBool) {
    while woken.recv().is_ok() {
        match sqlite::checkpoint(connection) {
            // Only the writer can bring the log to where all of it is moved, since only it does not write meanwhile.
            Ok(log) if log.pages >= PAGES_FOR_THE_WRITER => finish.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database");
            }
        }
    }
}

#[cfg(test)]
mod tests;
