//! The chain from a laboratory to this site's clocks: calibrations with their certificates, the centres' runs, the states of
//! their clocks, and what they saw of their sources over time.
//!
//! Certificates stand sealed. The rest names no person and is read by every customer.

use angbu_units::{CentreId, ClockVerdict, EntryId, Nanos, UnixTime};
use zeroize::Zeroizing;

use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// The table of certificates, as sealed values name it.
const FILES: &str = "time_calibration_files";

/// The most calibrations, runs and states that one question is answered with.
const MOST: u64 = 10_000;

/// The most points of one source's graph.
const POINTS_AT_ONCE: u64 = 10_000;

/// What a laboratory found of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalibrationRow {
    /// The `clock.calibration` entry.
    pub entry: EntryId,
    /// When it was recorded.
    pub recorded: UnixTime,
    /// What was calibrated.
    pub subject: String,
    /// Who did it.
    pub laboratory: String,
    /// The certificate's number.
    pub certificate: String,
    /// When it was measured.
    pub measured: UnixTime,
    /// What the reference was ahead of UTC.
    pub offset: Nanos,
    /// The expanded uncertainty of that.
    pub uncertainty: Nanos,
    /// The coverage factor, in thousandths.
    pub coverage: u16,
    /// Until when it is valid.
    pub valid_until: UnixTime,
    /// SHA-256 of the certificate's file, if one is kept.
    pub file_hash: Option<[u8; 32]>,
    /// The entry that withdraws it, if one does.
    pub withdrawn: Option<EntryId>,
}

/// One run of a centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Which centre's.
    pub centre: CentreId,
    /// Its number among the centre's runs, from 1.
    pub run: u64,
    /// The program's version.
    pub version: String,
    /// When it began.
    pub started: UnixTime,
    /// When it was last known to go on.
    pub seen: UnixTime,
    /// When it ended in good order; empty while it goes on, and where it crashed.
    pub stopped: Option<UnixTime>,
}

/// A state of a centre's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// Which centre's.
    pub centre: CentreId,
    /// From when on.
    pub since: UnixTime,
    /// The `clock.state` entry.
    pub entry: EntryId,
    /// What could be said.
    pub verdict: ClockVerdict,
    /// Why, as a stable word.
    pub reason: String,
    /// What the clock was measured against.
    pub source: String,
    /// The reference id of NTP replies.
    pub reference_id: [u8; 4],
    /// The stratum of NTP replies.
    pub stratum: u16,
    /// Within which bound.
    pub bound: Nanos,
}

/// What a centre saw of one of its sources within some minutes, or, gathered from those, within a step of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Which centre.
    pub centre: CentreId,
    /// Which source, as configured; empty for the centre's own clock.
    pub source: String,
    /// When those minutes ended.
    pub at: UnixTime,
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered; nothing below means anything where it never did.
    pub answered: u64,
    /// The smallest offset.
    pub offset_min: Nanos,
    /// The largest offset.
    pub offset_max: Nanos,
    /// The largest bound.
    pub bound_max: Nanos,
    /// The largest stratum.
    pub stratum: u16,
}

macro_rules! calibration_sql {
    ($rest:literal) => {
        concat!(
            "SELECT entry_id, recorded, subject, laboratory, certificate, measured, offset_ns, uncertainty_ns, coverage, \
             valid_until, file_hash, withdrawn FROM time_calibrations ",
            $rest
        )
    };
}

macro_rules! state_sql {
    ($rest:literal) => {
        concat!(
            "SELECT centre_id, since, entry_id, verdict, reason, source, reference_id, stratum, bound_ns FROM time_clock_states ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// Every calibration, withdrawn ones too, the newest measurement first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn calibrations(&self) -> Result<Vec<CalibrationRow>, StoreError> {
        self.sql.all(
            calibration_sql!("ORDER BY measured DESC, entry_id DESC LIMIT ?1"),
            values![MOST],
            calibration,
        )
    }

    /// The calibration of this entry.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn calibration(&self, entry: EntryId) -> Result<Option<CalibrationRow>, StoreError> {
        self.sql.first(calibration_sql!("WHERE entry_id = ?1"), values![entry], calibration)
    }

    /// The certificate's file of a calibration.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn calibration_file(&self, entry: EntryId) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let sealed = self.sql.first(
            "SELECT sealed FROM time_calibration_files WHERE entry_id = ?1",
            values![entry],
            |row| column::<Vec<u8>>(row, 0),
        )?;
        sealed.map(|sealed| self.open_sealed(FILES, &entry.to_bytes(), &sealed)).transpose()
    }

    /// The runs that touch the time from `from` to `to`, by centre and number: the newest 10,000 where there are more.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn runs(&self, from: UnixTime, to: UnixTime) -> Result<Vec<RunRow>, StoreError> {
        let mut rows = self.sql.all(
            "SELECT centre_id, run, version, started, seen, stopped FROM time_runs
             WHERE started < ?2 AND COALESCE(stopped, seen) >= ?1 ORDER BY started DESC LIMIT ?3",
            values![from, to, MOST],
            run,
        )?;
        rows.sort_by_key(|row| (row.centre, row.run));
        Ok(rows)
    }

    /// The states of a centre's clock that held at some time from `from` to `to`, in their order, 10,000 at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn clock_states(
        &self,
        centre: CentreId,
        from: UnixTime,
        to: UnixTime,
    ) -> Result<Vec<StateRow>, StoreError> {
        let before = self.sql.first(
            state_sql!("WHERE centre_id = ?1 AND since < ?2 ORDER BY since DESC, entry_id DESC LIMIT 1"),
            values![centre, from],
            state,
        )?;
        let mut found: Vec<_> = before.into_iter().collect();
        found.extend(self.sql.all(
            state_sql!(
                "WHERE centre_id = ?1 AND since >= ?2 AND since < ?3 ORDER BY since, entry_id LIMIT ?4"
            ),
            values![centre, from, to, MOST],
            state,
        )?);
        Ok(found)
    }

    /// What a centre saw of each of its sources from `from` to `to`, gathered into `points` equal steps, by source and time.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] for more points than one graph has.
    pub fn sources(
        &self,
        centre: CentreId,
        from: UnixTime,
        to: UnixTime,
        points: u64,
    ) -> Result<Vec<SourceRow>, StoreError> {
        if points > POINTS_AT_ONCE {
            return Err(StoreError::TooMuch { what: "a graph of so many points", limit: POINTS_AT_ONCE });
        }
        let points = i64::try_from(points.max(1)).unwrap_or(i64::MAX);
        let step = ((to - from).count().max(0) / points).max(1);
        self.sql.all(
            "SELECT source, MAX(at), CAST(SUM(asked) AS BIGINT), CAST(SUM(answered) AS BIGINT),
                 MIN(CASE WHEN answered > 0 THEN offset_min END), MAX(CASE WHEN answered > 0 THEN offset_max END),
                 MAX(CASE WHEN answered > 0 THEN bound_max END), MAX(CASE WHEN answered > 0 THEN stratum END)
             FROM time_sources WHERE centre_id = ?1 AND at >= ?2 AND at < ?3
             GROUP BY source, (at - ?2) / ?4 ORDER BY source, MAX(at)",
            values![centre, from, to, step],
            |row| {
                Ok(SourceRow {
                    centre,
                    source: column(row, 0)?,
                    at: column(row, 1)?,
                    asked: column(row, 2)?,
                    answered: column(row, 3)?,
                    offset_min: optional(row, 4)?.unwrap_or_default(),
                    offset_max: optional(row, 5)?.unwrap_or_default(),
                    bound_max: optional(row, 6)?.unwrap_or_default(),
                    stratum: optional(row, 7)?.unwrap_or_default(),
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Records a calibration, with its certificate's file if there is one.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn insert_calibration(
        &mut self,
        calibration: &CalibrationRow,
        file: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_calibrations (entry_id, recorded, subject, laboratory, certificate, measured, offset_ns,
                 uncertainty_ns, coverage, valid_until, file_hash, withdrawn)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            values![
                calibration.entry,
                calibration.recorded,
                calibration.subject,
                calibration.laboratory,
                calibration.certificate,
                calibration.measured,
                calibration.offset,
                calibration.uncertainty,
                calibration.coverage,
                calibration.valid_until,
                calibration.file_hash,
                calibration.withdrawn
            ],
        )?;
        if let Some(file) = file {
            let sealed = self.seal(Purpose::Bodies, FILES, &calibration.entry.to_bytes(), file)?;
            self.sql.execute(
                "INSERT INTO time_calibration_files (entry_id, sealed) VALUES (?1, ?2)",
                values![calibration.entry, sealed],
            )?;
        }
        Ok(())
    }

    /// Withdraws a calibration by the entry that says so.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it was withdrawn meanwhile.
    pub fn withdraw_calibration(&mut self, entry: EntryId, by: EntryId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE time_calibrations SET withdrawn = ?2 WHERE entry_id = ?1 AND withdrawn IS NULL",
            values![entry, by],
            StoreError::Conflict { what: "the calibration" },
        )
    }

    /// A run begins.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn insert_run(&mut self, run: &RunRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_runs (centre_id, run, version, started, seen, stopped) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![run.centre, run.run, run.version, run.started, run.seen, run.stopped],
        )?;
        Ok(())
    }

    /// A run still goes on.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn run_goes_on(&mut self, centre: CentreId, run: u64, now: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE time_runs SET seen = ?3 WHERE centre_id = ?1 AND run = ?2 AND stopped IS NULL",
            values![centre, run, now],
        )?;
        Ok(())
    }

    /// A run ends in good order.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn run_stopped(&mut self, centre: CentreId, run: u64, now: UnixTime) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE time_runs SET seen = ?3, stopped = ?3 WHERE centre_id = ?1 AND run = ?2",
            values![centre, run, now],
        )?;
        Ok(())
    }

    /// Notes a state of a centre's clock, whose entry is appended in the same transaction.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn insert_clock_state(&mut self, state: &StateRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_clock_states (centre_id, since, entry_id, verdict, reason, source, reference_id, stratum, bound_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            values![
                state.centre,
                state.since,
                state.entry,
                number(state.verdict),
                state.reason,
                state.source,
                state.reference_id,
                state.stratum,
                state.bound
            ],
        )?;
        Ok(())
    }

    /// Notes what was seen of sources within some minutes.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn insert_sources(&mut self, rows: &[SourceRow]) -> Result<(), StoreError> {
        for row in rows {
            // A clock that was set back shows an instant twice: what was seen first stays.
            self.sql.execute(
                "INSERT INTO time_sources
                     (centre_id, source, at, asked, answered, offset_min, offset_max, bound_max, stratum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
                values![
                    row.centre,
                    row.source,
                    row.at,
                    row.asked,
                    row.answered,
                    row.offset_min,
                    row.offset_max,
                    row.bound_max,
                    row.stratum
                ],
            )?;
        }
        Ok(())
    }

    /// Forgets what was seen of sources before an instant, and says how many rows.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_sources(&mut self, before: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute("DELETE FROM time_sources WHERE at < ?1", values![before])
    }
}

fn calibration(row: &dyn Row) -> Result<CalibrationRow, StoreError> {
    Ok(CalibrationRow {
        entry: column(row, 0)?,
        recorded: column(row, 1)?,
        subject: column(row, 2)?,
        laboratory: column(row, 3)?,
        certificate: column(row, 4)?,
        measured: column(row, 5)?,
        offset: column(row, 6)?,
        uncertainty: column(row, 7)?,
        coverage: column(row, 8)?,
        valid_until: column(row, 9)?,
        file_hash: optional(row, 10)?,
        withdrawn: optional(row, 11)?,
    })
}

fn run(row: &dyn Row) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        centre: column(row, 0)?,
        run: column(row, 1)?,
        version: column(row, 2)?,
        started: column(row, 3)?,
        seen: column(row, 4)?,
        stopped: optional(row, 5)?,
    })
}

fn state(row: &dyn Row) -> Result<StateRow, StoreError> {
    Ok(StateRow {
        centre: column(row, 0)?,
        since: column(row, 1)?,
        entry: column(row, 2)?,
        verdict: verdict(column(row, 3)?)?,
        reason: column(row, 4)?,
        source: column(row, 5)?,
        reference_id: column(row, 6)?,
        stratum: column(row, 7)?,
        bound: column(row, 8)?,
    })
}

const fn number(verdict: ClockVerdict) -> i64 {
    match verdict {
        ClockVerdict::Unproven => 0,
        ClockVerdict::Declared => 1,
        ClockVerdict::Proven => 2,
    }
}

fn verdict(number: i64) -> Result<ClockVerdict, StoreError> {
    match number {
        0 => Ok(ClockVerdict::Unproven),
        1 => Ok(ClockVerdict::Declared),
        2 => Ok(ClockVerdict::Proven),
        _ => Err(StoreError::corrupt(format!("{number} is no verdict on a clock"))),
    }
}
