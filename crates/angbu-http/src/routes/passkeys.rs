//! Passkeys: one's own, those of people, and links by which people register one. Signing in with one is a request's
//! answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::Scope;
use angbu_store::accounts::StaffRow;
use angbu_units::{PasskeyId, PersonId, SubjectId};

use super::requests::Browser;
use super::{Body, Parts};
use crate::caller::{Caller, Source, Who};
use crate::centre::{Centre, Holder};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::passkeys::{
    LinkHolder, NewPasskey, NewPasskeyByLink, Passkey, PasskeyLink, Passkeys, RegistrationQuestion,
    SignInAnswer, SignInQuestion,
};
use crate::types::requests::RequestAnswered;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(own, register))
        .routes(routes!(begin))
        .routes(routes!(revoke_own))
        .routes(routes!(of_person, link))
        .routes(routes!(revoke))
        .routes(routes!(begin_by_link))
        .routes(routes!(register_by_link))
        .routes(routes!(begin_answer))
        .routes(routes!(answer))
}

/// One's own passkeys
#[utoipa::path(get, path = "/api/v1/session/passkeys", tag = "accounts",
    responses((status = 200, body = Passkeys), (status = "default", body = Problem)))]
async fn own(State(centre): State<Arc<Centre>>, caller: Caller) -> Result<Json<Passkeys>, Refusal> {
    Ok(Json(centre.passkeys(SubjectId::Staff(member(&caller)?.id)).await?))
}

/// Ask for a passkey of one's own
///
/// The answer to it is registered within five minutes, once, at any centre of the site.
#[utoipa::path(post, path = "/api/v1/session/passkeys/begin", tag = "accounts",
    responses((status = 200, body = RegistrationQuestion), (status = "default", body = Problem)))]
async fn begin(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
) -> Result<Json<RegistrationQuestion>, Refusal> {
    Ok(Json(centre.begin_registration(Holder::member(member(&caller)?)).await?))
}

/// Register a passkey of one's own
#[utoipa::path(post, path = "/api/v1/session/passkeys", tag = "accounts", request_body = NewPasskey,
    responses((status = 201, body = Passkey), (status = "default", body = Problem)))]
async fn register(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(new): Body<NewPasskey>,
) -> Result<(StatusCode, Json<Passkey>), Refusal> {
    let holder = Holder::member(member(&caller)?);
    let made = centre.finish_registration(holder, &new.label, &new.credential).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Take a passkey of one's own back
#[utoipa::path(delete, path = "/api/v1/session/passkeys/{passkey}", tag = "accounts",
    params(("passkey", description = "Its id")),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke_own(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<StatusCode, Refusal> {
    let holder = SubjectId::Staff(member(&caller)?.id);
    centre.revoke_passkey(holder, id.parse()?, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person's passkeys
///
/// Needs `people.read`.
#[utoipa::path(get, path = "/api/v1/people/{person}/passkeys", tag = "accounts",
    params(("person", description = "Their id")),
    responses((status = 200, body = Passkeys), (status = "default", body = Problem)))]
async fn of_person(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(person): Parts<String>,
) -> Result<Json<Passkeys>, Refusal> {
    let reach = caller.require(Scope::PeopleRead)?;
    Ok(Json(centre.passkeys_of_person(reach, person.parse()?).await?))
}

/// Make a link by which a person registers a passkey
///
/// Needs `people.manage`. It is good once, for as long as an enrolment code.
#[utoipa::path(post, path = "/api/v1/people/{person}/passkeys", tag = "accounts",
    params(("person", description = "Their id")),
    responses((status = 201, body = PasskeyLink), (status = "default", body = Problem)))]
async fn link(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(person): Parts<String>,
) -> Result<(StatusCode, Json<PasskeyLink>), Refusal> {
    let reach = caller.require(Scope::PeopleManage)?;
    Ok((StatusCode::CREATED, Json(centre.passkey_link(reach, person.parse()?).await?)))
}

/// Take a person's passkey back
///
/// Needs `people.manage`.
#[utoipa::path(delete, path = "/api/v1/people/{person}/passkeys/{passkey}", tag = "accounts",
    params(("person", description = "Their id"), ("passkey", description = "Its id")),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts((person, id)): Parts<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let reach = caller.require(Scope::PeopleManage)?;
    let (person, id): (PersonId, PasskeyId) = (person.parse()?, id.parse()?);
    centre.revoke_passkey_of_person(reach, person, id, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for a passkey of whoever has a link
#[utoipa::path(post, path = "/api/v1/passkeys/begin", tag = "accounts", request_body = LinkHolder,
    responses((status = 200, body = RegistrationQuestion), (status = "default", body = Problem)))]
async fn begin_by_link(
    State(centre): State<Arc<Centre>>,
    Body(link): Body<LinkHolder>,
) -> Result<Json<RegistrationQuestion>, Refusal> {
    let holder = centre.holder_of_link(&link.secret).await?;
    Ok(Json(centre.begin_registration(holder).await?))
}

/// Register a passkey of whoever has a link
#[utoipa::path(post, path = "/api/v1/passkeys", tag = "accounts", request_body = NewPasskeyByLink,
    responses((status = 201, body = Passkey), (status = "default", body = Problem)))]
async fn register_by_link(
    State(centre): State<Arc<Centre>>,
    Body(new): Body<NewPasskeyByLink>,
) -> Result<(StatusCode, Json<Passkey>), Refusal> {
    let holder = centre.holder_of_link(&new.secret).await?;
    let made = centre.finish_registration(holder, &new.label, &new.credential).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Ask for an answer by a passkey
///
/// What it asks is good for five minutes, for this request, once, and at any centre of the site.
#[utoipa::path(post, path = "/api/v1/requests/{request}/answers/passkey/begin", tag = "requests",
    params(("request", description = "Its id")),
    responses((status = 200, body = SignInQuestion), (status = "default", body = Problem)))]
async fn begin_answer(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
) -> Result<Json<SignInQuestion>, Refusal> {
    Ok(Json(centre.begin_passkey_answer(id.parse()?, browser, source).await?))
}

/// Answer by a passkey
#[utoipa::path(post, path = "/api/v1/requests/{request}/answers/passkey/finish", tag = "requests",
    params(("request", description = "Its id")), request_body = SignInAnswer,
    responses((status = 200, body = RequestAnswered), (status = "default", body = Problem)))]
async fn answer(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Browser(browser): Browser,
    Parts(id): Parts<String>,
    Body(answer): Body<SignInAnswer>,
) -> Result<Json<RequestAnswered>, Refusal> {
    Ok(Json(centre.answer_by_passkey(id.parse()?, browser, &answer, source).await?))
}

/// Who is signed in with a browser, and may do something already.
fn member(caller: &Caller) -> Result<&StaffRow, Refusal> {
    match &caller.who {
        Who::Browser { member, .. } if member.must_change => Err(Refusal::PasswordMustChange),
        Who::Browser { member, .. } => Ok(member),
        Who::Token(_) => Err(Refusal::NotSignedIn),
    }
}
