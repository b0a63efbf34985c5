//! What a witness keeps: its key, and of each log the checkpoint that it cosigned last, in one small file each.
//!
//! The order of steps is what makes its word hold: decide, keep on the disk, cosign, answer. A log's file is written
//! while nobody else decides on that log.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SysRng;
use rand_core::{TryRng as _, UnwrapErr};
use serde::Serialize;

use angbu_evidence::checkpoint::CheckpointError;
use angbu_evidence::cosign::cosign;
use angbu_evidence::fork::ForkProof;
use angbu_evidence::note::{Ed25519Signer, Note, SignError, Signer as _, VerifierKey};
use angbu_evidence::witness::{AddCheckpoint, Malformed, Refused, Seen, decide, encode_cosignatures};
use angbu_evidence::{Checkpoint, merkle};
use angbu_units::{Clock, UnixTime};

/// The first bytes of the key's file; 32 secret bytes and the name follow.
const KEY: &[u8; 16] = b"angbu-witness/1\n";
/// The most that a file of ours is.
const LONGEST_FILE: u64 = 256 * 1_024;

/// Why a witness's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
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
    /// Another witness runs with this folder.
    #[error("another witness is running with the folder {0}; each needs its own")]
    InUse(PathBuf),
    /// A file does not hold what this program wrote there.
    #[error(
        "{0} is damaged; a witness that forgot what it cosigned must not go on under the same key: restore it"
    )]
    Damaged(PathBuf),
    /// The kept checkpoint of a log is not signed by the keys that are given now.
    #[error(
        "the checkpoint in {path} is not signed by the keys given for '{origin}' ({why}); give its earlier key as well"
    )]
    OtherKey {
        /// The log.
        origin: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: CheckpointError,
    },
    /// The name cannot be a key's, or another stands in the folder.
    #[error(
        "the name '{0}' cannot be a witness's: it has 1 to 200 bytes, without spaces, plus signs or control characters"
    )]
    Name(String),
    /// Another name than the key was made with.
    #[error(
        "this witness is called '{kept}' and cannot change its name to '{given}'; use an empty folder for a new one"
    )]
    OtherName {
        /// What the folder says.
        kept: String,
        /// What was given.
        given: String,
    },
}

/// Why a request is not cosigned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwitnessed {
    /// The bytes are no request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The decision.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk did not take what must be kept first.
    #[error("the checkpoint could not be kept, so it is not cosigned: {0}")]
    NotKept(#[from] io::Error),
    /// The key did not sign.
    #[error("the checkpoint could not be cosigned: {0}")]
    NotSigned(#[from] SignError),
}

/// Something that whoever runs the witness must know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum WitnessEvent {
    /// A log has signed two histories; the proof is in the file.
    Fork {
        /// The log.
        origin: String,
        /// The file.
        file: String,
        /// What is proven, in words.
        proven: String,
    },
}

/// What a witness knows of a log, for whoever asks.
#[derive(Debug, Serialize)]
pub(crate) struct LogState {
    origin: String,
    keys: Vec<String>,
    size: u64,
    root: String,
    /// When it was cosigned last, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosigned_at: Option<String>,
    /// The checkpoint: a note with the log's signatures and this witness's.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    /// The proof that this log has signed two histories, as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<String>,
}

/// A log as it is kept.
struct Kept {
    keys: Vec<VerifierKey>,
    seen: Option<Seen>,
    /// The note with this witness's cosignature, as it stands in the file.
    note: Option<String>,
    cosigned_at: Option<UnixTime>,
    fork: Option<String>,
}

/// A witness's folder, locked for this process.
pub struct Keeper {
    folder: PathBuf,
    signer: Ed25519Signer,
    clock: Arc<dyn Clock>,
    logs: BTreeMap<String, Mutex<Kept>>,
    // Held for as long as the folder is in use; released by the system even after kill -9.
    _lock: File,
}

impl Keeper {
    /// Opens the folder, made at the first start with a key of its own.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn open(
        folder: &Path,
        name: Option<&str>,
        logs: &[VerifierKey],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeeperError> {
        let (lock, signer) = own(folder, name)?;
        let mut keeper =
            Self { folder: folder.to_owned(), signer, clock, logs: BTreeMap::new(), _lock: lock };
        for key in logs {
            let origin = key.name().to_owned();
            if !keeper.logs.contains_key(&origin) {
                let keys: Vec<VerifierKey> =
                    logs.iter().filter(|key| key.name() == origin).cloned().collect();
                let kept = keeper.load(&origin, keys)?;
                keeper.logs.insert(origin, Mutex::new(kept));
            }
        }
        Ok(keeper)
    }

    /// The key of the witness in a folder, made if there is none yet.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn key_in(folder: &Path, name: Option<&str>) -> Result<VerifierKey, KeeperError> {
        make_folder(folder)?;
        let path = folder.join("witness.key");
        // A running witness holds the lock and has long written its key.
        let signer = match read_key(&path, name)? {
            Some(signer) => signer,
            None => own(folder, name)?.1,
        };
        Ok(signer.verifier_key().as_witness())
    }

    /// The key that verifies its cosignatures.
    pub fn key(&self) -> VerifierKey {
        self.signer.verifier_key().as_witness()
    }

    /// The names of its logs.
    pub fn origins(&self) -> Vec<String> {
        self.logs.keys().cloned().collect()
    }

    /// What it knows of each log.
    pub(crate) fn states(&self) -> Vec<LogState> {
        self.logs.iter().map(|(origin, kept)| lock(kept).state(origin)).collect()
    }

    /// Decides on a request; what is returned is the answer's body. The checkpoint is on the disk by then.
    ///
    /// # Errors
    /// [`Unwitnessed`]; a fork is told through `tell` when it is first seen.
    pub(crate) fn add(&self, body: &[u8], tell: &dyn Fn(&WitnessEvent)) -> Result<String, Unwitnessed> {
        let request = AddCheckpoint::parse(body)?;
        let note = Note::parse(&request.note).map_err(Malformed::from)?;
        let (Checkpoint { origin, .. }, _) =
            Checkpoint::decode_with_extensions(&note.text).map_err(Malformed::from)?;
        let Some(kept) = self.logs.get(&origin) else { return Err(Refused::UnknownOrigin(origin).into()) };
        let mut kept = lock(kept);
        let accepted = match decide(kept.seen.as_ref(), &kept.keys, &request) {
            Ok(accepted) => accepted,
            Err(refused) => {
                if let Refused::Fork { proof, .. } = &refused {
                    self.keep_fork(&origin, &mut kept, proof, tell);
                }
                return Err(refused.into());
            }
        };
        let now = self.clock.read().wall;
        let seconds = u64::try_from(now.nanos() / 1_000_000_000).unwrap_or_default();
        let line = cosign(&accepted.text, seconds, &self.signer)?;
        let cosigned = format!("{}{}", accepted.new.note, line.encode());
        // The same checkpoint again is on the disk already.
        if kept.seen.as_ref() != Some(&accepted.new) {
            replace(&self.checkpoint_file(&origin), cosigned.as_bytes())?;
        }
        kept.seen = Some(accepted.new);
        kept.note = Some(cosigned);
        kept.cosigned_at = Some(now);
        Ok(encode_cosignatures(&[line]))
    }

    /// Keeps the first proof against a log, and tells of it.
    fn keep_fork(&self, origin: &str, kept: &mut Kept, proof: &ForkProof, tell: &dyn Fn(&WitnessEvent)) {
        if kept.fork.is_some() {
            return;
        }
        let Ok(fork) = proof.verify(&kept.keys) else { return };
        let (path, text) = (self.fork_file(origin), proof.encode());
        if let Err(error) = replace(&path, text.as_bytes()) {
            tracing::error!(%error, path = %path.display(), "the proof of a fork could not be written");
        }
        kept.fork = Some(text);
        tell(&WitnessEvent::Fork {
            origin: origin.to_owned(),
            file: path.display().to_string(),
            proven: fork.to_string(),
        });
    }

    fn load(&self, origin: &str, keys: Vec<VerifierKey>) -> Result<Kept, KeeperError> {
        let path = self.checkpoint_file(origin);
        let note = read(&path)?;
        let seen =
            note.as_deref().map(|note| Seen::read(note, &keys)).transpose().map_err(|why| {
                KeeperError::OtherKey { origin: origin.to_owned(), path: path.clone(), why }
            })?;
        if seen.as_ref().is_some_and(|seen| seen.origin != origin) {
            return Err(KeeperError::Damaged(path));
        }
        let cosigned_at = note.as_deref().and_then(|note| self.time_of(note));
        Ok(Kept { keys, seen, note, cosigned_at, fork: read(&self.fork_file(origin))? })
    }

    /// When this witness cosigned a note.
    fn time_of(&self, note: &str) -> Option<UnixTime> {
        let (note, key) = (Note::parse(note).ok()?, self.key());
        let line = note.signatures.iter().find(|line| line.claims(&key))?;
        let seconds = angbu_evidence::cosign::verify(&note.text, line, &key).ok()?;
        Some(UnixTime::from_nanos(i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?))
    }

    fn checkpoint_file(&self, origin: &str) -> PathBuf {
        self.folder.join(format!("checkpoint-{}.txt", file_name(origin)))
    }

    fn fork_file(&self, origin: &str) -> PathBuf {
        self.folder.join(format!("fork-{}.txt", file_name(origin)))
    }
}

impl Kept {
    fn state(&self, origin: &str) -> LogState {
        let (size, root) =
            self.seen.as_ref().map_or((0, merkle::empty_root()), |seen| (seen.size, seen.root));
        LogState {
            origin: origin.to_owned(),
            keys: self.keys.iter().map(ToString::to_string).collect(),
            size,
            root: root.to_string(),
            cosigned_at: self.cosigned_at.map(|at| at.rfc3339(0)),
            checkpoint: self.note.clone(),
            fork: self.fork.clone(),
        }
    }
}

/// The folder's lock and the witness's key, both made if they are not there.
fn own(folder: &Path, name: Option<&str>) -> Result<(File, Ed25519Signer), KeeperError> {
    make_folder(folder)?;
    let path = folder.join("lock");
    let lock = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(KeeperError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
    }
    let path = folder.join("witness.key");
    let signer = match read_key(&path, name)? {
        Some(signer) => signer,
        None => make_key(&path, name)?,
    };
    Ok((lock, signer))
}

fn make_folder(folder: &Path) -> Result<(), KeeperError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make the folder", folder))
}

fn make_key(path: &Path, name: Option<&str>) -> Result<Ed25519Signer, KeeperError> {
    let mut seed = [0; 32];
    UnwrapErr(SysRng).try_fill_bytes(&mut seed).expect("the system's randomness does not fail");
    let unnamed = signer("witness", &seed)?;
    let name = name.map_or_else(|| default_name(&unnamed.verifier_key()), str::to_owned);
    let signer = signer(&name, &seed)?;
    let bytes = [&KEY[..], &seed, name.as_bytes()].concat();
    replace(path, &bytes).map_err(failed("write", path))?;
    Ok(signer)
}

/// A name that no other witness has.
fn default_name(key: &VerifierKey) -> String {
    let [a, b, c, d, ..] = key.public_key();
    format!("witness-{a:02x}{b:02x}{c:02x}{d:02x}")
}

fn read_key(path: &Path, name: Option<&str>) -> Result<Option<Ed25519Signer>, KeeperError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        let why = "others than its owner may read it; make a new witness, or chmod 600 if nobody did";
        return Err(failed("read", path)(io::Error::new(io::ErrorKind::PermissionDenied, why)));
    }
    if metadata.len() > LONGEST_FILE {
        return Err(KeeperError::Damaged(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(failed("read", path))?;
    let damaged = || KeeperError::Damaged(path.to_owned());
    let rest = bytes.strip_prefix(KEY).ok_or_else(damaged)?;
    let (seed, kept) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
    let kept = std::str::from_utf8(kept).map_err(|_| damaged())?;
    if let Some(given) = name.filter(|given| *given != kept) {
        return Err(KeeperError::OtherName { kept: kept.to_owned(), given: given.to_owned() });
    }
    signer(kept, seed).map(Some)
}

fn signer(name: &str, seed: &[u8; 32]) -> Result<Ed25519Signer, KeeperError> {
    if name.len() > 200 {
        return Err(KeeperError::Name(name.to_owned()));
    }
    Ed25519Signer::new(name, seed).map_err(|_| KeeperError::Name(name.to_owned()))
}

/// A log's name as part of a file's: letters and digits as they are, whatever else as its bytes in hexadecimal.
fn file_name(origin: &str) -> String {
    let part = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte).to_string(),
        other => format!("_{other:02x}"),
    };
    origin.bytes().map(part).collect()
}

fn read(path: &Path) -> Result<Option<String>, KeeperError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > LONGEST_FILE => return Err(KeeperError::Damaged(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    std::fs::read_to_string(path).map(Some).map_err(failed("read", path))
}

/// Puts `bytes` (0600) in the place of whatever stands at `path`, at once and durably.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeeperError {
    move |source| KeeperError::File { doing, path: path.to_owned(), source }
}
