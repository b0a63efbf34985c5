//! A witness's HTTP face: `POST /add-checkpoint` as C2SP `tlog-witness` has it, and `GET /witness` for whoever looks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::Semaphore;

use angbu_evidence::witness::{LONGEST, Refused, SIZE_TYPE};

use super::WitnessEvents;
use super::keeper::{Keeper, Unwitnessed};

/// A request must be there within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are decided on at once; each may wait for the disk.
const AT_ONCE: usize = 8;

struct Face {
    keeper: Arc<Keeper>,
    events: WitnessEvents,
    places: Arc<Semaphore>,
}

pub(super) fn router(keeper: Arc<Keeper>, events: WitnessEvents) -> Router {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/witness", get(witness))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Arc::new(Face { keeper, events, places }))
}

async fn add_checkpoint(State(face): State<Arc<Face>>, body: Body) -> Response {
    let body = match tokio::time::timeout(PATIENCE, to_bytes(body, LONGEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 65536 bytes\n"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time\n"),
    };
    let Ok(place) = Arc::clone(&face.places).acquire_owned().await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the witness is stopping\n");
    };
    let decided = tokio::task::spawn_blocking(move || {
        let decided = face.keeper.add(&body, &*face.events);
        drop(place);
        decided
    });
    match decided.await {
        Ok(Ok(lines)) => plain(StatusCode::OK, &lines),
        Ok(Err(why)) => refusal(&why),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness made a mistake\n"),
    }
}

/// What the witness is and how far it has seen each log.
async fn witness(State(face): State<Arc<Face>>) -> Response {
    let key = face.keeper.key();
    let answered = tokio::task::spawn_blocking(move || face.keeper.states()).await;
    match answered {
        Ok(logs) => Json(json!({
            "name": key.name(),
            "key": key.to_string(),
            "version": env!("CARGO_PKG_VERSION"),
            "logs": logs,
        }))
        .into_response(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness made a mistake\n"),
    }
}

fn refusal(why: &Unwitnessed) -> Response {
    match why {
        Unwitnessed::Refused(refused) => refused_response(refused),
        Unwitnessed::Malformed(_) => plain(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        Unwitnessed::NotKept(_) | Unwitnessed::NotSigned(_) => {
            tracing::error!(%why, "a checkpoint is not cosigned");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the witness cannot keep the checkpoint for the moment\n")
        }
    }
}

fn refused_response(refused: &Refused) -> Response {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refused.size_body() {
        Some(size) => answer(status, SIZE_TYPE, size),
        None => plain(status, &format!("{refused}\n")),
    }
}

fn plain(status: StatusCode, text: &str) -> Response {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}
