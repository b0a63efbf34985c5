//! The centre's log as this agent sees it: it checks that the log only grows, and cosigns what it has checked, so that
//! a centre that shows two histories is caught by its own customers.
//!
//! A checkpoint is on the disk before it is cosigned. Whatever the centre shows, the records stay in the spool until
//! the centre has taken them.

use std::io;

use angbu_client::wire::LogGrowth;
use angbu_evidence::cosign::cosign;
use angbu_evidence::fork::ForkProof;
use angbu_evidence::note::{Ed25519Signer, KeyType, Note, VerifierKey};
use angbu_evidence::witness::Seen;
use angbu_evidence::{Hash, merkle};
use angbu_time::record::LONGEST_CHECKPOINT;
use angbu_units::{AgentId, UnixTime};
use ed25519_dalek::SigningKey;

use crate::state::{Enrolment, State, StateError, failed};
use crate::{Event, files};

/// The most keys of one log that are held to be its own at the same time.
const MOST_KEYS: usize = 4;
/// The most that a file of ours is.
const LONGEST_FILE: u64 = 256 * 1_024;
/// The first line of a file with two checkpoints that do not prove anything by themselves.
const UNPROVEN: &str = "angbu/1 unproven-fork\n";
/// The first line of a file that does.
const PROVEN: &str = "angbu/1 fork\n";

/// What the agent knows of the log.
pub(crate) struct LogWatch {
    keys: Vec<VerifierKey>,
    seen: Option<Seen>,
    signer: Option<Ed25519Signer>,
    /// Whether a fork was told in this run, and whether as proven.
    told: Option<bool>,
}

/// Why a checkpoint is not taken over.
enum Wrong {
    /// It cannot be checked.
    NotChecked(String),
    /// It contradicts what was seen: in words, and the proof if there is one.
    Fork(String, Option<Box<ForkProof>>),
}

impl LogWatch {
    /// Reads what the last run had seen.
    pub(crate) fn open(
        state: &State,
        enrolment: &Enrolment,
        agent: AgentId,
        key: &SigningKey,
    ) -> Result<Self, StateError> {
        let keys: Vec<VerifierKey> = enrolment.log_keys.iter().filter_map(|key| key.parse().ok()).collect();
        let signer = keys.first().and_then(|log| signer(log, agent, key));
        let path = state.checkpoint();
        let seen = match files::read_secret(&path, LONGEST_FILE) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| StateError::Damaged(path.clone()))?;
                Some(Seen::read(&text, &keys).map_err(|_| StateError::Damaged(path))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", &path)(error)),
        };
        Ok(Self { keys, seen, signer, told: None })
    }

    /// The newest checkpoint that was checked, with this agent's cosignature at this time; none before the first.
    pub(crate) fn cosigned(&self, at: UnixTime) -> Option<String> {
        let (seen, signer) = (self.seen.as_ref()?, self.signer.as_ref()?);
        let text = Note::parse(&seen.note).ok()?.text;
        let seconds = u64::try_from(at.nanos() / 1_000_000_000).ok()?;
        let line = cosign(&text, seconds, signer).ok()?;
        Some(format!("{}{}", seen.note, line.encode())).filter(|note| note.len() <= LONGEST_CHECKPOINT)
    }

    /// Checks what the centre shows of its log, and takes it over if the log has only grown.
    pub(crate) fn learn(
        &mut self,
        state: &State,
        enrolment: &mut Enrolment,
        growth: &LogGrowth,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let keys = self.followed(growth);
        match self.check(&keys, growth) {
            Ok(new) => {
                self.told = None;
                let mut kept = Ok(());
                if keys != self.keys {
                    kept = keep_keys(state, enrolment, &keys);
                    events.push(Event::LogKey { keys: enrolment.log_keys.clone() });
                }
                match kept.and_then(|()| self.keep(state, &keys, new)) {
                    Ok(Some(size)) => events.push(Event::LogChecked { size }),
                    Ok(None) => {}
                    Err(error) => events.push(Event::NotKept { reason: error.to_string() }),
                }
            }
            Err(Wrong::NotChecked(reason)) => events.push(Event::LogNotChecked { reason }),
            Err(Wrong::Fork(reason, proof)) => {
                events.extend(self.tell_fork(state, growth, reason, proof.as_deref()));
            }
        }
        events
    }

    /// The keys that are the log's own: those known, and those that have signed one checkpoint beside a known one.
    fn followed(&self, growth: &LogGrowth) -> Vec<VerifierKey> {
        let Ok(note) = Note::parse(&growth.checkpoint) else { return self.keys.clone() };
        if note.verify(&self.keys).is_err() {
            return self.keys.clone();
        }
        let signed = |key: &VerifierKey| note.verify(std::slice::from_ref(key)).is_ok();
        let told = growth.keys.iter().take(MOST_KEYS).filter_map(|key| key.parse::<VerifierKey>().ok());
        let new = told.filter(|key| key.kind() == KeyType::Log && !self.keys.contains(key) && signed(key));
        let new: Vec<VerifierKey> =
            new.filter(|key| self.keys.iter().all(|known| known.name() == key.name())).collect();
        if new.is_empty() {
            return self.keys.clone();
        }
        // The newest first; one that no longer signs has been retired.
        let old = self.keys.iter().filter(|key| signed(key)).cloned();
        new.into_iter().chain(old).take(MOST_KEYS).collect()
    }

    fn check(&self, keys: &[VerifierKey], growth: &LogGrowth) -> Result<Seen, Wrong> {
        let not_checked = |why: String| Wrong::NotChecked(why);
        let new = Seen::read(&growth.checkpoint, keys)
            .map_err(|error| not_checked(format!("its checkpoint is refused: {error}")))?;
        let Some(known) = &self.seen else { return Ok(new) };
        let path: Option<Vec<Hash>> = growth.path.iter().map(|hash| hash.parse().ok()).collect();
        let path = path.ok_or_else(|| not_checked("its proof of growth is not made of hashes".to_owned()))?;
        let fork = |path: Vec<Hash>| match ForkProof::new(&known.note, &new.note, path, keys) {
            Ok(proof) => {
                let words = proof.verify(keys).map(|fork| fork.to_string());
                Wrong::Fork(words.unwrap_or_default(), Some(Box::new(proof)))
            }
            Err(error) => Wrong::Fork(error.to_string(), None),
        };
        if new.size < known.size {
            let (shown, had) = (new.size, known.size);
            let reason = format!(
                "the centre shows a log of {shown} entries, and has shown one of {had} before: it was set back, or \
                 it is another one"
            );
            return Err(Wrong::Fork(reason, None));
        }
        if known.size == 0 || new.size == known.size {
            return if new.root == known.root || known.size == 0 { Ok(new) } else { Err(fork(Vec::new())) };
        }
        match merkle::roots(known.size, new.size, &path) {
            Ok((_, root)) if root != new.root => {
                Err(not_checked("its proof of growth does not lead to its checkpoint".to_owned()))
            }
            Ok((root, _)) if root == known.root => Ok(new),
            Ok(_) => Err(fork(path)),
            Err(error) => Err(not_checked(format!("its proof of growth is refused: {error}"))),
        }
    }

    /// Keeps a checkpoint on the disk and then in memory; returns its size if it is another one.
    fn keep(&mut self, state: &State, keys: &[VerifierKey], new: Seen) -> Result<Option<u64>, StateError> {
        if self.keys != keys {
            self.keys = keys.to_vec();
        }
        if self.seen.as_ref() == Some(&new) {
            return Ok(None);
        }
        let path = state.checkpoint();
        files::replace(&path, new.note.as_bytes()).map_err(failed("write", &path))?;
        let grown = self.seen.as_ref().is_none_or(|seen| seen.size != new.size).then_some(new.size);
        self.seen = Some(new);
        Ok(grown)
    }

    /// Keeps both checkpoints in one file, and tells of it once, and once more when it can be proven. What was proven
    /// first stays.
    fn tell_fork(
        &mut self,
        state: &State,
        growth: &LogGrowth,
        reason: String,
        proof: Option<&ForkProof>,
    ) -> Option<Event> {
        let proven = proof.is_some();
        if self.told.is_some_and(|told| told || !proven) {
            return None;
        }
        let path = state.fork();
        let before = files::read_secret(&path, LONGEST_FILE).unwrap_or_default();
        let text = match proof {
            Some(proof) => proof.encode(),
            None => self.unproven(growth, &reason),
        };
        let is_first = !before.starts_with(PROVEN.as_bytes()) && (proven || before.is_empty());
        if is_first && let Err(source) = files::replace(&path, text.as_bytes()) {
            return Some(Event::NotKept { reason: failed("write", &path)(source).to_string() });
        }
        self.told = Some(proven);
        Some(Event::Fork { reason, file: path.display().to_string(), proven })
    }

    /// Two checkpoints and what is known of them.
    fn unproven(&self, growth: &LogGrowth, reason: &str) -> String {
        let mut text = format!("{UNPROVEN}why {reason}\n");
        let known = self.seen.as_ref().map(|seen| seen.note.as_str());
        for note in known.into_iter().chain([growth.checkpoint.as_str()]) {
            text.push_str(&format!("checkpoint {}\n{note}", note.matches('\n').count()));
        }
        text.push_str("end\n");
        text
    }
}

/// What this agent cosigns with: its own key, under a name that says whose agent it is.
fn signer(log: &VerifierKey, agent: AgentId, key: &SigningKey) -> Option<Ed25519Signer> {
    Ed25519Signer::new(&format!("{}/agent/{agent}", log.name()), &key.to_bytes()).ok()
}

fn keep_keys(state: &State, enrolment: &mut Enrolment, keys: &[VerifierKey]) -> Result<(), StateError> {
    enrolment.log_keys = keys.iter().map(ToString::to_string).collect();
    state.keep(enrolment)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use angbu_evidence::note::Signer as _;
    use angbu_evidence::{Checkpoint, cosign};

    use super::*;

    const ORIGIN: &str = "centre.example/log";

    /// A log in memory: its leaves, from which every root follows.
    struct Log(Vec<Hash>);

    impl merkle::Nodes for Log {
        type Error = Infallible;
        fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let first = usize::try_from(index << level).unwrap();
            Ok(merkle::root(&self.0[first..first + (1 << level)]))
        }
    }

    impl Log {
        /// One whose entries differ from another's from the `apart`th on.
        fn of(size: u64, apart: u64) -> Self {
            let leaf = |n: u64| merkle::leaf_hash(format!("{n} {}", n >= apart).as_bytes());
            Self((0..size).map(leaf).collect())
        }

        fn growth(&self, old: u64, signers: &[u8]) -> LogGrowth {
            let size = self.0.len() as u64;
            let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: merkle::root(&self.0) };
            let mut note = format!("{}\n", checkpoint.encode());
            for seed in signers {
                let signed = checkpoint.sign(&log_signer(*seed)).unwrap();
                note.push_str(signed.split_once("\n\n").unwrap().1);
            }
            let path = merkle::whole_path(self, old, size).unwrap_or_default();
            LogGrowth {
                checkpoint: note,
                path: path.iter().map(ToString::to_string).collect(),
                keys: signers.iter().map(|seed| log_signer(*seed).verifier_key().to_string()).collect(),
            }
        }
    }

    fn log_signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::new(ORIGIN, &[seed; 32]).unwrap()
    }

    struct Place {
        folder: tempfile::TempDir,
        state: State,
        enrolment: Enrolment,
        watch: LogWatch,
    }

    const AGENT: AgentId = AgentId::from_bytes([1; 16]);

    fn agent_key() -> SigningKey {
        SigningKey::from_bytes(&[8; 32])
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = State::open(folder.path()).unwrap();
            let enrolment = Enrolment {
                agent: AGENT.to_string(),
                customer: String::new(),
                customer_name: String::new(),
                centre: String::new(),
                centre_key: None,
                log_keys: vec![log_signer(1).verifier_key().to_string()],
                ntp: String::new(),
                nts: None,
                nts_key: None,
                tolerance_ns: 1,
            };
            let watch = LogWatch::open(&state, &enrolment, AGENT, &agent_key()).unwrap();
            Self { folder, state, enrolment, watch }
        }

        fn learn(&mut self, growth: &LogGrowth) -> Vec<Event> {
            self.watch.learn(&self.state, &mut self.enrolment, growth)
        }

        /// As after a new start.
        fn reopen(&mut self) {
            self.enrolment = self.state.enrolment().unwrap().unwrap_or(self.enrolment.clone());
            self.watch = LogWatch::open(&self.state, &self.enrolment, AGENT, &agent_key()).unwrap();
        }

        fn fork_file(&self) -> String {
            std::fs::read_to_string(self.folder.path().join("fork.txt")).unwrap()
        }

        fn size(&self) -> u64 {
            self.watch.seen.as_ref().map_or(0, |seen| seen.size)
        }
    }

    fn checked(size: u64) -> Vec<Event> {
        vec![Event::LogChecked { size }]
    }

    #[test]
    fn what_only_grows_is_kept_and_then_cosigned() {
        let mut place = Place::new();
        assert_eq!(place.watch.cosigned(UnixTime::from_nanos(0)), None);
        assert_eq!(place.learn(&Log::of(5, 100).growth(0, &[1])), checked(5));
        assert_eq!(place.learn(&Log::of(5, 100).growth(5, &[1])), []);
        place.reopen();
        assert_eq!(place.learn(&Log::of(12, 100).growth(5, &[1])), checked(12));
        place.reopen();
        let note = place.watch.cosigned(UnixTime::from_nanos(1_763_762_721_000_000_000)).unwrap();
        let note = Note::parse(&note).unwrap();
        let name = format!("{ORIGIN}/agent/{AGENT}");
        let key = VerifierKey::witness(&name, agent_key().verifying_key().as_bytes()).unwrap();
        assert_eq!(cosign::verify(&note.text, &note.signatures[1], &key), Ok(1_763_762_721));
        assert_eq!(note.verify(&[log_signer(1).verifier_key(), key]).unwrap().len(), 2);
    }

    #[test]
    fn a_second_history_is_proven_in_one_file() {
        for size in [5, 8] {
            let mut place = Place::new();
            place.learn(&Log::of(size, 100).growth(0, &[1]));
            let events = place.learn(&Log::of(13, 3).growth(size, &[1]));
            assert!(matches!(events.as_slice(), [Event::Fork { proven: true, .. }]), "{events:?}");
            assert_eq!(place.learn(&Log::of(14, 3).growth(size, &[1])), [], "it is told once");
            assert_eq!(place.size(), size, "what was seen first is what is cosigned");
            let proof = ForkProof::decode(&place.fork_file()).unwrap();
            assert!(proof.verify(&[log_signer(1).verifier_key()]).is_ok());
            // The first history goes on: that is still followed.
            assert_eq!(place.learn(&Log::of(20, 100).growth(size, &[1])), checked(20));
        }
    }

    #[test]
    fn a_log_that_was_set_back_is_kept_until_it_can_be_proven() {
        let mut place = Place::new();
        place.learn(&Log::of(9, 100).growth(0, &[1]));
        let events = place.learn(&Log::of(6, 3).growth(0, &[1]));
        assert!(matches!(events.as_slice(), [Event::Fork { proven: false, .. }]), "{events:?}");
        assert!(place.fork_file().starts_with(UNPROVEN));
        assert_eq!(place.learn(&Log::of(7, 3).growth(0, &[1])), []);
        let events = place.learn(&Log::of(10, 3).growth(9, &[1]));
        assert!(matches!(events.as_slice(), [Event::Fork { proven: true, .. }]), "{events:?}");
        let first = place.fork_file();
        place.reopen();
        place.learn(&Log::of(11, 3).growth(9, &[1]));
        assert_eq!(place.fork_file(), first, "what was proven first stays");
    }

    #[test]
    fn what_cannot_be_checked_is_not_cosigned() {
        let mut place = Place::new();
        place.learn(&Log::of(5, 100).growth(0, &[1]));
        let good = Log::of(9, 100).growth(5, &[1]);
        let wrong = [
            Log::of(9, 100).growth(5, &[2]),
            LogGrowth { checkpoint: "nonsense".to_owned(), ..good.clone() },
            LogGrowth { path: Vec::new(), ..good.clone() },
            LogGrowth { path: vec!["x".to_owned()], ..good.clone() },
            LogGrowth { path: good.path.iter().rev().cloned().collect(), ..good.clone() },
            LogGrowth { path: good.path.iter().cycle().take(4_000).cloned().collect(), ..good.clone() },
        ];
        for growth in wrong {
            let events = place.learn(&growth);
            assert!(matches!(events.as_slice(), [Event::LogNotChecked { .. }]), "{events:?}");
        }
        assert_eq!(place.size(), 5);
        assert_eq!(place.learn(&good), checked(9));
    }

    #[test]
    fn a_key_follows_the_one_beside_which_it_signed() {
        let mut place = Place::new();
        place.learn(&Log::of(5, 100).growth(0, &[1]));
        let events = place.learn(&Log::of(6, 100).growth(5, &[2, 1]));
        assert!(
            matches!(events.as_slice(), [Event::LogKey { .. }, Event::LogChecked { size: 6 }]),
            "{events:?}"
        );
        place.reopen();
        assert_eq!(place.learn(&Log::of(7, 100).growth(6, &[2])), checked(7));
        // A key alone is no follower, and an agent that missed the change says so.
        let events = place.learn(&Log::of(8, 100).growth(7, &[3]));
        assert!(matches!(events.as_slice(), [Event::LogNotChecked { .. }]), "{events:?}");
    }
}
