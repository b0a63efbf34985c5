//! Machines that joined: hosts and relying parties.

use angbu_accounts::{Grant, Reach, Role, Secret};
use angbu_requests::Origins;
use angbu_store::accounts::{CustomerRow, MachineRow, TokenRow};
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{EntryId, MachineId, ProvenInstant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::enrolments::JoinWish;
use super::tokens::{insert_token, new_token};
use super::{MACHINE, name_needed, yes_or_no};
use crate::centre::{Centre, append, rng};
use crate::problem::Refusal;
use crate::types::enrolments::{EnrolmentKind, Machine};
use crate::types::instant;

impl Centre {
    /// The machines within a reach.
    pub(crate) async fn machines(&self, reach: Reach) -> Result<Vec<Machine>, Refusal> {
        self.store
            .read(move |snapshot| {
                let rows = match reach {
                    Reach::Site => snapshot.machines()?,
                    Reach::Customer(customer) => snapshot.machines_of(customer)?,
                };
                rows.into_iter().map(|row| Ok(show(snapshot, row)?)).collect()
            })
            .await
    }

    /// Shuts a machine within a reach out or lets it in again, or sets the origins of a relying party.
    pub(crate) async fn change_machine(
        &self,
        reach: Reach,
        id: MachineId,
        disabled: Option<bool>,
        origins: Option<Origins>,
        by: String,
    ) -> Result<Machine, Refusal> {
        let instant = self.instant();
        let changed = self
            .store
            .write(move |tx| {
                let found = tx.machine(id)?.filter(|row| reach.covers(row.customer));
                let before = found.ok_or_else(|| Refusal::unknown("machine", &id.to_string()))?;
                let mut row = before.clone();
                row.disabled = disabled.unwrap_or(row.disabled);
                if let Some(origins) = origins {
                    if row.kind != EnrolmentKind::RelyingParty.word() {
                        let why = "origins: only a relying party has origins that browsers return to";
                        return Err(Refusal::Invalid(why.into()));
                    }
                    row.origins = origins.to_string();
                }
                if row != before {
                    row.entry = write_down(tx, &row, "changed", instant, &by)?;
                    tx.update_machine(&row)?;
                }
                Ok::<_, Refusal>(show(tx, row)?)
            })
            .await;
        // Its token is looked up again, and not found any more.
        self.recent_tokens.forget();
        changed
    }
}

/// A machine that has just joined, and a relying party's token.
pub(super) type JoinedMachine = (MachineRow, CustomerRow, Option<Secret>);

/// Lets a machine in.
pub(super) fn admit(
    tx: &mut Tx<'_>,
    wish: &JoinWish,
    customer: CustomerRow,
    code: &str,
    instant: ProvenInstant,
) -> Result<JoinedMachine, StoreError> {
    let mut row = MachineRow {
        id: MachineId::random(&mut rng()),
        customer: customer.id,
        kind: wish.kind.word().to_owned(),
        name: wish.name.as_str().to_owned(),
        origins: String::new(),
        public_key: wish.public_key,
        entry: EntryId::from_bytes([0; 16]),
        enrolled: instant.time,
        disabled: false,
        version: 1,
    };
    row.entry = write_down(tx, &row, "joined", instant, code)?;
    tx.insert_machine(&row)?;
    let secret = give_token(tx, wish.kind, &row, code, instant)?;
    Ok((row, customer, secret))
}

/// Answers a machine whose answer was lost: its own key, enrolled under this name by the same code. What it was given
/// then was shown once and is gone, so a relying party gets another token in the place of the one before.
pub(super) fn admit_again(
    tx: &mut Tx<'_>,
    wish: &JoinWish,
    customer: CustomerRow,
    code: &str,
    instant: ProvenInstant,
) -> Result<Option<JoinedMachine>, StoreError> {
    let found = tx.machine_named(customer.id, wish.kind.word(), wish.name.as_str())?;
    let Some(row) = found.filter(|row| row.public_key == wish.public_key && !row.disabled) else {
        return Ok(None);
    };
    tx.revoke_tokens_of(row.id)?;
    let secret = give_token(tx, wish.kind, &row, code, instant)?;
    Ok(Some((row, customer, secret)))
}

fn give_token(
    tx: &mut Tx<'_>,
    kind: EnrolmentKind,
    machine: &MachineRow,
    code: &str,
    instant: ProvenInstant,
) -> Result<Option<Secret>, StoreError> {
    if kind != EnrolmentKind::RelyingParty {
        return Ok(None);
    }
    let grant = Grant::of(Role::RelyingParty, Reach::of(machine.customer));
    let (row, secret) = new_token(machine.name.clone(), &grant, instant, None);
    insert_token(tx, &TokenRow { machine: Some(machine.id), ..row }, instant, code)?;
    Ok(Some(secret))
}

/// The `account.machine` entry of a change.
fn write_down(
    tx: &mut Tx<'_>,
    row: &MachineRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<EntryId, StoreError> {
    let fields = [
        ("machine", row.id.to_string().into_bytes()),
        ("kind", row.kind.clone().into_bytes()),
        ("name", row.name.clone().into_bytes()),
        ("origins", row.origins.clone().into_bytes()),
        ("public-key", row.public_key.to_vec()),
        ("disabled", yes_or_no(row.disabled).into_bytes()),
        ("change", change.as_bytes().to_vec()),
        ("by", by.as_bytes().to_vec()),
    ];
    append(tx, MACHINE, row.customer, instant, fields)
}

fn show(snapshot: &Snapshot<'_>, row: MachineRow) -> Result<Machine, StoreError> {
    Ok(Machine {
        id: row.id.to_string(),
        kind: row.kind,
        name: row.name,
        customer: name_needed(snapshot, row.customer)?,
        origins: row.origins.split_ascii_whitespace().map(str::to_owned).collect(),
        public_key: STANDARD.encode(row.public_key),
        enrolled_at: instant(row.enrolled),
        disabled: row.disabled,
        entry: row.entry.to_string(),
    })
}
