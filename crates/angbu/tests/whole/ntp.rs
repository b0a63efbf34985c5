//! The time server before real clients, and before noise.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::process::{Process, angbu, call, demo, until};

#[test]
fn chronyd_takes_it_as_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let port = centre.text("ntp").rsplit(':').next().unwrap().to_owned();
    // -Q prints what it would do and sets nothing; -x says once more that the clock is not ours to touch.
    let said = Command::new("chronyd")
        .args(["-Q", "-x", "-t", "20", "-f", "/dev/null"])
        .arg(format!("server 127.0.0.1 port {port} iburst maxsamples 4"))
        .arg(format!("pidfile {}", folder.path().join("chronyd.pid").display()))
        .output()
        .expect("chronyd is installed: apt-get install chrony");
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{words}");
    assert!(words.contains("System clock wrong by"), "{words}");
    centre.interrupt();
}

#[test]
fn ntpdate_takes_it_as_a_source() {
    let folder = tempfile::tempdir().unwrap();
    // ntpdate knows no port but NTP's own, which a network namespace of the test's own has free.
    let script = format!(
        "ip link set lo up && {:?} demo --json --http 127.0.0.1:0 --ntp 127.0.0.1:123 --data {:?} > {:?} & \
         demo=$!; for _ in $(seq 200); do [ -s {:?} ] && break; sleep 0.05; done; \
         ntpdate -q 127.0.0.1; said=$?; kill -INT $demo; wait $demo; exit $said",
        env!("CARGO_BIN_EXE_angbu"),
        folder.path().join("data"),
        folder.path().join("out"),
        folder.path().join("out"),
    );
    let said = Command::new("unshare")
        .args(["--net", "--map-root-user", "sh", "-c", &script])
        .output()
        .expect("unshare is part of util-linux");
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{words}");
    assert!(words.contains("127.0.0.1"), "{words}");
    assert!(!words.contains("no server suitable") && !words.contains("no eligible servers"), "{words}");
}

#[test]
fn noise_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(centre.text("ntp")).unwrap();
    let mut rng = StdRng::seed_from_u64(7);
    for length in 0..=2_000 {
        let mut datagram = vec![0; length];
        rng.fill_bytes(&mut datagram);
        // Whatever the rest is, this is no client's request: the mode is a server's.
        if let Some(first) = datagram.first_mut() {
            *first = *first & !7 | 4;
        }
        socket.send(&datagram).unwrap();
    }
    let dropped = until("every datagram counted", || {
        let ntp = call(&centre, "GET", "/api/v1/centre", None).json()["ntp"]["dropped"].clone();
        let total: u64 = ntp.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        (total >= 2_001).then_some(ntp)
    });
    assert!(dropped["short"].as_u64().unwrap() >= 48, "{dropped}");
    socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
    assert!(socket.recv(&mut [0; 2_048]).is_err(), "noise is not answered");
    // And a request still is.
    let mut request = [0; 48];
    request[0] = 0x23;
    request[40..].copy_from_slice(&[1; 8]);
    socket.set_read_timeout(Some(super::process::PATIENCE)).unwrap();
    socket.send(&request).unwrap();
    let mut reply = [0; 64];
    assert_eq!(socket.recv(&mut reply).unwrap(), 48);
    assert_eq!(reply[24..32], [1; 8], "the reply names the request");
    centre.interrupt();
}

#[test]
fn a_centre_without_a_reference_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let centre = serve(folder.path(), "");
    let clock = call(&centre, "GET", "/api/v1/centre", None).json()["clock"].clone();
    assert_eq!(
        (clock["verdict"].as_str(), clock["leap"].as_str()),
        (Some("unproven"), Some("unsynchronised"))
    );
    let reply = ask(centre.text("ntp"));
    assert_eq!(reply[0] >> 6, 3, "leap 3");
    assert_eq!(reply[1], 0, "stratum 16 is 0 on the wire (RFC 5905, figure 11)");
    centre.interrupt();
}

#[test]
fn a_centre_is_as_good_as_its_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = demo(&folder.path().join("upstream"));
    let config = format!("[clock]\nupstreams = [\"{}\"]\npoll_interval = \"1 s\"\n", upstream.text("ntp"));
    let centre = serve(&folder.path().join("centre"), &config);
    until("a proven clock", || {
        let clock = call(&centre, "GET", "/api/v1/centre", None).json()["clock"].clone();
        (clock["verdict"] == "proven" && clock["stratum"] == 11).then_some(())
    });
    let reply = until("leap 0 and stratum 11", || {
        Some(ask(centre.text("ntp"))).filter(|reply| (reply[0] >> 6, reply[1]) == (0, 11))
    });
    assert_eq!(reply[12..16], [127, 0, 0, 1], "the reference is the upstream");
    upstream.interrupt();
    centre.interrupt();
}

fn serve(data: &Path, config: &str) -> Process {
    std::fs::create_dir_all(data).unwrap();
    let file = data.join("serve.toml");
    std::fs::write(&file, config).unwrap();
    Process::start(
        angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(data.join("data")),
    )
}

fn ask(address: &str) -> [u8; 48] {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(super::process::PATIENCE)).unwrap();
    let mut request = [0; 48];
    request[0] = 0x23;
    socket.send(&request).unwrap();
    let mut reply = [0; 48];
    assert_eq!(socket.recv(&mut reply).unwrap(), 48);
    reply
}

#[test]
fn prometheus_reads_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let metrics = super::process::http(centre.text("http"), "GET", "/metrics", "", b"").text();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(metrics.contains("angbu_clock_verdict{verdict=\"declared\"} 1"), "{metrics}");
    centre.interrupt();
}
