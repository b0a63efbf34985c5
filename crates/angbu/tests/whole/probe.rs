//! `angbu probe` and `angbu doctor`, against our server, against chrony, and against nobody.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::nts::{chronyd, free_port};
use super::process::{Process, angbu, demo, run, serve_command, succeed, until};

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_probe_shows_offset_delay_and_what_the_server_says() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let server = centre.text("ntp");
    let asked = run(&mut angbu(["probe", server, "--count", "2", "--interval", "10 ms", "--json"]));
    assert!(asked.status.success(), "{asked:?}");
    let told = lines(&asked);
    assert_eq!(told.len(), 3);
    for (number, sample) in (1..).zip(&told[..2]) {
        assert_eq!((&sample["sample"], &sample["nts"]), (&number.into(), &false.into()), "{sample}");
        assert_eq!((&sample["stratum"], &sample["leap"]), (&10.into(), &0.into()), "{sample}");
        let figure = |name: &str| sample[name].as_i64().unwrap();
        assert!(figure("offset_ns").abs() <= figure("bound_ns"), "one clock has no offset: {sample}");
        assert!(figure("delay_ns") >= 0 && figure("root_dispersion_ns") > 0, "{sample}");
    }
    assert_eq!((&told[2]["asked"], &told[2]["answered"]), (&2.into(), &2.into()));
    let words = succeed(&mut angbu(["probe", server, "--count", "1"]));
    for part in ["stratum 10", "no leap second", "  d:+00.00", "  o:", "±", "*"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    centre.interrupt();
}

#[test]
fn a_probe_asks_under_nts() {
    let folder = tempfile::tempdir().unwrap();
    let (centre, certificate) = protected(folder.path());
    let port = centre.text("nts").rsplit(':').next().unwrap().to_owned();
    let server = format!("localhost:{port}");
    let mut command = angbu(["probe", &server, "--nts", "--count", "1", "--json", "--ca"]);
    let asked = run(command.arg(certificate));
    assert!(asked.status.success(), "{asked:?}");
    assert_eq!(lines(&asked)[0]["nts"], true);
    // Without its certificate nobody knows it.
    let refused = run(&mut angbu(["probe", &server, "--nts", "--count", "1"]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    centre.interrupt();
}

/// A centre, and the certificate that its exchange of keys shows.
fn protected(folder: &Path) -> (Process, std::path::PathBuf) {
    let centre = Process::start(&mut serve_command(folder));
    (centre, folder.join("data/site-certificate.pem"))
}

#[test]
fn a_probe_of_chrony_and_of_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!("local stratum 8\nallow 127.0.0.1\nbindaddress 127.0.0.1\nport {port}\n");
    let _chrony = chronyd(folder.path(), "server", &config);
    let server = format!("127.0.0.1:{port}");
    let told = until("chrony's answer", || {
        let asked = run(&mut angbu(["probe", &server, "--count", "1", "--json"]));
        asked.status.success().then(|| lines(&asked))
    });
    assert_eq!((&told[0]["stratum"], &told[0]["leap"]), (&8.into(), &0.into()));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    let asked = run(&mut angbu(["probe", &nobody, "--count", "1", "--json"]));
    assert_eq!(asked.status.code(), Some(1));
    assert!(lines(&asked)[0]["error"].as_str().unwrap().contains("did not answer"));
    for wrong in [&["probe"][..], &["probe", "x", "--count", "0"], &["probe", "x", "--ca", "y"]] {
        assert_eq!(run(&mut angbu(wrong)).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn the_doctor_tells_a_silent_server_from_one_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let centre = demo(folder.path());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    let asked = run(&mut angbu(["doctor", "--json", "--server", centre.text("ntp"), "--server", &nobody]));
    assert_eq!(asked.status.code(), Some(1));
    let told = &lines(&asked)[0];
    let findings = told["findings"].as_array().unwrap();
    let silent: Vec<_> = findings.iter().filter(|finding| finding["code"] == "silent-server").collect();
    assert_eq!(silent.len(), 1, "{told}");
    assert!(silent[0]["what"].as_str().unwrap().contains(&nobody), "{told}");
    assert!(
        !findings.iter().any(|finding| finding["code"] == "off" || finding["code"] == "servers-disagree")
    );
    assert!(told["seen"]["servers"][0]["bound_ns"].as_i64().unwrap() > 0, "{told}");
    let words = run(&mut angbu(["doctor", "--server", &nobody]));
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("WRONG") && words.contains("firewall"), "{words}");
    centre.interrupt();
}
