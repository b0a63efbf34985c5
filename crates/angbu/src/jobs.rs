//! What a centre does by itself: segments that are due, hourly manifests, months' reports, and clearing what has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use angbu_http::{Centre, Retention};
use angbu_store::StoreError;

/// How often segments are looked at; a segment closes within this time of being due.
const SEGMENTS: Duration = Duration::from_secs(5);
/// How often it is looked whether something has begun or ended that somebody is to be told of.
const INCIDENTS: Duration = Duration::from_secs(3);
/// How often it is looked whether a request's time is over, so that its end is written down though nobody asks for it.
const REQUESTS: Duration = Duration::from_secs(10);
/// How often it is looked whether this hour has its manifest, which counts each customer's entries.
const MANIFESTS: Duration = Duration::from_secs(60);
/// How often sessions and codes that have ended are cleared away.
const CLEARING: Duration = Duration::from_secs(600);
/// How often the database is made ready for the months to come.
const MONTHS: Duration = Duration::from_secs(86_400);
/// How often it is looked whether a day can be summarised, and whether something has been kept long enough.
const KEEPING: Duration = Duration::from_secs(300);
/// How often it is looked whether a key was retired, whose values are then sealed anew.
const RESEALING: Duration = Duration::from_secs(2);
/// How often a centre says that it goes on, so that it is known how long one ran that crashed.
const GOING_ON: Duration = Duration::from_secs(60);
/// Over how long what was seen of the clock's sources is summed up.
const SOURCES: Duration = Duration::from_secs(300);

/// How often it is looked whether a customer's month is over and has no report yet.
const REPORTS: Duration = Duration::from_secs(300);
/// How often views of share links are told that were held back for a minute.
const VIEWS: Duration = Duration::from_secs(30);
/// How often tries of keys are told that were not judged, and only counted.
const TRIES: Duration = Duration::from_secs(20);

/// How long after the start that is looked for first: what was missed while no centre ran is made at once.
const FIRST_REPORTS: Duration = Duration::from_secs(5);

/// Starts the jobs; each ends soon after `stop` turns true.
pub(crate) fn spawn(
    tasks: &mut JoinSet<()>,
    centre: &Arc<Centre>,
    stop: &watch::Receiver<bool>,
    retention: Retention,
) {
    let every = |period, job: Job| run(Arc::clone(centre), stop.clone(), period, job);
    tasks.spawn(every(SEGMENTS, Job::Segments));
    tasks.spawn(every(INCIDENTS, Job::Incidents));
    tasks.spawn(every(REQUESTS, Job::Requests));
    tasks.spawn(every(MANIFESTS, Job::Manifest));
    tasks.spawn(every(CLEARING, Job::Clearing));
    tasks.spawn(every(RESEALING, Job::Resealing));
    tasks.spawn(every(MONTHS, Job::Months));
    tasks.spawn(every(REPORTS, Job::Reports));
    tasks.spawn(every(VIEWS, Job::Views));
    tasks.spawn(every(TRIES, Job::Tries));
    tasks.spawn(every(KEEPING, Job::Keeping(retention)));
    tasks.spawn(every(GOING_ON, Job::GoingOn));
    tasks.spawn(every(SOURCES, Job::Sources));
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Segments,
    Incidents,
    Requests,
    Manifest,
    Clearing,
    Resealing,
    Months,
    Reports,
    Views,
    Tries,
    Keeping(Retention),
    GoingOn,
    Sources,
}

async fn incidents(centre: &Centre) -> Result<(), StoreError> {
    centre.judge_incidents().await?;
    centre.tell_of_incidents().await
}

async fn run(centre: Arc<Centre>, mut stop: watch::Receiver<bool>, period: Duration, job: Job) {
    let first = if matches!(job, Job::Reports) { FIRST_REPORTS } else { period };
    let mut ticks = interval_at(Instant::now() + first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        let done = match job {
            Job::Segments => centre.close_segments(false).await,
            Job::Incidents => incidents(&centre).await,
            Job::Requests => centre.end_overdue_requests().await,
            Job::Manifest => centre.append_hourly_manifest().await,
            Job::Clearing => centre.clear_ended().await,
            Job::GoingOn => centre.goes_on().await,
            Job::Sources => centre.note_sources().await,
            Job::Resealing => centre.reseal().await,
            Job::Reports => centre.make_monthly_reports().await,
            Job::Views => centre.tell_share_views().await,
            Job::Tries => centre.tell_unjudged_tries().await,
            Job::Keeping(retention) => keep(&centre, retention, &stop).await,
            Job::Months => {
                let store = centre.store().clone();
                // A panic there was said already.
                tokio::task::spawn_blocking(move || store.maintain()).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = done {
            tracing::warn!(?job, %error, "a job could not be done and is tried again later");
        }
    }
}

/// Turns of keeping and deleting, until there is nothing to do or the centre is to end.
async fn keep(
    centre: &Centre,
    retention: Retention,
    stop: &watch::Receiver<bool>,
) -> Result<(), angbu_store::StoreError> {
    while !*stop.borrow() && centre.retain(retention).await? {}
    Ok(())
}
