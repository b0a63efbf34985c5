//! `cargo xtask cluster`: two centres of one site over a PostgreSQL of their own, to look around.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use angbu_testkit::postgres::Server;
use anyhow::Context;

use crate::workspace::Workspace;
use crate::{demo, packages};

const NAMES: [&str; 2] = ["one", "two"];

/// Builds what is missing, starts the database and both centres, and runs until Ctrl-C; then all of it is gone.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    packages::ensure()?;
    let program = demo::build(workspace)?;
    let folder = tempfile::tempdir()?;
    let server = Server::start();
    let address = server.database();
    let mut centres = Vec::new();
    for name in NAMES {
        centres.push(start(&program, folder.path(), name, &address)?);
    }
    println!("Ctrl-C ends both centres and removes what they kept.");
    // Ctrl-C reaches them too, as they belong to the same terminal.
    for mut centre in centres {
        let _ = centre.wait();
    }
    Ok(())
}

fn start(program: &Path, folder: &Path, name: &str, address: &str) -> anyhow::Result<Child> {
    let data = folder.join(name);
    std::fs::create_dir(&data)?;
    let secret = folder.join(NAMES[0]).join("root.secret");
    if secret.exists() {
        std::fs::copy(secret, data.join("root.secret"))?;
    }
    let config = folder.join(name).with_extension("toml");
    let text = "[clock]\nreference = \"declared\"\n[[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n";
    std::fs::write(&config, format!("name = \"{name}\"\n{text}"))?;
    let mut child = Command::new(program)
        .args(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--config"])
        .arg(config)
        .arg("--data")
        .arg(data)
        .args(["--store", address])
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let stdout = child.stdout.take().context("standard output is a pipe")?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = lines.next().context("the centre ended before it was ready")??;
    println!("{name}: {ready}");
    // What it tells later is read on, so that a full pipe never stops it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok(child)
}
