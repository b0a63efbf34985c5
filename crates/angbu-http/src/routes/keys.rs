//! One-time keys.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use angbu_accounts::{JoiningError, LoginId, Reach, Scope};
use angbu_keys::{Motion, OneTimeKey};
use angbu_store::accounts::CustomerRow;
use angbu_units::{CycleTime, KeyTokenId, Phone};

use super::{Body, Parameters, Parts};
use crate::caller::{Caller, Source, Who};
use crate::centre::{
    Centre, Enrolled, Enrolment, KeyJudged, KeyWhom, Material, PolicyWish, TriesWish, Typed,
};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::keys::{
    CycleText, EnrolKey, GenerateKey, KeyEnrolled, KeyEvidence, KeyGenerated, KeyPolicy, KeyPolicyChange,
    KeyPolicyQuery, KeyToken, KeyTokens, KeyTokensQuery, KeyTries, KeyTriesQuery, KeyVerdict, RecoveryCodes,
    Resynchronise, VerifyKey, WhileUnprovenWord,
};

/// How many rows a page has unless told otherwise, and at most.
const PAGE: u64 = 50;
const LARGEST_PAGE: u64 = 200;
/// The cycle of whoever names none, in seconds.
const USUAL_CYCLE: u64 = 30;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new()
        .routes(routes!(enrol))
        .routes(routes!(verify))
        .routes(routes!(generate))
        .routes(routes!(tokens))
        .routes(routes!(token))
        .routes(routes!(revoke))
        .routes(routes!(unlock))
        .routes(routes!(renew))
        .routes(routes!(resynchronise))
        .routes(routes!(recovery_codes))
        .routes(routes!(tries))
        .routes(routes!(policy, change_policy))
}

/// Give somebody a token
///
/// Needs `keys.manage`; a member of the staff may take one for themselves, and for another it needs `staff.manage`.
/// Whoever has a token has one: renew or revoke it first. The address for the app is shown this once.
#[utoipa::path(post, path = "/api/v1/keys/enrol", tag = "keys", request_body = EnrolKey, operation_id = "enrol_key",
    responses((status = 201, body = KeyEnrolled), (status = "default", body = Problem)))]
async fn enrol(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<EnrolKey>,
) -> Result<(StatusCode, Json<KeyEnrolled>), Refusal> {
    let enrolment = match wish.staff.as_deref() {
        Some(staff) => of_staff(&centre, &caller, &wish, staff).await?,
        None => {
            let reach = caller.require(Scope::KeysManage)?;
            let login = wish.login_id.as_deref().ok_or_else(|| missing("login_id"))?;
            let phone = wish.phone_no.as_deref().ok_or_else(|| missing("phone_no"))?;
            let (login, phone) = (read_login(login)?, read_phone(phone)?);
            let motion = motion(wish.kind.as_deref(), wish.cycle_time.as_ref())?;
            let customer = customer(&centre, reach, wish.customer.as_deref()).await?;
            Enrolment {
                customer: customer.id,
                language: customer.language,
                whom: Enrolled::Login(login),
                material: Material::Derived { phone, motion },
                change: "made",
                by: caller.by(),
            }
        }
    };
    let (token, otpauth) = centre.enrol_key(enrolment).await?;
    Ok((StatusCode::CREATED, Json(enrolled(&centre, token, &otpauth))))
}

async fn of_staff(
    centre: &Centre,
    caller: &Caller,
    wish: &EnrolKey,
    staff: &str,
) -> Result<Enrolment, Refusal> {
    let id = staff.parse()?;
    if wish.login_id.is_some() || wish.phone_no.is_some() || wish.kind.is_some() || wish.cycle_time.is_some()
    {
        return Err(Refusal::Invalid("a member of the staff is named by staff alone".into()));
    }
    let is_own = matches!(&caller.who, Who::Browser { member, .. } if member.id == id);
    let reach = if is_own { None } else { Some(caller.require(Scope::StaffManage)?) };
    let (subject, customer, material) = centre.staff_holder(id).await?;
    if reach.is_some_and(|reach| !reach.covers(customer)) {
        return Err(Refusal::unknown("staff", staff));
    }
    Ok(Enrolment {
        customer,
        language: String::new(),
        whom: Enrolled::Subject(subject),
        material,
        change: "made",
        by: caller.by(),
    })
}

/// Ask whether a key is good
///
/// Needs `keys.verify`. A key is good once. The answer is the same, and takes as long, where there is nobody of this login id.
#[utoipa::path(post, path = "/api/v1/keys/verify", tag = "keys", request_body = VerifyKey,
    responses((status = 200, body = KeyVerdict), (status = "default", body = Problem)))]
async fn verify(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Source(address): Source,
    Body(wish): Body<VerifyKey>,
) -> Result<Json<KeyVerdict>, Refusal> {
    let reach = caller.require(Scope::KeysVerify)?;
    let login = read_login(&wish.login_id)?;
    let phone = wish.phone_no.as_deref().map(read_phone).transpose()?;
    let cycle = wish.cycle_time.as_ref().map(read_cycle).transpose()?;
    let typed = Typed::read(&wish.ota_key).map_err(|error| Refusal::Invalid(format!("ota_key: {error}")))?;
    let named: Option<IpAddr> = wish
        .source
        .as_deref()
        .map(|text| text.parse().map_err(|_| Refusal::Invalid("source is an IP address".into())))
        .transpose()?;
    let customer = customer(&centre, reach, wish.customer.as_deref()).await?;
    let whom = KeyWhom::Login(customer.id, Ok(login.key().to_owned()));
    let from = (named.unwrap_or(address), named.is_some());
    let asked = centre.key_try(whom, (phone, cycle), typed, caller.by(), from).await?;
    let judged = centre.judge_key(asked).await?;
    Ok(Json(KeyVerdict {
        ok: judged.ok(),
        reason: judged.reason.word().to_owned(),
        holder_id: judged.subject.filter(|_| judged.ok()).map(|subject| subject.to_string()),
        retry_after_s: judged.wait_s(),
        used_again_at: judged.used_again.map(crate::types::instant),
        evidence: evidence_of(&judged),
    }))
}

/// Make the key that somebody's token shows now
///
/// Needs `keys.generate`, which no role but the operator's has: a key that the centre makes proves nothing about its holder.
#[utoipa::path(post, path = "/api/v1/keys/generate", tag = "keys", request_body = GenerateKey,
    responses((status = 200, body = KeyGenerated), (status = "default", body = Problem)))]
async fn generate(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Body(wish): Body<GenerateKey>,
) -> Result<Json<KeyGenerated>, Refusal> {
    let reach = caller.require(Scope::KeysGenerate)?;
    let (login, phone) = (read_login(&wish.login_id)?, read_phone(&wish.phone_no)?);
    let cycle = wish.cycle_time.as_ref().map(read_cycle).transpose()?;
    let customer = customer(&centre, reach, wish.customer.as_deref()).await?;
    let (ota_key, seconds_left) =
        centre.generate_key(customer.id, login, (phone, cycle), caller.by()).await?;
    Ok(Json(KeyGenerated { ota_key, seconds_left }))
}

/// A customer's tokens, page by page
///
/// Needs `keys.read`.
#[utoipa::path(get, path = "/api/v1/keys/tokens", tag = "keys", params(KeyTokensQuery), operation_id = "key_tokens",
    responses((status = 200, body = KeyTokens), (status = "default", body = Problem)))]
async fn tokens(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<KeyTokensQuery>,
) -> Result<Json<KeyTokens>, Refusal> {
    let reach = caller.require(Scope::KeysRead)?;
    let login = query.login_id.as_deref().map(read_login).transpose()?;
    let after = query.after.as_deref().map(str::parse).transpose()?;
    let limit = page(query.limit)?;
    let customer = customer(&centre, reach, query.customer.as_deref()).await?;
    Ok(Json(centre.key_tokens(customer.id, login, after, limit).await?))
}

/// One token
///
/// Needs `keys.read`.
#[utoipa::path(get, path = "/api/v1/keys/tokens/{token}", tag = "keys", params(("token", description = "Its id")),
    responses((status = 200, body = KeyToken), (status = "default", body = Problem)))]
async fn token(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<KeyToken>, Refusal> {
    let reach = caller.require(Scope::KeysRead)?;
    Ok(Json(centre.key_token(reach, id.parse()?).await?))
}

/// Take a token back, for good
///
/// Needs `keys.manage`.
#[utoipa::path(post, path = "/api/v1/keys/tokens/{token}/revoke", tag = "keys", operation_id = "revoke_key",
    params(("token", description = "Its id")),
    responses((status = 200, body = KeyToken), (status = "default", body = Problem)))]
async fn revoke(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<KeyToken>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    Ok(Json(centre.revoke_key(reach, id.parse()?, caller.by()).await?))
}

/// Let a token be tried again that waits or is disabled after failures
///
/// Needs `keys.manage`.
#[utoipa::path(post, path = "/api/v1/keys/tokens/{token}/unlock", tag = "keys",
    params(("token", description = "Its id")),
    responses((status = 200, body = KeyToken), (status = "default", body = Problem)))]
async fn unlock(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<KeyToken>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    Ok(Json(centre.unlock_key(reach, id.parse()?, caller.by()).await?))
}

/// Give a token a new key
///
/// Needs `keys.manage`. The old key and all recovery codes are good for nothing any more; the new address is shown this once.
#[utoipa::path(post, path = "/api/v1/keys/tokens/{token}/renew", tag = "keys",
    params(("token", description = "Its id")),
    responses((status = 200, body = KeyEnrolled), (status = "default", body = Problem)))]
async fn renew(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<KeyEnrolled>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    let (token, otpauth) = centre.renew_key(reach, id.parse()?, caller.by()).await?;
    Ok(Json(enrolled(&centre, token, &otpauth)))
}

/// Find a token of a counter again that ran ahead
///
/// Needs `keys.manage`, and two keys that follow one another.
#[utoipa::path(post, path = "/api/v1/keys/tokens/{token}/resynchronise", tag = "keys",
    params(("token", description = "Its id")), request_body = Resynchronise,
    responses((status = 200, body = KeyToken), (status = "default", body = Problem)))]
async fn resynchronise(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
    Body(wish): Body<Resynchronise>,
) -> Result<Json<KeyToken>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    let read = |name: &str, text: &str| {
        text.parse::<OneTimeKey>().map_err(|error| Refusal::Invalid(format!("{name}: {error}")))
    };
    let keys = (read("first", &wish.first)?, read("second", &wish.second)?);
    Ok(Json(centre.resynchronise_key(reach, id.parse::<KeyTokenId>()?, keys, caller.by()).await?))
}

/// Make recovery codes for a token
///
/// Needs `keys.manage`. Each is good once in place of a key; they are shown this once, and earlier ones are good no more.
#[utoipa::path(post, path = "/api/v1/keys/tokens/{token}/recovery-codes", tag = "keys",
    params(("token", description = "Its id")),
    responses((status = 200, body = RecoveryCodes), (status = "default", body = Problem)))]
async fn recovery_codes(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parts(id): Parts<String>,
) -> Result<Json<RecoveryCodes>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    let codes = centre.new_recovery_codes(reach, id.parse()?, caller.by()).await?;
    Ok(Json(RecoveryCodes { codes: codes.iter().map(|code| code.to_string()).collect() }))
}

/// Tries that were judged, the newest first, with the clock's state beside each verdict
///
/// Needs `keys.read`.
#[utoipa::path(get, path = "/api/v1/keys/tries", tag = "keys", params(KeyTriesQuery),
    responses((status = 200, body = KeyTries), (status = "default", body = Problem)))]
async fn tries(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<KeyTriesQuery>,
) -> Result<Json<KeyTries>, Refusal> {
    let reach = caller.require(Scope::KeysRead)?;
    let token = query.token.as_deref().map(str::parse).transpose()?;
    let limit = page(query.limit)?;
    let customer = customer(&centre, reach, query.customer.as_deref()).await?;
    let wish = TriesWish { customer: customer.id, token, before: query.after, limit };
    Ok(Json(centre.key_tries(wish).await?))
}

/// A customer's rules
///
/// Needs `keys.read`.
#[utoipa::path(get, path = "/api/v1/keys/policy", tag = "keys", params(KeyPolicyQuery),
    responses((status = 200, body = KeyPolicy), (status = "default", body = Problem)))]
async fn policy(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<KeyPolicyQuery>,
) -> Result<Json<KeyPolicy>, Refusal> {
    let reach = caller.require(Scope::KeysRead)?;
    let customer = customer(&centre, reach, query.customer.as_deref()).await?;
    Ok(Json(centre.key_policy(customer.id).await?))
}

/// Change a customer's rules
///
/// Needs `keys.manage`. The change is an entry.
#[utoipa::path(put, path = "/api/v1/keys/policy", tag = "keys", params(KeyPolicyQuery),
    request_body = KeyPolicyChange,
    responses((status = 200, body = KeyPolicy), (status = "default", body = Problem)))]
async fn change_policy(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    Parameters(query): Parameters<KeyPolicyQuery>,
    Body(change): Body<KeyPolicyChange>,
) -> Result<Json<KeyPolicy>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    let customer = customer(&centre, reach, query.customer.as_deref()).await?;
    let wish = PolicyWish {
        back_s: change.back_s,
        ahead_s: change.ahead_s,
        long_cycles: change.long_cycles,
        mark_unproven: change.while_unproven.map(|word| matches!(word, WhileUnprovenWord::Mark)),
        lock_after: change.lock_after,
        lock_first_s: change.lock_first_s,
        lock_longest_s: change.lock_longest_s,
        disable_at: change.disable_at,
        revision: change.revision,
    };
    Ok(Json(centre.change_key_policy(customer.id, wish, caller.by()).await?))
}

/// The customer that is meant: the one that is named, the caller's own, or the only one.
async fn customer(centre: &Centre, reach: Reach, named: Option<&str>) -> Result<CustomerRow, Refusal> {
    match (named, reach) {
        (Some(name), reach) => centre.customer_within(reach, name).await,
        (None, Reach::Customer(id)) => centre.customer(&id.to_string()).await,
        (None, Reach::Site) => centre.only_customer().await,
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::Invalid(format!("{name} is missing"))
}

fn page(limit: Option<u64>) -> Result<u64, Refusal> {
    match limit.unwrap_or(PAGE) {
        limit @ 1..=LARGEST_PAGE => Ok(limit),
        _ => Err(Refusal::Invalid(format!("limit lies between 1 and {LARGEST_PAGE}"))),
    }
}

fn read_login(text: &str) -> Result<LoginId, Refusal> {
    Ok(text.parse::<LoginId>().map_err(JoiningError::from)?)
}

fn read_phone(text: &str) -> Result<Phone, Refusal> {
    Ok(text.parse::<Phone>().map_err(JoiningError::from)?)
}

fn read_cycle(given: &CycleText) -> Result<CycleTime, Refusal> {
    let read = match given {
        CycleText::Number(seconds) => CycleTime::new(*seconds),
        CycleText::Text(text) => text.parse(),
    };
    read.map_err(|error| Refusal::Invalid(format!("cycle_time: {error}")))
}

fn motion(kind: Option<&str>, cycle: Option<&CycleText>) -> Result<Motion, Refusal> {
    let usual = CycleText::Number(USUAL_CYCLE);
    let cycle = || read_cycle(cycle.unwrap_or(&usual));
    match kind.unwrap_or("time") {
        "time" => Ok(Motion::Time(cycle()?)),
        "time-event" => Ok(Motion::TimeAndEvent(cycle()?)),
        // A wrong cycle is told even where none is needed.
        "counter" => cycle().map(|_| Motion::Counter),
        _ => Err(Refusal::Invalid("kind is time, time-event or counter".into())),
    }
}

fn enrolled(centre: &Centre, token: KeyToken, otpauth: &str) -> KeyEnrolled {
    let evidence = evidence(Some(token.entry.clone()), &centre.instant());
    KeyEnrolled { token, otpauth: otpauth.to_owned(), evidence }
}

fn evidence_of(judged: &KeyJudged) -> KeyEvidence {
    // A wrong key of somebody has an entry and a wrong key of nobody has none, which nobody is to learn from the answer.
    let entry = judged.entry.filter(|_| judged.reason.tells_who_is_there());
    evidence(entry.map(|entry| entry.to_string()), &judged.instant)
}

fn evidence(entry: Option<String>, instant: &angbu_units::ProvenInstant) -> KeyEvidence {
    KeyEvidence {
        receipt: entry.as_ref().map(|entry| format!("/api/v1/evidence/entries/{entry}/receipt")),
        entry,
        at: crate::types::instant(instant.time),
        error_bound_ns: instant.error_bound.count(),
        clock_verdict: instant.verdict.into(),
        clock_state: instant.clock_state.to_string(),
    }
}
