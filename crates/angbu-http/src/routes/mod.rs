//! The routes: each authenticates, parses, calls the centre and converts. No logic stands here.

mod accounts;
mod enrolments;
mod erasure;
mod evidence;
mod incidents;
mod key_import;
mod keys;
mod log;
mod metrics;
pub(crate) mod old_keys;
mod operations;
mod passkeys;
mod people;
mod requests;
mod site;
mod third_parties;
mod time;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use angbu_units::UnixTime;

use crate::centre::Centre;
use crate::problem::Refusal;

/// JSON in a body, its refusals as problems.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
struct Body<T>(T);

/// Parameters behind the question mark, their refusals as problems.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Refusal))]
struct Parameters<T>(T);

/// Parts of the path, their refusals as problems.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Refusal))]
struct Parts<T>(T);

// Named so that the derive's `via` finds the conversions.
const _: fn(JsonRejection) -> Refusal = Refusal::from;
const _: fn(QueryRejection) -> Refusal = Refusal::from;
const _: fn(PathRejection) -> Refusal = Refusal::from;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Angbu",
        description = "The trust centre's API. Refusals are RFC 9457 problems. Sign in for a session cookie, or send \
                       an API token as `Authorization: Bearer …`.",
        license(name = "Apache-2.0 OR MIT")
    ),
    components(schemas(crate::types::time::Exchange, crate::types::time::AgentOrder))
)]
struct Document;

/// All routes, with the document that describes the API.
pub(crate) fn all() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(accounts::routes())
        .merge(people::routes())
        .merge(passkeys::routes())
        .merge(enrolments::routes())
        .merge(time::routes())
        .merge(third_parties::routes())
        .merge(incidents::routes())
        .merge(operations::routes())
        .merge(evidence::routes())
        .merge(erasure::routes())
        .merge(requests::routes())
        .merge(log::routes())
        .merge(key_import::routes())
        .merge(keys::routes())
        .merge(site::routes())
}

/// Reads an RFC 3339 parameter.
fn instant(name: &str, text: &str) -> Result<UnixTime, Refusal> {
    UnixTime::parse_rfc3339(text).map_err(|error| Refusal::Invalid(format!("{name}: {error}")))
}
