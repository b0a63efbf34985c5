//! The centre itself: its state, its health, its numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;

use crate::caller::Caller;
use crate::centre::Centre as RunningCentre;
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::centre::{Centre, Ntp};

/// What a number for Prometheus says of itself.
const CALIBRATED_UNTIL: &str =
    "Until when the calibration that ends last is valid, in seconds since 1970; nothing where there is none.";

pub(super) fn routes() -> OpenApiRouter<Arc<RunningCentre>> {
    OpenApiRouter::new()
        .routes(routes!(centre))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// The running centre
///
/// Its clock and its log are for whoever may sign in or holds a token, since all that the centre says rests on them.
/// Its time server and its upstreams are the site's: without the scope `site.read` they are shown empty.
#[utoipa::path(get, path = "/api/v1/centre", tag = "centre",
    responses((status = 200, body = Centre), (status = "default", body = Problem)))]
async fn centre(State(centre): State<Arc<RunningCentre>>, caller: Caller) -> Result<Json<Centre>, Refusal> {
    let of_the_site = match caller.require(Scope::SiteRead) {
        Ok(_) => true,
        Err(Refusal::Forbidden(_)) => false,
        Err(refusal) => return Err(refusal),
    };
    let mut now = centre.now().await;
    if !of_the_site {
        now.ntp = Ntp { address: None, answered: 0, dropped: BTreeMap::new() };
        now.upstreams.clear();
    }
    Ok(Json(now))
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "centre", responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the centre can answer: its database gives and its log goes on
#[utoipa::path(get, path = "/readyz", tag = "centre",
    responses((status = 200, body = String), (status = 503, body = Problem)))]
async fn readyz(State(centre): State<Arc<RunningCentre>>) -> Result<&'static str, Refusal> {
    centre.store().read(|snapshot| snapshot.site()).await?;
    centre.store().trouble().map_or(Ok(()), Err)?;
    Ok("ok\n")
}

/// Numbers for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "centre",
    responses((status = 200, content_type = "text/plain", body = String)))]
async fn metrics(State(centre): State<Arc<RunningCentre>>) -> Response {
    let now = centre.now().await;
    let mut text = String::new();
    let mut number = |name: &str, kind: &str, help: &str, rows: &[(String, String)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: String| [(String::new(), value)];
    let seconds =
        |nanos: i64| format!("{}.{:09}", nanos / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    number("angbu_log_size", "gauge", "Entries in the signed log.", &one(now.log.size.to_string()));
    number("angbu_ntp_answered_total", "counter", "NTP replies.", &one(now.ntp.answered.to_string()));
    let dropped: Vec<_> = now
        .ntp
        .dropped
        .iter()
        .map(|(why, count)| (format!("{{reason=\"{why}\"}}"), count.to_string()))
        .collect();
    number("angbu_ntp_dropped_total", "counter", "Datagrams left unanswered.", &dropped);
    let protected = centre.protected();
    let replies =
        [("protected", protected.answered), ("witnessed", protected.witnessed), ("nak", protected.nak)]
            .map(|(kind, count)| (format!("{{kind=\"{kind}\"}}"), count.to_string()));
    number("angbu_nts_replies_total", "counter", "Replies to requests for protected time.", &replies);
    number(
        "angbu_nts_epoch",
        "gauge",
        "The epoch of the keys that seal cookies.",
        &one(protected.epoch.to_string()),
    );
    let exchanges: Vec<_> = protected
        .key_exchanges
        .iter()
        .map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), count.to_string()))
        .collect();
    number("angbu_nts_key_exchanges_total", "counter", "Exchanges of keys for protected time.", &exchanges);
    if let Some((answered, dropped)) = centre.roughtime() {
        number("angbu_roughtime_answered_total", "counter", "Roughtime replies.", &one(answered.to_string()));
        let dropped: Vec<_> =
            dropped.iter().map(|(why, count)| (format!("{{reason=\"{why}\"}}"), count.to_string())).collect();
        number("angbu_roughtime_dropped_total", "counter", "Roughtime requests left unanswered.", &dropped);
    }
    let verdicts = ["proven", "declared", "unproven"].map(|word| {
        let holds = serde_json::to_value(now.clock.verdict).is_ok_and(|verdict| verdict == word);
        (format!("{{verdict=\"{word}\"}}"), u8::from(holds).to_string())
    });
    number("angbu_clock_verdict", "gauge", "What the centre can say of its own clock.", &verdicts);
    number(
        "angbu_clock_error_bound_seconds",
        "gauge",
        "How far true time can lie from this centre's clock.",
        &one(seconds(now.clock.error_bound_ns)),
    );
    let until = centre.calibrated_until().await.unwrap_or_default();
    let until: Vec<_> = until.map(|until| (String::new(), seconds(until.nanos()))).into_iter().collect();
    number("angbu_calibration_valid_until_seconds", "gauge", CALIBRATED_UNTIL, &until);
    number(
        "angbu_clock_stratum",
        "gauge",
        "The stratum that the time server announces.",
        &one(now.clock.stratum.to_string()),
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
