//! Periods as they are asked for: months and dates in a time zone, or instants.

use angbu_units::{Month, Nanos, UnixTime, Zone};

use crate::problem::Refusal;
use crate::types::instant;
use crate::types::third_parties::{AskedPeriod, PeriodQuery};

/// The longest period that is answered: 3,660 days, ten years.
const LONGEST_DAYS: i64 = 3_660;

/// A period that was asked for, and is answered.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) month: Option<Month>,
    pub(crate) from: UnixTime,
    pub(crate) to: UnixTime,
    /// Up to when there can be data.
    pub(crate) until: UnixTime,
    pub(crate) zone: Zone,
}

impl Asked {
    /// Reads a question for a customer whose zone is `home`, asked at `now`.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with what is wrong and how it is written right.
    pub(crate) fn read(query: &PeriodQuery, home: &Zone, now: UnixTime) -> Result<Self, Refusal> {
        let zone = query.zone.as_deref().map_or_else(|| Ok(home.clone()), str::parse)?;
        let (month, [from, to]) = match (&query.month, &query.from, &query.to) {
            (None, None, None) => {
                let month = zone.month_of(now);
                (Some(month), zone.month(month)?)
            }
            (Some(month), None, None) => {
                let month: Month = month.parse()?;
                (Some(month), zone.month(month)?)
            }
            (None, Some(from), Some(to)) => (None, [edge("from", from, &zone)?, edge("to", to, &zone)?]),
            _ => {
                return Err(Refusal::Invalid(
                    "a period is a month, or from and to; give one of both, and of from and to neither alone"
                        .into(),
                ));
            }
        };
        if to == from {
            return Err(Refusal::Invalid("the period is 0 s long; let it end after it begins".into()));
        }
        if to < from {
            return Err(Refusal::Invalid("the period ends before it begins; exchange from and to".into()));
        }
        if (to - from) > Nanos::from_secs(LONGEST_DAYS * 86_400) {
            return Err(Refusal::Invalid(format!(
                "the period is longer than {LONGEST_DAYS} days; choose a shorter one"
            )));
        }
        if from >= now {
            return Err(Refusal::Invalid("the period has not begun yet; choose an earlier one".into()));
        }
        Ok(Self { month, from, to, until: to.min(now), zone })
    }

    /// The same, ending at the last whole second before now where it would end later: what a report or a link is about.
    pub(crate) fn ended(self) -> Result<Self, Refusal> {
        if self.until == self.to {
            return Ok(self);
        }
        let to = self.until - Nanos::new(self.until.nanos().rem_euclid(1_000_000_000));
        if to <= self.from {
            return Err(Refusal::Invalid("the period has hardly begun; choose an earlier one".into()));
        }
        // What has not ended is no month.
        Ok(Self { to, until: to, month: None, ..self })
    }

    /// How it is shown.
    pub(crate) fn show(&self) -> AskedPeriod {
        AskedPeriod {
            month: self.month.map(|month| month.to_string()),
            from: instant(self.from),
            to: instant(self.to),
            until: instant(self.until),
            zone: self.zone.name().to_owned(),
            from_local: self.zone.local(self.from),
            to_local: self.zone.local(self.to),
            length_ms: (self.to - self.from).count() / 1_000_000,
        }
    }
}

/// An instant, or a date that stands for its first one. A local time without an offset is refused: it can be skipped or come twice.
fn edge(name: &str, text: &str, zone: &Zone) -> Result<UnixTime, Refusal> {
    if text.len() <= 10 {
        return zone.day(text).map_err(|error| Refusal::Invalid(format!("{name}: {error}")));
    }
    UnixTime::parse_rfc3339(text).map_err(|error| Refusal::Invalid(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(month: &str, from: &str, to: &str, zone: &str) -> Result<Asked, String> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (month, from, to, zone) = (given(month), given(from), given(to), given(zone));
        let now = UnixTime::parse_rfc3339("2026-11-22T10:00:00.5Z").unwrap();
        let query = PeriodQuery { month, from, to, zone, agent: None };
        Asked::read(&query, &"Europe/Berlin".parse().unwrap(), now).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn months_dates_and_instants_are_read() {
        for (month, from, to, zone, expected) in [
            ("2026-10", "", "", "", ("2026-09-30T22:00:00Z", 745 * 3_600)),
            ("2026-03", "", "", "", ("2026-02-28T23:00:00Z", 743 * 3_600)),
            ("2026-10", "", "", "Asia/Seoul", ("2026-09-30T15:00:00Z", 744 * 3_600)),
            ("", "2026-10-25", "2026-10-26", "", ("2026-10-24T22:00:00Z", 25 * 3_600)),
            ("", "2026-03-29", "2026-03-30", "", ("2026-03-28T23:00:00Z", 23 * 3_600)),
            ("", "2026-10-01T00:00:00+09:00", "2026-10-01T00:00:01+09:00", "", ("2026-09-30T15:00:00Z", 1)),
            ("", "", "", "", ("2026-10-31T23:00:00Z", 720 * 3_600)),
            ("", "2016-11-15", "2026-11-15", "UTC", ("2016-11-15T00:00:00Z", 3_652 * 86_400)),
        ] {
            let found = asked(month, from, to, zone).unwrap();
            let length = (found.to - found.from).count() / 1_000_000_000;
            assert_eq!((found.from.rfc3339(0).as_str(), length), expected, "{month} {from} {to} {zone}");
        }
        let ended = asked("", "", "", "").unwrap().ended().unwrap();
        assert_eq!((ended.month, ended.to.rfc3339(9).as_str()), (None, "2026-11-22T10:00:00.000000000Z"));
    }

    #[test]
    fn what_cannot_be_answered_is_refused_with_a_reason() {
        for (month, from, to, zone, expected) in [
            ("", "2026-10-01", "2026-10-01", "", "0 s long"),
            ("", "2026-10-02", "2026-10-01", "", "ends before it begins"),
            ("", "2006-10-01", "2026-10-01", "", "longer than 3660 days"),
            ("2027-01", "", "", "", "has not begun"),
            ("2026-10", "2026-10-01", "", "", "a month, or from and to"),
            ("", "2026-10-01", "", "", "a month, or from and to"),
            ("2026-13", "", "", "", "is no month"),
            ("", "2026-02-30", "2026-03-01", "", "is no date"),
            ("", "2026-10-25T02:30:00", "2026-10-26", "", "RFC 3339"),
            ("", "2011-12-30", "2012-01-01", "Pacific/Apia", "did not take place"),
            ("2026-10", "", "", "Mars/Olympus", "is no time zone"),
            ("2026-10", "", "", "UTC\r\nX: y", "is no time zone"),
        ] {
            let refused = asked(month, from, to, zone).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
