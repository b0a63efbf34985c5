//! What third parties are shown: share links, and reports that are kept.

use angbu_units::{CustomerId, Month, ReportId, ShareId, UnixTime};

use crate::accounts::MOST_LISTED;
use crate::seal::Purpose;
use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// The largest report that is kept, in bytes: 32 MiB.
pub const LARGEST_REPORT: usize = 32 << 20;

/// How long a part of a report is, in bytes.
const PART: usize = 512 << 10;

const SHARES: &str = "time_share_links";
const PARTS: &str = "time_report_parts";

/// A link by which whoever has it sees one customer's period.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// Its id, which may be shown.
    pub id: ShareId,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Whose period.
    pub customer: CustomerId,
    /// The period's first instant.
    pub from: UnixTime,
    /// The first instant after it.
    pub to: UnixTime,
    /// The time zone in which the period is told.
    pub zone: String,
    /// For whom it was made; kept sealed.
    pub holder: String,
    /// The report that can be fetched by it.
    pub report: ReportId,
    /// When it was made.
    pub created: UnixTime,
    /// When it ends.
    pub expires: UnixTime,
    /// Whether it was taken back.
    pub revoked: bool,
    /// How often it was viewed.
    pub views: u64,
    /// When it was last viewed.
    pub last_view: Option<UnixTime>,
    /// How many of the views an entry has told.
    pub told_views: u64,
    /// When that entry was made.
    pub told_at: Option<UnixTime>,
}

/// A report that is kept, without its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReportRow {
    /// Its id.
    pub id: ReportId,
    /// Whose report.
    pub customer: CustomerId,
    /// The month, of a report that was made by itself.
    pub month: Option<Month>,
    /// The period's first instant.
    pub from: UnixTime,
    /// The first instant after it.
    pub to: UnixTime,
    /// The time zone in which the period is a month, or is told.
    pub zone: String,
    /// Its language.
    pub language: String,
    /// When it was made.
    pub made: UnixTime,
    /// How long its file is, in bytes; zero where there is none.
    pub size: u64,
    /// Why there is no file; empty where there is one.
    pub why: String,
}

macro_rules! share_sql {
    ($rest:literal) => {
        concat!(
            "SELECT share_id, secret_hash, customer_id, from_at, to_at, zone, holder, report_id, created, expires, revoked, \
             views, last_view, told_views, told_at FROM time_share_links ",
            $rest
        )
    };
}

macro_rules! report_sql {
    ($rest:literal) => {
        concat!(
            "SELECT report_id, customer_id, month, from_at, to_at, zone, language, made, size, why \
             FROM time_kept_reports ",
            $rest
        )
    };
}

impl Snapshot<'_> {
    /// The share link whose secret has this hash, whether or not it is still good.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn share_by_secret(&self, secret_hash: &[u8; 32]) -> Result<Option<ShareRow>, StoreError> {
        self.sql.first(share_sql!("WHERE secret_hash = ?1"), values![secret_hash], |row| self.share_row(row))
    }

    /// The share link with this id.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn share(&self, id: ShareId) -> Result<Option<ShareRow>, StoreError> {
        self.sql.first(share_sql!("WHERE share_id = ?1"), values![id], |row| self.share_row(row))
    }

    /// A customer's share links, newest first, those that ended with them; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn shares_of(&self, customer: CustomerId) -> Result<Vec<ShareRow>, StoreError> {
        self.sql.all(
            share_sql!("WHERE customer_id = ?1 ORDER BY created DESC, share_id LIMIT ?2"),
            values![customer, MOST_LISTED],
            |row| self.share_row(row),
        )
    }

    /// How many of a customer's share links are good at an instant.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn count_shares(&self, customer: CustomerId, now: UnixTime) -> Result<u64, StoreError> {
        let counted = self.sql.first(
            "SELECT COUNT(*) FROM time_share_links WHERE customer_id = ?1 AND revoked = 0 AND expires > ?2",
            values![customer, now],
            |row| column(row, 0),
        )?;
        Ok(counted.unwrap_or(0))
    }

    /// The share links with views that no entry has told, though the last such entry was made before `before`.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn shares_to_tell(&self, before: UnixTime) -> Result<Vec<ShareId>, StoreError> {
        self.sql.all(
            "SELECT share_id FROM time_share_links WHERE views > told_views AND told_at < ?1 ORDER BY share_id LIMIT ?2",
            values![before, MOST_LISTED],
            |row| column(row, 0),
        )
    }

    /// The report with this id, without its file.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn kept_report(&self, id: ReportId) -> Result<Option<KeptReportRow>, StoreError> {
        self.sql.first(report_sql!("WHERE report_id = ?1"), values![id], kept)
    }

    /// A customer's report of a month.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn monthly_report(
        &self,
        customer: CustomerId,
        month: Month,
    ) -> Result<Option<KeptReportRow>, StoreError> {
        self.sql.first(
            report_sql!("WHERE customer_id = ?1 AND month = ?2"),
            values![customer, month.number()],
            kept,
        )
    }

    /// A customer's reports that are kept, the latest period first; [`MOST_LISTED`] at most.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn kept_reports_of(&self, customer: CustomerId) -> Result<Vec<KeptReportRow>, StoreError> {
        self.sql.all(
            report_sql!("WHERE customer_id = ?1 ORDER BY to_at DESC, made DESC, report_id LIMIT ?2"),
            values![customer, MOST_LISTED],
            kept,
        )
    }

    /// The file of a report; `None` where there is none.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn report_file(&self, id: ReportId) -> Result<Option<String>, StoreError> {
        let parts = self.sql.all(
            "SELECT part_id, sealed FROM time_report_parts WHERE report_id = ?1 ORDER BY number",
            values![id],
            |row| {
                let (place, sealed) = (column::<[u8; 16]>(row, 0)?, column::<Vec<u8>>(row, 1)?);
                self.open_sealed(PARTS, &place, &sealed)
            },
        )?;
        let Some(size) = self.kept_report(id)?.map(|row| row.size).filter(|size| *size > 0) else {
            return Ok(None);
        };
        let file = parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>();
        if u64::try_from(file.len()) != Ok(size) {
            return Err(StoreError::corrupt(format!("the file of report {id} lacks a part")));
        }
        String::from_utf8(file).map(Some).map_err(|_| StoreError::corrupt(format!("report {id} is no text")))
    }

    fn share_row(&self, row: &dyn Row) -> Result<ShareRow, StoreError> {
        let id: ShareId = column(row, 0)?;
        let holder = self.open_sealed(SHARES, id.as_bytes(), &column::<Vec<u8>>(row, 6)?)?;
        let holder =
            std::str::from_utf8(&holder).map_err(|_| StoreError::corrupt("a link's holder is no text"))?;
        Ok(ShareRow {
            id,
            secret_hash: column(row, 1)?,
            customer: column(row, 2)?,
            from: column(row, 3)?,
            to: column(row, 4)?,
            zone: column(row, 5)?,
            holder: holder.to_owned(),
            report: column(row, 7)?,
            created: column(row, 8)?,
            expires: column(row, 9)?,
            revoked: column(row, 10)?,
            views: column(row, 11)?,
            last_view: optional(row, 12)?,
            told_views: column(row, 13)?,
            told_at: optional(row, 14)?,
        })
    }
}

impl Tx<'_> {
    /// Inserts a share link.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its id or secret is there already.
    pub fn insert_share(&mut self, share: &ShareRow) -> Result<(), StoreError> {
        let holder = self.seal(Purpose::Personal, SHARES, share.id.as_bytes(), share.holder.as_bytes())?;
        self.sql.execute(
            "INSERT INTO time_share_links (share_id, secret_hash, customer_id, from_at, to_at, zone, holder, report_id,
                 created, expires, revoked, views, last_view, told_views, told_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            values![
                share.id,
                share.secret_hash,
                share.customer,
                share.from,
                share.to,
                share.zone,
                holder,
                share.report,
                share.created,
                share.expires,
                share.revoked,
                share.views,
                share.last_view,
                share.told_views,
                share.told_at
            ],
        )?;
        Ok(())
    }

    /// Takes a share link back, for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such link, or it was taken back before.
    pub fn revoke_share(&mut self, id: ShareId) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE time_share_links SET revoked = 1 WHERE share_id = ?1 AND revoked = 0",
            values![id],
            StoreError::NotFound { what: "share link" },
        )
    }

    /// Counts one view.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such link, or it was taken back.
    pub fn count_share_view(&mut self, id: ShareId, now: UnixTime) -> Result<(), StoreError> {
        self.sql.execute_one(
            "UPDATE time_share_links SET views = views + 1, last_view = ?2 WHERE share_id = ?1 AND revoked = 0",
            values![id, now],
            StoreError::NotFound { what: "share link" },
        )
    }

    /// Notes that an entry, which the caller appends in the same transaction, tells all views of a link; says how many were
    /// new to it. `None` when there are none, or when such an entry was made at or after `not_since`.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn tell_share_views(
        &mut self,
        id: ShareId,
        now: UnixTime,
        not_since: UnixTime,
    ) -> Result<Option<u64>, StoreError> {
        let new = self.sql.first(
            "SELECT views - told_views FROM time_share_links
             WHERE share_id = ?1 AND views > told_views AND (told_at IS NULL OR told_at < ?2)",
            values![id, not_since],
            |row| column(row, 0),
        )?;
        if new.is_some() {
            self.sql.execute(
                "UPDATE time_share_links SET told_views = views, told_at = ?2 WHERE share_id = ?1",
                values![id, now],
            )?;
        }
        Ok(new)
    }

    /// Keeps a report with its file, whose length becomes the row's `size`.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the customer's month has its report already, [`StoreError::TooMuch`] for a file longer than
    /// [`LARGEST_REPORT`].
    pub fn keep_report(&mut self, report: &KeptReportRow, file: &str) -> Result<(), StoreError> {
        if file.len() > LARGEST_REPORT {
            let limit = u64::try_from(LARGEST_REPORT).unwrap_or(u64::MAX);
            return Err(StoreError::TooMuch { what: "a report of so many bytes", limit });
        }
        self.sql.execute(
            "INSERT INTO time_kept_reports
                 (report_id, customer_id, month, from_at, to_at, zone, language, made, size, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            values![
                report.id,
                report.customer,
                report.month.map(Month::number),
                report.from,
                report.to,
                report.zone,
                report.language,
                report.made,
                u64::try_from(file.len()).unwrap_or(u64::MAX),
                report.why
            ],
        )?;
        for (number, part) in (0_u32..).zip(file.as_bytes().chunks(PART)) {
            let place = part_id(report.id, number);
            let sealed = self.seal(Purpose::Records, PARTS, &place, part)?;
            self.sql.execute(
                "INSERT INTO time_report_parts (part_id, report_id, number, sealed) VALUES (?1, ?2, ?3, ?4)",
                values![place, report.id, i64::from(number), sealed],
            )?;
        }
        Ok(())
    }

    /// Lets the file of a report go; the row stays and says why.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn let_report_go(&mut self, id: ReportId, why: &str) -> Result<(), StoreError> {
        self.sql.execute(
            "UPDATE time_kept_reports SET size = 0, why = ?2 WHERE report_id = ?1 AND size > 0",
            values![id, why],
        )?;
        self.sql.execute("DELETE FROM time_report_parts WHERE report_id = ?1", values![id])?;
        Ok(())
    }

    /// Deletes the reports that were made before `made_before` for share links which have all ended at `now`; says how many there
    /// were. A report stands for a moment before its link does.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn purge_shared_reports(&mut self, now: UnixTime, made_before: UnixTime) -> Result<u64, StoreError> {
        let gone = self.sql.all(
            "SELECT report_id FROM time_kept_reports WHERE month IS NULL AND made < ?3 AND NOT EXISTS
                 (SELECT 1 FROM time_share_links WHERE time_share_links.report_id = time_kept_reports.report_id
                  AND revoked = 0 AND expires > ?1) LIMIT ?2",
            values![now, MOST_LISTED, made_before],
            |row| column::<ReportId>(row, 0),
        )?;
        for id in &gone {
            self.sql.execute("DELETE FROM time_report_parts WHERE report_id = ?1", values![id])?;
            self.sql.execute("DELETE FROM time_kept_reports WHERE report_id = ?1", values![id])?;
        }
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
    }
}

/// The identity of a part: its report's random id with the number in its last bytes.
fn part_id(report: ReportId, number: u32) -> [u8; 16] {
    let mut id = *report.as_bytes();
    for (byte, of_number) in id.iter_mut().skip(12).zip(number.to_be_bytes()) {
        *byte = of_number;
    }
    id
}

fn kept(row: &dyn Row) -> Result<KeptReportRow, StoreError> {
    let month: Option<i64> = optional(row, 2)?;
    let month = month.map(|number| {
        Month::from_number(number).ok_or_else(|| StoreError::corrupt(format!("{number} is no month")))
    });
    Ok(KeptReportRow {
        id: column(row, 0)?,
        customer: column(row, 1)?,
        month: month.transpose()?,
        from: column(row, 3)?,
        to: column(row, 4)?,
        zone: column(row, 5)?,
        language: column(row, 6)?,
        made: column(row, 7)?,
        size: column(row, 8)?,
        why: column(row, 9)?,
    })
}
