//! Go's `golang.org/x/mod/sumdb`, from Debian's packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use angbu_evidence::note::Signer as _;
use angbu_evidence::{Hash, merkle};

use crate::{Log, entry, run, signer};

/// Compiles the checker, from Debian's sources alone.
fn build(folder: &Path) -> PathBuf {
    let program = folder.join("check");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/check/main.go");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
    let (status, said) = run(Command::new("go")
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", cache)
        .env("GOFLAGS", "")
        .env("CGO_ENABLED", "0")
        .args(["build", "-o"])
        .arg(&program)
        .arg(source));
    assert_eq!(status, Some(0), "the Go program does not compile; `cargo xtask test` installs Go:\n{said}");
    program
}

fn lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| format!("{hash}\n")).collect()
}

/// Writes a file of the log, and its folders.
fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn go_reads_our_tiles_and_refuses_changed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = build(folder);
    let check = || run(Command::new(&program).arg(folder));
    // Past 65,536 entries, so that there are tiles of three levels.
    let (old, new) = (60_001, 70_321);
    let mut log = Log::default();
    log.grow(old);
    write(folder, "key", signer().verifier_key().to_string());
    write(folder, "old", log.checkpoint());
    log.grow(new);
    write(folder, "new", log.checkpoint());
    for (path, hashes) in log.files() {
        write(folder, &path, hashes);
    }
    write(folder, "consistency", lines(&merkle::consistency(&log.nodes(), old, new).unwrap()));
    for index in [0, 1, 255, 256, 60_000, 65_535, 65_536, 70_143, 70_320] {
        write(folder, &format!("entries/{index}"), entry(index));
        let path = merkle::inclusion(&log.nodes(), index, new).unwrap();
        write(folder, &format!("proofs/{index}"), lines(&path));
    }
    let (status, said) = check();
    assert_eq!((status, said.as_str()), (Some(0), "proven: 9 entries and growth from 60001 to 70321\n"));

    // One byte of each kind of file.
    let last = log.files().last().unwrap().0;
    for (name, at, why) in [
        ("key", 30, "key: invalid verifier hash"),
        ("new", 40, "new: invalid signature for key centre.example/log"),
        ("old", 130, "old: invalid signature for key centre.example/log"),
        ("consistency", 3, "consistency: "),
        ("entries/65535", 90, "inclusion by the tiles of entry 65535: "),
        ("proofs/256", 50, "inclusion of entry 256: "),
        ("tile/0/000", 8_000, ""),
        ("tile/1/000", 7_000, ""),
        (&last, 0, ""),
    ] {
        let path = folder.join(name);
        let good = fs::read(&path).unwrap();
        let mut changed = good.clone();
        // Another letter of base64 where the file is text.
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        fs::write(&path, changed).unwrap();
        let (status, said) = check();
        assert!(status == Some(1) && said.starts_with(&format!("refused: {why}")), "{name}: {said}");
        fs::write(&path, good).unwrap();
    }
    assert_eq!(check().0, Some(0));
}
