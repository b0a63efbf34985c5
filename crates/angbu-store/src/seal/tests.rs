use std::os::unix::fs::PermissionsExt;

use crate::support::{Drafter, TestClock, append, customer};
use crate::{Options, SigningKey, Store, StoreError};

use std::path::Path;

use angbu_units::UnixTime;

use crate::sqlite;

use super::*;

fn opened(folder: &Path) -> Result<Store, StoreError> {
    Store::open(&Options::new(folder), TestClock::new())
}

#[test]
fn sealed_values_open_in_their_own_row_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = RootSecret::open(&folder.path().join("root"), true).unwrap();
    let connection = sqlite::open_writer(&folder.path().join("db")).unwrap();
    let keys = Keyring::open(&connection, root, UnixTime::MIN).unwrap();
    let sealed = keys.seal(Purpose::Bodies, "table", b"row", b"plain").unwrap();
    assert_eq!(*keys.open_sealed("table", b"row", &sealed).unwrap(), *b"plain");
    let other = keys.seal(Purpose::Bodies, "table", b"row", b"plain").unwrap();
    assert_ne!(sealed, other, "the same value never looks the same twice");
    assert!(keys.open_sealed("table", b"row2", &sealed).is_err());
    assert!(keys.open_sealed("table2", b"row", &sealed).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(keys.open_sealed("table", b"row", &altered).is_err(), "byte {at}");
        assert!(keys.open_sealed("table", b"row", &sealed[..at]).is_err(), "cut at {at}");
    }
    // The same keys come back with the same root secret.
    let root = RootSecret::open(&folder.path().join("root"), false).unwrap();
    let again = Keyring::open(&connection, root, UnixTime::MIN).unwrap();
    assert_eq!(*again.open_sealed("table", b"row", &sealed).unwrap(), *b"plain");
    let seed = |keys: &Keyring, key| keys.seeds(key).into_iter().next().unwrap();
    assert_eq!(seed(&again, SigningKey::Log), seed(&keys, SigningKey::Log));
    assert_ne!(seed(&again, SigningKey::Log), seed(&keys, SigningKey::Promise));
    assert_eq!(again.blind("t.c", b"v").unwrap(), keys.blind("t.c", b"v").unwrap());
    assert_ne!(keys.blind("t.c", b"v").unwrap(), keys.blind("t.d", b"v").unwrap());
}

#[test]
fn a_store_opens_only_with_its_own_root_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.secret");
    drop(opened(folder.path()).unwrap());
    let secret = std::fs::read(&path).unwrap();
    assert_eq!(secret.len(), 32);
    for name in ["root.secret", "angbu.sqlite"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    drop(opened(folder.path()).unwrap());

    let refused = |why: &str| match opened(folder.path()).map(drop) {
        Err(StoreError::RootSecret { why: said, .. }) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("chmod 600");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, &secret[..31]).unwrap();
    refused("32 bytes");
    std::fs::write(&path, [&secret[..], b"x"].concat()).unwrap();
    refused("32 bytes");
    std::fs::remove_file(&path).unwrap();
    refused("missing");
    assert!(!path.exists(), "and no new one is made up beside an old database");
    std::fs::write(&path, [1; 32]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(opened(folder.path()).map(drop), Err(StoreError::NotOurs { table: "site_keys" })));
    std::fs::write(&path, &secret).unwrap();
    drop(opened(folder.path()).unwrap());
}

#[test]
fn one_process_at_a_time_has_a_store_open() {
    let folder = tempfile::tempdir().unwrap();
    let first = opened(folder.path()).unwrap();
    assert!(matches!(opened(folder.path()).map(drop), Err(StoreError::InUse { .. })));
    drop(first);
    let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(name).collect();
    files.sort();
    assert_eq!(
        files,
        ["angbu.lock", "angbu.sqlite", "root.secret"],
        "a store that was closed is one whole file"
    );
    drop(opened(folder.path()).unwrap());
}

#[test]
fn planted_values_stand_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = Store::open(&Options::new(folder.path()), clock.clone()).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    let (mut draft, _) = drafter.clock_state();
    let planted = b"a value that nobody may find on the disk";
    let body = angbu_evidence::Body::new(&mut drafter.rng, [("planted", planted.to_vec())]).unwrap();
    draft.body_root = body.root();
    let salt = body.fields()[0].salt;
    let signing = store.keys().seeds(SigningKey::Log).into_iter().next().unwrap();
    append(&store, (draft, body));
    let find = |folder: &Path| {
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
            if holds(planted) || holds(&salt) || holds(&*signing) {
                found.push(path);
            }
        }
        found
    };
    assert_eq!(
        find(folder.path()),
        Vec::<std::path::PathBuf>::new(),
        "while it is open, with its write-ahead log"
    );
    drop(store);
    assert_eq!(find(folder.path()), Vec::<std::path::PathBuf>::new(), "and when it is closed");
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()).unwrap());
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("angbu.sqlite")).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change("INSERT INTO site_migrations VALUES (9999, 'later')");
    assert!(matches!(opened(folder.path()).map(drop), Err(StoreError::Newer { found: 9999, .. })));
    change(
        "DELETE FROM site_migrations WHERE number = 9999; UPDATE site_migrations SET name = 'other' WHERE number = 2",
    );
    assert!(matches!(opened(folder.path()).map(drop), Err(StoreError::OtherMigration { number: 2, .. })));
}

#[test]
fn no_row_names_a_key_that_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = Store::open(&Options::new(folder.path()), clock.clone()).unwrap();
    let mut drafter = Drafter::new(1, &clock);
    append(&store, drafter.clock_state());
    append(&store, drafter.note(customer(1)));
    let new = store.write_blocking(|tx| tx.rotate(Purpose::Bodies, UnixTime::MIN)).unwrap();
    append(&store, drafter.note(customer(1)));
    let connection = rusqlite::Connection::open(folder.path().join("angbu.sqlite")).unwrap();
    let named = || -> Vec<Vec<u8>> {
        let sql = "SELECT substr(sealed, 1, 4) FROM evidence_bodies GROUP BY 1 ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(named().len(), 2, "what is new names the new key already");
    let resealed = || crate::store::block_on(store.reseal(Purpose::Bodies, 100)).unwrap();
    while resealed() != Resealed::Done {}
    assert_eq!(named(), [new.id.to_be_bytes().to_vec()]);
}

#[test]
fn a_thousand_sealed_values_open_in_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path()).unwrap();
    let row = |number: u32| number.to_be_bytes();
    let sealed: Vec<_> = (0..1_000)
        .map(|number| store.keys().seal(Purpose::Records, "t", &row(number), &[7; 120]).unwrap())
        .collect();
    let fastest = (0..5).map(|_| {
        let begun = std::time::Instant::now();
        for (sealed, number) in sealed.iter().zip(0..) {
            store.keys().open_sealed("t", &row(number), sealed).unwrap();
        }
        begun.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < std::time::Duration::from_millis(10), "{fastest:?}");
}
