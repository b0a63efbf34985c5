//! One-time keys: tokens, tries, policy.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ClockVerdictWord;

/// A number of seconds, as a number or as text.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum CycleText {
    /// As a number.
    Number(u64),
    /// As text: digits alone.
    Text(String),
}

/// Who is to have a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolKey {
    /// The login id. Where the customer has nobody of this login id, the person is added.
    pub(crate) login_id: Option<String>,
    /// The phone number: digits, with or without +82 before them.
    pub(crate) phone_no: Option<String>,
    /// For how many seconds a key stands, 3 to 60; over 30 s only where the policy allows it. 30 if left out.
    pub(crate) cycle_time: Option<CycleText>,
    /// Name or id of the customer; whoever works for one may leave it out, and so may a site with one customer.
    pub(crate) customer: Option<String>,
    /// `time`, `time-event` or `counter`; `time` if left out.
    pub(crate) kind: Option<String>,
    /// The id of a member of the staff, in place of login id and phone number.
    pub(crate) staff: Option<String>,
}

/// A token that was given, with what is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyEnrolled {
    /// The token.
    pub(crate) token: KeyToken,
    /// The address by which any standard app takes the token in, as a QR code for instance. It holds the secret.
    pub(crate) otpauth: String,
    /// The entry that says so.
    pub(crate) evidence: KeyEvidence,
}

/// What an answer rests on.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyEvidence {
    /// The entry, of what was accepted, used before, or changed. That of a wrong key stands in the list of tries; tries that were
    /// not judged are told together, by the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
    /// Where its receipt is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<String>,
    /// The instant.
    pub(crate) at: String,
    /// How far true time can lie from it.
    pub(crate) error_bound_ns: i64,
    /// What that rests on.
    pub(crate) clock_verdict: ClockVerdictWord,
    /// The entry that shows it.
    pub(crate) clock_state: String,
}

/// A key that somebody typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyKey {
    /// The login id.
    pub(crate) login_id: String,
    /// The phone number: digits, with or without +82 before them. Another than the enrolled one is wrong.
    pub(crate) phone_no: Option<String>,
    /// The cycle in seconds. Another than the enrolled one is wrong.
    pub(crate) cycle_time: Option<CycleText>,
    /// The digits, or a recovery code.
    pub(crate) ota_key: String,
    /// Name or id of the customer; whoever works for one may leave it out, and so may a site with one customer.
    pub(crate) customer: Option<String>,
    /// The address that the person comes from, as the relying party sees it: guessing from there is slowed down.
    pub(crate) source: Option<String>,
}

/// Whether a key is good.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyVerdict {
    /// Whether it is.
    pub(crate) ok: bool,
    /// `accepted`, `wrong` (also where there is nobody of this login id), `used`, `locked`, `disabled`, `clock-unproven`,
    /// `clock-too-wide` or `cycle-too-long`.
    pub(crate) reason: String,
    /// The id of whom the key belongs to, where it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder_id: Option<String>,
    /// Seconds until the next try is judged, where the person must wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
    /// With a good key: when a used one of theirs was shown again since the good one before it. Somebody may have seen it, so
    /// tell the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used_again_at: Option<String>,
    /// What the answer rests on.
    pub(crate) evidence: KeyEvidence,
}

/// Whose key is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerateKey {
    /// The login id.
    pub(crate) login_id: String,
    /// The phone number.
    pub(crate) phone_no: String,
    /// The cycle in seconds.
    pub(crate) cycle_time: Option<CycleText>,
    /// Name or id of the customer.
    pub(crate) customer: Option<String>,
}

/// A key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyGenerated {
    /// The digits.
    pub(crate) ota_key: String,
    /// For how many whole seconds it stands yet; none for a counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_left: Option<u64>,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyToken {
    /// Its id.
    pub(crate) id: String,
    /// Whose rules hold, by name; none for staff of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
    /// `person` or `staff`.
    pub(crate) holder: String,
    /// The holder's id.
    pub(crate) holder_id: String,
    /// The login id.
    pub(crate) login_id: String,
    /// The phone number, where the token has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone_no: Option<String>,
    /// `time`, `time-event` or `counter`.
    pub(crate) kind: String,
    /// Seconds; none for a counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cycle_time: Option<u64>,
    /// How many digits a key has.
    pub(crate) digits: u64,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub(crate) algorithm: String,
    /// `enrolled` here or `imported`.
    pub(crate) origin: String,
    /// `good`, `locked`, `disabled` or `revoked`.
    pub(crate) state: String,
    /// How often the holder was given a new key, from 1.
    pub(crate) generation: u64,
    /// Failures in a row.
    pub(crate) failures: u64,
    /// Until when no try is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locked_until: Option<String>,
    /// What the token's clock is ahead, in milliseconds, as far as it was seen.
    pub(crate) drift_ms: i64,
    /// How often a used key was shown again: somebody may have seen it.
    pub(crate) used_again: u64,
    /// When last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used_again_at: Option<String>,
    /// Recovery codes that are not used.
    pub(crate) recovery_codes_left: u64,
    /// When it was given.
    pub(crate) enrolled_at: String,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<String>,
    /// When a key of it was accepted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<String>,
    /// The newest entry about it.
    pub(crate) entry: String,
}

/// Tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyTokens {
    /// The tokens.
    pub(crate) tokens: Vec<KeyToken>,
    /// Behind which to ask on; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which tokens.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyTokensQuery {
    /// Name or id of the customer.
    pub(crate) customer: Option<String>,
    /// Those of one login id, the newest first.
    pub(crate) login_id: Option<String>,
    /// Behind this token.
    pub(crate) after: Option<String>,
    /// How many, 1 to 200; 50 if left out.
    pub(crate) limit: Option<u64>,
}

/// Recovery codes, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    /// Each is good once.
    pub(crate) codes: Vec<String>,
}

/// Two keys that a counter's token shows one after the other.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resynchronise {
    /// The first.
    pub(crate) first: String,
    /// The next.
    pub(crate) second: String,
}

/// Whose policy, or which tries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyPolicyQuery {
    /// Name or id of the customer.
    pub(crate) customer: Option<String>,
}

/// What happens while the centre's clock is not shown to be right.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = WhileUnproven)]
pub(crate) enum WhileUnprovenWord {
    /// Keys are refused.
    Refuse,
    /// They are judged by what the clock shows, and the entry says so.
    Mark,
}

/// A customer's rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyPolicy {
    /// How many seconds ago a key may have been shown, beyond the clock's bound: 0 to 30, and never more than a cycle.
    pub(crate) back_s: u64,
    /// How many seconds ahead a token's clock may be.
    pub(crate) ahead_s: u64,
    /// Whether cycles of 31 to 60 s are allowed, against OWASP ASVS 5.0, 6.5.5.
    pub(crate) long_cycles: bool,
    /// What happens while the centre's clock is not shown to be right.
    pub(crate) while_unproven: WhileUnprovenWord,
    /// Failures in a row until the first wait, and until each further one.
    pub(crate) lock_after: u64,
    /// The first wait in seconds; each further one is twice as long.
    pub(crate) lock_first_s: u64,
    /// The longest wait in seconds.
    pub(crate) lock_longest_s: u64,
    /// Failures in a row until the token is disabled.
    pub(crate) disable_at: u64,
    /// How often the rules were changed.
    pub(crate) revision: u64,
}

/// A change of a customer's rules; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPolicyChange {
    /// 0 to 30.
    pub(crate) back_s: Option<u64>,
    /// 0 to 30.
    pub(crate) ahead_s: Option<u64>,
    /// Whether cycles of 31 to 60 s are allowed.
    pub(crate) long_cycles: Option<bool>,
    /// What happens while the centre's clock is not shown to be right.
    pub(crate) while_unproven: Option<WhileUnprovenWord>,
    /// 1 to 100.
    pub(crate) lock_after: Option<u64>,
    /// 30 to 86,400.
    pub(crate) lock_first_s: Option<u64>,
    /// 30 to 86,400.
    pub(crate) lock_longest_s: Option<u64>,
    /// 1 to 100.
    pub(crate) disable_at: Option<u64>,
    /// Which revision the change is of, ignored where it is left out.
    pub(crate) revision: Option<u64>,
}

/// A try that was judged.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyTryRow {
    /// The entry.
    pub(crate) entry: String,
    /// When.
    pub(crate) at: String,
    /// The token.
    pub(crate) token: String,
    /// The holder's id.
    pub(crate) holder_id: String,
    /// The login id, while the token is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login_id: Option<String>,
    /// Whether the key was good.
    pub(crate) ok: bool,
    /// `accepted`, `wrong` or `used`.
    pub(crate) reason: String,
    /// `key` or `recovery-code`.
    pub(crate) method: String,
    /// What can be said of the clock that it was judged by.
    pub(crate) clock_verdict: ClockVerdictWord,
    /// How far true time can lie from the instant.
    pub(crate) error_bound_ns: i64,
    /// Who asked.
    pub(crate) by: String,
}

/// Tries, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyTries {
    /// The tries.
    pub(crate) tries: Vec<KeyTryRow>,
    /// Where to ask on; there can be more even where a page is empty, since one question looks at only so many entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
}

/// Which tries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyTriesQuery {
    /// Name or id of the customer.
    pub(crate) customer: Option<String>,
    /// Those of one token.
    pub(crate) token: Option<String>,
    /// Where the page before ended.
    pub(crate) after: Option<u64>,
    /// How many, 1 to 200; 50 if left out.
    pub(crate) limit: Option<u64>,
}
