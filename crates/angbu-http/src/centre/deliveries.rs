//! The queue of messages on their way out, as whoever sends them sees it, and as pages show it.

use angbu_accounts::Reach;
use angbu_store::deliveries::{Channel, DeliveryRow, DeliveryState, MessageRow, WebhookRow};
use angbu_store::{Snapshot, StoreError};
use angbu_units::{Nanos, UnixTime};

use super::Centre;
use crate::problem::Refusal;
use crate::types::deliveries::{ChannelWord, Deliveries, Delivery, DeliveryStateWord};
use crate::types::instant;

/// How many deliveries are claimed at once.
const AT_ONCE: u64 = 32;
/// How long a claimed delivery is left to whoever claimed it; longer than any try takes.
const CLAIMED: Nanos = Nanos::from_secs(300);
/// The pause after the first try, and the longest one.
const FIRST_PAUSE: Nanos = Nanos::from_secs(60);
const LONGEST_PAUSE: Nanos = Nanos::from_secs(3_600);
/// After this time a delivery is given up.
const PATIENCE: Nanos = Nanos::from_secs(3 * 86_400);
/// How long deliveries that have ended are shown.
pub(super) const SHOWN: Nanos = Nanos::from_secs(30 * 86_400);

/// A delivery that is to be sent now, by this centre alone.
pub struct Claimed {
    /// Which, to whom, and for the how many-th time less one.
    pub delivery: DeliveryRow,
    /// What.
    pub message: MessageRow,
    /// To where, for a webhook that is still there.
    pub webhook: Option<WebhookRow>,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Delivered,
    /// It was not; another try may succeed.
    Failed(String),
    /// It was not and never will be.
    Refused(String),
}

/// When a delivery that failed at `now`, after this many tries, is tried again; `None` when it is given up.
fn next_try(made: UnixTime, tries: u64, now: UnixTime) -> Option<UnixTime> {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let pause = FIRST_PAUSE.times(1_i64 << doublings).min(LONGEST_PAUSE);
    (now - made < PATIENCE).then(|| now + pause)
}

impl Centre {
    /// Claims what is due. Nothing where another centre of the site sends.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn claim_deliveries(&self) -> Result<Vec<Claimed>, StoreError> {
        let (centre, now) = (self.site.centre, self.clock.read().wall);
        let due = self
            .store
            .read(move |snapshot| {
                if snapshot.log_holder()? != Some(centre) {
                    return Ok(Vec::new());
                }
                snapshot.due_deliveries(now, AT_ONCE)
            })
            .await?;
        let mut claimed = Vec::with_capacity(due.len());
        for delivery in due {
            let row = delivery.clone();
            let taken = self
                .store
                .write(move |tx| {
                    tx.claim_delivery(&row, now + CLAIMED)?;
                    let message = tx.message(row.message)?;
                    let message = message.ok_or(StoreError::NotFound { what: "delivery's message" })?;
                    Ok::<_, StoreError>((message, webhook(tx, &row)?))
                })
                .await;
            match taken {
                Ok((message, webhook)) => claimed.push(Claimed { delivery, message, webhook }),
                // Another one was faster.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }

    /// Notes how a try ended.
    ///
    /// # Errors
    /// Where the database does not take it; the delivery is then tried again.
    pub async fn tried(&self, delivery: &DeliveryRow, tried: Tried) -> Result<(), StoreError> {
        let now = self.clock.read().wall;
        let (id, made, tries) = (delivery.id, delivery.made, delivery.attempts.saturating_add(1));
        self.store
            .write(move |tx| match tried {
                Tried::Delivered => tx.end_delivery(id, DeliveryState::Delivered, now, ""),
                Tried::Refused(why) => tx.end_delivery(id, DeliveryState::GivenUp, now, &why),
                Tried::Failed(why) => match next_try(made, tries, now) {
                    Some(due) => tx.put_off_delivery(id, due, &why),
                    None => tx.end_delivery(id, DeliveryState::GivenUp, now, &why),
                },
            })
            .await
    }

    /// Tries everything that waits now, as after the mail server was put right; returns how much that is.
    pub(crate) async fn hurry_deliveries(&self) -> Result<u64, Refusal> {
        let now = self.clock.read().wall;
        Ok(self.store.write(move |tx| tx.hurry_deliveries(now)).await?)
    }

    /// The newest deliveries within a reach.
    pub(crate) async fn deliveries(
        &self,
        reach: Reach,
        before: UnixTime,
        limit: u64,
    ) -> Result<Deliveries, Refusal> {
        let mail = self.notices.mail;
        self.store
            .read(move |snapshot| {
                let rows = snapshot.deliveries(reach.customer(), before, limit)?;
                let counts = snapshot.queue_counts(reach.customer())?;
                let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= limit;
                let next = rows.last().filter(|_| is_full).map(|row| instant(row.made));
                let shown = rows.into_iter().map(|row| show(snapshot, row));
                Ok::<_, StoreError>(Deliveries {
                    mail_configured: mail,
                    waiting: counts.waiting,
                    oldest_waiting: counts.oldest.map(instant),
                    given_up: counts.given_up,
                    deliveries: shown.collect::<Result<_, StoreError>>()?,
                    next,
                })
            })
            .await
            .map_err(Refusal::from)
    }
}

fn webhook(snapshot: &Snapshot<'_>, row: &DeliveryRow) -> Result<Option<WebhookRow>, StoreError> {
    match (row.channel, row.target.parse()) {
        (Channel::Webhook, Ok(id)) => snapshot.webhook(id),
        _ => Ok(None),
    }
}

fn show(snapshot: &Snapshot<'_>, row: DeliveryRow) -> Result<Delivery, StoreError> {
    let target = match row.channel {
        Channel::Mail => row.target.clone(),
        Channel::Webhook => webhook(snapshot, &row)?.map_or(row.target.clone(), |hook| hook.url),
    };
    let topic = snapshot.message_topic(row.message)?.unwrap_or_default();
    Ok(Delivery {
        id: row.id.to_string(),
        customer: snapshot.customer_name(row.customer)?,
        channel: match row.channel {
            Channel::Mail => ChannelWord::Mail,
            Channel::Webhook => ChannelWord::Webhook,
        },
        target,
        topic,
        made_at: instant(row.made),
        state: match row.state {
            DeliveryState::Waiting => DeliveryStateWord::Waiting,
            DeliveryState::Delivered => DeliveryStateWord::Delivered,
            DeliveryState::GivenUp => DeliveryStateWord::GivenUp,
        },
        attempts: row.attempts,
        next_try_at: (row.state == DeliveryState::Waiting).then(|| instant(row.due)),
        ended_at: row.ended.map(instant),
        why: (!row.why.is_empty()).then_some(row.why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_end_after_three_days() {
        let made = UnixTime::from_nanos(1_800_000_000_000_000_000);
        let (mut now, mut pauses) = (made, Vec::new());
        while let Some(next) = next_try(made, u64::try_from(pauses.len()).unwrap() + 1, now) {
            pauses.push((next - now).count() / 60_000_000_000);
            now = next;
        }
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(now - made >= PATIENCE && now - made < PATIENCE + LONGEST_PAUSE);
        assert!(pauses.len() < 80);
    }
}
