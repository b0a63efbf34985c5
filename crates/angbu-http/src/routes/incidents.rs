//! Incidents, the queue of messages, webhooks, tests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_units::{UnixTime, WebhookId};

use super::{Body, Parameters, Parts, instant};
use crate::caller::Caller;
use crate::centre::Centre;
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::deliveries::{Deliveries, DeliveriesQuery, NewWebhook, TestSent, WebhookMade, Webhooks};
use crate::types::incidents::{Incidents, IncidentsQuery};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(incidents))
        .routes(routes!(deliveries))
        .routes(routes!(try_now))
        .routes(routes!(test))
        .routes(routes!(webhooks, make_webhook))
        .routes(routes!(remove_webhook))
        .routes(routes!(new_secret))
}

/// Incidents, the newest first
///
/// Needs `time.read`. Those of the centre itself are everybody's.
#[utoipa::path(get, path = "/api/v1/time/incidents", tag = "time", params(IncidentsQuery),
    responses((status = 200, body = Incidents), (status = "default", body = Problem)))]
async fn incidents(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<IncidentsQuery>,
) -> Result<Json<Incidents>, Refusal> {
    let reach = caller.require(Scope::TimeRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    let agent = query.agent.as_deref().map(str::parse).transpose()?;
    let (before, limit) = page(query.before.as_deref(), query.limit)?;
    Ok(Json(centre.incidents(reach, agent, before, limit).await?))
}

/// Messages on their way out, the newest first
///
/// Needs `customers.change`; operators see all.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(DeliveriesQuery),
    responses((status = 200, body = Deliveries), (status = "default", body = Problem)))]
async fn deliveries(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<DeliveriesQuery>,
) -> Result<Json<Deliveries>, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    let (before, limit) = page(query.before.as_deref(), query.limit)?;
    Ok(Json(centre.deliveries(reach, before, limit).await?))
}

/// Try everything that waits now
///
/// Needs `operator`: as after the mail server was put right.
#[utoipa::path(post, path = "/api/v1/deliveries/now", tag = "deliveries",
    responses((status = 202, body = TestSent), (status = "default", body = Problem)))]
async fn try_now(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
) -> Result<(StatusCode, Json<TestSent>), Refusal> {
    caller.require(Scope::Operator)?;
    let deliveries = centre.hurry_deliveries().await?;
    Ok((StatusCode::ACCEPTED, Json(TestSent { deliveries })))
}

/// Send a test to a customer's contacts and webhooks
///
/// Needs `customers.change`.
#[utoipa::path(post, path = "/api/v1/customers/{customer}/test", tag = "deliveries",
    params(("customer", description = "Name or id")),
    responses((status = 202, body = TestSent), (status = "default", body = Problem)))]
async fn test(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
) -> Result<(StatusCode, Json<TestSent>), Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    let deliveries = centre.send_test(customer).await?;
    Ok((StatusCode::ACCEPTED, Json(TestSent { deliveries })))
}

/// A customer's webhooks, without their secrets
///
/// Needs `customers.change`.
#[utoipa::path(get, path = "/api/v1/customers/{customer}/webhooks", tag = "deliveries",
    params(("customer", description = "Name or id")),
    responses((status = 200, body = Webhooks), (status = "default", body = Problem)))]
async fn webhooks(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
) -> Result<Json<Webhooks>, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    Ok(Json(Webhooks { webhooks: centre.webhooks(customer.id).await? }))
}

/// Make a webhook
///
/// Needs `customers.change`. Its secret is shown this once. Messages are signed as Standard Webhooks says.
#[utoipa::path(post, path = "/api/v1/customers/{customer}/webhooks", tag = "deliveries",
    params(("customer", description = "Name or id")), request_body = NewWebhook,
    responses((status = 201, body = WebhookMade), (status = "default", body = Problem)))]
async fn make_webhook(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
    Body(wish): Body<NewWebhook>,
) -> Result<(StatusCode, Json<WebhookMade>), Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    let made = centre.add_webhook(customer.id, &wish.url, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Take a webhook away
///
/// Needs `customers.change`. What waits for it is given up.
#[utoipa::path(delete, path = "/api/v1/customers/{customer}/webhooks/{webhook}", tag = "deliveries",
    params(("customer", description = "Name or id"), ("webhook", description = "Its id")),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove_webhook(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts((name, id)): Parts<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    centre.remove_webhook(customer.id, id.parse::<WebhookId>()?, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook another secret
///
/// Needs `customers.change`. It is shown this once; the one before signs beside it for a day.
#[utoipa::path(post, path = "/api/v1/customers/{customer}/webhooks/{webhook}/secret", tag = "deliveries",
    params(("customer", description = "Name or id"), ("webhook", description = "Its id")),
    responses((status = 200, body = WebhookMade), (status = "default", body = Problem)))]
async fn new_secret(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts((name, id)): Parts<(String, String)>,
) -> Result<Json<WebhookMade>, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    Ok(Json(centre.rotate_webhook(customer.id, id.parse::<WebhookId>()?, caller.by()).await?))
}

fn page(before: Option<&str>, limit: Option<u64>) -> Result<(UnixTime, u64), Refusal> {
    let before = before.map(|text| instant("before", text)).transpose()?.unwrap_or(UnixTime::MAX);
    let limit = limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Refusal::Invalid("limit lies between 1 and 500".into()));
    }
    Ok((before, limit))
}
