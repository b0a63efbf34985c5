//! Passkeys. What browsers take and give has the names and forms of WebAuthn's own JSON (Level 3, section 5.1.8 and on);
//! bytes are base64url without padding.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A passkey. No `Debug`: what it is called is its holder's.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passkey {
    pub(crate) id: String,
    /// What its holder calls it.
    pub(crate) label: String,
    /// Whether it may be kept in several places, as those that a platform synchronises.
    pub(crate) synced: bool,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    /// When somebody last signed in with it.
    #[schema(format = DateTime)]
    pub(crate) last_used_at: Option<String>,
    /// When it was last shown with a counter that had gone back, as a copy of it would be. That use was refused.
    #[schema(format = DateTime)]
    pub(crate) doubted_at: Option<String>,
    /// When it was taken back.
    #[schema(format = DateTime)]
    pub(crate) revoked_at: Option<String>,
    /// Id of the newest entry about it.
    pub(crate) entry: String,
}

/// Somebody's passkeys, in the order in which they were registered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passkeys {
    pub(crate) passkeys: Vec<Passkey>,
}

/// A link by which somebody registers a passkey, once. No `Debug`: it holds a secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasskeyLink {
    /// To be opened by whom it is for.
    pub(crate) url: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
}

/// What is asked of a browser to register a passkey: `navigator.credentials.create({ publicKey })`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistrationQuestion {
    /// The site.
    pub(crate) rp: QuestionSite,
    /// Who registers.
    pub(crate) user: QuestionUser,
    /// 32 bytes.
    pub(crate) challenge: String,
    /// Algorithms, best first.
    pub(crate) pub_key_cred_params: Vec<QuestionAlgorithm>,
    /// Milliseconds.
    pub(crate) timeout: u64,
    /// Passkeys that the same person has already.
    pub(crate) exclude_credentials: Vec<QuestionCredential>,
    pub(crate) authenticator_selection: QuestionSelection,
    /// `none`.
    pub(crate) attestation: &'static str,
}

/// For which site a passkey is.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuestionSite {
    /// The relying party id: a host name.
    pub(crate) id: String,
    pub(crate) name: String,
}

/// For whom a passkey is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuestionUser {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
}

/// An algorithm by its COSE number.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuestionAlgorithm {
    /// `public-key`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) alg: i64,
}

/// A passkey as authenticators know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuestionCredential {
    /// `public-key`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) id: String,
}

/// What the authenticator must do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuestionSelection {
    /// `preferred`: a passkey that signs in without a name where the authenticator can keep one.
    pub(crate) resident_key: &'static str,
    /// `required`.
    pub(crate) user_verification: &'static str,
}

/// A browser's answer to a [`RegistrationQuestion`], as its `toJSON` gives it. What else it says is left aside.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegistrationAnswer {
    pub(crate) response: RegistrationResponse,
}

/// What the authenticator answered at a registration.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegistrationResponse {
    #[serde(rename = "clientDataJSON")]
    pub(crate) client_data_json: String,
    #[serde(rename = "attestationObject")]
    pub(crate) attestation_object: String,
}

/// A new passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    /// What its holder calls it, 1 to 60 characters.
    pub(crate) label: String,
    pub(crate) credential: RegistrationAnswer,
}

/// Who registers by a link: the secret behind its `#`. No `Debug`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkHolder {
    pub(crate) secret: String,
}

/// A new passkey of whoever has a link. No `Debug`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskeyByLink {
    pub(crate) secret: String,
    /// What its holder calls it, 1 to 60 characters.
    pub(crate) label: String,
    pub(crate) credential: RegistrationAnswer,
}

/// What is asked of a browser to sign in: `navigator.credentials.get({ publicKey })`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignInQuestion {
    /// 32 bytes.
    pub(crate) challenge: String,
    /// Milliseconds.
    pub(crate) timeout: u64,
    /// A host name.
    pub(crate) rp_id: String,
    /// The passkeys that may answer; any of the site's where this is empty.
    pub(crate) allow_credentials: Vec<QuestionCredential>,
    /// `required`.
    pub(crate) user_verification: &'static str,
}

/// A browser's answer to a [`SignInQuestion`], as its `toJSON` gives it. What else it says is left aside.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct SignInAnswer {
    pub(crate) id: String,
    pub(crate) response: SignInResponse,
}

/// What the authenticator answered at a sign-in.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct SignInResponse {
    #[serde(rename = "clientDataJSON")]
    pub(crate) client_data_json: String,
    #[serde(rename = "authenticatorData")]
    pub(crate) authenticator_data: String,
    pub(crate) signature: String,
    #[serde(rename = "userHandle")]
    pub(crate) user_handle: Option<String>,
}
