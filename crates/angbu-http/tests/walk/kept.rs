//! Exchanges, then summaries, then nothing: what a page and a report say before and after, and what it costs to keep. Agents here are
//! their uploads alone, on the test's clock; everything behind them is the product.

use std::time::{Duration, Instant};

use angbu_evidence::report::{Trust, verify_file};
use angbu_http::Retention;
use angbu_time::summary::DAY;
use angbu_units::{AgentId, Clock as _, Nanos, UnixTime};
use serde_json::{Value, json};

use super::machine::Machine;
use super::site::{Shows, TestSite};
use super::table::OWN;

const HOUR: Nanos = Nanos::from_secs(3_600);
/// How long an agent gathers what it uploads, and so what one segment holds.
const QUARTER: Nanos = Nanos::from_secs(900);

/// Lets time pass: every quarter of an hour all machines tell of it, and segments close.
pub(crate) async fn pass(site: &TestSite, machines: &mut [Machine], length: Nanos, ahead: Nanos) {
    let end = site.clock.read().wall + length;
    while site.clock.read().wall < end {
        site.clock.advance(QUARTER);
        let now = site.clock.read().wall;
        let wires: Vec<_> = machines.iter_mut().filter_map(|machine| machine.upload(now, ahead)).collect();
        let calls = wires.iter().map(|wire| {
            site.call(&Shows::Nothing, "POST", "/api/v1/time/uploads", wire, "application/octet-stream")
        });
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        site.centre.close_segments(true).await.unwrap();
    }
    settle(site).await;
}

pub(crate) async fn settle(site: &TestSite) {
    assert!(site.centre.store().settle(Duration::from_secs(60)).await.unwrap());
}

pub(crate) async fn keep(site: &TestSite, days: i64) {
    let retention = Retention { exchanges: DAY.times(days), summaries: DAY.times(3_000) };
    // What was summarised in one turn is in the log only after it.
    for _ in 0..3 {
        while site.centre.retain(retention).await.unwrap() {
            settle(site).await;
        }
        settle(site).await;
    }
}

pub(crate) async fn graph(site: &TestSite, agent: AgentId, from: UnixTime, to: UnixTime) -> Value {
    let path = format!("/api/v1/time/agents/{agent}/graph?from={from}&to={to}&points=600");
    let answer = site.get(&site.operator, &path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub(crate) async fn report(site: &TestSite, customer: &str, from: UnixTime, to: UnixTime) -> String {
    let wish = json!({"customer": customer, "from": from.to_string(), "to": to.to_string()});
    let answer = site.send(&site.operator, "POST", "/api/v1/time/reports", &wish).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text
}

pub(crate) async fn verified(site: &TestSite, file: &str) -> angbu_evidence::report::Proven {
    let keys = site.get(&site.operator, "/api/v1/evidence/key").await.text;
    let key = keys.lines().next().unwrap().parse().unwrap();
    let trust = Trust { log: vec![key], witnesses: Vec::new() };
    let render = |proven: &angbu_evidence::report::Proven, text: &str| {
        angbu_time::report::render(proven, text).map_err(|error| error.to_string())
    };
    verify_file(file.as_bytes(), &trust, &render).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_reads_the_same_before_and_after_its_exchanges_are_gone() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let began = site.clock.read().wall;
    let mut machines = vec![Machine::join(&site, OWN).await];
    let agent = machines[0].id;
    pass(&site, &mut machines, HOUR.times(30), Nanos::ZERO).await;
    // 70 ms off for two hours, then silent for five.
    pass(&site, &mut machines, HOUR.times(2), Nanos::from_millis(70)).await;
    site.clock.advance(HOUR.times(5));
    machines[0].next = site.clock.read().wall;
    pass(&site, &mut machines, HOUR.times(40), Nanos::ZERO).await;
    let end = site.clock.read().wall;

    let before = graph(&site, agent, began, end).await;
    let told = |graph: &Value| (graph["periods"].clone(), graph["totals"].clone());
    let whys: Vec<_> =
        before["periods"].as_array().unwrap().iter().map(|period| period["why"].as_str().unwrap()).collect();
    assert!(whys.contains(&"outside") && whys.contains(&"silence") && whys.contains(&"within"), "{whys:?}");

    // Summaries beside the exchanges, then instead of them: not a nanosecond differs.
    keep(&site, 1_000).await;
    let rows = move |site: &TestSite| {
        let store = site.centre.store().clone();
        async move {
            let read = move |s: &angbu_store::Snapshot<'_>| {
                let exchanges = s.exchanges(agent, UnixTime::MIN, UnixTime::MAX, u64::MAX)?.len();
                Ok::<_, angbu_store::StoreError>((
                    exchanges,
                    s.summaries(agent, UnixTime::MIN, UnixTime::MAX)?,
                ))
            };
            store.read(read).await.unwrap()
        }
    };
    let (all, summaries) = rows(&site).await;
    assert!(summaries.len() >= 2 && summaries.iter().all(|row| row.compacted.is_none()), "{summaries:?}");
    assert!(summaries.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert_eq!(told(&graph(&site, agent, began, end).await), told(&before));
    let raw_report = report(&site, OWN, began, end).await;
    assert!(!raw_report.contains("no longer kept one by one"));

    site.clock.advance(DAY.times(2));
    keep(&site, 1).await;
    let (left, summaries) = rows(&site).await;
    assert!(summaries.iter().all(|row| row.done), "{summaries:?}");
    assert!(left < all / 2, "{left} of {all} exchanges are left");
    let after = graph(&site, agent, began, end).await;
    assert_eq!(told(&after), told(&before));
    assert!(after["points"].as_array().unwrap().len() > 30);

    // A report says what rests on summaries, and verifies; its verdicts are the same.
    let file = report(&site, OWN, began, end).await;
    assert!(file.contains("no longer kept one by one"), "{file}");
    let shares = |file: &str| {
        let start = file.find("<ul class=\"shares\">").unwrap();
        file[start..start + file[start..].find("</ul>").unwrap()].to_owned()
    };
    assert_eq!(shares(&file), shares(&raw_report));
    let proven = verified(&site, &file).await;
    let kinds = |kind: &str| proven.entries.iter().filter(|entry| entry.entry.kind.as_str() == kind).count();
    assert_eq!(kinds("time.summary"), summaries.len());
    assert_eq!(kinds("time.compaction"), summaries.len());

    // Whoever tampers with a summary is found: by its salt, and where it is hidden by what the page says.
    let spoilt = file.replacen("shown hours ", "shown hourz ", 1);
    assert_ne!(spoilt, file);
    assert!(angbu_evidence::report::extract(spoilt.as_bytes()).is_ok());

    // An entry whose fields are gone is still there, and its page says nothing but its root.
    let segment = proven.entries.iter().find(|entry| entry.entry.kind.as_str() == "time.segment").unwrap();
    let page =
        site.done("GET", &format!("/api/v1/evidence/entries/{}", segment.entry.id), &Value::Null).await;
    assert_eq!(page["fields"], json!([]), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_before_its_summary_is_in_the_log() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let mut machines = vec![Machine::join(&site, OWN).await];
    pass(&site, &mut machines, HOUR.times(27), Nanos::ZERO).await;
    let agent = machines[0].id;
    let count = async || {
        let read =
            move |s: &angbu_store::Snapshot<'_>| s.exchanges(agent, UnixTime::MIN, UnixTime::MAX, u64::MAX);
        site.centre.store().read(read).await.unwrap().len()
    };
    // The day of the agent's last exchange is not over: nothing is summarised, so nothing goes, however old.
    let all = count().await;
    site.clock.advance(DAY.times(10));
    let mut turns = 0;
    while site.centre.retain(Retention { exchanges: DAY, summaries: DAY }).await.unwrap() {
        turns += 1;
        assert!(turns < 100);
    }
    let summarised = site
        .centre
        .store()
        .read(move |s| s.latest_summary(agent))
        .await
        .unwrap()
        .map(|row| row.exchanges)
        .unwrap_or_default();
    settle(&site).await;
    keep(&site, 1).await;
    let left = count().await;
    assert!(left + usize::try_from(summarised).unwrap() >= all, "{left} + {summarised} < {all}");
    // After a month nothing more can be told of it; the last exchange stays, since it is what is known.
    site.clock.advance(DAY.times(40));
    keep(&site, 1).await;
    assert!(count().await >= 1);
}

/// How much of everything a trial has.
struct Scale {
    /// Agents in all, each of a customer of ten.
    agents: usize,
    /// Of how many every exchange of the last days is there; of the others the last hour.
    whole: usize,
    raw_days: i64,
    weeks: i64,
    /// How often each page is asked for.
    pages: usize,
}

#[allow(clippy::print_stdout, reason = "a trial says what it measured")]
mod trial;
