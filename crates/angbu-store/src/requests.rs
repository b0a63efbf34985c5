//! What relying parties ask of people, and failures that make whoever tries wait.

use angbu_units::{
    ClockVerdict, CustomerId, EntryId, MachineId, Nanos, ProvenInstant, RequestId, SubjectId, UnixTime,
};

use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx, texts};

const TABLE: &str = "requests_asked";
const TRIES: &str = "requests_tries.bucket";

/// How many bits of a keyed hash are a bucket of failures: about a million of them.
const BUCKET_BITS: u32 = 20;

/// What a relying party asks of a person. Words are kept as their makers wrote them.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its id, which may be shown.
    pub id: RequestId,
    /// Whose person is asked; [`CustomerId::SITE`] for the site's staff.
    pub customer: CustomerId,
    /// The id of whoever asks, or `console`.
    pub asker: String,
    /// The relying party, where its token asks.
    pub machine: Option<MachineId>,
    /// What it is for.
    pub purpose: String,
    /// The combinations of methods that answer it.
    pub accepted: String,
    /// SHA-256 of the secret that opens it.
    pub secret_hash: [u8; 32],
    /// What is personal of it; kept sealed.
    pub said: Said,
    /// Whom it asks, once that is known.
    pub subject: Option<SubjectId>,
    /// SHA-256 of the secret of the browser that opened it.
    pub browser_hash: Option<[u8; 32]>,
    /// The methods that were answered.
    pub done: String,
    /// How many answers were wrong.
    pub wrong: u32,
    /// When it was started.
    pub started: UnixTime,
    /// When it ends by itself.
    pub expires: UnixTime,
    /// How it ended.
    pub end: Option<RequestEnd>,
    /// Whether a session was begun with it.
    pub taken: bool,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

/// What is personal of a request. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// The title that is shown.
    pub title: String,
    /// The text that is shown.
    pub text: String,
    /// The login id of whom it asks; empty where anybody of the customer may answer.
    pub login_id: String,
    /// Where the browser returns to; empty where it does not.
    pub return_to: String,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEnd {
    /// The verdict.
    pub verdict: String,
    /// When, with what is known about that instant.
    pub at: ProvenInstant,
    /// The entry that says so.
    pub entry: EntryId,
}

macro_rules! request_sql {
    ($rest:literal) => {
        concat!(
            "SELECT request_id, customer_id, asker, machine_id, purpose, accepted, secret_hash, sealed, subject_kind, \
             subject_id, browser_hash, done, wrong, started, expires, verdict, ended, ended_bound, ended_clock, ended_state, \
             entry_id, taken, version FROM requests_asked ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The request with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn request(&self, id: RequestId) -> Result<Option<RequestRow>, StoreError> {
        self.sql.first(request_sql!("WHERE request_id = ?1"), values![id], |row| self.request_row(row))
    }

    /// Up to `limit` requests, of one customer or of all, the newest first, behind the request `before` where one is given.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn requests(
        &self,
        customer: Option<CustomerId>,
        before: Option<RequestId>,
        limit: u64,
    ) -> Result<Vec<RequestRow>, StoreError> {
        let Some(behind) = before.map_or(Ok(Some((UnixTime::MAX, [0xff; 16]))), |id| self.place(id))? else {
            return Ok(Vec::new());
        };
        let (at, id) = behind;
        let decode = |row: &dyn Row| self.request_row(row);
        match customer {
            Some(customer) => self.sql.all(
                request_sql!(
                    "WHERE customer_id = ?1 AND (started, request_id) < (?2, ?3)
                     ORDER BY started DESC, request_id DESC LIMIT ?4"
                ),
                values![customer, at, id, limit],
                decode,
            ),
            None => self.sql.all(
                request_sql!(
                    "WHERE (started, request_id) < (?1, ?2) ORDER BY started DESC, request_id DESC LIMIT ?3"
                ),
                values![at, id, limit],
                decode,
            ),
        }
    }

    fn place(&self, id: RequestId) -> Result<Option<(UnixTime, [u8; 16])>, StoreError> {
        self.sql.first("SELECT started FROM requests_asked WHERE request_id = ?1", values![id], |row| {
            Ok((column(row, 0)?, *id.as_bytes()))
        })
    }

    /// Up to `limit` requests whose time is over and whose end is not written down.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn overdue_requests(&self, now: UnixTime, limit: u64) -> Result<Vec<RequestId>, StoreError> {
        self.sql.all(
            "SELECT request_id FROM requests_asked WHERE verdict IS NULL AND expires <= ?1 ORDER BY expires LIMIT ?2",
            values![now, limit],
            |row| column(row, 0),
        )
    }

    /// Failures under what was tried, as a name or an address, and when the last was. What falls into the same one of
    /// a million buckets counts as the same.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn failures(&self, tried: &str) -> Result<Option<(u32, UnixTime)>, StoreError> {
        let bucket = self.tries_bucket(tried)?;
        self.sql.first(
            "SELECT failures, last FROM requests_tries WHERE bucket = ?1",
            values![bucket],
            |row| Ok((u32::try_from(column::<u64>(row, 0)?).unwrap_or(u32::MAX), column(row, 1)?)),
        )
    }

    fn tries_bucket(&self, tried: &str) -> Result<i64, StoreError> {
        self.bucket(TRIES, tried.as_bytes(), BUCKET_BITS)
    }

    fn request_row(&self, row: &dyn Row) -> Result<RequestRow, StoreError> {
        let id: RequestId = column(row, 0)?;
        let said = self.open_sealed(TABLE, id.as_bytes(), &column::<Vec<u8>>(row, 7)?)?;
        Ok(RequestRow {
            id,
            customer: column(row, 1)?,
            asker: column(row, 2)?,
            machine: optional(row, 3)?,
            purpose: column(row, 4)?,
            accepted: column(row, 5)?,
            secret_hash: column(row, 6)?,
            said: Said::decode(&said)?,
            subject: subject(row)?,
            browser_hash: optional(row, 10)?,
            done: column(row, 11)?,
            wrong: u32::try_from(column::<u64>(row, 12)?).unwrap_or(u32::MAX),
            started: column(row, 13)?,
            expires: column(row, 14)?,
            end: end(row)?,
            taken: column(row, 21)?,
            version: column(row, 22)?,
        })
    }
}

impl Tx<'_> {
    /// Inserts a request, which has not ended.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id is there already.
    pub fn insert_request(&mut self, request: &RequestRow) -> Result<(), StoreError> {
        let sealed = self.seal(Purpose::Personal, TABLE, request.id.as_bytes(), &request.said.encode()?)?;
        self.sql.execute(
            "INSERT INTO requests_asked (request_id, customer_id, asker, machine_id, purpose, accepted, secret_hash, sealed,
                 subject_kind, subject_id, browser_hash, done, wrong, started, expires, taken, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, ?16)",
            values![
                request.id,
                request.customer,
                request.asker,
                request.machine,
                request.purpose,
                request.accepted,
                request.secret_hash,
                sealed,
                request.subject.map(SubjectId::kind),
                request.subject.map(|subject| *subject.as_bytes()),
                request.browser_hash,
                request.done,
                u64::from(request.wrong),
                request.started,
                request.expires,
                request.version
            ],
        )?;
        Ok(())
    }

    /// Replaces what answers change of a request if the row still has `request.version`, which then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn update_request(&mut self, request: &RequestRow) -> Result<(), StoreError> {
        let end = request.end.as_ref();
        self.sql.execute_one(
            "UPDATE requests_asked
             SET accepted = ?3, subject_kind = ?4, subject_id = ?5, browser_hash = ?6, done = ?7, wrong = ?8, verdict = ?9,
                 ended = ?10, ended_bound = ?11, ended_clock = ?12, ended_state = ?13, entry_id = ?14, version = version + 1
             WHERE request_id = ?1 AND version = ?2",
            values![
                request.id,
                request.version,
                request.accepted,
                request.subject.map(SubjectId::kind),
                request.subject.map(|subject| *subject.as_bytes()),
                request.browser_hash,
                request.done,
                u64::from(request.wrong),
                end.map(|end| end.verdict.as_str()),
                end.map(|end| end.at.time),
                end.map(|end| end.at.error_bound),
                end.map(|end| end.at.verdict.word()),
                end.map(|end| end.at.clock_state),
                end.map(|end| end.entry)
            ],
            StoreError::Conflict { what: "the request" },
        )
    }

    /// Notes that a session was begun with a request.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where one was begun with it before.
    pub fn take_request(&mut self, id: RequestId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE requests_asked SET taken = 1, version = version + 1 WHERE request_id = ?1 AND taken = 0",
            values![id],
            StoreError::NotFound { what: "request that no session was begun with" },
        )
    }

    /// Deletes a request if the row still has `version`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the row was changed meanwhile.
    pub fn delete_request(&mut self, id: RequestId, version: u64) -> Result<(), StoreError> {
        self.sql.execute_one(
            "DELETE FROM requests_asked WHERE request_id = ?1 AND version = ?2",
            values![id, version],
            StoreError::Conflict { what: "the request" },
        )
    }

    /// Deletes requests that ended before an instant, and says how many there were.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn purge_requests(&mut self, before: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute(
            "DELETE FROM requests_asked WHERE ended IS NOT NULL AND started < ?1 AND ended < ?1",
            values![before],
        )
    }

    /// Notes one more failure under what was tried. They are counted anew once the first of them is `within` ago.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn note_failure(&mut self, tried: &str, within: Nanos, now: UnixTime) -> Result<(), StoreError> {
        let bucket = self.tries_bucket(tried)?;
        self.sql.execute(
            "INSERT INTO requests_tries AS tries (bucket, failures, since, last) VALUES (?1, 1, ?2, ?2)
             ON CONFLICT (bucket) DO UPDATE SET last = excluded.last,
                 failures = CASE WHEN tries.since <= ?3 THEN 1 ELSE tries.failures + 1 END,
                 since = CASE WHEN tries.since <= ?3 THEN excluded.since ELSE tries.since END",
            values![bucket, now, now - within],
        )?;
        Ok(())
    }

    /// Forgets the failures under what was tried.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_failures(&mut self, tried: &str) -> Result<(), StoreError> {
        let bucket = self.tries_bucket(tried)?;
        self.sql.execute("DELETE FROM requests_tries WHERE bucket = ?1", values![bucket])?;
        Ok(())
    }

    /// Forgets all failures whose last was before an instant.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn purge_failures(&mut self, before: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute("DELETE FROM requests_tries WHERE last < ?1", values![before])
    }
}

impl Said {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        texts::encode([&*self.title, &self.text, &self.login_id, &self.return_to])
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let wrong = || StoreError::corrupt("what a request says is not four texts");
        let [title, text, login_id, return_to]: [String; 4] =
            texts::decode(bytes)?.try_into().map_err(|_| wrong())?;
        Ok(Self { title, text, login_id, return_to })
    }
}

fn subject(row: &dyn Row) -> Result<Option<SubjectId>, StoreError> {
    let (Some(kind), Some(id)) = (optional::<String>(row, 8)?, optional(row, 9)?) else { return Ok(None) };
    let subject = SubjectId::of_kind(&kind, id);
    subject.map(Some).ok_or_else(|| StoreError::corrupt(format!("'{kind}' is no kind of a subject")))
}

fn end(row: &dyn Row) -> Result<Option<RequestEnd>, StoreError> {
    let Some(verdict) = optional::<String>(row, 15)? else { return Ok(None) };
    let clock: ClockVerdict = column::<String>(row, 18)?
        .parse()
        .map_err(|_| StoreError::corrupt("the clock's verdict of a request"))?;
    Ok(Some(RequestEnd {
        verdict,
        at: ProvenInstant {
            time: column(row, 16)?,
            error_bound: column(row, 17)?,
            verdict: clock,
            clock_state: column(row, 19)?,
        },
        entry: column(row, 20)?,
    }))
}
