//! Enrolment: a code for whoever joins, the joining, and the machines that have joined.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Joining, JoiningError, LoginId, Name, Reach, Scope, Wish};
use angbu_requests::Origins;

use super::{Body, Parameters, Parts};
use crate::caller::{Caller, Source};
use crate::centre::{Centre, JoinWish};
use crate::problem::Refusal;
use crate::types::accounts::OfCustomer;
use crate::types::enrolments::{
    Enrolment, EnrolmentKind, Enrolments, Join, Joined, Machine, MachineChange, MachineJoined, Machines,
    NewEnrolment,
};
use crate::types::people::{PersonJoin, PersonJoined};
use crate::types::{Problem, instant};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(enrolments, enrol))
        .routes(routes!(revoke_enrolment))
        .routes(routes!(join))
        .routes(routes!(join_person))
        .routes(routes!(join_host))
        .routes(routes!(join_relying_party))
        .routes(routes!(machines))
        .routes(routes!(change_machine))
}

/// Make a one-time enrolment code
///
/// Needs `enrolments.make`, and `people.manage` for a person, `machines.manage` for all else.
#[utoipa::path(post, path = "/api/v1/enrolments", tag = "accounts", request_body = NewEnrolment,
    responses((status = 201, body = Enrolment), (status = "default", body = Problem)))]
async fn enrol(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewEnrolment>,
) -> Result<(StatusCode, Json<Enrolment>), Refusal> {
    let reach = caller.require(Scope::EnrolmentsMake)?;
    caller.require(needed(wish.kind))?;
    let customer = centre.customer_within(reach, &wish.customer).await?;
    let name = match wish.kind {
        EnrolmentKind::Person => {
            wish.name.parse::<LoginId>().map_err(JoiningError::from)?.as_str().to_owned()
        }
        EnrolmentKind::Agent | EnrolmentKind::Host | EnrolmentKind::RelyingParty => {
            wish.name.parse::<Name>()?.as_str().to_owned()
        }
    };
    let (id, code, expires) = centre.enrol(wish.kind, customer.id, name).await?;
    let enrolment = Enrolment { id: id.to_string(), code: code.reveal(), expires_at: instant(expires) };
    Ok((StatusCode::CREATED, Json(enrolment)))
}

/// Enrolment codes that have not ended, without their secrets
///
/// Needs `enrolments.make`; shows those of people with `people.manage`, and all others with `machines.manage`.
#[utoipa::path(get, path = "/api/v1/enrolments", tag = "accounts", params(OfCustomer),
    responses((status = 200, body = Enrolments), (status = "default", body = Problem)))]
async fn enrolments(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<OfCustomer>,
) -> Result<Json<Enrolments>, Refusal> {
    let (reach, wanted) = may_enrol(caller)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    Ok(Json(Enrolments { enrolments: centre.codes(reach, wanted).await? }))
}

/// Take an enrolment code back
///
/// Needs what making it needs.
#[utoipa::path(delete, path = "/api/v1/enrolments/{enrolment}", tag = "accounts",
    params(("enrolment", description = "Its id")),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke_enrolment(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<StatusCode, Refusal> {
    let (reach, wanted) = may_enrol(caller)?;
    centre.delete_code(reach, id.parse()?, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Join as an agent, with a code
#[utoipa::path(post, path = "/api/v1/enrolments/agent", tag = "accounts", request_body = Join,
    responses((status = 200, body = Joined), (status = "default", body = Problem)))]
async fn join(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(join): Body<Join>,
) -> Result<Json<Joined>, Refusal> {
    let (agent, customer) = centre.join_as_agent(read(EnrolmentKind::Agent, &join)?, source).await?;
    Ok(Json(Joined {
        agent_id: agent.id.to_string(),
        customer: customer.name,
        customer_id: customer.id.to_string(),
        centre_id: centre.site().centre.to_string(),
        log_key: centre.log_key(),
        tolerance_ns: customer.tolerance.count(),
        ntp: centre.site().ntp_address.to_string(),
        nts: centre.site().nts_address.to_string(),
        nts_key: STANDARD.encode(centre.site().nts_key),
    }))
}

/// Join as a person, with a code
///
/// Each field that cannot be taken is refused with a `type` of its own, and the code stays good.
#[utoipa::path(post, path = "/api/v1/enrolments/person", tag = "accounts", request_body = PersonJoin,
    responses((status = 200, body = PersonJoined), (status = "default", body = Problem)))]
async fn join_person(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(join): Body<PersonJoin>,
) -> Result<Json<PersonJoined>, Refusal> {
    let secret = bytes("secret", &join.secret)?;
    let data = Wish {
        login_id: &join.login_id,
        password: join.password,
        birthday: &join.birthday,
        phone: &join.phone_no,
        language: join.language.as_deref(),
    };
    let joining = Joining::read(data, centre.instant().time)?;
    let (person, customer) = centre.join_as_person(secret, joining, source).await?;
    Ok(Json(PersonJoined {
        person_id: person.id.to_string(),
        customer: customer.name,
        customer_id: customer.id.to_string(),
        centre_id: centre.site().centre.to_string(),
        log_key: centre.log_key(),
    }))
}

/// Join as a host, with a code
#[utoipa::path(post, path = "/api/v1/enrolments/host", tag = "accounts", request_body = Join,
    responses((status = 200, body = MachineJoined), (status = "default", body = Problem)))]
async fn join_host(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(join): Body<Join>,
) -> Result<Json<MachineJoined>, Refusal> {
    machine_joins(&centre, read(EnrolmentKind::Host, &join)?, source).await
}

/// Join as a relying party, with a code
#[utoipa::path(post, path = "/api/v1/enrolments/relying-party", tag = "accounts", request_body = Join,
    responses((status = 200, body = MachineJoined), (status = "default", body = Problem)))]
async fn join_relying_party(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(join): Body<Join>,
) -> Result<Json<MachineJoined>, Refusal> {
    machine_joins(&centre, read(EnrolmentKind::RelyingParty, &join)?, source).await
}

/// Hosts and relying parties that have joined
///
/// Needs `machines.manage`.
#[utoipa::path(get, path = "/api/v1/machines", tag = "accounts", params(OfCustomer),
    responses((status = 200, body = Machines), (status = "default", body = Problem)))]
async fn machines(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<OfCustomer>,
) -> Result<Json<Machines>, Refusal> {
    let reach = caller.require(Scope::MachinesManage)?;
    let reach = centre.narrow(reach, query.customer.as_deref()).await?;
    Ok(Json(Machines { machines: centre.machines(reach).await? }))
}

/// Shut a machine out, let it in again, or register a relying party's origins
///
/// Needs `machines.manage`. Its token ends while it is shut out.
#[utoipa::path(patch, path = "/api/v1/machines/{machine}", tag = "accounts",
    params(("machine", description = "Its id")), request_body = MachineChange,
    responses((status = 200, body = Machine), (status = "default", body = Problem)))]
async fn change_machine(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(change): Body<MachineChange>,
) -> Result<Json<Machine>, Refusal> {
    let reach = caller.require(Scope::MachinesManage)?;
    let origins = change.origins.map(|texts| Origins::read(texts.iter().map(String::as_str))).transpose();
    let origins = origins.map_err(|error| Refusal::Invalid(format!("origins: {error}")))?;
    Ok(Json(centre.change_machine(reach, id.parse()?, change.disabled, origins, caller.by()).await?))
}

/// What letting something of a kind in needs, beside the scope for making codes.
const fn needed(kind: EnrolmentKind) -> Scope {
    match kind {
        EnrolmentKind::Person => Scope::PeopleManage,
        EnrolmentKind::Agent | EnrolmentKind::Host | EnrolmentKind::RelyingParty => Scope::MachinesManage,
    }
}

/// How far the caller may make codes, and of which kinds.
fn may_enrol(caller: Caller) -> Result<(Reach, impl Fn(EnrolmentKind) -> bool + Send + 'static), Refusal> {
    let reach = caller.require(Scope::EnrolmentsMake)?;
    Ok((reach, move |kind| caller.require(needed(kind)).is_ok()))
}

async fn machine_joins(
    centre: &Arc<Centre>,
    wish: JoinWish,
    source: std::net::IpAddr,
) -> Result<Json<MachineJoined>, Refusal> {
    let (machine, customer, secret) = centre.join_as_machine(wish, source).await?;
    Ok(Json(MachineJoined {
        machine_id: machine.id.to_string(),
        customer: customer.name,
        customer_id: customer.id.to_string(),
        centre_id: centre.site().centre.to_string(),
        log_key: centre.log_key(),
        token: secret.map(|secret| secret.reveal()),
    }))
}

fn read(kind: EnrolmentKind, join: &Join) -> Result<JoinWish, Refusal> {
    Ok(JoinWish {
        kind,
        secret: bytes("secret", &join.secret)?,
        name: join.name.parse::<Name>()?,
        public_key: bytes("public_key", &join.public_key)?,
        proof: bytes("proof", &join.proof)?,
    })
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], Refusal> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Refusal::Invalid(format!("{name} is {N} bytes in base64")))
}
