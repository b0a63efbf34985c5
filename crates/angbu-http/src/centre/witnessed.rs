//! Who watches this log: what agents show of it and cosign, and what the configured witnesses do.

use std::sync::Arc;
use std::time::Duration;

use angbu_evidence::cosign;
use angbu_evidence::merkle;
use angbu_evidence::note::{Note, SignatureLine, VerifierKey};
use angbu_evidence::{Checkpoint, Hash};
use angbu_store::evidence::{CosignatureRow, WitnessKind};
use angbu_store::{Published, StoreError};
use angbu_units::{AgentId, UnixTime};

use super::Centre;
use super::witnesses::Witnessed;
use crate::problem::Refusal;
use crate::types::evidence::LogGrowth;

/// How long an answer waits for a centre that follows another to see what an agent has seen there.
const CATCH_UP: Duration = Duration::from_secs(1);

/// How long a report waits for the witnesses.
const WITNESS_PATIENCE: Duration = Duration::from_secs(12);

/// What an agent showed of the log.
pub(crate) struct Shown {
    /// The size of its checkpoint; 0 for none.
    pub(crate) size: u64,
    /// Its cosignature, to be kept.
    pub(crate) cosignature: Option<CosignatureRow>,
}

impl Centre {
    /// Looks at the checkpoint that an agent's upload shows. One of another log, or one whose cosignature is not the
    /// agent's, is passed over: the records beside it are good all the same.
    ///
    /// # Errors
    /// Where this log does not lead to the checkpoint, which it has signed: it is in doubt from now on.
    pub(crate) async fn shown(
        &self,
        agent: AgentId,
        public_key: &[u8; 32],
        checkpoint: Option<&str>,
    ) -> Result<Shown, StoreError> {
        let nothing = Shown { size: 0, cosignature: None };
        let Some(text) = checkpoint else { return Ok(nothing) };
        let Ok(note) = Note::parse(text) else { return Ok(nothing) };
        let Ok(shown) = Checkpoint::decode(&note.text) else { return Ok(nothing) };
        match self.store.seen_checkpoint(text).await {
            Ok(()) => {}
            Err(StoreError::Unfit { what }) => {
                tracing::warn!(%agent, %what, "an agent shows a checkpoint that is not this log's");
                return Ok(nothing);
            }
            Err(error) => return Err(error),
        }
        let cosignature = self.cosignature(agent, public_key, &note, shown.size);
        Ok(Shown { size: shown.size, cosignature })
    }

    fn cosignature(
        &self,
        agent: AgentId,
        public_key: &[u8; 32],
        note: &Note,
        size: u64,
    ) -> Option<CosignatureRow> {
        let name = format!("{}/agent/{agent}", self.site.origin);
        let key = VerifierKey::witness(&name, public_key).ok()?;
        let line = note.signatures.iter().find(|line| line.claims(&key))?;
        match cosign::verify(&note.text, line, &key) {
            Ok(seconds) => Some(CosignatureRow {
                key_id: key.key_id(),
                vkey: key.to_string(),
                kind: WitnessKind::Agent,
                size,
                line: line.encode(),
                cosigned_at: Some(of_seconds(seconds)),
                trouble: None,
                name,
            }),
            Err(error) => {
                tracing::warn!(%agent, %error, "an agent's cosignature is passed over");
                None
            }
        }
    }

    /// The newest checkpoint and how it grew from the log of `old` entries; nothing where this centre has not come so
    /// far yet.
    pub(crate) async fn growth(&self, old: u64) -> Result<Option<LogGrowth>, StoreError> {
        let mut heads = self.published.clone();
        let has_come =
            |head: &Option<Arc<Published>>| head.as_ref().is_some_and(|head| head.head.size >= old);
        let _ = tokio::time::timeout(CATCH_UP, heads.wait_for(has_come)).await;
        let Some(published) = self.published.borrow().clone() else { return Ok(None) };
        if published.head.size < old {
            return Ok(None);
        }
        self.growth_to(old, &published).await.map(Some)
    }

    /// What is shown to somebody who has seen what this log does not lead to: the newest checkpoint all the same.
    pub(crate) async fn growth_in_doubt(&self, old: u64) -> Option<LogGrowth> {
        let published = self.published.borrow().clone()?;
        self.growth_to(old.min(published.head.size), &published).await.ok()
    }

    async fn growth_to(&self, old: u64, published: &Arc<Published>) -> Result<LogGrowth, StoreError> {
        let size = published.head.size;
        let path = if old == 0 || old == size {
            Vec::new()
        } else {
            self.store
                .read(move |snapshot| {
                    merkle::whole_path(&snapshot.nodes(), old, size)
                        .map_err(|error| StoreError::Corrupt { what: error.to_string() })
                })
                .await?
        };
        Ok(LogGrowth {
            checkpoint: published.checkpoint.clone(),
            path: path.iter().map(ToString::to_string).collect(),
            keys: self.log_keys().iter().map(ToString::to_string).collect(),
        })
    }

    /// The refusal of an upload by a log in doubt, with what its sender needs to prove a fork.
    pub(crate) async fn in_doubt(&self, error: StoreError, seen: Option<&str>) -> Refusal {
        let size = seen.and_then(|note| Note::parse(note).ok());
        let size = size.and_then(|note| Checkpoint::decode(&note.text).ok()).map_or(0, |shown| shown.size);
        match error {
            StoreError::LogInDoubt { .. } | StoreError::LogUnguarded { .. } => Refusal::LogInDoubt {
                reason: error.to_string(),
                log: self.growth_in_doubt(size).await.map(Box::new),
            },
            error => error.into(),
        }
    }
}

/// An instant of whole seconds, as cosignatures say it.
pub(crate) fn of_seconds(seconds: u64) -> UnixTime {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    UnixTime::from_nanos(seconds.saturating_mul(1_000_000_000))
}

impl Centre {
    /// The keys of the configured witnesses, in the configuration's order.
    pub fn witness_keys(&self) -> &[VerifierKey] {
        self.witnesses.keys()
    }

    /// Asks the witnesses about the newest head, unless they are busy or know it.
    pub fn begin_witnessing(&self) {
        let newest = self.published.borrow().clone();
        if let Some(newest) = newest.filter(|newest| newest.head.size > 0) {
            self.witnesses.begin(&newest, self.clock.read().monotonic);
        }
    }

    /// Waits for a head that the witnesses are asked about and that is another than the one asked about before.
    pub async fn head_to_witness(&self, before: Option<&Arc<Published>>) -> Arc<Published> {
        let mut changed = self.witnesses.watch();
        loop {
            let current = self.witnesses.current();
            if let Some(current) = current.filter(|current| before.is_none_or(|before| before != current)) {
                return current;
            }
            // The sender lives as long as this centre.
            let _ = changed.changed().await;
        }
    }

    /// What this log's growth from one size to another looks like to a witness (RFC 9162, section 2.1.4).
    ///
    /// # Errors
    /// As every read.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, StoreError> {
        self.store
            .read(move |snapshot| {
                merkle::consistency(&snapshot.nodes(), old, new)
                    .map_err(|error| StoreError::Corrupt { what: error.to_string() })
            })
            .await
    }

    /// Waits a moment for this centre's log to reach a size; a centre that follows another is a little behind.
    pub async fn reaches(&self, size: u64) -> bool {
        let mut heads = self.published.clone();
        let has_come =
            |head: &Option<Arc<Published>>| head.as_ref().is_some_and(|head| head.head.size >= size);
        matches!(tokio::time::timeout(CATCH_UP, heads.wait_for(has_come)).await, Ok(Ok(_)))
    }

    /// Takes a configured witness's cosignature of a head.
    ///
    /// # Errors
    /// As every write; the cosignature counts all the same.
    pub async fn witnessed_by(
        &self,
        witness: usize,
        published: &Published,
        line: SignatureLine,
        seconds: u64,
    ) -> Result<(), StoreError> {
        let row = self.configured(witness).map(|row| CosignatureRow {
            size: published.head.size,
            line: line.encode(),
            cosigned_at: Some(of_seconds(seconds)),
            ..row
        });
        self.witnesses.cosigned(witness, published, line);
        match row {
            Some(row) => self.store.write(move |tx| tx.keep_cosignature(&row)).await,
            None => Ok(()),
        }
    }

    /// Notes that a configured witness has not cosigned a head, and why if that is news.
    ///
    /// # Errors
    /// As every write.
    pub async fn not_witnessed_by(
        &self,
        witness: usize,
        published: &Published,
        why: Option<String>,
    ) -> Result<(), StoreError> {
        self.witnesses.failed(witness, published);
        match (self.configured(witness), why) {
            (Some(row), Some(why)) => {
                let row = CosignatureRow { trouble: Some(why), ..row };
                self.store.write(move |tx| tx.note_witness_trouble(&row)).await
            }
            _ => Ok(()),
        }
    }

    /// Up to which size a configured witness has seen this log, as far as this site knows.
    ///
    /// # Errors
    /// As every read.
    pub async fn witnessed_size(&self, witness: usize) -> Result<u64, StoreError> {
        let Some(wanted) = self.configured(witness) else { return Ok(0) };
        let rows = self.store.read(|snapshot| snapshot.cosignatures()).await?;
        let found = rows.iter().find(|row| row.name == wanted.name && row.key_id == wanted.key_id);
        Ok(found.map_or(0, |row| row.size))
    }

    pub(crate) fn configured(&self, witness: usize) -> Option<CosignatureRow> {
        let key = self.witnesses.keys().get(witness)?;
        Some(CosignatureRow {
            name: key.name().to_owned(),
            key_id: key.key_id(),
            vkey: key.to_string(),
            kind: WitnessKind::Configured,
            size: 0,
            line: String::new(),
            cosigned_at: None,
            trouble: None,
        })
    }

    /// A head of at least this size with as many cosignatures as the configured witnesses give in a few seconds.
    ///
    /// # Errors
    /// [`Refusal::NotWitnessed`] where all are required and some are missing.
    pub(crate) async fn witnessed(&self, published: &Published) -> Result<Witnessed, Refusal> {
        let size = published.head.size;
        let mut changed = self.witnesses.watch();
        let all = async {
            loop {
                self.begin_witnessing();
                let settled = self.witnesses.round_from(size).is_some_and(|(_, settled)| settled);
                if settled || changed.changed().await.is_err() {
                    return;
                }
            }
        };
        if !self.witnesses.keys().is_empty() {
            let _ = tokio::time::timeout(WITNESS_PATIENCE, all).await;
        }
        let round = self.witnesses.round_from(size);
        let best = round.map_or_else(|| published.clone(), |(round, _)| Published::clone(&round.published));
        let witnessed = self.witnesses.with_lines(&best);
        if self.witnesses.are_required() && !witnessed.missing.is_empty() {
            return Err(Refusal::NotWitnessed(format!(
                "the report needs the cosignature of every witness and {} did not give it in time; see to it that \
                 they run and can be reached, or set require_witnesses = false",
                witnessed.missing.join(", ")
            )));
        }
        Ok(witnessed)
    }
}
