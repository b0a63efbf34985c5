//! scitt-cose, a package from PyPI, in a folder of its own that `cargo xtask test` makes.

use std::fs;
use std::path::Path;
use std::process::Command;

use angbu_evidence::{Entry, Receipt, cose, merkle};

use crate::{Log, ORIGIN, entry, public_key, run, signer};

/// Checks a receipt against an entry and a key.
fn check(receipt: &[u8], entry: &[u8], key: &str) -> (Option<i32>, String) {
    let python =
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("foreign").join("scitt-cose/bin/python");
    assert!(
        python.is_file(),
        "scitt-cose is not installed in {}; `cargo xtask test` installs it once, from PyPI",
        python.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let [receipt_path, entry_path] = ["receipt", "entry"].map(|name| folder.path().join(name));
    fs::write(&receipt_path, receipt).unwrap();
    fs::write(&entry_path, entry).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/receipt.py");
    run(Command::new(python).arg(script).args([&receipt_path, &entry_path]).arg(key))
}

#[test]
fn scitt_cose_reads_our_receipts_and_refuses_changed_ones() {
    let mut log = Log::default();
    log.grow(5_000);
    let key = public_key();
    for index in [0, 255, 256, 4_095, 4_096, 4_999] {
        let path = merkle::inclusion(&log.nodes(), index, 5_000).unwrap();
        let text = Receipt { entry: entry(index), index, path, checkpoint: log.checkpoint() };
        let receipt = cose::receipt(&text, &signer()).unwrap();
        let (status, said) = check(&receipt, &text.entry, &key);
        let id = Entry::decode(&text.entry).unwrap().id;
        let root: String = log.edge.root().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((status, said), (Some(0), format!("{ORIGIN} {id} {index} 5000 {root}\n")));
        if index != 4_095 {
            continue;
        }
        // Another entry, another key, and one byte of each part of the receipt.
        let refused = |receipt: &[u8], entry: &[u8], key: &str| {
            let (status, said) = check(receipt, entry, key);
            assert!(status == Some(1) && said.starts_with("refused: "), "{said}");
        };
        refused(&receipt, &crate::entry(4_096), &key);
        refused(&receipt, &text.entry, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        for at in [6, 30, receipt.len() / 2, receipt.len() - 1] {
            let mut changed = receipt.clone();
            changed[at] ^= 1;
            refused(&changed, &text.entry, &key);
        }
    }
}
