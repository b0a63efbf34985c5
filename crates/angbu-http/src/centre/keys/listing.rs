//! Tries that were judged, from the log.

use std::collections::HashMap;

use angbu_evidence::Entry;
use angbu_store::{Snapshot, StoreError};
use angbu_units::KeyTokenId;

use super::{TRY, TriesWish};
use crate::centre::Centre;
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::keys::{KeyTries, KeyTryRow};

impl Centre {
    /// A customer's tries, the newest first, of one token or of all.
    pub(crate) async fn key_tries(&self, wish: TriesWish) -> Result<KeyTries, Refusal> {
        self.store.read(move |snapshot| list(snapshot, &wish)).await.map_err(Refusal::from)
    }
}

fn list(snapshot: &Snapshot<'_>, wish: &TriesWish) -> Result<KeyTries, StoreError> {
    let listing = snapshot.listing(Some(wish.customer), Some(&TRY), wish.before, wish.limit)?;
    let (mut logins, mut tries) = (HashMap::new(), Vec::new());
    let wanted = wish.token.map(|token| token.to_string());
    for item in &listing.entries {
        let entry = Entry::decode(&item.entry)
            .map_err(|error| StoreError::Corrupt { what: format!("entry {}: {error}", item.index) })?;
        let Some(body) = snapshot.body(entry.id)? else { continue };
        let field = |name: &str| {
            let value = body.get(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let token = field("token");
        if wanted.as_ref().is_some_and(|wanted| *wanted != token) {
            continue;
        }
        let login_id = match logins.get(&token) {
            Some(known) => Option::clone(known),
            None => {
                let row = token.parse::<KeyTokenId>().ok().map(|id| snapshot.key_token(id)).transpose()?;
                let login = row.flatten().map(|row| row.made_of.login_id);
                logins.insert(token.clone(), login.clone());
                login
            }
        };
        let reason = field("verdict");
        tries.push(KeyTryRow {
            entry: entry.id.to_string(),
            at: instant(entry.time),
            token,
            holder_id: field("subject"),
            login_id,
            ok: reason == "accepted",
            reason,
            method: field("method"),
            clock_verdict: entry.verdict.into(),
            error_bound_ns: entry.error_bound.count(),
            by: field("by"),
        });
    }
    Ok(KeyTries { tries, next: listing.next })
}
