//! The log as the API shows it: head, tiles, receipts, statements.

use std::collections::BTreeMap;
use std::time::Duration;

use angbu_evidence::tile::TileId;
use angbu_evidence::{Checkpoint, Draft, Hash, Kind, Promise, Receipt, cose};
use angbu_store::{SigningKey, StoreError};
use angbu_units::{CustomerId, EntryId, Nanos, UnixTime};

use super::{Centre, append};
use crate::problem::Refusal;
use crate::types::evidence::Head;

/// By when a promised entry will be in the log at the latest.
const PROMISED_WITHIN: Nanos = Nanos::from_secs(300);

/// A durable entry that waits for its place in the log.
pub(crate) struct Appended {
    pub(crate) id: EntryId,
    body_root: Hash,
    at: UnixTime,
}

/// What the centre can show of an entry.
pub(crate) enum Shown {
    /// It is in the log: the receipt.
    Receipt(String),
    /// It is durable and will be: the promise.
    Promise(String),
}

/// How often the log counts each customer's entries.
const HOUR: Nanos = Nanos::from_secs(3_600);

impl Centre {
    /// Appends a customer's own statement.
    pub(crate) async fn append_statement(
        &self,
        customer: CustomerId,
        fields: BTreeMap<String, String>,
    ) -> Result<Appended, Refusal> {
        let instant = self.instant();
        let body = angbu_evidence::Body::new(
            &mut super::rng(),
            fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes().to_vec())),
        )
        .map_err(|error| Refusal::Invalid(format!("fields: {error}")))?;
        let id = EntryId::new(instant.time, &mut super::rng());
        let body_root = body.root();
        let draft = Draft { id, kind: Kind::NOTE, instant, customer, body_root };
        self.store.append(&draft, &body).await?;
        Ok(Appended { id, body_root, at: instant.time })
    }

    /// The receipt of an entry as soon as it is in the log, or a promise after `patience`.
    pub(crate) async fn show(&self, entry: &Appended, patience: Duration) -> Result<Shown, Refusal> {
        if let Some(receipt) = self.store.wait(entry.id, patience).await? {
            return Ok(Shown::Receipt(receipt.encode()));
        }
        let promise = Promise {
            origin: self.site.origin.clone(),
            entry: entry.id,
            body_root: entry.body_root,
            by: entry.at + PROMISED_WITHIN,
        };
        let text = promise
            .sign(&self.store.signer(SigningKey::Promise, &Promise::key_name(&self.site.origin))?)
            .map_err(|error| Refusal::Internal(format!("the promise cannot be signed: {error}")))?;
        Ok(Shown::Promise(text))
    }

    /// A receipt as COSE, signed by the newest of the log's keys that have signed its checkpoint.
    pub(crate) fn as_cose(&self, receipt: &Receipt) -> Result<Vec<u8>, Refusal> {
        let internal =
            |why: String| Refusal::Internal(format!("the receipt cannot be written as COSE: {why}"));
        let mut refused = "there is no key of the log".to_owned();
        for signer in self.store.signers(SigningKey::Log, &self.site.origin)? {
            match cose::receipt(receipt, &signer) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => refused = error.to_string(),
            }
        }
        Err(internal(refused))
    }

    /// The log's newest signed head.
    pub(crate) fn head_now(&self) -> Head {
        let published = self.published.borrow().clone();
        let site = &self.site;
        let empty =
            Checkpoint { origin: site.origin.clone(), size: 0, root: angbu_evidence::merkle::empty_root() };
        Head {
            origin: site.origin.clone(),
            size: published.as_ref().map_or(0, |published| published.head.size),
            root: published.as_ref().map_or(empty.root, |published| published.head.root).to_string(),
            signed_at: published.as_ref().map(|published| crate::types::instant(published.signed_at)),
            checkpoint: published
                .as_ref()
                .map(|published| self.witnesses.with_lines(published).published.checkpoint)
                .unwrap_or_default(),
            key: self.log_key(),
            trouble: self.store.trouble().map(|trouble| trouble.to_string()),
        }
    }

    /// A tile of hashes as it was when it had its width; `None` where the log is not so large.
    pub(crate) async fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.store.read(move |snapshot| snapshot.tile(id)).await?)
    }

    /// A bundle of entries; `None` where the log is not so large.
    pub(crate) async fn entries_bundle(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.store.read(move |snapshot| snapshot.bundle(index, width)).await?)
    }

    /// Appends a manifest of the log as it stands, and returns its entry's id.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn append_manifest(&self) -> Result<EntryId, StoreError> {
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let manifest = tx.manifest_now()?;
                let id = append(tx, Kind::MANIFEST, CustomerId::SITE, instant, manifest.fields())?;
                tx.insert_manifest(id, &manifest)?;
                Ok(id)
            })
            .await
    }

    /// Appends this hour's manifest, unless this centre or another of the site has.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn append_hourly_manifest(&self) -> Result<(), StoreError> {
        let instant = self.instant();
        let hour = u64::try_from(instant.time.nanos() / HOUR.count()).unwrap_or(0);
        if self.store.read(move |snapshot| snapshot.has_manifest_of_hour(hour)).await? {
            return Ok(());
        }
        let made = self.store.write(move |tx| {
            let manifest = tx.manifest_now()?;
            let id = append(tx, Kind::MANIFEST, CustomerId::SITE, instant, manifest.fields())?;
            tx.insert_hourly_manifest(id, &manifest, hour)
        });
        match made.await {
            // Another centre was quicker.
            Ok(()) | Err(StoreError::Taken { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
