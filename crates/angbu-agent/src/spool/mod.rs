//! What the agent saw and the centre has not yet: an encrypted, bounded, append-only store on disk.
//!
//! A record counts as recorded once [`Spool::append`] has returned, for then it is on the disk. It stays there
//! until the centre says that it has it. Where records are lost, because the spool was full or the disk
//! failed, their place is kept by a [`Lost`], which goes to the centre in their stead: no number is skipped.
//!
//! Records stand in segments, files named by the number of their first item, always at least one. The
//! directory belongs to one process at a time; the caller holds a lock on it.

mod segment;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use angbu_time::chain::Chain;
use angbu_units::UnixTime;

use self::segment::{Contents, HEADER, Sealer};
use crate::files;

/// The longest record that can be stored.
pub const LONGEST_RECORD: usize = 4 * 1_024;

/// A segment is closed once it is this long.
const SEGMENT_LENGTH: u64 = 256 * 1_024;

/// A segment whose records the centre all has is replaced by a new one only once it is this long, so that
/// an ordinary upload, which leaves nothing behind, costs no new file.
const WORTH_REPLACING: u64 = 16 * 1_024;

/// The file that holds the chain before the records that the centre has not.
const CHAIN: &str = "chain";

/// Why the spool cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The operating system refused.
    #[error("cannot {doing} the spool file {path}: {source}; check the disk and its permissions")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What stands there was sealed with another key.
    #[error(
        "the spool file {path} was not made with this agent's key; bring the identity that belongs to it back, or move the spool away"
    )]
    WrongKey {
        /// Which file.
        path: PathBuf,
    },
    /// The record is longer than [`LONGEST_RECORD`].
    #[error("a record of {0} bytes is longer than the spool takes")]
    TooLong(usize),
}

/// A run of sequence numbers whose records are gone for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// When the loss was noticed, by this machine's clock.
    pub at: UnixTime,
}

/// What stands at a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record.
    Record(Vec<u8>),
    /// The place of lost ones, which ends with [`Lost::last`].
    Lost(Lost),
}

/// The store. See the module.
pub struct Spool {
    directory: PathBuf,
    sealer: Sealer,
    limit: u64,
    segment_length: u64,
    /// In order, with no number between them left out; never empty. The last one is appended to.
    segments: VecDeque<Segment>,
    /// The last segment, open; none after an error, which begins a new one.
    active: Option<File>,
    /// The number of the oldest item that the centre is not known to have.
    wanted: u64,
    /// How many records could not be written since the last that was.
    unwritten: u64,
    /// What is kept of the chain: its value before a record.
    kept: Option<(u64, Chain)>,
    /// That of the records before `wanted`, where it is known.
    chain: Option<Chain>,
}

struct Segment {
    first: u64,
    next: u64,
    length: u64,
    /// Holds nothing but one loss.
    tombstone: bool,
}

impl Spool {
    /// Opens the spool in `directory`, made if it is not there with `first` as its first number, and keeps its
    /// files below about `limit` bytes. What a power cut left torn at the end is cut off; what is damaged
    /// elsewhere becomes a loss noticed `now`.
    ///
    /// # Errors
    /// [`SpoolError::File`] or [`SpoolError::WrongKey`].
    pub fn open(
        directory: &Path,
        key: &[u8; 32],
        limit: u64,
        first: u64,
        now: UnixTime,
    ) -> Result<Self, SpoolError> {
        files::private_directory(directory).map_err(failed("make", directory))?;
        let mut spool = Self {
            directory: directory.to_owned(),
            sealer: Sealer::new(key),
            limit,
            segment_length: SEGMENT_LENGTH.min(limit / 8),
            segments: VecDeque::new(),
            active: None,
            wanted: first,
            unwritten: 0,
            kept: None,
            chain: None,
        };
        for first in spool.names()? {
            spool.take_in(first, now)?;
        }
        if spool.segments.is_empty() {
            spool.begin(first)?;
        }
        spool.wanted = spool.oldest();
        spool.recall_chain();
        Ok(spool)
    }

    /// The chain of the records that the centre has, before the first that it has not; none where that is not known any more.
    pub fn chain(&self) -> Option<Chain> {
        self.chain
    }

    /// Keeps the chain before record `next`, which is to be acknowledged right after this: whatever comes between finds one or the
    /// other.
    ///
    /// # Errors
    /// [`SpoolError::File`].
    pub fn keep_chain(&mut self, next: u64, chain: Option<Chain>) -> Result<(), SpoolError> {
        let path = self.directory.join(CHAIN);
        match chain {
            Some(chain) => files::replace(&path, &self.sealer.chain(next, &chain)),
            None => files::remove(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        }
        .map_err(failed("write", &path))?;
        self.kept = chain.map(|chain| (next, chain));
        self.settle_chain();
        Ok(())
    }

    /// Goes on where the centre was known to be, if what stands here leads there.
    fn recall_chain(&mut self) {
        let bytes = std::fs::read(self.directory.join(CHAIN)).ok();
        self.kept = bytes.and_then(|bytes| self.sealer.read_chain(&bytes));
        if let Some((next, _)) = self.kept.filter(|(next, _)| (self.oldest()..=self.end()).contains(next)) {
            self.wanted = next;
        }
        self.settle_chain();
    }

    fn settle_chain(&mut self) {
        self.chain = self.kept.filter(|(next, _)| *next == self.wanted).map(|(_, chain)| chain);
    }

    /// Writes a record and returns its number once it is on the disk, with the loss that made room for it if
    /// there was one. A record that cannot be written is counted, and a loss stands in its place as soon as
    /// the disk takes one again.
    ///
    /// # Errors
    /// [`SpoolError::File`] or [`SpoolError::TooLong`].
    pub fn append(&mut self, record: &[u8], now: UnixTime) -> Result<(u64, Option<Lost>), SpoolError> {
        if record.len() > LONGEST_RECORD {
            return Err(SpoolError::TooLong(record.len()));
        }
        let written = self.write_with_losses(Item::Record(record.to_vec()), now);
        if written.is_err() {
            self.unwritten += 1;
            self.active = None;
        }
        let seq = written?;
        Ok((seq, self.make_room(now)?))
    }

    /// The oldest items that the centre is not known to have, at most `items` of them and about `bytes`
    /// (but always one, if there is one). Items that turn out to be damaged come as a loss noticed `now`.
    ///
    /// # Errors
    /// [`SpoolError::File`] or [`SpoolError::WrongKey`].
    pub fn read(&self, items: usize, bytes: usize, now: UnixTime) -> Result<Vec<(u64, Item)>, SpoolError> {
        let mut found: Vec<(u64, Item)> = Vec::new();
        let mut length = 0;
        for segment in self.segments.iter().filter(|segment| segment.next > self.wanted) {
            let mut contents = self.contents(segment.first)?;
            if contents.next < segment.next {
                let lost = Lost { first: contents.next, last: segment.next - 1, at: now };
                contents.items.push((lost.first, Item::Lost(lost)));
            }
            for (seq, item) in contents.items {
                let Some((seq, item)) = from(self.wanted, seq, item) else { continue };
                length += match &item {
                    Item::Record(record) => record.len(),
                    Item::Lost(_) => 0,
                };
                if found.len() >= items || (length > bytes && !found.is_empty()) {
                    return Ok(found);
                }
                found.push((seq, item));
            }
        }
        Ok(found)
    }

    /// Takes note that the centre has every item before `next`, and wants that one. What it has is deleted. If it
    /// wants what was deleted long ago, a loss takes that place; if it has numbers that were never given here
    /// (this spool was restored from an older copy, or emptied), what stands here is given up as lost under
    /// the numbers that follow them, for it cannot be told whether the centre has it already. Returns a loss that was
    /// found in this way.
    ///
    /// # Errors
    /// [`SpoolError::File`].
    pub fn acknowledge(&mut self, next: u64, now: UnixTime) -> Result<Option<Lost>, SpoolError> {
        let lost = self.move_to(next, now);
        self.settle_chain();
        lost
    }

    fn move_to(&mut self, next: u64, now: UnixTime) -> Result<Option<Lost>, SpoolError> {
        if next > self.end() {
            return self.skip_to(next, now);
        }
        let mut lost = None;
        if next < self.oldest() {
            let gone = Lost { first: next, last: self.oldest() - 1, at: now };
            let tombstone = self.bury(gone)?;
            self.segments.push_front(tombstone);
            lost = Some(gone);
        }
        self.wanted = next;
        while self.segments.len() > 1 && self.segments.front().is_some_and(|segment| segment.next <= next) {
            self.remove_oldest()?;
        }
        if self.segments.back().is_some_and(|last| last.length >= WORTH_REPLACING) {
            self.sweep()?;
        }
        Ok(lost)
    }

    /// Deletes the last records as well if the centre has all of them; only their number stays.
    ///
    /// # Errors
    /// [`SpoolError::File`].
    pub fn sweep(&mut self) -> Result<(), SpoolError> {
        let next = self.end();
        let unused = self.segments.back().is_some_and(|last| last.first == next);
        if self.wanted == next && !unused {
            self.begin(next)?;
            while self.segments.len() > 1 {
                self.remove_oldest()?;
            }
        }
        Ok(())
    }

    /// The number of the next record; those that could not be written have theirs.
    pub fn next_seq(&self) -> u64 {
        self.end().saturating_add(self.unwritten)
    }

    /// How many items on the disk the centre is not known to have; lost ones count.
    pub fn waiting(&self) -> u64 {
        self.end() - self.wanted
    }

    /// The number after the last item on the disk.
    fn end(&self) -> u64 {
        self.segments.back().map_or(self.wanted, |last| last.next)
    }

    /// Goes on with a number that lies beyond all that were given here, and gives up what waits.
    fn skip_to(&mut self, next: u64, now: UnixTime) -> Result<Option<Lost>, SpoolError> {
        let waiting = self.waiting();
        let lost =
            (waiting > 0).then(|| Lost { first: next, last: next.saturating_add(waiting - 1), at: now });
        match lost {
            Some(lost) => {
                let tombstone = self.bury(lost)?;
                self.segments.push_back(tombstone);
                self.active = None;
            }
            None => self.begin(next)?,
        }
        self.wanted = next;
        while self.segments.len() > 1 {
            self.remove_oldest()?;
        }
        Ok(lost)
    }

    fn oldest(&self) -> u64 {
        self.segments.front().map_or(self.wanted, |segment| segment.first)
    }

    /// The numbers by which the segments in the directory are named, in order; what was half made is removed.
    fn names(&self) -> Result<Vec<u64>, SpoolError> {
        let failed = || failed("list", &self.directory);
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("tmp") => files::remove(&path).map_err(self::failed("remove", &path))?,
                Some("seg") if name.len() == 16 => firsts.extend(u64::from_str_radix(name, 16).ok()),
                _ => {}
            }
        }
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Joins a segment found on disk to those before it.
    fn take_in(&mut self, first: u64, now: UnixTime) -> Result<(), SpoolError> {
        let contents = self.contents(first)?;
        self.cut(first, contents.whole)?;
        let segment = Segment {
            first,
            next: contents.next,
            length: u64::try_from(contents.whole.max(HEADER)).unwrap_or(u64::MAX),
            tombstone: matches!(contents.items.as_slice(), [(_, Item::Lost(_))]),
        };
        if let Some(before) = self.segments.back()
            && before.next > first
        {
            if before.tombstone && segment.next <= before.next {
                // A power cut came after a loss had taken this segment's place and before it was removed.
                return self.remove(first);
            }
            // The end of the segment before failed to reach the disk, as it seemed, and was written again here.
            self.cut_before(first)?;
        }
        if let Some(next) = self.segments.back().map(|before| before.next).filter(|next| *next < first) {
            let tombstone = self.bury(Lost { first: next, last: first - 1, at: now })?;
            self.segments.push_back(tombstone);
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// Shortens the last known segment to the items before number `first`.
    fn cut_before(&mut self, first: u64) -> Result<(), SpoolError> {
        let Some(last) = self.segments.pop_back() else { return Ok(()) };
        let contents = self.contents(last.first)?;
        let kept = contents.items.iter().take_while(|(seq, item)| item.after(*seq) <= first).count();
        let whole = contents.starts.get(kept).copied().unwrap_or(contents.whole);
        self.cut(last.first, whole)?;
        self.segments.push_back(Segment {
            next: contents.items.get(kept).map_or(contents.next, |(seq, _)| *seq),
            length: u64::try_from(whole).unwrap_or(u64::MAX),
            ..last
        });
        Ok(())
    }

    /// Cuts off what follows the whole items of a segment; one without a whole header gets a new one.
    fn cut(&self, first: u64, whole: usize) -> Result<(), SpoolError> {
        let path = self.path(first);
        if whole < HEADER {
            return files::replace(&path, &self.sealer.header(first)).map_err(failed("write", &path));
        }
        let whole = u64::try_from(whole).unwrap_or(u64::MAX);
        let file = std::fs::OpenOptions::new().write(true).open(&path).map_err(failed("open", &path))?;
        if file.metadata().map_err(failed("read", &path))?.len() > whole {
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed("shorten", &path))?;
        }
        Ok(())
    }

    fn contents(&self, first: u64) -> Result<Contents, SpoolError> {
        let path = self.path(first);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed("read", &path))?,
        };
        self.sealer.read(first, &bytes).map_err(|_| SpoolError::WrongKey { path })
    }

    /// Writes the losses that are due, and then the item.
    fn write_with_losses(&mut self, item: Item, now: UnixTime) -> Result<u64, SpoolError> {
        if self.unwritten > 0 {
            let first = self.end();
            let last = first.saturating_add(self.unwritten - 1);
            self.write(&Item::Lost(Lost { first, last, at: now }))?;
            self.unwritten = 0;
        }
        self.write(&item)
    }

    /// Appends one item and waits until the disk has it.
    fn write(&mut self, item: &Item) -> Result<u64, SpoolError> {
        let full = self.segments.back().is_none_or(|last| last.length >= self.segment_length);
        if self.active.is_none() || full {
            self.begin(self.end())?;
        }
        let (Some(active), Some(last)) = (self.active.as_mut(), self.segments.back_mut()) else {
            unreachable!("broken invariant: a segment was just begun")
        };
        let seq = last.next;
        let frame = self.sealer.frame(seq, item);
        let written = active.write_all(&frame).and_then(|()| active.sync_data());
        if let Err(source) = written {
            // Whatever reached the file must not count; if this fails too, opening the spool sees that the
            // next segment begins with the same number and cuts it off then.
            let _cut_later = active.set_len(last.length);
            let path = self.path(self.segments.back().map_or(0, |last| last.first));
            return Err(SpoolError::File { doing: "write", path, source });
        }
        last.next = item.after(seq);
        last.length = last.length.saturating_add(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        last.tombstone = false;
        Ok(seq)
    }

    /// Begins a new segment, in the place of the last one if that is still empty.
    fn begin(&mut self, first: u64) -> Result<(), SpoolError> {
        let path = self.path(first);
        let header = self.sealer.header(first);
        files::replace(&path, &header).map_err(failed("make", &path))?;
        if self.segments.back().is_none_or(|last| last.first != first) {
            let length = u64::try_from(header.len()).unwrap_or(u64::MAX);
            self.segments.push_back(Segment { first, next: first, length, tombstone: false });
        }
        self.active = Some(files::append_to(&path).map_err(failed("open", &path))?);
        Ok(())
    }

    /// Gives up the oldest records until the files are within the limit again.
    fn make_room(&mut self, now: UnixTime) -> Result<Option<Lost>, SpoolError> {
        let mut newly: Option<Lost> = None;
        while self.segments.iter().map(|segment| segment.length).sum::<u64>() > self.limit {
            // A loss that stands in front already grows by the records behind it.
            let victims = if self.segments.front().is_some_and(|oldest| oldest.tombstone) { 2 } else { 1 };
            if self.segments.len() <= victims {
                break;
            }
            let first = self.wanted.max(self.oldest());
            let Some(after) = self.segments.get(victims - 1).map(|segment| segment.next) else { break };
            let begins = self.segments.get(victims - 1).map_or(first, |segment| segment.first.max(first));
            let gone: Vec<u64> = self.segments.iter().take(victims).map(|segment| segment.first).collect();
            if after > first {
                let lost = Lost { first, last: after - 1, at: now };
                let tombstone = self.bury(lost)?;
                self.segments.drain(..victims);
                self.segments.push_front(tombstone);
                newly = Some(Lost { first: newly.map_or(begins, |lost| lost.first), ..lost });
            } else {
                self.segments.drain(..victims);
            }
            for gone in gone.into_iter().filter(|gone| *gone != first) {
                self.remove(gone)?;
            }
        }
        Ok(newly)
    }

    /// Puts a segment that holds one loss on disk, in the place of the one with that name if there is one.
    fn bury(&self, lost: Lost) -> Result<Segment, SpoolError> {
        let path = self.path(lost.first);
        let mut bytes = self.sealer.header(lost.first);
        bytes.extend(self.sealer.frame(lost.first, &Item::Lost(lost)));
        files::replace(&path, &bytes).map_err(failed("write", &path))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Segment { first: lost.first, next: lost.last.saturating_add(1), length, tombstone: true })
    }

    fn remove_oldest(&mut self) -> Result<(), SpoolError> {
        self.segments.pop_front().map_or(Ok(()), |oldest| self.remove(oldest.first))
    }

    fn remove(&self, first: u64) -> Result<(), SpoolError> {
        let path = self.path(first);
        files::remove(&path).map_err(failed("remove", &path))
    }

    fn path(&self, first: u64) -> PathBuf {
        self.directory.join(format!("{first:016x}.seg"))
    }
}

/// The part of an item from number `wanted` on.
fn from(wanted: u64, seq: u64, item: Item) -> Option<(u64, Item)> {
    if item.after(seq) <= wanted {
        return None;
    }
    match item {
        Item::Lost(lost) if seq < wanted => Some((wanted, Item::Lost(Lost { first: wanted, ..lost }))),
        item => Some((seq, item)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    move |source| SpoolError::File { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
