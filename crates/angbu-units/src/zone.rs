//! Time zones, and where days and months begin in them.
//!
//! One rule, for every zone: **a day begins with the first instant of its date, and a month with its first day.** So a month is one
//! row of instants without gap or repetition, as long as its clocks made it: 743 hours in March and 745 in October in Berlin. Where
//! a clock was set forward over midnight, the day begins where the clock came out; where it was set back over midnight, at the first of
//! the two midnights. A date that a zone leapt over, as Samoa did on 2011-12-30, has no instants, and is refused.
//!
//! The zones are those of the IANA database that is built into the program, so that every centre and every run says the same.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::UnixTime;

/// The longest name of a zone that is looked for, in bytes.
const LONGEST: usize = 64;

/// The years that a month can lie in.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;

/// Why a text is no zone, or a date has no beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No zone of the IANA database has this name.
    #[error(
        "'{0}' is no time zone; write a name of the IANA database, like Europe/Berlin, Asia/Seoul or UTC"
    )]
    Unknown(String),
    /// Neither a year and a month nor, where one can stand, a date.
    #[error("'{0}' is no month; write it like 2026-10, in the years 1970 to 2200")]
    NotAMonth(String),
    /// No date.
    #[error("'{0}' is no date; write it like 2026-10-01, in the years 1970 to 2200")]
    NotADate(String),
    /// The zone leapt over this date.
    #[error("{date} did not take place in {zone}: its clocks went over it")]
    Skipped {
        /// The date.
        date: String,
        /// The zone.
        zone: String,
    },
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A month of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Its name in the IANA database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The instants from the first of a month to the first after it.
    ///
    /// # Errors
    /// [`ZoneError::Skipped`] and [`ZoneError::NotAMonth`] at the ends of the calendar.
    pub fn month(&self, month: Month) -> Result<[UnixTime; 2], ZoneError> {
        Ok([self.begin(month)?, self.begin(month.next())?])
    }

    /// The first instant of a date, written like `2026-10-01`.
    ///
    /// # Errors
    /// [`ZoneError::NotADate`] and [`ZoneError::Skipped`].
    pub fn day(&self, date: &str) -> Result<UnixTime, ZoneError> {
        let refused = || ZoneError::NotADate(date.chars().take(LONGEST).collect());
        // Other spellings of a date, which the parser takes too, are none of ours.
        let is_plain = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let found: Date =
            Some(date).filter(|_| is_plain).ok_or_else(refused)?.parse().map_err(|_| refused())?;
        if !YEARS.contains(&found.year()) {
            return Err(refused());
        }
        self.first_instant(found)
    }

    /// The month that an instant lies in.
    pub fn month_of(&self, at: UnixTime) -> Month {
        let date = timestamp(at).to_zoned(self.0.clone()).date();
        Month { year: date.year(), month: date.month() }
    }

    /// An instant as clocks in the zone show it, with its offset from UTC: `2026-10-01T00:00:00+02:00`.
    pub fn local(&self, at: UnixTime) -> String {
        timestamp(at).to_zoned(self.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    fn begin(&self, month: Month) -> Result<UnixTime, ZoneError> {
        let first = Date::new(month.year, month.month, 1);
        self.first_instant(first.map_err(|_| ZoneError::NotAMonth(month.to_string()))?)
    }

    fn first_instant(&self, date: Date) -> Result<UnixTime, ZoneError> {
        let skipped = || ZoneError::Skipped { date: date.to_string(), zone: self.name().to_owned() };
        let somewhere = date.to_zoned(self.0.clone()).map_err(|_| skipped())?;
        if somewhere.date() != date {
            return Err(skipped());
        }
        let first = somewhere.start_of_day().map_err(|_| skipped())?;
        i64::try_from(first.timestamp().as_nanosecond()).map(UnixTime::from_nanos).map_err(|_| skipped())
    }
}

/// Every instant of ours is one of jiff's, whose years reach from -9999 to 9999.
fn timestamp(at: UnixTime) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or_default()
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Reads a name of the IANA database; capitals do not matter.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let refused = || ZoneError::Unknown(name.chars().take(LONGEST).collect());
        if name.len() > LONGEST || name.eq_ignore_ascii_case("etc/unknown") {
            return Err(refused());
        }
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Month {
    /// Months since the beginning of year 0: what a database orders by.
    pub const fn number(self) -> i64 {
        self.year as i64 * 12 + self.month as i64 - 1
    }

    /// The month with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        let year = i16::try_from(number.div_euclid(12)).ok().filter(|year| YEARS.contains(year))?;
        let month = i8::try_from(number.rem_euclid(12)).ok()? + 1;
        Some(Self { year, month })
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }
}

impl FromStr for Month {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let refused = || ZoneError::NotAMonth(text.chars().take(LONGEST).collect());
        let (year, month) = text.split_once('-').ok_or_else(refused)?;
        let digits =
            |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(refused());
        }
        let (year, month) = (year.parse().map_err(|_| refused())?, month.parse().map_err(|_| refused())?);
        let fits = YEARS.contains(&year) && (1..=12).contains(&month);
        if fits { Ok(Self { year, month }) } else { Err(refused()) }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, month: &str) -> i64 {
        let [from, to] = zone.parse::<Zone>().unwrap().month(month.parse().unwrap()).unwrap();
        (to - from).count() / 3_600_000_000_000
    }

    #[test]
    fn months_are_as_long_as_their_clocks_made_them() {
        for (zone, month, expected) in [
            ("UTC", "2026-10", 744),
            ("Europe/Berlin", "2026-03", 743),
            ("Europe/Berlin", "2026-10", 745),
            ("Asia/Seoul", "2026-10", 744),
            ("America/New_York", "2026-03", 743),
            ("Europe/London", "2024-02", 696),
            // Half an hour of summer time.
            ("Australia/Lord_Howe", "2026-10", 743),
            // A whole day was leapt over.
            ("Pacific/Apia", "2011-12", 720),
        ] {
            assert_eq!(hours(zone, month), expected, "{zone} {month}");
        }
    }

    #[test]
    fn a_day_begins_with_its_first_instant() {
        let begin = |zone: &str, date: &str| {
            let zone: Zone = zone.parse().unwrap();
            zone.day(date).map(|at| (at.rfc3339(0), zone.local(at)))
        };
        // Clocks went from 24:00 to 01:00: there was no midnight.
        let (at, local) = begin("America/Sao_Paulo", "2018-11-04").unwrap();
        assert_eq!((at.as_str(), local.as_str()), ("2018-11-04T03:00:00Z", "2018-11-04T01:00:00-02:00"));
        // Clocks went from 01:00 back to 00:00: there were two, and the first counts.
        let (at, local) = begin("America/Havana", "2026-11-01").unwrap();
        assert_eq!((at.as_str(), local.as_str()), ("2026-11-01T04:00:00Z", "2026-11-01T00:00:00-04:00"));
        assert!(matches!(begin("Pacific/Apia", "2011-12-30"), Err(ZoneError::Skipped { .. })));
        for wrong in
            ["2026-02-30", "2026-2-3", "20260203", "1969-12-31", "", "2026-10-01T00:00", "+002026-10"]
        {
            assert!(matches!(begin("UTC", wrong), Err(ZoneError::NotADate(_))), "{wrong}");
        }
    }

    #[test]
    fn months_follow_one_another_in_every_zone() {
        for zone in
            ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo"]
        {
            let zone: Zone = zone.parse().unwrap();
            let mut month: Month = "2009-12".parse().unwrap();
            for _ in 0..240 {
                let ([from, end], [next, _]) =
                    (zone.month(month).unwrap(), zone.month(month.next()).unwrap());
                assert_eq!((end, zone.month_of(from)), (next, month), "{zone} {month}");
                assert_eq!(zone.month_of(UnixTime::from_nanos(end.nanos() - 1)), month);
                assert_eq!(Month::from_number(month.number()), Some(month));
                month = month.next();
            }
        }
    }

    #[test]
    fn what_is_no_zone_or_month_is_refused() {
        for wrong in
            ["", "Berlin", "Europe/Berlin\r\nX: y", "../etc/passwd", "+02:00", "Etc/Unknown", &"x".repeat(99)]
        {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
        for wrong in
            ["2026-13", "2026-00", "26-10", "2026-1", "0000-01", "9999-01", "2026-10-01", "", "-026-10"]
        {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
