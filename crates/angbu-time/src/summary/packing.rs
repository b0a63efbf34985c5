//! The fields of a `time.summary` entry. Each packed field has exactly one form: what reads packs to the same bytes again.

use std::collections::BTreeMap;

use angbu_evidence::Hash;
use angbu_units::{AgentId, ClockVerdict, EntryId, Nanos, Ppb, UnixTime};

use super::hour::HOUR;
use super::{Hour, LONGEST, MinMax, Relied, Summary};
use crate::periods::{Period, Why};
use crate::record::DecodeError;
use crate::wire::{Reader, put_signed, put_varint};

/// The packing that this crate writes and reads.
const FORMAT: u8 = 1;

/// Why fields are not a summary's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// A field is not there, or is hidden.
    #[error("the field '{0}' is not shown")]
    Missing(&'static str),
    /// A field that should be a text of its kind (an id, an instant, a hash) is none.
    #[error("the field '{0}' is not what it should be")]
    Text(&'static str),
    /// A field cannot be unpacked.
    #[error("the field '{field}' cannot be unpacked: {why}")]
    Packing {
        /// Which.
        field: &'static str,
        /// Why not.
        why: DecodeError,
    },
    /// It ends before it begins, or not at whole hours, or its verdicts do not cover it, or its hours lie outside it.
    #[error("it does not say one thing of every instant from its beginning to its end")]
    Stretch,
}

impl Summary {
    /// The fields of the entry.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("agent", self.agent.to_string().into_bytes()),
            ("enrolment", self.enrolment.to_string().into_bytes()),
            ("settings", self.settings.to_string().into_bytes()),
            ("from", self.from.nanos().to_string().into_bytes()),
            ("to", self.to.nanos().to_string().into_bytes()),
            ("tolerances", pack_tolerances(&self.tolerances)),
            ("hours", pack_hours(&self.hours, self.from)),
            ("periods", pack_periods(&self.periods)),
            ("clock-states", pack_clock_states(&self.clock_states)),
            ("segments", self.segments.iter().flat_map(|id| id.to_bytes()).collect()),
            ("segments-root", self.root.to_string().into_bytes()),
        ]
    }

    /// Reads the fields of the entry; `field` looks one up by its name.
    ///
    /// # Errors
    /// [`SummaryError`] for fields that [`Self::fields`] does not make.
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, SummaryError> {
        let bytes = |name| field(name).ok_or(SummaryError::Missing(name));
        let packed = |field| move |why| SummaryError::Packing { field, why };
        let instant = |name| text::<i64>(name, bytes(name)?).map(UnixTime::from_nanos);
        let (from, to) = (instant("from")?, instant("to")?);
        let periods = unpack_periods(bytes("periods")?, from).map_err(packed("periods"))?;
        let hours = unpack_hours(bytes("hours")?, from).map_err(packed("hours"))?;
        let summary = Self {
            agent: text::<AgentId>("agent", bytes("agent")?)?,
            enrolment: text("enrolment", bytes("enrolment")?)?,
            settings: text("settings", bytes("settings")?)?,
            from,
            to,
            tolerances: unpack_tolerances(bytes("tolerances")?).map_err(packed("tolerances"))?,
            hours,
            periods,
            clock_states: unpack_clock_states(bytes("clock-states")?).map_err(packed("clock-states"))?,
            segments: unpack_segments(bytes("segments")?).map_err(packed("segments"))?,
            root: text::<Hash>("segments-root", bytes("segments-root")?)?,
        };
        summary.check()?;
        Ok(summary)
    }

    /// Whether its packed fields are as short as they should be.
    pub(super) fn is_short(&self) -> bool {
        pack_periods(&self.periods).len() <= LONGEST && pack_hours(&self.hours, self.from).len() <= LONGEST
    }

    /// Whether it says one thing of every instant, and of its own hours only.
    fn check(&self) -> Result<(), SummaryError> {
        let whole = |at: UnixTime| at.nanos().rem_euclid(HOUR.count()) == 0;
        let covered = self.periods.last().is_some_and(|last| last.to == self.to);
        let inside = self.hours.iter().all(|hour| self.from <= hour.begins && hour.begins < self.to);
        let good = self.from < self.to && whole(self.from) && whole(self.to) && covered && inside;
        if good { Ok(()) } else { Err(SummaryError::Stretch) }
    }
}

/// A value that has only one text.
fn text<T: std::str::FromStr + ToString>(name: &'static str, bytes: &[u8]) -> Result<T, SummaryError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SummaryError::Text(name))?;
    let value = text.parse().ok().filter(|value: &T| value.to_string() == text);
    value.ok_or(SummaryError::Text(name))
}

/// Each reason and its number, which never changes.
const WHYS: [Why; 18] = [
    Why::Within,
    Why::Outside,
    Why::NoData,
    Why::Silent,
    Why::Stopped,
    Why::Starting,
    Why::Unwatched,
    Why::Paused,
    Why::Alarm,
    Why::Moved,
    Why::Corrected,
    Why::Dropped,
    Why::Undecided,
    Why::Aged,
    Why::Wide,
    Why::Centre,
    Why::Twice,
    Why::NoTolerance,
];

/// Reason and reference in one byte: the reason's number, and 32 times the reference's.
fn head_of(period: &Period) -> u8 {
    let why = WHYS.iter().position(|why| *why == period.why).and_then(|place| u8::try_from(place).ok());
    let reference = match period.reference {
        None => 0,
        Some(ClockVerdict::Proven) => 1,
        Some(ClockVerdict::Declared) => 2,
        Some(ClockVerdict::Unproven) => 3,
    };
    why.unwrap_or(2) | reference << 5
}

/// For each: a byte, and how long.
fn pack_periods(periods: &[Period]) -> Vec<u8> {
    let mut out = vec![FORMAT];
    for period in periods {
        out.push(head_of(period));
        put_varint(&mut out, (period.to - period.from).count().unsigned_abs());
    }
    out
}

fn unpack_periods(bytes: &[u8], from: UnixTime) -> Result<Vec<Period>, DecodeError> {
    let mut reader = begin(bytes)?;
    let mut periods: Vec<Period> = Vec::new();
    let mut until = from;
    while !reader.is_empty() {
        let head = reader.u8()?;
        let why = *WHYS.get(usize::from(head & 0x1f)).ok_or(DecodeError::Flags(head))?;
        let reference = match head >> 5 {
            0 => None,
            1 => Some(ClockVerdict::Proven),
            2 => Some(ClockVerdict::Declared),
            3 => Some(ClockVerdict::Unproven),
            _ => return Err(DecodeError::Flags(head)),
        };
        let length = i64::try_from(reader.varint()?).ok().filter(|length| *length > 0);
        let end = length.and_then(|length| until.nanos().checked_add(length)).map(UnixTime::from_nanos);
        let to = end.ok_or(DecodeError::NotCanonical)?;
        // Two beside each other that say the same are one.
        if periods.last().is_some_and(|last| last.why == why && last.reference == reference) {
            return Err(DecodeError::NotCanonical);
        }
        periods.push(Period { from: until, to, verdict: why.verdict(), why, reference });
        until = to;
    }
    Ok(periods)
}

/// How many, then for each how long after the one before it held (the first: since 1970), and how large it was.
fn pack_tolerances(tolerances: &[(UnixTime, Nanos)]) -> Vec<u8> {
    let mut out = vec![FORMAT];
    let mut before = 0_i64;
    for (since, limit) in tolerances {
        put_signed(&mut out, since.nanos().wrapping_sub(before));
        put_signed(&mut out, limit.count());
        before = since.nanos();
    }
    out
}

fn unpack_tolerances(bytes: &[u8]) -> Result<Vec<(UnixTime, Nanos)>, DecodeError> {
    let mut reader = begin(bytes)?;
    let (mut tolerances, mut before) = (Vec::new(), 0_i64);
    while !reader.is_empty() {
        before = before.wrapping_add(reader.signed()?);
        tolerances.push((UnixTime::from_nanos(before), Nanos::new(reader.signed()?)));
    }
    let ordered = tolerances.windows(2).all(|pair| matches!(pair, [(one, _), (next, _)] if one <= next));
    if ordered { Ok(tolerances) } else { Err(DecodeError::NotCanonical) }
}

/// For each state in the order of ids: the id, how many exchanges, and the largest bound.
fn pack_clock_states(states: &BTreeMap<EntryId, Relied>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    for (id, relied) in states {
        out.extend(id.to_bytes());
        put_varint(&mut out, relied.exchanges);
        put_signed(&mut out, relied.bound.count());
    }
    out
}

fn unpack_clock_states(bytes: &[u8]) -> Result<BTreeMap<EntryId, Relied>, DecodeError> {
    let mut reader = begin(bytes)?;
    let mut states = BTreeMap::new();
    while !reader.is_empty() {
        let id = EntryId::from_bytes(reader.array()?);
        let relied = Relied { exchanges: reader.varint()?, bound: Nanos::new(reader.signed()?) };
        let follows = states.last_key_value().is_none_or(|(last, _)| *last < id);
        if !follows || relied.exchanges == 0 {
            return Err(DecodeError::NotCanonical);
        }
        states.insert(id, relied);
    }
    Ok(states)
}

fn unpack_segments(bytes: &[u8]) -> Result<Vec<EntryId>, DecodeError> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| EntryId::from_bytes(*id)).collect())
    } else {
        Err(DecodeError::Truncated)
    }
}

/// What the hour before lets expect of the next.
#[derive(Clone, Copy)]
struct Before {
    hour: u64,
    poll: i64,
    figures: [i64; FIGURES],
}

/// How many figures an hour has that resemble those of the hour before.
const FIGURES: usize = 8;

/// Its figures that resemble those of the hour before.
const fn figures(hour: &Hour) -> [i64; FIGURES] {
    [
        hour.offset.min.count(),
        hour.offset.max.count(),
        hour.offset_mean.count(),
        hour.spread.count(),
        hour.delay.min.count(),
        hour.delay_median.count(),
        hour.delay.max.count(),
        hour.bound.count(),
    ]
}

/// Bits of an hour's first byte.
const HAS_DRIFT: u8 = 1;
const ALL_PROVEN: u8 = 2;
const OTHER_POLL: u8 = 4;

/// For each hour: a first byte; how many hours lie between it and the one before; how many exchanges, and unless all are proven and
/// none late how many proven, late and refused; the first within the hour and the last from there; the poll interval if it is another; what
/// differs from the figures before; the drift.
fn pack_hours(hours: &[Hour], from: UnixTime) -> Vec<u8> {
    let mut out = vec![FORMAT];
    let mut before = Before { hour: 0, poll: 0, figures: [0; FIGURES] };
    for hour in hours {
        let number = (hour.begins - from).count() / HOUR.count();
        let number = u64::try_from(number).unwrap_or(0) + 1;
        let poll = hour.poll.count();
        let proven = hour.proven == hour.exchanges && hour.late == 0 && hour.refused == 0;
        out.push(
            if hour.drift.is_some() { HAS_DRIFT } else { 0 }
                | if proven { ALL_PROVEN } else { 0 }
                | if poll == before.poll { 0 } else { OTHER_POLL },
        );
        put_varint(&mut out, number.saturating_sub(before.hour).saturating_sub(1));
        put_varint(&mut out, hour.exchanges);
        if !proven {
            for count in [hour.proven, hour.late, hour.refused] {
                put_varint(&mut out, count);
            }
        }
        put_varint(&mut out, (hour.first - hour.begins).count().unsigned_abs());
        put_varint(&mut out, (hour.last - hour.first).count().unsigned_abs());
        if poll != before.poll {
            put_signed(&mut out, poll);
        }
        let figures = figures(hour);
        for (now, then) in figures.iter().zip(before.figures) {
            put_signed(&mut out, now.wrapping_sub(then));
        }
        if let Some(drift) = hour.drift {
            put_signed(&mut out, drift.count());
        }
        before = Before { hour: number, poll, figures };
    }
    out
}

fn unpack_hours(bytes: &[u8], from: UnixTime) -> Result<Vec<Hour>, DecodeError> {
    let mut reader = begin(bytes)?;
    let mut hours = Vec::new();
    let mut before = Before { hour: 0, poll: 0, figures: [0; FIGURES] };
    while !reader.is_empty() {
        hours.push(unpack_hour(&mut reader, &mut before, from)?);
    }
    // Whatever has a second form is none.
    if pack_hours(&hours, from) == bytes { Ok(hours) } else { Err(DecodeError::NotCanonical) }
}

fn unpack_hour(reader: &mut Reader<'_>, before: &mut Before, from: UnixTime) -> Result<Hour, DecodeError> {
    let head = reader.u8()?;
    if head > (HAS_DRIFT | ALL_PROVEN | OTHER_POLL) {
        return Err(DecodeError::Flags(head));
    }
    let number = before.hour.checked_add(1).and_then(|next| next.checked_add(reader.varint().ok()?));
    let length = number.and_then(|number| i64::try_from(number - 1).ok()?.checked_mul(HOUR.count()));
    let begins = length.and_then(|length| from.nanos().checked_add(length));
    let begins = begins.map(UnixTime::from_nanos).ok_or(DecodeError::NotCanonical)?;
    let exchanges = reader.varint()?;
    let [proven, late, refused] = if head & ALL_PROVEN != 0 {
        [exchanges, 0, 0]
    } else {
        [reader.varint()?, reader.varint()?, reader.varint()?]
    };
    let first = after(begins, reader.varint()?)?;
    let last = after(first, reader.varint()?)?;
    if last - begins >= HOUR || exchanges == 0 {
        return Err(DecodeError::NotCanonical);
    }
    let poll = if head & OTHER_POLL != 0 { reader.signed()? } else { before.poll };
    let mut figures = [0; FIGURES];
    for (now, then) in figures.iter_mut().zip(before.figures) {
        *now = reader.signed()?.wrapping_add(then);
    }
    let drift = if head & HAS_DRIFT != 0 { Some(Ppb::new(reader.signed()?)) } else { None };
    *before = Before { hour: number.unwrap_or(u64::MAX), poll, figures };
    let [offset_min, offset_max, mean, spread, delay_min, delay_median, delay_max, bound] =
        figures.map(Nanos::new);
    Ok(Hour {
        begins,
        exchanges,
        proven,
        late,
        refused,
        first,
        last,
        poll: Nanos::new(poll),
        offset: MinMax { min: offset_min, max: offset_max },
        offset_mean: mean,
        spread,
        delay: MinMax { min: delay_min, max: delay_max },
        delay_median,
        bound,
        drift,
    })
}

fn after(at: UnixTime, length: u64) -> Result<UnixTime, DecodeError> {
    let end = i64::try_from(length).ok().and_then(|length| at.nanos().checked_add(length));
    end.map(UnixTime::from_nanos).ok_or(DecodeError::NotCanonical)
}

fn begin(bytes: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        FORMAT => Ok(reader),
        other => Err(DecodeError::Format(other)),
    }
}
