//! The reference clock beside the machine, as configured: what it shows, once a second.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use angbu_agent::refclock::chrony::{self, ChronyError};
use angbu_agent::refclock::pps::{Device, Pulses};
use angbu_agent::refclock::shm::{Sample, SharedMemory, ShmError};
use angbu_time::centre_clock::{SourceKind, SourceReading, Upstream};
use angbu_time::exchange::precision_length;
use angbu_time::packet::Leap;
use angbu_time::reference::{self, Readings};
use angbu_time::selection::Interval;
use angbu_units::{Monotonic, Nanos, Reading, UnixTime};

use crate::config::{self, ClockConfig};

/// How old a reading may be to be one of now.
const FRESH: Nanos = Nanos::from_secs(5);
/// The precision that a reading of this machine's clock adds, log2 seconds.
const PRECISION: i8 = -24;
/// What reading two clocks one after the other leaves open.
const READ: Nanos = Nanos::new(500);

/// Why a reference clock shows nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReferenceError {
    #[error(transparent)]
    Shm(#[from] ShmError),
    #[error(transparent)]
    Chrony(#[from] ChronyError),
    #[error("cannot read the pulses of {path}: {source}; check that the device exists and may be read")]
    Pps { path: PathBuf, source: io::Error },
    #[error("no new reading came for {0}")]
    Old(Nanos),
    #[error("too few readings yet")]
    TooFew,
    #[error("chronyd's own clock is not synchronised")]
    Unsynchronised,
    #[error("no other source shows well enough which second a pulse begins")]
    NoSecond,
}

/// What a reference clock told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) shown: SourceReading,
    pub(crate) reference_id: [u8; 4],
}

/// A configured reference clock.
pub(crate) struct Reference {
    id: [u8; 4],
    accuracy: Nanos,
    holdover: Nanos,
    readings: Readings,
    /// The leap second that the newest reading announced.
    leap: Leap,
    /// When the newest reading was, by the monotonic clock.
    newest: Option<Monotonic>,
    /// The look before, which shows how the wall clock runs beside the oscillator.
    before: Option<Reading>,
    device: Kind,
}

enum Kind {
    Shm { unit: u8, memory: Option<SharedMemory>, last: Option<Sample> },
    Pps { path: PathBuf, pulses: Option<Box<dyn Pulses>>, last: u32 },
    Chrony(SocketAddr),
}

impl Reference {
    /// The one that is configured, if one is measured. A declared clock is none.
    pub(crate) fn configured(config: &ClockConfig) -> Option<Self> {
        let device = match config.reference? {
            config::Reference::Declared => return None,
            config::Reference::Shm => Kind::Shm { unit: config.shm_unit, memory: None, last: None },
            config::Reference::Pps => Kind::Pps { path: config.pps_device.clone(), pulses: None, last: 0 },
            config::Reference::Chrony => Kind::Chrony(config.chrony_address),
        };
        let standard = match device {
            Kind::Shm { .. } => *b"SHM\0",
            Kind::Pps { .. } => *b"PPS\0",
            // It says its own.
            Kind::Chrony(_) => [0; 4],
        };
        Some(Self {
            id: config.reference_id.map_or(standard, config::ReferenceId::bytes),
            accuracy: config.accuracy.unwrap_or_default(),
            holdover: config.holdover,
            readings: Readings::default(),
            leap: Leap::None,
            newest: None,
            before: None,
            device,
        })
    }

    /// As the watch over the clock knows it.
    pub(crate) fn as_source(&self) -> Upstream {
        let kind = match self.device {
            Kind::Chrony(_) => SourceKind::Daemon,
            Kind::Shm { .. } | Kind::Pps { .. } => SourceKind::Receiver { holdover: self.holdover },
        };
        let name = match &self.device {
            Kind::Shm { unit, .. } => format!("SHM {unit}"),
            Kind::Pps { path, .. } => format!("PPS {}", path.display()),
            Kind::Chrony(address) => format!("chrony {address}"),
        };
        Upstream { name, reference_id: self.id, kind }
    }

    /// What it shows at `now`. `others` is what the other sources agree on.
    pub(crate) fn look(
        &mut self,
        now: Reading,
        others: &dyn Fn() -> Option<Interval>,
    ) -> Result<Told, ReferenceError> {
        let told = self.look_at(now, others);
        self.before = Some(now);
        told
    }

    fn look_at(
        &mut self,
        now: Reading,
        others: &dyn Fn() -> Option<Interval>,
    ) -> Result<Told, ReferenceError> {
        match &mut self.device {
            Kind::Chrony(address) => believed(*address),
            Kind::Shm { unit, memory, last } => {
                let attached = match memory {
                    Some(attached) => attached,
                    None => memory.insert(SharedMemory::attach(*unit)?),
                };
                match attached.read() {
                    Ok(sample) if *last != Some(sample) => {
                        *last = Some(sample);
                        self.leap = sample.leap;
                        self.take(sample.received, sample.clock, now);
                    }
                    // Whoever wrote it may have made another segment meanwhile.
                    Ok(_) if self.is_old(now) => self.detach(),
                    Ok(_) | Err(ShmError::Nothing) => {}
                    Err(error) => return Err(error.into()),
                }
                self.estimate(now)
            }
            Kind::Pps { path, pulses, last } => {
                let failed = |source| ReferenceError::Pps { path: path.clone(), source };
                let opened = match pulses {
                    Some(opened) => opened,
                    None => pulses.insert(Box::new(Device::open(path).map_err(failed)?)),
                };
                let pulse = match opened.fetch() {
                    Ok(pulse) => pulse,
                    Err(error) => {
                        *pulses = None;
                        return Err(failed(error));
                    }
                };
                if pulse.sequence != *last {
                    *last = pulse.sequence;
                    let known = others().ok_or(ReferenceError::NoSecond)?;
                    let second = reference::second_of(pulse.at, known.low, known.high);
                    self.take(pulse.at, second.ok_or(ReferenceError::NoSecond)?, now);
                }
                self.estimate(now)
            }
        }
    }

    /// A reading: what the reference showed when the wall clock showed `received`.
    fn take(&mut self, received: UnixTime, clock: UnixTime, now: Reading) {
        let age = now.wall - received;
        // An old reading, or one of a wall clock that was set since.
        if age < Nanos::ZERO || age > FRESH {
            return;
        }
        let at = now.monotonic + (Nanos::ZERO - self.by_oscillator(age, now));
        self.readings.push(reference::Shown { at, time: clock });
        self.newest = Some(at);
    }

    /// How long that was by the oscillator, which the wall clock need not follow: a time service slews it by up to 500 ppm.
    fn by_oscillator(&self, age: Nanos, now: Reading) -> Nanos {
        let Some(before) = self.before else { return age };
        let (wall, monotonic) = (now.wall - before.wall, now.monotonic - before.monotonic);
        // A wall clock that was set between the two looks shows nothing of its rate.
        if wall <= Nanos::ZERO || (wall - monotonic).abs() > Nanos::from_millis(1) {
            return age;
        }
        let scaled = i128::from(age.count()) * i128::from(monotonic.count()) / i128::from(wall.count());
        i64::try_from(scaled).map_or(age, Nanos::new)
    }

    fn is_old(&self, now: Reading) -> bool {
        self.newest.is_none_or(|newest| now.monotonic - newest > FRESH)
    }

    fn detach(&mut self) {
        if let Kind::Shm { memory, .. } = &mut self.device {
            *memory = None;
        }
    }

    fn estimate(&mut self, now: Reading) -> Result<Told, ReferenceError> {
        if self.is_old(now) {
            return Err(ReferenceError::Old(FRESH));
        }
        let found = self.readings.estimate(now).ok_or(ReferenceError::TooFew)?;
        let bound = self.accuracy + found.jitter + precision_length(PRECISION) + READ;
        let shown = SourceReading {
            offset: found.offset,
            bound,
            delay: Nanos::ZERO,
            leap: self.leap,
            // A reference clock itself is stratum 0 (RFC 5905, section 7.3): who takes time from it is stratum 1.
            stratum: 0,
            root_delay: Nanos::ZERO,
            root_dispersion: bound,
        };
        Ok(Told { shown, reference_id: self.id })
    }
}

/// What the chronyd that keeps this machine's clock says of it.
fn believed(address: SocketAddr) -> Result<Told, ReferenceError> {
    let tracking = chrony::tracking(address)?;
    if tracking.leap == Leap::Unknown || tracking.stratum == 0 || tracking.stratum > 15 {
        return Err(ReferenceError::Unsynchronised);
    }
    let bound =
        tracking.root_delay.abs().half() + tracking.root_dispersion.abs() + precision_length(PRECISION);
    let shown = SourceReading {
        offset: tracking.correction,
        bound,
        delay: Nanos::ZERO,
        leap: tracking.leap,
        // It keeps the very clock that the centre serves, so that its stratum is the centre's.
        stratum: tracking.stratum - 1,
        root_delay: tracking.root_delay.abs(),
        root_dispersion: tracking.root_dispersion.abs(),
    };
    Ok(Told { shown, reference_id: tracking.reference_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_agent::refclock::pps::Pulse;

    const S: i64 = 1_000_000_000;

    /// A receiver whose pulse comes when a true second begins, while the wall clock is ahead by 700 ms and 3 µs.
    struct Receiver(std::sync::Arc<std::sync::atomic::AtomicI64>);

    impl Pulses for Receiver {
        fn fetch(&mut self) -> io::Result<Pulse> {
            let second = self.0.load(std::sync::atomic::Ordering::SeqCst);
            if second < 0 {
                return Err(io::Error::other("the cable was pulled"));
            }
            let at = UnixTime::from_nanos(second * S + AHEAD);
            Ok(Pulse { sequence: u32::try_from(second).unwrap(), at })
        }
    }

    const AHEAD: i64 = 700_003_000;

    fn pps(second: &std::sync::Arc<std::sync::atomic::AtomicI64>) -> Reference {
        let config = ClockConfig {
            reference: Some(config::Reference::Pps),
            accuracy: Some(Nanos::from_micros(1)),
            ..ClockConfig::default()
        };
        let mut reference = Reference::configured(&config).unwrap();
        let pulses: Box<dyn Pulses> = Box::new(Receiver(std::sync::Arc::clone(second)));
        reference.device = Kind::Pps { path: "/dev/pps9".into(), pulses: Some(pulses), last: 0 };
        reference
    }

    fn now(second: i64) -> Reading {
        let nanos = second * S + AHEAD + 100_000_000;
        Reading { wall: UnixTime::from_nanos(nanos), monotonic: Monotonic::from_nanos(nanos) }
    }

    #[test]
    fn pulses_show_the_time_that_others_number() {
        let second = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let mut reference = pps(&second);
        let numbered = || Some(Interval { low: Nanos::from_millis(-750), high: Nanos::from_millis(-650) });
        for each in 1..=10 {
            second.store(each, std::sync::atomic::Ordering::SeqCst);
            let told = reference.look(now(each), &numbered);
            if each < 4 {
                assert!(matches!(told, Err(ReferenceError::TooFew)), "{each}");
                continue;
            }
            let Told { shown, reference_id } = told.unwrap();
            assert_eq!((shown.offset, &reference_id, shown.stratum), (Nanos::new(-AHEAD), b"PPS\0", 0));
            assert!(shown.bound >= Nanos::from_micros(1) && shown.bound < Nanos::from_micros(2), "{shown:?}");
        }
        // Nobody numbers the second any more.
        second.store(11, std::sync::atomic::Ordering::SeqCst);
        assert!(matches!(reference.look(now(11), &|| None), Err(ReferenceError::NoSecond)));
        // The pulses stop, and the device goes.
        assert!(matches!(reference.look(now(20), &numbered), Err(ReferenceError::Old(_))));
        second.store(-1, std::sync::atomic::Ordering::SeqCst);
        assert!(matches!(reference.look(now(21), &numbered), Err(ReferenceError::Pps { .. })));
    }

    #[test]
    fn what_is_configured_is_named() {
        let config = |reference| ClockConfig { reference: Some(reference), ..ClockConfig::default() };
        let named = |reference| Reference::configured(&config(reference)).map(|found| found.as_source().name);
        assert_eq!(named(config::Reference::Declared), None);
        assert_eq!(named(config::Reference::Shm).as_deref(), Some("SHM 0"));
        assert_eq!(named(config::Reference::Pps).as_deref(), Some("PPS /dev/pps0"));
        assert_eq!(named(config::Reference::Chrony).as_deref(), Some("chrony 127.0.0.1:323"));
    }
}
