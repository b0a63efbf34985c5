//! The part of `deny.toml` that needs no network and no further tool: licences, and versions that stand twice.
//!
//! `cargo deny check` reads the same file and checks more; `cargo xtask test` runs it where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::Path;

use anyhow::{Context, anyhow};
use toml::{Table, Value};

use super::Finding;
use crate::workspace::Package;

/// What `deny.toml` allows.
pub(crate) struct Policy {
    /// The platform whose dependencies count.
    pub platform: String,
    licences: BTreeSet<String>,
    /// Crates that may have a further licence: name to licences.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Versions that may stand beside another: `name@version`.
    doubles: BTreeSet<String>,
}

impl Policy {
    /// Reads the file that cargo-deny reads too.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not what tidy expects", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Table = text.parse()?;
        let section = |name: &str| {
            file.get(name).and_then(Value::as_table).ok_or_else(|| anyhow!("there is no [{name}]"))
        };
        let exceptions = list(section("licenses")?, "exceptions").iter().filter_map(Value::as_table);
        let skipped = list(section("bans")?, "skip").iter().filter_map(Value::as_table);
        Ok(Self {
            platform: list(section("graph")?, "targets")
                .first()
                .and_then(Value::as_str)
                .ok_or_else(|| anyhow!("[graph] names no target"))?
                .to_owned(),
            licences: words(list(section("licenses")?, "allow")),
            exceptions: exceptions.map(|entry| (word(entry, "crate"), words(list(entry, "allow")))).collect(),
            doubles: skipped.map(|entry| word(entry, "crate")).collect(),
        })
    }

    /// Names packages whose licence is not allowed, versions that stand twice, and permissions that nobody needs.
    pub(crate) fn check(&self, packages: &[Package]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Package { name, version, licence } in packages {
            if !self.allows(name, licence) {
                findings.push(format!("{name} {version}: licence {licence:?} is not allowed"));
            }
            versions.entry(name).or_default().insert(version);
        }
        let present = |double: &String| {
            double.split_once('@').is_some_and(|(name, version)| {
                versions.get(name).is_some_and(|versions| versions.len() > 1 && versions.contains(version))
            })
        };
        findings.extend(
            self.doubles
                .iter()
                .filter(|double| !present(double))
                .map(|double| format!("deny.toml allows {double} to stand twice, and it does not")),
        );
        for (name, versions) in versions {
            let counted: Vec<&str> = versions
                .iter()
                .filter(|version| !self.doubles.contains(&format!("{name}@{version}")))
                .copied()
                .collect();
            if counted.len() > 1 {
                findings.push(format!("{name} stands {} times: {}", counted.len(), counted.join(", ")));
            }
        }
        findings
    }

    /// Whether an SPDX expression can be satisfied with what is allowed.
    fn allows(&self, name: &str, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        self.alternatives(name, &mut words) && words.peek().is_none()
    }

    /// `a OR b`
    fn alternatives<'a>(&self, name: &str, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.conjunction(name, words);
        while words.next_if_eq(&"OR").is_some() {
            allowed |= self.conjunction(name, words);
        }
        allowed
    }

    /// `a AND b`
    fn conjunction<'a>(&self, name: &str, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.licence(name, words);
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.licence(name, words);
        }
        allowed
    }

    /// A licence, with or without its exception, or an expression in parentheses.
    fn licence<'a>(&self, name: &str, words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
        if words.next_if_eq(&"(").is_some() {
            let allowed = self.alternatives(name, words);
            return words.next_if_eq(&")").is_some() && allowed;
        }
        let mut licence = words.next().unwrap_or_default().to_owned();
        if words.next_if_eq(&"WITH").is_some() {
            licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
        }
        self.licences.contains(&licence)
            || self.exceptions.get(name).is_some_and(|licences| licences.contains(&licence))
    }
}

fn list<'a>(table: &'a Table, key: &str) -> &'a [Value] {
    table.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn words(values: &[Value]) -> BTreeSet<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn word(table: &Table, key: &str) -> String {
    table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::parse(
            r#"
            [graph]
            targets = ["x86_64-unknown-linux-gnu"]
            [licenses]
            allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
            exceptions = [{ crate = "ring", allow = ["ISC"] }]
            [bans]
            skip = [{ crate = "old@1.0.0", reason = "another crate needs it" }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn expressions_are_read_as_spdx_writes_them() {
        for (name, expression, expected) in [
            ("a", "MIT", true),
            ("a", "GPL-3.0", false),
            ("a", "MIT OR GPL-3.0", true),
            ("a", "MIT/Apache-2.0", true),
            ("a", "MIT AND GPL-3.0", false),
            ("a", "(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("a", "GPL-3.0 OR MIT AND Apache-2.0", true),
            ("a", "Apache-2.0 WITH LLVM-exception", true),
            ("a", "Apache-2.0 WITH Other-exception", false),
            ("ring", "MIT AND ISC", true),
            ("a", "MIT AND ISC", false),
            ("a", "none stated", false),
            ("a", "(MIT", false),
        ] {
            assert_eq!(policy().allows(name, expression), expected, "{name}: {expression}");
        }
    }

    fn package(name: &str, version: &str, licence: &str) -> Package {
        Package { name: name.into(), version: version.into(), licence: licence.into() }
    }

    #[test]
    fn a_forbidden_licence_and_a_second_version_are_named() {
        let packages = [
            package("old", "1.0.0", "MIT"),
            package("old", "2.0.0", "MIT"),
            package("twice", "1.0.0", "MIT"),
            package("twice", "2.0.0", "MIT"),
            package("strict", "1.0.0", "GPL-3.0"),
        ];
        assert_eq!(
            policy().check(&packages),
            ["strict 1.0.0: licence \"GPL-3.0\" is not allowed", "twice stands 2 times: 1.0.0, 2.0.0"]
        );
        assert_eq!(policy().check(&[]), ["deny.toml allows old@1.0.0 to stand twice, and it does not"]);
    }

    #[test]
    fn exceptions_and_doubles_are_read() {
        let policy = policy();
        assert_eq!(policy.platform, "x86_64-unknown-linux-gnu");
        assert!(policy.doubles.contains("old@1.0.0"));
    }
}
