//! Exports: exchanges, verdicts and summaries of agents in a period, row by row.

use std::sync::Arc;

use angbu_accounts::Reach;
use angbu_store::time::{AgentRow, ExchangeRow};
use angbu_store::{Snapshot, StoreError};
use angbu_time::periods::Period;
use angbu_time::record::{Fact, Record};
use angbu_time::summary::{Hour, Summary};
use angbu_units::{AgentId, CustomerId, EntryId, Nanos, UnixTime};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::retention::{self, Kept};
use super::time::tolerances;
use super::{Centre, proofs};
use crate::export::{self, Cell, Column, Format, Kind, Writer};
use crate::problem::Refusal;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// A row an exchange.
    Exchanges,
    /// A row a stretch of time under one verdict.
    Periods,
    /// A row a summarised hour.
    Summaries,
}

/// What is wanted.
pub(crate) struct ExportWish {
    pub(crate) table: Table,
    pub(crate) format: Format,
    pub(crate) from: UnixTime,
    pub(crate) to: UnixTime,
}

/// A piece of a file, or why there is no more.
pub(crate) type Piece = Result<Bytes, std::io::Error>;

/// How many exchanges are read together.
const TOGETHER: u64 = 4_096;
/// How many pieces wait for a slow reader.
const AHEAD: usize = 2;
/// The longest stretch that is judged at once: a month.
const JUDGED: Nanos = Nanos::from_secs(31 * 86_400);

const EXCHANGES: [Column; 20] = [
    ("agent_id", Kind::Text),
    ("agent", Kind::Text),
    ("customer", Kind::Text),
    ("seq", Kind::Number),
    ("at", Kind::Instant),
    ("offset_ns", Kind::Number),
    ("delay_ns", Kind::Number),
    ("bound_ns", Kind::Number),
    ("rate_ppb", Kind::Number),
    ("steady", Kind::Flag),
    ("in_sync", Kind::Flag),
    ("proof", Kind::Number),
    ("arrived", Kind::Instant),
    ("t1", Kind::Instant),
    ("t2", Kind::Instant),
    ("t3", Kind::Instant),
    ("t4", Kind::Instant),
    ("server_id", Kind::Text),
    ("stratum", Kind::Number),
    ("poll_ns", Kind::Number),
];

const PERIODS: [Column; 9] = [
    ("agent_id", Kind::Text),
    ("agent", Kind::Text),
    ("customer", Kind::Text),
    ("from", Kind::Instant),
    ("to", Kind::Instant),
    ("length_ns", Kind::Number),
    ("verdict", Kind::Text),
    ("why", Kind::Text),
    ("reference", Kind::Text),
];

const SUMMARIES: [Column; 21] = [
    ("agent_id", Kind::Text),
    ("agent", Kind::Text),
    ("customer", Kind::Text),
    ("hour", Kind::Instant),
    ("exchanges", Kind::Number),
    ("proven", Kind::Number),
    ("late", Kind::Number),
    ("refused", Kind::Number),
    ("first", Kind::Instant),
    ("last", Kind::Instant),
    ("offset_min_ns", Kind::Number),
    ("offset_max_ns", Kind::Number),
    ("offset_mean_ns", Kind::Number),
    ("offset_spread_ns", Kind::Number),
    ("delay_min_ns", Kind::Number),
    ("delay_median_ns", Kind::Number),
    ("delay_max_ns", Kind::Number),
    ("bound_max_ns", Kind::Number),
    ("drift_ppb", Kind::Number),
    ("poll_ns", Kind::Number),
    ("entry_id", Kind::Text),
];

impl Table {
    /// From its name in an address.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Exchanges, Self::Periods, Self::Summaries].into_iter().find(|table| table.word() == word)
    }

    /// Its name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Exchanges => "exchanges",
            Self::Periods => "periods",
            Self::Summaries => "summaries",
        }
    }

    const fn columns(self) -> &'static [Column] {
        match self {
            Self::Exchanges => &EXCHANGES,
            Self::Periods => &PERIODS,
            Self::Summaries => &SUMMARIES,
        }
    }
}

/// An agent whose rows are written, and what it is called.
#[derive(Clone)]
struct Whose {
    row: AgentRow,
    customer: String,
}

impl Whose {
    fn begin(&self) -> Vec<Cell> {
        [self.row.id.to_string(), self.row.name.clone(), self.customer.clone()].map(Cell::Text).to_vec()
    }
}

impl Centre {
    /// One agent's table, piece by piece.
    pub(crate) async fn export_agent(
        self: &Arc<Self>,
        reach: Reach,
        id: AgentId,
        wish: ExportWish,
    ) -> Result<mpsc::Receiver<Piece>, Refusal> {
        let row = self.store.read(move |snapshot| snapshot.agent(id)).await?;
        let row = row.filter(|row| reach.covers(row.customer));
        let row = row.ok_or_else(|| Refusal::unknown("agent", &id.to_string()))?;
        self.export(vec![row], wish).await
    }

    /// The table of all agents of a customer, piece by piece.
    pub(crate) async fn export_customer(
        self: &Arc<Self>,
        customer: CustomerId,
        wish: ExportWish,
    ) -> Result<mpsc::Receiver<Piece>, Refusal> {
        let rows = self.store.read(move |snapshot| snapshot.agents_of(customer)).await?;
        self.export(rows, wish).await
    }

    async fn export(
        self: &Arc<Self>,
        rows: Vec<AgentRow>,
        wish: ExportWish,
    ) -> Result<mpsc::Receiver<Piece>, Refusal> {
        if wish.to <= wish.from {
            return Err(Refusal::Invalid("the period ends before it begins".into()));
        }
        let named = move |snapshot: &Snapshot<'_>| {
            let named = rows.into_iter().map(|row| {
                let customer = snapshot.customer(row.customer)?.map(|customer| customer.name);
                Ok(Whose { row, customer: customer.unwrap_or_default() })
            });
            named.collect::<Result<Vec<_>, StoreError>>()
        };
        let whose = self.store.read(named).await?;
        let writer = export::writer(wish.format, wish.table.columns());
        let (send, receive) = mpsc::channel(AHEAD);
        let centre = Arc::clone(self);
        tokio::spawn(async move {
            let mut out = Out { writer, send };
            // Whoever went away wants no more; what went wrong is told to whoever is there by a file that breaks off.
            if let Err(Stopped::Failed(error)) = centre.write_all(&whose, &wish, &mut out).await {
                tracing::warn!(error, "an export broke off");
                let _ = out.send.send(Err(std::io::Error::other(error))).await;
            }
        });
        Ok(receive)
    }

    async fn write_all(&self, whose: &[Whose], wish: &ExportWish, out: &mut Out) -> Result<(), Stopped> {
        for whose in whose {
            match wish.table {
                Table::Exchanges => self.write_exchanges(whose, wish, out).await?,
                Table::Periods => self.write_periods(whose, wish, out).await?,
                Table::Summaries => self.write_summaries(whose, wish, out).await?,
            }
        }
        let end = out.writer.end();
        out.piece(end).await
    }

    async fn write_exchanges(&self, whose: &Whose, wish: &ExportWish, out: &mut Out) -> Result<(), Stopped> {
        let (id, to) = (whose.row.id, wish.to);
        let mut behind = (wish.from, None);
        loop {
            let (from, last) = behind;
            let rows = self.store.read(move |snapshot| snapshot.exchanges(id, from, to, TOGETHER)).await?;
            let is_last = u64::try_from(rows.len()).unwrap_or(u64::MAX) < TOGETHER;
            // Several can have one instant: the next page begins with the last one's, and leaves out what was there.
            let new = rows.iter().filter(|row| last.is_none_or(|last| (row.at, row.seq) > last));
            let cells: Vec<_> = new.map(|row| exchange(whose, row)).collect();
            let newest = rows.last().map(|row| (row.at, row.seq));
            let stuck = cells.is_empty();
            out.rows(cells).await?;
            match newest {
                Some(newest) if !is_last && !stuck => behind = (newest.0, Some(newest)),
                _ => return Ok(()),
            }
        }
    }

    async fn write_periods(&self, whose: &Whose, wish: &ExportWish, out: &mut Out) -> Result<(), Stopped> {
        // What has not been yet is neither.
        let end = wish.to.min(self.clock.read().wall);
        let mut from = wish.from.max(whose.row.enrolled.min(wish.to));
        while from < end {
            let to = end.min(from + JUDGED);
            let row = whose.row.clone();
            let loaded = move |snapshot: &Snapshot<'_>| {
                Ok::<_, StoreError>((
                    Kept::load(snapshot, &row, from, to)?,
                    tolerances(snapshot, row.customer)?,
                ))
            };
            let (kept, tolerance) = self.store.read(loaded).await?;
            let periods = self.periods_of(&kept, &tolerance, from, to);
            out.rows(periods.iter().map(|row| period(whose, row)).collect()).await?;
            from = to;
        }
        Ok(())
    }

    async fn write_summaries(&self, whose: &Whose, wish: &ExportWish, out: &mut Out) -> Result<(), Stopped> {
        let (id, mut from, to) = (whose.row.id, wish.from, wish.to);
        while from < to {
            let end = to.min(from + JUDGED);
            let loaded = move |snapshot: &Snapshot<'_>| {
                let rows = snapshot.summaries(id, from, end)?.into_iter();
                let read = |row: angbu_store::time::SummaryRow| {
                    Ok::<_, StoreError>((row.entry, retention::read(snapshot, row.entry)?))
                };
                rows.map(read).collect::<Result<Vec<(EntryId, Summary)>, _>>()
            };
            for (entry, summary) in self.store.read(loaded).await? {
                let hours = summary.hours.iter().filter(|hour| from <= hour.begins && hour.begins < end);
                out.rows(hours.map(|row| hour(whose, row, entry)).collect()).await?;
            }
            from = end;
        }
        Ok(())
    }
}

/// Why an export ended early.
enum Stopped {
    /// Nobody reads it any more.
    Gone,
    Failed(String),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Out {
    writer: Box<dyn Writer>,
    send: mpsc::Sender<Piece>,
}

impl Out {
    async fn rows(&mut self, rows: Vec<Vec<Cell>>) -> Result<(), Stopped> {
        let piece = self.writer.rows(rows);
        self.piece(piece).await
    }

    async fn piece(&mut self, piece: Vec<u8>) -> Result<(), Stopped> {
        if piece.is_empty() {
            return Ok(());
        }
        self.send.send(Ok(Bytes::from(piece))).await.map_err(|_| Stopped::Gone)
    }
}

fn exchange(whose: &Whose, row: &ExchangeRow) -> Vec<Cell> {
    let number = |number: u64| Cell::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let instant = |at: UnixTime| Cell::Instant(at.nanos());
    let mut cells = whose.begin();
    let proof = proofs::of_flags(row.flags).map_or(Cell::Nothing, |proof| number(u64::from(proof.code())));
    cells.extend([
        number(row.seq),
        instant(row.at),
        Cell::Number(row.offset.count()),
        Cell::Number(row.delay.count()),
        Cell::Number(row.bound.count()),
        Cell::Number(row.rate.count()),
        Cell::Flag(row.flags & super::time::STEADY != 0),
        Cell::Flag(row.flags & super::time::IN_SYNC != 0),
        proof,
        instant(row.arrived),
    ]);
    match Record::decode(&row.record).map(|record| record.fact) {
        Ok(Fact::Exchange(measured)) => {
            cells.extend(measured.exchange.instants().map(instant));
            cells.push(Cell::Text(measured.server.to_string()));
            cells.push(Cell::Number(i64::from(measured.exchange.source().stratum)));
            cells.push(Cell::Number(measured.poll.count()));
        }
        _ => cells.extend(std::iter::repeat_n(Cell::Nothing, 7)),
    }
    cells
}

fn period(whose: &Whose, row: &Period) -> Vec<Cell> {
    let mut cells = whose.begin();
    cells.extend([
        Cell::Instant(row.from.nanos()),
        Cell::Instant(row.to.nanos()),
        Cell::Number((row.to - row.from).count()),
        Cell::Text(row.verdict.word().to_owned()),
        Cell::Text(row.why.code().to_owned()),
        row.reference.map_or(Cell::Nothing, |reference| Cell::Text(reference.word().to_owned())),
    ]);
    cells
}

fn hour(whose: &Whose, row: &Hour, entry: EntryId) -> Vec<Cell> {
    let number = |number: u64| Cell::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let length = |length: Nanos| Cell::Number(length.count());
    let mut cells = whose.begin();
    cells.push(Cell::Instant(row.begins.nanos()));
    cells.extend([row.exchanges, row.proven, row.late, row.refused].map(number));
    cells.extend([row.first, row.last].map(|at| Cell::Instant(at.nanos())));
    cells.extend(
        [
            row.offset.min,
            row.offset.max,
            row.offset_mean,
            row.spread,
            row.delay.min,
            row.delay_median,
            row.delay.max,
            row.bound,
        ]
        .map(length),
    );
    cells.push(row.drift.map_or(Cell::Nothing, |drift| Cell::Number(drift.count())));
    cells.push(length(row.poll));
    cells.push(Cell::Text(entry.to_string()));
    cells
}
