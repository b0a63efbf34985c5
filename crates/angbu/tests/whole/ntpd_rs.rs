//! Another Rust implementation of protected time, as a client of our centre and as a server of our agent:
//! `cargo xtask judge ntpd-rs`.
//!
//! It steers a clock or does not run at all. So it gets one that exists only as numbers, and runs without the privilege to
//! set the host's.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::nts::{EXCHANGED, NAK, Other, PROTECTED, WITNESSED, agent, certificate, free_port, metric, port};
use super::process::{Process, serve_command_with, succeed, until};

/// Where `cargo xtask judge ntpd-rs` has put their programs.
fn tools() -> PathBuf {
    std::env::var_os("ANGBU_NTPD_RS").expect("cargo xtask judge ntpd-rs says where they are").into()
}

/// Their daemon with this configuration, without the privilege to set a clock.
fn daemon(folder: &Path, config: &str) -> Command {
    let file = folder.join("ntp.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-sys_time", "--inh-caps=-sys_time", "--", "env"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

fn run(command: &mut Command, folder: &Path) -> Other {
    command.arg(tools().join("ntp-daemon")).arg("--config").arg(folder.join("ntp.toml"));
    Other(command.spawn().expect("setpriv is part of util-linux"))
}

/// The library that gives a process a clock of its own.
fn simulated_clock(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/whole/simulated_clock.c");
    let library = folder.join("clock.so");
    succeed(
        Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .args(["-lm", "-lpthread"]),
    );
    library
}

/// How far the simulated clock is ahead at the end of what is written down of it, once a second; ns.
fn ahead(truth: &Path, seconds: usize) -> Option<Vec<f64>> {
    let text = std::fs::read_to_string(truth).ok()?;
    let all: Vec<f64> = text.lines().filter_map(|line| line.split_once(' ')?.1.parse().ok()).collect();
    all.len().checked_sub(seconds).map(|from| all[from..].to_vec())
}

#[test]
#[ignore = "it needs another implementation's programs: cargo xtask judge ntpd-rs"]
fn judge_ntpd_rs_as_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut command = serve_command_with(folder, "");
    // Eight cookies at a question a second are eight seconds old when they are used: two epochs are more. And it takes time
    // from an address of its own host only where that is a primary reference.
    let config = "[nts]\nrotate = \"5 s\"\n[clock]\nreference = \"declared\"\nstratum = 1\n\
                  [[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n";
    std::fs::write(folder.join("serve.toml"), config).unwrap();
    let centre = Process::start(&mut command);
    let config = format!(
        "[observability]\nobservation-path = {:?}\nlog-level = \"warn\"\n\
         [[source]]\nmode = \"nts\"\naddress = \"localhost:{}\"\ncertificate-authority = {:?}\n\
         poll-interval-limits = {{ min = 0, max = 0 }}\ninitial-poll-interval = 0\n\
         [synchronization]\nminimum-agreeing-sources = 1\n\
         [synchronization.algorithm]\nstep-threshold = 0.002\n",
        folder.join("observe"),
        port(centre.text("nts")),
        folder.join("data/site-certificate.pem")
    );
    let truth = folder.join("truth");
    let mut command = daemon(folder, &config);
    command
        .arg(format!("LD_PRELOAD={}", simulated_clock(folder).display()))
        // 30 ms ahead of the centre at first, and 20 ppm too fast.
        .args(["CLOCK_AHEAD=3e7", "CLOCK_DRIFT=20", "CLOCK_STAMPS=moved"])
        .arg(format!("CLOCK_TRUTH={}", truth.display()));
    let mut theirs = run(&mut command, folder);
    // It leaves as much as the centre says that its own clock may be off, 1 ms, and what lies below its step.
    let near = |error: &f64| error.abs() < 3.5e6;
    until("the first protected reply", || (metric(&centre, PROTECTED) > 0).then_some(()));
    until("a clock that was led to the centre's", || {
        ahead(&truth, 3).filter(|errors| errors.iter().all(near))
    });
    let epoch = || metric(&centre, "angbu_nts_epoch");
    let first = epoch();
    until("four more epochs", || (epoch() >= first + 4).then_some(()));
    let errors = ahead(&truth, 15).unwrap();
    eprintln!("the simulated clock beside the centre's, ns: {errors:?}");
    assert!(errors.iter().all(near), "it stays with the centre's time: {errors:?}");
    assert!(metric(&centre, PROTECTED) >= 20);
    assert_eq!((metric(&centre, NAK), metric(&centre, EXCHANGED)), (0, 1), "every cookie was opened");
    assert_eq!(metric(&centre, WITNESSED), 0, "it asks for no proof");
    let mut status = Command::new(tools().join("ntp-ctl"));
    let said = succeed(status.args(["status", "--config"]).arg(folder.join("ntp.toml")));
    eprintln!("{said}");
    assert!(said.contains("[NTS]") && said.contains("8/8 available"), "{said}");
    let stratum = said.lines().find_map(|line| line.trim().strip_prefix("Stratum:")).unwrap();
    assert_eq!(stratum.trim(), "2", "it is synchronised: {said}");
    assert!(theirs.0.try_wait().unwrap().is_none(), "it runs to the end");
    centre.interrupt();
}

#[test]
#[ignore = "it needs another implementation's programs: cargo xtask judge ntpd-rs"]
fn judge_ntpd_rs_as_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let centre = Process::start(&mut serve_command_with(folder, ""));
    let (certificate, key) = certificate(folder);
    // Its keys are replaced every 3 s; at a question every 300 ms a cookie is used within that.
    let (ntp, keys) = (UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), free_port());
    let config = format!(
        "[observability]\nlog-level = \"warn\"\n\
         [[server]]\nlisten = \"127.0.0.1:{ntp}\"\n\
         [[nts-ke-server]]\nlisten = \"127.0.0.1:{keys}\"\nntp-port = {ntp}\n\
         certificate-chain-path = {certificate:?}\nprivate-key-path = {key:?}\n\
         [keyset]\nstale-key-count = 3\nkey-rotation-interval = 3\n\
         [synchronization]\nlocal-stratum = 1\n"
    );
    let mut theirs = run(&mut daemon(folder, &config), folder);
    until("their exchange of keys", || std::net::TcpStream::connect(("127.0.0.1", keys)).ok());
    let more = format!(
        "centre_nts = \"localhost:{keys}\"\ncentre_ntp = \"127.0.0.1:{ntp}\"\ncertificate_authorities = {:?}\n",
        certificate.display().to_string()
    );
    let mut agent = agent(&centre, folder, &more);
    for _ in 0..60 {
        let event = agent.either(&["exchange", "no-exchange"]);
        assert_eq!(event["event"], "exchange", "{event}");
        let figure = |name: &str| event[name].as_i64().unwrap();
        assert!(figure("offset_ns").abs() <= figure("bound_ns"), "one clock has no offset: {event}");
    }
    assert!(theirs.0.try_wait().unwrap().is_none(), "it runs to the end");
    agent.interrupt();
    centre.interrupt();
}
