//! Sessions, customers, staff, tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Grant, Name, Role, SESSION_LIFETIME, Scope, Secret};
use angbu_store::accounts::StaffRow;
use angbu_units::{Language, TokenId};

use super::{Body, Parameters, Parts, instant, requests};
use crate::caller::{COOKIE, Caller, Cookie, Source, Who, same_origin};
use crate::centre::{Centre, CustomerWish, SigningIn, StaffWish, read_grant, read_holder};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::accounts::{
    Customer, CustomerChange, Customers, NewCustomer, NewStaff, NewToken, OfCustomer, OneTimePassword,
    PasswordChange, Session, SignIn, StaffChange, StaffList, StaffMade, StaffMember, TokenMade, Tokens,
};
use crate::types::requests::RequestShown;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(session, sign_in, sign_out))
        .routes(routes!(change_password))
        .routes(routes!(customers, make_customer))
        .routes(routes!(customer, change_customer))
        .routes(routes!(staff, make_staff))
        .routes(routes!(change_staff))
        .routes(routes!(new_password))
        .routes(routes!(tokens, make_token))
        .routes(routes!(revoke_token))
}

/// Who is signed in
#[utoipa::path(get, path = "/api/v1/session", tag = "accounts",
    responses((status = 200, body = Session), (status = "default", body = Problem)))]
async fn session(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<Session>, Refusal> {
    match caller.who {
        Who::Browser { member, .. } => Ok(Json(centre.show_session(&member).await?)),
        Who::Token(_) => Err(Refusal::NotSignedIn),
    }
}

/// Sign in by a password
///
/// Where the member has a token or a passkey too, that is not all: the answer is then a request (202), open in this browser, the
/// password answered; it is answered to its end like any other, and `POST /api/v1/requests/ID/session` begins the session.
#[utoipa::path(post, path = "/api/v1/session", tag = "accounts", request_body = SignIn,
    responses((status = 200, body = Session), (status = 202, body = RequestShown), (status = "default", body = Problem)))]
async fn sign_in(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    headers: HeaderMap,
    Body(wish): Body<SignIn>,
) -> Result<Response, Refusal> {
    if !same_origin(&headers) {
        return Err(Refusal::CrossSite);
    }
    match centre.sign_in(&wish.name, wish.password, source).await? {
        SigningIn::Session(secret, member) => signed_in(&centre, &secret, &member).await,
        SigningIn::More(shown, browser) => {
            Ok(requests::bound(&centre, *shown, StatusCode::ACCEPTED, Some(&browser)))
        }
    }
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

/// Customers
///
/// Needs `customers.read`; whoever works for one customer sees that one.
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
///
/// Needs `operator`.
#[utoipa::path(post, path = "/api/v1/customers", tag = "accounts", request_body = NewCustomer,
    responses((status = 201, body = Customer), (status = "default", body = Problem)))]
async fn make_customer(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewCustomer>,
) -> Result<(StatusCode, Json<Customer>), Refusal> {
    caller.require(Scope::Operator)?;
    let name: Name = wish.name.parse()?;
    let settings = CustomerWish::read(
        Some(wish.tolerance_ns),
        wish.contacts.as_deref(),
        wish.language.as_deref(),
        wish.zone.as_deref(),
    )?;
    let customer = centre.add_customer(&name, settings, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(centre.customer_now(customer).await?)))
}

/// Change a customer's settings
///
/// Needs `customers.change`. What changes is a new revision, and an entry shows it.
#[utoipa::path(patch, path = "/api/v1/customers/{customer}", tag = "accounts",
    params(("customer", description = "Name or id")), request_body = CustomerChange,
    responses((status = 200, body = Customer), (status = "default", body = Problem)))]
async fn change_customer(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(name): Parts<String>,
    Body(wish): Body<CustomerChange>,
) -> Result<Json<Customer>, Refusal> {
    let reach = caller.require(Scope::CustomersChange)?;
    let customer = centre.customer_within(reach, &name).await?;
    let settings = CustomerWish::read(
        wish.tolerance_ns,
        wish.contacts.as_deref(),
        wish.language.as_deref(),
        wish.zone.as_deref(),
    )?;
    let changed = centre.change_customer(customer.id, settings, caller.by()).await?;
    Ok(Json(centre.customer_now(changed).await?))
}

/// Staff
///
/// Needs `staff.manage`.
#[utoipa::path(get, path = "/api/v1/staff", tag = "accounts", params(OfCustomer),
    responses((status = 200, body = StaffList), (status = "default", body = Problem)))]
async fn staff(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<OfCustomer>,
) -> Result<Json<StaffList>, Refusal> {
    let reach = caller.require(Scope::StaffManage)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    Ok(Json(StaffList { staff: centre.staff(reach).await? }))
}

/// Make a member of the staff
///
/// Needs `staff.manage`, and everything that the role allows. The one-time password is shown this once.
#[utoipa::path(post, path = "/api/v1/staff", tag = "accounts", request_body = NewStaff,
    responses((status = 201, body = StaffMade), (status = "default", body = Problem)))]
async fn make_staff(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewStaff>,
) -> Result<(StatusCode, Json<StaffMade>), Refusal> {
    let reach = caller.require(Scope::StaffManage)?;
    let reach = centre.narrow(reach, wish.customer.as_deref()).await?;
    let role = Role::from(wish.role);
    role.check(reach)?;
    caller.may_give(&Grant::of(role, reach))?;
    let name: Name = wish.name.parse()?;
    let language = wish.language.as_deref().map(str::parse).transpose()?.unwrap_or(Language::English);
    let (staff, password) = centre.make_staff(&name, role, reach, language, caller.by()).await?;
    let one_time_password = password.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(StaffMade { staff, one_time_password })))
}

/// Change a member of the staff
///
/// Needs `staff.manage`, and everything that the old and the new role allow. The last operator stays.
#[utoipa::path(patch, path = "/api/v1/staff/{staff}", tag = "accounts", params(("staff", description = "Its id")),
    request_body = StaffChange,
    responses((status = 200, body = StaffMember), (status = "default", body = Problem)))]
async fn change_staff(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(change): Body<StaffChange>,
) -> Result<Json<StaffMember>, Refusal> {
    let reach = caller.require(Scope::StaffManage)?;
    let wish = StaffWish {
        role: change.role.map(Role::from),
        disabled: change.disabled,
        language: change.language.as_deref().map(str::parse).transpose()?,
    };
    Ok(Json(centre.change_staff(&caller, reach, id.parse()?, wish).await?))
}

/// Give a member of the staff a one-time password
///
/// Needs `staff.manage`, and everything that the role allows. Open sessions of the member end.
#[utoipa::path(post, path = "/api/v1/staff/{staff}/password", tag = "accounts",
    params(("staff", description = "Its id")),
    responses((status = 200, body = OneTimePassword), (status = "default", body = Problem)))]
async fn new_password(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<OneTimePassword>, Refusal> {
    let reach = caller.require(Scope::StaffManage)?;
    let password = centre.new_password(&caller, reach, id.parse()?).await?;
    Ok(Json(OneTimePassword { one_time_password: password.reveal().to_owned() }))
}

/// API tokens, without their secrets
///
/// Needs `tokens.manage`.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "accounts", params(OfCustomer),
    responses((status = 200, body = Tokens), (status = "default", body = Problem)))]
async fn tokens(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<OfCustomer>,
) -> Result<Json<Tokens>, Refusal> {
    let reach = caller.require(Scope::TokensManage)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    Ok(Json(Tokens { tokens: centre.tokens(reach).await? }))
}

/// Make an API token
///
/// Needs `tokens.manage`, and every scope that the token is to have. Its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "accounts", request_body = NewToken,
    responses((status = 201, body = TokenMade), (status = "default", body = Problem)))]
async fn make_token(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Refusal> {
    let reach = caller.require(Scope::TokensManage)?;
    let reach = centre.narrow(reach, wish.customer.as_deref()).await?;
    let grant = read_grant(&wish.scopes, reach)?;
    caller.may_give(&grant)?;
    let holder = read_holder(wish.holder)?;
    let expires = wish.expires.map(|text| instant("expires", &text)).transpose()?;
    if expires.is_some_and(|end| end <= centre.instant().time) {
        return Err(Refusal::Invalid("expires lies in the past; name an instant to come, or none".into()));
    }
    let (id, secret) = centre.add_token(holder, grant, expires, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(TokenMade { id: id.to_string(), token: secret.reveal() })))
}

/// Revoke an API token, for good
///
/// Needs `tokens.manage`.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "accounts", params(("token", description = "Its id")),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke_token(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<StatusCode, Refusal> {
    let reach = caller.require(Scope::TokensManage)?;
    let token: TokenId = id.parse()?;
    if centre.revoke_token_within(reach, token, caller.by()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::unknown("token", &id))
    }
}

/// The answer that begins a session.
pub(super) async fn signed_in(
    centre: &Centre,
    secret: &Secret,
    member: &StaffRow,
) -> Result<Response, Refusal> {
    let cookie = cookie(centre, &secret.reveal(), SESSION_LIFETIME.count() / 1_000_000_000);
    Ok(([(header::SET_COOKIE, cookie)], Json(centre.show_session(member).await?)).into_response())
}

fn cookie(centre: &Centre, value: &str, seconds: i64) -> String {
    Cookie { name: COOKIE, value, path: "/", seconds }.text(centre)
}
