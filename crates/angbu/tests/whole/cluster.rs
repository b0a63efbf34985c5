//! Two centres over one PostgreSQL: either may be killed or stopped, the database may go and come back, and there is one
//! log in which everything that was answered stands once.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use angbu_evidence::note::VerifierKey;
use angbu_testkit::postgres::Server;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::load::{Told, check, under_load};
use super::process::{PATIENCE, Process, call, pass, serve_command_with, try_http, until};
use super::witness::{asking, cosigned, witness};

/// A database and the folders of the centres that share it.
pub(super) struct Cluster {
    server: Server,
    address: String,
    folder: tempfile::TempDir,
}

impl Cluster {
    pub(super) fn new() -> Self {
        // Its disk is waited for: what is tried here is what a crash leaves.
        let server = Server::with(&[]);
        let address = server.database();
        Self { server, address, folder: tempfile::tempdir().unwrap() }
    }

    /// Kills the database.
    pub(super) fn kill_database(&self) {
        self.server.kill();
    }

    /// Starts the database that was killed.
    pub(super) fn start_database_again(&self) {
        self.server.start_again();
    }

    /// Starts the centre of this name.
    pub(super) fn start(&self, name: &str) -> Process {
        self.start_with(name, "")
    }

    /// Starts the centre of this name, with more in its configuration; every one but the first needs the root secret of
    /// another.
    fn start_with(&self, name: &str, more: &str) -> Process {
        let folder = self.folder.path().join(name);
        let secret = |folder: PathBuf| folder.join("data").join("root.secret");
        let others = fs::read_dir(&self.folder).unwrap().flatten().map(|other| secret(other.path()));
        let own = secret(folder.clone());
        fs::create_dir_all(folder.join("data")).unwrap();
        if let Some(other) = others.into_iter().find(|other| other.exists()).filter(|_| !own.exists()) {
            fs::copy(other, own).unwrap();
        }
        let mut command = serve_command_with(&folder, &format!("name = \"{name}\"\n{more}"));
        Process::start(command.arg("--store").arg(&self.address))
    }
}

#[test]
fn either_of_two_centres_may_be_killed() {
    killed(1, 3);
}

#[test]
#[ignore = "30 runs take minutes: cargo xtask judge cluster-crash"]
fn judge_cluster_crash() {
    for seed in 100..130 {
        killed(seed, 4);
    }
}

fn killed(seed: u64, kills: u32) {
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = Cluster::new();
    let names = ["one", "two"];
    let mut centres = names.map(|name| cluster.start(name));
    let mut told = Told::default();
    for _ in 0..kills {
        let victim = rng.random_range(0..centres.len());
        let after = Duration::from_millis(rng.random_range(20..900));
        told.add(under_load(&[&centres[0], &centres[1]], |load| {
            pass(after);
            centres[victim].signal("KILL");
            // The other goes on, whichever of them had the log.
            load.until_answered(20);
        }));
        centres[victim].kill();
        centres[victim] = cluster.start(names[victim]);
    }
    told.refused();
    for centre in &centres {
        check(centre, &told);
    }
    for centre in centres {
        centre.interrupt();
    }
}

#[test]
fn a_centre_that_stands_still_is_followed_and_comes_back() {
    stands_still(Duration::ZERO);
}

#[test]
#[ignore = "it stands still for 30 s: cargo xtask judge standstill"]
fn judge_standstill() {
    stands_still(Duration::from_secs(30));
}

fn stands_still(time: Duration) {
    let cluster = Cluster::new();
    let (first, second) = (cluster.start("one"), cluster.start("two"));
    let told = under_load(&[&first, &second], |load| {
        load.until_answered(50);
        first.signal("STOP");
        until("a proof from the other centre", || proof(&second));
        pass(time);
        load.until_answered(50);
        first.signal("CONT");
        until("a proof from the centre that is back", || proof(&first));
        load.until_answered(50);
    });
    told.refused();
    check(&first, &told);
    check(&second, &told);
    first.interrupt();
    second.interrupt();
}

/// Appends something and gives the proof, if it comes with the answer.
fn proof(centre: &Process) -> Option<String> {
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nPrefer: wait\r\n",
        centre.text("token")
    );
    let body = json!({"customer": "demo", "fields": {"what": "is it going on?"}}).to_string();
    let answer =
        try_http(centre.text("http"), "POST", "/api/v1/evidence/entries", &headers, body.as_bytes())?;
    (answer.status == 201).then(|| answer.json()["proof"].as_str().map(str::to_owned)).flatten()
}

#[test]
fn while_the_database_is_gone_answers_wait_and_the_time_goes_on() {
    let cluster = Cluster::new();
    let centre = cluster.start("one");
    let told = under_load(&[&centre], |load| {
        for _ in 0..2 {
            load.until_answered(50);
            cluster.server.kill();
            load.until_refused(20);
            assert!(tells_the_time(&centre), "NTP needs no database");
            assert_eq!(call(&centre, "GET", "/readyz", None).status, 503);
            cluster.server.start_again();
        }
        load.until_answered(50);
    });
    assert!(told.refused() >= 40);
    check(&centre, &told);
    centre.interrupt();
}

#[test]
fn a_witness_goes_on_with_whichever_centre_has_the_log() {
    let cluster = Cluster::new();
    // The log's key is known once the log is.
    let first = cluster.start("one");
    let log_key = first.text("log_key").to_owned();
    first.interrupt();
    let seen = cluster.folder.path().join("witness");
    let mut watching = witness(&seen, "127.0.0.1:0", &log_key);
    let keys: [VerifierKey; 2] = [log_key.parse().unwrap(), watching.text("key").parse().unwrap()];
    let (names, asks) = (["one", "two"], asking(&watching));
    let mut centres = names.map(|name| cluster.start_with(name, &asks));
    // One of these two is the one that has the log.
    for killed in [0, 1] {
        until("a proof", || proof(&centres[killed]));
        let size = centres.each_ref().map(|centre| cosigned(centre, &keys, 0)).into_iter().max().unwrap();
        centres[killed].kill();
        let other = &centres[1 - killed];
        until("a proof from the centre that is left", || proof(other));
        cosigned(other, &keys, size);
        centres[killed] = cluster.start_with(names[killed], &asks);
    }
    for centre in &centres {
        until("a centre that is content with its witness", || {
            let shown = call(centre, "GET", "/api/v1/evidence/witnesses", None).json();
            let configured = shown["witnesses"].as_array()?.iter().find(|row| row["kind"] == "configured")?;
            configured["trouble"].is_null().then_some(())
        });
        assert_eq!(call(centre, "GET", "/readyz", None).status, 200, "nothing is in doubt");
    }
    for centre in centres {
        centre.interrupt();
    }
    assert!(!watching.has_told("fork"));
    let forks = fs::read_dir(seen).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(forks.filter(|name| name.to_string_lossy().starts_with("fork-")).count(), 0);
    watching.interrupt();
}

/// Whether the centre answers an NTP request.
fn tells_the_time(centre: &Process) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = [0; 48];
    request[0] = 0x23;
    socket.send_to(&request, centre.text("ntp")).unwrap();
    socket.recv(&mut [0; 48]).is_ok_and(|length| length == 48)
}
