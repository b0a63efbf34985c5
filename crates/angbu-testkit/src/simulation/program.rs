//! An unmodified program on a simulated machine: `preload/world.c` passes on to here what it would ask the kernel.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use angbu_time::kernel_clock::{KernelClock as _, MAX_TICK_FREQUENCY};
use angbu_time::packet::Leap;
use angbu_units::{Clock as _, Nanos, Ppb};

use super::{Chance, Host, network};

const DATA: usize = 512;
const NUMBERS: usize = 14;
const MESSAGE: usize = NUMBERS * 8 + DATA;

/// Flags of `timex.modes`, as `adjtimex(2)` has them.
const ADJ_OFFSET: i64 = 0x0001;
const ADJ_FREQUENCY: i64 = 0x0002;
const ADJ_MAXERROR: i64 = 0x0004;
const ADJ_ESTERROR: i64 = 0x0008;
const ADJ_STATUS: i64 = 0x0010;
const ADJ_SETOFFSET: i64 = 0x0100;
const ADJ_NANO: i64 = 0x2000;
const ADJ_TICK: i64 = 0x4000;
const ADJ_SINGLESHOT: i64 = 0x8001;

const STA_INS: i64 = 0x0010;
const STA_DEL: i64 = 0x0020;
const STA_UNSYNC: i64 = 0x0040;

const EINVAL: i64 = 22;

/// What the kernel says of the errors of a clock that nobody keeps, µs.
const UNSYNCHRONISED: i64 = 16_000_000;

/// What a wait takes at least: programs round what is left of one down to a microsecond, and ask again.
const SHORTEST_WAIT: Nanos = Nanos::from_micros(1);

/// A reply on its way to a program's socket.
struct Arriving {
    at: Nanos,
    socket: i64,
    reply: Vec<u8>,
}

/// What a program told the kernel's clock, word for word, since it reads that again.
struct Told {
    frequency: i64,
    tick: i64,
    status: i64,
    max_error: i64,
    estimated_error: i64,
}

/// A question or an answer, as `struct message` has it.
struct Message {
    what: i64,
    number: [i64; 10],
    length: usize,
    data: Vec<u8>,
}

struct World<'a> {
    host: &'a mut Host,
    chance: Chance,
    until: Nanos,
    arriving: Vec<Arriving>,
    arrived: Option<Arriving>,
    told: Told,
}

impl Host {
    /// Lets a program have this machine for a time, in place of an agent: its clock is the machine's, and what it sends on the network
    /// goes to the first server. Then it is ended. `preloaded` is the compiled `preload/world.c`.
    ///
    /// # Errors
    /// What starting the program or speaking with it gives; the program's own end too.
    pub fn lend(
        &mut self,
        seed: u64,
        length: Nanos,
        preloaded: &Path,
        program: &mut Command,
    ) -> io::Result<()> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut child =
            program.env("LD_PRELOAD", preloaded).stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let told = Told {
            frequency: 0,
            tick: 10_000,
            status: STA_UNSYNC,
            max_error: UNSYNCHRONISED,
            estimated_error: UNSYNCHRONISED,
        };
        let until = self.machine.elapsed() + length;
        let chance = Chance::new(seed, 5);
        let mut world = World { host: self, chance, until, arriving: Vec::new(), arrived: None, told };
        let served = world.serve(&mut ours);
        drop(ours);
        if served.is_err() {
            child.kill()?;
        }
        child.wait()?;
        served
    }
}

impl World<'_> {
    fn serve(&mut self, program: &mut UnixStream) -> io::Result<()> {
        let mut bytes = [0; MESSAGE];
        while self.host.machine.elapsed() < self.until {
            program.read_exact(&mut bytes)?;
            let mut message = Message::read(&bytes);
            self.answer(&mut message);
            message.what = i64::from(self.host.machine.elapsed() >= self.until);
            let now = self.host.machine.read();
            program.write_all(&message.bytes(now.wall.nanos(), now.monotonic.nanos()))?;
        }
        Ok(())
    }

    fn answer(&mut self, message: &mut Message) {
        match message.what {
            1 => message.number[0] = self.wait(Nanos::new(message.number[0]), message.number[1]),
            2 => self.send(message.number[0], &message.data),
            3 => {
                let socket = message.number[0];
                let data = self.arrived.take_if(|arrived| arrived.socket == socket);
                let data = data.map(|arrived| arrived.reply).unwrap_or_default();
                (message.length, message.data) = (data.len(), data);
            }
            4 => message.length = self.adjust(&mut message.number).err().unwrap_or(0) as usize,
            5 => message.data = (0..message.length).map(|_| self.chance.bits() as u8).collect(),
            _ => {}
        }
    }

    /// Waits until something arrives on one of these sockets, and says on which; -1 when the time is over.
    fn wait(&mut self, timeout: Nanos, sockets: i64) -> i64 {
        let machine = &self.host.machine;
        let until = self.until.min(machine.elapsed() + timeout.max(SHORTEST_WAIT));
        self.arriving.retain(|arriving| sockets >> arriving.socket & 1 == 1);
        let first = self.arriving.iter().enumerate().min_by_key(|(_, arriving)| arriving.at);
        match first.filter(|(_, arriving)| arriving.at <= until).map(|(place, _)| place) {
            Some(place) => {
                let arriving = self.arriving.swap_remove(place);
                self.pass(arriving.at);
                self.arrived.insert(arriving).socket
            }
            None => {
                self.pass(until);
                -1
            }
        }
    }

    /// True time passes; each second's truth is taken down.
    fn pass(&mut self, until: Nanos) {
        let second = 1_000_000_000;
        while self.host.machine.elapsed() < until {
            let elapsed = self.host.machine.elapsed();
            let next = Nanos::new((elapsed.count() / second + 1) * second);
            self.host.machine.advance(next.min(until) - elapsed);
            if next <= until {
                let point = self.host.point();
                self.host.truth.push(point);
            }
        }
    }

    fn send(&mut self, socket: i64, request: &[u8]) {
        let (machine, leaping) = (&self.host.machine, self.host.leaping);
        let Some(upstream) = self.host.upstreams.first() else { return };
        let Some(carried) = network::carry(upstream, machine, &mut self.chance, leaping, request) else {
            return;
        };
        if !self.chance.happens(upstream.path.reordered_per_mille) {
            let at = machine.elapsed() + carried.takes;
            self.arriving.push(Arriving { at, socket, reply: carried.reply });
        }
    }

    /// `adjtimex(2)`, but for phase corrections, which the programs that are tried here do not use.
    fn adjust(&mut self, number: &mut [i64; 10]) -> Result<(), i64> {
        let [modes, frequency, tick, status, max_error, estimated_error, seconds, rest, offset, _] = *number;
        let (machine, told) = (&self.host.machine, &mut self.told);
        let singleshot = modes & ADJ_SINGLESHOT == ADJ_SINGLESHOT;
        if (singleshot || modes & ADJ_OFFSET != 0) && offset != 0 {
            return Err(EINVAL);
        }
        let modes = if singleshot { 0 } else { modes };
        let take = |flag, value, place: &mut i64| {
            if modes & flag != 0 {
                *place = value;
            }
        };
        take(ADJ_FREQUENCY, frequency, &mut told.frequency);
        take(ADJ_TICK, tick, &mut told.tick);
        take(ADJ_STATUS, status, &mut told.status);
        take(ADJ_MAXERROR, max_error, &mut told.max_error);
        take(ADJ_ESTERROR, estimated_error, &mut told.estimated_error);
        let refused = |_| EINVAL;
        let ppb = (told.tick - 10_000) as f64 * 100_000.0 + told.frequency as f64 / 65.536;
        let most = MAX_TICK_FREQUENCY.count() as f64;
        machine.set_frequency(Ppb::new(ppb.round().clamp(-most, most) as i64)).map_err(refused)?;
        if modes & ADJ_SETOFFSET != 0 {
            let unit = if modes & ADJ_NANO == 0 { 1_000 } else { 1 };
            machine.step(Nanos::new(seconds * 1_000_000_000 + rest * unit)).map_err(refused)?;
            // As the kernel does; it is what its ability to step is recognised by.
            told.status |= STA_UNSYNC;
            (told.max_error, told.estimated_error) = (UNSYNCHRONISED, UNSYNCHRONISED);
        }
        if modes & ADJ_STATUS != 0 {
            let leap = match (told.status & STA_INS, told.status & STA_DEL) {
                (0, 0) => Leap::None,
                (0, _) => Leap::Delete,
                _ => Leap::Insert,
            };
            machine.set_leap(leap).map_err(refused)?;
        }
        let micros = Nanos::from_micros;
        let synchronised = told.status & STA_UNSYNC == 0;
        machine
            .declare(micros(told.estimated_error), micros(told.max_error), synchronised)
            .map_err(refused)?;
        number[1..6].copy_from_slice(&[
            told.frequency,
            told.tick,
            told.status,
            told.max_error,
            told.estimated_error,
        ]);
        Ok(())
    }
}

impl Message {
    fn read(bytes: &[u8; MESSAGE]) -> Self {
        let (words, data) = bytes.split_at(NUMBERS * 8);
        let mut words = words.as_chunks().0.iter().map(|word| i64::from_ne_bytes(*word));
        let mut word = || words.next().unwrap_or(0);
        let (what, number) = (word(), std::array::from_fn(|_| word()));
        let _clocks = (word(), word());
        let length = (word() as usize).min(DATA);
        Self { what, number, length, data: data.iter().copied().take(length).collect() }
    }

    fn bytes(&self, wall: i64, monotonic: i64) -> Vec<u8> {
        let words = [self.what].into_iter().chain(self.number).chain([wall, monotonic, self.length as i64]);
        let mut bytes: Vec<u8> = words.flat_map(i64::to_ne_bytes).collect();
        bytes.extend_from_slice(&self.data);
        bytes.resize(MESSAGE, 0);
        bytes
    }
}
