//! Protected time before real clients and servers, and before somebody on the way.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use angbu_accounts::EnrolmentCode;
use angbu_agent::clock::SystemClock;
use angbu_agent::nts::exchange_keys;
use angbu_client::{Joined, Trust};
use angbu_time::chain::Chain;
use angbu_time::exchange::Exchange;
use angbu_time::ingest::sign;
use angbu_time::nts::client::Session;
use angbu_time::proof::{self, Asked, Witness, identifier};
use angbu_time::record::{Fact, Measured, Record, Upload};
use angbu_time::sync::Judgement;
use angbu_units::{Clock as _, Nanos, NtpServerId, NtpTimestamp};
use ed25519_dalek::SigningKey;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::process::{
    Process, angbu, call, demo, http, run, serve_command_with, succeed, until, until_within,
};
use super::refusals::{now, send};

/// A process of somebody else's, ended with the test.
pub(crate) struct Other(pub(super) Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// chronyd with a configuration of its own; -x says that the clock is not ours to touch.
pub(crate) fn chronyd(folder: &Path, name: &str, config: &str) -> Other {
    let text = format!("{config}\nbindcmdaddress {0}/{name}.sock\ncmdport 0\n", folder.display());
    chronyd_as_is(folder, name, &text)
}

/// The same, which takes commands where its configuration says.
pub(crate) fn chronyd_as_is(folder: &Path, name: &str, config: &str) -> Other {
    let file = folder.join(format!("{name}.conf"));
    let text = format!("{config}\npidfile {}/{name}.pid\nuser root\n", folder.display());
    std::fs::write(&file, text).unwrap();
    let child = Command::new("chronyd")
        .args(["-x", "-d", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("chronyd is installed: apt-get install chrony");
    Other(child)
}

/// A number of `/metrics`.
pub(super) fn metric(centre: &Process, name: &str) -> u64 {
    let text = http(centre.text("http"), "GET", "/metrics", "", b"").text();
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

pub(super) const PROTECTED: &str = "angbu_nts_replies_total{kind=\"protected\"}";
pub(super) const WITNESSED: &str = "angbu_nts_replies_total{kind=\"witnessed\"}";
pub(super) const NAK: &str = "angbu_nts_replies_total{kind=\"nak\"}";
pub(super) const EXCHANGED: &str = "angbu_nts_key_exchanges_total{outcome=\"served\"}";

pub(super) fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

#[test]
fn chrony_takes_protected_time_and_its_cookies_outlast_many_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), "[nts]\nrotate = \"2 s\"\n"));
    let certificate = folder.path().join("data/site-certificate.pem");
    let _chrony = chronyd(
        folder.path(),
        "client",
        &format!(
            "server localhost port 1 nts ntsport {} minpoll -2 maxpoll -2 maxsamples 8\nntstrustedcerts {}\n\
             port 0\n",
            port(centre.text("nts")),
            certificate.display()
        ),
    );
    until("the first protected reply", || (metric(&centre, PROTECTED) > 0).then_some(()));
    let epoch = || metric(&centre, "angbu_nts_epoch");
    let first = epoch();
    until("four epochs", || (epoch() >= first + 4).then_some(()));
    let answered = metric(&centre, PROTECTED);
    until("ten more replies", || (metric(&centre, PROTECTED) >= answered + 10).then_some(()));
    assert_eq!(metric(&centre, EXCHANGED), 1, "the keys of the beginning still hold");
    assert_eq!(metric(&centre, NAK), 0, "every cookie was opened");
    assert_eq!(metric(&centre, WITNESSED), 0, "chrony asks for no proof");
    centre.interrupt();
}

/// A port that is free for TCP just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An agent's configuration and state for a centre whose demo customer it joins.
pub(super) fn agent(centre: &Process, folder: &Path, more: &str) -> Process {
    let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
    let said = call(centre, "POST", "/api/v1/enrolments", Some(&wish)).json();
    let file = folder.join("agent.toml");
    let text = format!(
        "centre = {:?}\nname = \"db-3\"\ncode = {:?}\nstate = {:?}\npoll_interval = \"300 ms\"\nretry_interval = \"50 ms\"\n{more}",
        centre.text("http"),
        said["code"].as_str().unwrap_or_else(|| panic!("no code in {said}")),
        folder.join("agent").display().to_string(),
    );
    std::fs::write(&file, text).unwrap();
    Process::start(angbu(["agent", "--json", "--config"]).arg(file))
}

#[test]
fn an_agent_takes_protected_time_from_chrony() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), ""));
    let (certificate, key) = certificate(folder.path());
    let (ntp, keys) = (UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), free_port());
    let _chrony = chronyd(
        folder.path(),
        "server",
        &format!(
            "local stratum 8\nallow 127.0.0.1\nbindaddress 127.0.0.1\nport {ntp}\nntsport {keys}\n\
             ntsservercert {}\nntsserverkey {}\n",
            certificate.display(),
            key.display()
        ),
    );
    let server = format!("nts://localhost:{keys}");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "centre_ntp = \"{}\"\ncertificate_authorities = {:?}\nservers = [\"{server}\"]\n",
        silent.local_addr().unwrap(),
        certificate.display().to_string()
    );
    let mut agent = agent(&centre, folder.path(), &more);
    for _ in 0..3 {
        assert_eq!(agent.event("exchange")["server"], server.as_str());
    }
    agent.interrupt();
    centre.interrupt();
}

/// A certificate for this machine with its key.
pub(super) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let signed = params.self_signed(&pair).unwrap();
    let files = (folder.join("chrony.pem"), folder.join("chrony.key"));
    std::fs::write(&files.0, signed.pem()).unwrap();
    std::fs::write(&files.1, pair.serialize_pem()).unwrap();
    files
}

#[test]
fn the_demo_is_protected_and_its_report_says_how_much_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let mut centre = demo(folder.path());
    for event in ["exchange", "uploaded", "exchange", "uploaded"] {
        centre.event(event);
    }
    assert!(metric(&centre, WITNESSED) > 0);
    assert_eq!(metric(&centre, NAK), 0);
    let [count, proven, late, refused] = until("an exchange in a report", || sealed(&centre, folder.path()));
    assert_eq!([proven, late, refused], [count, 0, 0]);
    centre.interrupt();
}

/// What a report of everything up to this second says of proofs: exchanges, proven, late, refused.
pub(super) fn sealed(centre: &Process, folder: &Path) -> Option<[u64; 4]> {
    let file = folder.join("report.html");
    let period = ["--from", "2026-01-01T00:00:00Z", "--to", "2200-01-01T00:00:00Z"];
    succeed(
        angbu(["report", "time", "--customer", "demo", "-o"])
            .arg(&file)
            .args(period)
            .env("ANGBU_URL", centre.text("http"))
            .env("ANGBU_TOKEN", centre.text("token")),
    );
    succeed(angbu(["verify", "--key", centre.text("log_key")]).arg(&file));
    let text = std::fs::read_to_string(file).unwrap();
    let said = text.split("<p>Of ").find(|said| said.contains("own seal"))?;
    let said = said.split("</p>").next()?;
    let numbers: Vec<u64> = said.split([' ', ';']).filter_map(|word| word.parse().ok()).collect();
    Some(numbers.try_into().unwrap_or_else(|numbers| panic!("{numbers:?} in: {said}")))
}

/// An agent made by hand, which sends what a test wants it to send.
struct Liar {
    centre: Process,
    joined: Joined,
    key: SigningKey,
    session: Session,
    socket: UdpSocket,
}

impl Liar {
    fn join(folder: &Path) -> Self {
        let centre = Process::start(&mut serve_command_with(folder, ""));
        let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
        let code = call(&centre, "POST", "/api/v1/enrolments", Some(&wish)).json();
        let code = EnrolmentCode::parse(code["code"].as_str().unwrap()).unwrap();
        let key = SigningKey::from_bytes(&[5; 32]);
        let joined = angbu_client::join(centre.text("http"), &code, "db-3", &key).unwrap();
        let trust = Trust::Key(joined.nts_key.unwrap()).for_nts().unwrap();
        let session = exchange_keys(joined.nts.as_deref().unwrap(), &Arc::new(trust)).unwrap().session;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(centre.text("ntp")).unwrap();
        socket.set_read_timeout(Some(super::process::PATIENCE)).unwrap();
        Self { centre, joined, key, session, socket }
    }

    /// A true exchange, and what proves it.
    fn exchange(&mut self, number: u8) -> (Measured, Witness) {
        let (reveal, t1) = ([number; 32], SystemClock.read().wall);
        let asked = Asked { t1: NtpTimestamp::from_unix(t1), previous_t4: NtpTimestamp::UNKNOWN };
        let token = NtpTimestamp::from_bits(u64::from(number));
        let mine = self.key.verifying_key().to_bytes();
        let request =
            self.session.ask(token, identifier(&mine, &reveal), Some(&asked), &mut rand::rng()).unwrap();
        let mut reply = [0; 2_048];
        self.socket.send(&request.datagram).unwrap();
        let length = self.socket.recv(&mut reply).unwrap();
        let t4 = SystemClock.read().wall;
        let seal = self.session.read(&request, &reply[..length]).unwrap().seal.unwrap();
        let measured = Measured {
            server: NtpServerId::from_bytes(*self.joined.centre.as_bytes()),
            exchange: Exchange::read(&request.datagram, &reply, t1, t4).unwrap(),
            judgement: Judgement::NONE,
            poll: Nanos::from_secs(2),
        };
        let header = *reply.first_chunk().unwrap();
        (measured, Witness { reveal, request: request.datagram, header, seal })
    }

    /// Sends these as its first records.
    fn tell(&self, told: impl IntoIterator<Item = (Measured, Witness)>) {
        let mine = self.key.verifying_key().to_bytes();
        let mut upload = Upload {
            agent: self.joined.agent,
            before: Chain::begin(self.joined.agent, &mine, 1),
            sent: now(&self.centre),
            newest_checkpoint: None,
            records: Vec::new(),
            witnesses: Default::default(),
        };
        for (seq, (measured, witness)) in (1..).zip(told) {
            upload.records.push(Record { seq, fact: Fact::Exchange(measured) });
            upload.witnesses.insert(seq, witness);
        }
        let answer = send(&self.centre, &sign(&upload, &self.key));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What a report says of proofs once it holds so many exchanges: a report ends with a whole second.
    fn reported(&self, folder: &Path, exchanges: u64) -> [u64; 4] {
        until("all in a report", || sealed(&self.centre, folder).filter(|[count, ..]| *count == exchanges))
    }
}

#[test]
fn an_agent_cannot_invent_repeat_or_reorder_exchanges() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Liar::join(folder.path());
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|number| agent.exchange(number));
    let mut invented = fourth.clone();
    let [t1, t2, t3, t4] = invented.0.exchange.instants();
    let second_on = Nanos::from_secs(1);
    invented.0.exchange =
        Exchange::new([t1, t2 + second_on, t3 + second_on, t4], *invented.0.exchange.source()).unwrap();
    // Told with another's pair of packets.
    let borrowed = (fourth.0, first.1.clone());
    agent.tell([first.clone(), first, third, second, invented, borrowed, fourth]);
    let said = agent.reported(folder.path(), 7);
    assert_eq!(said, [7, 3, 0, 4], "the first, the third and the fourth are proven");
    agent.centre.interrupt();
}

/// Lateness begins after two polls and a minute, and nobody sets a clock here, so this takes that long.
#[test]
#[ignore = "a trial: cargo xtask judge late"]
fn judge_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Liar::join(folder.path());
    let first = agent.exchange(1);
    let told = first.0.exchange.at() + proof::PATIENCE + Nanos::from_secs(2 * 2);
    until_within(Duration::from_secs(90), "the first to be late", || {
        (now(&agent.centre) > told).then_some(())
    });
    let second = agent.exchange(2);
    agent.tell([first, second]);
    assert_eq!(agent.reported(folder.path(), 2), [2, 2, 1, 0], "both are proven, one of them late");
    agent.centre.interrupt();
}

/// Connections of eight addresses, as many as a centre lets in of each and some more. Each says the beginning of a greeting.
fn flood(to: SocketAddr) -> Vec<TcpStream> {
    let addresses = (1..=8).map(|last| SocketAddr::from(([127, 0, 3, last], 0)));
    let opened = addresses.flat_map(|from| {
        (0..70).filter_map(move |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&from.into()).unwrap();
            socket.connect(&to.into()).ok()?;
            let mut stream = TcpStream::from(socket);
            // Who was closed at once cannot say it.
            let _ = stream.write_all(&[0x16, 3, 1]);
            Some(stream)
        })
    });
    opened.collect()
}

#[test]
fn whoever_floods_the_exchange_of_keys_locks_nobody_out() {
    const FAILED: &str = "angbu_nts_key_exchanges_total{outcome=\"failed\"}";
    const CROWDED: &str = "angbu_nts_key_exchanges_total{outcome=\"crowded\"}";
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command_with(folder.path(), ""));
    let mut agent = agent(&centre, folder.path(), "");
    agent.event("exchange");
    let door = centre.text("nts").parse().unwrap();
    let held = flood(door);
    assert!(held.len() > 500, "{}", held.len());
    // Who has keys needs no door.
    agent.forget();
    for _ in 0..4 {
        assert_eq!(agent.either(&["exchange", "no-exchange"])["event"], "exchange");
    }
    // Who has none waits for a place, no longer than the slow are let wait.
    let mut probe = || {
        let certificate = folder.path().join("data/site-certificate.pem");
        let server = format!("localhost:{}", port(centre.text("nts")));
        let mut probe = angbu(["probe", &server, "--nts", "--count", "1", "--ca"]);
        run(probe.arg(certificate)).status.success().then_some(())
    };
    until("an exchange of keys beside the flood", &mut probe);
    until("the end of the slow ones", || (metric(&centre, FAILED) >= 512).then_some(()));
    assert!(metric(&centre, CROWDED) > 0, "more of one address are closed at once");
    drop(held);
    until("an exchange of keys after the flood", &mut probe);
    agent.interrupt();
    centre.interrupt();
}
