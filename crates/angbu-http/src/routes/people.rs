//! People of customers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Birthday, Joining, JoiningError, Reach, Scope, Wish};
use angbu_units::PersonId;

use super::{Body, Parameters, Parts};
use crate::caller::Caller;
use crate::centre::{Centre, PersonWish};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::people::{NewPerson, People, PeopleQuery, Person, PersonChange};

/// How many people a page has unless told otherwise, and at most.
const PAGE: u64 = 50;
const LARGEST_PAGE: u64 = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new().routes(routes!(people, add_person)).routes(routes!(person, change_person))
}

/// A customer's people, page by page
///
/// Needs `people.read`.
#[utoipa::path(get, path = "/api/v1/people", tag = "accounts", params(PeopleQuery),
    responses((status = 200, body = People), (status = "default", body = Problem)))]
async fn people(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<PeopleQuery>,
) -> Result<Json<People>, Refusal> {
    let reach = caller.require(Scope::PeopleRead)?;
    let customer = match (query.customer, reach) {
        (Some(name), reach) => centre.customer_within(reach, &name).await?,
        (None, Reach::Customer(id)) => centre.customer(&id.to_string()).await?,
        (None, Reach::Site) => {
            return Err(Refusal::Invalid("name the customer whose people are wanted".into()));
        }
    };
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refusal::Invalid(format!("limit lies between 1 and {LARGEST_PAGE}")));
    }
    let after: Option<PersonId> = query.after.as_deref().map(str::parse).transpose()?;
    Ok(Json(centre.people(&customer, after, limit).await?))
}

/// Add a person
///
/// Needs `people.manage`. Each field that cannot be taken is refused with a `type` of its own.
#[utoipa::path(post, path = "/api/v1/people", tag = "accounts", request_body = NewPerson,
    responses((status = 201, body = Person), (status = "default", body = Problem)))]
async fn add_person(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewPerson>,
) -> Result<(StatusCode, Json<Person>), Refusal> {
    let reach = caller.require(Scope::PeopleManage)?;
    let customer = centre.customer_within(reach, &wish.customer).await?;
    let data = Wish {
        login_id: &wish.login_id,
        password: wish.password,
        birthday: &wish.birthday,
        phone: &wish.phone_no,
        language: wish.language.as_deref(),
    };
    let joining = Joining::read(data, centre.instant().time)?;
    let person = centre.add_person(&customer, joining, caller.by()).await?;
    Ok((StatusCode::CREATED, Json(person)))
}

/// One person
///
/// Needs `people.read`.
#[utoipa::path(get, path = "/api/v1/people/{person}", tag = "accounts", params(("person", description = "Its id")),
    responses((status = 200, body = Person), (status = "default", body = Problem)))]
async fn person(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<Person>, Refusal> {
    let reach = caller.require(Scope::PeopleRead)?;
    Ok(Json(centre.person(reach, id.parse()?).await?))
}

/// Change a person
///
/// Needs `people.manage`.
#[utoipa::path(patch, path = "/api/v1/people/{person}", tag = "accounts", params(("person", description = "Its id")),
    request_body = PersonChange,
    responses((status = 200, body = Person), (status = "default", body = Problem)))]
async fn change_person(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(change): Body<PersonChange>,
) -> Result<Json<Person>, Refusal> {
    let reach = caller.require(Scope::PeopleManage)?;
    let now = centre.instant().time;
    let birthday = change.birthday.as_deref().map(|text| Birthday::parse(text, now)).transpose();
    let phone = change.phone_no.as_deref().map(str::parse).transpose();
    let wish = PersonWish {
        phone: phone.map_err(JoiningError::from)?,
        birthday: birthday.map_err(JoiningError::from)?,
        disabled: change.disabled,
        language: change.language.as_deref().map(str::parse).transpose()?,
    };
    Ok(Json(centre.change_person(reach, id.parse()?, wish, caller.by()).await?))
}
