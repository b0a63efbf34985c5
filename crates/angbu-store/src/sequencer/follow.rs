//! Following: a centre that does not hold the log publishes what the holder signed, and watches whether it lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use angbu_evidence::note::Note;
use angbu_evidence::sequence::Head;
use angbu_evidence::{Checkpoint, merkle};

use super::batch::{entries_between, load_nodes};
use super::lease::{self, HeadRow, Trust, Watch};
use super::{Flow, Published, Role, Worker};
use crate::StoreError;
use crate::board::{Batch, Board};
use crate::guard::Mark;

/// How often a follower looks while somebody waits for a proof or the log grows, and how often else.
const BUSY: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_millis(250);
/// How long after it grew a log counts as growing.
const GROWING: Duration = Duration::from_secs(2);
/// How many entries a follower reads at once; when it is further behind, whoever waits asks the database.
const FAR_BEHIND: u64 = 32_768;

impl Worker {
    /// Follows until this centre should hold the log.
    pub(super) fn follow(&mut self, board: &Board) -> Flow {
        let (mut seen, mut rest) = (0, IDLE);
        let mut grown = Instant::now();
        loop {
            let looked = Instant::now();
            match self.look(board) {
                Ok(Looked::Holding) => return Flow::Turn,
                Ok(Looked::Grown) => (rest, grown) = (IDLE, looked),
                Ok(Looked::Quiet) => rest = IDLE,
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be followed now");
                    board.set_trouble(error);
                    if let Role::Following(watch) = &mut self.role {
                        // Whatever keeps this centre from the database can keep the holder from it too.
                        watch.begin_again();
                    }
                    rest = (rest * 2).min(super::LONGEST_REST);
                }
            }
            let is_busy = rest == IDLE && (grown.elapsed() < GROWING || board.is_waited_for());
            let go_on = if rest > IDLE || is_busy {
                board.rest_until(looked + if is_busy { BUSY } else { rest }, &self.stop)
            } else {
                // Whoever comes while it rests shortens the rest.
                board.wait_for_work_until(&mut seen, Some(looked + IDLE), &self.stop)
                    && board.rest_until(looked + BUSY, &self.stop)
            };
            if !go_on {
                return Flow::Stop;
            }
        }
    }

    /// One look at the head: publishes what is new, and takes the log over when it is free.
    fn look(&mut self, board: &Board) -> Result<Looked, StoreError> {
        let (mark, row) = self.marked_row()?;
        if let Some(doubt) = row.in_doubt() {
            board.stand_still(doubt);
            return Ok(Looked::Quiet);
        }
        let Role::Following(watch) = &mut self.role else { return Ok(Looked::Holding) };
        let is_silent = watch.look(&row, self.lease.patience);
        let is_alive = watch.is_alive;
        let trust = self.trust(&row, mark)?;
        if let Trust::Doubt(mark) = trust {
            board.stand_still(self.raise_doubt(&row, mark)?);
            return Ok(Looked::Quiet);
        }
        let is_free = row.holder.is_none()
            || self.raised == Some(row.head.epoch)
            || (self.lease.is_shared && is_silent);
        // A centre that was never here learns from one that lives what the log is; else nobody can tell it.
        if trust == Trust::Unguarded && !is_alive {
            if is_free {
                board.stand_still(StoreError::LogUnguarded { size: row.head.size });
            }
            return Ok(Looked::Quiet);
        }
        let grown = self.publish_followed(&row)?;
        board.go_on();
        if is_free && trust == Trust::Whole && self.take_over(&row)? {
            return Ok(Looked::Holding);
        }
        Ok(if grown { Looked::Grown } else { Looked::Quiet })
    }

    /// The guard's mark and the head. The mark is read first: the head that it is of was in the database before.
    pub(super) fn marked_row(&self) -> Result<(Option<Mark>, HeadRow), StoreError> {
        let mark = self.store.guard().mark();
        Ok((mark, HeadRow::read_or_make(&self.store)?))
    }

    /// What the guard says of the log; asked again only when the log has changed.
    pub(super) fn trust(&mut self, row: &HeadRow, mark: Option<Mark>) -> Result<Trust, StoreError> {
        let judged = (mark.clone(), row.head, row.era);
        if self.judged.as_ref() == Some(&judged) {
            return Ok(Trust::Whole);
        }
        let (origin, asked) = (self.origin.clone(), row.clone());
        let trust =
            self.store.read_blocking(move |snapshot| Trust::judge(snapshot, &asked, &origin, mark))?;
        if trust == Trust::Whole {
            self.judged = Some(judged);
        }
        Ok(trust)
    }

    /// Tells all centres that the guard of this one saw more than the database has.
    pub(super) fn raise_doubt(&self, row: &HeadRow, mark: Mark) -> Result<StoreError, StoreError> {
        let (era, seen) = (row.era, mark.size);
        let what = format!("{}\n{}\n{}\n", mark.origin, mark.size, mark.root);
        self.store.write_blocking(move |tx| lease::doubt(tx, era, seen, &what))?;
        let error = StoreError::LogInDoubt { seen, size: row.head.size };
        tracing::error!(%error, "nothing is signed any more");
        Ok(error)
    }

    /// Publishes the checkpoint that stands beside the head, if it is new; `true` when the log has grown by that.
    fn publish_followed(&mut self, row: &HeadRow) -> Result<bool, StoreError> {
        self.enter_era(row.era);
        if row.note.is_empty() || self.followed.as_ref() == Some(&row.note) {
            return Ok(false);
        }
        let checkpoint = self.verified(&row.note)?;
        let (size, first) = (checkpoint.size, self.published.unwrap_or(checkpoint.size));
        if size < first {
            // This centre held the log before, and its last checkpoint was not kept.
            return Ok(false);
        }
        // What was appended here before this centre followed can be in the log already.
        let is_far_behind = self.published.is_none() || size - first > FAR_BEHIND;
        let begin = if is_far_behind { size } else { first };
        let (entries, nodes) = self.store.read_blocking(move |snapshot| {
            Ok::<_, StoreError>((entries_between(snapshot, begin, size)?, load_nodes(snapshot, begin, size)?))
        })?;
        let root = merkle::tree_root(&nodes, size).map_err(|error| StoreError::corrupt(error.to_string()))?;
        if root != checkpoint.root {
            return Err(StoreError::corrupt("the newest checkpoint is not of the log's tiles"));
        }
        let head = Head { size, root, epoch: row.head.epoch };
        let published = Arc::new(Published { head, checkpoint: row.note.clone(), signed_at: row.signed_at });
        self.announce(Batch { first: begin, entries, nodes, published })?;
        if is_far_behind {
            self.store.board().forget_waiting();
        }
        self.followed = Some(row.note.clone());
        Ok(size > first)
    }

    /// The checkpoint of a note that one of the log's keys has signed.
    fn verified(&self, note: &str) -> Result<Checkpoint, StoreError> {
        let wrong = |why: String| StoreError::corrupt(format!("the newest checkpoint: {why}"));
        let note = Note::parse(note).map_err(|error| wrong(error.to_string()))?;
        note.verify(&self.signers.verifier_keys()?).map_err(|error| wrong(error.to_string()))?;
        let checkpoint = Checkpoint::decode(&note.text).map_err(|error| wrong(error.to_string()))?;
        if checkpoint.origin == self.origin { Ok(checkpoint) } else { Err(wrong(checkpoint.origin)) }
    }

    /// After an operator has confirmed the log as it stands, what was published of the one before counts no more.
    pub(super) fn enter_era(&mut self, era: u64) {
        if self.era != era {
            self.era = era;
            self.published = None;
            self.followed = None;
            self.store.board().forget_published();
        }
    }

    /// Becomes a follower.
    pub(super) fn step_down(&mut self) -> Result<(), StoreError> {
        let row = HeadRow::read_or_make(&self.store)?;
        self.role = Role::Following(Watch::begin(&row));
        self.judged = None;
        Ok(())
    }
}

/// What a follower found.
enum Looked {
    /// The log is its own now.
    Holding,
    Grown,
    Quiet,
}
