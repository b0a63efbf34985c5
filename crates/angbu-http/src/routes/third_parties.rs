//! A customer's period, traceability and trend; share links; reports that are kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_units::{AgentId, Month, ReportId, ShareId};

use super::{Body, Parameters, Parts};
use crate::attachment;
use crate::caller::{Caller, Source};
use crate::centre::{Centre, ShareWish, kept_shown, read_holder};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::third_parties::{
    CustomerPeriods, KeptReport, KeptReports, MonthWish, NewShare, PeriodQuery, ShareLinks, ShareMade,
    ShareToken, Shared, SharesQuery, Traceability, Trend,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(periods))
        .routes(routes!(traceability))
        .routes(routes!(trend))
        .routes(routes!(shares, make_share))
        .routes(routes!(revoke_share))
        .routes(routes!(shared))
        .routes(routes!(shared_report))
        .routes(routes!(kept_reports, make_month))
        .routes(routes!(kept_report))
}

/// A customer's servers in a period: verdicts, shares, and every interval with its reason
#[utoipa::path(get, path = "/api/v1/time/customers/{customer}/periods", tag = "time", operation_id = "periods",
    params(("customer", description = "Name or id"), PeriodQuery),
    responses((status = 200, body = CustomerPeriods), (status = "default", body = Problem)))]
async fn periods(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
    Parameters(query): Parameters<PeriodQuery>,
) -> Result<Json<CustomerPeriods>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let customer = centre.customer_within(reach, &name).await?;
    let asked = centre.asked(&customer, &query)?;
    Ok(Json(centre.customer_periods(&customer, &asked, query.agent.as_deref()).await?))
}

/// The chain from the reference over the centre to each of a customer's servers, as RTS 25 asks for it
#[utoipa::path(get, path = "/api/v1/time/customers/{customer}/traceability", tag = "time", operation_id = "traceability",
    params(("customer", description = "Name or id"), PeriodQuery),
    responses((status = 200, body = Traceability), (status = "default", body = Problem)))]
async fn traceability(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
    Parameters(query): Parameters<PeriodQuery>,
) -> Result<Json<Traceability>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let customer = centre.customer_within(reach, &name).await?;
    let asked = centre.asked(&customer, &query)?;
    Ok(Json(centre.traceability_of(&customer, &asked, query.agent.as_deref()).await?))
}

/// How a server's clock ran in a period: drift, Allan deviation, histograms of offset and delay
#[utoipa::path(get, path = "/api/v1/time/agents/{agent}/trend", tag = "time", operation_id = "trend",
    params(("agent", description = "Its id"), PeriodQuery),
    responses((status = 200, body = Trend), (status = "default", body = Problem)))]
async fn trend(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Parameters(query): Parameters<PeriodQuery>,
) -> Result<Json<Trend>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    Ok(Json(centre.trend_of(reach, id.parse::<AgentId>()?, &query).await?))
}

/// A customer's share links, newest first
///
/// Needs `time.report`. Links that ended stay in the list.
#[utoipa::path(get, path = "/api/v1/time/shares", tag = "time", params(SharesQuery), operation_id = "shares",
    responses((status = 200, body = ShareLinks), (status = "default", body = Problem)))]
async fn shares(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<SharesQuery>,
) -> Result<Json<ShareLinks>, Refusal> {
    let reach = caller.require(Scope::TimeReport)?;
    let customer = centre.customer_within(reach, &query.customer).await?;
    Ok(Json(ShareLinks { shares: centre.shares_of(customer.id).await? }))
}

/// Make a share link: whoever has it sees one period of the customer, and the report about it
///
/// Needs `customers.change` and `time.report`. The report is made now and kept for as long as the link is good. The link's secret is
/// shown once.
#[utoipa::path(post, path = "/api/v1/time/shares", tag = "time", request_body = NewShare, operation_id = "make_share",
    responses((status = 201, body = ShareMade), (status = "default", body = Problem)))]
async fn make_share(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewShare>,
) -> Result<(StatusCode, Json<ShareMade>), Refusal> {
    caller.require(Scope::TimeReport)?;
    let reach = caller.require(Scope::CustomersChange)?;
    let wish = ShareWish {
        customer: centre.customer_within(reach, &wish.customer).await?,
        holder: read_holder(wish.holder)?,
        period: PeriodQuery { month: wish.month, from: wish.from, to: wish.to, zone: wish.zone, agent: None },
        language: wish.language,
        days: wish.days,
    };
    let (share, secret) = centre.make_share(wish, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(ShareMade { share, path: format!("/share/{}", secret.reveal()) })))
}

/// Take a share link back
///
/// Needs `customers.change`. It shows nothing from then on.
#[utoipa::path(delete, path = "/api/v1/time/shares/{share}", tag = "time", params(("share", description = "Its id")),
    operation_id = "revoke_share", responses((status = 204), (status = "default", body = Problem)))]
async fn revoke_share(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<StatusCode, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let id: ShareId = id.parse()?;
    if !reach.covers(centre.customer_of_share(id).await?) {
        return Err(Refusal::unknown("share link", &id.to_string()));
    }
    centre.revoke_share(id, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a share link shows
///
/// Needs nothing but the link's secret, and reads no cookie. Each call is a view, which is counted, and told in the log at most once a
/// minute for a link.
#[utoipa::path(post, path = "/api/v1/shared", tag = "shared", request_body = ShareToken, operation_id = "shared",
    responses((status = 200, body = Shared), (status = "default", body = Problem)))]
async fn shared(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(wish): Body<ShareToken>,
) -> Result<Json<Shared>, Refusal> {
    Ok(Json(centre.shared(&wish.token, source).await?.as_ref().clone()))
}

/// The report behind a share link
#[utoipa::path(post, path = "/api/v1/shared/report", tag = "shared", request_body = ShareToken, operation_id = "shared_report",
    responses((status = 200, content_type = "text/html", body = String), (status = "default", body = Problem)))]
async fn shared_report(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(wish): Body<ShareToken>,
) -> Result<Response, Refusal> {
    let report = centre.shared_report(&wish.token, source).await?;
    Ok(attachment::report(&report.file_name, report.html))
}

/// A customer's reports that are kept: those of its months, made by themselves, and those behind share links
#[utoipa::path(get, path = "/api/v1/time/customers/{customer}/reports", tag = "time", operation_id = "kept_reports",
    params(("customer", description = "Name or id")),
    responses((status = 200, body = KeptReports), (status = "default", body = Problem)))]
async fn kept_reports(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
) -> Result<Json<KeptReports>, Refusal> {
    let reach = caller.require(Scope::TimeReport)?;
    let customer = centre.customer_within(reach, &name).await?;
    Ok(Json(KeptReports { reports: centre.kept_reports(&customer).await? }))
}

/// A month's report, made now if it was not made yet
///
/// It is the same report that the centre makes by itself an hour after the month is over where the customer is: there is one a month.
#[utoipa::path(post, path = "/api/v1/time/customers/{customer}/reports", tag = "time", operation_id = "make_month",
    params(("customer", description = "Name or id")), request_body = MonthWish,
    responses((status = 200, body = KeptReport), (status = "default", body = Problem)))]
async fn make_month(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
    Body(wish): Body<MonthWish>,
) -> Result<Json<KeptReport>, Refusal> {
    let reach = caller.require(Scope::TimeReport)?;
    let customer = centre.customer_within(reach, &name).await?;
    let row = centre.make_month(&customer, wish.month.parse::<Month>()?).await?;
    Ok(Json(kept_shown(&customer.name, row)))
}

/// The file of a report that is kept
#[utoipa::path(get, path = "/api/v1/time/reports/{report}", tag = "time", params(("report", description = "Its id")),
    operation_id = "kept_report",
    responses((status = 200, content_type = "text/html", body = String), (status = "default", body = Problem)))]
async fn kept_report(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeReport)?;
    let id: ReportId = id.parse()?;
    let (customer, row) = centre.kept_report(id).await?;
    if !reach.covers(customer) {
        return Err(Refusal::unknown("report", &id.to_string()));
    }
    let report = centre.kept_file(row).await?;
    Ok(attachment::report(&report.file_name, report.html))
}
