//! Messages on their way out: what was written, to whom it goes, and how far it came; and customers' webhooks.
//!
//! A message and its deliveries are inserted by the transaction that they tell of, so that nothing is told that did not
//! happen and nothing happens untold. Whoever sends a delivery claims it first, for a while: should he die, it is due again
//! after that, so that it is never lost and at most sent twice.

use angbu_units::{CustomerId, DeliveryId, MessageId, UnixTime, WebhookId};

use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx, texts};

/// What seals messages and addresses.
const PERSONAL: Purpose = Purpose::Personal;
const MESSAGES: &str = "deliveries_messages";
const QUEUE: &str = "deliveries_queue";
const WEBHOOKS: &str = "deliveries_webhooks";

/// The longest reason that is kept, in characters.
const LONGEST_WHY: usize = 300;
/// The most deliveries that one question lists.
pub const DELIVERIES_AT_ONCE: u64 = 500;

/// A message, written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its random id.
    pub id: MessageId,
    /// Whose; [`CustomerId::SITE`] for the operators'.
    pub customer: CustomerId,
    /// What it is about, a word of its writer's.
    pub topic: String,
    /// When it was written.
    pub made: UnixTime,
    /// Its parts, as its writer made them; kept sealed.
    pub parts: Vec<String>,
}

/// By which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Mail.
    Mail,
    /// A webhook.
    Webhook,
}

impl Channel {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }

    fn read(word: &str) -> Result<Self, StoreError> {
        [Self::Mail, Self::Webhook]
            .into_iter()
            .find(|channel| channel.word() == word)
            .ok_or_else(|| StoreError::corrupt(format!("'{word}' is no way of a delivery")))
    }
}

/// How far a delivery came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is due, or will be.
    Waiting,
    /// Whoever takes it in has taken it.
    Delivered,
    /// It was refused for good, or for too long.
    GivenUp,
}

impl DeliveryState {
    const fn number(self) -> u64 {
        match self {
            Self::Waiting => 0,
            Self::Delivered => 1,
            Self::GivenUp => 2,
        }
    }

    fn read(number: u64) -> Result<Self, StoreError> {
        match number {
            0 => Ok(Self::Waiting),
            1 => Ok(Self::Delivered),
            2 => Ok(Self::GivenUp),
            other => Err(StoreError::corrupt(format!("a delivery's state is {other}"))),
        }
    }
}

/// A message on its way to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its random id.
    pub id: DeliveryId,
    /// What it brings.
    pub message: MessageId,
    /// Whose.
    pub customer: CustomerId,
    /// By which way.
    pub channel: Channel,
    /// To where: a mail address, or a webhook's id; kept sealed.
    pub target: String,
    /// When it was made.
    pub made: UnixTime,
    /// When it is tried next.
    pub due: UnixTime,
    /// How often it was tried.
    pub attempts: u64,
    /// How far it came.
    pub state: DeliveryState,
    /// When it was delivered or given up.
    pub ended: Option<UnixTime>,
    /// What was said at the last try that did not succeed.
    pub why: String,
}

/// How many deliveries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Those that wait.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest: Option<UnixTime>,
    /// Those given up that are still listed.
    pub given_up: u64,
}

/// Where a customer's programs are told.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its random id.
    pub id: WebhookId,
    /// Whose.
    pub customer: CustomerId,
    /// When it was made.
    pub made: UnixTime,
    /// Its address.
    pub url: String,
    /// The secret that signs, in the form in which it was shown.
    pub secret: String,
    /// The secret before it, and until when that signs too.
    pub old_secret: Option<(String, UnixTime)>,
    /// How often the row was changed; an update names the version that it read.
    pub version: u64,
}

impl std::fmt::Debug for WebhookRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRow").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

macro_rules! delivery_sql {
    ($rest:literal) => {
        concat!(
            "SELECT delivery_id, message_id, customer_id, channel, target, made, due, attempts, state, ended, why \
             FROM deliveries_queue ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The message with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn message(&self, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        self.sql.first(
            "SELECT message_id, customer_id, topic, made, sealed FROM deliveries_messages WHERE message_id = ?1",
            values![id],
            |row| {
                let sealed: Vec<u8> = column(row, 4)?;
                Ok(MessageRow {
                    id,
                    customer: column(row, 1)?,
                    topic: column(row, 2)?,
                    made: column(row, 3)?,
                    parts: texts::decode(&self.open_sealed(MESSAGES, id.as_bytes(), &sealed)?)?,
                })
            },
        )
    }

    /// What a message is about.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn message_topic(&self, id: MessageId) -> Result<Option<String>, StoreError> {
        self.sql.first("SELECT topic FROM deliveries_messages WHERE message_id = ?1", values![id], |row| {
            column(row, 0)
        })
    }

    /// When the newest message of a customer on a topic was written.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn newest_message(&self, customer: CustomerId, topic: &str) -> Result<Option<UnixTime>, StoreError> {
        let newest = self.sql.first(
            "SELECT MAX(made) FROM deliveries_messages WHERE customer_id = ?1 AND topic = ?2",
            values![customer, topic],
            |row| optional(row, 0),
        )?;
        Ok(newest.flatten())
    }

    /// Deliveries that wait and are due by `now`, the one that waits longest first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn due_deliveries(&self, now: UnixTime, limit: u64) -> Result<Vec<DeliveryRow>, StoreError> {
        self.sql.all(
            delivery_sql!("WHERE state = 0 AND due <= ?1 ORDER BY due, delivery_id LIMIT ?2"),
            values![now, limit.min(DELIVERIES_AT_ONCE)],
            |row| self.delivery(row),
        )
    }

    /// The newest deliveries made before `before`, of a customer or all, at most [`DELIVERIES_AT_ONCE`] and `limit`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn deliveries(
        &self,
        customer: Option<CustomerId>,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let limit = limit.min(DELIVERIES_AT_ONCE);
        match customer {
            Some(customer) => self.sql.all(
                delivery_sql!(
                    "WHERE customer_id = ?1 AND made < ?2 ORDER BY made DESC, delivery_id DESC LIMIT ?3"
                ),
                values![customer, before, limit],
                |row| self.delivery(row),
            ),
            None => self.sql.all(
                delivery_sql!("WHERE made < ?1 ORDER BY made DESC, delivery_id DESC LIMIT ?2"),
                values![before, limit],
                |row| self.delivery(row),
            ),
        }
    }

    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn queue_counts(&self, customer: Option<CustomerId>) -> Result<QueueCounts, StoreError> {
        let counted = |row: &dyn Row| Ok((column::<u64>(row, 0)?, column::<u64>(row, 1)?, optional(row, 2)?));
        let rows = match customer {
            None => self.sql.all(
                "SELECT state, COUNT(*), MIN(made) FROM deliveries_queue WHERE state <> 1 GROUP BY state",
                values![],
                counted,
            )?,
            Some(customer) => self.sql.all(
                "SELECT state, COUNT(*), MIN(made) FROM deliveries_queue
                 WHERE customer_id = ?1 AND state <> 1 GROUP BY state",
                values![customer],
                counted,
            )?,
        };
        let mut counts = QueueCounts::default();
        for (state, count, oldest) in rows {
            if state == DeliveryState::Waiting.number() {
                (counts.waiting, counts.oldest) = (count, oldest);
            } else {
                counts.given_up = count;
            }
        }
        Ok(counts)
    }

    /// A customer's webhooks, the oldest first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn webhooks(&self, customer: CustomerId) -> Result<Vec<WebhookRow>, StoreError> {
        self.sql.all(
            "SELECT webhook_id, customer_id, made, sealed, version FROM deliveries_webhooks
             WHERE customer_id = ?1 ORDER BY made, webhook_id",
            values![customer],
            |row| self.webhook_row(row),
        )
    }

    /// The webhook with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRow>, StoreError> {
        self.sql.first(
            "SELECT webhook_id, customer_id, made, sealed, version FROM deliveries_webhooks WHERE webhook_id = ?1",
            values![id],
            |row| self.webhook_row(row),
        )
    }

    fn delivery(&self, row: &dyn Row) -> Result<DeliveryRow, StoreError> {
        let id: DeliveryId = column(row, 0)?;
        let target = self.open_sealed(QUEUE, id.as_bytes(), &column::<Vec<u8>>(row, 4)?)?;
        let target = String::from_utf8(target.to_vec())
            .map_err(|_| StoreError::corrupt("the target of a delivery is no text"))?;
        Ok(DeliveryRow {
            id,
            message: column(row, 1)?,
            customer: column(row, 2)?,
            channel: Channel::read(&column::<String>(row, 3)?)?,
            target,
            made: column(row, 5)?,
            due: column(row, 6)?,
            attempts: column(row, 7)?,
            state: DeliveryState::read(column(row, 8)?)?,
            ended: optional(row, 9)?,
            why: column(row, 10)?,
        })
    }

    fn webhook_row(&self, row: &dyn Row) -> Result<WebhookRow, StoreError> {
        let id: WebhookId = column(row, 0)?;
        let sealed: Vec<u8> = column(row, 3)?;
        let parts = texts::decode(&self.open_sealed(WEBHOOKS, id.as_bytes(), &sealed)?)?;
        let wrong = || StoreError::corrupt("a sealed webhook has not its parts");
        let (url, secret, old_secret) = match parts.as_slice() {
            [url, secret] => (url, secret, None),
            [url, secret, old, until] => {
                let until = UnixTime::from_nanos(until.parse().map_err(|_| wrong())?);
                (url, secret, Some((old.clone(), until)))
            }
            _ => return Err(wrong()),
        };
        Ok(WebhookRow {
            id,
            customer: column(row, 1)?,
            made: column(row, 2)?,
            url: url.clone(),
            secret: secret.clone(),
            old_secret,
            version: column(row, 4)?,
        })
    }
}

impl Tx<'_> {
    /// Inserts a message.
    ///
    /// # Errors
    /// As every change.
    pub fn insert_message(&mut self, message: &MessageRow) -> Result<(), StoreError> {
        let parts = texts::encode(message.parts.iter().map(String::as_str))?;
        let sealed = self.seal(PERSONAL, MESSAGES, message.id.as_bytes(), &parts)?;
        self.sql.execute(
            "INSERT INTO deliveries_messages (message_id, customer_id, topic, made, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
            values![message.id, message.customer, message.topic, message.made, sealed],
        )?;
        Ok(())
    }

    /// Inserts a delivery.
    ///
    /// # Errors
    /// As every change.
    pub fn insert_delivery(&mut self, row: &DeliveryRow) -> Result<(), StoreError> {
        let target = self.seal(PERSONAL, QUEUE, row.id.as_bytes(), row.target.as_bytes())?;
        self.sql.execute(
            "INSERT INTO deliveries_queue
                 (delivery_id, message_id, customer_id, channel, target, made, due, attempts, claimed, state, ended, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11)",
            values![
                row.id,
                row.message,
                row.customer,
                row.channel.word(),
                target,
                row.made,
                row.due,
                row.attempts,
                row.state.number(),
                row.ended,
                row.why
            ],
        )?;
        Ok(())
    }

    /// Claims a delivery as it was read: nobody else sends it before `until`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else has claimed it, or it has ended.
    pub fn claim_delivery(&mut self, row: &DeliveryRow, until: UnixTime) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE deliveries_queue SET attempts = attempts + 1, due = ?3, claimed = 1
             WHERE delivery_id = ?1 AND attempts = ?2 AND state = 0",
            values![row.id, row.attempts, until],
            StoreError::Conflict { what: "the delivery" },
        )
    }

    /// Puts a claimed delivery off until `due`, and says why.
    ///
    /// # Errors
    /// As every change.
    pub fn put_off_delivery(&mut self, id: DeliveryId, due: UnixTime, why: &str) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE deliveries_queue SET due = ?2, why = ?3, claimed = 0 WHERE delivery_id = ?1 AND state = 0",
            values![id, due, short(why)],
        )?;
        Ok(())
    }

    /// Makes everything that waits and that nobody is sending due now; returns how much that is.
    ///
    /// # Errors
    /// As every change.
    pub fn hurry_deliveries(&mut self, now: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute(
            "UPDATE deliveries_queue SET due = ?1 WHERE state = 0 AND claimed = 0 AND due > ?1",
            values![now],
        )
    }

    /// A delivery has ended, and how.
    ///
    /// # Errors
    /// As every change.
    pub fn end_delivery(
        &mut self,
        id: DeliveryId,
        state: DeliveryState,
        ended: UnixTime,
        why: &str,
    ) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE deliveries_queue SET state = ?2, ended = ?3, why = ?4 WHERE delivery_id = ?1 AND state = 0",
            values![id, state.number(), ended, short(why)],
        )?;
        Ok(())
    }

    /// Takes away deliveries that ended before `ended_before`, and messages that nobody waits for any more.
    ///
    /// # Errors
    /// As every change.
    pub fn forget_deliveries(&mut self, ended_before: UnixTime) -> Result<u64, StoreError> {
        let gone = self
            .sql
            .execute("DELETE FROM deliveries_queue WHERE state <> 0 AND ended < ?1", values![ended_before])?;
        self.sql.execute(
            "DELETE FROM deliveries_messages WHERE made < ?1 AND NOT EXISTS
                 (SELECT 1 FROM deliveries_queue AS q WHERE q.message_id = deliveries_messages.message_id)",
            values![ended_before],
        )?;
        Ok(gone)
    }

    /// Inserts a webhook.
    ///
    /// # Errors
    /// As every change.
    pub fn insert_webhook(&mut self, row: &WebhookRow) -> Result<(), StoreError> {
        let sealed = self.seal_webhook(row)?;
        self.sql.execute(
            "INSERT INTO deliveries_webhooks (webhook_id, customer_id, made, sealed, version)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            values![row.id, row.customer, row.made, sealed, row.version],
        )?;
        Ok(())
    }

    /// Replaces a webhook's address and secrets if its row still has `row.version`; the version then is one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was changed meanwhile.
    pub fn update_webhook(&mut self, row: &WebhookRow) -> Result<(), StoreError> {
        let sealed = self.seal_webhook(row)?;
        self.sql.execute_one(
            "UPDATE deliveries_webhooks SET sealed = ?3, version = version + 1
             WHERE webhook_id = ?1 AND version = ?2",
            values![row.id, row.version, sealed],
            StoreError::Conflict { what: "the webhook" },
        )
    }

    /// Takes a webhook away; `false` when there was none.
    ///
    /// # Errors
    /// As every change.
    pub fn delete_webhook(&mut self, id: WebhookId) -> Result<bool, StoreError> {
        Ok(self.sql.execute("DELETE FROM deliveries_webhooks WHERE webhook_id = ?1", values![id])? > 0)
    }

    fn seal_webhook(&self, row: &WebhookRow) -> Result<Vec<u8>, StoreError> {
        let mut parts = vec![row.url.clone(), row.secret.clone()];
        if let Some((secret, until)) = &row.old_secret {
            parts.extend([secret.clone(), until.nanos().to_string()]);
        }
        let plain = zeroize::Zeroizing::new(texts::encode(parts.iter().map(String::as_str))?);
        self.seal(PERSONAL, WEBHOOKS, row.id.as_bytes(), &plain)
    }
}

fn short(why: &str) -> String {
    why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_WHY).collect()
}
