//! When the log may be an older copy of itself: who is told, what is refused, and how an operator goes on.

use angbu_evidence::note::Note;
use angbu_evidence::{Body, Checkpoint, Draft, Kind};

use crate::guard::Mark;
use crate::sequencer::lease::{self, HeadRow};
use crate::sql::values;
use crate::{Snapshot, Store, StoreError, Tx};

/// What an operator's confirmation is in the log.
pub const CONFIRMED: Kind = Kind::constant("evidence.confirmed");

/// What enters the log even while it is in doubt: what a centre says of itself, and what an operator needs to go on.
/// Everything else could be acknowledged to somebody and then be lost with the copy that is put back.
const ALWAYS: [&str; 4] = ["clock.state", "site.start", "site.stop", "account.token"];

impl Store {
    /// What keeps the log from going on, if something does.
    ///
    /// After a passing failure entries are still durable when they are acknowledged, but no proof comes until the next
    /// batch. While the log is in doubt ([`StoreError::LogInDoubt`], [`StoreError::LogUnguarded`]) nothing is signed or
    /// published, and [`Tx::append`] refuses nearly everything.
    pub fn trouble(&self) -> Option<StoreError> {
        self.board().trouble()
    }

    /// Takes in a checkpoint of this log that somebody outside shows. If the log does not lead to it, it stands still
    /// from now on, in every centre. Checkpoints of entries that an operator has given up as lost are let pass.
    ///
    /// # Errors
    /// [`StoreError::LogInDoubt`] when the log does not lead to it, [`StoreError::Unfit`] when it is not signed by a key
    /// of this log, and as every read and write.
    pub async fn seen_checkpoint(&self, note: &str) -> Result<(), StoreError> {
        let unfit = |why: String| StoreError::Unfit { what: format!("a checkpoint of another log: {why}") };
        let signers =
            self.board().signers().ok_or_else(|| StoreError::unavailable("the log has not begun"))?;
        let parsed = Note::parse(note).map_err(|error| unfit(error.to_string()))?;
        parsed.verify(&signers.verifier_keys()?).map_err(|error| unfit(error.to_string()))?;
        let shown = Checkpoint::decode(&parsed.text).map_err(|error| unfit(error.to_string()))?;
        if shown.origin != signers.origin()? {
            return Err(unfit(shown.origin));
        }
        let asked = shown.clone();
        let row = self
            .read(move |snapshot| {
                let Some(row) = HeadRow::read(snapshot)? else { return Ok(None) };
                let is_known = snapshot.is_given_up(asked.size)?
                    || lease::leads_on(snapshot, &row.head, asked.size, &asked.root)?;
                Ok::<_, StoreError>(if is_known { None } else { Some(row) })
            })
            .await?;
        let Some(row) = row else { return Ok(()) };
        let (era, seen, note) = (row.era, shown.size, note.to_owned());
        self.write(move |tx| lease::doubt(tx, era, seen, &note)).await?;
        let error = StoreError::LogInDoubt { seen, size: row.head.size };
        self.board().stand_still(error.clone());
        Err(error)
    }

    /// Goes on with the log as the database has it, on an operator's word: what was signed beyond `size` is given up.
    /// The draft is the entry that says so, of the kind [`CONFIRMED`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the log is not in doubt, [`StoreError::Conflict`] when it has another size than the
    /// operator was told, and as [`Tx::append`].
    pub async fn confirm_log(&self, size: u64, draft: &Draft, body: &Body) -> Result<(), StoreError> {
        if draft.kind != CONFIRMED {
            return Err(StoreError::Unfit { what: format!("a confirmation of the kind {}", draft.kind) });
        }
        let local = self.board().doubt();
        let mark = self.guard().mark();
        let (marked, draft, body) = (mark.clone(), draft.clone(), body.clone());
        let row = self
            .write(move |tx| {
                let row = HeadRow::read(tx)?.ok_or(StoreError::NotFound { what: "log" })?;
                if row.doubt.is_none() && local.is_none() {
                    return Err(StoreError::NotFound { what: "doubt about the log" });
                }
                let confirmed = tx.confirm(&row, size, marked.as_ref(), &draft)?;
                tx.append(&draft, &body)?;
                Ok(confirmed)
            })
            .await?;
        let signers =
            self.board().signers().ok_or_else(|| StoreError::unavailable("the log has not begun"))?;
        let origin = signers.origin()?;
        self.guard().set(&Mark { origin, era: row.era, size: row.head.size, root: row.head.root })?;
        self.guard().sync()?;
        self.board().go_on();
        Ok(())
    }
}

impl Snapshot<'_> {
    /// Whether an operator has given a checkpoint of this size up as lost.
    fn is_given_up(&self, size: u64) -> Result<bool, StoreError> {
        let found = self.sql.first(
            "SELECT 1 FROM evidence_confirmations WHERE size < ?1 AND lost >= ?1 LIMIT 1",
            values![size],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    /// Begins another era of the log, and takes it from whoever holds it.
    fn confirm(
        &self,
        row: &HeadRow,
        size: u64,
        mark: Option<&Mark>,
        draft: &Draft,
    ) -> Result<HeadRow, StoreError> {
        // An era that no guard can know yet.
        let era = row.era.max(mark.map_or(0, |mark| mark.era)) + 1;
        let lost = row.doubt.unwrap_or_default().max(row.head.size);
        self.sql.execute_one(
            "UPDATE evidence_head SET era = ?1, doubt = NULL, doubted = '', epoch = epoch + 1, holder = NULL
             WHERE one = 1 AND size = ?2 AND era = ?3",
            values![era, size, row.era],
            StoreError::Conflict { what: "the log's size" },
        )?;
        self.sql.execute(
            "INSERT INTO evidence_confirmations (era, size, lost, entry_id) VALUES (?1, ?2, ?3, ?4)",
            values![era, size, lost, draft.id],
        )?;
        Ok(HeadRow { era, ..row.clone() })
    }

    /// Refuses an entry while the log is in doubt.
    pub(super) fn check_doubt(&self, draft: &Draft) -> Result<(), StoreError> {
        refuse(self.board, draft)
    }
}

/// Refuses an entry while the log is in doubt.
pub(crate) fn refuse(board: &crate::board::Board, draft: &Draft) -> Result<(), StoreError> {
    let is_always = draft.kind == CONFIRMED || ALWAYS.contains(&draft.kind.as_str());
    if is_always { Ok(()) } else { board.doubt().map_or(Ok(()), Err) }
}
