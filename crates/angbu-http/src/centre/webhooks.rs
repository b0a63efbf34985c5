//! Customers' webhooks: where their programs are told of incidents and of used keys that were shown again, and the secrets that sign what they are told.
//!
//! In the form of Standard Webhooks (1.0.0): the secret is `whsec_` and base64, the message is signed when it is sent.

use std::collections::BTreeMap;

use angbu_store::deliveries::{Channel, DeliveryRow, DeliveryState, MessageRow, WebhookRow};
use angbu_store::time::IncidentRow;
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_time::incidents::Figures;
use angbu_units::{CustomerId, DeliveryId, MessageId, Nanos, UnixTime, WebhookId};
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::Rng as _;
use serde_json::json;

use super::{Centre, append_text, rng};
use crate::problem::Refusal;
use crate::types::deliveries::{Webhook, WebhookMade};
use crate::types::instant;
use angbu_evidence::Kind;

const WEBHOOK: Kind = Kind::constant("account.webhook");
/// The most webhooks of one customer.
const MOST_WEBHOOKS: usize = 10;
/// The longest address.
const LONGEST_URL: usize = 500;
/// How long a secret that was replaced goes on signing beside the new one.
const OVERLAP: Nanos = Nanos::from_secs(86_400);
/// The most incidents of one message.
const EVENTS_AT_ONCE: usize = 256;
/// What the messages are about.
pub(super) const TOPIC: &str = "webhook";

/// A beginning or an end, to be told to programs.
pub(super) struct Event {
    pub(super) row: IncidentRow,
    pub(super) figures: Option<Figures>,
}

/// An address that a webhook may have.
pub(crate) fn read_url(text: &str, plain_http: bool) -> Result<String, Refusal> {
    let wrong = |what: &str| Err(Refusal::Invalid(format!("url: {what}")));
    if text.len() > LONGEST_URL {
        return wrong("it has 500 characters at most");
    }
    if !text.is_ascii() {
        return wrong("write it in ASCII: the host in its xn-- form, other letters as %XX");
    }
    let Ok(uri) = text.parse::<Uri>() else { return wrong("this is no address; write https://host/path") };
    match (uri.scheme_str(), plain_http) {
        (Some("https"), _) | (Some("http"), true) => {}
        (Some("http"), false) => {
            return wrong("it must be https; plain http is allowed by the operator only");
        }
        _ => return wrong("it begins with https://"),
    }
    let Some(authority) = uri.authority() else { return wrong("it names no host") };
    if authority.as_str().contains('@') || authority.host().is_empty() || text.contains('#') {
        return wrong("leave out names, passwords and what follows a #");
    }
    Ok(uri.to_string())
}

/// A new secret: 32 random bytes, as Standard Webhooks writes them.
fn new_secret() -> String {
    let mut bytes = [0; 32];
    rng().fill_bytes(&mut bytes);
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// A message with its deliveries.
pub(super) type Queued = (MessageRow, Vec<DeliveryRow>);

/// A message with its deliveries, one a target.
pub(super) fn deliveries(
    customer: CustomerId,
    topic: &str,
    parts: Vec<String>,
    targets: impl IntoIterator<Item = (Channel, String)>,
    now: UnixTime,
) -> Queued {
    let message =
        MessageRow { id: MessageId::random(&mut rng()), customer, topic: topic.to_owned(), made: now, parts };
    let deliveries = targets.into_iter().map(|(channel, target)| DeliveryRow {
        id: DeliveryId::random(&mut rng()),
        message: message.id,
        customer,
        channel,
        target,
        made: now,
        due: now,
        attempts: 0,
        state: DeliveryState::Waiting,
        ended: None,
        why: String::new(),
    });
    let deliveries = deliveries.collect();
    (message, deliveries)
}

/// Puts a message and its deliveries into the queue; where there is no delivery, no message.
pub(super) fn put(tx: &mut Tx<'_>, (message, deliveries): &Queued) -> Result<(), StoreError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    tx.insert_message(message)?;
    deliveries.iter().try_for_each(|delivery| tx.insert_delivery(delivery))
}

/// Queues what has begun and ended for the customers' programs; the centre's own troubles go to every customer's.
pub(super) fn queue(
    tx: &mut Tx<'_>,
    told: &BTreeMap<CustomerId, Vec<Event>>,
    now: UnixTime,
) -> Result<(), StoreError> {
    for (customer, events) in told {
        let customers = if *customer == CustomerId::SITE {
            tx.customers()?.into_iter().map(|row| row.id).collect()
        } else {
            vec![*customer]
        };
        for customer in customers {
            for events in events.chunks(EVENTS_AT_ONCE) {
                let incidents = incidents(tx, events)?;
                queue_each(tx, customer, now, |customer| {
                    let data = json!({ "customer": customer, "incidents": incidents });
                    json!({ "type": "time.incidents", "timestamp": instant(now), "data": data })
                })?;
            }
        }
    }
    Ok(())
}

/// Queues a message, made with the customer's name, for each of a customer's programs.
pub(super) fn queue_each(
    tx: &mut Tx<'_>,
    customer: CustomerId,
    now: UnixTime,
    body: impl FnOnce(Option<String>) -> serde_json::Value,
) -> Result<(), StoreError> {
    let hooks = tx.webhooks(customer)?;
    if hooks.is_empty() {
        return Ok(());
    }
    let body = body(tx.customer_name(customer)?).to_string();
    let targets = hooks.iter().map(|hook| (Channel::Webhook, hook.id.to_string()));
    put(tx, &deliveries(customer, TOPIC, vec![body], targets, now))
}

fn incidents(snapshot: &Snapshot<'_>, events: &[Event]) -> Result<Vec<serde_json::Value>, StoreError> {
    let mut incidents = Vec::with_capacity(events.len());
    for Event { row, figures } in events {
        let agent = row.agent.map(|agent| snapshot.agent(agent)).transpose()?.flatten();
        incidents.push(json!({
            "id": row.id.to_string(),
            "state": if row.closed.is_some() { "closed" } else { "opened" },
            "kind": row.kind,
            "agent": row.agent.map(|agent| agent.to_string()),
            "server": agent.map(|agent| agent.name),
            "since": instant(row.opened),
            "last": instant(row.last),
            "until": row.closed.map(instant),
            "offset_ns": figures.map(|figures| figures.offset.count()),
            "bound_ns": figures.map(|figures| figures.bound.count()),
            "tolerance_ns": figures.map(|figures| figures.tolerance.count()),
            "entry": row.closed_entry.unwrap_or(row.opened_entry).to_string(),
        }));
    }
    Ok(incidents)
}

/// What a test sends.
pub(super) fn test_body(customer: &str, now: UnixTime) -> String {
    json!({ "type": "test", "timestamp": instant(now), "data": { "customer": customer } }).to_string()
}

impl Centre {
    /// A customer's webhooks.
    pub(crate) async fn webhooks(&self, customer: CustomerId) -> Result<Vec<Webhook>, Refusal> {
        let rows = self.store.read(move |snapshot| snapshot.webhooks(customer)).await?;
        let now = self.clock.read().wall;
        Ok(rows.into_iter().map(|row| show(&row, now)).collect())
    }

    /// Makes a webhook; its secret is shown this once.
    pub(crate) async fn add_webhook(
        &self,
        customer: CustomerId,
        url: &str,
        by: String,
    ) -> Result<WebhookMade, Refusal> {
        let url = read_url(url, self.notices.plain_webhooks)?;
        let stamp = self.instant();
        let row = WebhookRow {
            id: WebhookId::random(&mut rng()),
            customer,
            made: stamp.time,
            url,
            secret: new_secret(),
            old_secret: None,
            version: 1,
        };
        let made = row.clone();
        let added = self
            .store
            .write(move |tx| {
                if tx.webhooks(customer)?.len() >= MOST_WEBHOOKS {
                    return Ok::<_, StoreError>(false);
                }
                tx.insert_webhook(&row)?;
                write_down(tx, &row, "made", stamp, by)?;
                Ok(true)
            })
            .await?;
        if !added {
            return Err(Refusal::Invalid(format!(
                "webhooks are {MOST_WEBHOOKS} at most; take one away first"
            )));
        }
        Ok(WebhookMade { webhook: show(&made, stamp.time), secret: made.secret })
    }

    /// Gives a webhook another secret, shown this once; the one before signs beside it for a day.
    pub(crate) async fn rotate_webhook(
        &self,
        customer: CustomerId,
        id: WebhookId,
        by: String,
    ) -> Result<WebhookMade, Refusal> {
        let stamp = self.instant();
        let secret = new_secret();
        let changed = self
            .store
            .write(move |tx| {
                let Some(row) = tx.webhook(id)?.filter(|row| row.customer == customer) else {
                    return Ok(None);
                };
                let old_secret = Some((row.secret.clone(), stamp.time + OVERLAP));
                let row = WebhookRow { secret, old_secret, ..row };
                tx.update_webhook(&row)?;
                write_down(tx, &row, "secret", stamp, by)?;
                Ok::<_, StoreError>(Some(row))
            })
            .await?;
        let row = changed.ok_or_else(|| Refusal::unknown("webhook", &id.to_string()))?;
        Ok(WebhookMade { webhook: show(&row, stamp.time), secret: row.secret })
    }

    /// Takes a webhook away.
    pub(crate) async fn remove_webhook(
        &self,
        customer: CustomerId,
        id: WebhookId,
        by: String,
    ) -> Result<(), Refusal> {
        let stamp = self.instant();
        let removed = self
            .store
            .write(move |tx| {
                let Some(row) = tx.webhook(id)?.filter(|row| row.customer == customer) else {
                    return Ok(false);
                };
                write_down(tx, &row, "removed", stamp, by)?;
                tx.delete_webhook(id)
            })
            .await?;
        if removed { Ok(()) } else { Err(Refusal::unknown("webhook", &id.to_string())) }
    }
}

/// The `account.webhook` entry that says what was done with a webhook. Its path can hold a secret and is left out.
fn write_down(
    tx: &mut Tx<'_>,
    row: &WebhookRow,
    what: &str,
    stamp: angbu_units::ProvenInstant,
    by: String,
) -> Result<(), StoreError> {
    let host = row.url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let fields = [("webhook", row.id.to_string()), ("what", what.to_owned()), ("host", host), ("by", by)];
    append_text(tx, WEBHOOK, row.customer, stamp, fields).map(drop)
}

fn show(row: &WebhookRow, now: UnixTime) -> Webhook {
    let both = row.old_secret.as_ref().map(|(_, until)| *until).filter(|until| *until > now);
    Webhook {
        id: row.id.to_string(),
        url: row.url.clone(),
        made_at: instant(row.made),
        old_secret_until: both.map(instant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_a_webhook_may_have_are_taken() {
        for (url, plain, fits) in [
            ("https://hooks.example.org/a?b=c", false, true),
            ("https://xn--9n2bp8q.example:8443/", false, true),
            ("http://hooks.example.org/", false, false),
            ("http://hooks.example.org/", true, true),
            ("https://예시.example/", false, false),
            ("https://user:secret@hooks.example.org/", false, false),
            ("https:///path", false, false),
            ("/path", false, false),
            ("ftp://hooks.example.org/", true, false),
            ("https://hooks.example.org/\r\nX: y", false, false),
            ("file:///etc/passwd", true, false),
            ("", false, false),
        ] {
            assert_eq!(read_url(url, plain).is_ok(), fits, "{url}");
        }
    }
}
