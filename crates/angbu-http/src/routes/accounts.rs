//! Sessions, customers, tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Grant, Name, SESSION_LIFETIME, Scope, Scopes};
use angbu_store::accounts::StaffRow;
use angbu_units::Nanos;

use super::{Body, Parts};
use crate::caller::{COOKIE, Caller, Source, Who, same_origin};
use crate::centre::Centre;
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::accounts::{
    Customer, Customers, NewCustomer, NewToken, Operator, PasswordChange, Session, SignIn, TokenMade,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(session, sign_in, sign_out))
        .routes(routes!(change_password))
        .routes(routes!(customers, make_customer))
        .routes(routes!(customer))
        .routes(routes!(make_token))
}

/// Who is signed in
#[utoipa::path(get, path = "/api/v1/session", tag = "accounts",
    responses((status = 200, body = Session), (status = "default", body = Problem)))]
async fn session(caller: Caller) -> Result<Json<Session>, Refusal> {
    match caller.who {
        Who::Browser { member, .. } => Ok(Json(session_of(&member))),
        Who::Token => Err(Refusal::NotSignedIn),
    }
}

/// Sign in
#[utoipa::path(post, path = "/api/v1/session", tag = "accounts", request_body = SignIn,
    responses((status = 200, body = Session), (status = "default", body = Problem)))]
async fn sign_in(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    headers: HeaderMap,
    Body(wish): Body<SignIn>,
) -> Result<Response, Refusal> {
    if !same_origin(&headers) {
        return Err(Refusal::CrossSite);
    }
    let (secret, operator) = centre.sign_in(&wish.name, wish.password, source).await?;
    let cookie = cookie(&centre, &secret.reveal(), SESSION_LIFETIME.count() / 1_000_000_000);
    Ok(([(header::SET_COOKIE, cookie)], Json(session_of(&operator))).into_response())
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/session", tag = "accounts",
    responses((status = 204), (status = "default", body = Problem)))]
async fn sign_out(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Response, Refusal> {
    if let Who::Browser { secret, .. } = caller.who {
        centre.sign_out(&secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&centre, "", 0))]).into_response())
}

/// Change the own password
#[utoipa::path(post, path = "/api/v1/session/password", tag = "accounts", request_body = PasswordChange,
    responses((status = 204), (status = "default", body = Problem)))]
async fn change_password(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Refusal> {
    let Who::Browser { member, secret } = caller.who else { return Err(Refusal::NotSignedIn) };
    centre.change_password(&member, change.old, change.new, &secret).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All customers
#[utoipa::path(get, path = "/api/v1/customers", tag = "accounts",
    responses((status = 200, body = Customers), (status = "default", body = Problem)))]
async fn customers(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<Customers>, Refusal> {
    let reach = caller.require(Scope::CustomersRead)?;
    Ok(Json(Customers { customers: centre.customers(reach).await? }))
}

/// One customer, by name or id
#[utoipa::path(get, path = "/api/v1/customers/{customer}", tag = "accounts", params(("customer", description = "Name or id")),
    responses((status = 200, body = Customer), (status = "default", body = Problem)))]
async fn customer(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
) -> Result<Json<Customer>, Refusal> {
    let reach = caller.require(Scope::CustomersRead)?;
    let customer = centre.customer_within(reach, &name).await?;
    Ok(Json(centre.customer_now(customer).await?))
}

/// Make a customer
#[utoipa::path(post, path = "/api/v1/customers", tag = "accounts", request_body = NewCustomer,
    responses((status = 201, body = Customer), (status = "default", body = Problem)))]
async fn make_customer(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewCustomer>,
) -> Result<(StatusCode, Json<Customer>), Refusal> {
    caller.require(Scope::Operator)?;
    let name: Name = wish.name.parse()?;
    let tolerance = tolerance(wish.tolerance_ns)?;
    let customer = centre.make_customer(&name, tolerance).await?;
    Ok((StatusCode::CREATED, Json(centre.customer_now(customer).await?)))
}

/// Make an API token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "accounts", request_body = NewToken,
    responses((status = 201, body = TokenMade), (status = "default", body = Problem)))]
async fn make_token(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Refusal> {
    let reach = caller.require(Scope::TokensManage)?;
    let scopes: Scopes =
        wish.scopes.join(" ").parse().map_err(|error| Refusal::Invalid(format!("scopes: {error}")))?;
    let grant = Grant { scopes, reach };
    caller.may_give(&grant)?;
    let expires = wish.expires.map(|text| super::instant("expires", &text)).transpose()?;
    let (id, secret) = centre.make_token(&wish.holder, grant, expires).await?;
    Ok((StatusCode::CREATED, Json(TokenMade { id: id.to_string(), token: secret.reveal() })))
}

fn tolerance(nanos: i64) -> Result<Nanos, Refusal> {
    if (1_000..=86_400_000_000_000).contains(&nanos) {
        Ok(Nanos::new(nanos))
    } else {
        Err(Refusal::Invalid("tolerance_ns lies between 1000 (1 µs) and 86400000000000 (1 day)".into()))
    }
}

fn session_of(operator: &StaffRow) -> Session {
    Session {
        operator: Operator { id: operator.id.to_string(), name: operator.name.clone() },
        must_change_password: operator.must_change,
    }
}

fn cookie(centre: &Centre, value: &str, seconds: i64) -> String {
    let secure = if centre.speaks_tls() { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}
