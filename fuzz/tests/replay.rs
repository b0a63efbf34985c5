//! Feeds every target its corpus on the stable toolchain: each file as it is, cut short, and changed.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test, and its corpus is files")]

use std::path::{Path, PathBuf};

/// The longest input that is also tried with each of its bytes changed.
const LONGEST_CHANGED: usize = 4096;

/// The files of a target's corpus, in order.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no input", folder.display());
    files
}

#[test]
fn every_target_keeps_its_word_on_its_corpus() {
    for (target, run) in angbu_fuzz::TARGETS {
        for file in corpus(target) {
            run(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_target_keeps_its_word_on_inputs_cut_short_and_changed() {
    for (target, run) in angbu_fuzz::TARGETS {
        for file in corpus(target) {
            let mut data = std::fs::read(&file).unwrap();
            data.truncate(LONGEST_CHANGED);
            for length in 0..data.len() {
                run(&data[..length]);
            }
            for at in 0..data.len() {
                let kept = data[at];
                for changed in [kept ^ 1, kept ^ 0x80, 0, 0xff, kept.wrapping_add(1)] {
                    data[at] = changed;
                    run(&data);
                }
                data[at] = kept;
            }
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(top.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let targets: Vec<&str> = angbu_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
}

/// Without this, what lies behind the log's signature would be fed nothing.
#[test]
fn the_report_of_the_corpus_is_proven_by_the_key_of_the_targets() {
    let text = include_str!("../corpus/report/text");
    let package = angbu_evidence::report::Package::decode(text).unwrap();
    let log = vec![angbu_fuzz::LOG_KEY.parse().unwrap()];
    let trust = angbu_evidence::report::Trust { log, witnesses: Vec::new() };
    assert_eq!(package.prove(&trust).unwrap().entries.len(), 9);
}
