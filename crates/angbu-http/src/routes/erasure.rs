//! Erasing fields and people, and replacing the site's keys: what an operator does to what is kept sealed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Reach, Scope};
use angbu_store::Purpose;
use angbu_units::{EntryId, PersonId};

use super::{Body, Parts};
use crate::caller::Caller;
use crate::centre::{Because, Centre};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::evidence::{EraseFields, Erased, Erasure, KeyChanged, Keys};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(erase_fields))
        .routes(routes!(erase_person))
        .routes(routes!(keys))
        .routes(routes!(rotate))
        .routes(routes!(retire))
}

/// Erase fields of an entry
///
/// Their values and salts go; their hashes stay, so that every proof and every report made before still holds. Whatever a
/// proof or a verdict rests on cannot be erased. The erasure is an entry itself.
#[utoipa::path(post, path = "/api/v1/evidence/entries/{entry}/erase", tag = "evidence",
    params(("entry", description = "The entry's id")), request_body = EraseFields,
    responses((status = 200, body = Erased), (status = "default", body = Problem)))]
async fn erase_fields(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(wish): Body<EraseFields>,
) -> Result<Json<Erased>, Refusal> {
    let reach = caller.require(Scope::EvidenceErase)?;
    let because = Because { reason: wish.reason, by: caller.by() };
    let entry = centre.erase_fields(reach, id.parse::<EntryId>()?, wish.fields, &because).await?;
    Ok(Json(Erased { entry_id: entry.to_string() }))
}

/// Erase a person
///
/// Login id, password, birthday and phone number go, and every field of every entry about the person; the login id is free
/// again. What reports and backups already hold they keep.
#[utoipa::path(post, path = "/api/v1/people/{person}/erase", tag = "accounts",
    params(("person", description = "The person's id")), request_body = Erasure,
    responses((status = 200, body = Erased), (status = "default", body = Problem)))]
async fn erase_person(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(wish): Body<Erasure>,
) -> Result<Json<Erased>, Refusal> {
    let reach = caller.require(Scope::EvidenceErase)?;
    let because = Because { reason: wish.reason, by: caller.by() };
    let entry = centre.erase_person(reach, id.parse::<PersonId>()?, &because).await?;
    Ok(Json(Erased { entry_id: entry.to_string() }))
}

/// The site's keys
#[utoipa::path(get, path = "/api/v1/evidence/keys", tag = "evidence",
    responses((status = 200, body = Keys), (status = "default", body = Problem)))]
async fn keys(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<Keys>, Refusal> {
    require_operator(&caller)?;
    Ok(Json(Keys { keys: centre.site_keys().await? }))
}

/// Replace a key of the site
///
/// Everything new is sealed or signed with the new key at once; what the old one sealed is sealed anew in the background, and
/// then the old key is deleted. The log's old key signs beside the new one until it is retired. The change is an entry.
#[utoipa::path(post, path = "/api/v1/evidence/keys/{purpose}/rotate", tag = "evidence",
    params(("purpose", description = "bodies, records, personal, index, log or promise")),
    responses((status = 200, body = KeyChanged), (status = "default", body = Problem)))]
async fn rotate(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(purpose): Parts<String>,
) -> Result<Json<KeyChanged>, Refusal> {
    require_operator(&caller)?;
    let purpose = Purpose::from_word(&purpose).ok_or_else(|| Refusal::unknown("key", &purpose))?;
    Ok(Json(centre.rotate_key(purpose, caller.by()).await?))
}

/// End the older of the log's two keys
///
/// Do this once everybody who checks the log has learnt the new one: agents do so with their next upload.
#[utoipa::path(post, path = "/api/v1/evidence/keys/log/retire", tag = "evidence",
    responses((status = 200, body = KeyChanged), (status = "default", body = Problem)))]
async fn retire(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<KeyChanged>, Refusal> {
    require_operator(&caller)?;
    Ok(Json(centre.retire_log_key(caller.by()).await?))
}

/// The keys are the whole site's.
fn require_operator(caller: &Caller) -> Result<(), Refusal> {
    match caller.require(Scope::Operator)? {
        Reach::Site => Ok(()),
        Reach::Customer(_) => Err(Refusal::Forbidden(Scope::Operator)),
    }
}
