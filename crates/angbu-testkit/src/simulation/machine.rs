//! A machine's oscillator and its kernel's clock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use angbu_time::kernel_clock::{KernelClock, KernelError, KernelState, MAX_SLEW, MAX_TICK_FREQUENCY, Status};
use angbu_time::packet::Leap;
use angbu_units::{Clock, Monotonic, Nanos, Ppb, Reading, UnixTime};

use super::Chance;

/// Nanoseconds in a second.
const S: f64 = 1e9;
const SECOND: i64 = 1_000_000_000;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// What a crystal does.
#[derive(Debug, Clone, PartialEq)]
pub struct Oscillator {
    /// How fast it runs, always.
    pub drift: Ppb,
    /// How far its rate walks at random, ppb in the square root of a second.
    pub wander: f64,
    /// How far its rate swings with the temperature of the room, to both sides.
    pub swing: Ppb,
    /// How long one such swing takes.
    pub period: Nanos,
    /// How far apart the two clocks of one reading are read (standard deviation).
    pub reading_jitter: Nanos,
}

impl Oscillator {
    /// One that is right and is read at once.
    pub const fn ideal() -> Self {
        Self {
            drift: Ppb::new(0),
            wander: 0.0,
            swing: Ppb::new(0),
            period: Nanos::from_secs(DAY),
            reading_jitter: Nanos::ZERO,
        }
    }

    /// A server's: within 30 ppm (by the seed), a wander of 0.3 ppb, a swing of 0.5 ppm in a day, readings to 100 ns.
    pub fn ordinary(seed: u64) -> Self {
        Self {
            drift: Ppb::new(Chance::new(seed, 1).between(-30_000.0, 30_000.0) as i64),
            wander: 0.3,
            swing: Ppb::new(500),
            reading_jitter: Nanos::new(100),
            ..Self::ideal()
        }
    }
}

/// What the kernel keeps of its discipline, as `kernel/time/ntp.c` does: what is left of a phase correction is worked off
/// by 1 / 2^(2 + constant) of it at each second of the kernel's.
#[derive(Debug, Clone)]
pub struct Kernel {
    frequency: Ppb,
    /// Left of a phase correction, after the second that runs.
    offset: f64,
    constant: i32,
    /// Left of an `adjtime`, after the second that runs, µs.
    adjtime: i64,
    /// What the second that runs is made longer by, ns.
    slewing: f64,
    /// How much of the second that runs is left, in its own nanoseconds.
    left: f64,
    status: Status,
    synchronised: bool,
    estimated_error: Nanos,
    max_error: Nanos,
    leap: Leap,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// The walk's own, so that a crystal walks alike whatever reads it.
    steps: Chance,
    oscillator: Oscillator,
    /// True time at the start, UTC.
    epoch: UnixTime,
    /// True seconds since then, leap seconds counted.
    elapsed: i64,
    walked: f64,
    /// What the clock that nobody can set counts as spent suspended.
    slept: i64,
    /// The bare oscillator, and what is below its nanosecond.
    raw: (i64, f64),
    /// The wall clock, and what is below its nanosecond.
    wall: (i64, f64),
    latest: i64,
    kernel: Kernel,
    permitted: bool,
}

/// A machine. Time passes in it only by [`Machine::advance`] and [`Machine::suspend`]; everything else takes none.
/// It is the [`Clock`] and the [`KernelClock`] that the cores are given.
#[derive(Debug)]
pub struct Machine(Mutex<State>);

impl Machine {
    /// A machine whose wall clock is right at `epoch`, true time in UTC. The kernel is as it is after a start.
    pub fn new(seed: u64, oscillator: Oscillator, epoch: UnixTime) -> Self {
        let kernel = Kernel {
            frequency: Ppb::new(0),
            offset: 0.0,
            constant: 2,
            adjtime: 0,
            slewing: 0.0,
            left: S - epoch.nanos().rem_euclid(1_000_000_000) as f64,
            status: Status::default(),
            synchronised: false,
            estimated_error: Nanos::from_secs(16),
            max_error: Nanos::from_secs(16),
            leap: Leap::None,
        };
        Self(Mutex::new(State {
            chance: Chance::new(seed, 2),
            steps: Chance::new(seed, 6),
            oscillator,
            epoch,
            elapsed: 0,
            walked: 0.0,
            slept: 0,
            raw: (5_000_000_000, 0.0),
            wall: (epoch.nanos(), 0.0),
            latest: i64::MIN,
            kernel,
            permitted: true,
        }))
    }

    /// Lets true time pass.
    pub fn advance(&self, length: Nanos) {
        self.state().advance(length.count());
    }

    /// True time passes and the processor sleeps; what the machine's own reckoning of that is wrong by, in both of its clocks.
    pub fn suspend(&self, length: Nanos, wrong_by: Nanos) {
        let mut state = self.state();
        state.elapsed += length.count();
        let slept = (length + wrong_by).count();
        state.slept += slept;
        state.raw.0 += slept;
        state.wall.0 += slept;
    }

    /// True time passes and the machine stands still without knowing it, as a virtual machine does that is held or moved.
    pub fn stand_still(&self, length: Nanos) {
        self.state().elapsed += length.count();
    }

    /// What the machine counts as spent suspended.
    pub fn suspended(&self) -> Nanos {
        Nanos::new(self.state().slept)
    }

    /// How far apart the two clocks of a reading may be read.
    pub fn reading_noise(&self) -> Nanos {
        self.state().oscillator.reading_jitter.times(5)
    }

    /// Somebody sets the clock forward by this (`settimeofday`), or back.
    pub fn move_by_hand(&self, by: Nanos) {
        self.state().wall.0 += by.count();
    }

    /// Somebody calls `adjtime(3)`, which replaces what was left of the one before.
    pub fn adjtime(&self, micros: i64) {
        self.state().kernel.adjtime = micros;
    }

    /// Another crystal from now on; what it walked so far stays.
    pub fn replace_oscillator(&self, oscillator: Oscillator) {
        self.state().oscillator = oscillator;
    }

    /// Whether the process may set the clock; it may at first.
    pub fn permit(&self, permitted: bool) {
        self.state().permitted = permitted;
    }

    /// True time that passed since the start, leap seconds counted.
    pub fn elapsed(&self) -> Nanos {
        Nanos::new(self.state().elapsed)
    }

    /// What the wall clock shows, without taking time or chance.
    pub fn wall(&self) -> UnixTime {
        UnixTime::from_nanos(self.state().wall.0)
    }

    /// The start, and what would be true time without a leap second.
    pub fn atomic(&self) -> UnixTime {
        let state = self.state();
        state.epoch + Nanos::new(state.elapsed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permitted(&self) -> Result<MutexGuard<'_, State>, KernelError> {
        let state = self.state();
        if state.permitted { Ok(state) } else { Err(KernelError::NotPermitted) }
    }
}

impl State {
    fn advance(&mut self, mut length: i64) {
        while length > 0 {
            // No longer than a true second lasts, nor than the kernel's.
            let most = self.kernel.left.ceil().clamp(1.0, S) as i64;
            let piece = length.min(most).min(SECOND - self.elapsed.rem_euclid(SECOND));
            length -= piece;
            self.elapsed += piece;
            let seconds = piece as f64 / S;
            if self.elapsed.rem_euclid(SECOND) == 0 {
                self.walked += self.steps.normal(self.oscillator.wander);
            }
            let turn = self.elapsed as f64 / self.oscillator.period.count() as f64;
            let swing = self.oscillator.swing.count() as f64 * (turn * std::f64::consts::TAU).sin();
            let rate = self.oscillator.drift.count() as f64 + self.walked + swing;
            let raw = piece as f64 + rate * seconds;
            add(&mut self.raw, raw);
            let changed = self.kernel.frequency.count() as f64 + self.kernel.slewing;
            let wall = raw + raw / S * changed;
            add(&mut self.wall, wall);
            self.kernel.left -= wall;
            if self.kernel.left < 0.5 {
                self.second();
            }
        }
    }

    /// `second_overflow` of the kernel.
    fn second(&mut self) {
        let kernel = &mut self.kernel;
        let share = kernel.offset / f64::from(1 << (2 + kernel.constant));
        // Less than a nanosecond is worked off whole, as integers do.
        kernel.slewing = if kernel.offset.abs() < 1.0 { 0.0 } else { share };
        kernel.offset -= kernel.slewing;
        let adjusted = kernel.adjtime.clamp(-500, 500);
        kernel.adjtime -= adjusted;
        kernel.slewing += (adjusted * 1_000) as f64;
        kernel.max_error = kernel.max_error + Nanos::from_micros(500);
        if kernel.max_error >= Nanos::from_secs(16) {
            kernel.synchronised = false;
        }
        let second = (self.wall.0 + 500_000_000).div_euclid(1_000_000_000);
        match kernel.leap {
            Leap::Insert if second.rem_euclid(DAY) == 0 => {
                self.wall.0 -= 1_000_000_000;
                kernel.leap = Leap::None;
            }
            Leap::Delete if second.rem_euclid(DAY) == DAY - 1 => {
                self.wall.0 += 1_000_000_000;
                kernel.leap = Leap::None;
            }
            _ => {}
        }
        let into = self.wall.0.rem_euclid(1_000_000_000);
        kernel.left = if into > 999_999_000 { 2.0 * S } else { S } - into as f64;
    }
}

/// Adds to a count of nanoseconds and what is below one.
fn add(clock: &mut (i64, f64), more: f64) {
    let sum = clock.1 + more;
    clock.0 += sum.floor() as i64;
    clock.1 = sum - sum.floor();
}

impl Clock for Machine {
    fn read(&self) -> Reading {
        let mut state = self.state();
        let jitter = state.oscillator.reading_jitter.count() as f64;
        let apart = state.chance.normal(jitter) as i64;
        state.latest = state.latest.max(state.raw.0 + apart);
        Reading { wall: UnixTime::from_nanos(state.wall.0), monotonic: Monotonic::from_nanos(state.latest) }
    }
}

impl KernelClock for Machine {
    fn state(&self) -> Result<KernelState, KernelError> {
        let state = Machine::state(self);
        let kernel = &state.kernel;
        Ok(KernelState {
            synchronised: kernel.synchronised,
            frequency: kernel.frequency,
            offset: Nanos::new(kernel.offset as i64),
            adjtime: Nanos::from_micros(kernel.adjtime),
            status: kernel.status,
            estimated_error: kernel.estimated_error,
            max_error: kernel.max_error,
            leap: kernel.leap,
            tai_offset: 37,
        })
    }

    fn set_frequency(&self, frequency: Ppb) -> Result<(), KernelError> {
        let most = MAX_TICK_FREQUENCY.count();
        self.permitted()?.kernel.frequency = Ppb::new(frequency.count().clamp(-most, most));
        Ok(())
    }

    fn slew(&self, offset: Nanos, at_most: Ppb) -> Result<(), KernelError> {
        let mut state = self.permitted()?;
        let most = MAX_SLEW.count();
        let offset = offset.count().clamp(-most, most);
        let kernel = &mut state.kernel;
        kernel.adjtime = 0;
        kernel.offset = offset as f64;
        kernel.constant = (0..=10).find(|c| offset.abs() >> (2 + c) <= at_most.count()).unwrap_or(10);
        kernel.status = Status { pll: true, nano: true, frequency_held: true, pps: false };
        Ok(())
    }

    fn step(&self, offset: Nanos) -> Result<(), KernelError> {
        let mut state = self.permitted()?;
        state.wall.0 += offset.count();
        // As the kernel does whenever its clock is set (`ntp_clear`), what was under way included.
        (state.kernel.offset, state.kernel.adjtime, state.kernel.slewing) = (0.0, 0, 0.0);
        state.kernel.left = S - state.wall.0.rem_euclid(1_000_000_000) as f64;
        Ok(())
    }

    fn set_leap(&self, leap: Leap) -> Result<(), KernelError> {
        self.permitted()?.kernel.leap = if leap == Leap::Unknown { Leap::None } else { leap };
        Ok(())
    }

    fn declare(
        &self,
        estimated_error: Nanos,
        max_error: Nanos,
        synchronised: bool,
    ) -> Result<(), KernelError> {
        let mut state = self.permitted()?;
        let kernel = &mut state.kernel;
        (kernel.estimated_error, kernel.max_error, kernel.synchronised) =
            (estimated_error, max_error, synchronised);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: UnixTime = UnixTime::from_nanos(1_763_762_721_250_000_000);

    fn error(machine: &Machine) -> i64 {
        (machine.wall() - machine.atomic()).count()
    }

    #[test]
    fn an_ideal_machine_is_right_and_a_drifting_one_drifts() {
        for (drift, expected) in [(0, 0), (20_000, 72_000_000), (-100_000, -360_000_000)] {
            let machine =
                Machine::new(1, Oscillator { drift: Ppb::new(drift), ..Oscillator::ideal() }, EPOCH);
            machine.advance(Nanos::from_secs(3_600));
            assert!((error(&machine) - expected).abs() < 10, "{}", error(&machine));
        }
    }

    #[test]
    fn the_kernel_slews_as_linux_does() {
        let machine = Machine::new(1, Oscillator::ideal(), EPOCH);
        machine.slew(Nanos::from_millis(1), Ppb::new(500_000)).unwrap();
        machine.advance(Nanos::from_secs(1));
        let left = KernelClock::state(&machine).unwrap().offset;
        assert_eq!(left, Nanos::from_micros(750), "a quarter in the first second, which is 250 ppm");
        machine.advance(Nanos::from_secs(60));
        // A second of the kernel's ends by the slewed clock, so that a ten-thousandth of the slew gets lost.
        assert!((error(&machine) - 1_000_000).abs() < 200, "{}", error(&machine));
        machine.slew(Nanos::from_millis(-40), Ppb::new(500_000)).unwrap();
        machine.advance(Nanos::from_millis(1_750));
        let before = error(&machine);
        machine.advance(Nanos::from_secs(1));
        let rate = error(&machine) - before;
        assert!((-500_000..-200_000).contains(&rate), "no faster than it was told: {rate}");
    }

    #[test]
    fn a_leap_second_is_inserted_at_midnight() {
        let before = UnixTime::parse_rfc3339("2026-12-31T23:59:50Z").unwrap();
        let machine = Machine::new(1, Oscillator::ideal(), before);
        machine.set_leap(Leap::Insert).unwrap();
        machine.advance(Nanos::from_millis(9_999));
        assert_eq!(error(&machine), 0);
        machine.advance(Nanos::from_millis(2));
        assert_eq!(error(&machine), -1_000_000_000);
        machine.advance(Nanos::from_secs(90_000));
        assert_eq!(error(&machine), -1_000_000_000, "once");
    }
}
