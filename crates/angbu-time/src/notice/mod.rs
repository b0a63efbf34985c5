//! What somebody is written of incidents: one message, as text and as HTML, in their language, with figures and links.
//!
//! Names come from whoever enrolled an agent and are taken for hostile: what would begin another line, hide or reorder text is
//! made visible, and nothing of it is taken for markup.

mod words;

use std::fmt::Write as _;

use angbu_units::{Language, Month, Nanos, UnixTime};

use crate::incidents::{Due, Figures, Incident};
use crate::report::figures;
use crate::report::html::{escape, fill, name};
use words::Words;

/// The most incidents that are written out of each sort; of the others the number is told.
const MOST_LISTED: usize = 40;
/// The address of the picture within the message (RFC 2392, without its `cid:`).
pub const PICTURE: &str = "graph";

/// What a message says.
#[derive(Debug, Clone)]
pub struct Notice {
    /// In which language.
    pub language: Language,
    /// Why it is sent.
    pub sort: Sort,
    /// The customer that it is written to; `None` for those who run the site.
    pub customer: Option<String>,
    /// What has begun.
    pub began: Vec<Item>,
    /// What has ended.
    pub ended: Vec<Item>,
    /// What lasts, and was told before.
    pub lasting: Vec<Item>,
    /// What the picture shows, if there is one.
    pub picture: Option<Picture>,
    /// Where all incidents, or all reports, are shown.
    pub link: String,
    /// Where it is settled who is written to, for a customer's contacts.
    pub settings_link: Option<String>,
}

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Something has begun or ended.
    News,
    /// Something lasts.
    Digest,
    /// Somebody wants to know whether messages arrive.
    Test,
    /// A month is over.
    Month {
        /// Which.
        month: Month,
        /// Whether its report could be made.
        is_made: bool,
    },
}

impl Sort {
    /// The sort of what is due.
    pub const fn of(due: Due) -> Option<Self> {
        match due {
            Due::Nothing => None,
            Due::News => Some(Self::News),
            Due::Digest => Some(Self::Digest),
        }
    }
}

/// One incident.
#[derive(Debug, Clone)]
pub struct Item {
    /// The customer's name, where the message is not to that customer alone.
    pub customer: Option<String>,
    /// What its server is called; none for the centre's own.
    pub server: Option<String>,
    /// What is or was.
    pub incident: Incident,
    /// What the newest exchange shows.
    pub figures: Option<Figures>,
    /// Where it is shown.
    pub link: String,
}

/// What the picture shows.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Which server's offset.
    pub server: String,
    /// The tolerance that its band shows.
    pub tolerance: Nanos,
    /// The offset at its upper edge; the lower one is as far below zero.
    pub scale: Nanos,
    /// Its first instant.
    pub from: UnixTime,
    /// The instant at its end.
    pub to: UnixTime,
}

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who read HTML; names the picture as [`PICTURE`], if there is one.
    pub html: String,
}

impl Notice {
    /// Writes the message. `local` says an instant in the reader's time zone, with the zone's name; nothing where that is UTC.
    pub fn write(&self, local: &dyn Fn(UnixTime) -> Option<String>) -> Written {
        let writer = Writer { notice: self, words: words::of(self.language), local };
        Written { subject: writer.subject(), text: writer.text(), html: writer.html() }
    }
}

struct Writer<'a> {
    notice: &'a Notice,
    words: &'a Words,
    local: &'a dyn Fn(UnixTime) -> Option<String>,
}

impl Writer<'_> {
    fn lists(&self) -> [(&'static str, &[Item], &'static str); 3] {
        let Notice { began, ended, lasting, .. } = self.notice;
        let words = self.words;
        [
            (words.began, began, "#a4262c"),
            (words.ended, ended, "#1e7b34"),
            (words.lasting, lasting, "#8a6100"),
        ]
    }

    fn subject(&self) -> String {
        let headline = self.headline();
        let who = self.notice.customer.as_deref().map_or_else(String::new, |who| format!("{}: ", name(who)));
        // Whatever it is made of, it is one line.
        format!("[Angbu] {who}{headline}").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The one thing that there is to say, or how many there are of each sort.
    fn headline(&self) -> String {
        let Notice { began, ended, lasting, sort, .. } = self.notice;
        let words = self.words;
        match (sort, began.as_slice(), ended.as_slice()) {
            (Sort::Test, _, _) => words.test_headline.to_owned(),
            (Sort::Month { month, is_made }, _, _) => {
                let said = if *is_made { words.month_made } else { words.month_not_made };
                fill(said, &[("month", &month.to_string())])
            }
            (Sort::News, [one], []) => self.sentence(one),
            (Sort::News, [], [one]) => fill(words.over, &[("what", &self.sentence(one))]),
            (Sort::Digest, _, _) if lasting.len() == 1 => {
                let what = lasting.first().map(|one| self.sentence(one)).unwrap_or_default();
                fill(words.still, &[("what", &what)])
            }
            _ => {
                let counts =
                    [(words.count_began, began), (words.count_ended, ended), (words.count_lasting, lasting)];
                let said = counts.iter().filter(|(_, items)| !items.is_empty());
                let said = said.map(|(text, items)| fill(text, &[("count", &count(items.len()))]));
                said.collect::<Vec<_>>().join(words.comma)
            }
        }
    }

    /// What is said under the headline of a message that tells of no incident.
    fn body(&self) -> Option<&'static str> {
        match self.notice.sort {
            Sort::News | Sort::Digest => None,
            Sort::Test => Some(self.words.test_body),
            Sort::Month { is_made: true, .. } => Some(self.words.month_made_body),
            Sort::Month { is_made: false, .. } => Some(self.words.month_not_made_body),
        }
    }

    /// What the link leads to.
    fn what_is_there(&self) -> &'static str {
        match self.notice.sort {
            Sort::Month { .. } => self.words.all_reports,
            Sort::News | Sort::Digest | Sort::Test => self.words.all_incidents,
        }
    }

    /// `db-3: the clock is outside its tolerance`.
    fn sentence(&self, item: &Item) -> String {
        let what = self.words.trouble(item.incident.trouble);
        match (&item.customer, &item.server) {
            (Some(customer), Some(server)) => format!("{}/{}: {what}", name(customer), name(server)),
            (None, Some(server)) => format!("{}: {what}", name(server)),
            (_, None) => what.to_owned(),
        }
    }

    fn when(&self, at: UnixTime) -> String {
        let utc = format!("{} UTC", figures::instant(at, 0));
        (self.local)(at).map_or_else(|| utc.clone(), |local| format!("{utc} ({local})"))
    }

    /// What is said beneath an incident's sentence.
    fn details(&self, item: &Item) -> Vec<String> {
        let (words, incident) = (self.words, &item.incident);
        let mut lines = vec![match incident.closed {
            None => fill(words.since, &[("from", &self.when(incident.opened))]),
            Some(closed) => {
                fill(words.from_to, &[("from", &self.when(incident.opened)), ("to", &self.when(closed))])
            }
        }];
        if incident.returns > 0 {
            lines.push(fill(words.came_back, &[("count", &incident.returns.to_string())]));
        }
        if let Some(Figures { offset, bound, tolerance }) = item.figures {
            let offset = format!("{} ± {}", figures::offset(offset), figures::bound(bound));
            lines
                .push(fill(words.figures, &[("offset", &offset), ("tolerance", &figures::exact(tolerance))]));
        }
        lines
    }

    fn text(&self) -> String {
        let words = self.words;
        let mut out = self.headline();
        out.push_str(".\n");
        if let Some(body) = self.body() {
            let _ = write!(out, "\n{body}\n");
        }
        for (heading, items, _) in self.lists().into_iter().filter(|(_, items, _)| !items.is_empty()) {
            let _ = write!(out, "\n{heading} ({})\n", count(items.len()));
            for item in items.iter().take(MOST_LISTED) {
                let _ = write!(out, "\n* {}\n", self.sentence(item));
                for line in self.details(item) {
                    let _ = writeln!(out, "  {line}");
                }
                let _ = writeln!(out, "  {}", item.link);
            }
            if let Some(more) = self.more(items) {
                let _ = write!(out, "\n{more}\n");
            }
        }
        let _ = write!(out, "\n{} {}\n\n-- \n{}\n", self.what_is_there(), self.notice.link, self.why_you());
        if let Some(link) = &self.notice.settings_link {
            let _ = writeln!(out, "{} {link}", words.settings);
        }
        out
    }

    fn more(&self, items: &[Item]) -> Option<String> {
        let more = items.len().checked_sub(MOST_LISTED).filter(|more| *more > 0)?;
        Some(fill(self.words.more, &[("count", &count(more))]))
    }

    fn why_you(&self) -> String {
        match &self.notice.customer {
            Some(customer) => fill(self.words.why_contact, &[("customer", &name(customer))]),
            None => self.words.why_operator.to_owned(),
        }
    }

    fn html(&self) -> String {
        let (words, notice) = (self.words, self.notice);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"supported-color-schemes\" content=\"light dark\">\
             <title>{}</title>\n<style>{STYLE}</style></head>\n<body><div class=\"page\">\n<h1>{}</h1>\n",
            notice.language.code(),
            escape(&self.subject()),
            escape(&self.headline()),
        );
        if let Some(customer) = &notice.customer {
            let _ = writeln!(out, "<p class=\"soft\">{}: {}</p>", words.customer, escape(&name(customer)));
        }
        if let Some(body) = self.body() {
            let _ = writeln!(out, "<p>{}</p>", escape(body));
        }
        self.picture(&mut out);
        for (heading, items, colour) in self.lists().into_iter().filter(|(_, items, _)| !items.is_empty()) {
            let _ = writeln!(
                out,
                "<h2>{} <span class=\"soft\">{}</span></h2>",
                escape(heading),
                count(items.len())
            );
            for item in items.iter().take(MOST_LISTED) {
                self.item(&mut out, item, colour);
            }
            if let Some(more) = self.more(items) {
                let _ = writeln!(out, "<p>{}</p>", escape(&more));
            }
        }
        let _ = writeln!(
            out,
            "<p><a class=\"go\" href=\"{}\">{}</a></p>\n<p class=\"soft foot\">{}{}</p>\n</div></body></html>",
            escape(&notice.link),
            escape(words.open_console),
            escape(&self.why_you()),
            notice.settings_link.as_ref().map_or_else(String::new, |link| {
                format!(" <a href=\"{}\">{}</a>", escape(link), escape(words.settings))
            })
        );
        out
    }

    fn item(&self, out: &mut String, item: &Item, colour: &str) {
        let _ = write!(
            out,
            "<div class=\"item\" style=\"border-left:4px solid {colour}\"><p><a href=\"{}\"><b>{}</b></a></p>",
            escape(&item.link),
            escape(&self.sentence(item))
        );
        for line in self.details(item) {
            let _ = write!(out, "<p>{}</p>", escape(&line));
        }
        out.push_str("</div>\n");
    }

    fn picture(&self, out: &mut String) {
        let Some(Picture { server, tolerance, scale, from, to }) = &self.notice.picture else { return };
        let caption = fill(
            self.words.picture,
            &[
                ("server", &name(server)),
                ("from", &self.when(*from)),
                ("to", &self.when(*to)),
                ("tolerance", &figures::exact(*tolerance)),
                ("scale", &figures::length(*scale)),
            ],
        );
        let caption = escape(&caption);
        let _ = writeln!(
            out,
            "<p class=\"figure\"><img src=\"cid:{PICTURE}\" width=\"600\" alt=\"{caption}\"></p><p class=\"soft\">{caption}</p>"
        );
    }
}

fn count(number: usize) -> String {
    figures::count(u64::try_from(number).unwrap_or(u64::MAX))
}

/// Readers of mail know little of CSS: no variables, no grid, and colours for the dark where they are asked for.
const STYLE: &str = "body{margin:0;padding:0;background:#f4f5f7;color:#16181d;font:15px/1.5 system-ui,-apple-system,'Segoe UI',\
    'Noto Sans KR','Noto Sans JP',sans-serif}.page{max-width:640px;margin:0 auto;padding:20px 16px}\
    h1{font-size:20px;line-height:1.3;margin:0 0 12px;overflow-wrap:anywhere}h2{font-size:16px;margin:24px 0 8px}p{margin:0 0 8px}\
    .soft{color:#565c68}.foot{font-size:13px;margin-top:24px}\
    .item{margin:0 0 12px;padding:8px 12px;background:#fff}.item p{margin:0;overflow-wrap:anywhere}\
    a{color:#0b57b0}.go{display:inline-block;margin-top:12px;padding:8px 16px;border:1px solid #0b57b0;border-radius:4px;\
    text-decoration:none}.figure img{width:100%;max-width:600px;height:auto;border-radius:4px}\
    @media (prefers-color-scheme:dark){body{background:#14161a;color:#eceef2}.item{background:#1f232a}.soft{color:#a9b0bd}\
    a{color:#8ab8ff}.go{border-color:#8ab8ff}}";

#[cfg(test)]
mod tests;
