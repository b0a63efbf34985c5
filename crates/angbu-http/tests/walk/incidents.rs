//! Incidents of thousands of agents: who is told, how often, and what a look costs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use angbu_http::NoticeSettings;
use angbu_store::deliveries::DeliveryRow;
use angbu_store::time::{AcceptedUpload, AgentRow, IncidentRow, Shown, UploadRow};
use angbu_units::{AgentId, Clock as _, CustomerId, EntryId, Month, Nanos, UnixTime, Zone};
use serde_json::json;

use super::site::TestSite;
use super::table::{OTHER, OWN};

/// A site with two customers.
async fn site() -> (TestSite, CustomerId, CustomerId) {
    let operators = vec!["duty@example.org".parse().unwrap()];
    let console = "https://trust.example.org".to_owned();
    let site =
        TestSite::start_with(NoticeSettings { mail: true, operators, console, ..NoticeSettings::default() })
            .await;
    let ids = (site.customer(OWN).await, site.customer(OTHER).await);
    for customer in [OWN, OTHER] {
        let contacts =
            json!({"contacts": [format!("ops@{customer}.example")], "language": "ja", "zone": "Asia/Tokyo"});
        site.done("PATCH", &format!("/api/v1/customers/{customer}"), &contacts).await;
    }
    (site, ids.0, ids.1)
}

/// So many agents of a customer, just heard of.
async fn agents(site: &TestSite, customer: CustomerId, count: u32) -> Vec<AgentId> {
    let enrolled = site.clock.read().wall;
    let row = move |n: u32| AgentRow {
        id: AgentId::random(&mut rand::rng()),
        customer,
        name: format!("server-{n}"),
        public_key: [7; 32],
        enrolment: EntryId::from_bytes([6; 16]),
        enrolled,
        next_seq: 1,
        chain: [0; 32],
        last_seen: None,
        poll: Some(Nanos::from_secs(16)),
        closed_seq: 1,
        open_count: 0,
        open_since: None,
        version: 0,
    };
    let rows: Vec<_> = (0..count).map(row).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    site.centre.store().write(move |tx| rows.iter().try_for_each(|row| tx.insert_agent(row))).await.unwrap();
    hear(site, &ids, 1).await;
    ids
}

/// Every agent says a word, its so many-th.
async fn hear(site: &TestSite, ids: &[AgentId], seq: u64) {
    let (ids, arrived) = (ids.to_vec(), site.clock.read().wall);
    site.centre
        .store()
        .write(move |tx| {
            ids.iter().try_for_each(|agent| {
                tx.apply_upload(&AcceptedUpload {
                    agent: *agent,
                    expected_seq: seq,
                    next_seq: seq + 1,
                    arrived,
                    poll: Some(Nanos::from_secs(16)),
                    signed: UploadRow {
                        agent: *agent,
                        first_seq: seq,
                        next_seq: seq + 1,
                        records: 1,
                        arrived,
                        chain: [1; 32],
                        signed: Vec::new(),
                    },
                    exchanges: Vec::new(),
                    events: Vec::new(),
                })
            })
        })
        .await
        .unwrap();
}

async fn look(site: &TestSite) -> Duration {
    let began = Instant::now();
    site.centre.judge_incidents().await.unwrap();
    site.centre.tell_of_incidents().await.unwrap();
    began.elapsed()
}

async fn pass(site: &TestSite, seconds: i64) {
    site.clock.advance(Nanos::from_secs(seconds));
    look(site).await;
}

async fn incidents(site: &TestSite) -> Vec<IncidentRow> {
    site.centre.store().read(|snapshot| snapshot.unsettled_incidents()).await.unwrap()
}

async fn messages(site: &TestSite) -> Vec<(String, String, DeliveryRow)> {
    site.centre
        .store()
        .read(|snapshot| {
            let rows = snapshot.deliveries(None, UnixTime::MAX, 500)?;
            let mut messages = Vec::new();
            for row in rows {
                let message = snapshot.message(row.message)?.unwrap();
                messages.push((message.parts[0].clone(), message.parts[1].clone(), row));
            }
            Ok::<_, angbu_store::StoreError>(messages)
        })
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_silent_agents_are_one_message_a_reader_and_their_return_one_more() {
    let (site, own, _) = site().await;
    look(&site).await;
    let ids = agents(&site, own, 1_000).await;
    pass(&site, 240).await;
    assert!(incidents(&site).await.is_empty());
    pass(&site, 120).await;
    assert_eq!(incidents(&site).await.len(), 1_000);
    let told = messages(&site).await;
    let to: BTreeSet<_> = told.iter().map(|(_, _, row)| row.target.as_str()).collect();
    assert_eq!(to, BTreeSet::from(["duty@example.org", "ops@alpha.example"]));
    assert_eq!(told.len(), 2);
    let subject = |to: &str| told.iter().find(|(_, _, row)| row.target == to).unwrap().0.clone();
    assert_eq!(subject("ops@alpha.example"), "[Angbu] alpha: 1,000件が発生");
    assert_eq!(subject("duty@example.org"), "[Angbu] 1,000 began");
    // While it lasts, nothing more is said for six hours, and then once.
    for _ in 0..5 {
        pass(&site, 3_600).await;
        assert_eq!(messages(&site).await.len(), 2);
    }
    pass(&site, 3_600).await;
    assert_eq!(messages(&site).await.len(), 4);
    // They come back, and it is over once that has held for a while.
    hear(&site, &ids, 2).await;
    pass(&site, 10).await;
    assert_eq!(messages(&site).await.len(), 4);
    hear(&site, &ids, 3).await;
    pass(&site, 150).await;
    assert!(incidents(&site).await.iter().all(|row| row.closed.is_some()));
    // That comes with the next message, five minutes after the last.
    assert_eq!(messages(&site).await.len(), 4);
    hear(&site, &ids, 4).await;
    pass(&site, 150).await;
    let told = messages(&site).await;
    assert_eq!(told.len(), 6);
    assert!(told.iter().any(|(subject, _, _)| subject == "[Angbu] alpha: 1,000件が終了"), "{}", told[0].0);
    assert!(incidents(&site).await.is_empty(), "all is settled");
    let listed = site.get(&site.operator, "/api/v1/time/incidents?limit=500").await.json();
    assert_eq!(listed["incidents"].as_array().unwrap().len(), 500);
    assert!(listed["next"].is_string() && listed["incidents"][0]["until"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_without_a_proven_clock_is_one_incident_and_no_agent_s() {
    let (site, own, other) = site().await;
    look(&site).await;
    let ids = agents(&site, own, 1_000).await;
    agents(&site, other, 3).await;
    // Somebody moved the centre's clock: its declaration is void.
    site.clock.step(Nanos::from_secs(10));
    for _ in 0..20 {
        pass(&site, 60).await;
    }
    let open = incidents(&site).await;
    assert_eq!(open.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["centre"]);
    let told = messages(&site).await;
    let to: Vec<_> = told.iter().map(|(_, _, row)| row.target.as_str()).collect();
    assert_eq!(told.len(), 3, "one to each customer and one to the operators: {to:?}");
    assert!(told.iter().any(|(subject, _, _)| subject.starts_with("[Angbu] beta: センター自身の時計")));
    hear(&site, &ids, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_ten_thousand_agents_costs_little() {
    let (site, own, _) = site().await;
    look(&site).await;
    let ids = agents(&site, own, 10_000).await;
    site.clock.advance(Nanos::from_secs(10));
    let mut least = Duration::MAX;
    for _ in 0..5 {
        least = least.min(look(&site).await);
    }
    // One is shown outside: only that one is looked at more closely.
    let (one, now) = (ids[77], site.clock.read().wall);
    site.centre.store().write(move |tx| tx.show_agent(one, Shown::Outside, now)).await.unwrap();
    let with_one = look(&site).await;
    eprintln!("a look at 10,000 agents: {least:?}, with one to look at: {with_one:?}");
    assert!(least < Duration::from_millis(500), "{least:?}");
    // Without an exchange the whole verdict does not say it, so nothing is opened.
    assert!(incidents(&site).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_told_once_with_where_its_report_is() {
    let (site, _, _) = site().await;
    let present = Zone::UTC.month_of(site.clock.read().wall);
    let month = Month::from_number(present.number() - 1).unwrap();
    let reports = format!("/api/v1/time/customers/{OWN}/reports");
    for _ in 0..2 {
        site.done("POST", &reports, &json!({"month": month.to_string()})).await;
    }
    let [(subject, text, delivery)] = &messages(&site).await[..] else {
        panic!("one message to one contact")
    };
    assert!(subject.contains(&month.to_string()), "{subject}");
    assert!(text.contains(&format!("/customers/{OWN}/sharing")), "{text}");
    assert_eq!(delivery.target, format!("ops@{OWN}.example"));
}
