//! The chain from a laboratory to this site's clocks: calibrations, the centres' runs, and their clocks over time.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use angbu_evidence::Kind;
use angbu_store::operations::{CalibrationRow, RunRow, SourceRow, StateRow};
use angbu_store::{Snapshot, StoreError};
use angbu_time::calibration::{self, CalibrationError, Coverage, Phrase};
use angbu_time::centre_clock::{State, reference};
use angbu_time::uptime::{self, Run, Stated};
use angbu_units::{CentreId, ClockVerdict, CustomerId, EntryId, Nanos, UnixTime};

use super::{Centre, append, append_text};
use crate::problem::Refusal;
use crate::types::operations::{
    Calibration, CalibrationStanding, CentreOperations, CentreRun, ClockState, ClockStretch, ClockTotals,
    Operations, RunEnd, SourceOverTime, SourcePoint,
};
use crate::types::{instant, millis};

/// The longest period that is shown at once.
const LONGEST: Nanos = Nanos::from_secs(370 * 86_400);
/// How long what was seen of sources is kept.
const KEPT: Nanos = Nanos::from_secs(400 * 86_400);
/// How long a run may be silent before it is taken for ended: it says that it goes on once a minute.
const SILENT: Nanos = Nanos::from_secs(180);
/// How many states and runs of a centre are listed.
const LISTED: usize = 500;
/// A centre's end in good order.
const SITE_STOP: Kind = Kind::constant("site.stop");

/// What an operator read in a certificate.
pub(crate) struct CalibrationWish {
    pub(crate) subject: String,
    pub(crate) laboratory: String,
    pub(crate) certificate: String,
    pub(crate) measured: UnixTime,
    pub(crate) offset: Nanos,
    pub(crate) uncertainty: Nanos,
    pub(crate) coverage: String,
    pub(crate) valid_until: UnixTime,
    pub(crate) file: Option<Vec<u8>>,
}

/// What a centre saw of one of its sources since this was last asked: the sums of some minutes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which source, as configured; empty for the centre's own clock.
    pub source: String,
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered.
    pub answered: u64,
    /// The smallest offset.
    pub offset_min: Nanos,
    /// The largest offset.
    pub offset_max: Nanos,
    /// The largest bound.
    pub bound_max: Nanos,
    /// The largest stratum.
    pub stratum: u8,
}

impl CalibrationWish {
    fn read(&self, now: UnixTime) -> Result<calibration::Calibration, CalibrationError> {
        if let Some(file) = &self.file {
            calibration::check_file(file)?;
        }
        calibration::Calibration {
            subject: Phrase::new("what was calibrated", &self.subject)?,
            laboratory: Phrase::new("the laboratory", &self.laboratory)?,
            certificate: Phrase::new("the certificate's number", &self.certificate)?,
            measured: self.measured,
            offset: self.offset,
            uncertainty: self.uncertainty,
            coverage: self.coverage.parse()?,
            valid_until: self.valid_until,
            file: self.file.as_ref().map(|file| Sha256::digest(file).into()),
        }
        .check(now)
    }
}

impl Centre {
    /// Every calibration, the newest measurement first.
    pub(crate) async fn calibrations(&self) -> Result<Vec<Calibration>, Refusal> {
        let now = self.clock.read().wall;
        let rows = self.store.read(|snapshot| snapshot.calibrations()).await?;
        Ok(rows.iter().map(|row| show(row, now)).collect())
    }

    /// Records what a laboratory found, with its certificate.
    pub(crate) async fn record_calibration(
        &self,
        wish: CalibrationWish,
        by: String,
    ) -> Result<EntryId, Refusal> {
        let now = self.instant();
        let found = wish.read(now.time)?;
        let entry = self
            .store
            .write(move |tx| {
                let mut fields = found.fields();
                fields.push(("by", by.clone().into_bytes()));
                let entry = append(tx, calibration::KIND, CustomerId::SITE, now, fields)?;
                tx.insert_calibration(&row(&found, entry, now.time), wish.file.as_deref())?;
                Ok::<_, StoreError>(entry)
            })
            .await?;
        Ok(entry)
    }

    /// Withdraws a calibration that was recorded wrongly. It stays in the log, and so does its certificate.
    pub(crate) async fn withdraw_calibration(
        &self,
        id: EntryId,
        reason: &str,
        by: String,
    ) -> Result<EntryId, Refusal> {
        let reason = Phrase::new("the reason", reason)?;
        let row = self.calibration_row(id).await?;
        if row.withdrawn.is_some() {
            return Err(Refusal::UnderWay("this calibration is withdrawn already".into()));
        }
        let now = self.instant();
        let entry = self
            .store
            .write(move |tx| {
                let fields = [
                    ("calibration", id.to_string()),
                    ("reason", reason.as_str().to_owned()),
                    ("by", by.clone()),
                ];
                let entry = append_text(tx, calibration::WITHDRAWN, CustomerId::SITE, now, fields)?;
                tx.withdraw_calibration(id, entry)?;
                Ok::<_, StoreError>(entry)
            })
            .await?;
        Ok(entry)
    }

    /// The certificate's file of a calibration, and a name for it.
    pub(crate) async fn calibration_file(&self, id: EntryId) -> Result<(String, Vec<u8>), Refusal> {
        let row = self.calibration_row(id).await?;
        let file = self.store.read(move |snapshot| snapshot.calibration_file(id)).await?;
        let file = file.ok_or_else(|| Refusal::unknown("certificate of", &id.to_string()))?;
        if row.file_hash.is_some_and(|hash| hash != <[u8; 32]>::from(Sha256::digest(&*file))) {
            return Err(Refusal::Internal(format!(
                "the certificate of {id} is not the one that was recorded"
            )));
        }
        Ok((format!("calibration-{id}.pdf"), file.to_vec()))
    }

    async fn calibration_row(&self, id: EntryId) -> Result<CalibrationRow, Refusal> {
        let row = self.store.read(move |snapshot| snapshot.calibration(id)).await?;
        row.ok_or_else(|| Refusal::unknown("calibration", &id.to_string()))
    }

    /// Until when the calibration holds that ends last; none where there is none.
    pub(crate) async fn calibrated_until(&self) -> Result<Option<UnixTime>, StoreError> {
        let rows = self.store.read(|snapshot| snapshot.calibrations()).await?;
        Ok(rows.iter().filter(|row| row.withdrawn.is_none()).map(|row| row.valid_until).max())
    }

    /// How the centres ran in a period, and what their clocks rested on.
    pub(crate) async fn operations(
        &self,
        from: UnixTime,
        to: UnixTime,
        points: u32,
    ) -> Result<Operations, Refusal> {
        if to <= from || to - from > LONGEST {
            return Err(Refusal::Invalid(
                "the period ends after it begins and is no longer than a year".into(),
            ));
        }
        let (now, here) = (self.clock.read().wall, self.site.centre);
        // Nothing can be said of what has not come yet.
        let until = to.min(now).max(from);
        let centres = self
            .store
            .read(move |snapshot| {
                let runs = snapshot.runs(from, to)?;
                let centres = snapshot.centres()?;
                let mut found = Vec::with_capacity(centres.len());
                for centre in centres {
                    let seen = Observed::load(snapshot, centre.id, &runs, (from, to), u64::from(points))?;
                    found.push((centre.name, centre.id == here, seen));
                }
                Ok::<_, StoreError>(found)
            })
            .await?;
        let show =
            |(name, answers, seen): (String, bool, Observed)| seen.show(name, answers, from, until, now);
        Ok(Operations {
            from: instant(from),
            to: instant(until),
            centres: centres.into_iter().map(show).collect(),
        })
    }

    /// Says that this run goes on.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn goes_on(&self) -> Result<(), StoreError> {
        let (centre, run, now) = (self.site.centre, self.site.run, self.clock.read().wall);
        self.store.write(move |tx| tx.run_goes_on(centre, run, now)).await
    }

    /// Puts the end of this run on record.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn record_stop(&self) -> Result<(), StoreError> {
        let (centre, run, now) = (self.site.centre, self.site.run, self.instant());
        self.store
            .write(move |tx| {
                let fields = [("centre", centre.to_string())];
                append_text(tx, SITE_STOP, CustomerId::SITE, now, fields)?;
                tx.run_stopped(centre, run, now.time)
            })
            .await
    }

    /// Writes down what was seen of the sources since the last time, and forgets what is too old.
    ///
    /// # Errors
    /// Where the database does not take it; what was seen is lost then.
    pub async fn note_sources(&self) -> Result<(), StoreError> {
        let (centre, at) = (self.site.centre, self.clock.read().wall);
        let row = |seen: Seen| SourceRow {
            centre,
            source: seen.source,
            at,
            asked: seen.asked,
            answered: seen.answered,
            offset_min: seen.offset_min,
            offset_max: seen.offset_max,
            bound_max: seen.bound_max,
            stratum: u16::from(seen.stratum),
        };
        let rows: Vec<_> = self.time_service.seen().into_iter().map(row).collect();
        self.store
            .write(move |tx| {
                tx.insert_sources(&rows)?;
                tx.forget_sources(at - KEPT)
            })
            .await
            .map(drop)
    }
}

/// A clock's state as it stands beside its entry.
pub fn clock_state_row(state: &State, centre: CentreId, entry: EntryId, since: UnixTime) -> StateRow {
    StateRow {
        centre,
        since,
        entry,
        verdict: state.verdict,
        reason: state.reason.code().to_owned(),
        source: state.source.clone(),
        reference_id: state.server.reference_id,
        stratum: u16::from(state.server.stratum),
        bound: state.error_bound,
    }
}

/// What is known of one centre in a period.
struct Observed {
    runs: Vec<RunRow>,
    states: Vec<StateRow>,
    sources: Vec<SourceRow>,
}

impl Observed {
    fn load(
        snapshot: &Snapshot<'_>,
        centre: CentreId,
        runs: &[RunRow],
        (from, to): (UnixTime, UnixTime),
        points: u64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            runs: runs.iter().filter(|run| run.centre == centre).cloned().collect(),
            states: snapshot.clock_states(centre, from, to)?,
            sources: snapshot.sources(centre, from, to, points)?,
        })
    }

    fn show(
        self,
        name: String,
        answers: bool,
        from: UnixTime,
        to: UnixTime,
        now: UnixTime,
    ) -> CentreOperations {
        let newest = self.runs.last().map(|run| run.run);
        let ends: Vec<_> =
            self.runs.iter().map(|run| end(run, newest == Some(run.run), answers, now)).collect();
        let runs: Vec<_> = self
            .runs
            .iter()
            .zip(&ends)
            .map(|(run, (_, ended))| Run { started: run.started, ended: *ended })
            .collect();
        let stated = |row: &StateRow| Stated { since: row.since, verdict: row.verdict, bound: row.bound };
        let states: Vec<_> = self.states.iter().map(stated).collect();
        let stretches = uptime::stretches(&runs, &states, from, to);
        let totals = uptime::totals(&stretches);
        let whole = |length: Nanos| length.count() / 1_000_000;
        CentreOperations {
            name,
            answers,
            totals: ClockTotals {
                proven_ms: whole(totals.proven),
                declared_ms: whole(totals.declared),
                unproven_ms: whole(totals.unproven),
                down_ms: whole(totals.down),
            },
            bound_ns: self.bound(),
            stretches: stretches
                .iter()
                .map(|stretch| ClockStretch {
                    from_ms: millis(stretch.from),
                    to_ms: millis(stretch.to),
                    verdict: stretch.verdict.map(Into::into),
                })
                .collect(),
            states: self.states.iter().rev().take(LISTED).map(show_state).collect(),
            runs: self
                .runs
                .iter()
                .zip(&ends)
                .rev()
                .take(LISTED)
                .map(|(run, (end, ended))| show_run(run, *end, *ended))
                .collect(),
            sources: show_sources(self.sources),
        }
    }

    /// The largest bound that was seen or stated while the clock was shown to be right.
    fn bound(&self) -> Option<i64> {
        let stated = self.states.iter().filter(|state| state.verdict != ClockVerdict::Unproven);
        let seen = self.sources.iter().filter(|row| row.source.is_empty() && row.answered > 0);
        let bounds = stated.map(|state| state.bound).chain(seen.map(|row| row.bound_max));
        bounds.max().map(Nanos::count)
    }
}

/// How a run stands, and when it ended or was last known to go on.
fn end(run: &RunRow, is_newest: bool, answers: bool, now: UnixTime) -> (RunEnd, UnixTime) {
    match run.stopped {
        Some(stopped) => (RunEnd::Stopped, stopped),
        // Who answers runs.
        None if is_newest && (answers || now - run.seen <= SILENT) => (RunEnd::Running, now.max(run.seen)),
        None => (RunEnd::Crashed, run.seen),
    }
}

fn show_run(run: &RunRow, end: RunEnd, ended: UnixTime) -> CentreRun {
    CentreRun {
        run: run.run,
        version: run.version.clone(),
        started_at: instant(run.started),
        seen_at: instant(ended),
        end,
    }
}

fn show_state(row: &StateRow) -> ClockState {
    ClockState {
        since: instant(row.since),
        verdict: row.verdict.into(),
        reason: row.reason.clone(),
        source: row.source.clone(),
        reference_id: reference(row.reference_id, u8::try_from(row.stratum).unwrap_or(u8::MAX)),
        stratum: row.stratum,
        bound_ns: row.bound.count(),
        entry_id: row.entry.to_string(),
    }
}

fn show_sources(rows: Vec<SourceRow>) -> Vec<SourceOverTime> {
    let mut by_source: BTreeMap<String, Vec<SourcePoint>> = BTreeMap::new();
    for row in rows {
        let answered = row.answered > 0;
        let figure = |length: Nanos| answered.then(|| length.count());
        by_source.entry(row.source).or_default().push(SourcePoint {
            at_ms: millis(row.at),
            asked: row.asked,
            answered: row.answered,
            offset_min_ns: figure(row.offset_min),
            offset_max_ns: figure(row.offset_max),
            bound_ns: figure(row.bound_max),
            stratum: answered.then_some(row.stratum),
        });
    }
    by_source.into_iter().map(|(source, points)| SourceOverTime { source, points }).collect()
}

fn row(found: &calibration::Calibration, entry: EntryId, recorded: UnixTime) -> CalibrationRow {
    CalibrationRow {
        entry,
        recorded,
        subject: found.subject.as_str().to_owned(),
        laboratory: found.laboratory.as_str().to_owned(),
        certificate: found.certificate.as_str().to_owned(),
        measured: found.measured,
        offset: found.offset,
        uncertainty: found.uncertainty,
        coverage: found.coverage.thousandths(),
        valid_until: found.valid_until,
        file_hash: found.file,
        withdrawn: None,
    }
}

fn show(row: &CalibrationRow, now: UnixTime) -> Calibration {
    let coverage = Coverage::from_thousandths(row.coverage);
    let standing = match row.withdrawn {
        Some(_) => CalibrationStanding::Withdrawn,
        None => match calibration::standing(row.valid_until, now) {
            calibration::Standing::Valid => CalibrationStanding::Valid,
            calibration::Standing::Ending => CalibrationStanding::Ending,
            calibration::Standing::Ended => CalibrationStanding::Ended,
        },
    };
    Calibration {
        id: row.entry.to_string(),
        recorded_at: instant(row.recorded),
        subject: row.subject.clone(),
        laboratory: row.laboratory.clone(),
        certificate: row.certificate.clone(),
        measured_at: instant(row.measured),
        offset_ns: row.offset.count(),
        uncertainty_ns: row.uncertainty.count(),
        coverage: coverage.map(|coverage| coverage.to_string()).unwrap_or_default(),
        valid_until: instant(row.valid_until),
        file_sha256: row.file_hash.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect()),
        standing,
        withdrawn_by: row.withdrawn.map(|entry| entry.to_string()),
    }
}
