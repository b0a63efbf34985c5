//! A virtual machine of our own, in which a clock really is set, slewed, steered by another daemon, held and put back, with the
//! real agent on it. Its centre runs on the host, behind the emulator's user network. No clock of the host is touched.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Process, angbu, pass, serve_command_with, succeed};

/// The kernel modules of the network card, in the order in which they need each other.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];

const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(cat /modules); do insmod /$m.ko; done
ifconfig lo 127.0.0.1 up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up; route add default gw 10.0.2.2
echo root:x:0:0:root:/:/bin/sh > /etc/passwd
stty -F /dev/ttyS1 raw -echo
echo GUEST-READY > /dev/ttyS0
exec setsid sh -c 'exec sh </dev/ttyS1 >/dev/null 2>&1'
";

/// How long something may take in the emulated machine.
const PATIENCE: Duration = Duration::from_secs(90);

struct Guest {
    emulator: Child,
    folder: PathBuf,
    read: usize,
    events: Vec<Value>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds, for comparing")]
impl Guest {
    fn start(folder: &Path) -> Self {
        let kernel = kernel(folder);
        initial_files(folder, &kernel);
        let disk = folder.join("disk.qcow2").display().to_string();
        succeed(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &disk, "1G"]));
        let at = |name: &str| folder.join(name).display().to_string();
        let image = fs::read_dir(kernel.join("boot")).unwrap().map(|entry| entry.unwrap().path());
        let image = image.into_iter().find(|path| path.to_string_lossy().contains("vmlinuz")).unwrap();
        // Emulated altogether: the processors of many build machines cannot be handed on once more.
        let emulator = Command::new("qemu-system-x86_64")
            .args([
                "-machine",
                "pc",
                "-cpu",
                "max",
                "-accel",
                "tcg",
                "-m",
                "512",
                "-display",
                "none",
                "-no-reboot",
            ])
            .args([
                "-append",
                "console=ttyS0 quiet panic=-1 rdinit=/init",
                "-nic",
                "user,model=virtio-net-pci",
            ])
            .arg("-kernel")
            .arg(image)
            .args(["-initrd", &at("initrd.gz"), "-serial", &format!("file:{}", at("console"))])
            .args(["-serial", &format!("unix:{},server,nowait", at("shell"))])
            .args(["-monitor", &format!("unix:{},server,nowait", at("monitor"))])
            .args(["-drive", &format!("if=none,format=qcow2,file={disk}")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let guest = Self { emulator, folder: folder.to_owned(), read: 0, events: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        while !fs::read(folder.join("console"))
            .unwrap_or_default()
            .windows(11)
            .any(|bytes| bytes == b"GUEST-READY")
        {
            assert!(Instant::now() < deadline, "the guest was never ready");
            pass(Duration::from_millis(200));
        }
        pass(Duration::from_secs(2));
        guest
    }

    fn tell(&self, socket: &str, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = loop {
            match UnixStream::connect(self.folder.join(socket)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{socket}: {error}"),
            }
            pass(Duration::from_millis(200));
        };
        stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        writeln!(stream, "{line}").unwrap();
        // The emulator drops what a peer that is gone has not had read.
        let _ = stream.read(&mut [0; 4_096]);
        pass(Duration::from_millis(300));
    }

    fn shell(&self, line: &str) {
        self.tell("shell", line);
    }

    fn learn(&mut self) {
        let console = fs::read(self.folder.join("console")).unwrap_or_default();
        let new = &console[self.read.min(console.len())..];
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        for line in String::from_utf8_lossy(&new[..end]).lines() {
            let json = line.find("{\"event\"").and_then(|at| serde_json::from_str(line[at..].trim()).ok());
            self.events.extend(json);
        }
        self.read += end + 1;
    }

    /// The next event of this name; what came before it is forgotten, except that no other alarm may be among it.
    #[track_caller]
    fn event(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.learn();
            if let Some(place) = self.events.iter().position(|event| event["event"] == name) {
                let before: Vec<_> = self.events.drain(..=place).collect();
                let (event, before) = before.split_last().unwrap();
                assert!(before.iter().all(|event| event["event"] != "alarm"), "{before:?}");
                return event.clone();
            }
            assert!(Instant::now() < deadline, "no event '{name}', only {:?}", self.events);
            pass(Duration::from_millis(200));
        }
    }

    #[track_caller]
    fn alarm(&mut self, kind: &str, least: f64, most: f64) {
        let alarm = self.event("alarm");
        let seconds = alarm["difference_ns"].as_i64().unwrap() as f64 / 1e9;
        assert_eq!(alarm["kind"], kind, "{alarm}");
        assert!((least..=most).contains(&seconds), "{alarm}");
        eprintln!("{alarm}");
    }

    #[track_caller]
    fn pause(&mut self, reason: &str, least: f64) {
        let pause = self.event("pause");
        assert_eq!(pause["reason"], reason, "{pause}");
        assert!(pause["length_ns"].as_i64().unwrap() as f64 / 1e9 >= least, "{pause}");
        eprintln!("{pause}");
    }

    /// The clock was put back by this many seconds, and nothing else happened.
    #[track_caller]
    fn restored(&mut self, least: f64, most: f64) {
        let restored = self.event("restored");
        let seconds = restored["step_ns"].as_i64().unwrap() as f64 / 1e9;
        assert!((least..=most).contains(&seconds), "{restored}");
        eprintln!("{restored}");
        self.is_calm();
    }

    /// What the centre's clock is ahead at the next exchange, in nanoseconds.
    fn offset(&mut self) -> i64 {
        self.event("exchange")["offset_ns"].as_i64().unwrap()
    }

    /// Two exchanges, and nothing else.
    fn is_calm(&mut self) {
        for _ in 0..2 {
            self.event("exchange");
        }
        self.learn();
        assert!(self.events.iter().all(|event| event["event"] != "alarm"), "{:?}", self.events);
    }
}

/// Debian's smallest kernel, unpacked.
fn kernel(folder: &Path) -> PathBuf {
    let depends = succeed(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]));
    let package = depends.split_whitespace().find(|word| {
        word.starts_with("linux-image-")
            && word.ends_with("-cloud-amd64")
            && *word != "linux-image-cloud-amd64"
    });
    let package = package.expect("linux-image-cloud-amd64 is known: apt-get update");
    succeed(Command::new("apt-get").args(["download", "-q", package]).current_dir(folder));
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let archive = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb")).unwrap();
    let unpacked = folder.join("kernel");
    succeed(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked));
    unpacked
}

/// What the guest begins with: busybox, the agent and chrony with their libraries, the network card's modules.
fn initial_files(folder: &Path, kernel: &Path) {
    let root = folder.join("root");
    for place in ["bin", "etc", "proc", "sys", "dev", "tmp", "a", "run/chrony", "var/lib/chrony"] {
        fs::create_dir_all(root.join(place)).unwrap();
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox")).unwrap();
    fs::copy("/usr/sbin/chronyd", root.join("bin/chronyd")).unwrap();
    succeed(Command::new("strip").arg("-o").arg(root.join("bin/angbu")).arg(env!("CARGO_BIN_EXE_angbu")));
    for program in [env!("CARGO_BIN_EXE_angbu"), "/usr/sbin/chronyd"] {
        let libraries = succeed(Command::new("ldd").arg(program));
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = root.join(library.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(library, place).unwrap();
        }
    }
    let modules = kernel.join("lib/modules");
    let version = fs::read_dir(&modules).unwrap().next().unwrap().unwrap().path();
    for module in MODULES {
        let name = Path::new(module).file_name().unwrap();
        fs::copy(version.join(format!("kernel/{module}.ko")), root.join(name).with_extension("ko")).unwrap();
    }
    let names = MODULES.map(|module| module.rsplit('/').next().unwrap()).join(" ");
    fs::write(root.join("modules"), names).unwrap();
    fs::write(root.join("init"), INIT).unwrap();
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    let pack = "find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 > ../initrd.gz";
    succeed(Command::new("sh").args(["-c", pack]).current_dir(&root));
}

/// The agent's command in the guest.
const AGENT: &str = "angbu agent --json --config /a/agent.toml > /dev/ttyS0 2>/a/err &";

#[test]
#[ignore = "takes minutes and a kernel package: cargo xtask judge clock"]
fn judge_clock() {
    let folder = tempfile::tempdir().unwrap();
    let head = "[http]\ntls = \"generated\"\nnames = [\"10.0.2.2\"]\n";
    let centre = Process::start(&mut serve_command_with(folder.path(), head));
    let mut enrol =
        angbu(["enrol", "agent", "--name", "guest", "--json", "--customer", centre.text("customer")]);
    enrol.env("ANGBU_URL", centre.text("http")).env("ANGBU_TOKEN", centre.text("token"));
    enrol.env("ANGBU_CA", folder.path().join("data/site-certificate.pem"));
    let code: Value = serde_json::from_str(&succeed(&mut enrol)).unwrap();
    let port = |name: &str| centre.text(name).rsplit_once(':').unwrap().1.to_owned();
    let (https, ntp) = (port("http"), port("ntp"));

    let mut guest = Guest::start(folder.path());
    let lines = [
        format!("centre = \"https://10.0.2.2:{https}\""),
        "name = \"guest\"".to_owned(),
        format!("code = {}", code["code"]),
        "state = \"/a/state\"".to_owned(),
        format!("centre_ntp = \"10.0.2.2:{ntp}\""),
        "nts = false".to_owned(),
        "poll_interval = \"4 s\"".to_owned(),
        "keeper = \"nobody\"".to_owned(),
    ];
    for line in lines {
        guest.shell(&format!("echo '{line}' >> /a/agent.toml"));
    }
    guest.shell(AGENT);
    guest.event("started");
    guest.is_calm();
    moved(&mut guest);
    held(&mut guest);
    suspended(&mut guest);
    stood_still(&mut guest);
    put_back(&mut guest);
    guest.shell(&format!("echo 'server 10.0.2.2 port {ntp} iburst minpoll 2 maxpoll 2' > /a/chrony.conf"));
    guest.shell("chronyd -u root -d -f /a/chrony.conf > /a/chrony.log 2>&1 &");
    guest.alarm("by-another", -1.0, 1.0);
    centre.interrupt();
    let kept = fs::read(folder.path().join("data/angbu.sqlite")).unwrap();
    let corrections = String::from_utf8_lossy(&kept).matches("time.correction").count();
    assert!(corrections >= 2, "the steps back stand in the log: {corrections}");
}

/// Set, and led by another frequency and by `adjtime`.
fn moved(guest: &mut Guest) {
    guest.shell("date -s @$(( $(date +%s) + 60 ))");
    guest.alarm("step", 58.0, 61.0);
    guest.is_calm();
    guest.shell("adjtimex -q -f 3276800");
    guest.alarm("by-another", -0.001, 0.001);
    guest.is_calm();
    guest.shell("adjtimex -q -f 0");
    guest.alarm("by-another", -0.001, 0.001);
    guest.is_calm();
    // The kernel works it off at 500 ppm; it is one deed and one alarm.
    guest.shell("adjtimex -q -o 3000");
    guest.alarm("by-another", -0.001, 0.001);
    guest.is_calm();
}

/// The process stopped, or not there, and the clock moved meanwhile.
fn held(guest: &mut Guest) {
    guest.shell("killall -STOP angbu; sleep 4; killall -CONT angbu");
    guest.pause("stopped", 3.9);
    guest.is_calm();
    guest.shell("killall -STOP angbu; date -s @$(( $(date +%s) - 40 )); sleep 4; killall -CONT angbu");
    guest.alarm("moved-while-stopped", -42.0, -39.0);
    guest.is_calm();
    guest.shell("killall -9 angbu; sleep 1; date -s @$(( $(date +%s) - 30 ))");
    guest.shell(AGENT);
    guest.event("started");
    guest.alarm("moved-while-down", -32.0, -29.0);
    guest.is_calm();
}

/// The machine asleep (ACPI S3), woken by its monitor; and the clock moved around that. Of the idle sleep (s2idle) nothing wakes a
/// machine that is emulated like this.
fn suspended(guest: &mut Guest) {
    guest.shell("echo mem > /sys/power/state");
    pass(Duration::from_secs(12));
    guest.tell("monitor", "system_wakeup");
    guest.pause("suspended", 9.0);
    guest.is_calm();
    let ahead = "date -s @$(( $(date +%s) + 90 ))";
    guest.shell(&format!("killall -STOP angbu; {ahead}; echo mem > /sys/power/state; killall -CONT angbu"));
    pass(Duration::from_secs(12));
    guest.tell("monitor", "system_wakeup");
    guest.pause("suspended", 9.0);
    guest.alarm("moved-while-stopped", 88.0, 92.0);
    guest.is_calm();
}

/// The whole machine held, and put back to an earlier state.
fn stood_still(guest: &mut Guest) {
    guest.tell("monitor", "stop");
    pass(Duration::from_secs(15));
    guest.tell("monitor", "cont");
    guest.pause("migrated", 10.0);
    guest.is_calm();
    guest.tell("monitor", "savevm before");
    pass(Duration::from_secs(20));
    guest.is_calm();
    guest.learn();
    guest.events.clear();
    guest.tell("monitor", "loadvm before");
    // Whether the machine stood still meanwhile or its process, the emulator decides.
    eprintln!("{}", guest.event("pause"));
    guest.alarm("restored", 0.0, 0.0);
}

/// The same deeds, undone a look later: by a step, by the frequency, and by an end of an `adjtime`.
fn put_back(guest: &mut Guest) {
    guest.shell("killall angbu");
    guest.event("stopped");
    guest.shell("echo 'on_tamper = \"restore\"' >> /a/agent.toml");
    guest.shell(AGENT);
    guest.event("started");
    guest.is_calm();
    let before = guest.offset();
    guest.shell("date -s @$(( $(date +%s) + 60 ))");
    guest.alarm("step", 58.0, 61.0);
    guest.restored(-61.0, -58.0);
    guest.shell("adjtimex -q -f 3276800");
    guest.alarm("by-another", -0.001, 0.001);
    guest.restored(-0.001, 0.001);
    guest.shell("adjtimex -q -o 400000");
    guest.alarm("by-another", -0.001, 0.001);
    guest.restored(-0.001, 0.001);
    // Had any of it gone on, the clock would by now be wrong by more.
    guest.is_calm();
    let apart = guest.offset() - before;
    assert!(apart.abs() < 20_000_000, "the clock is {apart} ns from where it was");
    // And what nobody could see until the process ran again.
    guest.shell("killall -STOP angbu; date -s @$(( $(date +%s) - 40 )); sleep 4; killall -CONT angbu");
    guest.alarm("moved-while-stopped", -42.0, -39.0);
    guest.restored(39.0, 42.0);
}
