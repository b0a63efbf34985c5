//! The floor: plain inserts into a plain table, committed in groups as the store commits them, and nothing else.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use angbu_units::{Clock as _, EntryId};

use crate::{Figures, SystemClock, cpu_time, figures, schedule};

/// The bytes of a draft and of a sealed body as this benchmark makes them: what a plain insert must keep as well.
const BYTES: usize = 144 + 330;

/// The most that one group holds.
const TOGETHER: usize = 1_024;

/// Into SQLite.
pub(crate) fn sqlite(path: &Path, offered: u64, seconds: u64) -> Figures {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE plain (id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;",
        )
        .unwrap();
    let bytes = vec![0x5a_u8; BYTES];
    measure(offered, seconds, move |ids| {
        connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
        for id in ids {
            let mut insert = connection.prepare_cached("INSERT INTO plain VALUES (?1, ?2)").unwrap();
            insert.execute((id.as_slice(), bytes.as_slice())).unwrap();
        }
        connection.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
    })
}

/// Into PostgreSQL, a statement a group.
pub(crate) fn postgres(address: &str, offered: u64, seconds: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, insert) = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("CREATE TABLE plain (id bytea PRIMARY KEY, bytes bytea NOT NULL)")
            .await
            .unwrap();
        let insert = "INSERT INTO plain SELECT * FROM unnest($1::bytea[], $2::bytea[])";
        let insert = client.prepare(insert).await.unwrap();
        (client, insert)
    });
    let bytes = vec![0x5a_u8; BYTES];
    measure(offered, seconds, move |ids| {
        let ids: Vec<&[u8]> = ids.iter().map(<[u8; 16]>::as_slice).collect();
        let values = vec![bytes.as_slice(); ids.len()];
        runtime.block_on(client.execute(&insert, &[&ids, &values])).unwrap();
    })
}

/// Offers inserts at a steady rate to one thread, which commits them in groups.
fn measure(offered: u64, seconds: u64, commit: impl FnMut(&[[u8; 16]]) + Send + 'static) -> Figures {
    let (submit, submitted) = channel();
    let (began, cpu) = (Instant::now(), cpu_time());
    let writer = std::thread::spawn(move || in_groups(&submitted, commit));
    let clock = SystemClock(Instant::now());
    for due in schedule(offered, seconds) {
        let id = EntryId::new(clock.read().wall, &mut rand::rng());
        submit.send((due, id.to_bytes())).unwrap();
    }
    drop(submit);
    let latencies = writer.join().unwrap();
    figures(latencies, began.elapsed(), cpu_time() - cpu)
}

/// The store's own batching: a group takes what waits, and waits 4 ms for more if the one before had as much as four.
fn in_groups(
    submitted: &Receiver<(Instant, [u8; 16])>,
    mut commit: impl FnMut(&[[u8; 16]]),
) -> Vec<Duration> {
    let (mut latencies, mut had_company) = (Vec::new(), false);
    while let Ok(first) = submitted.recv() {
        if had_company {
            std::thread::sleep(Duration::from_millis(4));
        }
        let group: Vec<_> = std::iter::once(first).chain(submitted.try_iter()).take(TOGETHER).collect();
        let ids: Vec<_> = group.iter().map(|(_, id)| *id).collect();
        commit(&ids);
        had_company = group.len() >= 4;
        latencies.extend(group.iter().map(|(due, _)| due.elapsed()));
    }
    latencies
}
