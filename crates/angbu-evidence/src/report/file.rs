//! The file: readable HTML with the evidence inside.

use super::{Package, Proven, Refusal, Trust};

/// The largest file that is read as a report: 256 MiB.
pub const LARGEST: usize = 256 << 20;
/// What stands before the evidence. A template's content is shown by no browser.
const BEGIN: &str = "<template id=\"angbu-evidence\">\n";
/// What stands after it.
const END: &str = "</template>";

/// A report's file: the page up to the evidence, the evidence, and the rest of the page.
pub fn embed(head: &str, package: &str, tail: &str) -> String {
    [head, BEGIN, package, END, tail].concat()
}

/// The evidence inside a file, and its text.
///
/// # Errors
/// The first [`Refusal`] found.
pub fn extract(file: &[u8]) -> Result<(Package, &str), Refusal> {
    if file.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    let (_, after) = split(file, BEGIN.as_bytes()).ok_or(Refusal::NoEvidence)?;
    let (text, after) = split(after, END.as_bytes()).ok_or(Refusal::EvidenceNotEnded)?;
    if split(after, BEGIN.as_bytes()).is_some() {
        return Err(Refusal::EvidenceTwice);
    }
    let text = std::str::from_utf8(text).map_err(|why| {
        let line = text.iter().take(why.valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        Refusal::NotText { line }
    })?;
    Ok((Package::decode(text)?, text))
}

/// Verifies a report's file: proves the evidence inside, renders the whole file again from what was proven
/// (and the evidence's text, which stands inside the file), and compares every byte.
/// `render` answers in words why it cannot make a report from the evidence.
///
/// # Errors
/// The first [`Refusal`] found.
pub fn verify_file(
    file: &[u8],
    trust: &Trust,
    render: &dyn Fn(&Proven, &str) -> Result<String, String>,
) -> Result<Proven, Refusal> {
    let (package, text) = extract(file)?;
    let proven = package.prove(trust)?;
    let rendered = render(&proven, text).map_err(Refusal::NotRendered)?;
    match first_difference(file, rendered.as_bytes()) {
        Some(offset) => Err(differs(file, rendered.as_bytes(), offset)),
        None => Ok(proven),
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((bytes.get(..place)?, bytes.get(place + at.len()..)?))
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    (one.len() != other.len() || common < one.len()).then_some(common)
}

fn differs(file: &[u8], rendered: &[u8], offset: usize) -> Refusal {
    let line = file.iter().take(offset).filter(|b| **b == b'\n').count() + 1;
    Refusal::Differs { line, offset, found: excerpt(file, offset), expected: excerpt(rendered, offset) }
}

/// Some characters from there on, in a form that a terminal can be trusted with.
fn excerpt(bytes: &[u8], offset: usize) -> String {
    let rest = bytes.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return "the end of the file".to_owned();
    }
    let some = rest.get(..24).unwrap_or(rest);
    String::from_utf8_lossy(some).escape_debug().collect()
}
