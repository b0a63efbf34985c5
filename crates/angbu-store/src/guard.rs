//! The rollback guard: the newest head that this centre signed or followed, in a file beside the database.
//!
//! A database that is put back from an older copy looks whole, and a log that went on from it would have two histories.
//! The file is no part of the database nor of its backups, so it still knows better. It is written at every signature and
//! brought to the disk only now and then: a guard that is a little older than the database is harmless.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use angbu_evidence::{Hash, merkle};

use crate::StoreError;
use crate::store::{sync_folder, unusable};

/// The file's name in the data folder.
pub(crate) const FILE: &str = "evidence.guard";
/// Two places, written in turn, so that a write that a loss of power tears leaves the other one whole.
const PLACE: usize = 4096;
/// How long the file may be older on the disk than in the system's memory.
const UNSYNCED: Duration = Duration::from_secs(30);

/// A head that was signed or followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The log's name.
    pub(crate) origin: String,
    /// How often an operator had confirmed the log.
    pub(crate) era: u64,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let text = format!("angbu guard 1\n{}\n{}\n{}\n{}\n", self.origin, self.era, self.size, self.root);
        let mut bytes = format!("{text}{}\n", merkle::leaf_hash(text.as_bytes())).into_bytes();
        bytes.resize(bytes.len().max(PLACE), b' ');
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(' ');
        let (text, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let text = format!("{text}\n");
        if merkle::leaf_hash(text.as_bytes()).to_string() != check {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != "angbu guard 1" {
            return None;
        }
        Some(Self {
            origin: lines.next()?.to_owned(),
            era: lines.next()?.parse().ok()?,
            size: lines.next()?.parse().ok()?,
            root: lines.next()?.parse().ok()?,
        })
    }
}

/// The file, and what it says.
pub(crate) struct Guard {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    mark: Option<Mark>,
    /// Whether the next write goes to the second place.
    second: bool,
    synced: Option<Instant>,
}

impl Guard {
    /// Reads the guard of a data folder, if there is one.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                let most = u64::try_from(2 * PLACE).unwrap_or(u64::MAX);
                file.take(most).read_to_end(&mut bytes).map_err(|error| unusable(&path, &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&path, &error)),
        }
        let mut state = State::default();
        for (place, bytes) in bytes.chunks(PLACE).enumerate() {
            let Some(mark) = Mark::decode(bytes) else { continue };
            if state.mark.as_ref().is_none_or(|kept| (kept.era, kept.size) <= (mark.era, mark.size)) {
                state.mark = Some(mark);
                state.second = place == 0;
            }
        }
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// What the file says; `None` where there is none that can be read.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.lock().mark.clone()
    }

    /// Writes a head down, before anybody is shown its signature.
    pub(crate) fn set(&self, mark: &Mark) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.mark.as_ref() == Some(mark) {
            return Ok(());
        }
        let is_new = state.mark.is_none();
        self.write(&mut state, mark).map_err(|error| unusable(&self.path, &error))?;
        state.mark = Some(mark.clone());
        if is_new || state.synced.is_none_or(|synced| synced.elapsed() > UNSYNCED) {
            self.bring_to_disk(&mut state, is_new)?;
        }
        Ok(())
    }

    /// Brings what was written to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.bring_to_disk(&mut self.lock(), false)
    }

    fn write(&self, state: &mut State, mark: &Mark) -> std::io::Result<()> {
        let mut file = match state.file.take() {
            Some(file) => file,
            None => open_for_writing(&self.path)?,
        };
        let place = if state.second { PLACE } else { 0 };
        file.seek(SeekFrom::Start(u64::try_from(place).unwrap_or_default()))?;
        file.write_all(&mark.encode())?;
        state.second = !state.second;
        state.file = Some(file);
        Ok(())
    }

    fn bring_to_disk(&self, state: &mut State, is_new: bool) -> Result<(), StoreError> {
        let Some(file) = &state.file else { return Ok(()) };
        file.sync_data().map_err(|error| unusable(&self.path, &error))?;
        state.synced = Some(Instant::now());
        match self.path.parent() {
            Some(folder) if is_new => sync_folder(folder),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_for_writing(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(era: u64, size: u64) -> Mark {
        Mark { origin: "log.test.example/1".to_owned(), era, size, root: merkle::leaf_hash(&[7]) }
    }

    #[test]
    fn what_was_written_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Guard::open(folder.path()).unwrap().mark(), None);
        for next in [mark(0, 0), mark(0, 5), mark(0, 900), mark(1, 3), mark(1, 4)] {
            let guard = Guard::open(folder.path()).unwrap();
            guard.set(&next).unwrap();
            guard.set(&next).unwrap();
            assert_eq!(Guard::open(folder.path()).unwrap().mark(), Some(next));
        }
        let guard = Guard::open(folder.path()).unwrap();
        for size in 5..40 {
            guard.set(&mark(1, size)).unwrap();
            assert_eq!(Guard::open(folder.path()).unwrap().mark(), Some(mark(1, size)));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::open(folder.path()).unwrap();
        for size in [10, 20] {
            guard.set(&mark(0, size)).unwrap();
        }
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [PLACE, PLACE + 20, PLACE + 90] {
            let mut bytes = whole.clone();
            bytes[damaged] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Guard::open(folder.path()).unwrap().mark(), Some(mark(0, 10)), "at {damaged}");
        }
        // The place that is still whole is not the one that is written next.
        let guard = Guard::open(folder.path()).unwrap();
        guard.set(&mark(0, 30)).unwrap();
        assert_eq!(Guard::open(folder.path()).unwrap().mark(), Some(mark(0, 30)));
        std::fs::write(&path, "something else").unwrap();
        assert_eq!(Guard::open(folder.path()).unwrap().mark(), None);
    }
}
