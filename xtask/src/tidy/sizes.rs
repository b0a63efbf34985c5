//! A file that grows past one idea has a second one in it.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Finding;

/// Lines of a source file, its tests left out. Functions are clippy's: `too-many-lines-threshold`.
const MOST_LINES: usize = 600;

/// Names source files that are too long. What a program wrote says so in its first line and is left alone.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| source(file)) {
        let text = std::fs::read_to_string(root.join(file))
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let written_by_a_program =
            text.lines().take(3).any(|line| line.to_ascii_lowercase().contains("generated"));
        let lines = without_tests(&text).lines().count();
        if lines > MOST_LINES && !written_by_a_program {
            findings.push(format!("{}: {lines} lines, more than {MOST_LINES}", file.display()));
        }
    }
    Ok(findings)
}

/// Whether the limit holds for a file: Rust and TypeScript, whole test files left out.
fn source(file: &Path) -> bool {
    let kind = file.extension().and_then(|extension| extension.to_str());
    let test = file.iter().any(|part| part == "tests" || part == "test");
    matches!(kind, Some("rs" | "ts" | "tsx" | "mjs")) && !test
}

/// A Rust file up to its `#[cfg(test)] mod …`, which stands last.
pub(super) fn without_tests(text: &str) -> &str {
    text.match_indices("#[cfg(test)]")
        .find(|(at, mark)| {
            text.get(at + mark.len()..).is_some_and(|rest| rest.trim_start().starts_with("mod "))
        })
        .and_then(|(at, _)| text.get(..at))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        assert_eq!(without_tests("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), "a\nb\n");
        assert_eq!(without_tests("a\n#[cfg(test)]\nuse x;\nb\n"), "a\n#[cfg(test)]\nuse x;\nb\n");
    }

    #[test]
    fn a_long_file_is_named_and_a_generated_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("long.rs"), "//\n".repeat(601)).unwrap();
        std::fs::write(folder.path().join("made.ts"), format!("// Generated.\n{}", "//\n".repeat(601)))
            .unwrap();
        std::fs::write(folder.path().join("short.rs"), "//\n".repeat(600)).unwrap();
        let files = ["long.rs", "made.ts", "short.rs"].map(PathBuf::from);
        assert_eq!(check(folder.path(), &files).unwrap(), ["long.rs: 601 lines, more than 600"]);
    }
}
