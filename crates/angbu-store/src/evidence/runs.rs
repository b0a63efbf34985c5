//! Where a customer's entries stand in the log: what each batch brought of each customer, as one row.

use angbu_units::{CustomerId, UnixTime};

use crate::StoreError;
use crate::sql::{Connection, Row, column, values};

/// A customer's entries of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The running number of the first.
    pub(crate) number: u64,
    /// How many there are.
    pub(crate) count: u64,
    /// The log index of the first.
    pub(crate) first: u64,
    /// The latest instant of the customer's entries so far.
    pub(crate) reach: UnixTime,
    /// How the indexes go on from the first: lengths of stretches in turn of neighbours and of gaps, each number in
    /// groups of seven bits, the lowest first, all but the last group marked (LEB128).
    pub(crate) stretches: Vec<u8>,
}

impl Run {
    /// The run of entries with these indexes, which ascend.
    pub(crate) fn new(number: u64, indexes: &[u64], reach: UnixTime) -> Self {
        let mut stretches = Vec::new();
        let first = indexes.first().copied().unwrap_or_default();
        let (mut length, mut before) = (0, None);
        for index in indexes {
            match before {
                Some(before) if before + 1 != *index => {
                    put(&mut stretches, length);
                    put(&mut stretches, index - before - 1);
                    length = 1;
                }
                _ => length += 1,
            }
            before = Some(*index);
        }
        put(&mut stretches, length);
        let count = u64::try_from(indexes.len()).unwrap_or(u64::MAX);
        Self { number, count, first, reach, stretches }
    }

    /// The indexes of its entries.
    pub(crate) fn indexes(&self) -> Result<Vec<u64>, StoreError> {
        let damaged = || StoreError::corrupt(format!("the run of entries from number {} on", self.number));
        let (mut indexes, mut next, mut rest) = (Vec::new(), self.first, self.stretches.as_slice());
        while !rest.is_empty() {
            let length = take(&mut rest).ok_or_else(damaged)?;
            // Bounded before it is followed, so that a damaged length fills no memory.
            if length > self.count {
                return Err(damaged());
            }
            indexes.extend(next..next.saturating_add(length));
            next = next.saturating_add(length);
            if !rest.is_empty() {
                next = next.saturating_add(take(&mut rest).ok_or_else(damaged)?);
            }
        }
        if u64::try_from(indexes.len()) == Ok(self.count) { Ok(indexes) } else { Err(damaged()) }
    }
}

/// The log indexes of a customer's entries from a running number on.
pub(crate) fn indexes(
    sql: &dyn Connection,
    customer: CustomerId,
    from_number: u64,
    limit: u64,
) -> Result<Vec<u64>, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let begin = at_or_before(sql, customer, from_number)?.map_or(from_number, |run| run.number);
    let mut indexes = Vec::new();
    sql.scan(
        "SELECT number, count, first, reach, stretches FROM evidence_runs
         WHERE customer_id = ?1 AND number >= ?2 ORDER BY number",
        values![customer, begin],
        &mut |row| {
            let run = run(row)?;
            let skipped = usize::try_from(from_number.saturating_sub(run.number)).unwrap_or(usize::MAX);
            indexes.extend(run.indexes()?.into_iter().skip(skipped));
            Ok(if indexes.len() >= limit { crate::sql::Next::Enough } else { crate::sql::Next::More })
        },
    )?;
    indexes.truncate(limit);
    Ok(indexes)
}

/// The first of a customer's runs whose reach is not before an instant.
pub(crate) fn reaching(
    sql: &dyn Connection,
    customer: CustomerId,
    instant: UnixTime,
) -> Result<Option<Run>, StoreError> {
    let Some(mut found) = at_or_before(sql, customer, u64::MAX)? else { return Ok(None) };
    if found.reach < instant {
        return Ok(None);
    }
    // Reaches only rise, so halving finds the first; every probe is one look-up in the primary key.
    let mut low = 1;
    while low < found.number {
        let middle = low + (found.number - low) / 2;
        match at_or_before(sql, customer, middle)? {
            Some(run) if run.reach >= instant => found = run,
            Some(run) => low = run.number + run.count,
            None => return Err(StoreError::corrupt(format!("the first entries of {customer} have no run"))),
        }
    }
    Ok(Some(found))
}

/// The running number of a customer's last entry before a log index; 0 when there is none.
pub(crate) fn last_number_before(
    sql: &dyn Connection,
    customer: CustomerId,
    before: u64,
) -> Result<u64, StoreError> {
    let Some(mut found) = at_or_before(sql, customer, u64::MAX)? else { return Ok(0) };
    if found.first >= before {
        // Indexes rise with the numbers, so halving finds the last run that begins before; `high` begins after it.
        let (mut low, mut high) = (1, found.number);
        loop {
            let Some(run) = at_or_before(sql, customer, low + (high - low) / 2)? else { return Ok(0) };
            if run.first < before {
                low = run.number + run.count;
                found = run;
            } else {
                high = run.number;
            }
            if low >= high {
                break;
            }
        }
        if found.first >= before {
            return Ok(0);
        }
    }
    let earlier = found.indexes()?.into_iter().take_while(|index| *index < before).count();
    Ok(found.number + u64::try_from(earlier).unwrap_or_default() - 1)
}

/// The run that holds a running number, or the last one before it.
pub(crate) fn at_or_before(
    sql: &dyn Connection,
    customer: CustomerId,
    number: u64,
) -> Result<Option<Run>, StoreError> {
    sql.first(
        "SELECT number, count, first, reach, stretches FROM evidence_runs
         WHERE customer_id = ?1 AND number <= ?2 ORDER BY number DESC LIMIT 1",
        values![customer, number],
        run,
    )
}

fn run(row: &dyn Row) -> Result<Run, StoreError> {
    Ok(Run {
        number: column(row, 0)?,
        count: column(row, 1)?,
        first: column(row, 2)?,
        reach: column(row, 3)?,
        stretches: column(row, 4)?,
    })
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0u32);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}
