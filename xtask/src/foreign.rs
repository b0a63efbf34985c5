//! The foreign verifier of COSE receipts: a Python package, in a folder of its own below the target folder.

use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::process;
use crate::workspace::Workspace;

/// What is installed, to the version.
const LIST: &str = "crates/angbu-evidence/tests/foreign/requirements.txt";

/// Installs exactly what the list names, when it changed or nothing is there.
pub(crate) fn install(workspace: &Workspace) -> anyhow::Result<()> {
    let list = workspace.root.join(LIST);
    let wanted = fs::read_to_string(&list).with_context(|| format!("{LIST} cannot be read"))?;
    let folder = workspace.target.join("foreign").join("scitt-cose");
    let note = folder.join("installed.txt");
    if fs::read_to_string(&note).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let python = folder.join("bin/python");
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--requirement"]).arg(&list);
    process::run(&mut pip).context(
        "the Python package that checks COSE receipts is not installed; it comes from PyPI, once, so connect this \
         machine to it (or set PIP_INDEX_URL to a mirror) and run this again",
    )?;
    fs::write(&note, wanted).context("the note of what is installed cannot be written")
}
