//! Reports: everything about a customer's clocks in a period, in one file that a stranger can check.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use angbu_evidence::note::VerifierKey;
use angbu_evidence::report::{Item, Package, Subject, Trust};
use angbu_evidence::{Disclosure, Entry, Kind, Part};
use angbu_store::accounts::CustomerRow;
use angbu_store::evidence::{ENTRIES_AT_ONCE, LogItem};
use angbu_store::{Published, Snapshot, StoreError};
use angbu_time::report::{self as rendering, Language};
use angbu_time::segment::{self, Segment};
use angbu_time::summary::{self, Summary};
use angbu_units::{EntryId, Nanos, UnixTime};

use super::Centre;
use crate::problem::Refusal;

/// How long a report waits for the log to take what it rests on.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a report is wanted about.
pub(crate) struct ReportWish {
    pub(crate) customer: CustomerRow,
    pub(crate) from: UnixTime,
    pub(crate) to: UnixTime,
    /// `en`, `ko` or `ja`; English without it.
    pub(crate) language: Option<String>,
}

/// A finished report.
pub(crate) struct Report {
    pub(crate) html: String,
    pub(crate) file_name: String,
}

impl Centre {
    /// Makes a report: puts what is still open into the log and, behind it, that this report was made; counts every
    /// customer's entries in a manifest; and gathers what the log then proves. A period that reaches into the future
    /// ends now.
    pub(crate) async fn make_report(&self, wish: &ReportWish) -> Result<Report, Refusal> {
        let customer = &wish.customer;
        let now = self.clock.read().wall;
        let whole_second = now - Nanos::new(now.nanos().rem_euclid(1_000_000_000));
        let to = if wish.to > now { whole_second } else { wish.to };
        if to <= wish.from {
            return Err(Refusal::Invalid("the period ends before it begins, or has not begun yet".into()));
        }
        let language = Language::from_code(wish.language.as_deref().unwrap_or("en"))
            .ok_or_else(|| Refusal::Invalid("language is en, ko or ja".into()))?;
        let rendering = rendering::rendering(language);
        let subject = Subject {
            kind: rendering::KIND.to_owned(),
            rendering,
            customer: customer.id,
            from: wish.from,
            to,
        };
        self.close_segments(true).await?;
        self.settle().await?;
        self.append_mark(&subject, language).await?;
        let published = self.published.borrow().clone().ok_or_else(late)?;
        // Of a period that is long settled, what came after it is not needed.
        let settled = subject.clone();
        let counted = self.store.read(move |snapshot| settled_manifest(snapshot, &settled, now)).await?;
        if let Some(counted) = counted
            && let Ok(html) = self.made(subject.clone(), counted, &published).await
        {
            return Ok(Report { html, file_name: file_name(&customer.name, wish.from, to) });
        }
        let manifest = self.append_manifest().await?;
        let manifested = self.store.wait(manifest, PATIENCE).await?.ok_or_else(late)?;
        let published = self.published.borrow().clone().ok_or_else(late)?;
        let html = self.made(subject, (manifest, manifested.index), &published).await?;
        Ok(Report { html, file_name: file_name(&customer.name, wish.from, to) })
    }

    /// The report of what a manifest counts, under a published head.
    async fn made(
        &self,
        subject: Subject,
        counted: (EntryId, u64),
        published: &Arc<Published>,
    ) -> Result<String, Refusal> {
        let witnessed = self.witnessed(published).await?;
        let trust = Trust { log: self.log_keys(), witnesses: witnessed.witnesses };
        let keys = [&trust.log[..], &trust.witnesses].concat();
        let gathered = move |snapshot: &Snapshot<'_>| {
            gather(snapshot, subject, counted, (&witnessed.published.checkpoint, &keys))
        };
        let package = self.store.read(gathered).await?;
        render(&package, &trust)
    }

    /// Appends that this report is made, and waits until the log holds it: the one entry of the customer that is
    /// surely not older than the period's end, and that the manifest after it counts.
    async fn append_mark(&self, subject: &Subject, language: Language) -> Result<(), Refusal> {
        let instant = self.instant();
        let (customer, from, to) = (subject.customer, subject.from.nanos(), subject.to.nanos());
        let fields = [
            ("kind", subject.kind.clone()),
            ("from", from.to_string()),
            ("to", to.to_string()),
            ("language", language.code().to_owned()),
        ];
        let write = move |tx: &mut angbu_store::Tx<'_>| {
            super::append_text(tx, Kind::REPORT, customer, instant, fields)
        };
        let mark = self.store.write(write).await?;
        self.store.wait(mark, PATIENCE).await?.ok_or_else(late)?;
        Ok(())
    }

    async fn settle(&self) -> Result<(), Refusal> {
        if self.store.settle(PATIENCE).await? { Ok(()) } else { Err(late()) }
    }
}

/// Proves the package as a stranger would before anybody gets it.
fn render(package: &Package, trust: &Trust) -> Result<String, Refusal> {
    let proven = package
        .prove(trust)
        .map_err(|refusal| Refusal::Internal(format!("the new report does not verify: {refusal}")))?;
    rendering::render(&proven, &package.encode()).map_err(|error| Refusal::Report(error.to_string()))
}

fn late() -> Refusal {
    Refusal::Unavailable { seconds: 1, reason: "the log did not take the newest entries in time".into() }
}

/// Everything that the report rests on: the customer's entries from the last one before the period on, what they name,
/// the manifest, and the clock states.
fn gather(
    snapshot: &Snapshot<'_>,
    subject: Subject,
    (manifest, manifest_index): (EntryId, u64),
    signed: (&str, &[VerifierKey]),
) -> Result<Package, Refusal> {
    let counts = snapshot
        .manifest(manifest)?
        .ok_or_else(|| Refusal::Internal("the manifest that was just made is not there".into()))?;
    let counter = counts
        .counter(&subject.customer)
        .ok_or_else(|| Refusal::Report("this customer has no entries yet; enrol an agent first".into()))?;
    let since = snapshot.first_number_since(subject.customer, subject.from)?.unwrap_or(counter.count);
    let first = since.saturating_sub(1).clamp(1, counter.count);
    if counter.count - first >= ENTRIES_AT_ONCE {
        return Err(Refusal::Report(format!(
            "the period needs more than {ENTRIES_AT_ONCE} entries; choose a shorter or a later one"
        )));
    }
    let mut gathered = Gathered {
        snapshot,
        items: Vec::new(),
        indexes: BTreeSet::new(),
        wanted: Vec::new(),
        manifest: manifest_index,
    };
    for item in snapshot.entries_of(subject.customer, first, counter.count - first + 1)? {
        gathered.add(item)?;
    }
    for settings in snapshot.customer_settings(subject.customer)? {
        gathered.wanted.extend(snapshot.entry_index(settings.settings_entry)?);
    }
    // Every agent of the customer is named, so that one of which nothing is shown is not taken for none.
    for agent in snapshot.agents_of(subject.customer)? {
        gathered.wanted.extend(snapshot.entry_index(agent.enrolment)?);
    }
    gathered.add_at(manifest_index)?;
    gathered.add_wanted()?;
    let items = gathered.items;
    Package::assemble(&snapshot.nodes(), signed, subject, (manifest_index, &counts), items)
        .map_err(|error| Refusal::Internal(format!("the report cannot be put together: {error}")))
}

/// How long after its end all that can be told of a period is told, and summarised.
const SETTLED: Nanos = Nanos::from_secs(40 * 86_400);

/// The first hourly manifest behind a period that is long over, if all that is known of it is summarised and counted there; with
/// its log index.
fn settled_manifest(
    snapshot: &Snapshot<'_>,
    subject: &Subject,
    now: UnixTime,
) -> Result<Option<(EntryId, u64)>, StoreError> {
    if now - subject.to < SETTLED {
        return Ok(None);
    }
    let mut newest = None;
    for agent in snapshot.agents_of(subject.customer)? {
        let rows = snapshot.summaries(agent.id, subject.from, subject.to)?;
        let since = rows.last().map_or(subject.from, |last| last.to);
        let behind = snapshot.first_closed_exchange(agent.id, since)?;
        if since < subject.to && behind.is_some_and(|at| at < subject.to) {
            return Ok(None);
        }
        for row in rows {
            let Some(index) = snapshot.entry_index(row.entry)? else { return Ok(None) };
            newest = newest.max(Some(index));
        }
    }
    let Some(newest) = newest else { return Ok(None) };
    let Some(id) = snapshot.manifest_behind(newest, subject.to)? else { return Ok(None) };
    Ok(snapshot.entry_index(id)?.map(|index| (id, index)))
}

struct Gathered<'a> {
    snapshot: &'a Snapshot<'a>,
    items: Vec<Item>,
    indexes: BTreeSet<u64>,
    /// Entries that others name and that are not here yet.
    wanted: Vec<u64>,
    /// Where the manifest stands.
    manifest: u64,
}

impl Gathered<'_> {
    fn add(&mut self, item: LogItem) -> Result<(), Refusal> {
        if !self.indexes.insert(item.index) {
            return Ok(());
        }
        let corrupt = |what: String| Refusal::Internal(format!("entry {}: {what}", item.index));
        let entry = Entry::decode(&item.entry).map_err(|error| corrupt(error.to_string()))?;
        let body = self.snapshot.body_or_root(entry.id, entry.body_root)?;
        let body = body.ok_or_else(|| corrupt("its fields are missing".into()))?;
        let fields = body.disclose(|field| rendering::shows(&entry.kind, field));
        if body.parts().iter().any(|part| matches!(part, Part::Hidden(_))) {
            self.want_erasures(&entry)?;
        }
        self.wanted.extend(entry.clock_state);
        for id in self.named(&entry.kind, &fields)? {
            self.wanted.extend(self.snapshot.entry_index(id)?);
        }
        let text = String::from_utf8(item.entry).map_err(|error| corrupt(error.to_string()))?;
        self.items.push(Item { index: item.index, entry: text, fields });
        Ok(())
    }

    /// Where something that would be shown was erased, the entry that says so is shown.
    fn want_erasures(&mut self, entry: &Entry) -> Result<(), Refusal> {
        for erasure in self.snapshot.erasures_of(entry.id)? {
            if !rendering::shows(&entry.kind, &erasure.field) {
                continue;
            }
            // The manifest counts what was in the log before it.
            let index = self.snapshot.entry_index(erasure.by)?.filter(|index| *index < self.manifest);
            self.wanted.push(index.ok_or_else(|| Refusal::Unavailable {
                seconds: 1,
                reason: "something that the report shows was erased while it was made".into(),
            })?);
        }
        Ok(())
    }

    fn add_at(&mut self, index: u64) -> Result<(), Refusal> {
        let entry = self
            .snapshot
            .entry(index)?
            .ok_or_else(|| Refusal::Internal(format!("entry {index} is missing from the log")))?;
        self.add(LogItem { index, entry })
    }

    fn add_wanted(&mut self) -> Result<(), Refusal> {
        while let Some(index) = self.wanted.pop() {
            self.add_at(index)?;
        }
        Ok(())
    }

    /// The entries that an entry names: who an agent is, which tolerance held, what the centre's clock was worth.
    fn named(&self, kind: &Kind, fields: &Disclosure) -> Result<Vec<EntryId>, StoreError> {
        if *kind == segment::KIND {
            // What does not read is told by the rendering, which needs it.
            let Ok(segment) = Segment::read(|name| fields.get(name)) else { return Ok(Vec::new()) };
            let states: BTreeSet<EntryId> =
                segment.exchanges.iter().filter_map(|exchange| exchange.clock_state).collect();
            return Ok([segment.enrolment, segment.settings].into_iter().chain(states).collect());
        }
        if *kind == summary::KIND {
            let Ok(summary) = Summary::read(|name| fields.get(name)) else { return Ok(Vec::new()) };
            let states = summary.clock_states.into_keys();
            return Ok([summary.enrolment, summary.settings].into_iter().chain(states).collect());
        }
        let agent = fields.text("agent").and_then(|id| id.parse().ok());
        let agent = agent.map(|id| self.snapshot.agent(id)).transpose()?.flatten();
        Ok(agent.map(|agent| agent.enrolment).into_iter().collect())
    }
}

/// What a report's file is called.
pub(super) fn file_name(customer: &str, from: UnixTime, to: UnixTime) -> String {
    let day = |time: UnixTime| time.rfc3339(0).replace([':', '-'], "");
    format!("angbu-time-{customer}-{}-{}.html", day(from), day(to))
}
