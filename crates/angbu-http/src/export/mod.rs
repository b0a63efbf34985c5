//! Tables on their way out: rows of a few kinds of cells, written as CSV or Parquet piece by piece, so that a year of exchanges needs no more
//! memory than some thousand of them.

mod csv;
mod parquet;

use csv::Csv;
use parquet::Parquet;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// An instant: nanoseconds since 1970.
    Instant,
}

/// A column: its name, and what it holds.
pub(crate) type Column = (&'static str, Kind);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    Number(i64),
    Flag(bool),
    Instant(i64),
    /// There is none.
    Nothing,
}

/// A file's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// What its files are called behind the dot.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Writes a table piece by piece.
pub(crate) trait Writer: Send {
    /// Some more rows, each with a cell for each column; returns the bytes that are ready.
    fn rows(&mut self, rows: Vec<Vec<Cell>>) -> Vec<u8>;

    /// The file's end.
    fn end(&mut self) -> Vec<u8>;
}

/// A writer of this form.
pub(crate) fn writer(format: Format, columns: &'static [Column]) -> Box<dyn Writer> {
    match format {
        Format::Csv => Box::new(Csv::new(columns)),
        Format::Parquet => Box::new(Parquet::new(columns)),
    }
}

#[cfg(test)]
mod tests;
