use angbu_units::Ppb;
use proptest::prelude::*;

use super::*;
use crate::arbitrary::ordinary;
use crate::exchange::Exchange;
use crate::periods::Why;
use crate::proof::Proof;
use crate::record::{Fact, Stop, When};
use crate::segment::MAX_EXCHANGES;

const TOLERANCE: [(UnixTime, Nanos); 1] = [(UnixTime::MIN, Nanos::from_millis(50))];

/// Some exchanges as an agent makes them, as segments of the log, each but the last full.
fn held(count: usize, jump_from: usize) -> Vec<Held> {
    let mut whole = ordinary(count);
    for kept in whole.exchanges.iter_mut().skip(jump_from) {
        // The clock of the agent is set forward by 70 ms.
        let [t1, t2, t3, t4] = kept.measured.exchange.instants();
        let moved = [t1 + Nanos::from_millis(70), t2, t3, t4 + Nanos::from_millis(70)];
        kept.measured.exchange = Exchange::new(moved, *kept.measured.exchange.source()).unwrap();
    }
    let chunks = whole.exchanges.chunks(MAX_EXCHANGES).enumerate();
    chunks
        .map(|(number, exchanges)| Held {
            entry: EntryId::from_bytes([u8::try_from(number + 1).unwrap(); 16]),
            body_root: merkle::leaf_hash(&number.to_be_bytes()),
            segment: Segment { exchanges: exchanges.to_vec(), signed: None, ..whole.clone() },
        })
        .collect()
}

fn states() -> BTreeMap<EntryId, ClockVerdict> {
    [(EntryId::from_bytes([5; 16]), ClockVerdict::Declared)].into()
}

fn input<'a>(
    segments: &'a [Held],
    events: &'a [Record],
    states: &'a BTreeMap<EntryId, ClockVerdict>,
) -> Input<'a> {
    Input {
        agent: AgentId::from_bytes([1; 16]),
        enrolment: EntryId::from_bytes([2; 16]),
        settings: EntryId::from_bytes([4; 16]),
        segments,
        events,
        clock_states: states,
        tolerances: &TOLERANCE,
    }
}

type Fields = Vec<(&'static str, Vec<u8>)>;

fn read(fields: &Fields) -> Result<Summary, SummaryError> {
    Summary::read(|name| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice()))
}

fn begin(segments: &[Held]) -> UnixTime {
    floor(segments[0].segment.exchanges[0].measured.exchange.at(), HOUR)
}

#[test]
fn an_hour_in_figures() {
    let (segments, states) = (held(2_000, 2_000), states());
    let from = begin(&segments);
    let summary = Summary::of(&input(&segments, &[], &states), from, from + HOUR.times(2));
    assert_eq!(summary.exchanges(), 2_000);
    assert_eq!(summary.segments, segments.iter().map(|held| held.entry).collect::<Vec<_>>());
    assert_eq!(summary.clock_states.values().map(|relied| relied.exchanges).sum::<u64>(), 2_000);
    let first = summary.hours[0];
    let inside: Vec<_> = segments
        .iter()
        .flat_map(|held| &held.segment.exchanges)
        .filter(|kept| kept.measured.exchange.at() < from + HOUR)
        .collect();
    assert_eq!(first.exchanges, inside.len() as u64);
    let offsets = || inside.iter().map(|kept| kept.measured.exchange.offset());
    assert_eq!((Some(first.offset.min), Some(first.offset.max)), (offsets().min(), offsets().max()));
    assert!(first.offset.min <= first.offset_mean && first.offset_mean <= first.offset.max);
    assert!(first.delay.min <= first.delay_median && first.delay_median <= first.delay.max);
    assert!(first.spread <= first.offset.max - first.offset.min && first.spread > Nanos::ZERO);
    assert!(first.drift.unwrap().abs() < Ppb::new(100_000));
    assert_eq!((first.proven, first.late, first.refused), (0, 0, 0));
    let verdicts: Vec<_> = summary.periods.iter().map(|period| period.why).collect();
    assert_eq!(verdicts, [Why::NoData, Why::Within, Why::Silent]);
}

#[test]
fn a_line_has_its_slope() {
    let mut segments = held(900, 900);
    for (number, kept) in (0_i64..).zip(&mut segments[0].segment.exchanges) {
        // An oscillator that loses 20 parts in a million against the centre's.
        let at = 1_763_762_400_000_000_000 + number * 2_000_000_000;
        let lag = number * 40_000;
        let instants = [at - lag, at + 20_000, at + 30_000, at + 50_000 - lag].map(UnixTime::from_nanos);
        kept.measured.exchange = Exchange::new(instants, *kept.measured.exchange.source()).unwrap();
        kept.proof = if number % 3 == 0 { Proof::Late } else { Proof::Witnessed };
    }
    let states = states();
    let from = begin(&segments);
    let summary = Summary::of(&input(&segments, &[], &states), from, from + HOUR);
    let hour = summary.hours[0];
    assert_eq!(hour.drift, Some(Ppb::new(20_000)));
    assert_eq!((hour.proven, hour.late), (900, 300));
    assert_eq!(hour.offset_mean, Nanos::new(40_000 * 899 / 2));
}

/// 24 hours at 16 s: what the centre keeps of them for years.
#[test]
fn a_day_is_small() {
    let mut segments = held(5_400, 5_400);
    for held in &mut segments {
        for (number, kept) in (0_i64..).zip(&mut held.segment.exchanges) {
            let later =
                Nanos::from_secs((i64::try_from(kept.seq).unwrap() - 2) * 14) + Nanos::new(number % 7);
            let instants = kept.measured.exchange.instants().map(|at| at + later);
            kept.measured.exchange = Exchange::new(instants, *kept.measured.exchange.source()).unwrap();
            kept.measured.poll = Nanos::from_secs(16);
            kept.proof = Proof::Witnessed;
        }
    }
    let states = states();
    let from = begin(&segments);
    let summary = Summary::of(&input(&segments, &[], &states), from, from + DAY);
    assert_eq!(summary.hours.len(), 24);
    let fields = summary.fields();
    assert_eq!(read(&fields), Ok(summary));
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 38).sum();
    assert!(size < 2_000, "{size} bytes");
}

#[test]
fn too_much_is_taken_in_parts() {
    let (segments, states) = (held(2_000, 2_000), states());
    let from = begin(&segments);
    let input = input(&segments, &[], &states);
    let whole = Summary::fitting(&input, from, from + HOUR.times(48));
    assert_eq!(whole.to, from + HOUR.times(48));
    assert_eq!(whole, Summary::of(&input, from, from + HOUR.times(48)));
}

#[test]
fn a_day_is_summarised_once_nothing_can_follow() {
    let day = |days: i64| UnixTime::from_nanos(0) + DAY.times(days);
    let hour = HOUR;
    let stretch = |first, newest, now| next_stretch(day(3) + hour, first, newest, now);
    let whole = Some((day(3) + hour, day(4)));
    // Later exchanges are closed, and nothing of the day can follow.
    assert_eq!(stretch(day(3) + hour, day(4) + hour.times(2), day(4) + hour.times(3)), whole);
    // The agent may still tell of the day.
    assert_eq!(stretch(day(3) + hour, day(4) + hour, day(4) + hour.times(3)), None);
    assert_eq!(stretch(day(3) + hour, day(3) + hour, day(30)), None);
    // What it could tell would prove nothing any more.
    assert_eq!(stretch(day(3) + hour, day(3) + hour, day(40)), whole);
    // Days of silence are said in one.
    let silent = Some((day(3) + hour, day(8)));
    assert_eq!(stretch(day(7) + hour.times(5), day(8) + hour.times(2), day(9)), silent);
    // An exchange of a time that is summarised already changes nothing.
    assert_eq!(next_stretch(day(3), day(1), day(9), day(10)), Some((day(3), day(4))));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let (segments, states) = (held(50, 50), states());
    let from = begin(&segments);
    let fields = Summary::of(&input(&segments, &[], &states), from, from + HOUR).fields();
    for (place, (name, _)) in fields.iter().enumerate() {
        let mut less = fields.clone();
        less.remove(place);
        assert_eq!(read(&less), Err(SummaryError::Missing(name)));
        let mut wrong = fields.clone();
        wrong[place].1.push(b'!');
        assert!(read(&wrong).is_err(), "{name}");
    }
    let mut short = fields.clone();
    short[4].1 = (from + HOUR.times(2)).nanos().to_string().into_bytes();
    assert_eq!(read(&short), Err(SummaryError::Stretch));
}

proptest! {
    /// Whether a stretch is judged as a whole, or a part of it was summarised and only the exchanges of its last hours are left.
    #[test]
    fn summaries_change_no_verdict(count in 4_000usize..9_000, jump in 0usize..9_000, stop in 0u64..12_000, cut in 1i64..4, ends in 0i64..20_000) {
        let (segments, states) = (held(count, jump), states());
        let from = begin(&segments);
        let at = UnixTime::from_nanos(1_763_762_721_000_000_000 + i64::try_from(stop).unwrap() * 2_000_000_000);
        // An agent's records have each a number of its own; this one stands behind the last.
        let last = Record { seq: count as u64 + 2, fact: Fact::Stop(Stop { at: When { system: at, centre: Some(at) } }) };
        let events = [last];
        let input = input(&segments, &events, &states);
        let seam = from + HOUR.times(cut);
        let to = seam + Nanos::from_secs(ends);
        let summary = Summary::of(&input, from, seam);
        prop_assert_eq!(read(&summary.fields()), Ok(summary.clone()));
        let kept: Vec<_> = segments
            .iter()
            .filter(|held| held.segment.exchanges.last().unwrap().measured.exchange.at() >= seam - KEPT_BEFORE)
            .cloned()
            .collect();
        let left = Input { segments: &kept, ..input };
        let judge = |from, to| Ok::<_, ()>(periods::periods(&observed(&left), &TOLERANCE, from, to, DRIFT));
        let begins = from + Nanos::from_secs(100);
        let found = periods_of(&[summary], begins, to.max(begins + HOUR), judge).unwrap();
        let whole = periods::periods(&observed(&input), &TOLERANCE, begins, to.max(begins + HOUR), DRIFT);
        // Where the long view finds the clock moved just behind the seam, it takes back what lies before; a summary says what was
        // known at its end and the hours behind it, since it is made later.
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn whatever_reads_packs_to_the_same_bytes(field in 0usize..11, at: prop::sample::Index, flip in 1u8..) {
        let (segments, states) = (held(3_000, 2_500), states());
        let from = begin(&segments);
        let mut fields = Summary::of(&input(&segments, &[], &states), from, from + HOUR.times(3)).fields();
        let value = &mut fields[field].1;
        let at = at.index(value.len());
        value[at] ^= flip;
        if let Ok(read) = read(&fields) {
            prop_assert_eq!(read.fields(), fields);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), field in 5usize..11, good in any::<bool>()) {
        let (segments, states) = (held(3, 3), states());
        let from = begin(&segments);
        let mut fields = Summary::of(&input(&segments, &[], &states), from, from + HOUR).fields();
        fields[field].1 = if good { [&[1], &bytes[..]].concat() } else { bytes };
        if let Ok(read) = read(&fields) {
            prop_assert_eq!(read.fields(), fields);
        }
    }
}
