//! Calibrations, and how the centres and their clocks ran: for operators, and for every customer to read.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_time::calibration::LARGEST_FILE;
use angbu_units::{EntryId, Nanos};

use super::{Body, Parameters, Parts, instant};
use crate::caller::Caller;
use crate::centre::{CalibrationWish, Centre};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::operations::{
    CalibrationMade, Calibrations, NewCalibration, Operations, OperationsQuery, Withdrawal,
};

/// The largest body with a calibration: a certificate in base64, and the rest.
const BODY_LIMIT: usize = LARGEST_FILE / 3 * 4 + 64 * 1_024;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    let large = OpenApiRouter::new().routes(routes!(record)).layer(DefaultBodyLimit::max(BODY_LIMIT));
    OpenApiRouter::new()
        .routes(routes!(operations))
        .routes(routes!(calibrations))
        .routes(routes!(file))
        .routes(routes!(withdraw))
        .merge(large)
}

/// How the centres ran in a period, and what their clocks rested on
#[utoipa::path(get, path = "/api/v1/time/operations", tag = "time", params(OperationsQuery),
    responses((status = 200, body = Operations), (status = "default", body = Problem)))]
async fn operations(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<OperationsQuery>,
) -> Result<Json<Operations>, Refusal> {
    caller.require(Scope::TimeRead)?;
    let points = query.points.unwrap_or(300);
    if !(10..=2_000).contains(&points) {
        return Err(Refusal::Invalid("points lies between 10 and 2000".into()));
    }
    Ok(Json(centre.operations(instant("from", &query.from)?, instant("to", &query.to)?, points).await?))
}

/// What laboratories found of the site's references
#[utoipa::path(get, path = "/api/v1/time/calibrations", tag = "time",
    responses((status = 200, body = Calibrations), (status = "default", body = Problem)))]
async fn calibrations(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
) -> Result<Json<Calibrations>, Refusal> {
    caller.require(Scope::TimeRead)?;
    Ok(Json(Calibrations { calibrations: centre.calibrations().await? }))
}

/// Record what a laboratory found
///
/// The entry says it for good, with the SHA-256 of the certificate's file; the file is kept sealed.
#[utoipa::path(post, path = "/api/v1/time/calibrations", tag = "time", request_body = NewCalibration,
    operation_id = "record_calibration",
    responses((status = 201, body = CalibrationMade), (status = "default", body = Problem)))]
async fn record(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    body: Result<Json<NewCalibration>, JsonRejection>,
) -> Result<(StatusCode, Json<CalibrationMade>), Refusal> {
    caller.require(Scope::Operator)?;
    let Json(wish) = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge { limit: BODY_LIMIT },
        _ => Refusal::from(rejection),
    })?;
    let file = wish.file.map(|text| STANDARD.decode(text)).transpose();
    let wish = CalibrationWish {
        subject: wish.subject,
        laboratory: wish.laboratory,
        certificate: wish.certificate,
        measured: instant("measured_at", &wish.measured_at)?,
        offset: Nanos::new(wish.offset_ns),
        uncertainty: Nanos::new(wish.uncertainty_ns),
        coverage: wish.coverage,
        valid_until: instant("valid_until", &wish.valid_until)?,
        file: file.map_err(|_| Refusal::Invalid("file is a PDF in base64".into()))?,
    };
    let entry = centre.record_calibration(wish, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(CalibrationMade { entry_id: entry.to_string() })))
}

/// A calibration's certificate
#[utoipa::path(get, path = "/api/v1/time/calibrations/{calibration}/file", tag = "time",
    params(("calibration", description = "Its id")), operation_id = "calibration_file",
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>), (status = "default", body = Problem)))]
async fn file(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Response, Refusal> {
    caller.require(Scope::TimeRead)?;
    let (name, bytes) = centre.calibration_file(id.parse::<EntryId>()?).await?;
    let headers: [(HeaderName, String); 4] = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        // Somebody else wrote it: whatever it holds runs nowhere.
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}

/// Withdraw a calibration that was recorded wrongly
#[utoipa::path(post, path = "/api/v1/time/calibrations/{calibration}/withdraw", tag = "time",
    params(("calibration", description = "Its id")), request_body = Withdrawal, operation_id = "withdraw_calibration",
    responses((status = 200, body = CalibrationMade), (status = "default", body = Problem)))]
async fn withdraw(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(wish): Body<Withdrawal>,
) -> Result<Json<CalibrationMade>, Refusal> {
    caller.require(Scope::Operator)?;
    let entry = centre.withdraw_calibration(id.parse::<EntryId>()?, &wish.reason, caller.by()).await?;
    Ok(Json(CalibrationMade { entry_id: entry.to_string() }))
}
