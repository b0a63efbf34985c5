//! One batch: what is kept in memory of the log to make it, and everything that is stored with it.

use std::collections::BTreeMap;

use angbu_evidence::sequence::{self, Head, KEPT_CLOCK_STATES, SequenceError};
use angbu_evidence::tile::Edge;
use angbu_evidence::{Counter, Draft, Kind};
use angbu_units::{CustomerId, EntryId, UnixTime};

use super::Failure;
use super::lease::HeadRow;
use crate::evidence::hot::Nodes;
use crate::evidence::{Bundles, Run, bundle, decode_drafts, runs};
use crate::sql::{Next, ToValue, Value, column, values};
use crate::{Snapshot, Store, StoreError, Tx};

/// What is kept in memory of the log, and thrown away after an error.
pub(super) struct State {
    pub(super) core: sequence::Sequencer,
    pub(super) nodes: Nodes,
    /// The largest entry id of all batches.
    reach: EntryId,
    /// The latest instant of each customer's entries, as far as it was needed.
    reaches: BTreeMap<CustomerId, UnixTime>,
}

/// A batch and everything that is stored with it.
pub(super) struct Prepared {
    old: Head,
    pub(super) batch: sequence::Batch,
    bundles: Vec<Bundle>,
    runs: Vec<(CustomerId, Run)>,
    kinds: BTreeMap<(CustomerId, Kind), Tally>,
    drained: Vec<Stretch>,
}

/// How many entries of a batch stand together in one row: whoever wants one of them reads all of them.
const TOGETHER: usize = 256;

/// Entries of a batch that stand together, with the smallest and the largest of their ids, and the largest of all before
/// them as well.
struct Bundle {
    first: u64,
    count: u64,
    min: EntryId,
    max: EntryId,
    reach: EntryId,
    bytes: Vec<u8>,
}

/// What one batch brings of one kind of a customer's entries.
#[derive(Default)]
struct Tally {
    count: u64,
    last: u64,
    last_at: UnixTime,
}

/// Rows of the outbox with neighbouring numbers, all of which were read: the first number and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) count: u64,
}

/// What waits in the outbox.
pub(super) struct Waiting {
    pub(super) drafts: Vec<Draft>,
    pub(super) rows: Vec<Stretch>,
}

impl State {
    pub(super) fn load(snapshot: &Snapshot<'_>) -> Result<Self, StoreError> {
        let head = snapshot.log_head()?;
        let damaged = |why: String| StoreError::Corrupt { what: why };
        let edge = Edge::load(head.size, |level, index| {
            let missing = || StoreError::corrupt("it is missing");
            snapshot.stored_tile(level, index)?.ok_or_else(missing)
        })
        .map_err(|error| damaged(error.to_string()))?;
        let mut clock_states = snapshot.sql.all(
            "SELECT entry_id, idx FROM evidence_clock_states WHERE idx IS NOT NULL ORDER BY idx DESC LIMIT ?1",
            values![u64::try_from(KEPT_CLOCK_STATES).unwrap_or(u64::MAX)],
            |row| Ok((column::<EntryId>(row, 0)?, column::<u64>(row, 1)?)),
        )?;
        clock_states.reverse();
        let core = sequence::Sequencer::resume(head, edge, snapshot.counters()?, clock_states)
            .map_err(|error| damaged(error.to_string()))?;
        let reach = snapshot.sql.first(
            "SELECT reach FROM evidence_batches ORDER BY first DESC LIMIT 1",
            values![],
            |row| column::<EntryId>(row, 0),
        )?;
        Ok(Self {
            core,
            nodes: load_nodes(snapshot, head.size, head.size)?,
            reach: reach.unwrap_or(EntryId::from_bytes([0; 16])),
            reaches: BTreeMap::new(),
        })
    }

    /// Gives drafts their places in memory.
    pub(super) fn prepare(&mut self, store: &Store, waiting: Waiting) -> Result<Prepared, StoreError> {
        let Waiting { drafts, rows: drained } = waiting;
        let old = self.core.head();
        self.learn_reaches(store, &drafts)?;
        let batch = self.integrate(store, &drafts)?;
        let bundles = self.bundles(&batch)?;
        let runs = self.runs(&drafts, &batch);
        let kinds = tallies(&drafts, batch.first);
        Ok(Prepared { old, bundles, runs, kinds, drained, batch })
    }

    fn bundles(&mut self, batch: &sequence::Batch) -> Result<Vec<Bundle>, StoreError> {
        let firsts = (batch.first..).step_by(TOGETHER);
        let bundle = |(first, entries): (u64, &[(EntryId, Vec<u8>)])| {
            let ids = || entries.iter().map(|(id, _)| *id);
            let (min, max) = (ids().min().unwrap_or(self.reach), ids().max().unwrap_or(self.reach));
            self.reach = self.reach.max(max);
            let bytes = bundle::encode(entries.iter().map(|(_, entry)| entry.as_slice()))?;
            let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            Ok(Bundle { first, count, min, max, reach: self.reach, bytes })
        };
        firsts.zip(batch.entries.chunks(TOGETHER)).map(bundle).collect()
    }

    fn integrate(&mut self, store: &Store, drafts: &[Draft]) -> Result<sequence::Batch, StoreError> {
        // Each turn but the last teaches it one clock state more, as many as it keeps. Entries that wait together were
        // stamped within moments of one another and never rest on so many.
        for _ in 0..=KEPT_CLOCK_STATES {
            match self.core.integrate(drafts) {
                Ok(batch) => return Ok(batch),
                Err(SequenceError::UnknownClockState { clock_state, .. }) => {
                    let index =
                        store.read_blocking(move |snapshot| snapshot.clock_state_index(clock_state))?;
                    let unknown =
                        || StoreError::corrupt(format!("the clock state {clock_state} is not in the log"));
                    self.core.learn(clock_state, index.ok_or_else(unknown)?);
                }
                Err(error @ SequenceError::NegativeBound(_)) => {
                    return Err(StoreError::corrupt(error.to_string()));
                }
            }
        }
        Err(StoreError::corrupt(
            "the entries of one batch rest on more clock states than the sequencer keeps",
        ))
    }

    /// Reads the latest instants of customers who were not met since the last resume.
    fn learn_reaches(&mut self, store: &Store, drafts: &[Draft]) -> Result<(), StoreError> {
        let mut unknown: Vec<CustomerId> = drafts
            .iter()
            .map(|draft| draft.customer)
            .filter(|customer| self.core.counter(customer).is_some() && !self.reaches.contains_key(customer))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let reaches = store.read_blocking(move |snapshot| {
            let mut reaches = Vec::new();
            for customer in unknown {
                let run = runs::at_or_before(snapshot.sql, customer, u64::MAX)?;
                reaches.extend(run.map(|run| (customer, run.reach)));
            }
            Ok::<_, StoreError>(reaches)
        })?;
        self.reaches.extend(reaches);
        Ok(())
    }

    /// What a batch brings of each customer.
    fn runs(&mut self, drafts: &[Draft], batch: &sequence::Batch) -> Vec<(CustomerId, Run)> {
        let mut indexes: BTreeMap<CustomerId, Vec<u64>> = BTreeMap::new();
        for (draft, index) in drafts.iter().zip(batch.first..) {
            indexes.entry(draft.customer).or_default().push(index);
            let reach = self.reaches.entry(draft.customer).or_insert(UnixTime::MIN);
            *reach = draft.instant.time.max(*reach);
        }
        let counts: BTreeMap<_, _> =
            batch.counters.iter().map(|(customer, counter)| (*customer, counter.count)).collect();
        let run = |(customer, indexes): (CustomerId, Vec<u64>)| {
            let count = counts.get(&customer).copied().unwrap_or_default();
            let number = count + 1 - u64::try_from(indexes.len()).unwrap_or(u64::MAX);
            let reach = self.reaches.get(&customer).copied().unwrap_or(UnixTime::MIN);
            (customer, Run::new(number, &indexes, reach))
        };
        indexes.into_iter().map(run).collect()
    }
}

impl Prepared {
    pub(super) fn store(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let Self { old, batch, .. } = self;
        let moved = tx.sql.execute(
            "UPDATE evidence_head SET size = ?1, root = ?2, beat = beat + 1
             WHERE one = 1 AND size = ?3 AND epoch = ?4 AND doubt IS NULL",
            values![batch.head.size, batch.head.root, old.size, old.epoch],
        )?;
        if moved == 0 {
            let row = HeadRow::read(tx)?;
            let is_mine = row.is_some_and(|row| row.head.epoch == old.epoch);
            return Err(if is_mine {
                StoreError::Conflict { what: "the log's head" }.into()
            } else {
                Failure::Fenced
            });
        }
        execute_all(
            tx,
            "INSERT INTO evidence_batches (first, count, min_id, max_id, reach, bundle)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            self.bundles.iter().map(|bundle| {
                let Bundle { first, count, min, max, reach, bytes } = bundle;
                [
                    first.to_value(),
                    count.to_value(),
                    min.to_value(),
                    max.to_value(),
                    reach.to_value(),
                    bytes.to_value(),
                ]
            }),
        )?;
        execute_all(
            tx,
            "INSERT INTO evidence_tiles (level, idx, hashes) VALUES (?1, ?2, ?3)
             ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
            batch
                .growth
                .tiles
                .iter()
                .map(|tile| [tile.level.to_value(), tile.index.to_value(), tile.hashes.to_value()]),
        )?;
        self.store_customers(tx)?;
        for (id, index) in &batch.clock_states {
            let missed = StoreError::corrupt(format!("the clock state {id} was never noted"));
            tx.sql.execute_one(
                "UPDATE evidence_clock_states SET idx = ?2 WHERE entry_id = ?1",
                values![id, index],
                missed,
            )?;
        }
        self.clear_outbox(tx)
    }

    /// What the batch brings of each customer.
    fn store_customers(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        execute_all(
            tx,
            "INSERT INTO evidence_counters (customer_id, count, first, last) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (customer_id) DO UPDATE SET count = excluded.count, last = excluded.last",
            self.batch.counters.iter().map(|(customer, counter)| {
                let Counter { count, first, last } = counter;
                [customer.to_value(), count.to_value(), first.to_value(), last.to_value()]
            }),
        )?;
        execute_all(
            tx,
            "INSERT INTO evidence_runs (customer_id, number, count, first, reach, stretches)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            self.runs.iter().map(|(customer, run)| {
                let Run { number, count, first, reach, stretches } = run;
                [
                    customer.to_value(),
                    number.to_value(),
                    count.to_value(),
                    first.to_value(),
                    reach.to_value(),
                    stretches.to_value(),
                ]
            }),
        )?;
        execute_all(
            tx,
            "INSERT INTO evidence_kinds (customer_id, kind, count, last, last_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (customer_id, kind) DO UPDATE
             SET count = evidence_kinds.count + excluded.count, last = excluded.last, last_at = excluded.last_at",
            self.kinds.iter().map(|((customer, kind), Tally { count, last, last_at })| {
                let kind = kind.as_str().to_value();
                [customer.to_value(), kind, count.to_value(), last.to_value(), last_at.to_value()]
            }),
        )
    }

    /// Takes exactly the rows out of the outbox that were read: others can have come in between, since the numbers of
    /// transactions that run side by side are not in the order of their commits.
    fn clear_outbox(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        for Stretch { first, count } in &self.drained {
            let deleted = tx.sql.execute(
                "DELETE FROM evidence_outbox WHERE seq >= ?1 AND seq < ?2",
                values![first, first + count],
            )?;
            if deleted != *count {
                // Somebody has given them places already.
                return Err(StoreError::Conflict { what: "the log's outbox" }.into());
            }
        }
        Ok(())
    }
}

/// Runs a statement for each of these rows.
fn execute_all<'a, const N: usize>(
    tx: &Tx<'_>,
    sql: &'static str,
    rows: impl Iterator<Item = [Value<'a>; N]>,
) -> Result<(), StoreError> {
    let rows: Vec<[Value<'_>; N]> = rows.collect();
    let rows: Vec<&[Value<'_>]> = rows.iter().map(<[_; N]>::as_slice).collect();
    tx.sql.execute_many(sql, &rows).map(drop)
}

fn tallies(drafts: &[Draft], first: u64) -> BTreeMap<(CustomerId, Kind), Tally> {
    let mut tallies = BTreeMap::<_, Tally>::new();
    for (draft, index) in drafts.iter().zip(first..) {
        let tally = tallies.entry((draft.customer, draft.kind.clone())).or_default();
        *tally = Tally { count: tally.count + 1, last: index, last_at: draft.instant.time };
    }
    tallies
}

/// What waits, up to the limit. The row that reaches the limit is still read whole, so a batch can have as many entries
/// more as one commit brings.
pub(super) fn outbox(snapshot: &Snapshot<'_>, limit: usize) -> Result<Waiting, StoreError> {
    let (mut drafts, mut rows) = (Vec::new(), Vec::<Stretch>::new());
    snapshot.sql.scan("SELECT seq, drafts FROM evidence_outbox ORDER BY seq", values![], &mut |row| {
        let seq: u64 = column(row, 0)?;
        drafts.append(&mut decode_drafts(&column::<Vec<u8>>(row, 1)?)?);
        match rows.last_mut() {
            Some(last) if last.first + last.count == seq => last.count += 1,
            _ => rows.push(Stretch { first: seq, count: 1 }),
        }
        Ok(if drafts.len() >= limit { Next::Enough } else { Next::More })
    })?;
    Ok(Waiting { drafts, rows })
}

/// The entries `first..size`; only ever as many as a few batches bring.
pub(super) fn entries_between(
    snapshot: &Snapshot<'_>,
    first: u64,
    size: u64,
) -> Result<Vec<(EntryId, Vec<u8>)>, StoreError> {
    let (mut bundles, mut entries) = (Bundles::new(snapshot.sql), Vec::new());
    for index in first..size {
        let missing = || StoreError::corrupt(format!("entry {index} is missing"));
        let entry = bundles.entry(index)?.ok_or_else(missing)?;
        entries.push((bundle::id_of(&entry)?, entry));
    }
    Ok(entries)
}

/// The tiles that prove the entries `first..size`, and the tree's right edge.
pub(super) fn load_nodes(snapshot: &Snapshot<'_>, first: u64, size: u64) -> Result<Nodes, StoreError> {
    let mut nodes = Nodes::default();
    for level in 0..=angbu_evidence::tile::TOP_LEVEL {
        let spanned = 8 * u32::from(level);
        let (begin, count) = (first >> spanned, size >> spanned);
        for index in begin / 256..count.div_ceil(256) {
            let missing = || StoreError::corrupt(format!("tile {index} of level {level} is missing"));
            nodes.insert(level, index, &snapshot.stored_tile(level, index)?.ok_or_else(missing)?)?;
        }
    }
    Ok(nodes)
}
