//! The one thread that writes. It commits in groups, so that a thousand waiting answers share one flush.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use angbu_units::EntryId;
use tokio::sync::oneshot;

use crate::board::Board;
use crate::database::Session;
use crate::evidence::{self, KnownClockState, Sealed};
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::sql::Value;
use crate::store::unusable;
use crate::{Snapshot, StoreError, Tx};

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
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        session: Box<dyn Session>,
        keys: Arc<Keyring>,
        board: Arc<Board>,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new(ROOM));
        let waiting = Arc::clone(&queue);
        let mut work = Work {
            session,
            keys,
            board,
            queue: waiting,
            clock_state: KnownClockState::default(),
            had_company: false,
        };
        let thread = std::thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || work.run())
            .map_err(|error| unusable(Path::new("a thread"), &error))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(crate) async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.queue.push(job).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        // The last handle of a store can be dropped inside a transaction.
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != std::thread::current().id())
        {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

struct Work {
    session: Box<dyn Session>,
    keys: Arc<Keyring>,
    board: Arc<Board>,
    queue: Arc<Queue<Job>>,
    clock_state: KnownClockState,
    had_company: bool,
}

/// Transactions that share a commit.
#[derive(Default)]
struct Group {
    /// Each with what became of it alone.
    answers: Vec<(Answer, Result<(), StoreError>)>,
    drafts: Vec<(EntryId, Vec<u8>)>,
}

impl Group {
    fn refuse(&mut self, job: Job, error: &StoreError) {
        self.answers.push((job.refuse(error.clone()), Ok(())));
    }
}

/// An entry that waits to be inserted, and who waits for that.
type Appended = (Sealed, oneshot::Sender<Result<(), StoreError>>);

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
        if let Err(error) = self.session.begin() {
            return first.refuse(error.clone()).tell(Err(error));
        }
        let begun = Instant::now();
        let (mut group, mut next) = (Group::default(), vec![first]);
        let mut outcome = self.keys.refresh(&*self.session);
        while !next.is_empty() {
            outcome = self.run_jobs(next, outcome, &mut group);
            if outcome.is_err() || begun.elapsed() > GROUP_TIME {
                break;
            }
            next = self.queue.take(GROUP.saturating_sub(group.answers.len()));
        }
        self.had_company = group.answers.len() >= COMPANY;
        let outcome = outcome.and_then(|()| evidence::outbox_row(&group.drafts)).and_then(|row| {
            let last = row.as_ref().map(|row| [Value::Blob(row)]);
            self.session.commit(last.as_ref().map(|values| (evidence::FILL_OUTBOX, values.as_slice())))
        });
        self.end(group, outcome);
    }

    /// Runs jobs one after the other, neighbouring appends together. An error is one of the whole group.
    fn run_jobs(
        &mut self,
        jobs: Vec<Job>,
        mut outcome: Result<(), StoreError>,
        group: &mut Group,
    ) -> Result<(), StoreError> {
        let mut appends = Vec::new();
        for job in jobs {
            outcome = match (outcome, job) {
                (Err(error), job) => {
                    group.refuse(job, &error);
                    Err(error)
                }
                (Ok(()), Job::Append(sealed, answer)) => {
                    appends.push((sealed, answer));
                    Ok(())
                }
                (Ok(()), Job::Transaction(run)) => match self.append_all(std::mem::take(&mut appends), group)
                {
                    Ok(()) => self.run_transaction(run, group),
                    Err(error) => {
                        group.refuse(Job::Transaction(run), &error);
                        Err(error)
                    }
                },
            };
        }
        match &outcome {
            Ok(()) => self.append_all(appends, group),
            Err(error) => {
                let jobs = appends.into_iter().map(|(sealed, answer)| Job::Append(sealed, answer));
                jobs.for_each(|job| group.refuse(job, error));
                outcome
            }
        }
    }

    /// Inserts entries that come alone, all in one go: each writes one row, which is there or not.
    fn append_all(&mut self, appends: Vec<Appended>, group: &mut Group) -> Result<(), StoreError> {
        let mut ready: Vec<Appended> = Vec::with_capacity(appends.len());
        for (mut sealed, answer) in appends {
            match sealed.prepare(&*self.session, &self.keys, &self.clock_state) {
                Ok(()) => ready.push((sealed, answer)),
                Err(error) => group.answers.push((Answer::Append(Err(error), answer), Ok(()))),
            }
        }
        let bodies: Vec<[Value<'_>; 2]> = ready.iter().map(|(sealed, _)| sealed.row()).collect();
        let rows: Vec<&[Value<'_>]> = bodies.iter().map(<[_; 2]>::as_slice).collect();
        let inserted = if rows.is_empty() {
            Ok(Vec::new())
        } else {
            self.session.execute_many(evidence::INSERT_BODY, &rows)
        };
        let counts = inserted.as_deref().unwrap_or_default().to_vec();
        for ((sealed, answer), count) in ready.into_iter().zip(counts.into_iter().chain(std::iter::repeat(0)))
        {
            let appended = if count == 0 { Err(evidence::taken()) } else { Ok(()) };
            if appended.is_ok() {
                group.drafts.push(sealed.draft());
            }
            group.answers.push((Answer::Append(appended, answer), Ok(())));
        }
        inserted.and(self.session.check())
    }

    /// Runs a transaction inside a savepoint.
    fn run_transaction(&mut self, run: Transaction, group: &mut Group) -> Result<(), StoreError> {
        if let Err(error) = self.session.savepoint() {
            group.refuse(Job::Transaction(run), &error);
            return Err(error);
        }
        let snapshot = Snapshot { sql: &*self.session, keys: &self.keys };
        let mut tx = Tx::new(snapshot, &self.clock_state, &self.board);
        // A transaction that panics loses its own answer and leaves nothing behind; its neighbours go on.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(Ok(&mut tx))));
        let drafts = std::mem::take(&mut tx.drafts);
        // What followed on a failed statement rests on nothing, even if the transaction thought nothing of it.
        let failed = self.session.failed();
        let keep = matches!(ran, Ok(Ran::Keep(_))) && failed.is_none();
        match ran {
            Ok(Ran::Keep(answer)) => group.answers.push((answer, failed.map_or(Ok(()), Err))),
            Ok(Ran::Undo(answer)) => group.answers.push((answer, Ok(()))),
            Err(_) => tracing::error!("a transaction panicked"),
        }
        self.session.check()?;
        if keep {
            group.drafts.extend(drafts);
            self.session.keep()
        } else {
            // It may have been the transaction that appended the clock state.
            self.clock_state.forget();
            self.session.undo()
        }
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
                self.session.rollback();
            }
        }
        for (answer, own) in group.answers {
            answer.tell(outcome.clone().and(own));
        }
        self.session.look_after();
    }
}

#[cfg(test)]
mod tests;
