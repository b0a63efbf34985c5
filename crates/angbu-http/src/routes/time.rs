//! Agents, their graphs and uploads, live news, reports.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_units::AgentId;

use super::{Body, Parameters, Parts, instant};
use crate::attachment;
use crate::caller::Caller;
use crate::centre::{Centre, ReportWish};
use crate::problem::Refusal;
use crate::stream;
use crate::types::Problem;
use crate::types::time::{Agent, Agents, AgentsQuery, Graph, GraphQuery, ReportRequest, Uploaded};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(agents))
        .routes(routes!(agent))
        .routes(routes!(graph))
        .routes(routes!(live))
        .routes(routes!(upload))
        .routes(routes!(report))
}

/// Agents and how they stand now
#[utoipa::path(get, path = "/api/v1/time/agents", tag = "time", params(AgentsQuery),
    responses((status = 200, body = Agents), (status = "default", body = Problem)))]
async fn agents(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<AgentsQuery>,
) -> Result<Json<Agents>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    Ok(Json(Agents { agents: centre.agents_of(reach.customer()).await? }))
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
