//! `kill -9` under load: whatever was answered is there afterwards, and the log continues every head ever served.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::load::{Told, check, under_load};
use super::process::{pass, serve};

#[test]
fn six_seeded_kills_lose_nothing() {
    for seed in 1..=6 {
        run(seed);
    }
}

#[test]
#[ignore = "50 runs take minutes: cargo xtask judge crash"]
fn judge_crash() {
    for seed in 100..150 {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    // Twice, so that a start after a kill is killed as well.
    for _ in 0..2 {
        let mut centre = serve(folder.path());
        let after = Duration::from_millis(rng.random_range(20..900));
        told.add(under_load(&[&centre], |_| {
            pass(after);
            centre.signal("KILL");
        }));
        centre.kill();
    }
    let centre = serve(folder.path());
    check(&centre, &told);
    centre.interrupt();
}
