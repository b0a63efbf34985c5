//! Which crate may know which: the arrows of ARCHITECTURE.md, and no others.

use cargo_metadata::{DependencyKind, Metadata};

use super::Finding;

/// The vocabulary.
const UNITS: &[&str] = &["angbu-units"];
/// The log beneath every pillar.
const EVIDENCE: &[&str] = &["angbu-evidence"];
/// Who is served, what is asked of people, and the five pillars; none of them knows another.
pub(super) const PILLARS: &[&str] = &[
    "angbu-accounts",
    "angbu-activation",
    "angbu-biometrics",
    "angbu-keys",
    "angbu-passkeys",
    "angbu-requests",
    "angbu-signing",
    "angbu-time",
];
const WALLET: &[&str] = &["angbu-wallet"];
const STORE: &[&str] = &["angbu-store"];
const CLIENT: &[&str] = &["angbu-client"];
const HTTP: &[&str] = &["angbu-http"];
const AGENT: &[&str] = &["angbu-agent"];
/// The program itself; what is built around it may know everything beneath.
const PROGRAM: &[&str] = &["angbu"];

/// Crates, and the crates that they may depend on.
const ARROWS: &[(&[&str], &[&[&str]])] = &[
    (UNITS, &[]),
    (EVIDENCE, &[UNITS]),
    (PILLARS, &[EVIDENCE, UNITS]),
    (WALLET, &[PILLARS, EVIDENCE, UNITS]),
    (STORE, &[PILLARS, EVIDENCE, UNITS]),
    (CLIENT, &[PILLARS, EVIDENCE, UNITS]),
    (HTTP, &[STORE, PILLARS, EVIDENCE, UNITS]),
    (AGENT, &[CLIENT, PILLARS, EVIDENCE, UNITS]),
    (PROGRAM, &[HTTP, AGENT, STORE, CLIENT, WALLET, PILLARS, EVIDENCE, UNITS]),
    (&["angbu-testkit"], &[PROGRAM, HTTP, AGENT, STORE, CLIENT, WALLET, PILLARS, EVIDENCE, UNITS]),
    (&["angbu-fuzz"], &[WALLET, PILLARS, EVIDENCE, UNITS]),
    (&["xtask"], &[&["angbu-testkit"]]),
];

/// Crates of others that only these of ours may name: knowledge that stays in one place.
const OWNERS: &[(&str, &[&str])] =
    &[("rusqlite", STORE), ("tokio-postgres", STORE), ("axum", &["angbu-http", "angbu"])];

/// Names every arrow that must not exist. What only tests use may point anywhere.
pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let ours: Vec<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let from = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(crates, _)| crates.contains(&from)) else {
            findings.push(format!("{from}: not in the table of arrows (xtask/src/tidy/layers.rs)"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            if ours.contains(&to) && !allowed.iter().any(|layer| layer.contains(&to)) {
                findings.push(format!("{from} → {to}: this arrow must not exist"));
            }
            if let Some((_, owners)) = OWNERS.iter().find(|(name, _)| *name == to)
                && !owners.contains(&from)
            {
                findings.push(format!("{from} → {to}: only {} may know it", owners.join(", ")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use cargo_metadata::MetadataCommand;

    use super::*;

    /// A workspace of empty crates with these arrows, described by cargo itself.
    fn planted(crates: &[(&str, &str)]) -> Metadata {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n").unwrap();
        for (name, dependencies) in crates {
            plant(root, name, dependencies);
        }
        MetadataCommand::new()
            .current_dir(root)
            .no_deps()
            .other_options(vec!["--offline".into()])
            .exec()
            .unwrap()
    }

    fn plant(root: &Path, name: &str, dependencies: &str) {
        let source = root.join(name).join("src");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("lib.rs"), "").unwrap();
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{dependencies}");
        fs::write(root.join(name).join("Cargo.toml"), manifest).unwrap();
    }

    fn check_planted(crates: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(check(&planted(crates)), expected);
    }

    #[test]
    fn arrows_down_are_allowed() {
        check_planted(
            &[
                ("angbu-units", ""),
                ("angbu-evidence", "[dependencies]\nangbu-units = { path = \"../angbu-units\" }\n"),
                ("angbu-time", "[dependencies]\nangbu-evidence = { path = \"../angbu-evidence\" }\n"),
            ],
            &[],
        );
    }

    #[test]
    fn an_arrow_up_is_named() {
        check_planted(
            &[
                ("angbu-units", ""),
                ("angbu-store", ""),
                ("angbu-evidence", "[dependencies]\nangbu-store = { path = \"../angbu-store\" }\n"),
            ],
            &["angbu-evidence → angbu-store: this arrow must not exist"],
        );
    }

    #[test]
    fn a_pillar_may_not_know_another() {
        check_planted(
            &[
                ("angbu-keys", ""),
                ("angbu-time", "[build-dependencies]\nangbu-keys = { path = \"../angbu-keys\" }\n"),
            ],
            &["angbu-time → angbu-keys: this arrow must not exist"],
        );
    }

    #[test]
    fn the_agent_may_not_know_the_database() {
        check_planted(
            &[
                ("angbu-store", ""),
                (
                    "angbu-agent",
                    "[dependencies]\nangbu-store = { path = \"../angbu-store\" }\nrusqlite = \"0.41\"\n",
                ),
            ],
            &[
                "angbu-agent → angbu-store: this arrow must not exist",
                "angbu-agent → rusqlite: only angbu-store may know it",
            ],
        );
    }

    #[test]
    fn what_only_tests_use_may_point_anywhere() {
        check_planted(
            &[
                ("angbu-testkit", ""),
                ("angbu-time", "[dev-dependencies]\nangbu-testkit = { path = \"../angbu-testkit\" }\n"),
            ],
            &[],
        );
    }

    #[test]
    fn a_crate_that_nobody_placed_is_named() {
        check_planted(
            &[("angbu-util", "")],
            &["angbu-util: not in the table of arrows (xtask/src/tidy/layers.rs)"],
        );
    }
}
