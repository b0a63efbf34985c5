//! The cores are pure: no sockets, SQL, files, async, clocks, ambient randomness or JSON.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cargo_metadata::{DependencyKind, Metadata, PackageId};

use super::{Finding, layers, sizes};

/// Crates that must be nowhere beneath a core, however deep.
const NOWHERE_BENEATH: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "mio",
    "native-tls",
    "nix",
    "quinn",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "serde_json",
    "smol",
    "socket2",
    "tokio",
    "tokio-postgres",
    "ureq",
];
/// Crates that a core must not name itself, though something well-kept beneath it may.
const NOT_NAMED: &[&str] = &[
    "async-trait",
    "chrono",
    "futures",
    "getrandom",
    "libc",
    "parking_lot",
    "rand",
    "serde",
    "toml",
    "tracing",
];
/// Modules of the standard library that a core must not name.
const NOT_STD: &[&str] = &["env", "fs", "net", "os", "process", "thread"];
/// Words that a core must not use.
const NOT_WORDS: &[&str] = &[
    ".await",
    "async fn",
    "Instant::now",
    "LazyLock",
    "OnceLock",
    "static mut",
    "SystemTime",
    "thread_local!",
];

fn pure(name: &str) -> bool {
    matches!(name, "angbu-units" | "angbu-evidence" | "angbu-wallet") || layers::PILLARS.contains(&name)
}

/// Names what makes a core impure: among its dependencies, and in its source outside tests.
pub(crate) fn check(metadata: &Metadata, root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages().into_iter().filter(|package| pure(&package.name)) {
        for dependency in &package.dependencies {
            if dependency.kind != DependencyKind::Development && NOT_NAMED.contains(&dependency.name.as_str())
            {
                findings.push(format!("{} → {}: a core must not name it", package.name, dependency.name));
            }
        }
        for name in beneath(metadata, &package.id) {
            if NOWHERE_BENEATH.contains(&name.as_str()) {
                findings.push(format!("{} ⇢ {name}: must be nowhere beneath a core", package.name));
            }
        }
        let source = Path::new("crates").join(package.name.as_str()).join("src");
        for file in files.iter().filter(|file| file.starts_with(&source)) {
            let text = std::fs::read_to_string(root.join(file))
                .with_context(|| format!("{} cannot be read", file.display()))?;
            findings.extend(impurities(&text).into_iter().map(|found| format!("{}:{found}", file.display())));
        }
    }
    Ok(findings)
}

/// The names of everything beneath a package, tests' needs left out.
fn beneath(metadata: &Metadata, top: &PackageId) -> BTreeSet<String> {
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut open = vec![top];
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    while let Some(id) = open.pop() {
        for dependency in nodes.clone().filter(|node| node.id == *id).flat_map(|node| &node.deps) {
            let only_tests = dependency.dep_kinds.iter().all(|kind| kind.kind == DependencyKind::Development);
            if !only_tests && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    metadata.packages.iter().filter(|p| seen.contains(&p.id)).map(|p| p.name.to_string()).collect()
}

/// `LINE: what stands there` for each impurity in one source file.
fn impurities(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(sizes::without_tests(text).lines()) {
        let code = line.split("//").next().unwrap_or_default();
        for word in NOT_WORDS.iter().filter(|word| code.contains(**word)) {
            found.push(format!("{number}: {word}"));
        }
        for module in named_std_modules(code).filter(|module| NOT_STD.contains(module)) {
            found.push(format!("{number}: std::{module}"));
        }
    }
    found
}

/// The modules in `std::fs::read` and in `use std::{fmt, fs::File}`.
fn named_std_modules(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("std::").flat_map(|(at, prefix)| {
        let rest = code.get(at + prefix.len()..).unwrap_or_default();
        let group = rest.strip_prefix('{').unwrap_or(rest);
        let names = if group.len() == rest.len() { 1 } else { usize::MAX };
        group.split([',', ' ', '{', '}']).filter(|name| !name.is_empty()).take(names).map(|name| {
            name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impurities_are_found_outside_comments_and_tests() {
        for (text, expected) in [
            ("use std::fmt;\n", vec![]),
            ("use std::fs;\n", vec!["1: std::fs"]),
            ("\nuse std::{fmt, fs::File, net};\n", vec!["2: std::fs", "2: std::net"]),
            ("let t = std::time::SystemTime::now();\n", vec!["1: SystemTime"]),
            ("pub async fn f() {}\n", vec!["1: async fn"]),
            ("// std::fs is the shell's\n", vec![]),
            ("fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", vec![]),
        ] {
            assert_eq!(impurities(text), expected, "{text}");
        }
    }

    #[test]
    fn the_cores_are_the_pure_crates() {
        assert!(pure("angbu-time") && pure("angbu-units") && pure("angbu-wallet"));
        assert!(!pure("angbu-store") && !pure("angbu") && !pure("xtask"));
    }
}
