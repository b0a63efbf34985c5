//! What a run leaves behind, so that the next can tell that the clock was moved in between.
//!
//! While the machine was not started anew, the clock that nobody can set runs on between two runs, and the next one looks back
//! as over a pause. After a new start of the machine it began at zero: then a clock that shows less than it did was certainly
//! set back, and anything else is told at the first exchange, where the wall clock's way since must be the server's, give or
//! take what a machine's battery-backed clock is worth.

use angbu_units::{Monotonic, Nanos, NtpServerId, Ppb, Reading, UnixTime};

use super::reference::Shown;
use super::{Finding, Look, SUSPENSION, Watch};
use crate::packet::Leap;
use crate::periods;
use crate::record::{AlarmKind, DecodeError};
use crate::wire::Reader;

/// The format of the bytes.
const FORMAT: u8 = 1;

/// How far a time service's idea of the oscillator's rate may change while nobody looks.
const RATE_KNOWN: Ppb = Ppb::new(20_000);

/// What is kept of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Which start of the machine it belongs to: 16 bytes that differ from start to start.
    pub boot: [u8; 16],
    /// Both clocks.
    pub reading: Reading,
    /// How much of the monotonic clock was spent suspended.
    pub suspended: Nanos,
    /// The kernel's frequency, if the kernel says anything.
    pub frequency: Option<Ppb>,
    /// Whether a time service kept the clock.
    pub kept: bool,
    /// The server that last showed the clock: its clock minus this machine's as reckoned for this look, and how far that can be
    /// wrong.
    pub shown: Option<(NtpServerId, Nanos, Nanos)>,
}

impl Memory {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend(self.boot);
        out.extend(self.reading.wall.nanos().to_be_bytes());
        out.extend(self.reading.monotonic.nanos().to_be_bytes());
        out.extend(self.suspended.count().to_be_bytes());
        out.push(u8::from(self.kept));
        out.push(u8::from(self.frequency.is_some()));
        out.extend(self.frequency.unwrap_or_default().count().to_be_bytes());
        out.push(u8::from(self.shown.is_some()));
        if let Some((server, offset, bound)) = self.shown {
            out.extend(server.as_bytes());
            out.extend(offset.count().to_be_bytes());
            out.extend(bound.count().to_be_bytes());
        }
        out
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that [`Self::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            FORMAT => {}
            other => return Err(DecodeError::Format(other)),
        }
        let boot = reader.array()?;
        let wall = UnixTime::from_nanos(reader.i64()?);
        let monotonic = Monotonic::from_nanos(reader.i64()?);
        let suspended = Nanos::new(reader.i64()?);
        let kept = reader.flag()?;
        let known = reader.flag()?;
        let frequency = Ppb::new(reader.i64()?);
        if !known && frequency != Ppb::default() {
            return Err(DecodeError::NotCanonical);
        }
        let shown = if reader.flag()? {
            let server = NtpServerId::from_bytes(reader.array()?);
            Some((server, Nanos::new(reader.i64()?), Nanos::new(reader.i64()?)))
        } else {
            None
        };
        reader.end()?;
        let reading = Reading { wall, monotonic };
        Ok(Self { boot, reading, suspended, frequency: known.then_some(frequency), kept, shown })
    }

    fn look(&self) -> Look {
        Look { suspended: self.suspended, ..Look::from(self.reading) }
    }
}

impl Watch {
    /// What the next run should know; `shown` is what the server's clock is ahead by now, as reckoned.
    pub fn memory(&self, boot: [u8; 16], shown: Option<(NtpServerId, Nanos, Nanos)>) -> Memory {
        Memory {
            boot,
            // The next run begins anew and knows nothing of this one's leap seconds.
            reading: Reading { wall: self.last.reading.wall - self.leapt, ..self.last.reading },
            suspended: self.last.suspended,
            frequency: self.last.kernel.map(|state| state.frequency),
            kept: self.kept(&self.last),
            shown,
        }
    }

    /// What happened since the run before, as far as that can be told now. What cannot is told at the first exchange.
    pub fn recall(&mut self, memory: &Memory, boot: [u8; 16]) -> Option<Finding> {
        if memory.boot != boot || memory.reading.monotonic > self.last.reading.monotonic {
            return self.recall_another_life(memory);
        }
        if memory.kept {
            self.disciplined = self.disciplined.or(Some(memory.reading.monotonic));
        }
        let before = memory.look();
        let length = self.last.reading.monotonic - before.reading.monotonic;
        let awake = length - (self.last.suspended - before.suspended);
        let rates = [memory.frequency, self.last.kernel.map(|state| state.frequency)];
        let (low, high, rate) = match rates {
            [Some(was), Some(is)] => {
                let kept = memory.kept || self.kept(&self.last);
                let known = if kept { RATE_KNOWN } else { self.limits.wander };
                (was.min(is).over(awake), was.max(is).over(awake), known)
            }
            _ => (Nanos::ZERO, Nanos::ZERO, self.limits.slew),
        };
        let mut allowed = self.limits.tmax + rate.over(awake);
        if let Some((server, offset, bound)) = memory.shown {
            let shown = Shown { server, offset, bound, leap: Leap::None };
            self.references.recall(&before, memory.frequency, shown);
            if memory.kept {
                // What was shown to be wrong may have been put right.
                allowed = allowed + offset.abs() + bound;
            }
        }
        let gained = super::gained(&before, &self.last);
        let difference = if gained > high { gained - high } else { (gained - low).min(Nanos::ZERO) };
        (difference.abs() > allowed).then(|| self.moved_while_down(difference, length))
    }

    /// The machine was started anew since.
    fn recall_another_life(&mut self, memory: &Memory) -> Option<Finding> {
        let set_back = self.last.reading.wall - memory.reading.wall;
        if set_back < Nanos::ZERO - self.limits.tmax {
            return Some(self.moved_while_down(set_back, Nanos::ZERO));
        }
        self.another_life = memory.shown.map(|(_, offset, bound)| (memory.reading.wall, offset, bound));
        None
    }

    /// The first exchange after the machine's start: whether the wall clock came as far as the server's.
    pub(super) fn first_exchange(&mut self, shown: &Shown) -> Option<Finding> {
        let (wall, offset, bound) = self.another_life.take()?;
        let way = self.last.reading.wall - wall;
        let down = way + shown.offset - offset;
        let difference = way - down;
        let allowed = SUSPENSION + bound + shown.bound + periods::DRIFT.over(down.abs());
        (difference.abs() > allowed).then(|| self.moved_while_down(difference, down.max(Nanos::ZERO)))
    }

    fn moved_while_down(&mut self, difference: Nanos, since: Nanos) -> Finding {
        self.undo.step = self.undo.step - difference;
        Finding::Alarm { kind: AlarmKind::MovedWhileDown, difference, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Limits;
    use proptest::prelude::*;

    const BOOT: [u8; 16] = [1; 16];
    const SERVER: NtpServerId = NtpServerId::from_bytes([7; 16]);

    fn reading(wall_millis: i64, seconds: i64) -> Reading {
        let wall = UnixTime::from_nanos(1_800_000_000_000_000_000 + wall_millis * 1_000_000);
        Reading { wall, monotonic: Monotonic::from_nanos(seconds * 1_000_000_000) }
    }

    /// A run that ended at the machine's 1,010th second, on a machine whose server was then ahead by a second.
    fn memory() -> Memory {
        let watch = Watch::start(Limits::default(), reading(10_000, 1_010).into());
        watch.memory(BOOT, Some((SERVER, Nanos::from_secs(1), Nanos::from_millis(1))))
    }

    #[track_caller]
    fn check(boot: [u8; 16], now: Reading, expected: Option<i64>) {
        let mut watch = Watch::start(Limits::default(), now.into());
        let found = watch.recall(&memory(), boot).map(|finding| match finding {
            Finding::Alarm { kind: AlarmKind::MovedWhileDown, difference, .. } => {
                difference.count() / 1_000_000
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(found, expected);
        // What was done can be undone.
        assert_eq!(watch.take_undo().map(|undo| undo.step.count() / 1_000_000), expected.map(|by| -by));
    }

    #[test]
    fn in_the_same_boot_the_oscillator_ran_on() {
        check(BOOT, reading(70_000, 1_070), None);
        // 10 ms and, where no kernel says anything, 500 ppm of the minute.
        check(BOOT, reading(70_039, 1_070), None);
        check(BOOT, reading(70_041, 1_070), Some(41));
        check(BOOT, reading(-3_530_000, 1_070), Some(-3_600_000));
    }

    #[test]
    fn after_another_boot_only_a_clock_that_was_set_back_is_certain() {
        check([2; 16], reading(10_000, 3), None);
        check([2; 16], reading(9_000_000, 3), None);
        check([2; 16], reading(8_000, 3), Some(-2_000));
        // The same id, and yet a clock that began anew: a machine that was put back to an earlier state.
        check(BOOT, reading(8_000, 3), Some(-2_000));
    }

    #[test]
    fn after_another_boot_the_first_exchange_tells_the_rest() {
        for (offset_millis, expected) in
            [(1_000, None), (2_900, None), (-31_000, Some(32)), (61_000, Some(-60))]
        {
            let mut watch = Watch::start(Limits::default(), reading(100_000, 3).into());
            assert_eq!(watch.recall(&memory(), [2; 16]), None);
            let shown = |offset: i64| Shown {
                server: SERVER,
                offset: Nanos::from_millis(offset),
                bound: Nanos::from_millis(1),
                leap: Leap::None,
            };
            let found = watch.shown(shown(offset_millis));
            let seconds = found.first().map(|finding| match finding {
                Finding::Alarm { kind: AlarmKind::MovedWhileDown, difference, .. } => {
                    difference.count() / 1_000_000_000
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(seconds, expected, "{offset_millis} ms");
            assert_eq!(watch.shown(shown(offset_millis)), [], "it is told once");
        }
    }

    #[test]
    fn bytes_that_nobody_wrote_are_refused() {
        let bytes = memory().encode();
        for length in 0..bytes.len() {
            assert!(Memory::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        let with = |place: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[place] = byte;
            Memory::decode(&bytes)
        };
        assert_eq!(with(0, 2), Err(DecodeError::Format(2)));
        // A flag is 0 or 1, and a frequency that is not known is zero.
        assert_eq!(with(41, 2), Err(DecodeError::Flags(2)));
        assert_eq!(with(43, 1), Err(DecodeError::NotCanonical));
        assert!(Memory::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn memories_read_back(
            boot: [u8; 16], wall: i64, monotonic: i64, suspended: i64, frequency: Option<i64>, kept: bool,
            shown: Option<([u8; 16], i64, i64)>,
        ) {
            let memory = Memory {
                boot,
                reading: Reading { wall: UnixTime::from_nanos(wall), monotonic: Monotonic::from_nanos(monotonic) },
                suspended: Nanos::new(suspended),
                frequency: frequency.map(Ppb::new),
                kept,
                shown: shown.map(|(id, offset, bound)| {
                    (NtpServerId::from_bytes(id), Nanos::new(offset), Nanos::new(bound))
                }),
            };
            prop_assert_eq!(Memory::decode(&memory.encode()), Ok(memory));
        }
    }
}
