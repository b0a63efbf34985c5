//! `cargo xtask bench PILLAR`: figures, each beside its peer or floor of the same run.
//!
//! A benchmark prints one JSON object a line on standard output, one for each figure, and whatever it likes on
//! standard error. What the keys mean is the benchmark's own business; here they become columns.

use std::process::Stdio;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::process;
use crate::workspace::Workspace;

/// A pillar's benchmarks: the package and the name of each.
const BENCHES: &[(&str, &[(&str, &str)])] = &[
    ("time", &[("angbu", "time"), ("angbu-http", "ingest")]),
    ("ingest", &[("angbu-http", "ingest")]),
    ("keys", &[("angbu", "keys")]),
    ("evidence", &[("angbu-store", "evidence"), ("angbu", "evidence_http")]),
];

/// A figure: names and values, in the order in which they are read.
type Figure = Vec<(String, Value)>;

/// Runs a pillar's benchmarks and prints their figures.
pub(crate) fn run(workspace: &Workspace, pillar: &str, as_json: bool) -> anyhow::Result<()> {
    let Some((_, benches)) = BENCHES.iter().find(|(name, _)| *name == pillar) else {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        bail!("there is no benchmark '{pillar}'; there are: {}", names.join(", "));
    };
    let mut figures = Vec::new();
    for (package, name) in *benches {
        figures.extend(measure(workspace, package, name)?);
    }
    if as_json {
        let figures: Vec<Map<String, Value>> =
            figures.into_iter().map(|figure| figure.into_iter().collect()).collect();
        println!("{}", json!({ "pillar": pillar, "machine": machine(), "figures": figures }));
    } else {
        println!("{pillar}, on {}\n", machine().values().map(plain).collect::<Vec<_>>().join(", "));
        print!("{}", tables(&figures));
    }
    Ok(())
}

/// Runs one benchmark and gathers its lines.
fn measure(workspace: &Workspace, package: &str, name: &str) -> anyhow::Result<Vec<Figure>> {
    let mut command = process::cargo();
    command
        .current_dir(&workspace.root)
        .args(["bench", "--locked", "--package", package, "--bench", name])
        .stderr(Stdio::inherit());
    eprintln!("$ {}", process::shown(&command));
    let output = command.output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("the benchmark {name} of {package} failed ({})", output.status);
    }
    let figures: Vec<Figure> = String::from_utf8_lossy(&output.stdout).lines().filter_map(figure).collect();
    if figures.is_empty() {
        bail!("the benchmark {name} of {package} printed no figure");
    }
    Ok(figures)
}

/// Reads one line: words first, which say what was measured, then numbers; both in the line's order.
fn figure(line: &str) -> Option<Figure> {
    let values: Map<String, Value> = serde_json::from_str(line).ok()?;
    let mut figure: Figure = values.into_iter().collect();
    figure.sort_by_key(|(name, value)| (!value.is_string(), line.find(&format!("{name:?}:"))));
    Some(figure)
}

/// What the figures were measured on.
fn machine() -> Map<String, Value> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut machine = Map::new();
    machine.insert("processor".into(), model.unwrap_or("unknown").into());
    machine.insert("cores".into(), format!("{cores} cores").into());
    machine.insert("kernel".into(), format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()).into());
    machine.insert(
        "load".into(),
        format!("load {}", read("/proc/loadavg").split(' ').next().unwrap_or_default()).into(),
    );
    machine
}

/// One table for each run of figures with the same keys.
fn tables(figures: &[Figure]) -> String {
    let names = |figure: &Figure| -> Vec<String> { figure.iter().map(|(name, _)| name.clone()).collect() };
    let mut text = String::new();
    for group in figures.chunk_by(|one, other| names(one) == names(other)) {
        let heads: Vec<String> =
            group.first().map(names).unwrap_or_default().iter().map(|name| name.replace('_', " ")).collect();
        let rows: Vec<Vec<String>> =
            group.iter().map(|figure| figure.iter().map(|(_, value)| plain(value)).collect()).collect();
        text += &table(&heads, &rows);
        text.push('\n');
    }
    text
}

/// Columns as wide as their widest cell: words to the left, numbers to the right.
fn table(heads: &[String], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([head.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(heads).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let number = rows
                    .first()
                    .and_then(|row| row.get(column))
                    .is_some_and(|c| c == "-" || c.parse::<f64>().is_ok());
                if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A value as a person reads it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.abs() >= 1_000.0 => format!("{float:.0}"),
            Some(float) if number.is_f64() => format!("{float:.3}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_tables() {
        let figures: Vec<Figure> = [
            r#"{"figure": "reply", "cpu_s": 3.71234, "ratio": 1.05}"#,
            r#"{"figure": "echo", "cpu_s": 12.5, "ratio": 1}"#,
            r#"{"rate": 1000}"#,
        ]
        .iter()
        .map(|line| figure(line).unwrap())
        .collect();
        let text = tables(&figures);
        assert!(text.starts_with("figure   cpu s  ratio\nreply    3.712  1.050\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.is_empty()).count(), 2, "{text}");
        assert!(text.ends_with("rate\n1000\n\n"), "{text}");
    }
}
