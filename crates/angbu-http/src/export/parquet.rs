//! Apache Parquet, which data tools open: one row group for each piece, plain values in one page a column, uncompressed.
//!
//! Written by hand: what a table of a few kinds of columns needs of the format is little, and the crate for all of it brings a second
//! line of several dependencies. Field numbers and codes are those of parquet.thrift (apache/parquet-format 2.10), in Thrift's compact
//! protocol.

use super::{Cell, Column, Kind, Writer};

/// How many rows stand together: a piece is written when so many have come.
const TOGETHER: usize = 32_768;

const MAGIC: &[u8; 4] = b"PAR1";

/// Writes row groups.
pub(crate) struct Parquet {
    columns: &'static [Column],
    waiting: Vec<Vec<Cell>>,
    /// Bytes that are ready.
    ready: Vec<u8>,
    /// Bytes that were ready before.
    gone: u64,
    groups: Vec<Group>,
}

/// A row group that is written.
struct Group {
    rows: usize,
    /// Of each column, where its page begins and how long it is.
    pages: Vec<(u64, usize)>,
}

impl Parquet {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self { columns, waiting: Vec::new(), ready: MAGIC.to_vec(), gone: 0, groups: Vec::new() }
    }

    fn take(&mut self) -> Vec<u8> {
        let ready = std::mem::take(&mut self.ready);
        self.gone += length(&ready);
        ready
    }

    fn group(&mut self) {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return;
        }
        let mut pages = Vec::with_capacity(self.columns.len());
        for (place, (_, kind)) in self.columns.iter().enumerate() {
            let cells = || rows.iter().map(|row| row.get(place).unwrap_or(&Cell::Nothing));
            let data = page(*kind, cells());
            let begins = self.gone + length(&self.ready);
            let head = page_head(rows.len(), data.len());
            pages.push((begins, head.len() + data.len()));
            self.ready.extend(head);
            self.ready.extend(data);
        }
        self.groups.push(Group { rows: rows.len(), pages });
    }

    /// `FileMetaData`.
    fn footer(&self) -> Vec<u8> {
        let mut out = Struct::new();
        out.int(1, 2);
        let root = Struct::new().text(4, "angbu").int(5, number(self.columns.len())).end();
        let columns = self.columns.iter().map(schema_element);
        out.structs(2, std::iter::once(root).chain(columns).collect());
        out.long(3, self.groups.iter().map(|group| number(group.rows)).sum());
        out.structs(4, self.groups.iter().map(|group| self.row_group(group)).collect());
        out.text(6, concat!("angbu ", env!("CARGO_PKG_VERSION")));
        out.end()
    }

    /// `RowGroup`.
    fn row_group(&self, group: &Group) -> Vec<u8> {
        let chunks = self.columns.iter().zip(&group.pages).map(|((name, kind), (begins, bytes))| {
            let begins = i64::try_from(*begins).unwrap_or(i64::MAX);
            let mut meta = Struct::new();
            meta.int(1, physical(*kind)).ints(2, &[PLAIN, RLE]).texts(3, &[name]).int(4, UNCOMPRESSED);
            meta.long(5, number(group.rows)).long(6, number(*bytes)).long(7, number(*bytes)).long(9, begins);
            Struct::new().long(2, begins).inner(3, &meta.end()).end()
        });
        let chunks = chunks.collect();
        let bytes = group.pages.iter().map(|(_, bytes)| number(*bytes)).sum();
        Struct::new().structs(1, chunks).long(2, bytes).long(3, number(group.rows)).end()
    }
}

impl Writer for Parquet {
    fn rows(&mut self, mut rows: Vec<Vec<Cell>>) -> Vec<u8> {
        self.waiting.append(&mut rows);
        if self.waiting.len() >= TOGETHER {
            self.group();
        }
        self.take()
    }

    fn end(&mut self) -> Vec<u8> {
        self.group();
        let footer = self.footer();
        let length = u32::try_from(footer.len()).unwrap_or(u32::MAX);
        self.ready.extend(footer);
        self.ready.extend(length.to_le_bytes());
        self.ready.extend(MAGIC);
        self.take()
    }
}

const PLAIN: i64 = 0;
const RLE: i64 = 3;
const UNCOMPRESSED: i64 = 0;
const OPTIONAL: i64 = 1;

/// `Type`.
const fn physical(kind: Kind) -> i64 {
    match kind {
        Kind::Flag => 0,
        Kind::Number | Kind::Instant => 2,
        Kind::Text => 6,
    }
}

/// `SchemaElement`.
fn schema_element((name, kind): &Column) -> Vec<u8> {
    let mut out = Struct::new();
    out.int(1, physical(*kind)).int(3, OPTIONAL).text(4, name);
    match kind {
        // UTF8, and as a logical type STRING.
        Kind::Text => out.int(6, 0).inner(10, &Struct::new().inner(1, &Struct::new().end()).end()),
        // TIMESTAMP, adjusted to UTC, in nanoseconds.
        Kind::Instant => {
            let nanos = Struct::new().inner(3, &Struct::new().end()).end();
            let timestamp = Struct::new().yes(1).inner(2, &nanos).end();
            out.inner(10, &Struct::new().inner(8, &timestamp).end())
        }
        Kind::Number | Kind::Flag => &mut out,
    };
    out.end()
}

/// `PageHeader` of a data page.
fn page_head(rows: usize, bytes: usize) -> Vec<u8> {
    let data = Struct::new().int(1, number(rows)).int(2, PLAIN).int(3, RLE).int(4, RLE).end();
    Struct::new().int(1, 0).int(2, number(bytes)).int(3, number(bytes)).inner(5, &data).end()
}

/// Which rows have a value (runs of one bit, behind their length), and the values.
fn page<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell> + Clone) -> Vec<u8> {
    let there: Vec<bool> = cells.clone().map(|cell| *cell != Cell::Nothing).collect();
    let mut levels = Vec::new();
    for run in there.chunk_by(|one, next| one == next) {
        put_varint(&mut levels, length(run) << 1);
        levels.push(u8::from(run.first() == Some(&true)));
    }
    let mut out = u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    out.extend(levels);
    let mut flags = Vec::new();
    for cell in cells {
        match (kind, cell) {
            (Kind::Text, Cell::Text(text)) => {
                out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                out.extend(text.as_bytes());
            }
            (Kind::Number | Kind::Instant, Cell::Number(number) | Cell::Instant(number)) => {
                out.extend(number.to_le_bytes());
            }
            (Kind::Flag, Cell::Flag(flag)) => flags.push(*flag),
            _ => {}
        }
    }
    let byte = |bits: &[bool]| bits.iter().rev().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    out.extend(flags.chunks(8).map(byte));
    out
}

/// A struct of Thrift's compact protocol; fields in ascending order.
struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

/// Types of fields.
const TRUE: u8 = 1;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    const fn new() -> Self {
        Self { bytes: Vec::new(), last: 0 }
    }

    fn field(&mut self, id: u8, kind: u8) -> &mut Self {
        // No struct here leaves out more than 15 fields in a row.
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
        self
    }

    fn yes(&mut self, id: u8) -> &mut Self {
        self.field(id, TRUE)
    }

    fn int(&mut self, id: u8, value: i64) -> &mut Self {
        self.field(id, I32);
        put_signed(&mut self.bytes, value);
        self
    }

    fn long(&mut self, id: u8, value: i64) -> &mut Self {
        self.field(id, I64);
        put_signed(&mut self.bytes, value);
        self
    }

    fn text(&mut self, id: u8, text: &str) -> &mut Self {
        self.field(id, BINARY);
        put_text(&mut self.bytes, text);
        self
    }

    fn texts(&mut self, id: u8, texts: &[&str]) -> &mut Self {
        self.list(id, BINARY, texts.len());
        texts.iter().for_each(|text| put_text(&mut self.bytes, text));
        self
    }

    fn ints(&mut self, id: u8, values: &[i64]) -> &mut Self {
        self.list(id, I32, values.len());
        values.iter().for_each(|value| put_signed(&mut self.bytes, *value));
        self
    }

    fn inner(&mut self, id: u8, inner: &[u8]) -> &mut Self {
        self.field(id, STRUCT);
        self.bytes.extend(inner);
        self
    }

    fn structs(&mut self, id: u8, inner: Vec<Vec<u8>>) -> &mut Self {
        self.list(id, STRUCT, inner.len());
        self.bytes.extend(inner.into_iter().flatten());
        self
    }

    fn list(&mut self, id: u8, kind: u8, count: usize) {
        self.field(id, LIST);
        match u8::try_from(count) {
            Ok(few @ ..15) => self.bytes.push(few << 4 | kind),
            _ => {
                self.bytes.push(0xf0 | kind);
                put_varint(&mut self.bytes, u64::try_from(count).unwrap_or(u64::MAX));
            }
        }
    }

    fn end(&mut self) -> Vec<u8> {
        self.bytes.push(0);
        std::mem::take(&mut self.bytes)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, length(text.as_bytes()));
    out.extend(text.as_bytes());
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn length<T>(slice: &[T]) -> u64 {
    u64::try_from(slice.len()).unwrap_or(u64::MAX)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
