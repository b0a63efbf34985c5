//! Telling people of incidents: who is due, what their message says, and its way into the queue.
//!
//! An incident's row says what was told of it. A message, the rows that it tells of and the instant at which somebody was told
//! change in one transaction, so that a stop at any point neither loses a message nor tells a thing twice.

mod graph;

use std::collections::{BTreeMap, BTreeSet};

use angbu_accounts::EmailAddress;
use angbu_store::accounts::CustomerRow;
use angbu_store::deliveries::Channel;
use angbu_store::time::{GraphPoint, IncidentRow, Told};
use angbu_store::{Snapshot, StoreError};
use angbu_time::incidents::{Due, Figures, Patience, Rhythm, Trouble};
use angbu_time::notice::{Item, Notice, Picture, Sort, Written};
use angbu_units::{AgentId, CentreId, CustomerId, EntryId, Language, Month, Nanos, UnixTime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;

use super::{Centre, webhooks};
use crate::problem::Refusal;

/// The most incidents of a sort whose names and figures are looked up; of the others only the number is told.
const LOOKED_UP: usize = 40;
/// How far back a picture reaches at least, and at most.
const SHORTEST_PICTURE: Nanos = Nanos::from_secs(3 * 3_600);
const LONGEST_PICTURE: Nanos = Nanos::from_secs(48 * 3_600);
/// How much of the time before an incident its picture shows.
const BEFORE: Nanos = Nanos::from_secs(3_600);
/// How long somebody waits between two tests.
const BETWEEN_TESTS: Nanos = Nanos::from_secs(20);
/// What the messages are about.
const TOPIC: &str = "incidents";
const TEST: &str = "test";
const REPORTS: &str = "reports";

/// Who is told of incidents, and how.
#[derive(Debug, Clone)]
pub struct NoticeSettings {
    /// Whether mail can be sent.
    pub mail: bool,
    /// Those who run the site.
    pub operators: Vec<EmailAddress>,
    /// The language that they are written to in.
    pub language: Language,
    /// The time zone that they are told instants in beside UTC, by its IANA name.
    pub zone: String,
    /// Where people find the console, without a slash at its end.
    pub console: String,
    /// How often somebody is written to.
    pub rhythm: Rhythm,
    /// When silence is trouble.
    pub patience: Patience,
    /// Whether webhooks may have addresses without TLS.
    pub plain_webhooks: bool,
}

impl Default for NoticeSettings {
    fn default() -> Self {
        Self {
            mail: false,
            operators: Vec::new(),
            language: Language::English,
            zone: "UTC".to_owned(),
            console: String::new(),
            rhythm: Rhythm::default(),
            patience: Patience::default(),
            plain_webhooks: false,
        }
    }
}

/// A time zone by its IANA name, in the spelling of the database.
///
/// # Errors
/// The name, where there is no such zone.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    let fits = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
    fits.then(|| TimeZone::get(name).ok())
        .flatten()
        .ok_or_else(|| name.chars().take(64).filter(|c| !c.is_control()).collect())
}

/// An instant in a zone, with the zone's name; nothing in UTC.
fn local(zone: &TimeZone, at: UnixTime) -> Option<String> {
    let name = zone.iana_name().filter(|name| *name != "UTC")?;
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).ok()?.to_zoned(zone.clone());
    Some(format!("{} {name}", at.strftime("%Y-%m-%d %H:%M:%S")))
}

/// Somebody to be told now.
struct Audience {
    /// A customer, or those who run the site.
    who: CustomerId,
    due: Due,
}

/// Everything that a message is made of.
struct Material {
    rows: Vec<IncidentRow>,
    notice: Notice,
    zone: String,
    targets: Vec<(Channel, String)>,
    points: Vec<GraphPoint>,
}

impl Centre {
    /// Tells whoever is due of incidents. Only the centre that holds the log does.
    ///
    /// # Errors
    /// Where the database does not take it; who was told before stays told.
    pub async fn tell_of_incidents(&self) -> Result<(), StoreError> {
        let (centre, now, rhythm) = (self.site.centre, self.clock.read().wall, self.notices.rhythm);
        let (audiences, own) =
            self.store.read(move |snapshot| audiences(snapshot, centre, now, rhythm)).await?;
        let mut is_told = true;
        for Audience { who, due } in audiences {
            let Some(sort) = Sort::of(due) else { continue };
            match self.tell_incidents(who, sort, now).await {
                Ok(()) => {}
                // Something of it has changed meanwhile: at the next look.
                Err(StoreError::Conflict { .. }) => is_told = false,
                Err(error) => return Err(error),
            }
        }
        // The centre's own trouble is settled with the customers once each of them was told.
        if is_told && !own.is_empty() {
            self.store
                .write(move |tx| {
                    for row in own {
                        let Some(now) = tx.incident(row.id)? else { continue };
                        tx.update_incident(&IncidentRow { told: needed(&row), ..now })?;
                    }
                    Ok::<_, StoreError>(())
                })
                .await?;
        }
        Ok(())
    }

    async fn tell_incidents(&self, who: CustomerId, sort: Sort, now: UnixTime) -> Result<(), StoreError> {
        let settings = self.notices.clone();
        let material =
            self.store.read(move |snapshot| Material::load(snapshot, &settings, who, sort, now)).await?;
        let Some(material) = material else { return Ok(()) };
        let told: Vec<IncidentRow> = material
            .rows
            .iter()
            .filter(|row| who == CustomerId::SITE || row.customer == who)
            .filter(|row| told_of(row, who) != needed(row))
            .map(|row| match who {
                CustomerId::SITE => IncidentRow { told_site: needed(row), ..row.clone() },
                _ => IncidentRow { told: needed(row), ..row.clone() },
            })
            .collect();
        let written = self.written(who, material, TOPIC, now).await?;
        self.store
            .write(move |tx| {
                told.iter().try_for_each(|row| tx.update_incident(row))?;
                tx.note_told(who, now)?;
                written.iter().try_for_each(|written| webhooks::put(tx, written))
            })
            .await
    }

    /// The message, ready for the queue; none where nobody is there to read it.
    async fn written(
        &self,
        who: CustomerId,
        mut material: Material,
        topic: &'static str,
        now: UnixTime,
    ) -> Result<Option<webhooks::Queued>, StoreError> {
        if !self.notices.mail || material.targets.is_empty() {
            return Ok(None);
        }
        let targets = std::mem::take(&mut material.targets);
        let parts = tokio::task::spawn_blocking(move || material.write()).await.map_err(|error| {
            StoreError::Unfit { what: format!("a message could not be written: {error}") }
        })?;
        Ok(Some(webhooks::deliveries(who, topic, parts, targets, now)))
    }

    /// The message to a customer's contacts that a month's report is there, or that there will be none; for the queue.
    pub(super) async fn month_told(
        &self,
        customer: &CustomerRow,
        (month, is_made): (Month, bool),
        now: UnixTime,
    ) -> Result<Option<webhooks::Queued>, StoreError> {
        let material = Material::plain(&self.notices, customer, Sort::Month { month, is_made });
        self.written(customer.id, material, REPORTS, now).await
    }

    /// Queues a test to a customer's contacts and webhooks, and returns how many are sent.
    pub(crate) async fn send_test(&self, customer: CustomerRow) -> Result<u64, Refusal> {
        let (who, now) = (customer.id, self.clock.read().wall);
        let hooks = self.store.read(move |snapshot| snapshot.webhooks(who)).await?;
        let newest = self.store.read(move |snapshot| snapshot.newest_message(who, TEST)).await?;
        if newest.is_some_and(|newest| newest <= now && now - newest < BETWEEN_TESTS) {
            return Err(Refusal::UnderWay(
                "a test was sent a moment ago; wait until it has arrived".to_owned(),
            ));
        }
        let has_mail = self.notices.mail && !customer.contacts.is_empty();
        if !has_mail && hooks.is_empty() {
            let what = match (self.notices.mail, customer.contacts.is_empty()) {
                (false, _) => {
                    "this centre has no mail server; an operator names one under [mail] in serve.toml"
                }
                _ => "there is nobody to write to; add contacts or a webhook first",
            };
            return Err(Refusal::Invalid(what.to_owned()));
        }
        let body = webhooks::test_body(&customer.name, now);
        let to_hooks = hooks.into_iter().map(|hook| (Channel::Webhook, hook.id.to_string()));
        let to_hooks = webhooks::deliveries(who, TEST, vec![body], to_hooks, now);
        let material = Material::plain(&self.notices, &customer, Sort::Test);
        let to_people = self.written(who, material, TEST, now).await?;
        let count = to_hooks.1.len() + to_people.as_ref().map_or(0, |(_, deliveries)| deliveries.len());
        self.store
            .write(move |tx| {
                webhooks::put(tx, &to_hooks)?;
                to_people.iter().try_for_each(|written| webhooks::put(tx, written))
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// What an incident has that is to be told.
const fn needed(row: &IncidentRow) -> Told {
    if row.closed.is_some() { Told::End } else { Told::Beginning }
}

fn told_of(row: &IncidentRow, who: CustomerId) -> Told {
    if who == CustomerId::SITE { row.told_site } else { row.told }
}

/// When the newest entry about an incident was written, to the millisecond: its id begins with that.
fn written_at(row: &IncidentRow) -> UnixTime {
    let id: EntryId = row.closed_entry.unwrap_or(row.opened_entry);
    let [a, b, c, d, e, f, ..] = id.to_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    UnixTime::from_nanos(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// Who is due, and the incidents of the centre's own that every customer is to be told of.
fn audiences(
    snapshot: &Snapshot<'_>,
    centre: CentreId,
    now: UnixTime,
    rhythm: Rhythm,
) -> Result<(Vec<Audience>, Vec<IncidentRow>), StoreError> {
    if snapshot.log_holder()? != Some(centre) {
        return Ok((Vec::new(), Vec::new()));
    }
    let rows = snapshot.unsettled_incidents()?;
    let mut news: BTreeMap<CustomerId, (bool, bool)> = BTreeMap::new();
    for row in &rows {
        let mut note = |who, told| {
            let (is_new, lasts) = news.entry(who).or_default();
            *is_new |= told != needed(row);
            *lasts |= row.closed.is_none();
        };
        note(CustomerId::SITE, row.told_site);
        // What the centre's own incident is to each customer is looked at below.
        if row.customer != CustomerId::SITE {
            note(row.customer, row.told);
        }
    }
    let own: Vec<_> = rows.into_iter().filter(|row| row.customer == CustomerId::SITE).collect();
    let untold: Vec<_> = own.iter().filter(|row| row.told != needed(row)).cloned().collect();
    let mut audiences = Vec::new();
    let everybody: BTreeSet<CustomerId> = if own.is_empty() {
        news.keys().copied().collect()
    } else {
        snapshot.customers()?.into_iter().map(|row| row.id).chain([CustomerId::SITE]).collect()
    };
    for who in everybody {
        let last = snapshot.told_at(who)?;
        let (is_new, lasts) = news.get(&who).copied().unwrap_or_default();
        // Of the centre itself everybody hears at once, and nobody twice.
        let unheard = |row: &IncidentRow| last.is_none_or(|last| last < written_at(row));
        let due = if who != CustomerId::SITE && untold.iter().any(unheard) {
            Due::News
        } else {
            rhythm.due(last, is_new, lasts || own.iter().any(|row| row.closed.is_none()), now)
        };
        if due != Due::Nothing {
            audiences.push(Audience { who, due });
        }
    }
    Ok((audiences, untold))
}

impl Material {
    /// Nothing where there is nothing to say any more.
    fn load(
        snapshot: &Snapshot<'_>,
        settings: &NoticeSettings,
        who: CustomerId,
        sort: Sort,
        now: UnixTime,
    ) -> Result<Option<Self>, StoreError> {
        let customer = if who == CustomerId::SITE { None } else { snapshot.customer(who)? };
        if who != CustomerId::SITE && customer.is_none() {
            return Ok(None);
        }
        let last = snapshot.told_at(who)?;
        let of_all = who == CustomerId::SITE;
        let rows = snapshot.unsettled_incidents()?;
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|row| of_all || row.customer == who || row.customer == CustomerId::SITE)
            .collect();
        let mut looker = Looker { snapshot, settings, of_all, customers: BTreeMap::new() };
        let mut lists: [Vec<Item>; 3] = Default::default();
        let [began, ended, lasting] = &mut lists;
        let mut pictured: Option<(AgentId, UnixTime)> = None;
        for row in &rows {
            // What a customer heard of the centre's own is known by when it last heard anything.
            let told = if !of_all && row.customer == CustomerId::SITE {
                let heard = last.is_some_and(|last| last >= written_at(row));
                if heard { needed(row) } else { Told::Nothing }
            } else {
                told_of(row, who)
            };
            let list = match (told, needed(row)) {
                (Told::Nothing, Told::Beginning) => &mut *began,
                (Told::Nothing | Told::Beginning, Told::End) => &mut *ended,
                (_, Told::Beginning) => &mut *lasting,
                (Told::End, _) | (_, Told::Nothing) => continue,
            };
            let Some(trouble) = Trouble::from_word(&row.kind) else { continue };
            if pictured.is_none() && !matches!(trouble, Trouble::Silent | Trouble::Centre) {
                pictured = row.agent.map(|agent| (agent, row.opened));
            }
            let is_listed = list.len() < LOOKED_UP;
            list.push(looker.item(row, trouble, is_listed)?);
        }
        let [began, ended, lasting] = lists;
        if began.is_empty() && ended.is_empty() && lasting.is_empty() {
            return Ok(None);
        }
        let mut notice = frame(settings, customer.as_ref(), sort);
        (notice.began, notice.ended, notice.lasting) = (began, ended, lasting);
        let mut points = Vec::new();
        if let Some((agent, opened)) = pictured {
            (points, notice.picture) = looker.picture(agent, opened, now)?;
        }
        let (zone, targets) = reached(settings, customer.as_ref());
        Ok(Some(Self { rows, notice, zone, targets, points }))
    }

    /// A message that tells of no incident.
    fn plain(settings: &NoticeSettings, customer: &CustomerRow, sort: Sort) -> Self {
        let (zone, targets) = reached(settings, Some(customer));
        let notice = frame(settings, Some(customer), sort);
        Self { rows: Vec::new(), notice, zone, targets, points: Vec::new() }
    }

    /// The message's parts: subject, text, HTML, and the picture in base64 or nothing.
    fn write(mut self) -> Vec<String> {
        let zone = zone(&self.zone).unwrap_or(TimeZone::UTC);
        let picture = self.notice.picture.as_ref().and_then(|picture| graph::draw(picture, &self.points));
        if picture.is_none() {
            self.notice.picture = None;
        }
        let Written { subject, text, html } = self.notice.write(&|at| local(&zone, at));
        vec![subject, text, html, picture.map_or_else(String::new, |picture| STANDARD.encode(picture))]
    }
}

/// A message without what it tells.
fn frame(settings: &NoticeSettings, customer: Option<&CustomerRow>, sort: Sort) -> Notice {
    let language =
        customer.map_or(settings.language, |customer| customer.language.parse().unwrap_or(Language::English));
    let console = &settings.console;
    Notice {
        language,
        sort,
        customer: customer.map(|customer| customer.name.clone()),
        began: Vec::new(),
        ended: Vec::new(),
        lasting: Vec::new(),
        picture: None,
        link: match (customer, sort) {
            (Some(customer), Sort::Month { .. }) => format!("{console}/customers/{}/sharing", customer.name),
            (Some(customer), _) => format!("{console}/incidents?customer={}", customer.name),
            (None, _) => format!("{console}/incidents"),
        },
        settings_link: customer.map(|customer| format!("{console}/accounts/customers/{}", customer.name)),
    }
}

/// A reader's zone and addresses.
fn reached(settings: &NoticeSettings, customer: Option<&CustomerRow>) -> (String, Vec<(Channel, String)>) {
    match customer {
        Some(customer) => {
            let contacts = customer.contacts.iter().map(|contact| (Channel::Mail, contact.clone()));
            (customer.zone.clone(), contacts.collect())
        }
        None => {
            let operators = settings.operators.iter().map(|to| (Channel::Mail, to.as_str().to_owned()));
            (settings.zone.clone(), operators.collect())
        }
    }
}

/// Looks up names and figures, each customer once.
struct Looker<'a> {
    snapshot: &'a Snapshot<'a>,
    settings: &'a NoticeSettings,
    of_all: bool,
    customers: BTreeMap<CustomerId, Option<CustomerRow>>,
}

impl Looker<'_> {
    fn customer(&mut self, id: CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        if let Some(known) = self.customers.get(&id) {
            return Ok(known.clone());
        }
        let row = self.snapshot.customer(id)?;
        self.customers.insert(id, row.clone());
        Ok(row)
    }

    fn item(&mut self, row: &IncidentRow, trouble: Trouble, is_listed: bool) -> Result<Item, StoreError> {
        let console = &self.settings.console;
        let mut item = Item {
            customer: None,
            server: None,
            incident: super::incidents::incident(row, trouble),
            figures: None,
            link: format!("{console}/incidents"),
        };
        let Some(id) = row.agent.filter(|_| is_listed) else { return Ok(item) };
        let (agent, customer) = (self.snapshot.agent(id)?, self.customer(row.customer)?);
        let (Some(agent), Some(customer)) = (agent, customer) else { return Ok(item) };
        let newest = self.snapshot.latest_exchange(id, UnixTime::MAX)?;
        item.figures = newest.filter(|_| trouble != Trouble::Silent).map(|newest| Figures {
            offset: newest.offset,
            bound: newest.bound,
            tolerance: customer.tolerance,
        });
        let server = encode(&agent.name);
        item.link = format!("{}/customers/{}?agent={server}", self.settings.console, customer.name);
        item.server = Some(agent.name);
        item.customer = self.of_all.then_some(customer.name);
        Ok(item)
    }

    fn picture(
        &mut self,
        agent: AgentId,
        opened: UnixTime,
        now: UnixTime,
    ) -> Result<(Vec<GraphPoint>, Option<Picture>), StoreError> {
        let Some(row) = self.snapshot.agent(agent)? else { return Ok((Vec::new(), None)) };
        let tolerance = self.customer(row.customer)?.map_or(Nanos::ZERO, |customer| customer.tolerance);
        let from = (opened - BEFORE).min(now - SHORTEST_PICTURE).max(now - LONGEST_PICTURE);
        let points = self.snapshot.graph(agent, from, now, graph::POINTS)?;
        let scale = graph::scale(&points, tolerance);
        Ok((points, Some(Picture { server: row.name, tolerance, scale, from, to: now })))
    }
}

/// A name as the value of a query's parameter.
fn encode(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_in_the_zone_s_own_time_with_its_name() {
        // The hour that Berlin's clocks showed twice in 2026: 00:30 and 01:30 UTC are both 02:30 there.
        let at = |text| UnixTime::parse_rfc3339(text).unwrap();
        for (name, instant, expected) in [
            ("Asia/Seoul", "2026-11-22T16:00:00Z", Some("2026-11-23 01:00:00 Asia/Seoul")),
            ("Europe/Berlin", "2026-10-25T00:30:00Z", Some("2026-10-25 02:30:00 Europe/Berlin")),
            ("Europe/Berlin", "2026-10-25T01:30:00Z", Some("2026-10-25 02:30:00 Europe/Berlin")),
            ("UTC", "2026-11-22T16:00:00Z", None),
        ] {
            assert_eq!(local(&zone(name).unwrap(), at(instant)).as_deref(), expected, "{name}");
        }
        for wrong in ["", "Asia/Atlantis", "../../etc/passwd", "Asia/Seoul\r\nBcc: x", "세울"] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }
}
