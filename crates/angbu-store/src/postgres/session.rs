//! One thread's connection to PostgreSQL: it waits for as few answers as it can, and finds a new connection after a loss.
//!
//! Words that only mark out transactions (`BEGIN`, `SAVEPOINT`, `RELEASE`) are not sent by themselves: they go before the
//! next statement, in the same packet, and its answer is waited for once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all, join3};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection as Wire, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Place;
use super::rows::{Found, Parameter, failed, is_lost, kind, words};
use crate::StoreError;
use crate::database;
use crate::sql::{self, Connection, Next, Row, Value};

/// How long an answer is waited for before the connection counts as lost: longer than the database works on a statement.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a session rests after it found no connection, and at most after many times.
const REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How long a closing session waits until its last words are gone.
const FAREWELL: Duration = Duration::from_secs(1);
/// How many rows a scan is handed at once.
const PAGE: &str = "FETCH FORWARD 64 FROM page";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

impl Role {
    const fn begin(self) -> &'static str {
        match self {
            // Each statement sees what others have committed, and a row that somebody else is changing is waited for.
            Self::Writer => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;",
            Self::Reader => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;",
        }
    }
}

/// A connection that is there.
pub(super) struct Live {
    pub(super) client: Client,
    statements: HashMap<(&'static str, Use), Statement>,
    heard: Arc<Heard>,
    driver: JoinHandle<()>,
}

/// What a prepared statement does with the text that it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Use {
    Run,
    Declare,
    Fetch,
}

/// What the database said without being asked.
#[derive(Default)]
struct Heard {
    warned: AtomicBool,
    end: Mutex<Option<String>>,
}

impl Live {
    /// Connects and sets the connection up, in a runtime.
    pub(super) async fn connect(place: &Place) -> Result<Self, StoreError> {
        let heard = Arc::new(Heard::default());
        let config = &place.url.config;
        let unreachable = |error: tokio_postgres::Error| StoreError::unavailable(words(&error));
        let (client, driver) = if let Some(tls) = &place.tls {
            let tls = MakeRustlsConnect::new(tls.clone());
            let (client, wire) = config.connect(tls).await.map_err(unreachable)?;
            (client, tokio::spawn(drive(wire, Arc::clone(&heard))))
        } else {
            let (client, wire) = config.connect(NoTls).await.map_err(unreachable)?;
            (client, tokio::spawn(drive(wire, Arc::clone(&heard))))
        };
        let live = Self { client, statements: HashMap::new(), heard, driver };
        // A centre that stands still inside a transaction holds what others wait for, no longer than these say.
        live.client
            .batch_execute(
                "SET lock_timeout = '2s'; SET statement_timeout = '30s';
                 SET idle_in_transaction_session_timeout = '5s'",
            )
            .await
            .map_err(unreachable)?;
        live.check_durability().await?;
        Ok(live)
    }

    /// A commit that is answered before it is on the disk would be answered for nothing.
    async fn check_durability(&self) -> Result<(), StoreError> {
        let row = self
            .client
            .query_one("SELECT current_setting('synchronous_commit'), current_setting('fsync')", &[])
            .await
            .map_err(|error| failed(&error))?;
        if row.get::<_, &str>(0) == "off" {
            return Err(StoreError::NotDurable { setting: "synchronous_commit" });
        }
        if row.get::<_, &str>(1) == "off" {
            tracing::warn!(
                "the database runs with fsync = off: what it acknowledges can be lost with the power"
            );
        }
        Ok(())
    }

    /// The statement of a text, and what is left to be said before it runs: preparing it, at its first use, takes that along.
    async fn prepared<'a>(
        &mut self,
        pending: &'a str,
        (sql, used): (&'static str, Use),
        values: &[Value<'_>],
    ) -> Result<(Statement, &'a str), tokio_postgres::Error> {
        if let Some(found) = self.statements.get(&(sql, used)) {
            return Ok((found.clone(), pending));
        }
        let (text, kinds) = match used {
            Use::Run => (translated(sql), values.iter().map(kind).collect()),
            Use::Declare => {
                let text = format!("DECLARE page NO SCROLL CURSOR FOR {}", translated(sql));
                (text, values.iter().map(kind).collect())
            }
            Use::Fetch => (PAGE.to_owned(), Vec::new()),
        };
        let (said, made) = join(say(&self.client, pending), self.client.prepare_typed(&text, &kinds)).await;
        said?;
        let made = made?;
        self.statements.insert((sql, used), made.clone());
        Ok((made, ""))
    }

    async fn rows(
        &mut self,
        pending: &str,
        key: (&'static str, Use),
        values: &[Value<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let (statement, pending) = self.prepared(pending, key, values).await?;
        let parameters = parameters(values);
        let lent = lent(&parameters);
        let (said, rows) = join(say(&self.client, pending), self.client.query(&statement, &lent)).await;
        said?;
        rows
    }

    async fn run(
        &mut self,
        pending: &str,
        key: (&'static str, Use),
        values: &[Value<'_>],
    ) -> Result<u64, tokio_postgres::Error> {
        let (statement, pending) = self.prepared(pending, key, values).await?;
        let parameters = parameters(values);
        let lent = lent(&parameters);
        let (said, changed) = join(say(&self.client, pending), self.client.execute(&statement, &lent)).await;
        said?;
        changed
    }

    async fn run_many(
        &mut self,
        pending: &str,
        sql: &'static str,
        rows: &[&[Value<'_>]],
    ) -> Result<Vec<u64>, tokio_postgres::Error> {
        let first = rows.first().copied().unwrap_or_default();
        let (statement, pending) = self.prepared(pending, (sql, Use::Run), first).await?;
        let rows: Vec<Vec<Parameter<'_>>> = rows.iter().map(|values| parameters(values)).collect();
        let lent: Vec<Vec<&(dyn ToSql + Sync)>> = rows.iter().map(|row| lent(row)).collect();
        let each = join_all(lent.iter().map(|row| self.client.execute(&statement, row)));
        let (said, changed) = join(say(&self.client, pending), each).await;
        said?;
        changed.into_iter().collect()
    }

    /// Says what is pending, runs one last statement and commits, all of it at once.
    async fn commit(
        &mut self,
        pending: &str,
        last: Option<(&'static str, &[Value<'_>])>,
    ) -> Result<(), tokio_postgres::Error> {
        self.heard.warned.store(false, Ordering::SeqCst);
        let Some((sql, values)) = last else {
            let (said, committed) = join(say(&self.client, pending), say(&self.client, "COMMIT")).await;
            return said.and(committed);
        };
        let (statement, pending) = self.prepared(pending, (sql, Use::Run), values).await?;
        let parameters = parameters(values);
        let lent = lent(&parameters);
        // A transaction in which a statement failed answers COMMIT like any other, and is undone: so all answers count.
        let (said, run, committed) = join3(
            say(&self.client, pending),
            self.client.execute(&statement, &lent),
            say(&self.client, "COMMIT"),
        )
        .await;
        said.and(run.map(drop)).and(committed)
    }
}

/// `?1` is how the noun modules write a parameter, `$1` how PostgreSQL does. No text of ours has a question mark otherwise.
fn translated(sql: &str) -> String {
    sql.replace('?', "$")
}

/// Sends what answers with nothing but success.
async fn say(client: &Client, words: &str) -> Result<(), tokio_postgres::Error> {
    if words.is_empty() { Ok(()) } else { client.batch_execute(words).await }
}

fn parameters<'a>(values: &[Value<'a>]) -> Vec<Parameter<'a>> {
    values.iter().copied().map(Parameter).collect()
}

fn lent<'a>(parameters: &'a [Parameter<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect()
}

/// Moves a connection's bytes until it ends, and notes what was said besides.
async fn drive<S, T>(mut wire: Wire<S, T>, heard: Arc<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let end = |why| *heard.end.lock().unwrap_or_else(PoisonError::into_inner) = why;
    loop {
        match poll_fn(|context| wire.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                if notice.parsed_severity() == Some(Severity::Warning) {
                    tracing::warn!(code = notice.code().code(), "the database warns: {}", notice.message());
                    heard.warned.store(true, Ordering::SeqCst);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return end(Some(words(&error))),
            None => return end(None),
        }
    }
}

/// A thread's session.
pub(super) struct Session {
    // Before the runtime, so that the connection is dropped inside of it.
    state: RefCell<State>,
    scanning: Cell<bool>,
    place: Arc<Place>,
    role: Role,
    runtime: Runtime,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// What is to be said before the next statement.
    pending: String,
    /// Where in that a savepoint begins which nothing has followed yet.
    unsent_savepoint: Option<usize>,
    /// A transaction was begun and is not over.
    is_open: bool,
    /// Nothing of the transaction was answered yet, so that it can begin again on another connection.
    is_fresh: bool,
    in_savepoint: bool,
    failed: Option<StoreError>,
    rest: Rest,
}

/// When a session looks for a connection again.
#[derive(Default)]
struct Rest {
    length: Duration,
    until: Option<(Instant, String)>,
}

impl Session {
    pub(super) fn new(place: Arc<Place>, role: Role) -> Result<Self, StoreError> {
        let runtime = super::runtime()?;
        Ok(Self { state: RefCell::default(), scanning: Cell::new(false), place, role, runtime })
    }

    /// Finds a connection, unless there is one.
    pub(super) fn connect(&self) -> Result<(), StoreError> {
        self.find(&mut self.state.borrow_mut())
    }

    fn find(&self, state: &mut State) -> Result<(), StoreError> {
        if state.live.as_ref().is_some_and(|live| !live.client.is_closed()) {
            return Ok(());
        }
        self.lose(state);
        if let Some((until, why)) = &state.rest.until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(StoreError::Unavailable { why: why.clone(), retry: left });
            }
        }
        let found = self.runtime.block_on(async {
            let connected = tokio::time::timeout(PATIENCE, Live::connect(&self.place)).await;
            connected.unwrap_or_else(|_| Err(StoreError::unavailable("the database does not answer")))
        });
        match found {
            Ok(live) => {
                state.live = Some(live);
                state.rest = Rest::default();
                Ok(())
            }
            Err(error) => {
                let length = (state.rest.length * 2).clamp(REST, LONGEST_REST);
                state.rest = Rest { length, until: Some((Instant::now() + length, error.to_string())) };
                Err(match error {
                    StoreError::Unavailable { why, .. } => StoreError::Unavailable { why, retry: length },
                    error => error,
                })
            }
        }
    }

    /// Lets a connection go, and says why it ended if that is known.
    fn lose(&self, state: &mut State) -> Option<String> {
        let live = state.live.take()?;
        // What was prepared there ends with it; within the runtime, because the client's parts belong to it.
        let _inside = self.runtime.enter();
        live.driver.abort();
        live.heard.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Does something with the connection, after what is still to be said; once more on a new connection where the old one
    /// turns out to be lost before it answered anything of this transaction.
    fn with<T>(
        &self,
        state: &mut State,
        work: impl AsyncFn(&mut Live, &str) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        loop {
            let Some(live) = state.live.as_mut() else {
                return Err(StoreError::unavailable("the connection to the database was lost"));
            };
            let done = self
                .runtime
                .block_on(async { tokio::time::timeout(PATIENCE, work(live, &state.pending)).await });
            let error = match done {
                Ok(Ok(value)) => {
                    state.answered();
                    return Ok(value);
                }
                Ok(Err(error)) if !is_lost(&error) => {
                    state.answered();
                    state.failed = Some(failed(&error));
                    return Err(failed(&error));
                }
                Ok(Err(error)) => failed(&error),
                Err(_) => StoreError::unavailable("the database did not answer in time"),
            };
            let end = self.lose(state);
            if state.is_fresh {
                // At most once: a second loss in a row is told.
                state.is_fresh = false;
                if self.find(state).is_ok() {
                    continue;
                }
            }
            let error = end.map_or(error, StoreError::unavailable);
            state.failed = Some(error.clone());
            return Err(error);
        }
    }

    fn rows(
        &self,
        key: (&'static str, Use),
        values: &[Value<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        sql::fit(values)?;
        self.with(&mut self.state.borrow_mut(), async |live, pending| live.rows(pending, key, values).await)
    }
}

impl Connection for Session {
    fn exclude_others(&self, lock: &'static str) -> Result<(), StoreError> {
        self.execute(lock, &[]).map(drop)
    }

    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        sql::fit(values)?;
        let key = (sql, Use::Run);
        self.with(&mut self.state.borrow_mut(), async |live, pending| live.run(pending, key, values).await)
    }

    fn execute_many(&self, sql: &'static str, rows: &[&[Value<'_>]]) -> Result<Vec<u64>, StoreError> {
        rows.iter().try_for_each(|values| sql::fit(values))?;
        self.with(&mut self.state.borrow_mut(), async |live, pending| live.run_many(pending, sql, rows).await)
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        // All rows are here before the first is handed over, so that whoever gets them can ask for something else.
        hand(&self.rows((sql, Use::Run), values)?, each).map(drop)
    }

    fn scan(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        if self.scanning.replace(true) {
            return Err(StoreError::Unfit { what: "a scan inside of a scan".to_owned() });
        }
        let scanned = self.rows((sql, Use::Declare), values).and_then(|_| {
            loop {
                let page = self.rows((sql, Use::Fetch), &[])?;
                if page.is_empty() || matches!(hand(&page, each)?, Next::Enough) {
                    return Ok(());
                }
            }
        });
        self.scanning.set(false);
        let mut state = self.state.borrow_mut();
        if state.failed.is_none() {
            state.pending.push_str("CLOSE page;");
        }
        scanned
    }
}

fn hand(
    rows: &[tokio_postgres::Row],
    each: &mut dyn FnMut(&dyn Row) -> Result<Next, StoreError>,
) -> Result<Next, StoreError> {
    for row in rows {
        if matches!(each(&Found(row))?, Next::Enough) {
            return Ok(Next::Enough);
        }
    }
    Ok(Next::More)
}

impl database::Session for Session {
    fn begin(&self) -> Result<(), StoreError> {
        // Whoever panicked inside a scan left it open; it ended with its transaction.
        self.scanning.set(false);
        let state = &mut *self.state.borrow_mut();
        let (live, rest) = (state.live.take(), std::mem::take(&mut state.rest));
        *state = State { live, rest, ..State::default() };
        self.find(state)?;
        state.pending.push_str(self.role.begin());
        (state.is_open, state.is_fresh) = (true, true);
        Ok(())
    }

    fn begin_alone(&self) -> Result<(), StoreError> {
        self.begin()?;
        self.execute(super::migrations::ALONE, &[]).map(drop)
    }

    fn commit(&self, last: Option<(&'static str, &[Value<'_>])>) -> Result<(), StoreError> {
        let state = &mut *self.state.borrow_mut();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if state.is_fresh && last.is_none() {
            // Nothing of it was ever sent.
            state.pending.clear();
            state.is_open = false;
            return Ok(());
        }
        // Whatever becomes of a commit, it is not begun again.
        state.is_fresh = false;
        let committed = self.with(state, async |live, pending| live.commit(pending, last).await);
        let warned = state.live.as_ref().is_some_and(|live| live.heard.warned.load(Ordering::SeqCst));
        match committed {
            Ok(()) => state.is_open = false,
            Err(StoreError::Unavailable { why, retry })
                if self.role == Role::Writer && state.live.is_none() =>
            {
                let why = format!("a commit was sent and its answer never came, so it is in doubt: {why}");
                return Err(StoreError::Unavailable { why, retry });
            }
            Err(error) => return Err(error),
        }
        if warned && self.role == Role::Writer {
            // As when somebody cancels the wait for a synchronous standby: committed here, and perhaps nowhere else.
            return Err(StoreError::unavailable(
                "the database warned while it committed, so that is in doubt",
            ));
        }
        Ok(())
    }

    fn rollback(&self) {
        let state = &mut *self.state.borrow_mut();
        let (is_open, is_fresh) = (std::mem::take(&mut state.is_open), state.is_fresh);
        state.pending.clear();
        state.failed = None;
        if !is_open || is_fresh || state.live.is_none() {
            return;
        }
        if let Err(error) = self.with(state, async |live, _| say(&live.client, "ROLLBACK").await) {
            tracing::warn!(%error, "a transaction could not be undone in order; its connection is given up");
            self.lose(state);
        }
    }

    fn savepoint(&self) -> Result<(), StoreError> {
        let state = &mut *self.state.borrow_mut();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        state.unsent_savepoint = Some(state.pending.len());
        state.in_savepoint = true;
        state.pending.push_str("SAVEPOINT job;");
        Ok(())
    }

    fn keep(&self) -> Result<(), StoreError> {
        self.end_savepoint("RELEASE SAVEPOINT job;")
    }

    fn undo(&self) -> Result<(), StoreError> {
        self.scanning.set(false);
        self.state.borrow_mut().failed = None;
        self.end_savepoint("ROLLBACK TO SAVEPOINT job;RELEASE SAVEPOINT job;")
    }

    fn failed(&self) -> Option<StoreError> {
        self.state.borrow().failed.clone()
    }

    /// A lost connection has undone all of it; a failed statement all of it but where a savepoint stands before it.
    fn check(&self) -> Result<(), StoreError> {
        let state = self.state.borrow();
        match &state.failed {
            Some(error) if state.live.is_none() || !state.in_savepoint => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn look_after(&self) {}
}

impl Session {
    fn end_savepoint(&self, words: &str) -> Result<(), StoreError> {
        let state = &mut *self.state.borrow_mut();
        state.in_savepoint = false;
        match state.unsent_savepoint.take() {
            Some(place) => state.pending.truncate(place),
            None => state.pending.push_str(words),
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(live) = self.state.get_mut().live.take() else { return };
        let Live { client, statements, driver, .. } = live;
        self.runtime.block_on(async move {
            drop((statements, client));
            // The other side learns that this is the end, unless it takes too long.
            let _ = tokio::time::timeout(FAREWELL, driver).await;
        });
    }
}

impl State {
    fn answered(&mut self) {
        self.pending.clear();
        self.unsent_savepoint = None;
        self.is_fresh = false;
    }
}
