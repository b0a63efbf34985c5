//! Agents, their graphs and uploads, live news, reports.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_units::{AgentId, UnixTime};

use super::{Body, Parameters, Parts, instant, metrics};
use crate::attachment;
use crate::caller::Caller;
use crate::centre::{AgentsWish, Centre, ExportWish, MOST_LISTED, Piece, ReportWish, Table};
use crate::export::Format;
use crate::problem::Refusal;
use crate::stream;
use crate::types::Problem;
use crate::types::time::{
    Agent, AgentListQuery, AgentOrder, Agents, AgentsQuery, ExportQuery, Graph, GraphQuery, ReportRequest,
    Uploaded,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(agents))
        .routes(routes!(agent))
        .routes(routes!(graph))
        .routes(routes!(agent_metrics))
        .routes(routes!(export_agent))
        .routes(routes!(export_customer))
        .routes(routes!(live))
        .routes(routes!(upload))
        .routes(routes!(report))
}

/// Agents and how they stand now
#[utoipa::path(get, path = "/api/v1/time/agents", tag = "time", params(AgentListQuery),
    responses((status = 200, body = Agents), (status = "default", body = Problem)))]
async fn agents(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<AgentListQuery>,
) -> Result<Json<Agents>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    let limit = match query.limit {
        None => usize::MAX,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=MOST_LISTED).contains(limit))
            .ok_or_else(|| Refusal::Invalid(format!("limit lies between 1 and {MOST_LISTED}")))?,
    };
    let wish = AgentsWish {
        customer: reach.customer(),
        verdict: query.verdict,
        name: query.name.map(|name| name.to_lowercase()),
        by_trouble: query.order == Some(AgentOrder::Trouble),
        offset: query.offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX)),
        limit,
    };
    Ok(Json(centre.agents_page(&wish).await?))
}

/// One agent and how it stands now
#[utoipa::path(get, path = "/api/v1/time/agents/{agent}", tag = "time", params(("agent", description = "Its id")),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
async fn agent(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<Agent>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    Ok(Json(centre.agent(reach, id.parse::<AgentId>()?).await?))
}

/// A period of one agent, to draw
#[utoipa::path(get, path = "/api/v1/time/agents/{agent}/graph", tag = "time",
    params(("agent", description = "Its id"), GraphQuery),
    responses((status = 200, body = Graph), (status = "default", body = Problem)))]
async fn graph(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Parameters(query): Parameters<GraphQuery>,
) -> Result<Json<Graph>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let (from, to) = (instant("from", &query.from)?, instant("to", &query.to)?);
    let points = query.points.unwrap_or(600);
    if !(10..=2_000).contains(&points) {
        return Err(Refusal::Invalid("points lies between 10 and 2000".into()));
    }
    Ok(Json(centre.graph(reach, id.parse()?, from, to, points).await?))
}

/// Agents for Prometheus: with a token, since names of servers are nobody else's business
#[utoipa::path(get, path = "/api/v1/time/metrics", tag = "time", params(AgentsQuery), operation_id = "agent_metrics",
    responses((status = 200, content_type = "text/plain", body = String), (status = "default", body = Problem)))]
async fn agent_metrics(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<AgentsQuery>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    let mut text = metrics::of_agents(&centre.agents_within(reach.customer()).await?, centre.instant().time);
    text.push_str(&metrics::of_incidents(&centre.incidents_open(reach).await?));
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

/// One agent's exchanges, verdicts or hourly summaries of a period, as a file that is sent while it is written
#[utoipa::path(get, path = "/api/v1/time/agents/{agent}/export", tag = "time",
    params(("agent", description = "Its id"), ExportQuery),
    responses((status = 200, content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = "default", body = Problem)))]
async fn export_agent(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Parameters(query): Parameters<ExportQuery>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let id: AgentId = id.parse()?;
    let (wish, name) = export_wish(&query, &id.to_string())?;
    let media_type = wish.format.media_type();
    let pieces = centre.export_agent(reach, id, wish).await?;
    Ok(file(pieces, media_type, &name))
}

/// The exchanges, verdicts or hourly summaries of all agents of a customer in a period, as a file that is sent while it is written
#[utoipa::path(get, path = "/api/v1/time/customers/{customer}/export", tag = "time",
    params(("customer", description = "Its name or id"), ExportQuery),
    responses((status = 200, content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = "default", body = Problem)))]
async fn export_customer(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(customer): Parts<String>,
    Parameters(query): Parameters<ExportQuery>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let customer = centre.customer_within(reach, &customer).await?;
    let (wish, name) = export_wish(&query, &customer.name)?;
    let media_type = wish.format.media_type();
    let pieces = centre.export_customer(customer.id, wish).await?;
    Ok(file(pieces, media_type, &name))
}

/// What is to be exported, and what the file is called.
fn export_wish(query: &ExportQuery, whose: &str) -> Result<(ExportWish, String), Refusal> {
    let table = Table::from_word(&query.what)
        .ok_or_else(|| Refusal::Invalid("what is exchanges, periods or summaries".into()))?;
    let format = match query.format.as_str() {
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        _ => return Err(Refusal::Invalid("format is csv or parquet".into())),
    };
    let (from, to) = (instant("from", &query.from)?, instant("to", &query.to)?);
    let day = |time: UnixTime| time.rfc3339(0).replace([':', '-'], "");
    let (word, ending) = (table.word(), format.ending());
    let name = format!("angbu-{word}-{whose}-{}-{}.{ending}", day(from), day(to));
    Ok((ExportWish { table, format, from, to }, name))
}

/// A file in pieces.
fn file(pieces: tokio::sync::mpsc::Receiver<Piece>, media_type: &'static str, name: &str) -> Response {
    let headers: [(HeaderName, String); 2] = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let body = axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(pieces));
    (headers, body).into_response()
}

/// Live news: server-sent events `agent`, `exchange`, `event`, `head` and `centre`
#[utoipa::path(get, path = "/api/v1/time/stream", tag = "time", params(AgentsQuery), operation_id = "stream",
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = Problem)))]
async fn live(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<AgentsQuery>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    // The centre's own state is the site's, whichever customer is looked at.
    let of_the_site = caller.require(Scope::SiteRead).is_ok();
    Ok(stream::events(centre, reach, of_the_site).into_response())
}

/// Take an agent's signed upload
#[utoipa::path(post, path = "/api/v1/time/uploads", tag = "time",
    request_body(content_type = "application/octet-stream", content = Vec<u8>),
    responses((status = 200, body = Uploaded), (status = "default", body = Problem)))]
async fn upload(
    State(centre): State<Arc<Centre>>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Uploaded>, Refusal> {
    Ok(Json(centre.accept_upload(body?).await?))
}

/// Make a report that a stranger can check
#[utoipa::path(post, path = "/api/v1/time/reports", tag = "time", request_body = ReportRequest, operation_id = "make_report",
    responses((status = 200, content_type = "text/html", body = String), (status = "default", body = Problem)))]
async fn report(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(request): Body<ReportRequest>,
) -> Result<Response, Refusal> {
    let reach = caller.require(Scope::TimeReport)?;
    let wish = ReportWish {
        customer: centre.customer_within(reach, &request.customer).await?,
        from: instant("from", &request.from)?,
        to: instant("to", &request.to)?,
        language: request.language,
    };
    let report = centre.make_report(&wish).await?;
    Ok(attachment::report(&report.file_name, report.html))
}
