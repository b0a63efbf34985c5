//! `angbu doctor`: what is wrong with this machine's clock, in words. Nothing is changed.

use serde_json::json;

use angbu_agent::doctor::{Facts, Finding, Severity, Wish, collect, judge};

use super::{DoctorArguments, Failure, Output};

/// Looks, judges and tells: 0 when nothing is wrong, 1 when something is, 2 usage.
pub(super) fn run(arguments: &DoctorArguments) -> Result<(), Failure> {
    let output = Output::new(arguments.json);
    let facts = collect(&Wish {
        servers: arguments.server.clone(),
        tolerance: arguments.tolerance,
        agent: arguments.config.clone(),
    });
    let findings = judge(&facts);
    let wrong = findings.iter().filter(|finding| finding.severity == Severity::Wrong).count();
    output.object(&json!({ "wrong": wrong, "findings": findings, "seen": seen(&facts) }));
    output.words(&words(&facts, &findings));
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::Refused(anyhow::anyhow!("one thing is wrong"))),
        several => Err(Failure::Refused(anyhow::anyhow!("{several} things are wrong"))),
    }
}

fn seen(facts: &Facts) -> serde_json::Value {
    let servers = facts.servers.iter().map(|server| {
        let answer = server.answer.as_ref().ok();
        json!({
            "name": server.name,
            "offset_ns": answer.map(|answer| answer.offset.count()),
            "bound_ns": answer.map(|answer| answer.bound.count()),
        })
    });
    json!({
        "time": facts.wall.to_string(),
        "synchronised": facts.kernel.map(|kernel| kernel.synchronised),
        "max_error_ns": facts.kernel.map(|kernel| kernel.max_error.count()),
        "services": facts.services.iter().map(|service| &service.name).collect::<Vec<_>>(),
        "clock_source": facts.clock_source.as_ref().map(|source| &source.current),
        "hypervisor": facts.hypervisor,
        "rtc_ahead_ns": facts.rtc_ahead.map(angbu_units::Nanos::count),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn words(facts: &Facts, findings: &[Finding]) -> String {
    let services: Vec<_> = facts.services.iter().map(|service| service.name.as_str()).collect();
    let source = facts.clock_source.as_ref().map_or("unknown", |source| &source.current);
    let mut text = format!(
        "clock {}, kept by {}, read from {source}{}",
        facts.wall.rfc3339(0),
        if services.is_empty() { "nothing that is seen".to_owned() } else { services.join(", ") },
        facts.hypervisor.as_ref().map(|name| format!(", on a hypervisor ({name})")).unwrap_or_default(),
    );
    for server in &facts.servers {
        if let Ok(answer) = &server.answer {
            text += &format!("\n{} is {} ahead, give or take {}", server.name, answer.offset, answer.bound);
        }
    }
    for finding in findings {
        let mark = match finding.severity {
            Severity::Wrong => "WRONG",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        text += &format!("\n\n{mark}: {}\n  why   {}\n  do    {}", finding.what, finding.why, finding.todo);
    }
    if findings.iter().all(|finding| finding.severity == Severity::Note) {
        text += "\n\nnothing is wrong";
    }
    text
}
