//! What others wrote and our tests hold against what we write: Python packages, each in a folder of its own below the target folder.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::process;
use crate::workspace::Workspace;

/// What is installed: the folder's name, the list with the versions, and what for.
const LISTS: [(&str, &str, &str); 2] = [
    ("scitt-cose", "crates/angbu-evidence/tests/foreign/requirements.txt", "checks COSE receipts"),
    ("pyarrow", "crates/angbu-http/tests/foreign/requirements.txt", "reads Parquet and Prometheus's numbers"),
];

/// Installs exactly what the lists name, where one changed or nothing is there.
pub(crate) fn install(workspace: &Workspace) -> anyhow::Result<()> {
    LISTS.iter().try_for_each(|list| install_one(workspace, list))
}

fn install_one(workspace: &Workspace, (name, list, why): &(&str, &str, &str)) -> anyhow::Result<()> {
    let path = workspace.root.join(list);
    let wanted = fs::read_to_string(&path).with_context(|| format!("{list} cannot be read"))?;
    let folder = workspace.target.join("foreign").join(name);
    let note = folder.join("installed.txt");
    if fs::read_to_string(&note).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let python = folder.join("bin/python");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--requirement"]).arg(&path);
    process::run(&mut pip).with_context(|| {
        format!(
            "the Python package that {why} is not installed; it comes from PyPI, once, so connect this machine to it \
             (or set PIP_INDEX_URL to a mirror) and run this again"
        )
    })?;
    fs::write(&note, wanted).context("the note of what is installed cannot be written")
}
