//! Enrolment: a code for whoever joins, and the joining.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{Name, Scope};

use super::Body;
use crate::caller::{Caller, Source};
use crate::centre::{Centre, JoinWish};
use crate::problem::Refusal;
use crate::types::accounts::{Enrolment, EnrolmentKind, Join, Joined, NewEnrolment};
use crate::types::{Problem, instant};

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new().routes(routes!(enrol)).routes(routes!(join))
}

/// Make a one-time enrolment code
#[utoipa::path(post, path = "/api/v1/enrolments", tag = "accounts", request_body = NewEnrolment,
    responses((status = 201, body = Enrolment), (status = "default", body = Problem)))]
async fn enrol(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<NewEnrolment>,
) -> Result<(StatusCode, Json<Enrolment>), Refusal> {
    let reach = caller.require(Scope::EnrolmentsMake)?;
    caller.require(Scope::MachinesManage)?;
    let customer = centre.customer_within(reach, &wish.customer).await?;
    let name: Name = wish.name.parse()?;
    let (code, expires) = match wish.kind {
        EnrolmentKind::Agent => centre.enrol_agent(customer.id, &name).await?,
    };
    Ok((StatusCode::CREATED, Json(Enrolment { code: code.reveal(), expires_at: instant(expires) })))
}

/// Join as an agent, with a code
#[utoipa::path(post, path = "/api/v1/enrolments/agent", tag = "accounts", request_body = Join,
    responses((status = 200, body = Joined), (status = "default", body = Problem)))]
async fn join(
    State(centre): State<Arc<Centre>>,
    Source(source): Source,
    Body(join): Body<Join>,
) -> Result<Json<Joined>, Refusal> {
    let wish = JoinWish {
        secret: bytes("secret", &join.secret)?,
        name: join.name.parse::<Name>()?,
        public_key: bytes("public_key", &join.public_key)?,
        proof: bytes("proof", &join.proof)?,
    };
    let (agent, customer) = centre.join(wish, source).await?;
    Ok(Json(Joined {
        agent_id: agent.id.to_string(),
        customer: customer.name,
        customer_id: customer.id.to_string(),
        centre_id: centre.site().centre.to_string(),
        log_key: centre.site().log_key.to_string(),
        tolerance_ns: customer.tolerance.count(),
        ntp: centre.site().ntp_address.to_string(),
    }))
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], Refusal> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Refusal::Invalid(format!("{name} is {N} bytes in base64")))
}
