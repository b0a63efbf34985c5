//! Sending what waits in the queue: mail to the configured server, and webhooks.
//!
//! One centre of a site sends, the one that holds the log. Each delivery is claimed before it is sent and ended after; a
//! centre that dies in between leaves it to be sent again, with the same id.

mod mail;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use angbu_http::{Centre, Claimed, Tried};
use angbu_store::deliveries::Channel;

use crate::config::ServeConfig;
use mail::Mailer;
use webhook::Caller;

/// How often the queue is looked at while nothing is due.
const EVERY: Duration = Duration::from_secs(1);
/// How long the queue is left alone when the database does not answer.
const REST: Duration = Duration::from_secs(5);
/// How long a stop waits for what is just being sent.
const LAST_SENT: Duration = Duration::from_secs(5);

/// Starts the sending; it ends soon after `stop` turns true.
///
/// # Errors
/// Certificates or a password that cannot be used.
pub(crate) fn spawn(
    tasks: &mut JoinSet<()>,
    centre: &Arc<Centre>,
    config: &ServeConfig,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mailer = config.mail.as_ref().map(Mailer::new).transpose()?;
    let sender =
        Arc::new(Sender { mailer, caller: Caller::new(&config.webhooks)?, centre: Arc::clone(centre) });
    let mut stop = stop.clone();
    tasks.spawn(async move {
        loop {
            let pause = match sender.centre.claim_deliveries().await {
                Ok(claimed) if claimed.is_empty() => EVERY,
                Ok(claimed) => {
                    let mut sending: JoinSet<()> =
                        claimed.into_iter().map(|claimed| Arc::clone(&sender).send(claimed)).collect();
                    let all = async { while sending.join_next().await.is_some() {} };
                    tokio::select! {
                        () = all => Duration::ZERO,
                        () = async { let _ = stop.clone().wait_for(|stopped| *stopped).await; sleep(LAST_SENT).await } => return,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the queue of messages could not be read and is tried again later");
                    REST
                }
            };
            if *stop.borrow() || timeout(pause, stop.wait_for(|stopped| *stopped)).await.is_ok() {
                return;
            }
        }
    });
    Ok(())
}

struct Sender {
    mailer: Option<Mailer>,
    caller: Caller,
    centre: Arc<Centre>,
}

impl Sender {
    async fn send(self: Arc<Self>, claimed: Claimed) {
        let tried = match (claimed.delivery.channel, &self.mailer) {
            (Channel::Mail, Some(mailer)) => mailer.send(&claimed).await,
            (Channel::Mail, None) => {
                Tried::Failed("no mail server is configured ([mail] in serve.toml)".to_owned())
            }
            (Channel::Webhook, _) => self.caller.send(&claimed, self.centre.instant().time).await,
        };
        // What servers say names the address, which is kept sealed and stands in no log.
        let hide = |why: String| why.replace(&claimed.delivery.target, "…");
        let tried = match tried {
            Tried::Delivered => Tried::Delivered,
            Tried::Failed(why) => Tried::Failed(hide(why)),
            Tried::Refused(why) => Tried::Refused(hide(why)),
        };
        let id = claimed.delivery.id;
        match &tried {
            Tried::Delivered => tracing::info!(%id, "a message was delivered"),
            Tried::Failed(why) => tracing::warn!(%id, why, "a message was not delivered and is tried again"),
            Tried::Refused(why) => tracing::warn!(%id, why, "a message was refused and is given up"),
        }
        if let Err(error) = self.centre.tried(&claimed.delivery, tried).await {
            tracing::warn!(%id, %error, "how a message fared could not be noted; it may be sent a second time");
        }
    }
}
