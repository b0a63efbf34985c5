//! The centre's HTTP face: routes, JSON types, OpenAPI, problem+json, event streams, and what the centre does when
//! one of them is called.

mod attachment;
mod caller;
mod centre;
mod export;
mod problem;
mod routes;
mod stream;
mod types;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use axum::{Json, Router};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::OpenApi;

pub use centre::{
    Centre, Claimed, InForce, NoticeSettings, OldFace, OwnClock, Parts, Protected, Retention, SITE_START,
    Seam, Seen, Site, TimeService, Tried, UpstreamReading, UpstreamState, Witnessed, clock_history,
    clock_state_entry, clock_state_row, zone,
};
use problem::Refusal;

/// The largest JSON body, in bytes.
const JSON_LIMIT: usize = 256 * 1_024;
/// The largest upload of an agent, in bytes.
const UPLOAD_LIMIT: usize = angbu_time::ingest::MAX_WIRE;

/// How long a call may take, its body's arrival included; an event stream has then long begun.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a browser may do with an answer: everything comes from here, nothing is framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// All routes of a centre. Whatever is neither API nor log goes to `pages`, the console.
pub fn router(centre: Arc<Centre>, pages: axum::routing::MethodRouter) -> Router {
    let (routes, document) = routes::all().split_for_parts();
    let document = Arc::new(document);
    let compressed = DefaultPredicate::new().and(NotForContentType::const_new("text/event-stream"));
    let service = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(if_absent(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(if_absent(header::REFERRER_POLICY, "no-referrer"))
        .layer(if_absent(header::CACHE_CONTROL, "no-store"))
        .layer(CompressionLayer::new().compress_when(compressed))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, PATIENCE));
    // The pages of links are for whoever has them, and for nobody's index.
    let unlisted = pages.clone().layer(if_absent(ROBOTS, "noindex, nofollow, noarchive"));
    routes
        .route("/api/openapi.json", get(move || async move { Json(document.as_ref().clone()) }))
        .route("/api/{*rest}", any(|| async { Refusal::unknown("route", "under /api").into_response() }))
        .merge(routes::old_keys::routes())
        .with_state(centre)
        .route("/share/{token}", unlisted.clone())
        .route("/login/{request}", unlisted.clone())
        .route("/passkeys", unlisted)
        .fallback_service(pages)
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .layer(service)
}

/// The document that describes the API, OpenAPI 3.1.
pub fn openapi() -> OpenApi {
    routes::all().into_openapi()
}

fn if_absent(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// One span a request: its id from edge to entry.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("-");
    tracing::info_span!("request", id, method = %request.method(), path = told(request.uri().path()))
}

/// Paths name things, never secrets, but for the address of a share link.
fn told(path: &str) -> &str {
    if path.starts_with("/share/") { "/share/…" } else { path }
}
