//! The log's pages: growth, kinds, entries, who watches it, and an operator's word that it goes on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_evidence::Kind;
use angbu_units::EntryId;

use super::{Body, Parameters, Parts, instant};
use crate::caller::Caller;
use crate::centre::{Centre, EntriesWish};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::evidence::{
    Confirm, Confirmed, Entries, EntriesQuery, EntryPage, Growth, GrowthQuery, Kinds, KindsQuery, Witnesses,
};

/// How many entries one page shows, unless the caller says otherwise, and at most.
const PAGE: u64 = 50;
const LONGEST_PAGE: u64 = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(growth))
        .routes(routes!(kinds))
        .routes(routes!(entries))
        .routes(routes!(entry))
        .routes(routes!(witnesses))
        .routes(routes!(confirm))
}

/// How the log grew
#[utoipa::path(get, path = "/api/v1/evidence/growth", tag = "evidence", params(GrowthQuery),
    responses((status = 200, body = Growth), (status = "default", body = Problem)))]
async fn growth(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<GrowthQuery>,
) -> Result<Json<Growth>, Refusal> {
    caller.require(Scope::EvidenceRead)?;
    let points = query.points.unwrap_or(200);
    if !(2..=2_000).contains(&points) {
        return Err(Refusal::Invalid("points lies between 2 and 2000".into()));
    }
    let (from, to) = (instant("from", &query.from)?, instant("to", &query.to)?);
    Ok(Json(centre.log_growth(from, to, points).await?))
}

/// The kinds of entries that there are
#[utoipa::path(get, path = "/api/v1/evidence/kinds", tag = "evidence", params(KindsQuery),
    responses((status = 200, body = Kinds), (status = "default", body = Problem)))]
async fn kinds(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<KindsQuery>,
) -> Result<Json<Kinds>, Refusal> {
    let reach = centre.narrow(caller.require(Scope::EvidenceRead)?, query.customer.as_deref()).await?;
    Ok(Json(centre.kinds(reach).await?))
}

/// Entries, the newest first
#[utoipa::path(get, path = "/api/v1/evidence/entries", tag = "evidence", params(EntriesQuery),
    responses((status = 200, body = Entries), (status = "default", body = Problem)))]
async fn entries(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<EntriesQuery>,
) -> Result<Json<Entries>, Refusal> {
    let reach = centre.narrow(caller.require(Scope::EvidenceRead)?, query.customer.as_deref()).await?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Refusal::Invalid(format!("limit lies between 1 and {LONGEST_PAGE}")));
    }
    let kind = query.kind.map(|kind| Kind::new(&kind)).transpose();
    let kind = kind.map_err(|error| Refusal::Invalid(format!("kind: {error}")))?;
    let wish = EntriesWish { reach, kind, before: query.before, limit };
    let (entries, next) = centre.entries(wish).await?;
    Ok(Json(Entries { entries, next }))
}

/// One entry with its fields and its proof
#[utoipa::path(get, path = "/api/v1/evidence/entries/{entry}", tag = "evidence",
    params(("entry", description = "The entry's id")),
    responses((status = 200, body = EntryPage), (status = "default", body = Problem)))]
async fn entry(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<EntryPage>, Refusal> {
    let reach = caller.require(Scope::EvidenceRead)?;
    let reads_people = caller.require(Scope::PeopleRead).is_ok();
    Ok(Json(centre.entry_page(reach, reads_people, id.parse::<EntryId>()?).await?))
}

/// Who watches the log, and what each cosigned last
#[utoipa::path(get, path = "/api/v1/evidence/witnesses", tag = "evidence",
    responses((status = 200, body = Witnesses), (status = "default", body = Problem)))]
async fn witnesses(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<Witnesses>, Refusal> {
    let reach = caller.require(Scope::EvidenceRead)?;
    Ok(Json(centre.watchers(reach).await?))
}

/// Go on with a log that stands still
///
/// For when the database was put back from an older copy, and what is missing is lost for good. Checkpoints beyond
/// `size` that were signed before are given up; whoever has seen them will find two histories.
#[utoipa::path(post, path = "/api/v1/evidence/confirm", tag = "evidence", request_body = Confirm,
    responses((status = 200, body = Confirmed), (status = "default", body = Problem)))]
async fn confirm(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<Confirm>,
) -> Result<Json<Confirmed>, Refusal> {
    caller.require(Scope::Operator)?;
    let entry = centre.confirm_log(wish.size, &wish.reason).await?;
    Ok(Json(Confirmed { entry_id: entry.to_string() }))
}
