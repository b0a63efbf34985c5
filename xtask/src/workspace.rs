//! Where the repository stands, and its files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

use crate::process;

/// Folders that hold nothing of the repository's own.
const NOT_OURS: [&str; 6] = [".git", "target", "node_modules", "dist", "angbu-data", "__pycache__"];

/// The repository that this program was started in.
pub(crate) struct Workspace {
    /// The repository's top folder.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo for both folders.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let metadata =
            MetadataCommand::new().no_deps().exec().context("cargo could not describe this workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// The folder for this program's own notes.
    pub(crate) fn notes(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Every package with its resolved dependencies for one platform.
    pub(crate) fn metadata(&self, platform: &str) -> anyhow::Result<Metadata> {
        MetadataCommand::new()
            .current_dir(&self.root)
            .features(CargoOpt::AllFeatures)
            .other_options(vec!["--locked".into(), "--filter-platform".into(), platform.into()])
            .exec()
            .context(
                "cargo metadata --locked failed; when Cargo.lock is behind, any build brings it up to date",
            )
    }

    /// Every package that is built on one platform, in order, without what only tests need.
    ///
    /// `cargo tree` knows this exactly; `cargo metadata` also lists what an unused feature would bring.
    pub(crate) fn packages(&self, platform: &str) -> anyhow::Result<Vec<Package>> {
        let output = process::cargo()
            .current_dir(&self.root)
            .args(["tree", "--locked", "--workspace", "--all-features", "--target", platform])
            .args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}|{l}"])
            .output()
            .context("cargo cannot be started")?;
        if !output.status.success() {
            bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let packages: BTreeSet<Package> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(Package::parse).collect();
        Ok(packages.into_iter().collect())
    }

    /// The repository's own files, as paths from its top folder, in order.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        files_below(&self.root)
    }
}

/// A package that is built.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its licence as an SPDX expression; empty when it states none.
    pub(crate) licence: String,
}

impl Package {
    /// Reads `syn v2.0.1 (proc-macro)|MIT OR Apache-2.0 (*)`.
    fn parse(line: &str) -> Option<Self> {
        let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
        let mut words = package.split(' ');
        Some(Self {
            name: words.next()?.to_owned(),
            version: words.next()?.trim_start_matches('v').to_owned(),
            licence: licence.to_owned(),
        })
    }
}

/// Every file below `top` outside the folders that hold nothing of our own, as paths from `top`, in order.
pub(crate) fn files_below(top: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("the folder {} cannot be listed", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(top).unwrap_or(&entry.path()).to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_read() {
        let package = Package::parse("syn v2.0.1 (proc-macro)|MIT OR Apache-2.0 (*)").unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("syn", "2.0.1"));
        assert_eq!(package.licence, "MIT OR Apache-2.0");
        assert_eq!(Package::parse(""), None);
    }
}
