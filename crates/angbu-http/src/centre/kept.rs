//! Reports that are kept: a customer's months, made by themselves, and those behind share links.

use std::collections::BTreeSet;

use angbu_evidence::Kind;
use angbu_store::accounts::CustomerRow;
use angbu_store::third_parties::KeptReportRow;
use angbu_store::{StoreError, Tx};
use angbu_time::monthly;
use angbu_units::{CustomerId, Month, Nanos, ReportId, UnixTime};

use super::asked::Asked;
use super::report::{Report, ReportWish, file_name};
use super::{Centre, append_text, rng, webhooks};
use crate::attachment;
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::third_parties::{KeptReport, PeriodQuery};

/// A month was reported on.
const MONTHLY: Kind = Kind::constant("time.monthly");
/// How long after its end a month's report is told by mail.
const TOLD_WITHIN: Nanos = Nanos::from_secs(40 * 86_400);
/// How many reports one pass of the job makes: each waits for the log.
const AT_ONCE: usize = 16;
/// How many months' reports of a customer are kept with their files: three years.
const MONTHS_KEPT: usize = 36;
/// Why an older one has none.
const LET_GO: &str = "only the files of the newest 36 months are kept; the report can be made anew";

impl Centre {
    /// Makes the reports of months that are over, where this centre holds the log: so only one of a site does.
    ///
    /// # Errors
    /// Where the database does not answer; a report that cannot be made now is made later.
    pub async fn make_monthly_reports(&self) -> Result<(), StoreError> {
        if self.store.read(|snapshot| snapshot.log_holder()).await? != Some(self.site.centre) {
            return Ok(());
        }
        let now = self.clock.read().wall;
        let mut left = AT_ONCE;
        for customer in self.store.read(|snapshot| snapshot.customers()).await? {
            for month in self.due(&customer, now).await? {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                if let Err(error) = self.make_month(&customer, month).await {
                    tracing::warn!(customer = customer.name, %month, %error, "a month's report is made later");
                }
            }
        }
        Ok(())
    }

    /// The months of a customer whose reports are due.
    async fn due(&self, customer: &CustomerRow, now: UnixTime) -> Result<Vec<Month>, StoreError> {
        let id = customer.id;
        let (since, made) = self
            .store
            .read(move |snapshot| {
                // Without an agent there is nothing to report on.
                let since = snapshot.agents_of(id)?.iter().map(|agent| agent.enrolled).min();
                let made = snapshot.kept_reports_of(id)?.into_iter().filter_map(|report| report.month);
                Ok::<_, StoreError>((since, made.collect::<BTreeSet<_>>()))
            })
            .await?;
        Ok(since.map(|since| monthly::due(&self.zone_of(customer), since, now, &made)).unwrap_or_default())
    }

    /// The report of a month, made and kept if there is none yet. What can never be made is noted as such, with the reason.
    pub(crate) async fn make_month(
        &self,
        customer: &CustomerRow,
        month: Month,
    ) -> Result<KeptReportRow, Refusal> {
        let id = customer.id;
        if let Some(row) = self.store.read(move |snapshot| snapshot.monthly_report(id, month)).await? {
            return Ok(row);
        }
        let zone = self.zone_of(customer);
        let asked = PeriodQuery { month: Some(month.to_string()), ..PeriodQuery::default() };
        let asked = Asked::read(&asked, &zone, self.clock.read().wall)?;
        if asked.until < asked.to {
            return Err(Refusal::Invalid(format!(
                "{month} is not over yet in {zone}; choose an earlier month"
            )));
        }
        let made = self.make_report(&wish(customer, &asked, &customer.language)).await;
        let (html, why) = match made {
            Ok(Report { html, .. }) => (html, String::new()),
            Err(Refusal::Report(why)) => (String::new(), why),
            Err(refusal) => return Err(refusal),
        };
        match self.keep(customer, &asked, &customer.language, (html, why)).await {
            // Another call, or another centre, was quicker.
            Err(Refusal::Taken { .. }) => {
                let row = self.store.read(move |snapshot| snapshot.monthly_report(id, month)).await?;
                row.ok_or_else(|| Refusal::Internal(format!("the report of {month} is taken and not there")))
            }
            kept => kept,
        }
    }

    /// The report behind a share link: one of the same period and language that is there already, or a new one.
    pub(crate) async fn report_for(
        &self,
        customer: &CustomerRow,
        asked: &Asked,
        language: &str,
    ) -> Result<KeptReportRow, Refusal> {
        let (id, from, to, wanted) = (customer.id, asked.from, asked.to, language.to_owned());
        let there = self.store.read(move |snapshot| {
            let mut kept = snapshot.kept_reports_of(id)?.into_iter();
            let same = |row: &KeptReportRow| {
                row.size > 0 && row.from == from && row.to == to && row.language == wanted
            };
            // A month's report stays, whatever becomes of links.
            Ok::<_, StoreError>(kept.find(|row| same(row) && row.month.is_some()))
        });
        if let Some(row) = there.await? {
            return Ok(row);
        }
        let Report { html, .. } = self.make_report(&wish(customer, asked, language)).await?;
        // One that was made for a link stands for no month, and goes with its link.
        let asked = Asked { month: None, ..asked.clone() };
        self.keep(customer, &asked, language, (html, String::new())).await
    }

    async fn keep(
        &self,
        customer: &CustomerRow,
        asked: &Asked,
        language: &str,
        (html, why): (String, String),
    ) -> Result<KeptReportRow, Refusal> {
        let too_large = html.len() > angbu_store::third_parties::LARGEST_REPORT;
        let limit = angbu_store::third_parties::LARGEST_REPORT >> 20;
        let why_not = format!("the report is larger than {limit} MiB, which is the most that is kept");
        if too_large && asked.month.is_none() {
            return Err(Refusal::Report(format!("{why_not}; choose a shorter period")));
        }
        let (html, why) = if too_large { (String::new(), why_not) } else { (html, why) };
        let stamp = self.instant();
        let row = KeptReportRow {
            id: ReportId::random(&mut rng()),
            customer: customer.id,
            month: asked.month,
            from: asked.from,
            to: asked.to,
            zone: asked.zone.name().to_owned(),
            language: language.to_owned(),
            made: stamp.time,
            size: u64::try_from(html.len()).unwrap_or(u64::MAX),
            why,
        };
        let told = self.told_of(customer, &row).await?;
        let kept = row.clone();
        self.store
            .write(move |tx| {
                tx.keep_report(&kept, &html)?;
                told.iter().try_for_each(|told| webhooks::put(tx, told))?;
                if let Some(month) = kept.month {
                    let fields = [
                        ("report", kept.id.to_string()),
                        ("month", month.to_string()),
                        ("zone", kept.zone.clone()),
                        ("from", kept.from.nanos().to_string()),
                        ("to", kept.to.nanos().to_string()),
                        ("size", kept.size.to_string()),
                    ];
                    append_text(tx, MONTHLY, kept.customer, stamp, fields)?;
                    let_old_go(tx, kept.customer)?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
        Ok(row)
    }

    /// What a customer's contacts are written of a month; nothing of months that are long over, whose reports are made after all.
    async fn told_of(
        &self,
        customer: &CustomerRow,
        row: &KeptReportRow,
    ) -> Result<Option<webhooks::Queued>, StoreError> {
        match row.month.filter(|_| row.made - row.to < TOLD_WITHIN) {
            Some(month) => self.month_told(customer, (month, row.size > 0), row.made).await,
            None => Ok(None),
        }
    }

    /// A customer's reports that are kept; those for links with them.
    pub(crate) async fn kept_reports(&self, customer: &CustomerRow) -> Result<Vec<KeptReport>, Refusal> {
        let id = customer.id;
        let rows = self.store.read(move |snapshot| snapshot.kept_reports_of(id)).await?;
        Ok(rows.into_iter().map(|row| show(&customer.name, row)).collect())
    }

    /// A kept report, and whose it is.
    pub(crate) async fn kept_report(&self, id: ReportId) -> Result<(CustomerId, KeptReportRow), Refusal> {
        let row = self.store.read(move |snapshot| snapshot.kept_report(id)).await?;
        row.map(|row| (row.customer, row)).ok_or_else(|| Refusal::unknown("report", &id.to_string()))
    }

    /// The file of a kept report.
    pub(crate) async fn kept_file(&self, row: KeptReportRow) -> Result<Report, Refusal> {
        let (id, of) = (row.id, row.customer);
        let found = self.store.read(move |snapshot| {
            Ok::<_, StoreError>((snapshot.report_file(id)?, snapshot.customer_name(of)?.unwrap_or_default()))
        });
        let (html, customer) = found.await?;
        let html =
            html.ok_or_else(|| Refusal::Report(format!("there is no file of this report: {}", row.why)))?;
        Ok(Report { html, file_name: file_name(&customer, row.from, row.to) })
    }
}

fn let_old_go(tx: &mut Tx<'_>, customer: CustomerId) -> Result<(), StoreError> {
    let months = tx.kept_reports_of(customer)?.into_iter().filter(|row| row.month.is_some());
    for old in months.skip(MONTHS_KEPT).filter(|row| row.size > 0) {
        tx.let_report_go(old.id, LET_GO)?;
    }
    Ok(())
}

fn wish(customer: &CustomerRow, asked: &Asked, language: &str) -> ReportWish {
    ReportWish {
        customer: customer.clone(),
        from: asked.from,
        to: asked.to,
        language: Some(language.to_owned()),
    }
}

/// How a kept report is shown.
pub(crate) fn show(customer: &str, row: KeptReportRow) -> KeptReport {
    KeptReport {
        id: row.id.to_string(),
        month: row.month.map(|month| month.to_string()),
        from: instant(row.from),
        to: instant(row.to),
        zone: row.zone,
        language: row.language,
        made_at: instant(row.made),
        size: row.size,
        why: Some(row.why).filter(|why| !why.is_empty()),
        file_name: attachment::safe(&file_name(customer, row.from, row.to)),
    }
}
