//! The sequencer's pure core: it gives drafts their places in the log.

use std::collections::{BTreeMap, VecDeque};

use angbu_units::{CustomerId, EntryId};

use crate::manifest::{Counter, Manifest};
use crate::tile::{Edge, Growth};
use crate::{Checkpoint, Draft, Entry, Hash, Kind, merkle};

/// How many clock states the sequencer remembers by itself; older ones it is told again.
pub const KEPT_CLOCK_STATES: usize = 64;

/// The log's head as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries the log has.
    pub size: u64,
    /// The tree's root over them.
    pub root: Hash,
    /// The fence: whoever takes the lease over raises it, and the head moves only under one's own.
    pub epoch: u64,
}

impl Head {
    /// The checkpoint that says so, under the log's name.
    pub fn checkpoint(&self, origin: &str) -> Checkpoint {
        Checkpoint { origin: origin.to_owned(), size: self.size, root: self.root }
    }
}

/// Why what the store holds is no log that can go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The tiles are of another size than the head.
    #[error("the head has {head} entries but the tiles {tiles}; the store is damaged, restore it")]
    OtherSize {
        /// The head's size.
        head: u64,
        /// The tiles' size.
        tiles: u64,
    },
    /// The tiles have another root than the head.
    #[error("the tiles lead to the root {tiles} but the head says {head}; the store is damaged, restore it")]
    OtherRoot {
        /// The head's root.
        head: Hash,
        /// The tiles' root.
        tiles: Hash,
    },
    /// The customers' counters do not add up to the log's size.
    #[error(
        "the head has {head} entries but the customers' counters add up to {counted}; the store is damaged, restore it"
    )]
    OtherCount {
        /// The head's size.
        head: u64,
        /// The counters' sum.
        counted: u64,
    },
}

/// Why drafts cannot be given places. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A draft rests on a clock state that the sequencer does not know: look its index up in the log,
    /// [`Sequencer::learn`] it, and try again.
    #[error("entry {entry} rests on the clock state {clock_state}, which is not in the log before it")]
    UnknownClockState {
        /// The draft's id.
        entry: EntryId,
        /// The clock state that it names.
        clock_state: EntryId,
    },
    /// A draft's error bound is below zero.
    #[error("entry {0} has an error bound below zero")]
    NegativeBound(EntryId),
}

/// What one round has made of the log: store all of it in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The log index of the first entry.
    pub first: u64,
    /// The entries' ids and bytes, in the log's order.
    pub entries: Vec<(EntryId, Vec<u8>)>,
    /// What became of the tree.
    pub growth: Growth,
    /// The new head.
    pub head: Head,
    /// The counters that changed.
    pub counters: Vec<(CustomerId, Counter)>,
    /// The clock states among the entries and their log indexes.
    pub clock_states: Vec<(EntryId, u64)>,
}

/// The state from which drafts are given places: the tree's right edge and the customers' counters.
/// When storing a batch fails, throw the sequencer away and resume another from the store.
#[derive(Debug, Clone)]
pub struct Sequencer {
    head: Head,
    edge: Edge,
    counters: BTreeMap<CustomerId, Counter>,
    // The newest at the back.
    clock_states: VecDeque<(EntryId, u64)>,
}

impl Sequencer {
    /// Goes on from what the store holds. Of the clock states, the newest suffice, the newest last.
    ///
    /// # Errors
    /// [`ResumeError`] when head, tiles and counters do not belong together.
    pub fn resume(
        head: Head,
        edge: Edge,
        counters: BTreeMap<CustomerId, Counter>,
        clock_states: impl IntoIterator<Item = (EntryId, u64)>,
    ) -> Result<Self, ResumeError> {
        if edge.size() != head.size {
            return Err(ResumeError::OtherSize { head: head.size, tiles: edge.size() });
        }
        if edge.root() != head.root {
            return Err(ResumeError::OtherRoot { head: head.root, tiles: edge.root() });
        }
        let counted = counters.values().fold(0u64, |sum, counter| sum.saturating_add(counter.count));
        if counted != head.size {
            return Err(ResumeError::OtherCount { head: head.size, counted });
        }
        let mut sequencer = Self { head, edge, counters, clock_states: VecDeque::new() };
        for (id, index) in clock_states {
            sequencer.learn(id, index);
        }
        Ok(sequencer)
    }

    /// A sequencer for a log without entries.
    pub fn empty(epoch: u64) -> Self {
        let head = Head { size: 0, root: merkle::empty_root(), epoch };
        Self { head, edge: Edge::empty(), counters: BTreeMap::new(), clock_states: VecDeque::new() }
    }

    /// The log's head.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// One customer's counter.
    pub fn counter(&self, customer: &CustomerId) -> Option<Counter> {
        self.counters.get(customer).copied()
    }

    /// The manifest of the log as it stands.
    pub fn manifest(&self) -> Manifest {
        Manifest::new(self.head.size, &self.counters)
    }

    /// Remembers the log index of a clock state, and forgets the one remembered longest if there are many.
    pub fn learn(&mut self, clock_state: EntryId, index: u64) {
        if self.clock_states.len() >= KEPT_CLOCK_STATES {
            self.clock_states.pop_front();
        }
        self.clock_states.push_back((clock_state, index));
    }

    /// Gives the drafts the next places in the log, in their order.
    ///
    /// # Errors
    /// [`SequenceError`]; then nothing has changed.
    pub fn integrate(&mut self, drafts: &[Draft]) -> Result<Batch, SequenceError> {
        let first = self.head.size;
        let (mut entries, mut leaves) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        let (mut counters, mut clock_states) = (BTreeMap::new(), Vec::new());
        for (draft, index) in drafts.iter().zip(first..) {
            if draft.instant.error_bound.count() < 0 {
                return Err(SequenceError::NegativeBound(draft.id));
            }
            if draft.kind == Kind::CLOCK_STATE {
                clock_states.push((draft.id, index));
            }
            let clock_state = self.resolve(draft, &clock_states)?;
            let before = counters.get(&draft.customer).or_else(|| self.counters.get(&draft.customer));
            let counter = Counter::counted(before.copied(), index);
            counters.insert(draft.customer, counter);
            let text = place(draft, clock_state, counter.count).encode().into_bytes();
            leaves.push(merkle::leaf_hash(&text));
            entries.push((draft.id, text));
        }
        let growth = self.edge.append(&leaves);
        self.head = Head { size: growth.size, root: growth.root, epoch: self.head.epoch };
        self.counters.extend(&counters);
        for (id, index) in &clock_states {
            self.learn(*id, *index);
        }
        let counters = counters.into_iter().collect();
        Ok(Batch { first, entries, growth, head: self.head, counters, clock_states })
    }

    fn resolve(&self, draft: &Draft, newest: &[(EntryId, u64)]) -> Result<Option<u64>, SequenceError> {
        // A clock state rests on itself, whatever its draft names.
        let wanted = if draft.kind == Kind::CLOCK_STATE { draft.id } else { draft.instant.clock_state };
        if wanted == Draft::NO_CLOCK_STATE {
            return Ok(None);
        }
        let mut known = newest.iter().rev().chain(self.clock_states.iter().rev());
        let unknown = SequenceError::UnknownClockState { entry: draft.id, clock_state: wanted };
        known.find(|(id, _)| *id == wanted).map(|(_, index)| Some(*index)).ok_or(unknown)
    }
}

fn place(draft: &Draft, clock_state: Option<u64>, number: u64) -> Entry {
    Entry {
        id: draft.id,
        kind: draft.kind.clone(),
        time: draft.instant.time,
        error_bound: draft.instant.error_bound,
        verdict: draft.instant.verdict,
        clock_state,
        customer: draft.customer,
        number,
        body_root: draft.body_root,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use angbu_units::{ClockVerdict, Nanos, ProvenInstant, UnixTime};
    use proptest::prelude::*;

    use super::*;

    fn draft(number: u8, customer: u8, kind: Kind, clock_state: EntryId) -> Draft {
        let mut id = [0; 16];
        id[15] = number;
        Draft {
            id: EntryId::from_bytes(id),
            kind,
            instant: ProvenInstant {
                time: UnixTime::from_nanos(1_000),
                error_bound: Nanos::from_millis(1),
                verdict: ClockVerdict::Declared,
                clock_state,
            },
            customer: CustomerId::from_bytes([customer; 16]),
            body_root: merkle::leaf_hash(&[number]),
        }
    }

    /// What a store would hold, and every promise that the sequencer makes of it, checked after every batch.
    #[derive(Default)]
    struct Model {
        entries: Vec<Vec<u8>>,
        tiles: BTreeMap<(u8, u64), Vec<u8>>,
        counters: BTreeMap<CustomerId, Counter>,
        clock_states: Vec<(EntryId, u64)>,
    }

    impl Model {
        fn store(&mut self, batch: Batch) {
            assert_eq!(batch.first, u64::try_from(self.entries.len()).unwrap());
            self.entries.extend(batch.entries.into_iter().map(|(_, bytes)| bytes));
            self.counters.extend(batch.counters);
            self.clock_states.extend(batch.clock_states);
            for tile in batch.growth.tiles {
                self.tiles.insert((tile.level, tile.index), tile.hashes);
            }
            let leaves: Vec<Hash> = self.entries.iter().map(|entry| merkle::leaf_hash(entry)).collect();
            assert_eq!(batch.head.root, merkle::root(&leaves));
            assert_eq!(batch.head.size, u64::try_from(leaves.len()).unwrap());
            let mut counted = BTreeMap::new();
            for (entry, index) in self.entries.iter().zip(0..) {
                let entry = Entry::decode(entry).unwrap();
                let counter = Counter::counted(counted.get(&entry.customer).copied(), index);
                assert_eq!(entry.number, counter.count);
                counted.insert(entry.customer, counter);
                let clock_state = entry.clock_state.unwrap();
                let shown = Entry::decode(&self.entries[usize::try_from(clock_state).unwrap()]).unwrap();
                assert!(shown.kind == Kind::CLOCK_STATE && clock_state <= index);
            }
            assert_eq!(counted, self.counters);
        }

        fn resume(&self, head: Head) -> Sequencer {
            let tile = |level, index| Ok::<_, Infallible>(self.tiles[&(level, index)].clone());
            let edge = Edge::load(head.size, tile).unwrap();
            Sequencer::resume(head, edge, self.counters.clone(), self.clock_states.iter().copied()).unwrap()
        }
    }

    #[test]
    fn what_does_not_belong_together_does_not_go_on() {
        let mut sequencer = Sequencer::empty(1);
        sequencer.integrate(&[draft(1, 0, Kind::CLOCK_STATE, Draft::NO_CLOCK_STATE)]).unwrap();
        let Sequencer { head, edge, counters, .. } = sequencer;
        let resume = |head, edge: &Edge, counters: &BTreeMap<_, _>| {
            Sequencer::resume(head, edge.clone(), counters.clone(), []).map(|sequencer| sequencer.head())
        };
        assert_eq!(resume(head, &edge, &counters), Ok(head));
        let longer = Head { size: 2, ..head };
        assert_eq!(resume(longer, &edge, &counters), Err(ResumeError::OtherSize { head: 2, tiles: 1 }));
        let other = Head { root: merkle::empty_root(), ..head };
        assert!(matches!(resume(other, &edge, &counters), Err(ResumeError::OtherRoot { .. })));
        let uncounted = Err(ResumeError::OtherCount { head: 1, counted: 0 });
        assert_eq!(resume(head, &edge, &BTreeMap::new()), uncounted);
    }

    #[test]
    fn a_refused_batch_changes_nothing() {
        let mut sequencer = Sequencer::empty(1);
        let clock = draft(1, 0, Kind::CLOCK_STATE, Draft::NO_CLOCK_STATE);
        let good = draft(2, 7, Kind::NOTE, clock.id);
        let before = sequencer.clone();
        let unknown = SequenceError::UnknownClockState { entry: good.id, clock_state: clock.id };
        // A clock state that comes later in the batch is none yet.
        assert_eq!(sequencer.integrate(&[good.clone(), clock.clone()]), Err(unknown));
        let mut negative = good.clone();
        negative.instant.error_bound = Nanos::new(-1);
        let refused = sequencer.integrate(&[clock.clone(), negative]);
        assert_eq!(refused, Err(SequenceError::NegativeBound(good.id)));
        assert_eq!((sequencer.head(), sequencer.manifest()), (before.head(), before.manifest()));
        sequencer.learn(clock.id, 0);
        assert!(sequencer.integrate(&[clock, good]).is_ok());
        let first = draft(3, 0, Kind::NOTE, Draft::NO_CLOCK_STATE);
        let batch = sequencer.integrate(&[first]).unwrap();
        assert_eq!(Entry::decode(&batch.entries[0].1).unwrap().clock_state, None);
    }

    #[test]
    fn old_clock_states_are_forgotten_and_learnt_again() {
        let mut sequencer = Sequencer::empty(1);
        let states = (1..=65).map(|number| draft(number, 0, Kind::CLOCK_STATE, Draft::NO_CLOCK_STATE));
        let states: Vec<Draft> = states.collect();
        sequencer.integrate(&states).unwrap();
        let late = draft(100, 0, Kind::NOTE, states[0].id);
        assert!(sequencer.integrate(std::slice::from_ref(&late)).is_err());
        sequencer.learn(states[0].id, 0);
        assert!(sequencer.integrate(&[late]).is_ok());
    }

    proptest! {
        #[test]
        fn the_log_keeps_every_promise(batches in prop::collection::vec((prop::collection::vec(0u8..4, 0..150), any::<bool>()), 1..5)) {
            let (mut model, mut sequencer) = (Model::default(), Sequencer::empty(1));
            let clock = draft(1, 0, Kind::CLOCK_STATE, Draft::NO_CLOCK_STATE);
            model.store(sequencer.integrate(std::slice::from_ref(&clock)).unwrap());
            for (customers, crash) in batches {
                if crash {
                    sequencer = model.resume(sequencer.head());
                }
                let drafts: Vec<Draft> =
                    customers.iter().map(|customer| draft(2, *customer, Kind::NOTE, clock.id)).collect();
                let batch = sequencer.integrate(&drafts).unwrap();
                prop_assert_eq!(batch.head, sequencer.head());
                model.store(batch);
                prop_assert_eq!(sequencer.manifest(), Manifest::new(sequencer.head().size, &model.counters));
            }
        }
    }
}
