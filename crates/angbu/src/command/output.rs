//! What commands print: words for people, or one JSON object a line for programs.

use std::io::Write as _;

use serde::Serialize;

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// For programs (`json`) or for people.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: the object for programs, the words for people. A closed pipe is nobody's mistake.
    pub fn result(self, object: &impl Serialize, words: impl FnOnce() -> String) {
        if self.json {
            self.object(object);
        } else {
            line(&words());
        }
    }

    /// Prints an object for programs; people see nothing of it.
    pub fn object(self, object: &impl Serialize) {
        if let (true, Ok(text)) = (self.json, serde_json::to_string(object)) {
            line(&text);
        }
    }

    /// Prints words for people; programs see nothing of them.
    pub fn words(self, text: &str) {
        if !self.json {
            line(text);
        }
    }
}

fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Says on standard error why a command ended.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "angbu: {text}");
}
