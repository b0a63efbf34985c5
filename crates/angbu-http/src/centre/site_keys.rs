//! The keys of the site: which there are, and how each is replaced while everybody works on.

use angbu_accounts::fingerprint;
use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Kind, Promise};
use angbu_store::{KeyRow, Purpose, Resealed, StoreError};
use angbu_units::{CustomerId, EntryId};

use super::{Centre, append_text};
use crate::problem::Refusal;
use crate::types::evidence::{Key, KeyChanged};
use crate::types::instant;

/// How many values are sealed anew in one transaction.
const RESEALED_AT_ONCE: u64 = 256;

impl Centre {
    /// The keys that verify the log's newest checkpoint, the newest first: two while the log's key is being replaced.
    pub fn log_keys(&self) -> Vec<VerifierKey> {
        // The origin is a name that keys can have: the log was opened under it.
        self.store.log_keys(&self.site.origin).unwrap_or_default()
    }

    /// What the log's checkpoints are to be verified with from now on.
    pub fn log_key(&self) -> String {
        self.log_keys().first().map(ToString::to_string).unwrap_or_default()
    }

    /// What enrolment codes are bound to: those that are made now to the first.
    pub(crate) fn fingerprints(&self) -> Vec<[u8; 32]> {
        self.log_keys().iter().map(|key| fingerprint(&self.site.tls_public_key, key)).collect()
    }

    /// The site's keys, the oldest first.
    pub(crate) async fn site_keys(&self) -> Result<Vec<Key>, Refusal> {
        let rows = self.store.read(|snapshot| snapshot.site_keys()).await?;
        Ok(rows.iter().map(|row| self.show_key(row)).collect())
    }

    /// Makes a purpose's next key; what the key before sealed is then sealed anew in the background.
    pub(crate) async fn rotate_key(&self, purpose: Purpose, by: String) -> Result<KeyChanged, Refusal> {
        let (now, origin) = (self.instant(), self.site.origin.clone());
        let (key, entry) = self
            .store
            .write(move |tx| {
                let key = tx.rotate(purpose, now.time)?;
                let verifier_key = verifier_key(&origin, purpose, key.public_key);
                let entry = announce(tx, now, purpose, key.id, "made", verifier_key, by)?;
                Ok::<_, StoreError>((key, entry))
            })
            .await?;
        tracing::info!(purpose = purpose.word(), key = key.id, "a key of the site was made");
        let verifier_key = verifier_key(&self.site.origin, purpose, key.public_key);
        Ok(KeyChanged { id: key.id, entry_id: entry.to_string(), verifier_key })
    }

    /// Ends the older of the log's two keys.
    pub(crate) async fn retire_log_key(&self, by: String) -> Result<KeyChanged, Refusal> {
        let (now, origin) = (self.instant(), self.site.origin.clone());
        let (key, entry) = self
            .store
            .write(move |tx| {
                let key = tx.retire_log_key(now.time)?;
                let verifier_key = verifier_key(&origin, Purpose::Log, key.public_key);
                let entry = announce(tx, now, Purpose::Log, key.id, "retired", verifier_key, by)?;
                Ok((key, entry))
            })
            .await
            .map_err(|error| {
                match error {
                StoreError::NotFound { .. } => Refusal::UnderWay(
                    "the log has one key only; make the next one first (rotate), and retire the old one when \
                     everybody has learnt the new one"
                        .into(),
                ),
                error => error.into(),
            }
            })?;
        tracing::info!(key = key.id, "a key of the log was retired");
        let verifier_key = verifier_key(&self.site.origin, Purpose::Log, key.public_key);
        Ok(KeyChanged { id: key.id, entry_id: entry.to_string(), verifier_key })
    }

    /// Seals anew what retired keys sealed, until nothing of it is left or the centre stops.
    ///
    /// # Errors
    /// Where the database does not take it; it goes on from there at the next call.
    pub async fn reseal(&self) -> Result<(), StoreError> {
        for purpose in Purpose::ALL {
            while !*self.stop.borrow() {
                match self.store.reseal(purpose, RESEALED_AT_ONCE).await? {
                    // Everybody else's transactions come between two steps.
                    Resealed::More(_) => tokio::task::yield_now().await,
                    Resealed::Nothing => break,
                    Resealed::Done => {
                        tracing::info!(purpose = purpose.word(), "a retired key of the site is gone");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn show_key(&self, row: &KeyRow) -> Key {
        Key {
            id: row.id,
            purpose: row.purpose.word().to_owned(),
            created_at: instant(row.created),
            retired_at: row.retired.map(instant),
            resealed: row.retired.filter(|_| !row.purpose.signs()).map(|_| row.resealed),
            verifier_key: verifier_key(&self.site.origin, row.purpose, row.public_key),
        }
    }
}

fn announce(
    tx: &mut angbu_store::Tx<'_>,
    now: angbu_units::ProvenInstant,
    purpose: Purpose,
    id: u32,
    what: &str,
    verifier_key: Option<String>,
    by: String,
) -> Result<EntryId, StoreError> {
    let fields = [
        ("purpose", purpose.word().to_owned()),
        ("key-id", id.to_string()),
        ("what", what.to_owned()),
        ("verifier-key", verifier_key.unwrap_or_else(|| "-".to_owned())),
        ("by", by),
    ];
    append_text(tx, Kind::KEY, CustomerId::SITE, now, fields)
}

/// The verifier key of a public half, under the name that its signatures carry.
fn verifier_key(origin: &str, purpose: Purpose, public_key: Option<[u8; 32]>) -> Option<String> {
    let name = match purpose {
        Purpose::Promise => Promise::key_name(origin),
        Purpose::Roughtime => format!("{origin}/roughtime"),
        _ => origin.to_owned(),
    };
    VerifierKey::new(&name, &public_key?).ok().map(|key| key.to_string())
}
