//! The tables of a PostgreSQL database, and the monthly parts of those that grow with time.

use std::time::Duration;

use angbu_units::UnixTime;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::rows::failed;
use crate::StoreError;
use crate::sql::check_migrations;

/// Every migration, in order, with the numbers and names that SQLite's have.
const MIGRATIONS: [(i64, &str, &str); 12] = [
    (1, "site", include_str!("../../migrations/postgres/0001_site.sql")),
    (2, "accounts", include_str!("../../migrations/postgres/0002_accounts.sql")),
    (3, "time", include_str!("../../migrations/postgres/0003_time.sql")),
    (4, "evidence", include_str!("../../migrations/postgres/0004_evidence.sql")),
    (5, "chain", include_str!("../../migrations/postgres/0005_chain.sql")),
    (6, "retention", include_str!("../../migrations/postgres/0006_retention.sql")),
    (7, "third_parties", include_str!("../../migrations/postgres/0007_third_parties.sql")),
    (8, "incidents", include_str!("../../migrations/postgres/0008_incidents.sql")),
    (9, "operations", include_str!("../../migrations/postgres/0009_operations.sql")),
    (10, "keys", include_str!("../../migrations/postgres/0010_keys.sql")),
    (11, "requests", include_str!("../../migrations/postgres/0011_requests.sql")),
    (12, "passkeys", include_str!("../../migrations/postgres/0012_passkeys.sql")),
];

/// Locks the row that stands for the whole site: whoever changes what only one centre at a time may change has it.
pub(super) const ALONE: &str = "UPDATE site_migrations SET name = name WHERE number = 0";

/// How often a centre looks again that found an empty database together with another one.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The tables that have a part for each month.
const BY_MONTH: [&str; 2] = ["time_exchanges", "time_events"];
/// How many months after the present one have their parts ready.
const AHEAD: i64 = 2;

/// Which months before the present one lose their part of exchanges once all of them are deleted.
const FIRST_PAST: i64 = 2;
const LAST_PAST: i64 = 60;

/// Brings the tables up to date. Of several centres one does so, and the others wait for it.
pub(super) async fn migrate(client: &Client) -> Result<(), StoreError> {
    let mut made = begin(client).await;
    for _ in 0..TRIES {
        match &made {
            // Somebody else makes the very first table at this moment.
            Err(error) if is_beginning(error) => {}
            _ => break,
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
        made = begin(client).await;
    }
    made.map_err(|error| failed(&error))?;
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '60s'").await.map_err(|error| failed(&error))?;
    let migrated = migrate_alone(client).await;
    let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
    migrated.and(client.batch_execute(end).await.map_err(|error| failed(&error)))
}

/// Makes the table of migrations and the row in it that is locked, where they are missing.
async fn begin(client: &Client) -> Result<(), tokio_postgres::Error> {
    if client.batch_execute("SELECT number FROM site_migrations WHERE number = 0").await.is_ok() {
        return Ok(());
    }
    let make = "CREATE TABLE IF NOT EXISTS site_migrations (number BIGINT PRIMARY KEY, name TEXT COLLATE \"C\" NOT NULL);
                INSERT INTO site_migrations (number, name) VALUES (0, '') ON CONFLICT DO NOTHING";
    client.batch_execute(make).await
}

fn is_beginning(error: &tokio_postgres::Error) -> bool {
    let races = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
    error.code().is_some_and(|code| races.contains(code))
}

async fn migrate_alone(client: &Client) -> Result<(), StoreError> {
    client.execute(ALONE, &[]).await.map_err(|error| failed(&error))?;
    let rows = client
        .query("SELECT number, name FROM site_migrations WHERE number > 0 ORDER BY number", &[])
        .await
        .map_err(|error| failed(&error))?;
    let done: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let names: Vec<(i64, &'static str)> =
        MIGRATIONS.iter().map(|(number, name, _)| (*number, *name)).collect();
    let missing = check_migrations(&names, &done)?;
    for (number, name, sql) in MIGRATIONS.iter().filter(|(number, _, _)| missing.contains(number)) {
        let note = format!("{sql}; INSERT INTO site_migrations (number, name) VALUES ({number}, '{name}')");
        client.batch_execute(&note).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Makes the parts of this month and the next ones. What stands elsewhere because its part was missing moves there.
pub(super) async fn make_months(client: &Client, now: UnixTime) -> Result<(), StoreError> {
    for table in BY_MONTH {
        for month in (0..=AHEAD).filter_map(|ahead| Month::of(now).after(ahead)) {
            make_month(client, table, &month).await.map_err(|error| failed(&error))?;
        }
    }
    for month in (FIRST_PAST..=LAST_PAST).filter_map(|past| Month::of(now).after(-past)) {
        drop_if_empty(client, &month).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Drops the part of a month that has no exchanges any more. What is told of it later stands in the part for everything else.
async fn drop_if_empty(client: &Client, month: &Month) -> Result<(), tokio_postgres::Error> {
    let part = format!("time_exchanges_{}", month.name());
    let is_empty = async || {
        let is_there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&part]).await?;
        if !is_there.get::<_, bool>(0) {
            return Ok::<bool, tokio_postgres::Error>(false);
        }
        let row = client.query_one(&format!("SELECT NOT EXISTS (SELECT 1 FROM {part})"), &[]).await?;
        Ok(row.get(0))
    };
    if !is_empty().await? {
        return Ok(());
    }
    let locked = format!("BEGIN; {ALONE}; LOCK TABLE {part} IN ACCESS EXCLUSIVE MODE");
    let dropped = async {
        client.batch_execute(&locked).await?;
        if is_empty().await? { client.batch_execute(&format!("DROP TABLE {part}")).await } else { Ok(()) }
    };
    let dropped = dropped.await;
    let end = if dropped.is_ok() { "COMMIT" } else { "ROLLBACK" };
    dropped.and(client.batch_execute(end).await)
}

async fn make_month(client: &Client, table: &str, month: &Month) -> Result<(), tokio_postgres::Error> {
    let part = format!("{table}_{}", month.name());
    let is_there = async || {
        let row = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&part]).await?;
        Ok::<bool, tokio_postgres::Error>(row.get(0))
    };
    if is_there().await? {
        return Ok(());
    }
    client.batch_execute(&format!("BEGIN; {ALONE}")).await?;
    let made = async {
        if is_there().await? {
            return Ok(());
        }
        // Whoever writes into the part for everything else waits until its rows have moved.
        let (from, to) = (month.from, month.to);
        let make = format!(
            "CREATE TABLE {part} (LIKE {table} INCLUDING ALL);
             LOCK TABLE {table}_other IN ACCESS EXCLUSIVE MODE;
             WITH moved AS (DELETE FROM {table}_other WHERE at >= {from} AND at < {to} RETURNING *)
             INSERT INTO {part} SELECT * FROM moved;
             ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({from}) TO ({to})"
        );
        client.batch_execute(&make).await
    };
    let made = made.await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    made.and(client.batch_execute(end).await)
}

/// A month of the Gregorian calendar in UTC.
#[derive(Debug, PartialEq, Eq)]
struct Month {
    /// Months since the beginning of the year 0.
    count: i64,
    from: i64,
    to: i64,
}

const DAY: i64 = 86_400_000_000_000;

impl Month {
    fn of(now: UnixTime) -> Self {
        let days = now.nanos().div_euclid(DAY);
        // The years that 64 bits of nanoseconds hold begin in 1677; a month is at most 31 days long.
        let mut count = (1970 * 12) + days.div_euclid(31);
        while first_day(count + 1) <= days {
            count += 1;
        }
        Self::new(count).unwrap_or(Self { count, from: i64::MIN, to: i64::MAX })
    }

    fn new(count: i64) -> Option<Self> {
        let (from, to) = (first_day(count).checked_mul(DAY)?, first_day(count + 1).checked_mul(DAY)?);
        Some(Self { count, from, to })
    }

    /// The month so many months later; `None` beyond what 64 bits of nanoseconds hold.
    fn after(&self, months: i64) -> Option<Self> {
        Self::new(self.count + months)
    }

    fn name(&self) -> String {
        format!("{:04}_{:02}", self.count.div_euclid(12), self.count.rem_euclid(12) + 1)
    }
}

/// Days from 1970-01-01 to a month's first day.
fn first_day(count: i64) -> i64 {
    // Counted in years that begin in March, so that the day of a leap year comes last.
    let from_march = count - 2;
    let (year, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> UnixTime {
        UnixTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (text, name, from) in [
            ("1970-01-01T00:00:00Z", "1970_01", "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59Z", "1969_12", "1969-12-01T00:00:00Z"),
            ("2024-02-29T12:00:00Z", "2024_02", "2024-02-01T00:00:00Z"),
            ("2024-03-01T00:00:00Z", "2024_03", "2024-03-01T00:00:00Z"),
            ("2026-11-22T01:28:28Z", "2026_11", "2026-11-01T00:00:00Z"),
            ("2100-02-28T23:59:59Z", "2100_02", "2100-02-01T00:00:00Z"),
        ] {
            let month = Month::of(instant(text));
            assert_eq!((month.name().as_str(), UnixTime::from_nanos(month.from)), (name, instant(from)));
            let next = month.after(1).unwrap();
            assert_eq!(next.from, month.to);
        }
        let december = Month::of(instant("2026-12-31T00:00:00Z"));
        assert_eq!(december.after(1).unwrap().name(), "2027_01");
        assert_eq!(Month::of(UnixTime::from_nanos(i64::MAX)).after(1), None);
    }
}
