//! Exports, read back by readers that are not ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use angbu_units::{Clock as _, Nanos, UnixTime};

use super::kept::{keep, pass, settle};
use super::machine::Machine;
use super::site::TestSite;
use super::table::OWN;

const HOUR: Nanos = Nanos::from_secs(3_600);

/// Saves one table in both forms.
async fn saved(
    site: &TestSite,
    folder: &Path,
    of: &str,
    what: &str,
    from: UnixTime,
    to: UnixTime,
) -> [PathBuf; 2] {
    let mut files = Vec::new();
    for format in ["parquet", "csv"] {
        let path = format!("/api/v1/time/{of}/export?what={what}&format={format}&from={from}&to={to}");
        let bytes = site.bytes(&site.operator, &path).await;
        let file = folder.join(format!("{what}.{format}"));
        std::fs::write(&file, bytes).unwrap();
        files.push(file);
    }
    files.try_into().unwrap()
}

/// What Prometheus's own reader of its text format finds in the site's numbers, its agents' and its own.
async fn scraped(site: &TestSite, folder: &Path) -> String {
    let mut command = python("metrics.py");
    for path in ["/api/v1/time/metrics", "/metrics"] {
        let file = folder.join(path.replace('/', "-"));
        std::fs::write(&file, site.get(&site.operator, path).await.text).unwrap();
        command.arg(file);
    }
    said(command)
}

fn python(script: &str) -> Command {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("foreign").join("pyarrow/bin/python");
    assert!(python.exists(), "cargo xtask test installs what reads exports, into {}", python.display());
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script));
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// How many rows and row groups another reader finds in both files, which must say the same.
fn compared(files: &[PathBuf; 2]) -> (usize, usize) {
    let mut command = python("same.py");
    command.args(files);
    let said = said(command);
    let numbers: Vec<usize> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_others_read() {
    let (site, folder) = (TestSite::start().await, tempfile::tempdir().unwrap());
    site.customer(OWN).await;
    let began = site.clock.read().wall;
    let mut machines = vec![Machine::join(&site, OWN).await, Machine::join(&site, OWN).await];
    pass(&site, &mut machines, HOUR.times(40), Nanos::ZERO).await;
    keep(&site, 1_000).await;
    settle(&site).await;
    let end = site.clock.read().wall;
    let agent = format!("agents/{}", machines[0].id);
    let customer = format!("customers/{OWN}");
    let hours = |n: i64| began + HOUR.times(n);
    for (of, what, from, to, rows) in [
        (&agent, "exchanges", began, end, 40 * 225),
        (&customer, "exchanges", began, end, 2 * 40 * 225),
        (&agent, "exchanges", hours(1), hours(2), 225),
        (&agent, "exchanges", hours(50), hours(60), 0),
        (&agent, "summaries", hours(-100), hours(100), 0),
        (&customer, "periods", began, end, 0),
    ] {
        let (found, groups) = compared(&saved(&site, folder.path(), of, what, from, to).await);
        match what {
            "exchanges" => assert_eq!(found, rows, "{of} {what}"),
            // At least the first day's hours, or a verdict for each agent.
            _ => assert!(found >= 2 && groups == 1, "{of} {what}: {found}"),
        }
    }
    for query in [
        format!("what=all&format=csv&from={began}&to={end}"),
        format!("what=periods&format=xls&from={began}&to={end}"),
        format!("what=periods&format=csv&from={end}&to={began}"),
    ] {
        let answer = site.get(&site.operator, &format!("/api/v1/time/{agent}/export?{query}")).await;
        assert_eq!(answer.problem(), "invalid", "{query}: {answer:?}");
    }
    let numbers = scraped(&site, folder.path()).await;
    for line in
        ["angbu_agents within 2", "angbu_incidents_all 0", "angbu_agent_verdict 6", "angbu_clock_verdict 3"]
    {
        assert!(numbers.lines().any(|told| told == line), "{line} is missing in {numbers}");
    }
}
