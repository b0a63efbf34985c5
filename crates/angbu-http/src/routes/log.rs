//! The log's pages: growth, kinds, entries, who watches it, and an operator's word that it goes on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;

use super::Body;
use crate::caller::Caller;
use crate::centre::Centre;
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::evidence::{Confirm, Confirmed, Witnesses};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new().routes(routes!(witnesses)).routes(routes!(confirm))
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
