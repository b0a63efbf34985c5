//! Embeds the built console, so that the binary is the whole product.
//!
//! `cargo xtask web` builds `web/console/dist`. Without it the binary still builds, and serves a page that
//! says which command is missing: plain `cargo check` must not need Node.js.

#![allow(clippy::disallowed_methods, reason = "a build script reads files by trade")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let dist = here.join("../../web/console/dist");
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &dist, &mut files)?;
        files.sort();
    }
    println!("cargo::rerun-if-changed={}", dist.display());
    // Copies, so that a later build of the console does not pull the files away from under the compiler.
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let mut code = String::from("pub(super) const FILES: &[(&str, &[u8])] = &[\n");
    for (number, (name, path)) in files.iter().enumerate() {
        let copy = format!("console-{number}");
        fs::copy(path, out.join(&copy))?;
        writeln!(code, "    ({name:?}, include_bytes!({copy:?})),").map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    fs::write(out.join("console.rs"), code)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.to_string_lossy().replace('\\', "/"), path.canonicalize()?));
        }
    }
    Ok(())
}
