//! This machine as the watch sees it: both clocks, suspension, what the kernel says, and what the hypervisor says.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use angbu_time::kernel_clock::KernelClock;
use angbu_time::watch::{Generation, Look};
use angbu_units::{Clock, Reading};
use sha2::{Digest as _, Sha256};

use crate::clock::UnslewedClock;
use crate::kernel_clock::SystemKernelClock;

/// Where Linux tells one start of the machine from the next.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The VMClock that hypervisors show (`uapi/linux/vmclock-abi.h`; Linux 6.13).
const VMCLOCK: &str = "/dev/vmclock0";

/// How many bytes of it are read: up to and with `vm_generation_counter`.
const VMCLOCK_LENGTH: usize = 112;

/// How often it is read again when the hypervisor was just writing.
const TRIES: u8 = 4;

/// A machine that an agent watches. What is only a [`Clock`] is watched by its two clocks alone.
pub trait Looks: Clock {
    /// Everything that the watch wants to know, read as close together as possible.
    fn look(&self) -> Look {
        self.read().into()
    }

    /// Differs from one start of the machine to the next.
    fn boot(&self) -> [u8; 16] {
        [0; 16]
    }

    /// The kernel's clock, through which it can be put back.
    fn kernel(&self) -> Option<&dyn KernelClock> {
        None
    }
}

/// The machine that this runs on.
#[derive(Debug)]
pub struct Machine {
    clock: UnslewedClock,
    kernel: SystemKernelClock,
    vmclock: Option<File>,
    boot: [u8; 16],
}

impl Machine {
    /// This machine. Where it shows no VMClock, or lets nobody read it, that part stays unknown.
    pub fn new() -> Self {
        let boot = std::fs::read(BOOT_ID).map(|id| Sha256::digest(&id).into()).unwrap_or([0; 32]);
        let (boot, _) = boot.split_first_chunk().expect("broken invariant: 32 bytes hold 16");
        Self {
            clock: UnslewedClock::new(),
            kernel: SystemKernelClock::new(),
            vmclock: File::open(Path::new(VMCLOCK)).ok(),
            boot: *boot,
        }
    }

    fn generation(&self) -> Option<Generation> {
        let file = self.vmclock.as_ref()?;
        for _ in 0..TRIES {
            let mut bytes = [0; VMCLOCK_LENGTH];
            file.read_exact_at(&mut bytes, 0).ok()?;
            let mut sequence = [0; 4];
            file.read_exact_at(&mut sequence, 12).ok()?;
            if let Some(generation) = read_vmclock(&bytes, u32::from_le_bytes(sequence)) {
                return Some(generation);
            }
        }
        None
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Machine {
    fn read(&self) -> Reading {
        self.clock.read()
    }
}

impl Looks for Machine {
    fn look(&self) -> Look {
        let kernel = self.kernel.state().ok();
        let (reading, noise, suspended) = self.clock.read_closely();
        Look { reading, noise, suspended, kernel, generation: self.generation() }
    }

    fn boot(&self) -> [u8; 16] {
        self.boot
    }

    fn kernel(&self) -> Option<&dyn KernelClock> {
        Some(&self.kernel)
    }
}

/// What a VMClock's bytes say, if they were whole: the sequence number before them, which is odd while the hypervisor writes,
/// is the one after them.
fn read_vmclock(bytes: &[u8; VMCLOCK_LENGTH], sequence_after: u32) -> Option<Generation> {
    let u32_at = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let u64_at = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let sequence = u32_at(12)?;
    if u32_at(0)? != u32::from_le_bytes(*b"VCLK") || sequence % 2 == 1 || sequence != sequence_after {
        return None;
    }
    // VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT
    let counted = u64_at(24)? & (1 << 8) != 0;
    Some(Generation { disruption: u64_at(16)?, restored: if counted { u64_at(104) } else { None } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_units::Nanos;

    #[test]
    fn this_machine_can_be_looked_at() {
        let machine = Machine::new();
        let (first, second) = (machine.look(), machine.look());
        assert!(second.reading.monotonic > first.reading.monotonic);
        assert!(second.noise >= Nanos::ZERO && second.suspended >= first.suspended);
        assert_ne!(machine.boot(), [0; 16]);
        assert!(machine.kernel().is_some());
    }

    /// The fields of `struct vmclock_abi` in the order of `uapi/linux/vmclock-abi.h`, and their bytes. Each is aligned by itself, so
    /// that nothing lies between them.
    const FIELDS: [(&str, usize); 23] = [
        ("magic", 4),
        ("size", 4),
        ("version", 2),
        ("counter_id", 1),
        ("time_type", 1),
        ("seq_count", 4),
        ("disruption_marker", 8),
        ("flags", 8),
        ("pad", 2),
        ("clock_status", 1),
        ("leap_second_smearing_hint", 1),
        ("tai_offset_sec", 2),
        ("leap_indicator", 1),
        ("counter_period_shift", 1),
        ("counter_value", 8),
        ("counter_period_frac_sec", 8),
        ("counter_period_esterror_rate_frac_sec", 8),
        ("counter_period_maxerror_rate_frac_sec", 8),
        ("time_sec", 8),
        ("time_frac_sec", 8),
        ("time_esterror_nanosec", 8),
        ("time_maxerror_nanosec", 8),
        ("vm_generation_counter", 8),
    ];

    /// Where a field begins.
    fn place(name: &str) -> usize {
        let before = FIELDS.iter().take_while(|(field, _)| *field != name);
        before.map(|(_, length)| length).sum()
    }

    /// A VMClock's bytes with these fields set.
    fn vmclock(fields: &[(&str, u64)]) -> [u8; VMCLOCK_LENGTH] {
        let mut bytes = [0; VMCLOCK_LENGTH];
        for (name, value) in fields {
            let (_, length) = FIELDS.iter().find(|(field, _)| field == name).unwrap();
            let at = place(name);
            bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..*length]);
        }
        bytes
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(FIELDS.iter().map(|(_, length)| length).sum::<usize>(), VMCLOCK_LENGTH);
        for (name, length) in FIELDS {
            assert!(place(name).is_multiple_of(length) || name == "pad", "{name}");
        }
    }

    #[test]
    fn a_vmclock_is_read_only_whole() {
        // VMCLOCK_MAGIC, and VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT beside flags that mean other things.
        let (magic, present, others) = (0x4b4c_4356, 1 << 8, 0xff | 1 << 9);
        let read = |sequence: u64, flags: u64, after: u32| {
            let fields = [
                ("magic", magic),
                ("size", 4_096),
                ("version", 1),
                ("counter_id", 1),
                ("seq_count", sequence),
                ("disruption_marker", 3),
                ("flags", flags),
                ("time_sec", 1_800_000_000),
                ("vm_generation_counter", 9),
            ];
            read_vmclock(&vmclock(&fields), after)
        };
        let disrupted = Generation { disruption: 3, restored: None };
        assert_eq!(read(6, others, 6), Some(disrupted));
        assert_eq!(read(6, others | present, 6), Some(Generation { restored: Some(9), ..disrupted }));
        assert_eq!(read(6, present, 8), None, "it was written meanwhile");
        assert_eq!(read(7, present, 7), None, "it is being written");
        assert_eq!(read_vmclock(&[0; VMCLOCK_LENGTH], 0), None, "it is none");
    }
}
