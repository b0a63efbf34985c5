//! Messages on their way out, and webhooks.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// By which way.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Channel)]
pub(crate) enum ChannelWord {
    Mail,
    Webhook,
}

/// How far it came.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = DeliveryState)]
pub(crate) enum DeliveryStateWord {
    Waiting,
    Delivered,
    GivenUp,
}

/// A message on its way to one address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    /// The customer's name; none for those who run the site.
    pub(crate) customer: Option<String>,
    pub(crate) channel: ChannelWord,
    /// The mail address, or the webhook's.
    pub(crate) target: String,
    /// `incidents`, `webhook` or `test`.
    pub(crate) topic: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    pub(crate) state: DeliveryStateWord,
    /// How often it was tried.
    pub(crate) attempts: u64,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) next_try_at: Option<String>,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) ended_at: Option<String>,
    /// What was said at the last try that did not succeed.
    pub(crate) why: Option<String>,
}

/// The queue: what waits, and the newest deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    /// Whether this centre has a mail server.
    pub(crate) mail_configured: bool,
    pub(crate) waiting: u64,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) oldest_waiting: Option<String>,
    /// Those given up within 30 days.
    pub(crate) given_up: u64,
    pub(crate) deliveries: Vec<Delivery>,
    /// What to send as `before` for the next ones.
    pub(crate) next: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// The customer's name or id; all that the caller may see without it.
    pub(crate) customer: Option<String>,
    /// Those made before this instant, RFC 3339.
    pub(crate) before: Option<String>,
    /// How many, 1 to 500; 100 without it.
    pub(crate) limit: Option<u64>,
}

/// How many messages are on their way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestSent {
    pub(crate) deliveries: u64,
}

/// Where a customer's programs are told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    /// RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    /// Until when the secret before this one signs too. RFC 3339 in UTC with nanoseconds.
    #[schema(format = DateTime)]
    pub(crate) old_secret_until: Option<String>,
}

/// A customer's webhooks, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhooks {
    pub(crate) webhooks: Vec<Webhook>,
}

/// A new webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// `https://…`, 500 characters at most.
    pub(crate) url: String,
}

/// A webhook with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookMade {
    pub(crate) webhook: Webhook,
    /// In the form of Standard Webhooks: `whsec_…`.
    pub(crate) secret: String,
}
