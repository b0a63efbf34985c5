//! Numbers of agents in Prometheus's text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use angbu_units::UnixTime;

use crate::types::time::{Agent, VerdictWord};

/// Prometheus's text format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Of how many agents numbers are told: six series each. Those beyond it are counted.
pub(super) const MOST: usize = 5_000;

/// What is told of an agent, in nanoseconds.
type Figure = fn(&Agent) -> Option<i64>;

/// The numbers of agents, each under its own and its customer's name.
pub(super) fn of_agents(agents: &[Agent], now: UnixTime) -> String {
    let shown = agents.get(..MOST).unwrap_or(agents);
    let mut text = String::with_capacity(shown.len() * 600);
    let lengths: [(&str, &str, Figure); 3] = [
        ("offset", "The centre's clock minus the agent's, as last measured.", |agent| agent.offset_ns),
        ("error_bound", "How far that offset can be wrong.", |agent| agent.bound_ns),
        ("delay", "One-way delay, as last measured.", |agent| agent.delay_ns),
    ];
    for (name, help, value) in lengths {
        head(&mut text, &format!("angbu_agent_{name}_seconds"), help);
        for (agent, nanos) in shown.iter().filter_map(|agent| Some((agent, value(agent)?))) {
            let _ = writeln!(text, "angbu_agent_{name}_seconds{{{}}} {}", labels(agent), seconds(nanos));
        }
    }
    head(&mut text, "angbu_agent_verdict", "1 for what can be said of the agent's clock now.");
    for agent in shown {
        for (word, verdict) in [
            ("within", VerdictWord::Within),
            ("outside", VerdictWord::Outside),
            ("not-proven", VerdictWord::NotProven),
        ] {
            let holds = u8::from(agent.verdict == verdict);
            let _ = writeln!(text, "angbu_agent_verdict{{{},verdict=\"{word}\"}} {holds}", labels(agent));
        }
    }
    head(&mut text, "angbu_agent_last_upload_age_seconds", "How long ago the agent was last heard of.");
    for agent in shown {
        let seen = agent.last_seen.as_deref().and_then(|text| UnixTime::parse_rfc3339(text).ok());
        if let Some(seen) = seen {
            let age = seconds((now - seen).count().max(0));
            let _ = writeln!(text, "angbu_agent_last_upload_age_seconds{{{}}} {age}", labels(agent));
        }
    }
    head(&mut text, "angbu_agents", "Agents, by what can be said of their clocks now.");
    for (word, verdict) in [
        ("within", VerdictWord::Within),
        ("outside", VerdictWord::Outside),
        ("not-proven", VerdictWord::NotProven),
    ] {
        let count = agents.iter().filter(|agent| agent.verdict == verdict).count();
        let _ = writeln!(text, "angbu_agents{{verdict=\"{word}\"}} {count}");
    }
    head(&mut text, "angbu_agents_left_out", "Agents beyond the 5,000 of which numbers are told here.");
    let _ = writeln!(text, "angbu_agents_left_out {}", agents.len() - shown.len());
    text
}

/// How many incidents last, of each kind.
pub(super) fn of_incidents(open: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    head(
        &mut text,
        "angbu_incidents",
        "Incidents that last, by kind. A kind of which none lasts is not told.",
    );
    for (kind, count) in open {
        let _ = writeln!(text, "angbu_incidents{{kind=\"{}\"}} {count}", escaped(kind));
    }
    head(&mut text, "angbu_incidents_all", "Incidents that last, of every kind.");
    let _ = writeln!(text, "angbu_incidents_all {}", open.values().sum::<u64>());
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn labels(agent: &Agent) -> String {
    format!("customer=\"{}\",agent=\"{}\"", escaped(&agent.customer), escaped(&agent.name))
}

/// As the format has it: backslash, quote and line end behind a backslash.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Nanoseconds as seconds, to the last digit.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_written_as_they_are() {
        assert_eq!(seconds(-1), "-0.000000001");
        assert_eq!(seconds(1_500_000_000), "1.500000000");
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
