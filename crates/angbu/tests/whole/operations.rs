//! What the centre's clock rests on: protected upstreams, a receiver's shared memory, a chronyd that keeps one, and the
//! calibrations at the head of it all; and what ran when.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};

use super::nts::{Other, certificate, chronyd, free_port};
use super::process::{Process, angbu, call, run, succeed, until};

/// Writes a segment of NTP's shared memory as gpsd does (mode 1), five times a second, until its standard input ends; then takes
/// the segment away. Arguments: unit, seconds that the reference is ahead of this machine's clock.
const WRITER: &str = r#"
import ctypes, select, struct, sys, time
unit, ahead = int(sys.argv[1]), int(float(sys.argv[2]) * 1e9)
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0x4e545030 + unit, 96, 0o1000 | 0o666)
assert segment != -1, ctypes.get_errno()
at = libc.shmat(segment, None, 0)
count = 0
while not select.select([sys.stdin], [], [], 0.2)[0]:
    now = time.time_ns()
    clock, received = now + ahead, now
    count += 1
    ctypes.memmove(at, struct.pack("<ii", 1, count), 8)
    rest = struct.pack("<qi4xqiiiiiII", clock // 10**9, clock % 10**9 // 1000, received // 10**9, received % 10**9 // 1000,
                       0, -20, 3, 1, clock % 10**9, received % 10**9)
    ctypes.memmove(at + 8, rest, len(rest))
    count += 1
    ctypes.memmove(at + 4, struct.pack("<i", count), 4)
    if count == 2:
        print("writing", flush=True)
libc.shmctl(segment, 0, None)
"#;

/// A receiver that writes into a unit of shared memory of the test's own.
struct Receiver {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Receiver {
    fn start(unit: u8, ahead: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", WRITER, &unit.to_string(), ahead])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "writing\n");
        Self { child, stdin }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// A unit that no other run of these tests has: 250 of them, and nothing else on the machine uses those from 10 on.
fn unit(of: u32) -> u8 {
    u8::try_from(10 + (std::process::id() * 3 + of) % 240).unwrap()
}

fn serve(folder: &Path, clock: &str) -> Process {
    let config = folder.join("serve.toml");
    let text = format!("[clock]\n{clock}\n[[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n");
    std::fs::write(&config, text).unwrap();
    let mut command = angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0"]);
    Process::start(command.arg("--config").arg(config).arg("--data").arg(folder.join("data")))
}

fn get(centre: &Process, path: &str) -> Value {
    let answer = call(centre, "GET", path, None);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn clock(centre: &Process) -> Value {
    get(centre, "/api/v1/centre")["clock"].clone()
}

fn becomes(centre: &Process, reason: &str) -> Value {
    until(&format!("the clock to be {reason}"), || {
        Some(clock(centre)).filter(|clock| clock["reason"] == reason)
    })
}

/// What the site's only centre did in the last and the next day.
fn operations(centre: &Process) -> Value {
    let now = get(centre, "/api/v1/centre")["now"].as_str().unwrap().to_owned();
    let year: i32 = now[..4].parse().unwrap();
    let path = format!("/api/v1/time/operations?from={now}&to={}{}", year + 1, &now[4..])
        .replace("-02-29T", "-02-28T");
    // The period begins now; what held then is what there is.
    get(centre, &path)["centres"][0].clone()
}

/// What the time server says, once it says anything: it follows the clock within a second.
fn probe(centre: &Process) -> Value {
    until("a usable reply", || {
        let output = run(&mut angbu(["probe", centre.text("ntp"), "--count", "1", "--json"]));
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| serde_json::from_str(text.lines().next().unwrap()).unwrap())
    })
}

#[test]
fn upstreams_are_measured_under_nts_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (ntp, keys) = (UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), free_port());
    let _chrony = chronyd(
        folder.path(),
        "server",
        &format!(
            "local stratum 2\nallow 127.0.0.1\nbindaddress 127.0.0.1\nport {ntp}\nntsport {keys}\n\
             ntsservercert {}\nntsserverkey {}\n",
            certificate.display(),
            key.display()
        ),
    );
    let clock = format!(
        "upstreams = [\"nts://localhost:{keys}\"]\ncertificate_authorities = {:?}\npoll_interval = \"200 ms\"",
        certificate.display().to_string()
    );
    let centre = serve(folder.path(), &clock);
    let proven = becomes(&centre, "measured");
    assert_eq!((&proven["verdict"], &proven["stratum"]), (&json!("proven"), &json!(3)));
    let upstreams = get(&centre, "/api/v1/centre")["upstreams"].clone();
    assert_eq!(upstreams[0]["address"], format!("nts://localhost:{keys}"));
    assert_eq!((&upstreams[0]["reachable"], &upstreams[0]["stratum"]), (&json!(true), &json!(2)));
    centre.interrupt();
    // Another authority's certificate, and a server that answers plain NTP only: nothing is proven.
    let stranger = tempfile::tempdir().unwrap();
    let (other, _) = self::certificate(stranger.path());
    for address in [format!("nts://localhost:{keys}"), format!("nts://localhost:{ntp}")] {
        let clock = format!(
            "upstreams = [{address:?}]\ncertificate_authorities = {:?}\npoll_interval = \"100 ms\"",
            other.display().to_string()
        );
        let centre = serve(stranger.path(), &clock);
        let asked = || {
            let metrics = call(&centre, "GET", "/api/v1/centre", None).json();
            Some(()).filter(|()| metrics["upstreams"][0]["reachable"] == false)
        };
        until("the upstream to be asked", asked);
        assert_eq!(clock_verdict(&centre), "unproven");
        centre.interrupt();
    }
}

fn clock_verdict(centre: &Process) -> String {
    clock(centre)["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn a_receiver_in_shared_memory_makes_stratum_1_is_lost_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0);
    let text = format!(
        "reference = \"shm\"\nshm_unit = {unit}\nreference_id = \"GPS\"\naccuracy = \"100 us\"\nholdover = \"8 s\""
    );
    let centre = serve(folder.path(), &text);
    assert_eq!(clock(&centre)["reason"], "starting");
    // 3 ms ahead, which the centre measures and does not correct.
    let receiver = Receiver::start(unit, "0.003");
    let proven = becomes(&centre, "receiver");
    assert_eq!((&proven["verdict"], &proven["stratum"]), (&json!("proven"), &json!(1)));
    assert_eq!((&proven["reference_id"], &proven["source"]), (&json!("GPS"), &json!("receiver")));
    let bound = proven["error_bound_ns"].as_i64().unwrap();
    assert!((3_000_000..20_000_000).contains(&bound), "{bound}: 3 ms of offset, and what is not known of it");
    let reply = probe(&centre);
    assert_eq!((&reply["stratum"], &reply["reference_id"]), (&json!(1), &json!("GPS")), "{reply}");
    let source = get(&centre, "/api/v1/centre")["upstreams"][0].clone();
    assert_eq!(source["address"], format!("SHM {unit}"));
    let offset = source["offset_ns"].as_i64().unwrap();
    assert!((offset - 3_000_000).abs() < source["bound_ns"].as_i64().unwrap(), "{source}");
    // Lost: first the oscillator carries it on, with a growing bound; then nothing is proven.
    drop(receiver);
    let carried = becomes(&centre, "holdover");
    assert_eq!((&carried["verdict"], &carried["stratum"]), (&json!("proven"), &json!(1)));
    assert!(carried["error_bound_ns"].as_i64().unwrap() > 100_000);
    becomes(&centre, "upstreams-silent");
    until("the time server to say so", || (probe_refused(&centre) == 1).then_some(()));
    let _receiver = Receiver::start(unit, "0.003");
    becomes(&centre, "receiver");
    centre.interrupt();
}

/// The exit status of a probe.
fn probe_refused(centre: &Process) -> i32 {
    run(&mut angbu(["probe", centre.text("ntp"), "--count", "1", "--json"])).status.code().unwrap()
}

#[test]
fn a_chronyd_with_a_receiver_is_believed_and_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(1);
    let _receiver = Receiver::start(unit, "0");
    let commands = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _chrony = chronyd_with_commands(
        folder.path(),
        commands,
        &format!("refclock SHM {unit}:perm=0666 poll 0 dpoll -1 filter 4 refid GPS\nmaxupdateskew 1000000\n"),
    );
    let text = format!("reference = \"chrony\"\nchrony_address = \"127.0.0.1:{commands}\"");
    let centre = serve(folder.path(), &text);
    let believed = becomes(&centre, "believed");
    assert_eq!((&believed["verdict"], &believed["stratum"]), (&json!("declared"), &json!(1)), "{believed}");
    assert_eq!((&believed["reference_id"], &believed["source"]), (&json!("GPS"), &json!("daemon")));
    assert!(believed["error_bound_ns"].as_i64().unwrap() < 200_000_000, "{believed}");
    let reply = probe(&centre);
    assert_eq!((&reply["stratum"], &reply["reference_id"]), (&json!(1), &json!("GPS")), "{reply}");
    let state = &operations(&centre)["states"][0];
    assert_eq!(state["source"], format!("chrony 127.0.0.1:{commands}"), "{state}");
    centre.interrupt();
}

/// A chronyd that takes commands at this port, and touches no clock.
fn chronyd_with_commands(folder: &Path, port: u16, config: &str) -> Other {
    let more = format!("{config}port 0\nbindcmdaddress 127.0.0.1\ncmdport {port}\n");
    super::nts::chronyd_as_is(folder, "keeper", &more)
}

#[test]
fn runs_and_crashes_are_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let declared = "reference = \"declared\"";
    let mut centre = serve(folder.path(), declared);
    centre.kill();
    let centre = serve(folder.path(), declared);
    centre.interrupt();
    let centre = serve(folder.path(), declared);
    let path = "/api/v1/time/operations?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z"
        .replace("2026", &year(&centre));
    let seen = get(&centre, &path)["centres"][0].clone();
    let ends: Vec<_> = seen["runs"].as_array().unwrap().iter().map(|run| run["end"].clone()).collect();
    assert_eq!(ends, ["running", "stopped", "crashed"], "{seen}");
    assert_eq!(seen["runs"][0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(seen["states"].as_array().unwrap().len(), 3);
    assert!(
        seen["totals"]["down_ms"].as_i64().unwrap() > 0 && seen["bound_ns"].as_i64().unwrap() >= 1_000_000
    );
    // What was seen of its own clock is written down when a run ends.
    let own = seen["sources"].as_array().unwrap().iter().find(|source| source["source"] == "").unwrap();
    assert!(!own["points"].as_array().unwrap().is_empty(), "{own}");
    centre.interrupt();
}

fn year(centre: &Process) -> String {
    get(centre, "/api/v1/centre")["now"].as_str().unwrap()[..4].to_owned()
}

#[test]
fn calibrations_are_entries_and_keep_their_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let centre = serve(folder.path(), "reference = \"declared\"");
    let mut certificate = b"%PDF-1.7\n".to_vec();
    certificate.resize(2_000_000, 0x5a);
    let file = folder.path().join("certificate.pdf");
    std::fs::write(&file, &certificate).unwrap();
    let connected = |command: &mut Command| {
        command.env("ANGBU_URL", centre.text("http")).env("ANGBU_TOKEN", centre.text("token"));
        succeed(command)
    };
    let record = [
        "calibration",
        "record",
        "--json",
        "--subject",
        "GNSS receiver 4711",
        "--laboratory",
        "KRISS",
        "--certificate",
        "2026-0815",
        "--measured",
        "2025-10-01",
        "--offset",
        "-37 ns",
        "--uncertainty",
        "50 ns",
        "--valid-until",
        "2099-10-01",
        "--file",
    ];
    let made: Value = serde_json::from_str(&connected(angbu(record).arg(&file))).unwrap();
    let id = made["entry_id"].as_str().unwrap();
    let listed: Value =
        serde_json::from_str(&connected(&mut angbu(["calibration", "list", "--json"]))).unwrap();
    assert_eq!(
        (&listed["id"], &listed["standing"], &listed["offset_ns"]),
        (&json!(id), &json!("valid"), &json!(-37))
    );
    let answer = call(&centre, "GET", &format!("/api/v1/time/calibrations/{id}/file"), None);
    assert!(answer.body == certificate && answer.head.to_ascii_lowercase().contains("application/pdf"));
    // The entry holds what the certificate says and the file's hash.
    let entry = until("the entry's place in the log", || {
        let answer = call(&centre, "GET", &format!("/api/v1/evidence/entries/{id}"), None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(entry["kind"], "clock.calibration", "{entry}");
    let field = |name: &str| {
        let fields = entry["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).map(|field| field["value"].clone())
    };
    assert_eq!(field("laboratory"), Some(json!("KRISS")), "{entry}");
    assert_eq!(field("file"), Some(listed["file_sha256"].clone()));
    let metrics = call(&centre, "GET", "/metrics", None).text();
    assert!(metrics.contains("angbu_calibration_valid_until_seconds 4094"), "{metrics}");
    // What is no certificate is refused, and so is one that is too large.
    for (content, status) in
        [(b"<html>".to_vec(), 422), (vec![b'%'; 10 * 1_024 * 1_024 + 1], 422), (vec![b'%'; 14_000_000], 413)]
    {
        use base64::Engine as _;
        let wish = json!({"subject": "a", "laboratory": "b", "certificate": "c", "measured_at": "2025-10-01T00:00:00Z",
            "offset_ns": 0, "uncertainty_ns": 1, "coverage": "2", "valid_until": "2099-01-01T00:00:00Z",
            "file": base64::engine::general_purpose::STANDARD.encode(content)});
        assert_eq!(call(&centre, "POST", "/api/v1/time/calibrations", Some(&wish)).status, status);
    }
    connected(&mut angbu(["calibration", "withdraw", id, "--reason", "another receiver's"]));
    let listed: Value =
        serde_json::from_str(&connected(&mut angbu(["calibration", "list", "--json"]))).unwrap();
    assert_eq!(listed["standing"], "withdrawn");
    centre.interrupt();
}
