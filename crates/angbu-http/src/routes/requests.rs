//! Requests: what relying parties ask, and the faces for the browsers of those who are asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts as Head;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Scope, Secret};
use angbu_requests::LIFETIMES;

use super::{Body, Parameters, Parts, accounts};
use crate::caller::{self, Caller, Source};
use crate::centre::{self, Centre, RequestWish};
use crate::problem::Refusal;
use crate::stream;
use crate::types::Problem;
use crate::types::accounts::Session;
use crate::types::requests::{
    KeysAnswer, NewRequest, PasswordAnswer, RequestAnswered, RequestList, RequestMade, RequestSecret,
    RequestShown, RequestState, RequestsQuery,
};

/// The name of the cookie that binds a browser to the request that it opened.
const COOKIE: &str = "angbu_request";

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(requests, make_request))
        .routes(routes!(request))
        .routes(routes!(events))
        .routes(routes!(open))
        .routes(routes!(shown))
        .routes(routes!(answer_by_password))
        .routes(routes!(answer_by_key))
        .routes(routes!(cancel))
        .routes(routes!(begin_sign_in))
        .routes(routes!(begin_session))
}

/// The browser that opened a request, if the call comes from one, and from the site's own pages.
pub(super) struct Browser(pub(super) Option<centre::Browser>);

impl FromRequestParts<Arc<Centre>> for Browser {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Head, _: &Arc<Centre>) -> Result<Self, Refusal> {
        if !parts.method.is_safe() && !caller::same_origin(&parts.headers) {
            return Err(Refusal::CrossSite);
        }
        let secret = caller::cookie(&parts.headers, COOKIE).and_then(|text| Secret::parse(text).ok());
        Ok(Self(secret.map(|secret| centre::Browser::keeping(&secret))))
    }
}

/// Ask a person to sign in, or to agree to something
///
/// Needs `requests.make`. Send the person's browser to the address in the answer, and wait for the verdict by the request's
/// events, or by asking for it.
#[utoipa::path(post, path = "/api/v1/requests", tag = "requests", request_body = NewRequest,
    responses((status = 201, body = RequestMade), (status = "default", body = Problem)))]
async fn make_request(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewRequest>,
) -> Result<(StatusCode, Json<RequestMade>), Refusal> {
    let reach = caller.require(Scope::RequestsMake)?;
    let customer = match (&wish.customer, reach.customer()) {
        (Some(name), _) => centre.customer_within(reach, name).await?.id,
        (None, Some(own)) => own,
        (None, None) => return Err(Refusal::Invalid("customer: name whose person is asked".into())),
    };
    let wish = RequestWish::read(wish)?;
    Ok((StatusCode::CREATED, Json(centre.make_request(customer, &caller, wish).await?)))
}

/// Requests, the newest first
///
/// Needs `requests.read`.
#[utoipa::path(get, path = "/api/v1/requests", tag = "requests", params(RequestsQuery),
    responses((status = 200, body = RequestList), (status = "default", body = Problem)))]
async fn requests(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<RequestsQuery>,
) -> Result<Json<RequestList>, Refusal> {
    let reach = caller.require(Scope::RequestsRead)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    let before = query.before.as_deref().map(str::parse).transpose()?;
    let limit = query.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Refusal::Invalid("limit lies between 1 and 200".into()));
    }
    Ok(Json(centre.requests(reach, before, limit).await?))
}

/// A request as it stands, with the proof of its end
///
/// Needs `requests.make` for what the caller asked itself, and `requests.read` for any other. The receipt is there moments
/// after the end.
#[utoipa::path(get, path = "/api/v1/requests/{request}", tag = "requests", params(("request", description = "Its id")),
    responses((status = 200, body = RequestState), (status = "default", body = Problem)))]
async fn request(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<RequestState>, Refusal> {
    let id = id.parse()?;
    centre.readable_request(&caller, id).await?;
    Ok(Json(centre.request_state(id).await?))
}

/// A request's changes: server-sent events `request`, each with the request as it stands
///
/// The first comes at once, the last tells the end with its receipt, and then the stream ends. Needs what reading it needs.
#[utoipa::path(get, path = "/api/v1/requests/{request}/events", tag = "requests",
    params(("request", description = "Its id")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = Problem)))]
async fn events(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Response, Refusal> {
    let id = id.parse()?;
    centre.readable_request(&caller, id).await?;
    Ok(stream::of_request(centre, id).into_response())
}

/// Open a request in this browser
///
/// Whoever has the secret opens it once; the answer binds it to the browser by a cookie, and the same browser may open it
/// again.
#[utoipa::path(post, path = "/api/v1/requests/{request}/open", tag = "requests",
    params(("request", description = "Its id")), request_body = RequestSecret,
    responses((status = 200, body = RequestShown), (status = "default", body = Problem)))]
async fn open(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Browser(kept): Browser,
    Parts(id): Parts<String>,
    Body(secret): Body<RequestSecret>,
) -> Result<Response, Refusal> {
    let (shown, fresh) = centre.open_request(id.parse()?, &secret.secret, kept, source).await?;
    Ok(bound(&centre, shown, StatusCode::OK, fresh.as_ref()))
}

/// A request as the browser that opened it sees it
#[utoipa::path(get, path = "/api/v1/requests/{request}/shown", tag = "requests",
    params(("request", description = "Its id")),
    responses((status = 200, body = RequestShown), (status = "default", body = Problem)))]
async fn shown(
    State(centre): State<Arc<Centre>>,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
) -> Result<Json<RequestShown>, Refusal> {
    Ok(Json(centre.request_shown(id.parse()?, browser).await?))
}

/// Answer by a password
#[utoipa::path(post, path = "/api/v1/requests/{request}/answers/password", tag = "requests",
    params(("request", description = "Its id")), request_body = PasswordAnswer,
    responses((status = 200, body = RequestAnswered), (status = "default", body = Problem)))]
async fn answer_by_password(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
    Body(answer): Body<PasswordAnswer>,
) -> Result<Json<RequestAnswered>, Refusal> {
    Ok(Json(centre.answer_by_password(id.parse()?, browser, answer, source).await?))
}

/// Answer by a one-time key
///
/// A key that was used before is a wrong answer. After too many failures nothing is judged for a while (429).
#[utoipa::path(post, path = "/api/v1/requests/{request}/answers/keys", tag = "requests",
    params(("request", description = "Its id")), request_body = KeysAnswer,
    responses((status = 200, body = RequestAnswered), (status = "default", body = Problem)))]
async fn answer_by_key(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
    Body(answer): Body<KeysAnswer>,
) -> Result<Json<RequestAnswered>, Refusal> {
    Ok(Json(centre.answer_by_key(id.parse()?, browser, answer, source).await?))
}

/// End a request, because whoever is asked wants to
#[utoipa::path(post, path = "/api/v1/requests/{request}/cancel", tag = "requests",
    params(("request", description = "Its id")),
    responses((status = 200, body = RequestShown), (status = "default", body = Problem)))]
async fn cancel(
    State(centre): State<Arc<Centre>>,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
) -> Result<Json<RequestShown>, Refusal> {
    Ok(Json(centre.cancel_request(id.parse()?, browser).await?))
}

/// Begin to sign in to the console
///
/// A request of the console's own, open in this browser already. It is answered as any other; what it takes depends on who
/// answers: whoever has a token or a passkey needs more than a password.
#[utoipa::path(post, path = "/api/v1/session/request", tag = "accounts",
    responses((status = 201, body = RequestShown), (status = "default", body = Problem)))]
async fn begin_sign_in(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    _: Browser,
) -> Result<Response, Refusal> {
    let (shown, browser) = centre.begin_sign_in(source).await?;
    Ok(bound(&centre, shown, StatusCode::CREATED, Some(&browser)))
}

/// Begin a session with a sign-in that was accepted, once
#[utoipa::path(post, path = "/api/v1/requests/{request}/session", tag = "accounts",
    params(("request", description = "Its id")),
    responses((status = 200, body = Session), (status = "default", body = Problem)))]
async fn begin_session(
    State(centre): State<Arc<Centre>>,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
) -> Result<Response, Refusal> {
    let (secret, member) = centre.session_of_request(id.parse()?, browser).await?;
    accounts::signed_in(&centre, &secret, &member).await
}

/// The answer that binds a browser to a request.
pub(super) fn bound(
    centre: &Centre,
    shown: RequestShown,
    status: StatusCode,
    fresh: Option<&Secret>,
) -> Response {
    let Some(secret) = fresh else { return (status, Json(shown)).into_response() };
    let (path, value) = (format!("/api/v1/requests/{}", shown.id), secret.reveal());
    let cookie = caller::Cookie { name: COOKIE, value: &value, path: &path, seconds: *LIFETIMES.end() };
    (status, [(header::SET_COOKIE, cookie.text(centre))], Json(shown)).into_response()
}
