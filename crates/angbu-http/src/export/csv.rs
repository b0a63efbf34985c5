//! Comma-separated values (RFC 4180), which spreadsheets open.

use std::fmt::Write as _;

use angbu_units::UnixTime;

use super::{Cell, Column, Writer};

/// Writes lines.
pub(crate) struct Csv {
    columns: &'static [Column],
    /// Whether the line of names is written.
    begun: bool,
}

impl Csv {
    pub(crate) const fn new(columns: &'static [Column]) -> Self {
        Self { columns, begun: false }
    }

    fn head(&mut self, out: &mut String) {
        if !self.begun {
            let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
            out.push_str(&names.join(","));
            out.push_str("\r\n");
            self.begun = true;
        }
    }
}

impl Writer for Csv {
    fn rows(&mut self, rows: Vec<Vec<Cell>>) -> Vec<u8> {
        let mut out = String::with_capacity(rows.len() * 160);
        self.head(&mut out);
        for row in rows {
            for (place, cell) in row.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_cell(cell, &mut out);
            }
            out.push_str("\r\n");
        }
        out.into_bytes()
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = String::new();
        self.head(&mut out);
        out.into_bytes()
    }
}

fn write_cell(cell: &Cell, out: &mut String) {
    let _ = match cell {
        Cell::Text(text) => {
            write_text(text, out);
            Ok(())
        }
        Cell::Number(number) => write!(out, "{number}"),
        Cell::Flag(flag) => write!(out, "{flag}"),
        Cell::Instant(nanos) => write!(out, "{}", UnixTime::from_nanos(*nanos).rfc3339(9)),
        Cell::Nothing => Ok(()),
    };
}

/// A text that a spreadsheet would take for a formula begins with an apostrophe, which makes it text there: whoever may name a server
/// must not be able to have a reader's spreadsheet run something.
fn write_text(text: &str, out: &mut String) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let must_quote = is_formula || text.contains([',', '"', '\r', '\n']);
    if !must_quote {
        out.push_str(text);
        return;
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}
