//! Live news as server-sent events. A listener that falls behind is told the agents' newest state again
//! instead of every step on the way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use angbu_accounts::Reach;
use angbu_units::RequestId;

use crate::centre::{Centre, News};
use crate::types::time::Mark;

/// Events that wait for one slow browser.
const WAITING: usize = 64;

/// How often it is looked whether a request has changed that nothing here has changed.
const LOOK: Duration = Duration::from_secs(2);
/// The same where other centres share the database.
const LOOK_SHARED: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct MarkOfAgent {
    agent: String,
    #[serde(flatten)]
    mark: Mark,
}

/// The news within a reach, with those of the site itself or without, until the browser leaves or the centre stops.
pub(crate) fn events(
    centre: Arc<Centre>,
    reach: Reach,
    of_the_site: bool,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(forward(centre, reach, of_the_site, sender));
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn forward(
    centre: Arc<Centre>,
    reach: Reach,
    of_the_site: bool,
    sender: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut news = centre.watch_news();
    let mut heads = centre.watch_head();
    let mut stop = centre.watch_stop();
    loop {
        let events = tokio::select! {
            () = stopped(&mut stop) => return,
            () = sender.closed() => return,
            changed = heads.changed() => {
                if changed.is_err() {
                    return;
                }
                vec![event("head", &centre.head_now())]
            }
            heard = news.recv() => match heard {
                Ok(News::Agent { customer, agent }) if reach.covers(customer) => vec![event("agent", &agent)],
                Ok(News::Exchange { customer, exchange }) if reach.covers(customer) => vec![event("exchange", &exchange)],
                Ok(News::Mark { customer, agent, mark }) if reach.covers(customer) => {
                    vec![event("event", &MarkOfAgent { agent, mark })]
                }
                Ok(News::Clock) if of_the_site => vec![event("centre", &centre.clock_now().await)],
                Ok(_) => Vec::new(),
                Err(RecvError::Lagged(_)) => match centre.agents_within(reach.customer()).await {
                    Ok(agents) => agents.iter().map(|agent| event("agent", agent)).collect(),
                    Err(_) => Vec::new(),
                },
                Err(RecvError::Closed) => return,
            },
        };
        for event in events.into_iter().flatten() {
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    }
}

/// A request's state, at once and at each change, until it has ended and its proof is told, the listener leaves or the centre
/// stops.
pub(crate) fn of_request(
    centre: Arc<Centre>,
    id: RequestId,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(follow(centre, id, sender));
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn follow(centre: Arc<Centre>, id: RequestId, sender: mpsc::Sender<Result<Event, Infallible>>) {
    let mut news = centre.watch_news();
    let mut stop = centre.watch_stop();
    // What another centre of the site did is seen in the database, as is the end of a request's time.
    let mut look = tokio::time::interval(if centre.store().is_shared() { LOOK_SHARED } else { LOOK });
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        let has_changed = tokio::select! {
            () = stopped(&mut stop) => return,
            () = sender.closed() => return,
            _ = look.tick() => true,
            heard = news.recv() => match heard {
                Ok(News::Request(changed)) => changed == id,
                Ok(_) => false,
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            },
        };
        // Without the database there is nothing to tell; it is asked again a moment later.
        let Some((state, version)) = (if has_changed { centre.request_news(id).await } else { None }) else {
            continue;
        };
        if told.replace(version) == Some(version) {
            continue;
        }
        let has_ended = state.verdict.is_some();
        let Some(event) = event("request", &state) else { return };
        if sender.send(Ok(event)).await.is_err() || has_ended {
            return;
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
