//! Erasing: what was said goes, that it was said stays, and the erasure itself is an entry.

use std::collections::BTreeSet;

use angbu_accounts::Reach;
use angbu_evidence::{Entry, Kind};
use angbu_store::{StoreError, Tx};
use angbu_units::{CustomerId, EntryId, PersonId, ProvenInstant, SubjectId};

use super::shares::SHARE;
use super::{Centre, append_with_id, rng};
use crate::problem::Refusal;

/// How often an erasure is tried again when the fields were sealed anew in the meantime.
const TRIES: u32 = 4;
/// The most entries about one person that one transaction erases from.
const ENTRIES_AT_ONCE: u64 = 256;
/// The most fields that one call names: as many as a body has.
const MOST_FIELDS: usize = angbu_evidence::body::MOST_FIELDS;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

/// Why somebody wants something erased.
pub(crate) struct Because {
    /// In their words.
    pub(crate) reason: String,
    /// Who it is, as entries name them.
    pub(crate) by: String,
}

impl Because {
    fn check(&self) -> Result<(), Refusal> {
        let is_said = !self.reason.trim().is_empty() && self.reason.chars().count() <= LONGEST_REASON;
        if is_said && !self.reason.chars().any(char::is_control) {
            return Ok(());
        }
        Err(Refusal::Invalid(format!(
            "reason: say in 1 to {LONGEST_REASON} characters, without line ends, why this is erased"
        )))
    }
}

/// Whether a field can be erased: what somebody stated or is called, and nothing that a proof or a verdict rests on.
/// Each part of the product says of its own kinds what is personal in them.
pub(super) fn may_be_erased(kind: &Kind, field: &str) -> bool {
    *kind == Kind::NOTE
        || (*kind == SHARE && field == "holder")
        || super::requests::is_personal(kind, field)
        || angbu_accounts::is_personal(kind, field)
        || angbu_time::events::is_personal(kind, field)
}

impl Centre {
    /// Erases fields of an entry. Returns the entry that says so; where all of them were erased before, the one that said
    /// it then.
    pub(crate) async fn erase_fields(
        &self,
        reach: Reach,
        id: EntryId,
        fields: Vec<String>,
        because: &Because,
    ) -> Result<EntryId, Refusal> {
        because.check()?;
        let fields: BTreeSet<String> = fields.into_iter().take(MOST_FIELDS + 1).collect();
        if fields.is_empty() || fields.len() > MOST_FIELDS {
            return Err(Refusal::Invalid(format!("fields: name 1 to {MOST_FIELDS} of the entry's fields")));
        }
        let (entry, there, gone) = self.entry_to_erase(id).await?;
        if !reach.covers(entry.customer) {
            return Err(Refusal::unknown("entry", &id.to_string()));
        }
        for field in &fields {
            if !there.contains(field) && !gone.contains(field) {
                return Err(Refusal::unknown("field", field));
            }
            if !may_be_erased(&entry.kind, field) {
                return Err(Refusal::NotErasable { kind: entry.kind.to_string(), field: field.clone() });
            }
        }
        for _ in 0..TRIES {
            let (fields, reason, by) = (fields.clone(), because.reason.clone(), because.by.clone());
            let (instant, customer) = (self.instant(), entry.customer);
            let erasure = EntryId::new(instant.time, &mut rng());
            let written = self
                .store
                .write(move |tx| {
                    let erased = tx.erase_fields(id, |field| fields.contains(field), erasure)?;
                    if erased.is_empty() {
                        let before =
                            tx.erasures_of(id)?.into_iter().find(|before| fields.contains(&before.field));
                        return before.map(|before| before.by).ok_or(StoreError::NotFound { what: "field" });
                    }
                    let what = [("entry", id.to_string()), ("fields", erased.join(" "))];
                    append_erasure(tx, erasure, customer, instant, what, reason, by)?;
                    Ok(erasure)
                })
                .await;
            match written {
                Err(StoreError::Conflict { .. }) => {}
                other => return Ok(other?),
            }
        }
        Err(busy(&id.to_string()))
    }

    /// The entry, which of its fields are there, and which were erased.
    async fn entry_to_erase(
        &self,
        id: EntryId,
    ) -> Result<(Entry, BTreeSet<String>, BTreeSet<String>), Refusal> {
        let found = self
            .store
            .read(move |snapshot| {
                let Some(body) = snapshot.body(id)? else { return Ok(None) };
                let entry = match snapshot.entry_index(id)? {
                    Some(index) => snapshot.entry(index)?,
                    None => None,
                };
                let gone = snapshot.erasures_of(id)?.into_iter().map(|erasure| erasure.field).collect();
                let there = body.shown().map(|field| field.name.clone()).collect();
                Ok::<_, StoreError>(Some((entry, there, gone)))
            })
            .await?;
        let (entry, there, gone) = found.ok_or_else(|| Refusal::unknown("entry", &id.to_string()))?;
        let entry = entry.ok_or_else(|| Refusal::Unavailable {
            seconds: 1,
            reason: format!("{id} waits for its place in the log"),
        })?;
        let entry =
            Entry::decode(&entry).map_err(|error| Refusal::Internal(format!("entry {id}: {error}")))?;
        Ok((entry, there, gone))
    }

    /// Erases a person: who it is, the password, and every field of every entry about them. The login id is free again.
    /// Returns the entry that says so.
    pub(crate) async fn erase_person(
        &self,
        reach: Reach,
        id: PersonId,
        because: &Because,
    ) -> Result<EntryId, Refusal> {
        because.check()?;
        let unknown = || Refusal::unknown("person", &id.to_string());
        let person = self.store.read(move |snapshot| snapshot.person(id)).await?.ok_or_else(unknown)?;
        if !reach.covers(person.customer) {
            return Err(unknown());
        }
        let (mut newest, mut tries) = (None, 0);
        while tries < TRIES {
            let (instant, reason, by) = (self.instant(), because.reason.clone(), because.by.clone());
            let written = self.store.write(move |tx| erase_from_some(tx, id, instant, reason, by)).await;
            match written {
                Ok(Erased::Some(erasure)) => newest = Some(erasure),
                Ok(Erased::All(erasure)) => return Ok(erasure),
                Ok(Erased::Nothing(before)) => return Ok(newest.unwrap_or(before)),
                Err(StoreError::Conflict { .. }) => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy(&id.to_string()))
    }
}

/// What one transaction erased of a person.
enum Erased {
    /// There are more entries about them.
    Some(EntryId),
    /// That was all.
    All(EntryId),
    /// All of it was erased before, as this entry said then.
    Nothing(EntryId),
}

fn erase_from_some(
    tx: &mut Tx<'_>,
    id: PersonId,
    instant: ProvenInstant,
    reason: String,
    by: String,
) -> Result<Erased, StoreError> {
    let mut person = tx.person(id)?.ok_or(StoreError::NotFound { what: "person" })?;
    let entries = tx.entries_about(id, ENTRIES_AT_ONCE)?;
    if person.known.is_none() && entries.is_empty() {
        return Ok(Erased::Nothing(person.entry));
    }
    let erasure = EntryId::new(instant.time, &mut rng());
    for entry in &entries {
        tx.erase_fields(*entry, |_| true, erasure)?;
        tx.forget_subject(id, *entry)?;
    }
    let is_all = u64::try_from(entries.len()).is_ok_and(|count| count < ENTRIES_AT_ONCE);
    let listed: Vec<String> = entries.iter().map(EntryId::to_string).collect();
    let what = [("person", id.to_string()), ("entries", listed.join(" "))];
    append_erasure(tx, erasure, person.customer, instant, what, reason, by)?;
    (person.known, person.password_hash, person.disabled, person.entry) =
        (None, String::new(), true, erasure);
    tx.update_person(&person)?;
    tx.delete_key_tokens_of(SubjectId::Person(id))?;
    tx.delete_passkeys_of(SubjectId::Person(id))?;
    Ok(if is_all { Erased::All(erasure) } else { Erased::Some(erasure) })
}

fn append_erasure(
    tx: &mut Tx<'_>,
    id: EntryId,
    customer: CustomerId,
    instant: ProvenInstant,
    what: [(&'static str, String); 2],
    reason: String,
    by: String,
) -> Result<(), StoreError> {
    let fields = what.into_iter().chain([("reason", reason), ("by", by)]);
    append_with_id(
        tx,
        id,
        Kind::ERASURE,
        customer,
        instant,
        fields.map(|(name, value)| (name, value.into_bytes())),
    )
}

fn busy(what: &str) -> Refusal {
    Refusal::Unavailable { seconds: 1, reason: format!("{what} keeps being changed") }
}
