//! Traceability: from what the centre stands on, over the centre, to an agent's clock; each link with its bound and its gaps.
//!
//! This is the summary that Article 4 of Commission Delegated Regulation (EU) 2017/574 ("RTS 25") asks a venue or an investment
//! firm to be able to show. The chain is:
//!
//! | link | its bound at an exchange |
//! |---|---|
//! | [`Place::Head`] | what the head itself adds: nothing, or a calibration's offset and uncertainty |
//! | [`Place::Centre`] | from the reference to the centre: root delay / 2 + root dispersion + precision, as the centre said in that very exchange |
//! | [`Place::Exchange`] | from the centre to the agent: what is left of the exchange's bound, above all its one-way delay |
//! | [`Place::Between`] | what the agent's clock can have drifted until the next exchange, or as far as this one covers |
//!
//! The bounds of one exchange are added as they are, since each holds for certain: no square roots. "Typical" is the median and
//! "greatest" the maximum over the exchanges of the period. The greatest of a sum is no more than the sum of the greatest.
//!
//! Time counts as shown where an exchange with a centre whose clock was not unproven covers it; whether the clock was within a
//! tolerance is another question, and answered by [`crate::periods`].

use std::collections::BTreeMap;

use angbu_units::{ClockVerdict, Nanos, Ppb, UnixTime};

use crate::exchange::Exchange;
use crate::periods::{COVERS_POLLS, Observed, Period, Verdict, What, Why, periods};

/// The divergences from UTC that RTS 25 allows (annex, tables 1 and 2): 100 µs, 1 ms, and 1 s.
pub const RTS25: [Nanos; 3] = [Nanos::from_micros(100), Nanos::from_millis(1), Nanos::from_secs(1)];

/// The most gaps that are told one by one: the longest. 1,000.
pub const GAPS: usize = 1_000;

/// What a chain begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadKind {
    /// Nothing is known of it.
    Unknown,
    /// The operator declared the centre's own clock to be the reference. That alone is traceable to nothing.
    Declared,
    /// Other time servers, which are as good as what they say of themselves.
    Upstreams,
    /// A reference clock beside the centre.
    ReferenceClock,
}

impl HeadKind {
    /// The word for it in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Declared => "declared",
            Self::Upstreams => "upstreams",
            Self::ReferenceClock => "reference-clock",
        }
    }
}

/// The head of the chain from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Since when.
    pub since: UnixTime,
    /// What it is.
    pub kind: HeadKind,
    /// What it is called, as the centre wrote it down.
    pub name: String,
    /// What it adds to the bounds below it: zero, or what a calibration says.
    pub bound: Nanos,
    /// Who calibrated it, and the certificates' numbers.
    pub calibrated_by: Vec<String>,
    /// The entries that show it, by log index: the clock states, and the calibrations.
    pub entries: Vec<u64>,
}

/// What a chain needs to know of a calibration that was not withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibrated {
    /// What was calibrated, as the operator named it.
    pub subject: String,
    /// When it was measured.
    pub measured: UnixTime,
    /// The first instant at which it is no longer valid.
    pub valid_until: UnixTime,
    /// What it leaves open, [`crate::calibration::Calibration::bound`].
    pub bound: Nanos,
    /// Who measured, and the certificate's number.
    pub by: String,
    /// The log index of its entry.
    pub entry: u64,
}

/// Puts calibrations at the head of the heads that are the site's own: reference clocks, and clocks that it declared. What time
/// servers of others stand on, their operators show.
///
/// A head is cut where a calibration begins or ends. Of several calibrations of one subject the newest measurement counts; where
/// several subjects are calibrated, nothing says which of them was the reference then, so the widest bound counts.
pub fn under_calibrations(heads: Vec<Head>, calibrations: &[Calibrated]) -> Vec<Head> {
    let mut cuts: Vec<UnixTime> =
        calibrations.iter().flat_map(|one| [one.measured, one.valid_until]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let ends: Vec<_> = heads.iter().skip(1).map(|next| next.since).chain([UnixTime::MAX]).collect();
    let mut cut = Vec::with_capacity(heads.len());
    for (head, end) in heads.into_iter().zip(ends) {
        if !matches!(head.kind, HeadKind::ReferenceClock | HeadKind::Declared) {
            cut.push(head);
            continue;
        }
        let within = cuts.iter().copied().filter(|at| head.since < *at && *at < end);
        for since in std::iter::once(head.since).chain(within) {
            let piece = calibrated_at(Head { since, ..head.clone() }, calibrations);
            if cut.last().is_none_or(|last: &Head| Head { since, ..last.clone() } != piece) {
                cut.push(piece);
            }
        }
    }
    cut
}

fn calibrated_at(mut head: Head, calibrations: &[Calibrated]) -> Head {
    let mut newest: BTreeMap<&str, &Calibrated> = BTreeMap::new();
    for one in calibrations.iter().filter(|one| one.measured <= head.since && head.since < one.valid_until) {
        let of_subject = newest.entry(&one.subject).or_insert(one);
        if (of_subject.measured, of_subject.entry) < (one.measured, one.entry) {
            *of_subject = one;
        }
    }
    for one in newest.into_values() {
        head.bound = head.bound.max(one.bound);
        head.calibrated_by.push(one.by.clone());
        head.entries.push(one.entry);
    }
    head
}

/// One exchange with a centre, as links of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When, by the centre's clock.
    pub at: UnixTime,
    /// From the reference to the centre.
    pub centre: Nanos,
    /// From the centre to the agent.
    pub exchange: Nanos,
    /// How often the agent then asked.
    pub poll: Nanos,
}

impl Step {
    /// The links that an exchange shows.
    pub fn of(exchange: &Exchange, poll: Nanos) -> Self {
        let centre = exchange.source_bound();
        Self { at: exchange.at(), centre, exchange: exchange.bound() - centre, poll }
    }
}

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The head itself.
    Head,
    /// From the reference to the centre.
    Centre,
    /// From the centre to the agent.
    Exchange,
    /// From one exchange to the next.
    Between,
}

impl Place {
    /// Every link, from the head down.
    pub const ALL: [Self; 4] = [Self::Head, Self::Centre, Self::Exchange, Self::Between];

    /// The word for it in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Centre => "centre",
            Self::Exchange => "exchange",
            Self::Between => "between",
        }
    }

    /// The link that is broken for this reason, if one is.
    pub const fn broken_by(why: Why) -> Option<Self> {
        match why {
            Why::Within | Why::Outside | Why::Undecided | Why::Aged | Why::Wide | Why::NoTolerance => None,
            Why::Centre | Why::Twice => Some(Self::Centre),
            Why::NoData
            | Why::Silent
            | Why::Stopped
            | Why::Starting
            | Why::Unwatched
            | Why::Paused
            | Why::Alarm
            | Why::Moved
            | Why::Corrected
            | Why::Dropped => Some(Self::Exchange),
        }
    }
}

/// One link over the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub place: Place,
    /// The median of its bounds; `None` without an exchange.
    pub typical: Option<Nanos>,
    /// The greatest of its bounds.
    pub greatest: Option<Nanos>,
    /// For how long it was broken.
    pub broken: Nanos,
}

/// A stretch in which the chain was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Its first instant.
    pub from: UnixTime,
    /// The first instant after it.
    pub to: UnixTime,
    /// Which link.
    pub place: Place,
    /// Why.
    pub why: Why,
}

/// For how long the clock was within a divergence that RTS 25 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// The divergence.
    pub limit: Nanos,
    /// For how long it was shown to be kept.
    pub within: Nanos,
    /// For how long it was shown not to be kept.
    pub outside: Nanos,
}

/// A chain over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its heads, one after the other.
    pub heads: Vec<Head>,
    /// Its links, from the head down.
    pub links: Vec<Link>,
    /// The median of the sums of the links' bounds.
    pub typical: Option<Nanos>,
    /// The greatest of the sums.
    pub greatest: Option<Nanos>,
    /// For how long the whole chain was shown, down from a reference.
    pub proven: Nanos,
    /// For how long it was shown, down from a clock that the operator declared.
    pub declared: Nanos,
    /// For how long it was broken.
    pub broken: Nanos,
    /// Where it was broken, in order of time; the [`GAPS`] longest.
    pub gaps: Vec<Gap>,
    /// How many shorter gaps are not told.
    pub gaps_left_out: u64,
    /// How RTS 25's divergences were kept.
    pub rungs: Vec<Rung>,
}

/// The chain of one agent from `from` to just before `to`.
///
/// `observed` is what [`periods`] takes: the agent's records, beginning an exchange or more before `from`. `steps` are its exchanges
/// with centres of the site whose clock was not unproven, in order of time; those outside the period count for nothing but what
/// they cover of it. `heads` stand in order of time.
pub fn chain(
    observed: &[Observed],
    steps: &[Step],
    heads: &[Head],
    [from, to]: [UnixTime; 2],
    drift: Ppb,
) -> Chain {
    // Whether a tolerance was kept does not matter here: any will do.
    let judge = |limit| periods(observed, &[(UnixTime::MIN, limit)], from, to, drift);
    let shown = judge(Nanos::MAX);
    let mut bounds: [Vec<Nanos>; 4] = Default::default();
    let mut sums = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        if step.at < from || step.at >= to {
            continue;
        }
        let covers = step.poll.times(COVERS_POLLS);
        let age = steps.get(place + 1).map_or(covers, |next| (next.at - step.at).min(covers));
        let links = [head_at(heads, step.at), step.centre, step.exchange, drift.over(age.max(Nanos::ZERO))];
        for (all, bound) in bounds.iter_mut().zip(links) {
            all.push(bound);
        }
        sums.push(links.into_iter().fold(Nanos::ZERO, |sum, bound| sum + bound));
    }
    let (gaps, gaps_left_out) = gaps(&shown);
    let (proven, declared, broken) = held(&shown);
    let links = Place::ALL.into_iter().zip(bounds).map(|(place, bounds)| {
        let (typical, greatest) = typical_and_greatest(bounds);
        Link { place, typical, greatest, broken: broken_at(&shown, place) }
    });
    let links = links.collect();
    let (typical, greatest) = typical_and_greatest(sums);
    let rungs = RTS25.into_iter().map(|limit| rung(limit, &judge(limit))).collect();
    let heads = heads_in(heads, [from, to]);
    Chain { heads, links, typical, greatest, proven, declared, broken, gaps, gaps_left_out, rungs }
}

/// The exchanges among an agent's records as steps; `measured` are the exchanges themselves, in the order of `observed`.
pub fn steps<'a>(observed: impl IntoIterator<Item = (&'a Observed, &'a Exchange)>) -> Vec<Step> {
    let step = |(observed, exchange): (&Observed, &Exchange)| match observed.what {
        What::Exchange(sample) if !matches!(sample.centre, None | Some(ClockVerdict::Unproven)) => {
            Some(Step::of(exchange, sample.poll))
        }
        _ => None,
    };
    let mut steps: Vec<Step> = observed.into_iter().filter_map(step).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

fn head_at(heads: &[Head], at: UnixTime) -> Nanos {
    let place = heads.partition_point(|head| head.since <= at);
    place.checked_sub(1).and_then(|place| heads.get(place)).map_or(Nanos::ZERO, |head| head.bound)
}

/// The heads that held in a period; the first began before it, or nothing is known of its beginning.
fn heads_in(heads: &[Head], [from, to]: [UnixTime; 2]) -> Vec<Head> {
    let before = heads.partition_point(|head| head.since <= from).saturating_sub(1);
    heads.get(before..).unwrap_or_default().iter().filter(|head| head.since < to).cloned().collect()
}

fn typical_and_greatest(mut bounds: Vec<Nanos>) -> (Option<Nanos>, Option<Nanos>) {
    bounds.sort_unstable();
    (bounds.get(bounds.len() / 2).copied(), bounds.last().copied())
}

/// For how long the chain was shown from a reference, from a declared clock, and not at all.
fn held(shown: &[Period]) -> (Nanos, Nanos, Nanos) {
    let mut held = (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO);
    for period in shown {
        let length = period.to - period.from;
        match (Place::broken_by(period.why), period.reference) {
            (None, Some(ClockVerdict::Proven)) => held.0 = held.0 + length,
            (None, Some(ClockVerdict::Declared)) => held.1 = held.1 + length,
            _ => held.2 = held.2 + length,
        }
    }
    held
}

fn broken_at(shown: &[Period], place: Place) -> Nanos {
    let broken = shown.iter().filter(|period| Place::broken_by(period.why) == Some(place));
    broken.fold(Nanos::ZERO, |sum, period| sum + (period.to - period.from))
}

fn gaps(shown: &[Period]) -> (Vec<Gap>, u64) {
    let gap = |period: &Period| {
        let place = Place::broken_by(period.why)?;
        Some(Gap { from: period.from, to: period.to, place, why: period.why })
    };
    let mut gaps: Vec<Gap> = shown.iter().filter_map(gap).collect();
    let left_out = gaps.len().saturating_sub(GAPS);
    if left_out > 0 {
        gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to - gap.from));
        gaps.truncate(GAPS);
        gaps.sort_by_key(|gap| gap.from);
    }
    (gaps, u64::try_from(left_out).unwrap_or(u64::MAX))
}

fn rung(limit: Nanos, judged: &[Period]) -> Rung {
    let of = |verdict| {
        let those = judged.iter().filter(|period| period.verdict == verdict);
        those.fold(Nanos::ZERO, |sum, period| sum + (period.to - period.from))
    };
    Rung { limit, within: of(Verdict::Within), outside: of(Verdict::Outside) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Source;
    use crate::packet::Leap;
    use crate::periods::{DRIFT, Sample};
    use crate::record::When;
    use angbu_units::NtpShort;

    const POLL: Nanos = Nanos::from_secs(16);

    fn second(second: i64) -> UnixTime {
        UnixTime::from_nanos(second * 1_000_000_000)
    }

    /// An exchange whose round trip takes 2 ms, with a centre that is 1 ms from its reference.
    fn exchange(at: i64) -> Exchange {
        let source = Source {
            leap: Leap::None,
            stratum: 1,
            precision: -29,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(66),
            reference_id: *b"PPS\0",
        };
        let t = |millis: i64| second(at) + Nanos::from_millis(millis);
        Exchange::new([t(-1), t(0), t(0), t(1)], source).unwrap()
    }

    fn told(seq: u64, what: What) -> Observed {
        Observed { seq, next_seq: seq + 1, what }
    }

    fn measured(seq: u64, at: i64, centre: ClockVerdict) -> (Observed, Exchange) {
        let exchange = exchange(at);
        let (offset, bound) = (exchange.offset(), exchange.bound());
        let sample = Sample { at: exchange.at(), offset, bound, poll: POLL, centre: Some(centre) };
        (told(seq, What::Exchange(sample)), exchange)
    }

    fn head(since: i64, kind: HeadKind, micros: i64) -> Head {
        let bound = Nanos::from_micros(micros);
        Head {
            since: second(since),
            kind,
            name: kind.word().to_owned(),
            bound,
            calibrated_by: vec![],
            entries: vec![],
        }
    }

    /// 100 exchanges, of which the second half rests on a declared clock; then the agent stops.
    #[test]
    fn a_chain_has_its_bounds_and_its_gaps() {
        let verdict = |seq| if seq < 50 { ClockVerdict::Proven } else { ClockVerdict::Declared };
        let told_of: Vec<_> = (0..100).map(|seq| measured(seq, 16 * seq as i64, verdict(seq))).collect();
        let steps = steps(told_of.iter().map(|(observed, exchange)| (observed, exchange)));
        let mut observed: Vec<_> = told_of.iter().map(|(observed, _)| *observed).collect();
        let stopped = When { system: second(1_590), centre: Some(second(1_590)) };
        observed.push(told(100, What::Stop { at: stopped }));
        let heads = [
            head(-1_000, HeadKind::Unknown, 0),
            head(-10, HeadKind::Upstreams, 5),
            head(800, HeadKind::Declared, 0),
            head(9_000, HeadKind::Upstreams, 0),
        ];
        let chain = chain(&observed, &steps, &heads, [second(0), second(2_000)], DRIFT);
        let kinds: Vec<_> = chain.heads.iter().map(|head| head.kind).collect();
        assert_eq!(kinds, [HeadKind::Upstreams, HeadKind::Declared]);
        // Up to the stop, but for what the last exchange's doubt takes from its end.
        assert_eq!(chain.proven, Nanos::from_secs(800));
        assert!(
            (chain.declared - Nanos::from_secs(790)).abs() < Nanos::from_millis(10),
            "{}",
            chain.declared
        );
        assert_eq!(chain.proven + chain.declared + chain.broken, Nanos::from_secs(2_000));
        let [gap] = chain.gaps[..] else { panic!("{:?}", chain.gaps) };
        assert_eq!((gap.place, gap.why, gap.to), (Place::Exchange, Why::Stopped, second(2_000)));
        let link = |place: Place| chain.links.iter().find(|link| link.place == place).copied().unwrap();
        assert_eq!(link(Place::Head).greatest, Some(Nanos::from_micros(5)));
        assert_eq!(link(Place::Between).typical, Some(Nanos::from_micros(1_600)));
        assert_eq!(link(Place::Between).greatest, Some(Nanos::from_micros(3_200)));
        assert_eq!(link(Place::Exchange).broken, chain.broken);
        assert_eq!(link(Place::Centre).broken, Nanos::ZERO);
        let sum = chain.links.iter().fold(Nanos::ZERO, |sum, link| sum + link.greatest.unwrap());
        assert!(chain.greatest.unwrap() <= sum && chain.typical < chain.greatest);
        assert!(link(Place::Centre).greatest.unwrap() > Nanos::from_millis(1));
        let [narrow, middle, wide] = chain.rungs[..] else { panic!() };
        assert_eq!((narrow.within, middle.within, narrow.outside), (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO));
        assert_eq!(wide.within, chain.proven + chain.declared);
    }

    #[test]
    fn calibrations_head_the_references_of_the_site() {
        let calibrated = |subject: &str, [measured, until]: [i64; 2], micros, entry| Calibrated {
            subject: subject.to_owned(),
            measured: second(measured),
            valid_until: second(until),
            bound: Nanos::from_micros(micros),
            by: format!("laboratory, {entry}"),
            entry,
        };
        let heads = vec![
            head(0, HeadKind::Upstreams, 0),
            head(100, HeadKind::ReferenceClock, 0),
            head(900, HeadKind::Unknown, 0),
            head(950, HeadKind::Declared, 0),
        ];
        let calibrations = [
            calibrated("receiver", [-50, 500], 3, 7),
            calibrated("receiver", [300, 700], 2, 8),
            calibrated("spare", [400, 600], 9, 9),
        ];
        let told: Vec<_> = under_calibrations(heads.clone(), &calibrations)
            .into_iter()
            .map(|head| (head.since.nanos() / 1_000_000_000, head.bound.count() / 1_000, head.entries))
            .collect();
        let expected = [
            (0, 0, vec![]),
            (100, 3, vec![7]),
            (300, 2, vec![8]),
            (400, 9, vec![8, 9]),
            (600, 2, vec![8]),
            (700, 0, vec![]),
            (900, 0, vec![]),
            (950, 0, vec![]),
        ];
        assert_eq!(told, expected);
        assert_eq!(under_calibrations(heads.clone(), &[]), heads);
    }

    #[test]
    fn a_centre_that_is_not_proven_breaks_the_chain_at_the_centre() {
        let told_of = [measured(0, 0, ClockVerdict::Proven), measured(1, 16, ClockVerdict::Unproven)];
        let steps = steps(told_of.iter().map(|(observed, exchange)| (observed, exchange)));
        assert_eq!(steps.len(), 1);
        let observed = told_of.map(|(observed, _)| observed);
        let chain = chain(&observed, &steps, &[], [second(0), second(40)], DRIFT);
        assert_eq!(chain.proven, Nanos::from_secs(16));
        let [gap] = chain.gaps[..] else { panic!("{:?}", chain.gaps) };
        assert_eq!((gap.place, gap.why, gap.from), (Place::Centre, Why::Centre, second(16)));
        assert!(chain.heads.is_empty());
    }

    #[test]
    fn without_records_all_is_one_gap() {
        let chain = chain(&[], &[], &[], [second(0), second(10)], DRIFT);
        assert_eq!((chain.broken, chain.typical, chain.greatest), (Nanos::from_secs(10), None, None));
        assert_eq!((chain.gaps.len(), chain.gaps_left_out), (1, 0));
    }

    #[test]
    fn of_very_many_gaps_the_longest_are_told() {
        let told_of: Vec<_> = (0..1_100)
            .map(|seq| measured(seq, 100 * seq as i64 + i64::from(seq == 7), ClockVerdict::Proven))
            .collect();
        let observed: Vec<_> = told_of.iter().map(|(observed, _)| *observed).collect();
        let chain = chain(&observed, &[], &[], [second(0), second(110_000)], DRIFT);
        assert_eq!((chain.gaps.len(), chain.gaps_left_out), (GAPS, 100));
        assert!(
            chain.gaps.iter().any(|gap| gap.from == second(632) && gap.to == second(701)),
            "the longest is there"
        );
        assert!(chain.gaps.is_sorted_by_key(|gap| gap.from));
    }
}
