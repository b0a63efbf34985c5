//! The threads that answer questions, each with a connection of its own.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::database::{Database, Session};
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::store::unusable;
use crate::{Snapshot, StoreError};

/// A question: handed a snapshot, or why there is none.
pub(crate) type Question = Box<dyn FnOnce(Result<Snapshot<'_>, StoreError>) + Send>;

/// How many questions wait before callers do.
const ROOM: usize = 1024;

pub(crate) struct Readers {
    queue: Arc<Queue<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn start(
        database: &dyn Database,
        count: usize,
        keys: &Arc<Keyring>,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new(ROOM));
        let mut readers = Self { queue: Arc::clone(&queue), threads: Vec::new() };
        for number in 0..count.max(1) {
            let (queue, keys) = (Arc::clone(&queue), Arc::clone(keys));
            let session = database.reader()?;
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || {
                    while let Some(question) = queue.pop() {
                        answer(&*session, &keys, question);
                    }
                })
                .map_err(|error| unusable(Path::new("a thread"), &error))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(crate) async fn send(&self, question: Question) -> Result<(), StoreError> {
        self.queue.push(question).await
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // The last handle of a store can be dropped inside a question.
            if thread.thread().id() != std::thread::current().id() {
                // A thread that panicked has said so already.
                let _ = thread.join();
            }
        }
    }
}

fn answer(session: &dyn Session, keys: &Keyring, question: Question) {
    if let Err(error) = session.begin() {
        return question(Err(error));
    }
    // A question that panics loses its own answer, not the thread; nothing of it outlives the transaction.
    let asked = std::panic::AssertUnwindSafe(|| question(Ok(Snapshot { sql: session, keys })));
    if std::panic::catch_unwind(asked).is_err() {
        tracing::error!("a question to the store panicked");
    }
    if let Err(error) = session.commit(None) {
        tracing::warn!(%error, "a snapshot could not be ended");
        session.rollback();
    }
}
