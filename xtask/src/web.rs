//! `cargo xtask web`: the pages that the program embeds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;
use crate::workspace::{Workspace, files_below};

/// The oldest Node.js that the pages build with, as major and minor; web/package.json says the same.
const NODE: (u32, u32) = (20, 19);

/// Builds the pages, unless nothing that they are made of has changed since the last time.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let web = workspace.root.join("web");
    let wanted = fingerprint(&web)?;
    let note = workspace.notes().join("web-built");
    if web.join("console/dist/index.html").is_file() && noted(&note).as_deref() == Some(&*wanted) {
        return Ok(());
    }
    install(workspace)?;
    process::run(Command::new("npm").current_dir(&web).args(["run", "build"]))?;
    // The build may write generated files; what counts is what the pages were made of at its end.
    write_note(&note, &fingerprint(&web)?)
}

/// Runs the pages' own tests and hands their runner back to be counted.
pub(crate) fn tests(workspace: &Workspace) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(workspace.root.join("web")).arg("test");
    command
}

/// Installs exactly what the lock file names, when it or the folder changed.
pub(crate) fn install(workspace: &Workspace) -> anyhow::Result<()> {
    check_node()?;
    let web = workspace.root.join("web");
    let mut hasher = DefaultHasher::new();
    read(&web.join("package-lock.json"))?.hash(&mut hasher);
    let wanted = format!("{:016x}", hasher.finish());
    let note = workspace.notes().join("web-installed");
    if web.join("node_modules").is_dir() && noted(&note).as_deref() == Some(&*wanted) {
        return Ok(());
    }
    process::run(Command::new("npm").current_dir(&web).args(["ci", "--no-audit", "--no-fund"]))?;
    write_note(&note, &wanted)
}

/// Says in one sentence what to do when Node.js is missing or too old.
fn check_node() -> anyhow::Result<()> {
    let (major, minor) = NODE;
    let advice = format!(
        "the console is built with Node.js {major}.{minor} or newer and npm; on Debian: apt-get install --yes nodejs npm (Debian 12: from nodejs.org)"
    );
    if process::program("node").is_none() || process::program("npm").is_none() {
        bail!("Node.js or npm is not installed: {advice}");
    }
    let output = Command::new("node").arg("--version").output().context("node cannot be started")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !new_enough(&version) {
        bail!("Node.js is {version}: {advice}");
    }
    Ok(())
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= NODE
}

/// A hash over the names and contents of everything that the pages are made of.
fn fingerprint(web: &Path) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files_below(web)? {
        file.hash(&mut hasher);
        read(&web.join(&file))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn noted(note: &PathBuf) -> Option<String> {
    std::fs::read_to_string(note).ok()
}

fn write_note(note: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = note.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    std::fs::write(note, text).with_context(|| format!("{} cannot be written", note.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_node_is_refused() {
        for (version, expected) in
            [("v20.19.0", true), ("v20.18.3", false), ("v22.0.0", true), ("v18.20.4", false), ("", false)]
        {
            assert_eq!(new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn a_changed_source_changes_the_fingerprint_and_a_built_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("src");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("main.ts"), "one").unwrap();
        let before = fingerprint(folder.path()).unwrap();
        std::fs::create_dir_all(folder.path().join("dist")).unwrap();
        std::fs::write(folder.path().join("dist/index.html"), "built").unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), before);
        std::fs::write(source.join("main.ts"), "two").unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), before);
    }
}
