//! Share links: whoever has one sees one customer's period and the report about it, until it ends or is taken back.
//!
//! **What counts as a view.** Opening the link's address gives a page that knows nothing yet and asks nothing: mail scanners, crawlers
//! and previews that fetch it leave no trace and cost no database. Only the call that shows the period (a `POST`, which the page makes
//! when its reader asks it to) is a view. Each view is counted; the log gets an entry at once for the first, then at most one a
//! minute for a link, which says how many views it stands for. None is lost: what a minute holds back, the next entry tells.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use angbu_accounts::Secret;
use angbu_evidence::Kind;
use angbu_store::accounts::CustomerRow;
use angbu_store::third_parties::ShareRow;
use angbu_store::{StoreError, Tx};
use angbu_units::{CustomerId, Monotonic, Nanos, ProvenInstant, ShareId, UnixTime, Zone};
use tokio::sync::Semaphore;

use super::asked::Asked;
use super::meter::Meter;
use super::report::Report;
use super::tries::{Tried, seconds_up};
use super::{Centre, append_text, kept, rng};
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::third_parties::{PeriodQuery, Share, Shared};

/// A share link was made, or taken back.
pub(super) const SHARE: Kind = Kind::constant("time.share");
/// Views of a share link.
const VIEW: Kind = Kind::constant("time.share-view");
/// At most one entry about a link's views in this time.
const TOLD_EVERY: Nanos = Nanos::from_secs(60);
/// The most links of a customer that are good at the same time.
const MOST_GOOD: u64 = 200;
/// For how many days a link is good, if nothing else is said, and at most.
const DAYS: (u16, u16) = (30, 366);
/// Views of one link in a minute.
const VIEWS_A_MINUTE: u32 = 120;
/// Periods that are reckoned for links at the same time.
const PLACES: usize = 2;
/// For how long what a link showed is shown again without being reckoned again, and for how many links.
const FRESH: Nanos = Nanos::from_secs(60);
const MOST_FRESH: usize = 32;

/// What keeps share links from costing more than they may.
pub(crate) struct SharesGate {
    views: Meter<ShareId>,
    places: Semaphore,
    fresh: Mutex<HashMap<ShareId, (Monotonic, Arc<Shared>)>>,
}

impl SharesGate {
    pub(crate) fn new() -> Self {
        Self {
            views: Meter::new(VIEWS_A_MINUTE),
            places: Semaphore::new(PLACES),
            fresh: Mutex::new(HashMap::new()),
        }
    }

    fn fresh(&self, id: ShareId, now: Monotonic) -> Option<Arc<Shared>> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.get(&id).filter(|(at, _)| now - *at < FRESH).map(|(_, shared)| Arc::clone(shared))
    }

    fn keep(&self, id: ShareId, now: Monotonic, shared: &Arc<Shared>) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.len() >= MOST_FRESH {
            fresh.clear();
        }
        fresh.insert(id, (now, Arc::clone(shared)));
    }
}

/// A wish for a share link.
pub(crate) struct ShareWish {
    pub(crate) customer: CustomerRow,
    /// For whom.
    pub(crate) holder: String,
    pub(crate) period: PeriodQuery,
    pub(crate) language: Option<String>,
    pub(crate) days: Option<u16>,
}

impl Centre {
    /// Makes a share link and the report behind it; its secret is shown once.
    pub(crate) async fn make_share(&self, wish: ShareWish, by: String) -> Result<(Share, Secret), Refusal> {
        let ShareWish { customer, holder, period, language, days } = wish;
        let days = days.unwrap_or(DAYS.0);
        if !(1..=DAYS.1).contains(&days) {
            return Err(Refusal::Invalid(format!("days lies between 1 and {}", DAYS.1)));
        }
        let language = language.unwrap_or_else(|| customer.language.clone());
        let asked = self.asked(&customer, &period)?.ended()?;
        let (id, now) = (customer.id, self.clock.read().wall);
        if self.store.read(move |snapshot| snapshot.count_shares(id, now)).await? >= MOST_GOOD {
            return Err(Refusal::Invalid(format!(
                "the customer has {MOST_GOOD} share links that are good; take one back first"
            )));
        }
        let report = self.report_for(&customer, &asked, &language).await?;
        let stamp = self.instant();
        let secret = Secret::random(&mut rng());
        let row = ShareRow {
            id: ShareId::random(&mut rng()),
            secret_hash: *secret.hash().as_bytes(),
            customer: customer.id,
            from: asked.from,
            to: asked.to,
            zone: asked.zone.name().to_owned(),
            holder,
            report: report.id,
            created: stamp.time,
            expires: stamp.time + Nanos::from_secs(i64::from(days) * 86_400),
            revoked: false,
            views: 0,
            last_view: None,
            told_views: 0,
            told_at: None,
        };
        let made = row.clone();
        self.store
            .write(move |tx| {
                tx.insert_share(&made)?;
                write_down(tx, &made, "made", stamp, &by)
            })
            .await?;
        Ok((show(row, stamp.time), secret))
    }

    /// A customer's share links.
    pub(crate) async fn shares_of(&self, customer: CustomerId) -> Result<Vec<Share>, Refusal> {
        let now = self.clock.read().wall;
        let rows = self.store.read(move |snapshot| snapshot.shares_of(customer)).await?;
        Ok(rows.into_iter().map(|row| show(row, now)).collect())
    }

    /// The customer of a share link.
    pub(crate) async fn customer_of_share(&self, id: ShareId) -> Result<CustomerId, Refusal> {
        let row = self.store.read(move |snapshot| snapshot.share(id)).await?;
        row.map(|row| row.customer).ok_or_else(|| Refusal::unknown("share link", &id.to_string()))
    }

    /// Takes a share link back; from then on it shows nothing, here and at every other centre.
    pub(crate) async fn revoke_share(&self, id: ShareId, by: String) -> Result<(), Refusal> {
        let stamp = self.instant();
        let revoked = self.store.write(move |tx| {
            tell_views(tx, id, stamp, UnixTime::MAX)?;
            tx.revoke_share(id)?;
            match tx.share(id)? {
                Some(row) => write_down(tx, &row, "revoked", stamp, &by),
                None => Ok(()),
            }
        });
        match revoked.await {
            Err(StoreError::NotFound { .. }) => {
                Err(Refusal::unknown("share link that is good", &id.to_string()))
            }
            done => Ok(done?),
        }
    }

    /// What a share link shows; a view.
    pub(crate) async fn shared(&self, token: &str, source: IpAddr) -> Result<Arc<Shared>, Refusal> {
        let row = self.share_of(token, source).await?;
        self.count_view(&row).await?;
        let now = self.clock.read().monotonic;
        if let Some(shared) = self.shares.fresh(row.id, now) {
            return Ok(shared);
        }
        let Ok(_place) = self.shares.places.acquire().await else {
            return Err(Refusal::Internal("the places of share links were closed".into()));
        };
        // Whoever waited for a place may find done what it came for.
        let now = self.clock.read().monotonic;
        if let Some(shared) = self.shares.fresh(row.id, now) {
            return Ok(shared);
        }
        let shared = Arc::new(self.reckon_shared(&row).await?);
        self.shares.keep(row.id, now, &shared);
        Ok(shared)
    }

    /// The report behind a share link; a view too.
    pub(crate) async fn shared_report(&self, token: &str, source: IpAddr) -> Result<Report, Refusal> {
        let row = self.share_of(token, source).await?;
        self.count_view(&row).await?;
        let (_, report) = self.kept_report(row.report).await?;
        self.kept_file(report).await
    }

    /// Tells the views of a minute that is over, of links that nobody looked at since.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn tell_share_views(&self) -> Result<(), StoreError> {
        let stamp = self.instant();
        let before = stamp.time - TOLD_EVERY;
        for id in self.store.read(move |snapshot| snapshot.shares_to_tell(before)).await? {
            self.store.write(move |tx| tell_views(tx, id, stamp, before)).await?;
        }
        Ok(())
    }

    /// The link with this secret, while it is good.
    async fn share_of(&self, token: &str, source: IpAddr) -> Result<ShareRow, Refusal> {
        let now = self.clock.read();
        let tried = Tried::secret(source);
        self.may_try(&tried).await?;
        let row = match Secret::parse(token) {
            Ok(secret) => {
                let hash = *secret.hash().as_bytes();
                self.store.read(move |snapshot| snapshot.share_by_secret(&hash)).await?
            }
            Err(_) => None,
        };
        // Unknown, ended and taken back look the same.
        let Some(row) = row.filter(|row| !row.revoked && now.wall < row.expires) else {
            self.try_failed(&tried).await?;
            return Err(Refusal::Unknown {
                what: "share link that is good under this address:",
                name: "…".into(),
            });
        };
        self.shares
            .views
            .take(row.id, now.monotonic)
            .map_err(|wait| Refusal::Throttled { seconds: seconds_up(wait) })?;
        Ok(row)
    }

    async fn count_view(&self, row: &ShareRow) -> Result<(), Refusal> {
        let (id, stamp) = (row.id, self.instant());
        let counted = self.store.write(move |tx| {
            tx.count_share_view(id, stamp.time)?;
            tell_views(tx, id, stamp, stamp.time - TOLD_EVERY)
        });
        match counted.await {
            // Taken back a moment ago.
            Err(StoreError::NotFound { .. }) => Err(Refusal::unknown("share link that is good", "…")),
            done => Ok(done?),
        }
    }

    async fn reckon_shared(&self, row: &ShareRow) -> Result<Shared, Refusal> {
        let id = row.customer;
        let customer = self.store.read(move |snapshot| snapshot.customer(id)).await?;
        let customer = customer.ok_or_else(|| Refusal::unknown("customer", &id.to_string()))?;
        let zone: Zone = row.zone.parse().unwrap_or(Zone::UTC);
        let month = zone.month_of(row.from);
        let month = zone.month(month).is_ok_and(|whole| whole == [row.from, row.to]).then_some(month);
        let asked = Asked { month, from: row.from, to: row.to, until: row.to, zone };
        let periods = self.customer_periods(&customer, &asked, None).await?;
        let report = self.kept_report(row.report).await.ok().map(|(_, report)| report);
        Ok(Shared {
            periods,
            expires_at: instant(row.expires),
            report: report.map(|report| kept::show(&customer.name, report)),
            log_keys: self.log_keys().iter().map(ToString::to_string).collect(),
        })
    }
}

/// The entry about a link's views that no entry has told, unless there was one at or after `not_since`.
fn tell_views(
    tx: &mut Tx<'_>,
    id: ShareId,
    stamp: ProvenInstant,
    not_since: UnixTime,
) -> Result<(), StoreError> {
    let Some(new) = tx.tell_share_views(id, stamp.time, not_since)? else { return Ok(()) };
    let Some(row) = tx.share(id)? else { return Ok(()) };
    let fields = [("share", id.to_string()), ("new", new.to_string()), ("views", row.views.to_string())];
    append_text(tx, VIEW, row.customer, stamp, fields).map(drop)
}

fn write_down(
    tx: &mut Tx<'_>,
    row: &ShareRow,
    change: &str,
    stamp: ProvenInstant,
    by: &str,
) -> Result<(), StoreError> {
    let fields = [
        ("share", row.id.to_string()),
        ("holder", row.holder.clone()),
        ("from", row.from.nanos().to_string()),
        ("to", row.to.nanos().to_string()),
        ("report", row.report.to_string()),
        ("expires", row.expires.nanos().to_string()),
        ("change", change.to_owned()),
        ("by", by.to_owned()),
    ];
    append_text(tx, SHARE, row.customer, stamp, fields).map(drop)
}

fn show(row: ShareRow, now: UnixTime) -> Share {
    let zone: Zone = row.zone.parse().unwrap_or(Zone::UTC);
    Share {
        id: row.id.to_string(),
        holder: row.holder,
        from: instant(row.from),
        to: instant(row.to),
        from_local: zone.local(row.from),
        to_local: zone.local(row.to),
        zone: row.zone,
        created_at: instant(row.created),
        expires_at: instant(row.expires),
        revoked: row.revoked,
        good: !row.revoked && now < row.expires,
        views: row.views,
        last_view_at: row.last_view.map(instant),
    }
}
