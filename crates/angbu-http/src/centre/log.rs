//! Who watches the log, which receipts a caller may have, and an operator's word that the log goes on.

use std::collections::BTreeMap;

use angbu_accounts::Reach;
use angbu_evidence::{Body, Draft, Entry, Receipt};
use angbu_store::evidence::{CONFIRMED, CosignatureRow, Standing, WitnessKind};
use angbu_store::{Snapshot, StoreError};
use angbu_units::{CustomerId, EntryId};

use super::Centre;
use crate::problem::Refusal;
use crate::types::evidence::{Witness, Witnesses};

/// The longest reason that a confirmation gives.
const LONGEST_REASON: usize = 500;

impl Centre {
    /// The receipt of an entry that is in the log and within a reach.
    pub(crate) async fn receipt_within(&self, reach: Reach, id: EntryId) -> Result<Receipt, Refusal> {
        let unknown = || Refusal::unknown("entry", &id.to_string());
        match self.store.standing(id).await? {
            Standing::Proven(receipt) => {
                let entry = Entry::decode(&receipt.entry).map_err(|e| Refusal::Internal(e.to_string()))?;
                if reach.covers(entry.customer) { Ok(*receipt) } else { Err(unknown()) }
            }
            Standing::Pending => Err(Refusal::Unavailable {
                seconds: 1,
                reason: format!("{id} waits for its place in the log"),
            }),
            Standing::Unknown => Err(unknown()),
        }
    }

    /// Who watches the log. Within one customer: its own agents, and the configured witnesses.
    pub(crate) async fn watchers(&self, reach: Reach) -> Result<Witnesses, Refusal> {
        let size = self.published.borrow().as_ref().map_or(0, |published| published.head.size);
        let configured: Vec<_> =
            (0..self.witness_keys().len()).filter_map(|place| self.configured(place)).collect();
        let witnesses = self
            .store
            .read(move |snapshot| {
                let rows = snapshot.cosignatures()?;
                let mut names = Names::default();
                let mut witnesses = Vec::new();
                // Those of the configuration, whether they have ever answered or not; those of an earlier one are gone.
                for witness in configured {
                    let same =
                        |row: &&CosignatureRow| row.name == witness.name && row.key_id == witness.key_id;
                    let row = rows.iter().find(same).cloned().unwrap_or(witness);
                    witnesses.push(shown(row, size, None));
                }
                for row in rows.into_iter().filter(|row| row.kind == WitnessKind::Agent) {
                    let id = row.name.rsplit('/').next().and_then(|id| id.parse().ok());
                    let agent = id.map(|id| snapshot.agent(id)).transpose()?.flatten();
                    let Some(agent) = agent.filter(|agent| reach.covers(agent.customer)) else { continue };
                    let customer = names.of(snapshot, agent.customer)?;
                    witnesses.push(shown(row, size, Some((agent.name, customer))));
                }
                Ok::<_, StoreError>(witnesses)
            })
            .await?;
        Ok(Witnesses { witnesses })
    }

    /// Goes on with a log that is in doubt, on an operator's word.
    pub(crate) async fn confirm_log(&self, size: u64, reason: &str) -> Result<EntryId, Refusal> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > LONGEST_REASON || reason.chars().any(char::is_control) {
            return Err(Refusal::Invalid(format!(
                "reason is one line of 1 to {LONGEST_REASON} bytes: it stands in the log for good"
            )));
        }
        let stamp = self.instant();
        let fields = [("size", size.to_string().into_bytes()), ("reason", reason.as_bytes().to_vec())];
        let body =
            Body::new(&mut super::rng(), fields).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let id = EntryId::new(stamp.time, &mut super::rng());
        let body_root = body.root();
        let draft = Draft { id, kind: CONFIRMED, instant: stamp, customer: CustomerId::SITE, body_root };
        match self.store.confirm_log(size, &draft, &body).await {
            Ok(()) => Ok(id),
            Err(StoreError::NotFound { .. }) => {
                Err(Refusal::Invalid("the log is not in doubt; there is nothing to confirm".into()))
            }
            Err(StoreError::Conflict { .. }) => Err(Refusal::Invalid(format!(
                "the log has another size than {size}; read what is wrong again (GET /readyz) before confirming"
            ))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Customers' names, looked up once each.
#[derive(Default)]
pub(super) struct Names(BTreeMap<CustomerId, String>);

impl Names {
    pub(super) fn of(&mut self, snapshot: &Snapshot<'_>, customer: CustomerId) -> Result<String, StoreError> {
        if customer == CustomerId::SITE {
            return Ok("-".to_owned());
        }
        if let Some(name) = self.0.get(&customer) {
            return Ok(name.clone());
        }
        let name =
            snapshot.customer(customer)?.map_or_else(|| customer.to_string(), |customer| customer.name);
        self.0.insert(customer, name.clone());
        Ok(name)
    }
}

fn shown(row: CosignatureRow, size: u64, agent: Option<(String, String)>) -> Witness {
    let (agent, customer) = agent.unzip();
    Witness {
        name: row.name,
        key: row.vkey,
        kind: row.kind.word().to_owned(),
        agent,
        customer,
        size: row.size,
        cosigned_at: row.cosigned_at.map(|at| at.rfc3339(0)),
        behind: size.saturating_sub(row.size),
        trouble: row.trouble,
    }
}
