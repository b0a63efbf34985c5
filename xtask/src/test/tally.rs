//! Adding up what several test runners say about themselves.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process;

/// What has passed and what has failed so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
}

impl Tally {
    /// Runs a check that either holds or does not; it counts as one.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<()>) {
        eprintln!("\n== {name}");
        match check() {
            Ok(()) => self.passed += 1,
            Err(error) => self.fail(name, 1, &format!("{error:#}")),
        }
    }

    /// Runs a test runner and counts what its own summaries say. One that runs no test has failed.
    pub(crate) fn runner(&mut self, name: &str, command: &mut Command) {
        eprintln!("\n== {name}");
        match watched(command) {
            Ok((counts, true)) if counts.failed == 0 && counts.passed > 0 => self.add(counts),
            Ok((counts, true)) if counts.failed == 0 => {
                self.fail(name, 1, "it ended well, but ran no test");
            }
            Ok((counts, _)) => {
                self.add(counts);
                // What the runner counted is added; a runner that died without counting is one failure.
                self.fail(
                    name,
                    u64::from(counts.failed == 0),
                    &format!("{} failed", process::shown(command)),
                );
            }
            Err(error) => self.fail(name, 1, &format!("{error:#}")),
        }
    }

    /// Prints the closing line; an error when anything failed.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let Self { passed, failed, ignored, failures } = self;
        eprintln!();
        if ignored > 0 {
            eprintln!(
                "{ignored} are no tests of their own: long trials (cargo xtask judge), and what other tests start"
            );
        }
        for failure in &failures {
            eprintln!("failed: {failure}");
        }
        println!("{passed} passed, {failed} failed");
        // The closing line stays the last one: the exit status says the rest.
        if failed > 0 {
            std::process::exit(1);
        }
        Ok(())
    }

    fn add(&mut self, counts: Counts) {
        self.passed += counts.passed;
        self.failed += counts.failed;
        self.ignored += counts.ignored;
    }

    fn fail(&mut self, name: &str, failed: u64, why: &str) {
        eprintln!("{name}: {why}");
        self.failed += failed;
        self.failures.push(format!("{name}: {why}"));
    }
}

/// What summaries said, added up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

/// Runs the command, shows both its streams line by line, and reads the summaries in them.
fn watched(command: &mut Command) -> anyhow::Result<(Counts, bool)> {
    eprintln!("$ {}", process::shown(command));
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("a child's streams were asked for and are not there");
    };
    let (from_out, from_err) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(out));
        let from_err = read(err);
        (reader.join(), from_err)
    });
    let from_out =
        from_out.map_err(|_| anyhow::anyhow!("the thread that reads a child's output panicked"))??;
    Ok((from_out.and(from_err?), child.wait()?.success()))
}

fn read(stream: impl Read) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stderr().write_all(&line)?;
        counts = counts.and(summary(&without_colours(&String::from_utf8_lossy(&line))).unwrap_or_default());
        line.clear();
    }
    Ok(counts)
}

/// Reads one line of a runner's summary: cargo's and rustdoc's, nextest's, vitest's.
fn summary(line: &str) -> Option<Counts> {
    // Cargo's stands at the line's beginning: nextest shows a failed test's own output, with such a line in it, indented.
    let numbers = if let Some(rest) = line.strip_prefix("test result:") {
        rest
    } else if line.trim_start().starts_with("Summary [") {
        line.split_once("tests run:").or_else(|| line.split_once("test run:"))?.1
    } else {
        line.trim_start().strip_prefix("Tests  ")?
    };
    Some(Counts {
        passed: before(numbers, "passed"),
        failed: before(numbers, "failed") + before(numbers, "timed out") + before(numbers, "exec failed"),
        ignored: before(numbers, "ignored") + before(numbers, "skipped"),
    })
}

/// The number that stands before a word: 12 for "passed" in "1 failed | 12 passed (13)".
fn before(text: &str, word: &str) -> u64 {
    text.trim_end()
        .split([',', ';', '|', '.'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, rest)| *rest == word || rest.starts_with(&format!("{word} (")))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// The line without terminal escape sequences.
fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((plain, escaped)) = rest.split_once('\u{1b}') {
        text.push_str(plain);
        rest = escaped.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read_as_their_runners_write_them() {
        for (line, expected) in [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.31s",
                Some((3, 0, 1)),
            ),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured", Some((3, 2, 0))),
            (
                "     Summary [   1.203s] 30 tests run: 29 passed (1 slow), 1 failed, 2 skipped",
                Some((29, 1, 2)),
            ),
            ("     Summary [   0.003s] 1 test run: 1 passed, 0 skipped", Some((1, 0, 0))),
            (
                "     Summary [  90.1s] 5 tests run: 3 passed, 1 failed, 1 timed out, 2 skipped",
                Some((3, 2, 2)),
            ),
            ("      Tests  1 failed | 12 passed (13)", Some((12, 1, 0))),
            ("      Tests  12 passed (12)", Some((12, 0, 0))),
            ("      Tests  12 passed | 1 skipped (13)", Some((12, 0, 1))),
            (" Test Files  2 passed (2)", None),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \
                 \u{1b}[32mpassed\u{1b}[0m, 0 skipped",
                Some((2, 0, 0)),
            ),
            ("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured", None),
            ("everything passed", None),
        ] {
            let expected = expected.map(|(passed, failed, ignored)| Counts { passed, failed, ignored });
            assert_eq!(summary(&without_colours(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_runner_that_runs_nothing_has_failed() {
        let mut tally = Tally::default();
        tally.runner("nothing", &mut Command::new("true"));
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }

    #[test]
    fn a_runner_that_dies_counts_as_a_failure_beside_what_passed() {
        let mut tally = Tally::default();
        tally.runner(
            "dies",
            Command::new("sh").args(["-c", "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; exit 3"]),
        );
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }
}
