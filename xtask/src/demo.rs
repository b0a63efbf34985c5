//! `cargo xtask demo`: from a fresh clone to a running centre.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::workspace::Workspace;
use crate::{process, web};

/// Builds what is missing and becomes `angbu demo`.
///
/// The program takes this process over, so that Ctrl-C and other signals reach it alone and its exit status is
/// the one that the caller sees.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> anyhow::Result<()> {
    let program = build(workspace)?;
    let error = Command::new(&program).arg("demo").args(arguments).exec();
    Err(error).with_context(|| format!("{} cannot be started", program.display()))
}

/// Builds the pages and the program, and says where that is.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    web::build(workspace)?;
    process::run(process::cargo().current_dir(&workspace.root).args([
        "build",
        "--release",
        "--locked",
        "--package",
        "angbu",
    ]))?;
    Ok(workspace.target.join("release").join("angbu"))
}
