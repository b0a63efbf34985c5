//! API tokens.

use angbu_accounts::{Grant, Reach, Scope, Scopes, Secret};
use angbu_store::accounts::TokenRow;
use angbu_store::{StoreError, Tx};
use angbu_units::{ProvenInstant, TokenId, UnixTime};

use super::{BY_THE_CENTRE, TOKEN, name_of};
use crate::centre::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::accounts::Token;
use crate::types::instant;

/// The longest name of a holder, in characters.
const LONGEST_HOLDER: usize = 120;

impl Centre {
    /// The token with this secret and what it allows, while it lives.
    pub(crate) async fn token_grant(&self, secret: &Secret) -> Result<(TokenId, Grant), Refusal> {
        let hash = *secret.hash().as_bytes();
        let now = self.clock.read();
        let token = match self.recent_tokens.get(&hash, now.monotonic) {
            Some(token) => Some(token),
            None => {
                let token = self.store.read(move |snapshot| snapshot.token_by_secret(&hash)).await?;
                if let Some(token) = &token {
                    self.recent_tokens.put(hash, token.clone(), now.monotonic);
                }
                token
            }
        };
        let live = token.filter(|token| !token.revoked && token.expires.is_none_or(|end| now.wall < end));
        let token = live.ok_or(Refusal::NotSignedIn)?;
        let scopes = token
            .scopes
            .parse()
            .map_err(|error| Refusal::Internal(format!("token {}: {error}", token.id)))?;
        Ok((token.id, Grant { scopes, reach: Reach::of(token.customer) }))
    }

    /// The tokens within a reach.
    pub(crate) async fn tokens(&self, reach: Reach) -> Result<Vec<Token>, Refusal> {
        let tokens = self
            .store
            .read(move |snapshot| {
                let rows = match reach {
                    Reach::Site => snapshot.tokens()?,
                    Reach::Customer(customer) => snapshot.tokens_of(customer)?,
                };
                let named = rows.into_iter().map(|row| Ok((name_of(snapshot, row.customer)?, row)));
                named.collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        Ok(tokens.into_iter().map(|(customer, row)| show(customer, row)).collect())
    }

    /// Makes a token for a program beside the centre; its secret is shown once.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn make_token(
        &self,
        holder: &str,
        grant: Grant,
        expires: Option<UnixTime>,
    ) -> Result<(TokenId, Secret), StoreError> {
        self.add_token(holder.to_owned(), grant, expires, BY_THE_CENTRE.to_owned()).await
    }

    /// Makes a token; its secret is shown once.
    pub(crate) async fn add_token(
        &self,
        holder: String,
        grant: Grant,
        expires: Option<UnixTime>,
        by: String,
    ) -> Result<(TokenId, Secret), StoreError> {
        let instant = self.instant();
        let (row, secret) = new_token(holder, &grant, instant, expires);
        let id = row.id;
        self.store.write(move |tx| insert_token(tx, &row, instant, &by)).await?;
        Ok((id, secret))
    }

    /// Takes back a token that this centre made.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown one, or where the database does not take it.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), StoreError> {
        match self.revoke_token_within(Reach::Site, id, BY_THE_CENTRE.to_owned()).await? {
            true => Ok(()),
            false => Err(StoreError::NotFound { what: "token" }),
        }
    }

    /// Takes a token back for good, if it lies within a reach: `false` where it does not. One that was taken back
    /// before is no error.
    pub(crate) async fn revoke_token_within(
        &self,
        reach: Reach,
        id: TokenId,
        by: String,
    ) -> Result<bool, StoreError> {
        let instant = self.instant();
        let done = self
            .store
            .write(move |tx| {
                let Some(row) = tx.token(id)?.filter(|row| reach.covers(row.customer)) else {
                    return Ok(false);
                };
                if !row.revoked {
                    tx.revoke_token(id)?;
                    write_down(tx, &row, "revoked", instant, &by)?;
                }
                Ok::<_, StoreError>(true)
            })
            .await?;
        self.recent_tokens.forget();
        Ok(done)
    }
}

/// Reads what a token is to allow.
pub(crate) fn read_grant(scopes: &[String], reach: Reach) -> Result<Grant, Refusal> {
    // No word has a space in it, so that a list of words cannot be smuggled in as one.
    let scopes: Scopes =
        scopes.join(" ").parse().map_err(|error| Refusal::Invalid(format!("scopes: {error}")))?;
    if scopes.iter().next().is_none() {
        return Err(Refusal::Invalid("scopes: a token allows one thing at least; name a scope".into()));
    }
    let odd = scopes.iter().find(|scope| scope.is_of_the_site() && reach != Reach::Site);
    odd.map_or(Ok(Grant { scopes, reach }), |scope: Scope| {
        Err(Refusal::Invalid(format!(
            "scopes: '{}' is of the whole site and cannot be limited to one customer; leave one of both away",
            scope.word()
        )))
    })
}

/// Reads who will hold a token.
pub(crate) fn read_holder(holder: String) -> Result<String, Refusal> {
    let length = holder.chars().count();
    let seen = !holder.chars().any(char::is_control) && !holder.trim().is_empty();
    if seen && length <= LONGEST_HOLDER {
        Ok(holder)
    } else {
        Err(Refusal::Invalid(format!(
            "holder is 1 to {LONGEST_HOLDER} characters, none of them a control character"
        )))
    }
}

/// A new token, not stored yet.
pub(super) fn new_token(
    holder: String,
    grant: &Grant,
    instant: ProvenInstant,
    expires: Option<UnixTime>,
) -> (TokenRow, Secret) {
    let secret = Secret::random(&mut rng());
    let row = TokenRow {
        id: TokenId::random(&mut rng()),
        secret_hash: *secret.hash().as_bytes(),
        holder,
        scopes: grant.scopes.to_string(),
        customer: grant.reach.stored(),
        machine: None,
        created: instant.time,
        expires,
        revoked: false,
    };
    (row, secret)
}

/// Stores a token and writes it down.
pub(super) fn insert_token(
    tx: &mut Tx<'_>,
    row: &TokenRow,
    instant: ProvenInstant,
    by: &str,
) -> Result<(), StoreError> {
    tx.insert_token(row)?;
    write_down(tx, row, "made", instant, by)
}

fn write_down(
    tx: &mut Tx<'_>,
    row: &TokenRow,
    change: &str,
    instant: ProvenInstant,
    by: &str,
) -> Result<(), StoreError> {
    let fields = [
        ("token", row.id.to_string()),
        ("holder", row.holder.clone()),
        ("scopes", row.scopes.clone()),
        ("change", change.to_owned()),
        ("by", by.to_owned()),
    ];
    append_text(tx, TOKEN, row.customer, instant, fields).map(drop)
}

fn show(customer: Option<String>, row: TokenRow) -> Token {
    Token {
        id: row.id.to_string(),
        holder: row.holder,
        customer,
        scopes: row.scopes.split_ascii_whitespace().map(str::to_owned).collect(),
        created_at: instant(row.created),
        expires_at: row.expires.map(instant),
        revoked: row.revoked,
    }
}
