//! Judging a key: once, in its window, and not too often.

use angbu_units::{CycleTime, Nanos, ProvenInstant, UnixTime};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::policy::{MOST_DRIFT, NotNow, Policy};
use crate::{Algorithm, Digits, OneTimeKey, hotp, totp};

/// The most events within one step that a token may show.
pub const MOST_EVENTS: u64 = 9;

/// How far ahead of the expected counter a key of a counter is looked for (RFC 4226, section 7.4).
pub const LOOK_AHEAD: u64 = 10;

/// How far behind it a used key is still recognised.
const LOOK_BEHIND: u64 = 10;

/// What moves a token's keys on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// The time alone.
    Time(CycleTime),
    /// The time, and a counter that begins anew with each step.
    TimeAndEvent(CycleTime),
    /// A counter alone.
    Counter,
}

/// What a token's keys are made from.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// Its key.
    pub secret: &'a [u8],
    /// The hash.
    pub algorithm: Algorithm,
    /// How many digits a key has.
    pub digits: Digits,
    /// What moves its keys on.
    pub motion: Motion,
}

/// The place of a key among all of a token's keys: steps and their events, or counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The step, or the counter.
    pub step: u64,
    /// The event within the step; zero for all but tokens of [`Motion::TimeAndEvent`].
    pub event: u64,
}

/// What tries have made of a token so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The newest key that was accepted. Neither it nor any before it is accepted again.
    pub last: Option<Place>,
    /// What the token's clock is ahead of the centre's, as far as it was seen.
    pub drift: Nanos,
    /// Failures since the last success.
    pub failures: u32,
    /// No try is judged before then.
    pub locked_until: Option<UnixTime>,
    /// No try is judged until somebody unlocks it.
    pub disabled: bool,
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none of the keys that could have been shown.
    #[error("the key is wrong or no longer good")]
    Wrong,
    /// It was accepted before, or one after it was. Its holder is told: somebody may have seen it.
    #[error("this key was used already; wait for the next one")]
    Replayed,
    /// After too many failures nobody looks until then. Not judged.
    #[error("there were too many failures; wait before the next try")]
    Locked {
        /// When the next try is judged.
        until: UnixTime,
    },
    /// Disabled by too many failures, or by an operator. Not judged.
    #[error("this token is disabled; ask whoever manages it")]
    Disabled,
    /// The clock or the policy does not allow it now. Not judged.
    #[error(transparent)]
    NotNow(#[from] NotNow),
}

impl Refused {
    /// Whether the key itself was looked at, so that the try is an entry of its own.
    pub const fn is_judged(&self) -> bool {
        matches!(self, Self::Wrong | Self::Replayed)
    }
}

/// Judges a key that somebody typed at an instant: what was decided, and how the token stands then.
///
/// Every key that could be meant is computed and compared in constant time, whichever fits. How long it takes depends on the
/// token's kind and the policy, not on the key or on how the token stands.
///
/// The caller commits the standing against the version of the row that it read; whoever loses that race judges anew, so that
/// of many tries with one key exactly one is accepted.
pub fn judge(
    token: &Token<'_>,
    standing: &Standing,
    policy: &Policy,
    shown: &OneTimeKey,
    now: &ProvenInstant,
) -> (Result<Place, Refused>, Standing) {
    match admitted(token, standing, policy, now) {
        Err(refused) => (Err(refused), *standing),
        Ok(bound) => {
            let found = match token.motion {
                Motion::Time(cycle) => in_time(token, standing, policy, shown, (now, bound, cycle, 0)),
                Motion::TimeAndEvent(cycle) => {
                    in_time(token, standing, policy, shown, (now, bound, cycle, MOST_EVENTS))
                }
                Motion::Counter => counted(token, standing, shown),
            };
            decide(token, standing, policy, found, now)
        }
    }
}

/// Whether a try is judged at all, and how wide the clock's bound is.
fn admitted(
    token: &Token<'_>,
    standing: &Standing,
    policy: &Policy,
    now: &ProvenInstant,
) -> Result<Nanos, Refused> {
    locked(standing, now)?;
    match token.motion {
        Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => Ok(policy.admits(cycle, now)?),
        Motion::Counter => Ok(Nanos::new(0)),
    }
}

/// What a search among keys found.
#[derive(Debug, Clone, Copy)]
struct Found {
    fresh: Choice,
    used: Choice,
    step: u64,
    event: u64,
}

impl Found {
    fn nothing() -> Self {
        Self { fresh: Choice::from(0), used: Choice::from(0), step: 0, event: 0 }
    }

    /// Takes one key into account; of several fresh ones that fit, the first counts.
    fn look(&mut self, place: Place, last: Option<Place>, made: &OneTimeKey, shown: &OneTimeKey) {
        let fits = made.ct_eq(shown);
        let is_new = Choice::from(u8::from(last.is_none_or(|last| last < place)));
        let takes = fits & is_new & !self.fresh;
        self.step.conditional_assign(&place.step, takes);
        self.event.conditional_assign(&place.event, takes);
        self.fresh |= takes;
        self.used |= fits & !is_new;
    }
}

fn in_time(
    token: &Token<'_>,
    standing: &Standing,
    policy: &Policy,
    shown: &OneTimeKey,
    (now, bound, cycle, events): (&ProvenInstant, Nanos, CycleTime, u64),
) -> Found {
    let (from, to) = policy.window(cycle, now, bound, standing.drift);
    let mut found = Found::nothing();
    for step in totp::step_at(from, cycle)..=totp::step_at(to, cycle) {
        for event in 0..=events {
            let made = totp::event_key(token.algorithm, token.secret, step, event, token.digits);
            found.look(Place { step, event }, standing.last, &made, shown);
        }
    }
    found
}

fn counted(token: &Token<'_>, standing: &Standing, shown: &OneTimeKey) -> Found {
    let next = standing.last.map_or(0, |last| last.step.saturating_add(1));
    let mut found = Found::nothing();
    for step in next.saturating_sub(LOOK_BEHIND)..next.saturating_add(LOOK_AHEAD) {
        let made = hotp::key(token.algorithm, token.secret, step, token.digits);
        found.look(Place { step, event: 0 }, standing.last, &made, shown);
    }
    found
}

fn decide(
    token: &Token<'_>,
    standing: &Standing,
    policy: &Policy,
    found: Found,
    now: &ProvenInstant,
) -> (Result<Place, Refused>, Standing) {
    if found.fresh.into() {
        let place = Place { step: found.step, event: found.event };
        let drift = match token.motion {
            Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => learned(standing.drift, place, cycle, now),
            Motion::Counter => standing.drift,
        };
        let standing =
            Standing { last: Some(place), drift, failures: 0, locked_until: None, disabled: false };
        return (Ok(place), standing);
    }
    if found.used.into() {
        // The right key, so nobody is guessing: it is told, but it locks nobody out.
        return (Err(Refused::Replayed), *standing);
    }
    failed(standing, policy, now)
}

/// One failure more.
fn failed(standing: &Standing, policy: &Policy, now: &ProvenInstant) -> (Result<Place, Refused>, Standing) {
    let failures = standing.failures.saturating_add(1);
    let locked_until = policy.lockout.wait(failures).map(|wait| now.time + wait);
    let disabled = failures >= policy.lockout.disable_at;
    (Err(Refused::Wrong), Standing { failures, locked_until, disabled, ..*standing })
}

/// Judges a try that no key's digits decide: a recovery code, which the caller has looked up, or a key that was shown with
/// another phone number or cycle than the token's, which is wrong whatever its digits are.
///
/// It needs no clock, so that whoever lost a token is let in while the clock is not shown to be right; but the wait after
/// failures holds here too, and a failure counts like one of a key.
///
/// # Errors
/// [`Refused::Wrong`], [`Refused::Locked`] or [`Refused::Disabled`].
pub fn judge_code(
    is_right: bool,
    standing: &Standing,
    policy: &Policy,
    now: &ProvenInstant,
) -> (Result<(), Refused>, Standing) {
    if let Err(refused) = locked(standing, now) {
        return (Err(refused), *standing);
    }
    if is_right {
        return (Ok(()), Standing { failures: 0, locked_until: None, ..*standing });
    }
    let (said, standing) = failed(standing, policy, now);
    (said.map(drop), standing)
}

/// Whether the token stands so that nothing is judged.
fn locked(standing: &Standing, now: &ProvenInstant) -> Result<(), Refused> {
    if standing.disabled {
        return Err(Refused::Disabled);
    }
    match standing.locked_until.filter(|until| now.time < *until) {
        Some(until) => Err(Refused::Locked { until }),
        None => Ok(()),
    }
}

/// A quarter of what a key's step lies beside the expected instant, so that one late typing does not move much.
fn learned(drift: Nanos, place: Place, cycle: CycleTime, now: &ProvenInstant) -> Nanos {
    let expected = now.time + drift;
    let begin = totp::begin_of(place.step, cycle);
    let end = begin + cycle.length();
    let beside = if expected < begin {
        begin - expected
    } else if expected >= end {
        end - expected
    } else {
        Nanos::new(0)
    };
    let most = MOST_DRIFT.count();
    Nanos::new((drift.count() + beside.count() / 4).clamp(-most, most))
}

/// Two keys of a counter that follow one another, by which a token that ran ahead is found again within `reach`
/// (RFC 4226, section 7.4); the place of the second.
pub fn resynchronise(
    token: &Token<'_>,
    standing: &Standing,
    (first, second): (&OneTimeKey, &OneTimeKey),
    reach: u64,
) -> Option<Place> {
    let next = standing.last.map_or(0, |last| last.step.saturating_add(1));
    let mut found = Found::nothing();
    for step in next..next.saturating_add(reach) {
        let key = |step| hotp::key(token.algorithm, token.secret, step, token.digits);
        let fits = key(step).ct_eq(first) & key(step.saturating_add(1)).ct_eq(second) & !found.fresh;
        found.step.conditional_assign(&step.saturating_add(1), fits);
        found.fresh |= fits;
    }
    bool::from(found.fresh).then_some(Place { step: found.step, event: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_units::{ClockVerdict, EntryId};
    use proptest::prelude::*;

    const SECRET: [u8; 32] = [7; 32];
    const START: i64 = 1_763_762_700;

    fn token(motion: Motion) -> Token<'static> {
        let digits = match motion {
            Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => totp::digits(cycle),
            Motion::Counter => Digits::SIX,
        };
        Token { secret: &SECRET, algorithm: Algorithm::Sha256, digits, motion }
    }

    fn timed(seconds: u64) -> Token<'static> {
        token(Motion::Time(CycleTime::new(seconds).unwrap()))
    }

    fn at(seconds: i64) -> ProvenInstant {
        ProvenInstant {
            time: UnixTime::from_nanos((START + seconds) * 1_000_000_000),
            error_bound: Nanos::new(1_000_000),
            verdict: ClockVerdict::Proven,
            clock_state: EntryId::from_bytes([0; 16]),
        }
    }

    /// What the token shows at a second.
    fn shown(token: &Token<'_>, seconds: i64, event: u64) -> OneTimeKey {
        let (Motion::Time(cycle) | Motion::TimeAndEvent(cycle)) = token.motion else { panic!("no time") };
        let step = totp::step_at(at(seconds).time, cycle);
        totp::event_key(token.algorithm, token.secret, step, event, token.digits)
    }

    /// Tries at seconds with the key that was shown at another second, and what comes of each.
    #[track_caller]
    fn check(token: Token<'_>, tries: &[(i64, i64, Result<(), Refused>)]) -> Standing {
        let mut standing = Standing::default();
        for (typed, read, expected) in tries {
            let (said, after) =
                judge(&token, &standing, &Policy::default(), &shown(&token, *read, 0), &at(*typed));
            assert_eq!(said.map(|_| ()), *expected, "typed at {typed}, shown at {read}");
            standing = after;
        }
        standing
    }

    #[test]
    fn a_key_is_good_once_and_in_its_window() {
        check(timed(30), &[(0, 0, Ok(())), (0, 0, Err(Refused::Replayed)), (29, 0, Err(Refused::Replayed))]);
        check(timed(30), &[(0, -30, Ok(())), (1, -30, Err(Refused::Replayed)), (2, 0, Ok(()))]);
        // The step after was used: the one before is worth nothing any more.
        check(timed(30), &[(0, 0, Ok(())), (1, -30, Err(Refused::Replayed))]);
        check(timed(30), &[(1, -60, Err(Refused::Wrong)), (1, 30, Err(Refused::Wrong)), (28, 30, Ok(()))]);
        check(
            timed(3),
            &[(0, -3, Ok(())), (1, 0, Ok(())), (2, 0, Err(Refused::Replayed)), (5, -3, Err(Refused::Wrong))],
        );
    }

    #[test]
    fn failures_make_wait_ever_longer_and_success_forgives() {
        let (token, policy) = (timed(30), Policy::default());
        let wrong: OneTimeKey = "000000".parse().unwrap();
        let mut standing = Standing::default();
        let mut now = 0;
        let mut judged = 0;
        while !standing.disabled {
            let (said, after) = judge(&token, &standing, &policy, &wrong, &at(now));
            match said.unwrap_err() {
                Refused::Wrong => judged += 1,
                Refused::Locked { until } => {
                    assert_eq!(after, standing);
                    now = until.nanos() / 1_000_000_000 - START;
                }
                other => panic!("{other}"),
            }
            standing = after;
        }
        assert_eq!((judged, standing.failures), (100, 100));
        assert!(now > 10 * 86_400);
        let right = shown(&token, now, 0);
        assert_eq!(judge(&token, &standing, &policy, &right, &at(now)).0, Err(Refused::Disabled));

        let (four, _) = (
            (0..4)
                .fold(Standing::default(), |standing, _| judge(&token, &standing, &policy, &wrong, &at(0)).1),
            (),
        );
        let (said, after) = judge(&token, &four, &policy, &shown(&token, 0, 0), &at(0));
        assert!(said.is_ok());
        assert_eq!((four.failures, after.failures), (4, 0));
    }

    #[test]
    fn further_keys_within_a_step_are_good_once_each() {
        let token = token(Motion::TimeAndEvent(CycleTime::new(30).unwrap()));
        let policy = Policy::default();
        let mut standing = Standing::default();
        for event in [0, 1, 3, 9] {
            let (said, after) = judge(&token, &standing, &policy, &shown(&token, 0, event), &at(0));
            assert_eq!(said.unwrap().event, event);
            standing = after;
            assert_eq!(
                judge(&token, &standing, &policy, &shown(&token, 0, event), &at(0)).0,
                Err(Refused::Replayed)
            );
        }
        // What was passed over is worth nothing any more, and neither is the step before.
        assert_eq!(judge(&token, &standing, &policy, &shown(&token, 0, 2), &at(0)).0, Err(Refused::Replayed));
        assert_eq!(
            judge(&token, &standing, &policy, &shown(&token, -30, 9), &at(0)).0,
            Err(Refused::Replayed)
        );
        assert!(judge(&token, &standing, &policy, &shown(&token, 30, 0), &at(28)).0.is_ok());
    }

    #[test]
    fn a_counter_is_followed_ahead_and_never_back() {
        let token = token(Motion::Counter);
        let policy = Policy::default();
        let key = |counter| hotp::key(token.algorithm, token.secret, counter, token.digits);
        let mut standing = Standing::default();
        for (counter, expected) in [
            (0, Ok(())),
            (0, Err(Refused::Replayed)),
            (10, Ok(())),
            (5, Err(Refused::Replayed)),
            (21, Err(Refused::Wrong)),
            (20, Ok(())),
        ] {
            let (said, after) = judge(&token, &standing, &policy, &key(counter), &at(0));
            assert_eq!(said.map(|_| ()), expected, "{counter}");
            standing = after;
        }
        assert_eq!(
            resynchronise(&token, &standing, (&key(70), &key(71)), 100),
            Some(Place { step: 71, event: 0 })
        );
        assert_eq!(resynchronise(&token, &standing, (&key(70), &key(72)), 100), None);
        assert_eq!(resynchronise(&token, &standing, (&key(19), &key(20)), 100), None);
        assert_eq!(resynchronise(&token, &standing, (&key(200), &key(201)), 100), None);
    }

    #[test]
    fn a_slow_clock_is_learned_and_the_window_stays_as_wide() {
        // The token is 25 s behind and loses a second every four minutes.
        let (token, policy) = (timed(30), Policy::default());
        let mut standing = Standing::default();
        let mut behind = 25;
        for round in 0..160 {
            let now = round * 60 + 7;
            let (said, after) = judge(&token, &standing, &policy, &shown(&token, now - behind, 0), &at(now));
            assert!(said.is_ok(), "{behind} s behind, learned {:?}", standing.drift);
            standing = after;
            behind += i64::from(round % 4 == 3 && behind < 55);
        }
        assert!(standing.drift < Nanos::from_secs(-20) && standing.drift >= Nanos::from_secs(-60));
    }

    #[test]
    fn codes_count_and_wait_like_keys_and_need_no_clock() {
        let policy = Policy::default();
        let unproven = ProvenInstant { verdict: ClockVerdict::Unproven, ..at(0) };
        let mut standing = Standing::default();
        for failure in 1..=5 {
            let (said, after) = judge_code(false, &standing, &policy, &unproven);
            assert_eq!((said, after.failures), (Err(Refused::Wrong), failure));
            standing = after;
        }
        let until = standing.locked_until.unwrap();
        assert_eq!(
            judge_code(true, &standing, &policy, &unproven),
            (Err(Refused::Locked { until }), standing)
        );
        let later = ProvenInstant { time: until, ..unproven };
        let (said, after) = judge_code(true, &standing, &policy, &later);
        assert_eq!((said, after.failures, after.locked_until), (Ok(()), 0, None));
    }

    proptest! {
        /// Whatever is tried, whenever, in whatever order: no place is accepted twice, and none before an accepted one.
        #[test]
        fn no_place_is_accepted_twice(
            cycle in 3_u64..=60,
            events: bool,
            tries in prop::collection::vec((-200_i64..200, -200_i64..200, 0_u64..12), 1..60),
        ) {
            let cycle = CycleTime::new(cycle).unwrap();
            let token = token(if events { Motion::TimeAndEvent(cycle) } else { Motion::Time(cycle) });
            let policy = Policy { long_cycles: true, ..Policy::default() };
            let mut standing = Standing::default();
            for (typed, read, event) in tries {
                let key = shown(&token, read, event);
                let (said, after) = judge(&token, &standing, &policy, &key, &at(typed));
                if let Ok(place) = said {
                    prop_assert!(standing.last.is_none_or(|last| last < place));
                    prop_assert_eq!(after.last, Some(place));
                    prop_assert!(events || place.event == 0);
                    let begin = totp::begin_of(place.step, cycle);
                    let off = (begin - at(typed).time).count().abs() / 1_000_000_000;
                    prop_assert!(off <= 60 + 60 + 30 + 5, "a key of {off} s off");
                } else {
                    prop_assert_eq!(after.last, standing.last);
                }
                standing = Standing { locked_until: None, disabled: false, ..after };
            }
        }
    }
}
