//! Which months of a customer are due to be reported on.

use std::collections::BTreeSet;

use angbu_units::{Month, Nanos, UnixTime, Zone};

/// How long after its end a month is reported on: an agent that was cut off from the centre has then told most of what it kept.
pub const SETTLED: Nanos = Nanos::from_secs(3_600);

/// How many months back a missed report is made up for: 12.
pub const MADE_UP_FOR: i64 = 12;

/// The months in a zone that are over, have settled, and have no report yet, the oldest first. The first is the month that `since`
/// lies in, when the customer was made; none lies further back than [`MADE_UP_FOR`] months. A month whose beginning or end the
/// zone's clocks leapt over is left out.
pub fn due(zone: &Zone, since: UnixTime, now: UnixTime, made: &BTreeSet<Month>) -> Vec<Month> {
    let newest = zone.month_of(now).number() - 1;
    let oldest = zone.month_of(since).number().max(newest - MADE_UP_FOR + 1);
    (oldest..=newest)
        .filter_map(Month::from_number)
        .filter(|month| !made.contains(month))
        .filter(|month| zone.month(*month).is_ok_and(|[_, end]| end + SETTLED <= now))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, since: &str, now: &str, made: &[&str], expected: &[&str]) {
        let instant = |text| UnixTime::parse_rfc3339(text).unwrap();
        let made = made.iter().map(|month| month.parse().unwrap()).collect();
        let due = due(&zone.parse().unwrap(), instant(since), instant(now), &made);
        let due: Vec<String> = due.iter().map(Month::to_string).collect();
        assert_eq!(due, expected, "{zone} {now}");
    }

    #[test]
    fn a_month_is_due_an_hour_after_it_is_over_where_the_customer_is() {
        let since = "2026-09-15T00:00:00Z";
        check("UTC", since, "2026-09-30T23:59:59Z", &[], &[]);
        check("UTC", since, "2026-10-01T00:59:59Z", &[], &[]);
        check("UTC", since, "2026-10-01T01:00:00Z", &[], &["2026-09"]);
        // In Seoul October begins nine hours earlier, in Los Angeles seven later.
        check("Asia/Seoul", since, "2026-09-30T16:00:00Z", &[], &["2026-09"]);
        check("America/Los_Angeles", since, "2026-10-01T07:59:59Z", &[], &[]);
        check("America/Los_Angeles", since, "2026-10-01T08:00:00Z", &[], &["2026-09"]);
        // Summer time ends in Berlin on 25 October, so that November begins at 23:00 UTC.
        check("Europe/Berlin", since, "2026-11-01T00:00:00Z", &["2026-09"], &["2026-10"]);
    }

    #[test]
    fn missed_months_are_made_later_and_none_twice() {
        let since = "2026-06-30T23:00:00Z";
        check("UTC", since, "2026-10-05T00:00:00Z", &["2026-07"], &["2026-06", "2026-08", "2026-09"]);
        // There it was July already.
        check("Europe/Berlin", since, "2026-10-05T00:00:00Z", &["2026-07"], &["2026-08", "2026-09"]);
        check("UTC", since, "2026-10-05T00:00:00Z", &["2026-06", "2026-07", "2026-08", "2026-09"], &[]);
        check(
            "UTC",
            "2020-01-01T00:00:00Z",
            "2026-03-01T12:00:00Z",
            &[],
            &[
                "2025-03", "2025-04", "2025-05", "2025-06", "2025-07", "2025-08", "2025-09", "2025-10",
                "2025-11", "2025-12", "2026-01", "2026-02",
            ],
        );
        // A clock that was set back before the customer was made.
        check("UTC", since, "2026-05-05T00:00:00Z", &[], &[]);
    }
}
