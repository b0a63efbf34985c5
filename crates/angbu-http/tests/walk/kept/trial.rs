//! `cargo xtask judge retention`: a thousand agents and a year.
//!
//! Exchanges and segments of the last days come by uploads, as ever. The weeks before are one day, made by the same code, summarised by
//! it, and shifted: its segments' entries, its summary and its compaction's are appended for each day of each agent, so that the log has as many
//! entries as it would have, and the database as many rows. A page reads one agent's rows by a key that begins with the agent, so the agents
//! whose pages are asked for have all of their exchanges, and the others the last hour's.

use angbu_evidence::{Body, Draft, Kind};
use angbu_store::time::SummaryRow;
use angbu_time::summary::{self, Summary};
use angbu_units::EntryId;

use super::*;

/// A year in short: what the trial does, in seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_is_kept_and_read() {
    let scale = Scale { agents: 6, whole: 1, raw_days: 2, weeks: 11, pages: 3 };
    let figures = run(&scale).await;
    assert!(figures.bytes_a_sample < 16.0, "{} bytes a sample", figures.bytes_a_sample);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour and some gigabytes; cargo xtask judge retention"]
async fn judge_retention() {
    let number = |name: &str, otherwise: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let scale = Scale {
        agents: number("ANGBU_AGENTS", 1_000),
        whole: number("ANGBU_WHOLE", 10),
        raw_days: 7,
        weeks: 51,
        pages: 100,
    };
    let grown = growth(10, number("ANGBU_DAYS", 20).try_into().unwrap()).await;
    assert!(grown < 16.0, "{grown} bytes a sample");
    let figures = run(&scale).await;
    assert!(figures.slowest_p95 < Duration::from_millis(300), "a page takes {:?}", figures.slowest_p95);
    assert!(figures.bytes_a_sample < 16.0, "{} bytes a sample", figures.bytes_a_sample);
    assert!(figures.verified < Duration::from_secs(1), "a report is verified in {:?}", figures.verified);
}

struct Figures {
    slowest_p95: Duration,
    bytes_a_sample: f64,
    verified: Duration,
}

async fn run(scale: &Scale) -> Figures {
    let site = TestSite::start().await;
    let template = template(&site).await;
    // The year before begins where the agents do.
    let mut machines = Vec::new();
    for number in 0..scale.agents {
        let customer = format!("c-{}", number.div_ceil(10));
        if number % 10 == 1 || number == 0 {
            site.customer(&customer).await;
        }
        machines.push((customer.clone(), Machine::join(&site, &customer).await));
    }
    let began = Instant::now();
    let start = midnight(&site);
    let empty = size(&site);
    // A manifest some days behind the period of the report, as there is one every hour.
    let (first_days, days) = (36, scale.weeks * 7);
    site.clock.advance(DAY.times(first_days + 1));
    let (customer, first) = &machines[0];
    fill(&site, customer, first.id, &template, start, 0..first_days).await;
    settle(&site).await;
    site.centre.append_hourly_manifest().await.unwrap();
    site.clock.advance(DAY.times(days - first_days));
    for (number, (customer, machine)) in machines.iter().enumerate() {
        let begin = if number == 0 { first_days } else { 0 };
        fill(&site, customer, machine.id, &template, start, begin..days).await;
    }
    settle(&site).await;
    let samples = f64::from(u32::try_from(scale.agents).unwrap())
        * f64::from(i32::try_from(scale.weeks * 7 * 5_400).unwrap());
    let bytes_a_sample = (size(&site) - empty) / samples;
    println!(
        "{} agents, {} weeks of summaries in {:.0?}: {:.1} bytes a sample of {samples} samples",
        scale.agents,
        scale.weeks,
        began.elapsed(),
        bytes_a_sample
    );
    let began = Instant::now();
    let now = site.clock.read().wall;
    for (number, (_, machine)) in machines.iter_mut().enumerate() {
        let days = if number < scale.whole { DAY.times(scale.raw_days) } else { HOUR };
        machine.next = now + DAY.times(scale.raw_days) - days;
    }
    let mut machines: Vec<_> = machines.into_iter().map(|(_, machine)| machine).collect();
    let (whole, others) = machines.split_at_mut(scale.whole);
    pass(&site, whole, DAY.times(scale.raw_days) - HOUR, Nanos::ZERO).await;
    let told = whole.len() as i64 * (scale.raw_days * 5_400 - 225);
    println!("{told} exchanges uploaded and closed in {:.0?}", began.elapsed());
    let ids: Vec<AgentId> = whole.iter().map(|machine| machine.id).collect();
    pass(&site, others, HOUR, Nanos::ZERO).await;
    let slowest_p95 = pages(&site, &ids, scale).await;
    let verified = a_report(&site, start).await;
    println!("{:.2} GB in all", size(&site) / 1e9);
    Figures { slowest_p95, bytes_a_sample, verified }
}

/// One day of one agent, from uploads to summary, by the product.
async fn template(site: &TestSite) -> Summary {
    site.customer("template").await;
    let now = site.clock.read().wall;
    site.clock.advance(DAY - Nanos::new(now.nanos().rem_euclid(DAY.count())));
    let mut machines = vec![Machine::join(site, "template").await];
    pass(site, &mut machines, DAY + HOUR.times(3), Nanos::ZERO).await;
    keep(site, 1_000).await;
    let agent = machines[0].id;
    let read = move |s: &angbu_store::Snapshot<'_>| {
        let row = s.summaries(agent, UnixTime::MIN, UnixTime::MAX)?.pop().unwrap();
        Ok::<_, angbu_store::StoreError>(s.body(row.entry)?.unwrap())
    };
    let body = site.centre.store().read(read).await.unwrap();
    let summary = Summary::read(|name| body.get(name)).unwrap();
    assert_eq!((summary.to - summary.from, summary.exchanges()), (DAY, 5_400));
    summary
}

/// The same day again and again, up to now: entries of 96 segments without their fields, of the summary, and of what was deleted.
async fn fill(
    site: &TestSite,
    customer: &str,
    agent: AgentId,
    template: &Summary,
    start: UnixTime,
    days: std::ops::Range<i64>,
) {
    let name = customer.to_owned();
    let read = move |s: &angbu_store::Snapshot<'_>| {
        let customer = s.customer_named(&name)?.unwrap();
        Ok::<_, angbu_store::StoreError>((
            customer.id,
            customer.settings_entry,
            s.agent(agent)?.unwrap().enrolment,
        ))
    };
    let (customer, settings, enrolment) = site.centre.store().read(read).await.unwrap();
    for begin in days.clone().step_by(7) {
        let these = begin..days.end.min(begin + 7);
        let template = Summary { agent, enrolment, settings, ..template.clone() };
        let stamp = site.centre.instant();
        let written = site.centre.store().write(move |tx| {
            for day in these {
                let by = start + DAY.times(day) - template.from;
                let mut append = |kind: Kind, at: UnixTime, fields: Vec<(&'static str, Vec<u8>)>| {
                    let id = EntryId::new(at, &mut rand::rng());
                    let body = Body::new(&mut rand::rng(), fields).unwrap();
                    let instant = angbu_units::ProvenInstant { time: at, ..stamp };
                    let draft = Draft { id, kind, instant, customer, body_root: body.root() };
                    tx.append(&draft, &body).map(|()| (id, body.root()))
                };
                let mut segments = Vec::new();
                for number in 1..=96 {
                    let at = template.from + by + QUARTER.times(number);
                    segments.push(append(angbu_time::segment::KIND, at, vec![("agent", Vec::new())])?);
                }
                let summary = shifted(&template, by, &segments);
                let made = summary.to + HOUR.times(3);
                let (entry, _) = append(summary::KIND, made, summary.fields())?;
                let gone = [
                    ("agent", agent.to_string()),
                    ("summary", entry.to_string()),
                    ("from", summary.from.nanos().to_string()),
                    ("to", summary.to.nanos().to_string()),
                    ("exchanges", summary.exchanges().to_string()),
                    ("gone", "agent enrolment settings exchanges arrivals clock-states proofs".to_owned()),
                ];
                let gone = gone.map(|(name, value)| (name, value.into_bytes())).to_vec();
                let (compacted, _) = append(summary::COMPACTION, made, gone)?;
                for (id, _) in segments {
                    tx.drop_body(id)?;
                }
                let (from, to, exchanges) = (summary.from, summary.to, summary.exchanges());
                let compacted = Some(compacted);
                tx.insert_summary(&SummaryRow { agent, from, to, entry, exchanges, compacted, done: true })?;
            }
            Ok::<_, angbu_store::StoreError>(())
        });
        written.await.unwrap();
    }
}

/// The same day at another time.
fn shifted(template: &Summary, by: Nanos, segments: &[(EntryId, angbu_evidence::Hash)]) -> Summary {
    let mut summary = template.clone();
    summary.from = summary.from + by;
    summary.to = summary.to + by;
    for hour in &mut summary.hours {
        hour.begins = hour.begins + by;
        hour.first = hour.first + by;
        hour.last = hour.last + by;
    }
    for period in &mut summary.periods {
        period.from = period.from + by;
        period.to = period.to + by;
    }
    summary.root = summary::root(segments.iter().copied());
    summary.segments = segments.iter().map(|(id, _)| *id).collect();
    summary
}

/// How long the pages take, over all that an agent's page asks for.
async fn pages(site: &TestSite, agents: &[AgentId], scale: &Scale) -> Duration {
    let now = site.clock.read().wall;
    let mut slowest = Duration::ZERO;
    let month = |agent: &AgentId, length: Nanos| {
        format!("/api/v1/time/agents/{agent}/graph?from={}&to={now}&points=600", now - length)
    };
    let kinds = [
        ("agents, all", None),
        ("agent", Some(Nanos::ZERO)),
        ("graph of a day", Some(DAY)),
        ("graph of a week", Some(DAY.times(7))),
        ("graph of a month", Some(DAY.times(30))),
        ("graph of a year", Some(DAY.times(364))),
    ];
    let path = |length: Option<Nanos>, agent: &AgentId| match length {
        None => "/api/v1/time/agents".to_owned(),
        Some(Nanos::ZERO) => format!("/api/v1/time/agents/{agent}"),
        Some(length) => month(agent, length),
    };
    for (what, length) in kinds {
        let mut times = Vec::new();
        for agent in agents.iter().cycle().take(scale.pages) {
            let began = Instant::now();
            let answer = site.get(&site.operator, &path(length, agent)).await;
            times.push(began.elapsed());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        times.sort_unstable();
        let at = |permille: usize| times[(times.len() - 1) * permille / 1_000];
        println!("{what}: p50 {:.1?}, p95 {:.1?}, longest {:.1?}", at(500), at(950), at(1_000));
        slowest = slowest.max(at(950));
    }
    slowest
}

/// A report of 30 days of one server, long ago, made and verified.
async fn a_report(site: &TestSite, start: UnixTime) -> Duration {
    let from = start + DAY;
    let to = from + DAY.times(30);
    let began = Instant::now();
    let file = report(site, "c-0", from, to).await;
    let made = began.elapsed();
    let began = Instant::now();
    let proven = verified(site, &file).await;
    let verified = began.elapsed();
    println!(
        "a report of {} days of one server: {:.1} MB, {} entries, made in {made:.1?}, verified in {verified:.1?}",
        (to - from).count() / DAY.count(),
        f64::from(u32::try_from(file.len()).unwrap()) / 1e6,
        proven.entries.len()
    );
    assert!(file.contains("no longer kept one by one"));
    assert!(proven.complete_until < start + DAY.times(40), "what came later is not in it");
    verified
}

/// The last midnight, UTC.
fn midnight(site: &TestSite) -> UnixTime {
    let now = site.clock.read().wall;
    now - Nanos::new(now.nanos().rem_euclid(DAY.count()))
}

/// What the database takes on disk, in bytes. What was written beside it and is not yet in its file, some ten megabytes at most, comes and goes.
fn size(site: &TestSite) -> f64 {
    let files = std::fs::read_dir(site.folder()).unwrap().filter_map(Result::ok);
    let database = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "sqlite"));
    let bytes: u64 = database.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let bytes = bytes as f64;
    bytes
}

/// What a day of exchanges leaves behind where everything takes its ordinary way: segments of many agents that close one by one, and
/// exchanges that are deleted a day later, so that what they took is free for the next.
async fn growth(agents: usize, days: i64) -> f64 {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let mut machines = Vec::new();
    for _ in 0..agents {
        machines.push(Machine::join(&site, OWN).await);
    }
    let mut sizes = Vec::new();
    for _ in 0..days + 4 {
        pass(&site, &mut machines, DAY, Nanos::ZERO).await;
        keep(&site, 1).await;
        sizes.push(size(&site));
    }
    let (before, after) = (sizes[3], sizes[sizes.len() - 1]);
    let samples = f64::from(u32::try_from(agents).unwrap()) * f64::from(i32::try_from(days * 5_400).unwrap());
    let grown = (after - before) / samples;
    println!("{agents} agents, {days} days kept and compacted: {grown:.1} bytes a sample");
    grown
}
