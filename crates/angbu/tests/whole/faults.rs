//! What goes wrong in a machine room: a full disk, a clock that jumps. Nothing that was answered is lost, and what
//! cannot be answered is refused with a word on when to come back.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use angbu_units::ClockVerdict;

use super::load::{check, under_load};
use super::log::Log;
use super::process::{Process, call, moved_clock, pass, serve_command, until};

#[test]
fn a_full_disk_loses_nothing_and_its_end_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // A disk of its own for the centre, which nobody else sees; what lies on it can be taken away later.
    let serve = serve_command(folder.path());
    let disk = "mount -t tmpfs -o size=12m,mode=700 none \"$0\" && dd if=/dev/zero of=\"$0\"/ballast bs=1M count=6 \
                2> /dev/null && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", disk]).arg(&data);
    command.arg(serve.get_program()).args(serve.get_args());
    let centre = Process::start(&mut command);
    let mut told = under_load(&[&centre], |load| load.until_refused(40));
    assert!(told.answered() > 100, "it began: {} answers", told.answered());
    assert!(told.refused() >= 40);
    // Time needs no disk.
    assert_eq!(call(&centre, "GET", "/healthz", None).status, 200);
    std::fs::remove_file(seen_by(&centre, &data).join("ballast")).unwrap();
    told.add(under_load(&[&centre], |load| load.until_answered(100)));
    check(&centre, &told);
    centre.interrupt();
}

/// A path as a process in a mount namespace sees it.
fn seen_by(process: &Process, path: &Path) -> std::path::PathBuf {
    Path::new("/proc").join(process.id().to_string()).join("root").join(path.strip_prefix("/").unwrap())
}

#[test]
fn a_clock_stepped_by_ten_minutes_and_back_is_said_and_changes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+0\n").unwrap();
    let centre = Process::start(serve_command(folder.path()).envs(moved_clock(&offset)));
    let told = under_load(&[&centre], |load| {
        for step in ["+600\n", "+0\n"] {
            load.until_answered(50);
            std::fs::write(&offset, step).unwrap();
            load.until_answered(50);
        }
        until("the clock's verdict", || {
            let clock = call(&centre, "GET", "/api/v1/centre", None).json()["clock"].clone();
            (clock["verdict"] == "unproven").then_some(())
        });
        pass(Duration::from_millis(100));
    });
    assert_eq!(told.refused(), 0, "a clock that jumps keeps nobody from what does not rest on it");
    check(&centre, &told);
    let log = Log::fetch(&centre);
    let jumps: Vec<_> = log.entries.windows(2).map(|pair| (pair[1].time - pair[0].time).count()).collect();
    let most = 500_000_000_000;
    assert!(
        jumps.iter().any(|jump| *jump > most) && jumps.iter().any(|jump| *jump < -most),
        "both are in the log"
    );
    assert_eq!(log.entries.last().map(|entry| entry.verdict), Some(ClockVerdict::Unproven));
    centre.interrupt();
}
