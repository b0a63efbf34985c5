//! The log: head, tiles, receipts, and statements to append.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_evidence::tile::{TileId, parse_entries};
use angbu_units::EntryId;

use super::{Body, Parts};
use crate::caller::Caller;
use crate::centre::{Centre, Shown};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::evidence::{Head, NewStatement, StatementMade};

/// How long an answer may wait for the log's next head.
const WAIT: Duration = Duration::from_millis(250);

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(head))
        .routes(routes!(key))
        .routes(routes!(append))
        .routes(routes!(receipt))
        .route("/checkpoint", axum::routing::get(checkpoint))
        .route("/tile/{*rest}", axum::routing::get(tile))
}

/// The log's newest signed head
#[utoipa::path(get, path = "/api/v1/evidence/head", tag = "evidence",
    responses((status = 200, body = Head), (status = "default", body = Problem)))]
async fn head(State(centre): State<Arc<Centre>>) -> Json<Head> {
    Json(centre.head_now())
}

/// The log's verifier keys, one a line
///
/// There are two, the newer first, while the log's key is being replaced: both sign every checkpoint.
#[utoipa::path(get, path = "/api/v1/evidence/key", tag = "evidence",
    responses((status = 200, content_type = "text/plain", body = String)))]
async fn key(State(centre): State<Arc<Centre>>) -> String {
    centre.log_keys().iter().map(|key| format!("{key}\n")).collect()
}

/// Append a statement
///
/// The answer comes when the statement is durable. With `Prefer: wait` it carries the receipt, or after 250 ms the
/// centre's signed promise.
#[utoipa::path(post, path = "/api/v1/evidence/entries", tag = "evidence", request_body = NewStatement,
    responses((status = 201, body = StatementMade), (status = "default", body = Problem)))]
async fn append(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    headers: HeaderMap,
    Body(statement): Body<NewStatement>,
) -> Result<(StatusCode, Json<StatementMade>), Refusal> {
    let reach = caller.require(Scope::EvidenceAppend)?;
    let customer = centre.customer_within(reach, &statement.customer).await?;
    let entry = centre.append_statement(customer.id, statement.fields).await?;
    let receipt = format!("/api/v1/evidence/entries/{}/receipt", entry.id);
    let mut made = StatementMade { entry_id: entry.id.to_string(), receipt, proof: None, promise: None };
    if prefers_wait(&headers) {
        match centre.show(&entry, WAIT).await? {
            Shown::Receipt(text) => made.proof = Some(text),
            Shown::Promise(text) => made.promise = Some(text),
        }
    }
    Ok((StatusCode::CREATED, Json(made)))
}

/// An entry's receipt: a C2SP tlog-proof, or with `Accept: application/cose` an RFC 9942 receipt
#[utoipa::path(get, path = "/api/v1/evidence/entries/{entry}/receipt", tag = "evidence",
    params(("entry", description = "The entry's id")),
    responses((status = 200, content((String = "text/plain"), (Vec<u8> = "application/cose"))),
        (status = "default", body = Problem)))]
async fn receipt(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    headers: HeaderMap,
    Parts(id): Parts<String>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::EvidenceRead)?;
    let receipt = centre.receipt_within(reach, id.parse::<EntryId>()?).await?;
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    if accepts.flat_map(|line| line.split(',')).any(|kind| kind.trim().starts_with("application/cose")) {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/cose"))];
        return Ok((kind, centre.as_cose(&receipt)?).into_response());
    }
    Ok(text(receipt.encode(), "no-store"))
}

async fn checkpoint(State(centre): State<Arc<Centre>>) -> Response {
    text(centre.head_now().checkpoint, "no-cache")
}

/// C2SP tlog-tiles: hash tiles are public, entry bundles need the scope of an auditor of the whole site, since even
/// bare activity tells.
async fn tile(
    State(centre): State<Arc<Centre>>,
    caller: Result<Caller, Refusal>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let path = uri.path().trim_start_matches('/');
    let unknown = || Refusal::unknown("tile", path);
    if path.starts_with("tile/entries/") {
        let caller = caller?;
        caller.require(Scope::EvidenceRead)?;
        caller.require(Scope::SiteRead)?;
        let (index, width) = parse_entries(path).map_err(|_| unknown())?;
        let bundle = centre.entries_bundle(index, width).await?.ok_or_else(unknown)?;
        return Ok(bytes(bundle));
    }
    let id = TileId::parse(path).map_err(|_| unknown())?;
    centre.tile(id).await?.map(bytes).ok_or_else(unknown)
}

fn bytes(bytes: Vec<u8>) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        // A tile of a given width never changes.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, bytes).into_response()
}

fn text(text: String, cache: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, text).into_response()
}

/// RFC 7240: `Prefer: wait`, with or without a number of seconds, alone or among other preferences.
fn prefers_wait(headers: &HeaderMap) -> bool {
    headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok()).any(|line| {
        line.split(',').any(|preference| {
            let name = preference.split(['=', ';']).next().unwrap_or("");
            name.trim().eq_ignore_ascii_case("wait")
        })
    })
}
