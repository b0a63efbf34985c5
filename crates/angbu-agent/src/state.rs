//! The agent's folder: who it is, which centre it belongs to, and whether its last run ended in order.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use angbu_client::Joined;
use angbu_time::watch::Memory;
use angbu_units::Nanos;
use ed25519_dalek::SigningKey;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::files;

/// The first bytes of the identity file.
const IDENTITY: &[u8; 16] = b"angbu-agent-id/1";

/// The most that an enrolment file is.
const LONGEST_ENROLMENT: u64 = 64 * 1_024;

/// The most that a memory of the clock is.
const LONGEST_MEMORY: u64 = 1_024;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent runs with this folder.
    #[error("another agent is running with the folder {0}; each agent needs its own")]
    InUse(PathBuf),
    /// A file does not hold what this program wrote there.
    #[error("{0} is damaged; restore it, or enrol this agent again in an empty folder")]
    Damaged(PathBuf),
}

/// The folder, locked for this process.
pub(crate) struct State {
    folder: PathBuf,
    lock: File,
}

/// The agent's secrets. Wiped when dropped.
pub(crate) struct Identity {
    /// What its uploads are signed with.
    pub(crate) signing: SigningKey,
    /// What its spool is sealed with.
    pub(crate) spool: Zeroizing<[u8; 32]>,
}

/// What joining told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    pub(crate) agent: String,
    pub(crate) customer: String,
    pub(crate) customer_name: String,
    pub(crate) centre: String,
    /// SHA-256 over the centre's DER SubjectPublicKeyInfo, in hexadecimal; none where it speaks plain HTTP.
    pub(crate) centre_key: Option<String>,
    /// The verifier keys of the centre's log: the one that joining vouched for, or what has followed it.
    pub(crate) log_keys: Vec<String>,
    pub(crate) ntp: String,
    /// Where keys for NTS are exchanged, if the centre said so.
    #[serde(default)]
    pub(crate) nts: Option<String>,
    /// SHA-256 over the DER SubjectPublicKeyInfo that is shown there, in hexadecimal.
    #[serde(default)]
    pub(crate) nts_key: Option<String>,
    pub(crate) tolerance_ns: i64,
}

impl State {
    /// Opens the folder, made if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        files::private_directory(folder).map_err(failed("make the folder", folder))?;
        let path = folder.join("lock");
        let lock = files::append_to(&path).map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// Lets another process have the folder; this one must not write to it any more.
    pub(crate) fn release(&self) -> Result<(), StateError> {
        self.lock.unlock().map_err(failed("unlock", &self.folder))
    }

    /// Where records are kept.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// Where the newest checkpoint of the log stands that this agent has checked.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.txt")
    }

    /// What the run before remembered of the clock; none where there was none, or where it cannot be read.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let bytes = files::read_secret(&self.folder.join("clock"), LONGEST_MEMORY).ok()?;
        Memory::decode(&bytes).ok()
    }

    /// Keeps what the next run should know of the clock.
    pub(crate) fn remember(&self, memory: &Memory) -> Result<(), StateError> {
        let path = self.folder.join("clock");
        files::replace(&path, &memory.encode()).map_err(failed("write", &path))
    }

    /// Where two checkpoints are kept that contradict each other, if the centre has shown such.
    pub(crate) fn fork(&self) -> PathBuf {
        self.folder.join("fork.txt")
    }

    /// Where the proof is kept that a Roughtime server lied, if one did.
    pub(crate) fn malfeasance(&self) -> PathBuf {
        self.folder.join("malfeasance.json")
    }

    /// The agent's secrets, made at the first call.
    pub(crate) fn identity(&self) -> Result<Identity, StateError> {
        let path = self.folder.join("identity");
        let limit = u64::try_from(IDENTITY.len() + 64).unwrap_or(u64::MAX);
        let mut bytes = match files::read_secret(&path, limit) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; IDENTITY.len() + 64].to_vec();
                rand::rng().fill_bytes(&mut bytes);
                bytes.splice(..IDENTITY.len(), *IDENTITY);
                files::replace(&path, &bytes).map_err(failed("write", &path))?;
                bytes
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let identity = read_identity(&bytes);
        bytes.zeroize();
        identity.ok_or(StateError::Damaged(path))
    }

    /// What joining told, if the agent has joined.
    pub(crate) fn enrolment(&self) -> Result<Option<Enrolment>, StateError> {
        let path = self.folder.join("enrolment.toml");
        match files::read_secret(&path, LONGEST_ENROLMENT) {
            Ok(bytes) => {
                let enrolment = std::str::from_utf8(&bytes).ok().and_then(|text| toml::from_str(text).ok());
                enrolment.map(Some).ok_or(StateError::Damaged(path))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Keeps what joining told, or a later change of it.
    pub(crate) fn keep(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        let path = self.folder.join("enrolment.toml");
        let text =
            toml::to_string(enrolment).expect("broken invariant: an enrolment is plain texts and a number");
        files::replace(&path, text.as_bytes()).map_err(failed("write", &path))
    }

    /// Marks that a run begins, and tells whether the one before ended in order.
    pub(crate) fn begin_run(&self) -> Result<bool, StateError> {
        let path = self.folder.join("running");
        let clean = !path.try_exists().map_err(failed("look for", &path))?;
        files::replace(&path, b"").map_err(failed("write", &path))?;
        Ok(clean)
    }

    /// Marks that the run ended in order.
    pub(crate) fn end_run(&self) -> Result<(), StateError> {
        let path = self.folder.join("running");
        files::remove(&path).map_err(failed("remove", &path))
    }
}

impl Enrolment {
    pub(crate) fn of(joined: &Joined) -> Self {
        Self {
            agent: joined.agent.to_string(),
            customer: joined.customer.to_string(),
            customer_name: joined.customer_name.clone(),
            centre: joined.centre.to_string(),
            centre_key: joined.centre_key.map(|key| hexadecimal(&key)),
            log_keys: vec![joined.log_key.to_string()],
            ntp: joined.ntp.clone(),
            nts: joined.nts.clone(),
            nts_key: joined.nts_key.map(|key| hexadecimal(&key)),
            tolerance_ns: joined.tolerance.count(),
        }
    }

    pub(crate) fn tolerance(&self) -> Nanos {
        Nanos::new(self.tolerance_ns)
    }

    /// The 32 bytes of the centre's key, if it has one and it can be read.
    pub(crate) fn centre_key(&self) -> Option<[u8; 32]> {
        self.centre_key.as_deref().and_then(read_key)
    }

    /// The 32 bytes of the key that is shown where keys for NTS are exchanged.
    pub(crate) fn nts_key(&self) -> Option<[u8; 32]> {
        self.nts_key.as_deref().and_then(read_key)
    }
}

fn read_key(text: &str) -> Option<[u8; 32]> {
    let text = Some(text).filter(|text| text.len() == 64 && text.is_ascii())?;
    let mut key = [0; 32];
    for (n, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(key)
}

fn read_identity(bytes: &[u8]) -> Option<Identity> {
    let rest = bytes.strip_prefix(IDENTITY)?;
    let (seed, spool) = rest.split_first_chunk::<32>()?;
    let spool = Zeroizing::new(spool.try_into().ok()?);
    Some(Identity { signing: SigningKey::from_bytes(seed), spool })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::File { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_identity_stays_and_is_the_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        let state = State::open(&folder).unwrap();
        let first = state.identity().unwrap();
        assert_eq!(first.signing.to_bytes(), state.identity().unwrap().signing.to_bytes());
        assert_ne!(first.signing.to_bytes(), *first.spool);
        let file = folder.join("identity");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = state.identity().err().unwrap().to_string();
        assert!(refused.contains("others than its owner may read it"), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, b"angbu-agent-id/1 and too little").unwrap();
        assert!(matches!(state.identity(), Err(StateError::Damaged(_))));
    }

    #[test]
    fn one_folder_is_one_agents() {
        let place = tempfile::tempdir().unwrap();
        let state = State::open(place.path()).unwrap();
        assert!(matches!(State::open(place.path()), Err(StateError::InUse(_))));
        drop(state);
        assert!(State::open(place.path()).is_ok());
    }

    #[test]
    fn a_run_that_did_not_end_is_seen() {
        let place = tempfile::tempdir().unwrap();
        let state = State::open(place.path()).unwrap();
        assert!(state.begin_run().unwrap(), "the first has none before it");
        assert!(!state.begin_run().unwrap());
        state.end_run().unwrap();
        assert!(state.begin_run().unwrap());
    }

    #[test]
    fn what_joining_told_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let state = State::open(place.path()).unwrap();
        assert_eq!(state.enrolment().unwrap(), None);
        let enrolment = Enrolment {
            agent: "a".to_owned(),
            customer: "c".to_owned(),
            customer_name: "demo".to_owned(),
            centre: "ctr".to_owned(),
            centre_key: Some(hexadecimal(&[0xa5; 32])),
            log_keys: vec!["k".to_owned()],
            ntp: "[::]:123".to_owned(),
            nts: Some("[::]:4460".to_owned()),
            nts_key: Some(hexadecimal(&[0x5a; 32])),
            tolerance_ns: 50_000_000,
        };
        state.keep(&enrolment).unwrap();
        assert_eq!(state.enrolment().unwrap(), Some(enrolment.clone()));
        assert_eq!(enrolment.centre_key(), Some([0xa5; 32]));
        std::fs::write(place.path().join("enrolment.toml"), "agent = 7").unwrap();
        assert!(matches!(state.enrolment(), Err(StateError::Damaged(_))));
    }
}
