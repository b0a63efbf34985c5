//! The package's text. A line each, in this order:
//!
//! ```text
//! angbu/1 report KIND RENDERING
//! customer ID
//! period FROM TO                        nanoseconds since 1970
//! counter COUNT FIRST LAST              the customer's leaf of the manifest
//! manifest INDEX PLACE CUSTOMERS        its entry's log index, the leaf's place, how many leaves there are
//! map HASH                              each hash of the leaf's path
//! checkpoint LINES                      and that many lines of the signed note
//! signer KEY                            the verifier key of each of the note's signatures, in their order
//! item INDEX                            each entry: its log index, its five lines, and its fields
//! shown NAME SALT VALUE                 salt and value in base64
//! hidden HASH
//! node HASH                             each hash of the shared proof
//! end
//! ```

use std::fmt::Write;
use std::str::FromStr;

use angbu_units::UnixTime;

use super::{Item, Package, Refusal, Subject};
use crate::Entry;
use crate::body::{Disclosure, Field, MOST_FIELDS, Part};
use crate::manifest::{Counter, MapProof};
use crate::note::{self, VerifierKey};
use crate::text::{decode64, encode64, signed, unsigned};

/// How many lines an entry has.
const ENTRY_LINES: usize = 5;

pub(super) fn encode(package: &Package) -> String {
    let mut text = String::new();
    write_package(package, &mut text).expect("a string takes whatever is written to it");
    text
}

fn write_package(package: &Package, text: &mut String) -> std::fmt::Result {
    let Package { subject, counter, manifest, map, checkpoint, signers, items, nodes } = package;
    writeln!(text, "angbu/1 report {} {}", subject.kind, subject.rendering)?;
    writeln!(text, "customer {}", subject.customer)?;
    writeln!(text, "period {} {}", subject.from.nanos(), subject.to.nanos())?;
    writeln!(text, "counter {} {} {}", counter.count, counter.first, counter.last)?;
    writeln!(text, "manifest {manifest} {} {}", map.index, map.customers)?;
    for hash in &map.path {
        writeln!(text, "map {hash}")?;
    }
    writeln!(text, "checkpoint {}", checkpoint.matches('\n').count())?;
    text.push_str(checkpoint);
    for signer in signers {
        writeln!(text, "signer {signer}")?;
    }
    for item in items {
        writeln!(text, "item {}", item.index)?;
        text.push_str(&item.entry);
        for part in item.fields.parts() {
            match part {
                Part::Shown(field) => {
                    writeln!(
                        text,
                        "shown {} {} {}",
                        field.name,
                        encode64(field.salt),
                        encode64(&field.value)
                    )?;
                }
                Part::Hidden(leaf) => writeln!(text, "hidden {leaf}")?,
            }
        }
    }
    for hash in nodes {
        writeln!(text, "node {hash}")?;
    }
    writeln!(text, "end")
}

pub(super) fn decode(text: &str) -> Result<Package, Refusal> {
    let mut lines = Lines::new(text)?;
    let (kind, rendering) = read_header(&mut lines)?;
    let customer = lines.line("customer ", "'customer' and the customer's id")?;
    let customer = customer.parse().map_err(|_| lines.bad("'customer' and the customer's id"))?;
    let period = lines.words("period ", "'period', its first instant and the first instant after it")?;
    let [from, to] = period.map(|word| signed(word).map(UnixTime::from_nanos).ok_or(lines.bad_number(word)));
    let subject = Subject { kind, rendering, customer, from: from?, to: to? };
    let [count, first, last] = lines.numbers("counter ", "'counter', the count, the first and the last")?;
    let [manifest, index, customers] = lines
        .numbers("manifest ", "'manifest', its index, the customer's place and the number of customers")?;
    let mut path = Vec::new();
    while let Some(hash) = lines.optional("map ") {
        path.push(lines.hash(hash)?);
        // No path is longer than the 64 bits of an index.
        if path.len() > 64 {
            return Err(lines.bad("the checkpoint: no path through a manifest has more than 64 hashes"));
        }
    }
    let map = MapProof { index, customers, path };
    let checkpoint = read_checkpoint(&mut lines)?;
    let signers = read_signers(&mut lines)?;
    let mut items = Vec::new();
    while let Some(index) = lines.optional("item ") {
        let index = lines.number(index)?;
        items.push(read_item(&mut lines, index)?);
    }
    let mut nodes = Vec::new();
    while let Some(hash) = lines.optional("node ") {
        nodes.push(lines.hash(hash)?);
    }
    if !lines.line("end", "'item', 'node' or 'end'")?.is_empty() {
        return Err(lines.bad("'end'"));
    }
    lines.finish()?;
    let counter = Counter { count, first, last };
    Ok(Package { subject, counter, manifest, map, checkpoint, signers, items, nodes })
}

fn read_header(lines: &mut Lines<'_>) -> Result<(String, u32), Refusal> {
    const EXPECTED: &str = "'angbu/1 report', the kind of report and the version of its rendering";
    let [kind, rendering] = lines.words("angbu/1 report ", EXPECTED)?;
    let is_kind =
        !kind.is_empty() && kind.len() <= 40 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if !is_kind {
        return Err(lines.bad(EXPECTED));
    }
    let rendering = lines.number(rendering)?.try_into().map_err(|_| lines.bad_number(rendering))?;
    Ok((kind.to_owned(), rendering))
}

fn read_checkpoint(lines: &mut Lines<'_>) -> Result<String, Refusal> {
    let [count] = lines.numbers("checkpoint ", "'checkpoint' and the number of its lines")?;
    let most = u64::try_from(note::MOST_SIGNATURES + 5).unwrap_or(u64::MAX);
    if count > most {
        return Err(lines.bad("'checkpoint' and the number of its lines, which are at most 105"));
    }
    let mut checkpoint = String::new();
    for _ in 0..count {
        checkpoint.push_str(lines.next("a line of the checkpoint")?);
        checkpoint.push('\n');
    }
    Ok(checkpoint)
}

fn read_signers(lines: &mut Lines<'_>) -> Result<Vec<VerifierKey>, Refusal> {
    let mut signers = Vec::new();
    while let Some(key) = lines.optional("signer ") {
        if signers.len() >= note::MOST_SIGNATURES {
            return Err(lines.bad("the first entry: a note has at most 100 signers"));
        }
        signers.push(key.parse().map_err(|why| Refusal::BadSigner { line: lines.line, why })?);
    }
    Ok(signers)
}

fn read_item(lines: &mut Lines<'_>, index: u64) -> Result<Item, Refusal> {
    let mut entry = String::new();
    for _ in 0..ENTRY_LINES {
        entry.push_str(lines.next("one of the five lines of an entry")?);
        entry.push('\n');
    }
    // Here already, so that a lost line end is put down to the entry and not to the fields after it.
    Entry::decode(entry.as_bytes()).map_err(|why| Refusal::BadEntry { index, why })?;
    let mut parts = Vec::new();
    loop {
        if let Some(field) = lines.optional("shown ") {
            parts.push(Part::Shown(read_field(lines, field)?));
        } else if let Some(hash) = lines.optional("hidden ") {
            parts.push(Part::Hidden(lines.hash(hash)?));
        } else {
            break;
        }
        // One more than fits is enough to be refused below.
        if parts.len() > MOST_FIELDS {
            break;
        }
    }
    let fields = Disclosure::from_parts(parts).map_err(|why| Refusal::BadFields { index, why })?;
    Ok(Item { index, entry, fields })
}

fn read_field(lines: &Lines<'_>, text: &str) -> Result<Field, Refusal> {
    const EXPECTED: &str = "'shown', a field's name, its salt and its value, both in base64";
    let mut words = text.split(' ');
    let (Some(name), Some(salt), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(lines.bad(EXPECTED));
    };
    let salt = decode64(salt).and_then(|salt| salt.try_into().ok()).ok_or(lines.bad(EXPECTED))?;
    let value = decode64(value).ok_or(lines.bad(EXPECTED))?;
    Ok(Field { name: name.to_owned(), value, salt })
}

/// The text's lines, and the number of the one read last.
struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Result<Self, Refusal> {
        let forbidden = |c: char| c == '<' || c == '&' || (c.is_control() && c != '\n');
        if let Some((at, character)) = text.char_indices().find(|(_, c)| forbidden(*c)) {
            let line = text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
            return Err(Refusal::ForbiddenCharacter { line, character });
        }
        Ok(Self { rest: text, line: 0 })
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, Refusal> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or(self.bad(expected))?;
        self.rest = rest;
        Ok(line)
    }

    /// What follows the word with which the next line must begin.
    fn line(&mut self, word: &str, expected: &'static str) -> Result<&'a str, Refusal> {
        let line = self.next(expected)?;
        line.strip_prefix(word).ok_or(self.bad(expected))
    }

    /// What follows the word, if the next line begins with it; else the line stays unread.
    fn optional(&mut self, word: &str) -> Option<&'a str> {
        let (line, rest) = self.rest.split_once('\n')?;
        let found = line.strip_prefix(word)?;
        self.rest = rest;
        self.line += 1;
        Some(found)
    }

    fn words<const N: usize>(&mut self, word: &str, expected: &'static str) -> Result<[&'a str; N], Refusal> {
        let words: Vec<&str> = self.line(word, expected)?.split(' ').collect();
        words.try_into().map_err(|_| self.bad(expected))
    }

    fn numbers<const N: usize>(&mut self, word: &str, expected: &'static str) -> Result<[u64; N], Refusal> {
        let words: [&str; N] = self.words(word, expected)?;
        let mut numbers = [0; N];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = self.number(word)?;
        }
        Ok(numbers)
    }

    fn number(&self, word: &str) -> Result<u64, Refusal> {
        unsigned(word).ok_or(self.bad_number(word))
    }

    fn hash<T: FromStr>(&self, word: &str) -> Result<T, Refusal> {
        word.parse().map_err(|_| Refusal::BadHash { line: self.line })
    }

    fn finish(self) -> Result<(), Refusal> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Refusal::BadLine { line: self.line + 1, expected: "nothing: the evidence has ended" })
    }

    fn bad(&self, expected: &'static str) -> Refusal {
        Refusal::BadLine { line: self.line, expected }
    }

    fn bad_number(&self, found: &str) -> Refusal {
        Refusal::BadNumber { line: self.line, found: found.chars().take(24).collect() }
    }
}
