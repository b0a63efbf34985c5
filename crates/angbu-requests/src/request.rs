//! The machine: from its start to its one end.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use angbu_units::{Nanos, ProvenInstant, SubjectId, UnixTime};
use subtle::ConstantTimeEq;

use crate::{Accepted, Method, Methods};

/// How many answers may be wrong; one more, and the request is refused.
pub const MOST_WRONG: u32 = 10;
/// How long a request lives, in seconds.
pub const LIFETIMES: RangeInclusive<i64> = 30..=3_600;
/// How far the clocks of two centres of one site may lie apart before a request that is not begun yet counts as expired.
const APART: Nanos = Nanos::from_secs(60);

/// A word that says nothing of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the word is none of: {0}")]
pub struct UnknownWord(&'static str);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord(concat!($($word, " "),*))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words!(
    /// What a request is for.
    Purpose {
        /// To know who it is.
        Login = "login",
        /// To have what is shown agreed to.
        Signature = "signature",
    }
);

words!(
    /// How a request ended.
    Verdict {
        /// Somebody answered with all methods of one combination.
        Accepted = "accepted",
        /// Too many answers were wrong.
        Refused = "refused",
        /// Its time was over first.
        Expired = "expired",
        /// Whoever was asked, or whoever asked, wants no answer any more.
        Cancelled = "cancelled",
    }
);

/// What a request is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// What it is for.
    pub purpose: Purpose,
    /// What answers it.
    pub accepted: Accepted,
    /// Whom it asks, where only one may answer.
    pub subject: Option<SubjectId>,
    /// SHA-256 of the secret by which a browser opens it.
    pub secret: [u8; 32],
    /// For how long it lives; whole seconds out of [`LIFETIMES`].
    pub lifetime: Nanos,
}

/// Why a request cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A lifetime out of bounds.
    #[error("a request lives between 30 and 3600 seconds")]
    Lifetime,
}

/// Why something is not done. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("the request has ended: {0}")]
    Ended(Verdict),
    /// Its time is over, and its end is still to be written down ([`Request::expire`]).
    #[error("the request has expired")]
    Overdue,
    /// The secret is another's.
    #[error("the request does not open with this secret")]
    WrongSecret,
    /// No browser has opened it.
    #[error("no browser has opened the request yet")]
    NotOpened,
    /// It is bound to another browser.
    #[error("the request was opened in another browser")]
    OtherBrowser,
    /// A method that is in none of its combinations.
    #[error("the request does not ask for this method")]
    NotAsked(Method),
    /// A method that was answered rightly before.
    #[error("this method was answered already")]
    Done(Method),
    /// No combination would be left.
    #[error("no combination of methods would be left")]
    NothingLeft,
}

/// What came of opening a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// The browser is bound to it from now on.
    Bound,
    /// The same browser again, as after a lost connection.
    Again,
}

/// What a method's own judge says of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It is right, and whose it is.
    Right(SubjectId),
    /// It is not.
    Wrong,
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It was wrong, or somebody else's; another may follow.
    Wrong,
    /// It was right, and more is needed.
    More,
    /// That was the end.
    Ended(Verdict),
}

/// How a request ended, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// How.
    pub verdict: Verdict,
    /// When, with what is known about that instant.
    pub at: ProvenInstant,
}

/// A request, as it stands. Whoever keeps it keeps these fields; only the methods change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// What answers it.
    pub accepted: Accepted,
    /// When it was started.
    pub started: UnixTime,
    /// When it ends by itself.
    pub expires: UnixTime,
    /// SHA-256 of the secret by which a browser opens it.
    pub secret: [u8; 32],
    /// SHA-256 of the secret that the browser keeps which opened it.
    pub browser: Option<[u8; 32]>,
    /// Whom it asks: from the start on, or from the first right answer on.
    pub subject: Option<SubjectId>,
    /// The methods that were answered rightly.
    pub done: Methods,
    /// How many answers were wrong.
    pub wrong: u32,
    /// How it ended.
    pub end: Option<End>,
}

impl Request {
    /// Starts a request.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(start: Start, now: UnixTime) -> Result<Self, StartError> {
        let seconds = start.lifetime.count() / 1_000_000_000;
        if !LIFETIMES.contains(&seconds) {
            return Err(StartError::Lifetime);
        }
        Ok(Self {
            purpose: start.purpose,
            accepted: start.accepted,
            started: now,
            expires: now + start.lifetime,
            secret: start.secret,
            browser: None,
            subject: start.subject,
            done: Methods::NONE,
            wrong: 0,
            end: None,
        })
    }

    /// Opens it in a browser that shows the secret's hash, and the hash of what it keeps if it opened the request before;
    /// a new one is bound by `fresh`.
    ///
    /// # Errors
    /// [`Refused`]: of a second browser too, whatever it knows.
    pub fn open(
        &mut self,
        secret: &[u8; 32],
        kept: Option<&[u8; 32]>,
        fresh: [u8; 32],
        now: UnixTime,
    ) -> Result<Opened, Refused> {
        if !bool::from(self.secret.ct_eq(secret)) {
            return Err(Refused::WrongSecret);
        }
        match (self.browser, kept) {
            // Whoever opened it may come back and see how it ended.
            (Some(browser), Some(kept)) if bool::from(browser.ct_eq(kept)) => Ok(Opened::Again),
            (Some(_), _) => Err(Refused::OtherBrowser),
            (None, _) => {
                self.live(now)?;
                self.browser = Some(fresh);
                Ok(Opened::Bound)
            }
        }
    }

    /// Whether this browser has opened it.
    ///
    /// # Errors
    /// [`Refused::NotOpened`] and [`Refused::OtherBrowser`].
    pub fn is_opened_by(&self, browser: &[u8; 32]) -> Result<(), Refused> {
        let bound = self.browser.ok_or(Refused::NotOpened)?;
        if bool::from(bound.ct_eq(browser)) { Ok(()) } else { Err(Refused::OtherBrowser) }
    }

    /// Whether this browser may answer by this method now.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn may_answer(&self, browser: &[u8; 32], method: Method, now: UnixTime) -> Result<(), Refused> {
        self.is_opened_by(browser)?;
        self.live(now)?;
        if self.done.contains(method) {
            return Err(Refused::Done(method));
        }
        if self.accepted.methods().contains(method) { Ok(()) } else { Err(Refused::NotAsked(method)) }
    }

    /// Takes what a method's judge says of this browser's answer. A right answer of somebody else than before is a wrong
    /// one: all methods of a combination are one person's.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn answer(
        &mut self,
        browser: &[u8; 32],
        method: Method,
        judged: Judged,
        now: &ProvenInstant,
    ) -> Result<Progress, Refused> {
        self.may_answer(browser, method, now.time)?;
        match judged {
            Judged::Right(subject) if self.subject.is_none_or(|asked| asked == subject) => {
                self.subject = Some(subject);
                self.done = self.done.with(method);
                if self.accepted.is_met_by(self.done) {
                    return Ok(self.finish(Verdict::Accepted, now));
                }
                Ok(Progress::More)
            }
            Judged::Right(_) | Judged::Wrong => {
                self.wrong += 1;
                if self.wrong >= MOST_WRONG {
                    return Ok(self.finish(Verdict::Refused, now));
                }
                Ok(Progress::Wrong)
            }
        }
    }

    /// Leaves only those combinations that `keep` keeps, because whoever is asked must use one of them. It never makes
    /// a request easier.
    ///
    /// # Errors
    /// [`Refused::NothingLeft`] where none is kept, and [`Refused::Ended`].
    pub fn narrow(&mut self, keep: impl Fn(Methods) -> bool) -> Result<(), Refused> {
        if let Some(end) = self.end {
            return Err(Refused::Ended(end.verdict));
        }
        let kept = self.accepted.iter().filter(|combination| keep(*combination));
        self.accepted = Accepted::of(kept).map_err(|_| Refused::NothingLeft)?;
        Ok(())
    }

    /// Ends it, because nobody wants an answer any more.
    ///
    /// # Errors
    /// [`Refused::Ended`] and [`Refused::Overdue`].
    pub fn cancel(&mut self, now: &ProvenInstant) -> Result<(), Refused> {
        self.live(now.time)?;
        self.finish(Verdict::Cancelled, now);
        Ok(())
    }

    /// Ends it if its time is over, and says whether it did.
    pub fn expire(&mut self, now: &ProvenInstant) -> bool {
        let overdue = self.live(now.time) == Err(Refused::Overdue);
        if overdue {
            self.finish(Verdict::Expired, now);
        }
        overdue
    }

    /// The methods that bring it further.
    pub fn next(&self) -> Methods {
        if self.end.is_some() {
            return Methods::NONE;
        }
        Methods::of(self.accepted.methods().iter().filter(|method| !self.done.contains(*method)))
    }

    /// How many answers may still be wrong before it is refused.
    pub fn tries_left(&self) -> u32 {
        MOST_WRONG.saturating_sub(self.wrong)
    }

    /// Whether it goes on. A clock that was set back to before it began ends it too: how old it is is not known then.
    fn live(&self, now: UnixTime) -> Result<(), Refused> {
        match self.end {
            Some(end) => Err(Refused::Ended(end.verdict)),
            None if now >= self.expires || now < self.started - APART => Err(Refused::Overdue),
            None => Ok(()),
        }
    }

    fn finish(&mut self, verdict: Verdict, now: &ProvenInstant) -> Progress {
        self.end = Some(End { verdict, at: *now });
        Progress::Ended(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_units::{ClockVerdict, EntryId, PersonId, StaffId};
    use proptest::prelude::*;

    const START: i64 = 1_763_762_700;
    const SECRET: [u8; 32] = [1; 32];
    const BROWSER: [u8; 32] = [2; 32];

    fn at(seconds: i64) -> ProvenInstant {
        ProvenInstant {
            time: UnixTime::from_nanos((START + seconds) * 1_000_000_000),
            error_bound: Nanos::new(1_000_000),
            verdict: ClockVerdict::Proven,
            clock_state: EntryId::from_bytes([0; 16]),
        }
    }

    fn person(n: u8) -> SubjectId {
        SubjectId::Person(PersonId::from_bytes([n; 16]))
    }

    fn started(accepted: &str) -> Request {
        let start = Start {
            purpose: Purpose::Login,
            accepted: accepted.parse().unwrap(),
            subject: None,
            secret: SECRET,
            lifetime: Nanos::from_secs(300),
        };
        Request::start(start, at(0).time).unwrap()
    }

    fn opened(accepted: &str) -> Request {
        let mut request = started(accepted);
        assert_eq!(request.open(&SECRET, None, BROWSER, at(0).time), Ok(Opened::Bound));
        request
    }

    #[test]
    fn a_combination_needs_all_of_its_methods() {
        let mut request = opened("passkey password+keys");
        let right = Judged::Right(person(1));
        assert_eq!(request.next().to_string(), "password+keys+passkey");
        assert_eq!(request.answer(&BROWSER, Method::Password, right, &at(1)), Ok(Progress::More));
        assert_eq!(
            request.answer(&BROWSER, Method::Password, right, &at(1)),
            Err(Refused::Done(Method::Password))
        );
        assert_eq!(request.answer(&BROWSER, Method::Keys, Judged::Wrong, &at(2)), Ok(Progress::Wrong));
        let other = Judged::Right(person(2));
        assert_eq!(request.answer(&BROWSER, Method::Keys, other, &at(2)), Ok(Progress::Wrong));
        let ended = Ok(Progress::Ended(Verdict::Accepted));
        assert_eq!(request.answer(&BROWSER, Method::Keys, right, &at(3)), ended);
        assert_eq!(request.end, Some(End { verdict: Verdict::Accepted, at: at(3) }));
        assert_eq!((request.wrong, request.next()), (2, Methods::NONE));
        let again = request.answer(&BROWSER, Method::Passkey, right, &at(4));
        assert_eq!(again, Err(Refused::Ended(Verdict::Accepted)));
    }

    #[test]
    fn one_browser_opens_it() {
        let mut request = started("keys");
        let now = at(1).time;
        assert_eq!(request.open(&[9; 32], None, BROWSER, now), Err(Refused::WrongSecret));
        assert_eq!(request.may_answer(&BROWSER, Method::Keys, now), Err(Refused::NotOpened));
        assert_eq!(request.open(&SECRET, Some(&[9; 32]), BROWSER, now), Ok(Opened::Bound));
        assert_eq!(request.open(&SECRET, None, [3; 32], now), Err(Refused::OtherBrowser));
        assert_eq!(request.open(&SECRET, Some(&[3; 32]), [3; 32], now), Err(Refused::OtherBrowser));
        assert_eq!(request.open(&SECRET, Some(&BROWSER), [3; 32], now), Ok(Opened::Again));
        assert_eq!(request.browser, Some(BROWSER));
        assert_eq!(request.may_answer(&[3; 32], Method::Keys, now), Err(Refused::OtherBrowser));
        assert_eq!(
            request.may_answer(&BROWSER, Method::Password, now),
            Err(Refused::NotAsked(Method::Password))
        );
        assert_eq!(request.may_answer(&BROWSER, Method::Keys, now), Ok(()));
    }

    #[test]
    fn it_expires_to_the_nanosecond_and_under_a_clock_set_back() {
        for (now, live) in [(299, true), (300, false), (-60, true), (-61, false)] {
            let mut request = opened("keys");
            let right = Judged::Right(person(1));
            let answered = request.clone().answer(&BROWSER, Method::Keys, right, &at(now));
            assert_eq!(answered.is_ok(), live, "{now}");
            assert_eq!(request.expire(&at(now)), !live, "{now}");
            assert!(!request.expire(&at(now)), "once");
        }
        let start = |seconds| Start {
            purpose: Purpose::Signature,
            accepted: "keys".parse().unwrap(),
            subject: None,
            secret: SECRET,
            lifetime: Nanos::from_secs(seconds),
        };
        for (seconds, fits) in [(29, false), (30, true), (3_600, true), (3_601, false)] {
            assert_eq!(Request::start(start(seconds), at(0).time).is_ok(), fits, "{seconds}");
        }
    }

    #[test]
    fn ten_wrong_answers_end_it() {
        let mut request = opened("keys");
        for left in (1..10).rev() {
            assert_eq!(request.answer(&BROWSER, Method::Keys, Judged::Wrong, &at(1)), Ok(Progress::Wrong));
            assert_eq!(request.tries_left(), left);
        }
        let last = request.answer(&BROWSER, Method::Keys, Judged::Wrong, &at(1));
        assert_eq!(last, Ok(Progress::Ended(Verdict::Refused)));
    }

    #[test]
    fn whom_it_asks_can_need_more() {
        let mut request = opened("password password+keys passkey");
        request.narrow(|combination| combination != Methods::of([Method::Password])).unwrap();
        let staff = Judged::Right(SubjectId::Staff(StaffId::from_bytes([1; 16])));
        assert_eq!(request.answer(&BROWSER, Method::Password, staff, &at(1)), Ok(Progress::More));
        assert_eq!(request.narrow(|_| false), Err(Refused::NothingLeft));
        assert_eq!(request.next().to_string(), "keys+passkey");
    }

    #[derive(Debug, Clone)]
    enum Event {
        Open(u8, u8),
        Answer(u8, Method, Option<u8>),
        Narrow(u8),
        Cancel,
        Expire,
    }

    fn event() -> impl Strategy<Value = Event> {
        let method = prop::sample::select(Method::ALL.to_vec());
        prop_oneof![
            (0..3_u8, 0..3_u8).prop_map(|(secret, browser)| Event::Open(secret, browser)),
            (0..3_u8, method, prop::option::weighted(0.7, 0..2_u8))
                .prop_map(|(browser, method, right)| Event::Answer(browser, method, right)),
            (0..8_u8).prop_map(Event::Narrow),
            Just(Event::Cancel),
            Just(Event::Expire),
        ]
    }

    fn accepted() -> impl Strategy<Value = Accepted> {
        prop::collection::vec(1..8_u8, 1..4)
            .prop_map(|bits| Accepted::of(bits.into_iter().map(methods)).unwrap())
    }

    fn methods(bits: u8) -> Methods {
        let chosen = Method::ALL.into_iter().zip([1, 2, 4]).filter(|(_, bit)| bits & bit != 0);
        Methods::of(chosen.map(|(method, _)| method))
    }

    proptest! {
        /// Whatever happens, in whatever order and whenever: it ends once and never changes again; it is accepted only in
        /// its time, for all methods of a combination that it was started with, answered rightly by one person in the one
        /// browser that opened it first.
        #[test]
        fn it_ends_once_and_only_as_it_may(
            accepted in accepted(),
            pinned in prop::option::weighted(0.3, 0..2_u8),
            events in prop::collection::vec((event(), 0..40_i64), 1..60),
        ) {
            let start = Start {
                purpose: Purpose::Login,
                accepted: accepted.clone(),
                subject: pinned.map(person),
                secret: [0; 32],
                lifetime: Nanos::from_secs(300),
            };
            let mut request = Request::start(start, at(0).time).unwrap();
            let mut bound = None;
            let mut right = [Methods::NONE; 2];
            let mut now = 0;
            for (event, passed) in events {
                now += passed;
                let before = request.clone();
                match event {
                    Event::Open(secret, browser) => {
                        let kept = [browser; 32];
                        if request.open(&[secret; 32], Some(&kept), kept, at(now).time) == Ok(Opened::Bound) {
                            prop_assert_eq!((secret, bound.replace(browser)), (0, None));
                        }
                    }
                    Event::Answer(browser, method, whose) => {
                        let judged = whose.map_or(Judged::Wrong, |n| Judged::Right(person(n)));
                        if let Ok(progress) = request.answer(&[browser; 32], method, judged, &at(now)) {
                            prop_assert_eq!(bound, Some(browser));
                            if let Some(n) = whose.filter(|n| before.subject.is_none_or(|asked| asked == person(*n))) {
                                right[usize::from(n)] = right[usize::from(n)].with(method);
                                prop_assert!(progress != Progress::Wrong);
                            }
                        }
                    }
                    Event::Narrow(bits) => {
                        let _ = request.narrow(|combination| !combination.are_within(methods(bits)));
                    }
                    Event::Cancel => {
                        let _ = request.cancel(&at(now));
                    }
                    Event::Expire => prop_assert!(!request.expire(&at(now)) || now >= 300),
                }
                prop_assert!(request.accepted.iter().all(|one| before.accepted.iter().any(|other| one == other)));
                prop_assert!(before.subject.is_none() || request.subject == before.subject);
                if let Some(end) = before.end {
                    prop_assert_eq!((&request, request.end), (&before, Some(end)));
                } else if let Some(End { verdict: Verdict::Accepted, .. }) = request.end {
                    prop_assert!(now < 300);
                    prop_assert!(right.into_iter().any(|methods| accepted.is_met_by(methods)));
                    prop_assert!(pinned.is_none_or(|n| accepted.is_met_by(right[usize::from(n)])));
                } else if request.end.is_none() {
                    prop_assert!(request.wrong < MOST_WRONG && !request.accepted.is_met_by(request.done));
                }
            }
        }
    }
}
