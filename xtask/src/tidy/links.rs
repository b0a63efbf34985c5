//! Links in documents lead somewhere.

use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::Finding;

/// Names every relative link in a Markdown file whose file or heading is not there.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "md")) {
        let text = read(root, file)?;
        for link in relative_links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                file.clone()
            } else {
                plain(&file.parent().unwrap_or(Path::new("")).join(path))
            };
            if !root.join(&target).exists() {
                findings.push(format!("{}: {link} is not there", file.display()));
            } else if !heading.is_empty() && !headings(&read(root, &target)?).any(|found| found == heading) {
                findings.push(format!("{}: {} has no heading #{heading}", file.display(), target.display()));
            }
        }
    }
    Ok(findings)
}

fn read(root: &Path, file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| format!("{} cannot be read", file.display()))
}

/// What stands in `](…)` and is no address of its own.
fn relative_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split(' ').next().unwrap_or(link))
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
}

/// The anchors that headings get: lower case, spaces as hyphens, other signs dropped.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        line.trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

/// The path with `..` carried out.
fn plain(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_headings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        let text = "[a](../README.md) [b](gone.md) [c](#what-it-is) [d](#gone) [e](https://example.com/x) ![f](../p.png \"t\")\n# What it is?\n";
        std::fs::write(folder.path().join("docs/a.md"), text).unwrap();
        std::fs::write(folder.path().join("README.md"), "").unwrap();
        let files = ["README.md", "docs/a.md"].map(PathBuf::from);
        assert_eq!(
            check(folder.path(), &files).unwrap(),
            [
                "docs/a.md: gone.md is not there",
                "docs/a.md: docs/a.md has no heading #gone",
                "docs/a.md: ../p.png is not there",
            ]
        );
    }
}
