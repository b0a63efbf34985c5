//! What third parties are shown: periods, traceability and trend, share links, and reports that make themselves.

use std::collections::BTreeSet;
use std::path::Path;

use angbu_units::{Nanos, UnixTime, Zone};
use serde_json::{Value, json};

use super::log::Log;
use super::process::{Answer, Process, angbu, call, demo, http, moved_clock, run, succeed, until};
use super::refusals::now;

/// A demo whose agent has been shown to be right.
fn shown(data: &Path) -> Process {
    let mut centre = demo(data);
    for _ in 0..3 {
        centre.event("exchange");
    }
    until("an upload", || {
        let agents = call(&centre, "GET", "/api/v1/time/agents", None).json();
        (agents["agents"][0]["verdict"] == "within").then_some(())
    });
    centre
}

fn get(centre: &Process, path: &str) -> Answer {
    call(centre, "GET", path, None)
}

fn periods(centre: &Process, query: &str) -> Answer {
    get(centre, &format!("/api/v1/time/customers/demo/periods?{query}"))
}

/// What a stranger sends to a share link's call.
fn open(url: &str, call: &str, token: &str) -> Answer {
    let body = json!({"token": token}).to_string();
    http(url, "POST", call, "Content-Type: application/json\r\n", body.as_bytes())
}

fn count(centre: &Process, kind: &str) -> usize {
    Log::fetch(centre).entries.iter().filter(|entry| entry.kind.as_str() == kind).count()
}

/// Waits until the log holds so many entries of a kind: an answer comes as soon as its entry is durable.
fn counted(centre: &Process, kind: &str, expected: usize) {
    until(kind, || (count(centre, kind) >= expected).then_some(()));
    assert_eq!(count(centre, kind), expected, "{kind}");
}

/// The month before the present one, in UTC.
fn last_month(centre: &Process) -> String {
    let present = Zone::UTC.month_of(now(centre));
    angbu_units::Month::from_number(present.number() - 1).unwrap().to_string()
}

fn make_share(centre: &Process, wish: &Value) -> Answer {
    call(centre, "POST", "/api/v1/time/shares", Some(wish))
}

/// The secret at the end of a new link's address, and the link's id.
fn token(made: &Answer) -> (String, String) {
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let path = made["path"].as_str().unwrap();
    let token = path.strip_prefix("/share/").unwrap();
    // 256 bits in base32.
    assert_eq!(token.len(), 52, "{path}");
    (token.to_owned(), made["share"]["id"].as_str().unwrap().to_owned())
}

#[test]
fn a_period_is_told_server_by_server_to_its_edges() {
    let folder = tempfile::tempdir().unwrap();
    let centre = shown(&folder.path().join("data"));
    let told = periods(&centre, "").json();
    let (period, totals) = (&told["period"], &told["totals"]);
    let from = UnixTime::parse_rfc3339(period["from"].as_str().unwrap()).unwrap();
    let till = UnixTime::parse_rfc3339(period["until"].as_str().unwrap()).unwrap();
    let sum: i64 =
        ["within_ms", "outside_ms", "not_proven_ms"].iter().map(|name| totals[name].as_i64().unwrap()).sum();
    assert!((sum - (till - from).count() / 1_000_000).abs() <= 3, "{told}");
    assert!(totals["within_ms"].as_i64().unwrap() > 1_000 && totals["outside_ms"] == 0, "{told}");
    let agent = &told["agents"][0];
    assert_eq!(agent["name"], "this-machine");
    let intervals = agent["periods"].as_array().unwrap();
    assert!(intervals.iter().any(|interval| interval["why"] == "within"));
    let joined = intervals.windows(2).all(|pair| pair[0]["to_ms"] == pair[1]["from_ms"]);
    assert!(joined, "every interval follows the one before: {intervals:?}");

    // Ten years are answered. A month of Berlin's lasts 743 or 745 hours.
    let years = periods(&centre, "from=2017-01-01&to=2027-01-01");
    assert_eq!(years.status, 200, "{}", years.text());
    for (month, hours) in [("2026-03", 743_i64), ("2025-10", 745), ("2025-03", 743)] {
        let told = periods(&centre, &format!("month={month}&zone=Europe/Berlin")).json();
        assert_eq!(told["period"]["length_ms"], hours * 3_600_000, "{told}");
    }
    for (query, said) in [
        ("from=2026-10-01&to=2026-10-01", "0 s long"),
        ("from=2026-10-01T00:00:00Z&to=2026-10-01T00:00:00%2B00:00", "0 s long"),
        ("from=2026-10-02&to=2026-10-01", "ends before it begins"),
        ("from=1999-10-01&to=2026-10-01", "longer than 3660 days"),
        ("month=2190-01", "has not begun"),
        ("month=2026-13", "is no month"),
        ("month=2026-10&zone=Europe/Atlantis", "is no time zone"),
        ("month=2026-10&zone=UTC%0d%0aSet-Cookie:%20a=b", "is no time zone"),
        ("from=2011-12-30&to=2012-01-02&zone=Pacific/Apia", "did not take place"),
        ("from=2026-03-29T02:30:00&to=2026-04-01&zone=Europe/Berlin", "RFC 3339"),
        ("month=2026-10&from=2026-10-01", "a month, or from and to"),
    ] {
        for page in ["periods", "traceability"] {
            let refused = get(&centre, &format!("/api/v1/time/customers/demo/{page}?{query}"));
            assert_eq!(refused.status, 422, "{query}: {}", refused.text());
            assert!(refused.text().contains(said), "{query}: {}", refused.text());
            assert!(!refused.head.to_ascii_lowercase().contains("set-cookie"), "{}", refused.head);
        }
    }
    assert_eq!(periods(&centre, "agent=nobody").status, 404);
    assert_eq!(http(centre.text("http"), "GET", "/api/v1/time/customers/demo/periods", "", b"").status, 401);
    centre.interrupt();
}

#[test]
fn a_chain_and_a_trend_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let centre = shown(&folder.path().join("data"));
    let told = get(&centre, "/api/v1/time/customers/demo/traceability").json();
    // The demo's reference is declared, and the chain says so.
    assert_eq!(told["heads"].as_array().unwrap().last().unwrap()["kind"], "declared", "{told}");
    let agent = &told["agents"][0];
    assert!(agent["declared_ms"].as_i64().unwrap() > 1_000 && agent["proven_ms"] == 0, "{told}");
    let places: Vec<_> =
        agent["links"].as_array().unwrap().iter().map(|link| link["place"].clone()).collect();
    assert_eq!(places, ["head", "centre", "exchange", "between"]);
    let sum: i64 =
        agent["links"].as_array().unwrap().iter().map(|link| link["greatest_ns"].as_i64().unwrap()).sum();
    assert!(
        agent["greatest_ns"].as_i64().unwrap() <= sum && agent["typical_ns"].as_i64().unwrap() > 0,
        "{told}"
    );
    assert!(agent["gaps"].as_array().unwrap().iter().any(|gap| gap["why"] == "no-data"), "{told}");

    let id = agent["id"].as_str().unwrap();
    let trend = until("a trend", || {
        let trend = get(&centre, &format!("/api/v1/time/agents/{id}/trend")).json();
        (trend["exchanges"].as_u64()? >= 5).then_some(trend)
    });
    assert!(trend["drift"]["ppm"].is_number() && trend["drift"]["low_ppm"].is_number(), "{trend}");
    assert!(trend["allan"][0]["terms"].as_u64().unwrap() > 0, "{trend}");
    let bars: u64 = trend["offset"]["bars"].as_array().unwrap().iter().map(|bar| bar.as_u64().unwrap()).sum();
    let beyond = trend["offset"]["below"].as_u64().unwrap() + trend["offset"]["above"].as_u64().unwrap();
    assert_eq!(bars + beyond, trend["exchanges"].as_u64().unwrap());
    assert_eq!(get(&centre, "/api/v1/time/agents/agt_00000000000000000000000000000000/trend").status, 404);
    centre.interrupt();
}

#[test]
fn a_hundred_links_opened_at_once_by_crawlers_cost_little() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let centre = shown(&data);
    let month = last_month(&centre);
    let wish = |holder: String| json!({"customer": "demo", "holder": holder, "month": month});
    // The month's report stands, so that a hundred links need no hundred reports.
    let kept = call(&centre, "POST", "/api/v1/time/customers/demo/reports", Some(&json!({"month": month})));
    assert_eq!(kept.status, 200, "{}", kept.text());
    let links: Vec<_> =
        (0..100).map(|n| token(&make_share(&centre, &wish(format!("auditor {n}"))))).collect();
    counted(&centre, "time.share", 100);

    let url = centre.text("http").to_owned();
    // Crawlers fetch the address: a page that says nothing, is not to be indexed, sets nothing and leaves no trace.
    let at_once = |work: &(dyn Fn(&str) -> Answer + Sync)| -> Vec<Answer> {
        std::thread::scope(|scope| {
            let running: Vec<_> = links.iter().map(|(token, _)| scope.spawn(move || work(token))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    for page in at_once(&|token| http(&url, "GET", &format!("/share/{token}"), "", b"")) {
        let head = page.head.to_ascii_lowercase();
        assert_eq!(page.status, 200);
        for said in ["x-robots-tag: noindex", "referrer-policy: no-referrer", "content-security-policy:"] {
            assert!(head.contains(said), "{head}");
        }
        assert!(!head.contains("set-cookie"), "{head}");
    }
    assert_eq!(count(&centre, "time.share-view"), 0);

    // Readers ask: each link's first view is an entry.
    for answer in at_once(&|token| open(&url, "/api/v1/shared", token)) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.head.to_ascii_lowercase().contains("set-cookie"));
    }
    counted(&centre, "time.share-view", 100);
    // What opens one link again and again makes no more entries within the minute, but is counted; too much is refused.
    let (first, id) = &links[0];
    let again: Vec<_> = (0..130).map(|_| open(centre.text("http"), "/api/v1/shared", first).status).collect();
    assert_eq!((again[0], again[129]), (200, 429));
    let views = again.iter().filter(|status| **status == 200).count() + 1;
    assert!(count(&centre, "time.share-view") <= 102, "one entry a minute");
    let list = get(&centre, "/api/v1/time/shares?customer=demo").json();
    let shares = list["shares"].as_array().unwrap();
    let of = |id: &str| shares.iter().find(|share| share["id"] == id).unwrap().clone();
    assert_eq!(of(id)["views"], views, "{}", of(id));

    // The whole of it survives a stop, and what was taken back shows nothing from then on.
    centre.interrupt();
    let centre = demo(&data);
    let (second, id) = &links[1];
    assert_eq!(open(centre.text("http"), "/api/v1/shared", second).status, 200);
    let revoke = || call(&centre, "DELETE", &format!("/api/v1/time/shares/{id}"), None).status;
    assert_eq!((revoke(), revoke()), (204, 404));
    for call in ["/api/v1/shared", "/api/v1/shared/report"] {
        let gone = open(centre.text("http"), call, second);
        assert_eq!(gone.status, 404, "{}", gone.text());
        assert!(!gone.text().contains(second.as_str()), "the secret is not said again");
    }
    assert!(!centre.said().contains(first.as_str()), "no secret stands in the program's own log");
    // Whoever guesses is slowed down.
    let wrong = "a".repeat(52);
    let guesses: Vec<_> =
        (0..8).map(|_| open(centre.text("http"), "/api/v1/shared", &wrong).status).collect();
    assert_eq!((guesses[0], guesses[7]), (404, 429), "{guesses:?}");
    centre.interrupt();
}

#[test]
fn a_link_shows_one_period_and_its_report_to_whoever_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let centre = shown(&folder.path().join("data"));
    let at = now(&centre);
    let from = (at - Nanos::from_secs(600)).to_string();
    let wish = json!({"customer": "demo", "holder": "감사인\u{3000}Kim", "from": from, "to": at.to_string(), "language": "ja", "days": 7});
    let (token, _) = token(&make_share(&centre, &wish));
    let shared = open(centre.text("http"), "/api/v1/shared", &token);
    assert_eq!(shared.status, 200, "{}", shared.text());
    assert!(!shared.text().contains("Kim"), "for whom a link was made is nobody else's business");
    let shared = shared.json();
    assert_eq!(shared["periods"]["customer"], "demo");
    assert!(shared["periods"]["totals"]["within_ms"].as_i64().unwrap() > 1_000, "{shared}");
    let report = open(centre.text("http"), "/api/v1/shared/report", &token);
    let head = report.head.to_ascii_lowercase();
    assert!(head.contains("attachment; filename=\"angbu-time-demo-") && head.contains("no-store"), "{head}");
    let file = folder.path().join("shared.html");
    std::fs::write(&file, &report.body).unwrap();
    let key = shared["log_keys"][0].as_str().unwrap();
    succeed(angbu(["verify", "--key", key]).arg(&file));
    assert!(report.text().contains("lang=\"ja\""));
    // The report tells nobody to whom else something was shown.
    assert!(!report.text().contains("Kim") && !report.text().contains("holder"));
    assert_eq!(run(angbu(["verify", "--key", "nonsense"]).arg(&file)).status.code(), Some(2));

    for (wish, said) in [
        (json!({"customer": "demo", "holder": "", "month": "2026-10"}), "holder"),
        (json!({"customer": "demo", "holder": "a\r\nb", "month": "2026-10"}), "holder"),
        (json!({"customer": "demo", "holder": "a", "month": "2026-10", "days": 0}), "days"),
        (json!({"customer": "demo", "holder": "a", "month": "2026-10", "days": 367}), "days"),
        (json!({"customer": "demo", "holder": "a", "from": "2026-10-01", "to": "2026-10-01"}), "0 s long"),
        (json!({"customer": "demo", "holder": "a", "month": "2026-10", "language": "xx"}), "language"),
    ] {
        let refused = make_share(&centre, &wish);
        assert_eq!(refused.status, 422, "{wish}: {}", refused.text());
        assert!(refused.text().contains(said), "{wish}: {}", refused.text());
    }
    assert_eq!(
        make_share(&centre, &json!({"customer": "nobody", "holder": "a", "month": "2026-10"})).status,
        404
    );
    centre.interrupt();
}

/// The site runs for a while; then nobody runs it for two months. What was missed is made at the next start, once.
#[test]
fn months_are_reported_on_by_themselves_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let (data, offset) = (folder.path().join("data"), folder.path().join("offset"));
    let centre = shown(&data);
    let began = Zone::UTC.month_of(now(&centre)).number();
    let key = centre.text("log_key").to_owned();
    centre.interrupt();

    let kept = |centre: &Process| {
        let list = get(centre, "/api/v1/time/customers/demo/reports").json();
        let reports = list["reports"].as_array().unwrap().clone();
        reports.into_iter().filter(|report| !report["month"].is_null()).collect::<Vec<_>>()
    };
    std::fs::write(&offset, format!("+{}", 62 * 86_400)).unwrap();
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let mut command =
            angbu(["demo", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--data"]);
        let centre = Process::start(command.arg(&data).envs(moved_clock(&offset)));
        let over = Zone::UTC.month_of(now(&centre) - Nanos::from_secs(3_600)).number() - 1;
        let expected = usize::try_from(over - began + 1).unwrap();
        let reports = until("the missed months' reports", || {
            let reports = kept(&centre);
            (reports.len() >= expected).then_some(reports)
        });
        assert_eq!(reports.len(), expected, "{reports:?}");
        let found: BTreeSet<_> =
            reports.iter().map(|report| report["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.is_empty() || ids == found, "a restart makes none anew");
        ids = found;
        counted(&centre, "time.monthly", expected);
        // Asked for again, a month's report is the one that there is; a month that is not over has none.
        let oldest = reports.last().unwrap();
        let wish = json!({"month": oldest["month"]});
        let again = call(&centre, "POST", "/api/v1/time/customers/demo/reports", Some(&wish)).json();
        assert_eq!(again["id"], oldest["id"]);
        let present = json!({"month": Zone::UTC.month_of(now(&centre)).to_string()});
        let refused = call(&centre, "POST", "/api/v1/time/customers/demo/reports", Some(&present));
        assert_eq!(refused.status, 422, "{}", refused.text());
        let file = folder.path().join("month.html");
        let path = format!("/api/v1/time/reports/{}", oldest["id"].as_str().unwrap());
        std::fs::write(&file, get(&centre, &path).body).unwrap();
        succeed(angbu(["verify", "--key", &key]).arg(&file));
        centre.interrupt();
    }
}
