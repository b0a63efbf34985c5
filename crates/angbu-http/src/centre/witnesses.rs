//! The configured witnesses: who is asked to cosign which head, and what came of it.
//!
//! Heads move faster than witnesses answer, so everybody is asked about one head at a time, a *round*. The next round
//! begins when all have answered or one of them has taken too long; a report waits for a round that is new enough.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use angbu_evidence::note::{SignatureLine, VerifierKey};
use angbu_store::Published;
use angbu_units::{Monotonic, Nanos};

/// How long a round waits for its slowest witness.
const HOLD: Nanos = Nanos::from_secs(5);
/// How many rounds before the one under way are remembered.
const REMEMBERED: usize = 4;

/// The configured witnesses.
pub(crate) struct Witnesses {
    keys: Vec<VerifierKey>,
    required: bool,
    rounds: Mutex<Rounds>,
    /// Counted up whenever a round begins or somebody answers.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Rounds {
    current: Option<Round>,
    before: VecDeque<Round>,
}

/// One head, and who has cosigned it.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) published: Arc<Published>,
    begun: Monotonic,
    lines: BTreeMap<usize, SignatureLine>,
    failed: BTreeSet<usize>,
}

/// A head with the cosignatures that it bears.
#[derive(Debug, Clone)]
pub struct Witnessed {
    /// The head; its checkpoint bears the cosignatures.
    pub published: Published,
    /// The keys of who cosigned, in the order of their lines.
    pub witnesses: Vec<VerifierKey>,
    /// The names of those that have not.
    pub missing: Vec<String>,
}

impl Witnesses {
    pub(crate) fn new(keys: Vec<VerifierKey>, required: bool) -> Self {
        Self { keys, required, rounds: Mutex::default(), changed: watch::Sender::new(0) }
    }

    pub(crate) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    pub(crate) const fn are_required(&self) -> bool {
        self.required
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The round under way.
    pub(crate) fn current(&self) -> Option<Arc<Published>> {
        self.rounds().current.as_ref().map(|round| Arc::clone(&round.published))
    }

    /// Begins a round about the newest head, unless one is under way or there is nothing new.
    pub(crate) fn begin(&self, newest: &Arc<Published>, now: Monotonic) {
        if self.keys.is_empty() {
            return;
        }
        let mut rounds = self.rounds();
        if let Some(current) = &rounds.current {
            let over = current.is_settled(self.keys.len()) || now - current.begun > HOLD;
            if !over || current.published.checkpoint == newest.checkpoint {
                return;
            }
        }
        let new = Round {
            published: Arc::clone(newest),
            begun: now,
            lines: BTreeMap::new(),
            failed: BTreeSet::new(),
        };
        if let Some(before) = rounds.current.replace(new) {
            rounds.before.push_front(before);
            rounds.before.truncate(REMEMBERED);
        }
        drop(rounds);
        self.tell();
    }

    /// Somebody cosigned.
    pub(crate) fn cosigned(&self, witness: usize, published: &Published, line: SignatureLine) {
        self.answer(published, |round| {
            round.failed.remove(&witness);
            round.lines.insert(witness, line);
        });
    }

    /// Somebody did not.
    pub(crate) fn failed(&self, witness: usize, published: &Published) {
        self.answer(published, |round| {
            round.failed.insert(witness);
        });
    }

    fn answer(&self, published: &Published, change: impl FnOnce(&mut Round)) {
        let mut rounds = self.rounds();
        let Rounds { current, before } = &mut *rounds;
        let mut all = current.iter_mut().chain(before.iter_mut());
        if let Some(round) = all.find(|round| round.published.checkpoint == published.checkpoint) {
            change(round);
        }
        drop(rounds);
        self.tell();
    }

    /// The newest round of at least this size, and whether everybody has answered in it.
    pub(crate) fn round_from(&self, size: u64) -> Option<(Round, bool)> {
        let rounds = self.rounds();
        let round = rounds.current.as_ref().filter(|round| round.published.head.size >= size)?;
        Some((round.clone(), round.is_settled(self.keys.len())))
    }

    /// A head with the cosignatures that are known of it.
    pub(crate) fn with_lines(&self, published: &Published) -> Witnessed {
        let rounds = self.rounds();
        let mut all = rounds.current.iter().chain(&rounds.before);
        let round = all.find(|round| round.published.checkpoint == published.checkpoint);
        let lines = round.map(|round| round.lines.clone()).unwrap_or_default();
        drop(rounds);
        let mut published = published.clone();
        let (mut witnesses, mut missing) = (Vec::new(), Vec::new());
        for (place, key) in self.keys.iter().enumerate() {
            match lines.get(&place) {
                Some(line) => {
                    published.checkpoint.push_str(&line.encode());
                    witnesses.push(key.clone());
                }
                None => missing.push(key.name().to_owned()),
            }
        }
        Witnessed { published, witnesses, missing }
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round {
    fn is_settled(&self, witnesses: usize) -> bool {
        self.lines.len() + self.failed.len() >= witnesses
    }
}

#[cfg(test)]
mod tests {
    use angbu_evidence::merkle;
    use angbu_evidence::note::{Ed25519Signer, Signer as _};
    use angbu_evidence::sequence::Head;
    use angbu_units::UnixTime;

    use super::*;

    fn key(number: u8) -> VerifierKey {
        Ed25519Signer::new(&format!("witness-{number}"), &[number; 32]).unwrap().verifier_key().as_witness()
    }

    fn head(size: u64) -> Arc<Published> {
        let head = Head { size, root: merkle::empty_root(), epoch: 1 };
        let checkpoint = format!("log\n{size}\n\n— log AAAAAAAA\n");
        Arc::new(Published { head, checkpoint, signed_at: UnixTime::from_nanos(0) })
    }

    fn line(number: u8) -> SignatureLine {
        SignatureLine {
            name: key(number).name().to_owned(),
            key_id: key(number).key_id(),
            signature: vec![1],
        }
    }

    fn at(seconds: i64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_round_lasts_until_all_have_answered_or_one_is_late() {
        let witnesses = Witnesses::new(vec![key(1), key(2)], false);
        witnesses.begin(&head(5), at(0));
        witnesses.begin(&head(6), at(1));
        assert_eq!(witnesses.current(), Some(head(5)), "nobody has answered yet");
        witnesses.cosigned(0, &head(5), line(1));
        assert!(!witnesses.round_from(5).unwrap().1);
        witnesses.failed(1, &head(5));
        assert!(witnesses.round_from(5).unwrap().1);
        assert!(witnesses.round_from(6).is_none());
        witnesses.begin(&head(7), at(2));
        assert_eq!(witnesses.current(), Some(head(7)));
        witnesses.begin(&head(9), at(8));
        assert_eq!(witnesses.current(), Some(head(9)), "the slowest is not waited for without end");
        // Who answers late is still heard.
        witnesses.cosigned(1, &head(5), line(2));
        let witnessed = witnesses.with_lines(&head(5));
        assert_eq!(witnessed.witnesses, [key(1), key(2)]);
        assert_eq!(witnessed.published.checkpoint.lines().count(), 6);
        assert_eq!(witnesses.with_lines(&head(9)).missing, ["witness-1", "witness-2"]);
    }

    #[test]
    fn without_witnesses_there_are_no_rounds() {
        let witnesses = Witnesses::new(Vec::new(), false);
        witnesses.begin(&head(5), at(0));
        assert_eq!(witnesses.current(), None);
        assert_eq!(witnesses.with_lines(&head(5)).published, *head(5));
    }
}
