//! People and programs are told of incidents: by a real mail server in good and bad days, and by webhooks that check signatures.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::post_office::{NAME, PASSWORD, PostOffice};
use super::process::{Process, angbu, call, moved_clock, serve_command_with, until};

/// The section `[mail]` for a server of ours, with a password and what else is wanted.
fn mail_section(folder: &Path, office: &PostOffice, more: &str) -> String {
    section(folder, office.port, &office.path("cert.pem"), PASSWORD, more)
}

fn section(folder: &Path, port: u16, authorities: &Path, password: &str, more: &str) -> String {
    let file = folder.join("mail-password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    format!(
        "[mail]\nserver = \"localhost\"\nport = {port}\ncertificate_authorities = \"{}\"\nusername = \"{NAME}\"\n\
         password_file = \"{}\"\nfrom = \"angbu@example.org\"\nconsole = \"https://trust.example.org\"\n{more}\n",
        authorities.display(),
        file.display()
    )
}

fn centre(folder: &Path, sections: &str) -> Process {
    Process::start(&mut serve_command_with(folder, sections))
}

fn ask(centre: &Process, method: &str, path: &str, body: &Value) -> Value {
    let answer = call(centre, method, path, Some(body));
    assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

fn settle(centre: &Process, change: &Value) {
    ask(centre, "PATCH", "/api/v1/customers/demo", change);
}

fn send_test(centre: &Process) -> u64 {
    ask(centre, "POST", "/api/v1/customers/demo/test", &Value::Null)["deliveries"].as_u64().unwrap()
}

fn queue(centre: &Process) -> Value {
    call(centre, "GET", "/api/v1/deliveries", None).json()
}

/// Waits until the newest delivery to a target is as wanted, and returns it.
fn delivery(centre: &Process, target: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(what, || {
        let queue = queue(centre);
        let found =
            queue["deliveries"].as_array().unwrap().iter().find(|one| one["target"] == target).cloned();
        found.filter(|one| wanted(one))
    })
}

fn why(delivery: &Value) -> &str {
    delivery["why"].as_str().unwrap_or_default()
}

#[test]
fn mail_arrives_in_the_customer_s_language_and_script_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let office = PostOffice::open();
    let centre = centre(folder.path(), &mail_section(folder.path(), &office, ""));
    // A header cannot be made of an address, nor a zone of a path.
    for (field, wrong) in [
        ("contacts", json!(["ops@example.org\r\nBcc: all@example.org"])),
        ("zone", json!("../../etc/localtime")),
    ] {
        let refused = call(&centre, "PATCH", "/api/v1/customers/demo", Some(&json!({field: wrong})));
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    let contacts = ["ops@example.org", "ops@예시.한국", "운영@example.org"];
    settle(&centre, &json!({"contacts": contacts, "language": "ko", "zone": "asia/seoul"}));
    let shown = call(&centre, "GET", "/api/v1/customers/demo", None).json();
    assert_eq!((shown["zone"].as_str(), shown["revision"].as_u64()), (Some("Asia/Seoul"), Some(2)));
    assert_eq!(send_test(&centre), 3);
    let hasty = call(&centre, "POST", "/api/v1/customers/demo/test", None);
    assert_eq!(hasty.status, 409, "{}", hasty.text());
    let mails = office.wait_for(3);
    let mut to: Vec<_> = mails.iter().map(|mail| mail["for"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, ["ops@example.org", "ops@xn--vv4b11d.xn--3e0b707e", "운영@example.org"]);
    for mail in &mails {
        assert_eq!(mail["subject"], "[Angbu] demo: 시험 메시지입니다");
        assert_eq!(mail["from"], "Angbu <angbu@example.org>");
        assert_eq!(mail["auto"], "auto-generated");
        assert_eq!(
            mail["structure"],
            json!(["multipart/alternative", "text/plain", "multipart/related", "text/html"])
        );
        assert!(
            mail["defects"].as_array().unwrap().is_empty() && mail["long"].as_u64().unwrap() <= 998,
            "{mail}"
        );
        assert!(mail["html"].as_str().unwrap().contains("<html lang=\"ko\">"), "{mail}");
        assert!(mail["id"].as_str().unwrap().starts_with("<dlv_"), "{mail}");
    }
    for target in contacts {
        let ended = delivery(&centre, target, "its end", |one| one["state"] == "delivered");
        assert_eq!(ended["attempts"], 1, "{ended}");
    }
    assert_eq!(queue(&centre)["waiting"], 0);
    centre.interrupt();
    assert_eq!(office.mails().len(), 3);
}

#[test]
fn a_mail_server_s_bad_days_are_told_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = PostOffice::new();
    let mut serving = centre(folder.path(), &mail_section(folder.path(), &office, ""));
    settle(&serving, &json!({"contacts": ["ops@example.org", "late@example.org", "nobody@example.org"]}));
    assert_eq!(send_test(&serving), 3);
    // Down: told, and kept, even where the centre falls too.
    let tried = |one: &Value| one["attempts"] == 1 && !why(one).is_empty();
    let down = delivery(&serving, "ops@example.org", "a first try", tried);
    assert_eq!(down["state"], "waiting", "{down}");
    assert!(down["next_try_at"].is_string() && why(&down).contains("refused"), "{down}");
    for target in ["late@example.org", "nobody@example.org"] {
        delivery(&serving, target, "a first try", tried);
    }
    serving.kill();
    office.start();
    let serving = centre(folder.path(), &mail_section(folder.path(), &office, ""));
    let now = until("its turn", || {
        let sent = ask(&serving, "POST", "/api/v1/deliveries/now", &Value::Null);
        sent["deliveries"].as_u64().filter(|count| *count > 0)
    });
    assert_eq!(now, 3);
    // Up again: it arrives. Refused for good: given up at once. Put off: tried again until it is taken.
    let arrived = delivery(&serving, "ops@example.org", "its arrival", |one| one["state"] == "delivered");
    assert_eq!(arrived["attempts"], 2, "{arrived}");
    let refused = delivery(&serving, "nobody@example.org", "the refusal", |one| one["state"] == "given-up");
    assert!(why(&refused).contains("no such mailbox"), "{refused}");
    let late = delivery(&serving, "late@example.org", "a second try", |one| {
        one["attempts"] == 2 && !why(one).is_empty()
    });
    assert!(late["state"] == "waiting" && why(&late).contains("greylisted"), "{late}");
    std::fs::write(office.path("open"), "").unwrap();
    until("its turn", || {
        ask(&serving, "POST", "/api/v1/deliveries/now", &Value::Null)["deliveries"]
            .as_u64()
            .filter(|count| *count > 0)
    });
    delivery(&serving, "late@example.org", "its arrival", |one| one["state"] == "delivered");
    let mails = office.wait_for(2);
    serving.interrupt();
    assert_eq!(office.mails().len(), 2, "each arrived once: {mails:?}");
}

/// A server that greets a byte a second, and never ends its greeting.
fn slow_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                for byte in
                    b"220 mail.example.org is thinking about whether it has anything to say".iter().cycle()
                {
                    if stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                    std::thread::park_timeout(Duration::from_secs(1));
                }
            });
        }
    });
    port
}

#[test]
fn whom_we_do_not_trust_and_who_does_not_trust_us_is_told_with_the_reason() {
    let office = PostOffice::open();
    let other = PostOffice::new();
    let (right, wrong) = (office.path("cert.pem"), other.path("cert.pem"));
    for (what, port, authorities, password, more, reason) in [
        ("a wrong certificate", office.port, &wrong, PASSWORD, "", "certificate"),
        ("a wrong password", office.port, &right, "not-the-password", "", "535"),
        (
            "a server that answers a byte a second",
            slow_server(),
            &right,
            PASSWORD,
            "timeout = \"2 s\"",
            "longer than 2 s",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let centre = centre(folder.path(), &section(folder.path(), port, authorities, password, more));
        settle(&centre, &json!({"contacts": ["ops@example.org"]}));
        send_test(&centre);
        let told = delivery(&centre, "ops@example.org", what, |one| !why(one).is_empty());
        assert_eq!(told["state"], "waiting", "{what}: {told}");
        assert!(why(&told).contains(reason), "{what}: {told}");
        assert!(!queue(&centre).to_string().contains("password"), "{what}");
    }
    assert!(office.mails().is_empty());
}

/// An agent whose clock is off by what stands in a file.
pub(crate) fn agent(folder: &Path, centre: &Process, name: &str, offset: &Path) -> Process {
    let wish = json!({"kind": "agent", "customer": "demo", "name": name});
    let code = ask(centre, "POST", "/api/v1/enrolments", &wish)["code"].as_str().unwrap().to_owned();
    let file = folder.join("agent.toml");
    let config = format!(
        "centre = \"{}\"\nname = \"{name}\"\ncode = \"{code}\"\nstate = \"{}\"\npoll_interval = \"1 s\"\n\
         check_interval = \"500 ms\"\nkeeper = \"nobody\"\n",
        centre.text("http"),
        folder.join("agent").display()
    );
    std::fs::write(&file, config).unwrap();
    Process::start(angbu(["agent", "--json", "--config"]).arg(file).envs(moved_clock(offset)))
}

/// A program that is told: what arrives, as headers and body.
fn receiver() -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(request) = take(stream)
                && sender.send(request).is_err()
            {
                return;
            }
        }
    });
    (port, received)
}

fn take(mut stream: TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// Checks a message as Standard Webhooks says, with one of its signatures.
fn check(secret: &str, (head, body): &(String, String)) -> Value {
    let header = |name: &str| {
        let found = head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        });
        found.unwrap_or_else(|| panic!("no {name} in {head}"))
    };
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(header("webhook-signature").split(' ').any(|signature| signature == expected), "{head}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn an_incident_is_told_to_people_with_figures_and_a_picture_and_to_programs_with_a_signature() {
    let folder = tempfile::tempdir().unwrap();
    let office = PostOffice::open();
    let sections = format!(
        "{}[webhooks]\nplain_http = true\nnetworks = [\"127.0.0.1\"]\n[incidents]\ngather = \"1 s\"\n",
        mail_section(folder.path(), &office, "operators = [\"duty@example.org\"]\n")
    );
    let centre = centre(folder.path(), &sections);
    settle(&centre, &json!({"contacts": ["ops@example.org"], "language": "ja", "zone": "Asia/Tokyo"}));
    let (port, received) = receiver();
    let wish = json!({"url": format!("http://127.0.0.1:{port}/hook?a=b")});
    let made = ask(&centre, "POST", "/api/v1/customers/demo/webhooks", &wish);
    let (id, old) = (made["webhook"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap().to_owned());
    let path = format!("/api/v1/customers/demo/webhooks/{id}/secret");
    let new = ask(&centre, "POST", &path, &Value::Null)["secret"].as_str().unwrap().to_owned();
    assert!(!call(&centre, "GET", "/api/v1/customers/demo/webhooks", None).text().contains("whsec_"));

    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+2\n").unwrap();
    let _agent = agent(folder.path(), &centre, "db-3", &offset);
    // The rotated secret signs, and for a day the one before it.
    let told = received.recv_timeout(super::process::PATIENCE).unwrap();
    let message = check(&new, &told);
    assert_eq!(check(&old, &told), message);
    assert_eq!(message["type"], "time.incidents");
    let incident = &message["data"]["incidents"][0];
    assert_eq!((incident["kind"].as_str(), incident["server"].as_str()), (Some("outside"), Some("db-3")));
    let off = incident["offset_ns"].as_i64().unwrap().abs();
    assert!((1_900_000_000..2_100_000_000).contains(&off), "{incident}");

    let mails = office.wait_for(2);
    let to = |who: &str| {
        mails.iter().find(|mail| mail["for"] == who).unwrap_or_else(|| panic!("none to {who}: {mails:?}"))
    };
    let (customer, operator) = (to("ops@example.org"), to("duty@example.org"));
    assert_eq!(customer["subject"], "[Angbu] demo: db-3: 時計が許容範囲外にあることが証明された");
    assert_eq!(operator["subject"], "[Angbu] demo/db-3: the clock is proven to be outside its tolerance");
    for mail in [customer, operator] {
        assert!(mail["image"].as_str().unwrap().starts_with("89504e470d0a1a0a"), "{mail}");
        assert_eq!(mail["cid"], "<graph>");
        for part in ["text", "html"] {
            let text = mail[part].as_str().unwrap();
            for needed in ["50 ms", " ± ", " UTC", "https://trust.example.org/customers/demo?agent=db-3"] {
                assert!(text.contains(needed), "{needed} is missing in {text}");
            }
        }
    }
    assert!(customer["text"].as_str().unwrap().contains("Asia/Tokyo"), "{customer}");
    if let Some(kept) = std::env::var_os("ANGBU_KEEP_MAIL") {
        std::fs::write(kept, serde_json::to_vec(customer).unwrap()).unwrap();
    }
    // Its entry is in the log, and the console's page shows it as long as it lasts.
    let listed = call(&centre, "GET", "/api/v1/time/incidents?customer=demo", None).json();
    let shown = &listed["incidents"][0];
    assert_eq!((shown["kind"].as_str(), shown["until"].is_null()), (Some("outside"), true), "{listed}");
    let entry = format!("/api/v1/evidence/entries/{}", shown["opened_entry"].as_str().unwrap());
    until("the entry's place in the log", || {
        (call(&centre, "GET", &entry, None).status == 200).then_some(())
    });
    // A hand on the clock is another incident, told to both once more; the first is told no second time.
    std::fs::write(&offset, "+9\n").unwrap();
    let mails = office.wait_for(4);
    let second: Vec<_> = mails[2..].iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    assert!(second.iter().any(|subject| subject.contains("somebody set the clock")), "{second:?}");
}

#[test]
fn webhooks_reach_no_network_that_is_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let centre = centre(folder.path(), "[webhooks]\nplain_http = true\n");
    let (port, received) = receiver();
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        ask(&centre, "POST", "/api/v1/customers/demo/webhooks", &json!({"url": url}));
    }
    assert_eq!(send_test(&centre), 2);
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        let refused = delivery(&centre, &url, "the refusal", |one| one["state"] == "given-up");
        assert!(why(&refused).contains("in no public network"), "{refused}");
    }
    assert!(received.try_recv().is_err());
    let plain = json!({"url": "ftp://example.org/"});
    assert_eq!(call(&centre, "POST", "/api/v1/customers/demo/webhooks", Some(&plain)).status, 422);
}
