//! Moving in: files of tokens from other products.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use angbu_accounts::Scope;
use angbu_keys::import::{self, Format};

use crate::caller::Caller;
use crate::centre::{Centre, KeyFile};
use crate::problem::Refusal;
use crate::types::Problem;
use crate::types::key_import::{KeyImport, KeyImportReport};

/// The largest body, in bytes: a file of the longest kind whose every other character JSON writes as two, and the rest.
const LIMIT: usize = 2 * import::LONGEST + 64 * 1_024;

pub(super) fn routes() -> OpenApiRouter<Arc<Centre>> {
    OpenApiRouter::new().routes(routes!(import_keys)).layer(DefaultBodyLimit::max(LIMIT))
}

/// Move tokens in from another product
///
/// Needs `keys.manage`. Without `dry_run: false` nothing is changed, and the report says what would be. Each token that comes is
/// an entry, and the import one more; whoever is not known yet is added. What was imported before clashes, so that an import
/// that was cut short can be run again.
#[utoipa::path(post, path = "/api/v1/keys/import", tag = "keys", request_body = KeyImport,
    responses((status = 200, body = KeyImportReport), (status = "default", body = Problem)))]
async fn import_keys(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<KeyImportReport>, Refusal> {
    let reach = caller.require(Scope::KeysManage)?;
    let body = body.map_err(|_| Refusal::TooLarge { limit: LIMIT })?;
    // What stands at a place of the body could be a secret, so that a message tells the place and no more.
    let wish: KeyImport = serde_json::from_slice(&body).map_err(|error| {
        Refusal::Invalid(format!(
            "the body is no import in JSON: line {}, column {}; customer and text are needed",
            error.line(),
            error.column()
        ))
    })?;
    let customer = centre.customer_within(reach, &wish.customer).await?;
    let format = wish.format.as_deref().map(str::parse::<Format>).transpose();
    let file = KeyFile {
        text: Zeroizing::new(wish.text),
        format: format.map_err(|error| Refusal::Invalid(format!("format: {error}")))?,
        holder: wish.login_id,
        people: wish.people.unwrap_or_default(),
        key: wish.key.map(Zeroizing::new),
        password: wish.password.map(Zeroizing::new),
    };
    Ok(Json(centre.import_keys(&customer, file, wish.dry_run.unwrap_or(true), caller.by()).await?))
}
