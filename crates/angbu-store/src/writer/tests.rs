use std::time::Duration;

use crate::sql::{Next, column, values};
use crate::support::{Drafter, TestClock, append, check_log, proven, sequencer};
use crate::{Options, Snapshot, Store, StoreError};

fn pragma(snapshot: &Snapshot<'_>, sql: &'static str) -> Result<u64, StoreError> {
    let mut value = 0;
    snapshot.sql.query(sql, &[], &mut |row| {
        value = column(row, 0)?;
        Ok(Next::Enough)
    })?;
    Ok(value)
}

#[test]
fn a_full_disk_is_said_and_nothing_is_acknowledged_that_is_not_there() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let store = Store::open(&Options::new(folder.path()), clock.clone()).unwrap();
    let (_sequencer, key) = sequencer(&store);
    let mut drafter = Drafter::new(1, &clock);
    let mut acknowledged = vec![append(&store, drafter.clock_state())];
    // As many pages as the database has now: SQLite then answers as it does on a full disk.
    store.write_blocking(|tx| pragma(tx, "PRAGMA max_page_count = 1")).unwrap();
    let mut refused = 0;
    while refused < 20 {
        let (draft, body) = drafter.any();
        let id = draft.id;
        match store.write_blocking(move |tx| tx.append(&draft, &body)) {
            Ok(()) => acknowledged.push(id),
            Err(StoreError::Unavailable { why, retry }) => {
                assert!(why.contains("full") && retry > Duration::ZERO, "{why}");
                refused += 1;
                drafter.clock_state = acknowledged[0];
            }
            Err(other) => panic!("{other}"),
        }
        assert!(acknowledged.len() < 10_000, "the disk never filled");
    }
    store.write_blocking(|tx| pragma(tx, "PRAGMA max_page_count = 1000000")).unwrap();
    for id in &acknowledged {
        proven(&store, *id, &key);
    }
    let entries = store.read_blocking(|s| check_log(s, &[])).unwrap();
    assert_eq!(entries.len(), acknowledged.len(), "what was refused is not there");
}

#[test]
fn the_write_ahead_log_does_not_grow_for_ever() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
    let store = Store::open(&Options::new(folder.path()), clock).unwrap();
    // 60 commits of 2 MiB each, of which the write-ahead log may keep what it has at its mark of 32 MiB and what
    // comes while that is moved.
    for n in 0..60u8 {
        let insert = "INSERT INTO evidence_manifests (entry_id, size, leaves) VALUES (?1, 0, ?2)";
        store.write_blocking(move |tx| tx.sql.execute(insert, values![[n; 16], vec![n; 2 << 20]])).unwrap();
    }
    let size = std::fs::metadata(folder.path().join("angbu.sqlite-wal")).unwrap().len();
    assert!(size < 90 << 20, "{size}");
}
