//! The document that the console's client is generated from is the one that the centre serves.

#![allow(clippy::disallowed_methods, reason = "the test compares a file of the repository")]

use std::path::PathBuf;

#[test]
fn the_committed_document_is_the_served_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../web/shared/openapi.json");
    let mut served = angbu_http::openapi().to_pretty_json().unwrap();
    served.push('\n');
    if std::env::var_os("ANGBU_BLESS").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == served,
        "web/shared/openapi.json is not what the centre serves; write it anew with\n\
         ANGBU_BLESS=1 cargo test -p angbu-http --test openapi"
    );
}
