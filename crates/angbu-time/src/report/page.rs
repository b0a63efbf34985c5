//! The page: the answer first, in words; the evidence of it below, server by server; what it proves, and how to check that.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use angbu_units::{ClockVerdict, Nanos, UnixTime};

use super::facts::Facts;
use super::figures::{self, Civil, Shares};
use super::html::{escape, fill, name, sentence};
use super::pictures::{Graph, strip};
use super::rows::{self, Row, Rows};
use super::server::{Event, Figures, Proofs, Server, Summarised};
use super::window::Window;
use super::words::Words;
use crate::periods::{Totals, Verdict};
use crate::record::Fact;

const STYLE: &str = include_str!("style.css");
const MARK: &str = "<svg class=\"mark\" viewBox=\"0 0 32 32\" width=\"22\" height=\"22\" aria-hidden=\"true\"><path d=\"M17 3v20H4z\"/><path d=\"M17 23l12 6\"/></svg>";

/// The file up to the evidence, and what follows it.
pub(super) fn page(facts: &Facts<'_>, words: &Words) -> (String, String) {
    let page = Page { facts, words, window: facts.window };
    let mut out = String::new();
    page.head(&mut out);
    page.summary(&mut out);
    if facts.servers.len() > 1 {
        page.servers(&mut out);
    }
    for server in &facts.servers {
        page.server(server, &mut out);
    }
    page.clock(&mut out);
    page.erased(&mut out);
    page.proofs(&mut out);
    page.check(&mut out);
    out.push_str("</main>\n");
    (out, "</body>\n</html>\n".to_owned())
}

pub(super) struct Page<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) words: &'a Words,
    window: Window,
}

impl Page<'_> {
    fn head(&self, out: &mut String) {
        let words = self.words;
        let customer = name(&self.facts.customer);
        let values = [("report", words.report), ("customer", customer.as_str()), ("period", &self.period())];
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<meta name=\"description\" content=\"{answer}\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>{MARK}<b>Angbu</b><span>{report}</span></header>\n<main>\n",
            code = words.language.code(),
            title = escape(&fill(words.title, &values)),
            answer = escape(&self.answer()),
            report = escape(words.report),
        );
    }

    /// The answer, what it was measured against, and the period as one picture.
    fn summary(&self, out: &mut String) {
        let (facts, words) = (self.facts, self.words);
        let _ = writeln!(out, "<h1>{}</h1>", sentence(&self.answer()));
        for said in self.against() {
            let _ = writeln!(out, "<p class=\"lead\">{}</p>", sentence(&said));
        }
        if let [server] = facts.servers.as_slice() {
            self.verdicts(server, out);
        }
        let tolerances = facts.tolerances_in_period();
        let tolerances: Vec<_> = tolerances.into_iter().map(figures::exact).collect();
        let tolerance =
            if tolerances.is_empty() { words.no_tolerance.to_owned() } else { tolerances.join(", ") };
        let (from, to) = (facts.proven.subject.from, facts.proven.subject.to);
        // To the last digit: the period is the reader's question, and nothing else in the file would tell that a digit
        // of it was changed.
        let digits = |time: UnixTime| match time.nanos() {
            nanos if nanos % 1_000_000_000 == 0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            _ => 9,
        };
        let instant = |time| figures::instant(time, digits(time));
        let period = format!("{} \u{2013} {}", instant(from), instant(to));
        let rows = [
            (words.customer, name(&facts.customer)),
            (words.period, format!("{period} UTC ({})", figures::span(to - from, words))),
            (words.tolerance, tolerance),
            (words.data_until, format!("{} UTC", figures::instant(self.data_until(), 0))),
        ];
        out.push_str("<dl>\n");
        for (term, value) in rows {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(term), escape(&value));
        }
        out.push_str("</dl>\n");
    }

    fn servers(&self, out: &mut String) {
        let words = self.words;
        let _ = write!(out, "<h2>{}</h2>\n<table class=\"servers\">\n<thead><tr>", escape(words.servers));
        let verdicts =
            [Verdict::Within, Verdict::Outside, Verdict::NotProven].map(|verdict| words.verdict(verdict));
        for (heading, class) in [
            (words.server, ""),
            (words.over_time, ""),
            (verdicts[0], "end"),
            (verdicts[1], "end"),
            (verdicts[2], "end"),
            (words.reference, ""),
        ] {
            let _ = write!(out, "<th class=\"{class}\">{}</th>", escape(heading));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for server in &self.facts.servers {
            let shares = Shares::of(&server.totals);
            let _ = write!(
                out,
                "<tr><td><a href=\"#{}\"><bdi>{}</bdi></a></td><td>{}</td>",
                server.agent,
                escape(&name(&server.name)),
                strip(&server.periods, self.window, words.over_time).trim_end()
            );
            for (share, verdict) in [
                (shares.within, Verdict::Within),
                (shares.outside, Verdict::Outside),
                (shares.not_proven, Verdict::NotProven),
            ] {
                let _ = write!(out, "<td class=\"end\">{}{}</td>", chip(verdict), share.text());
            }
            let _ = writeln!(out, "<td>{}</td></tr>", escape(&self.references(server)));
        }
        out.push_str("</tbody>\n</table>\n");
    }

    fn server(&self, server: &Server, out: &mut String) {
        let words = self.words;
        let alone = self.facts.servers.len() == 1;
        let shown = escape(&name(&server.name));
        let _ = writeln!(
            out,
            "<section class=\"server\" id=\"{}\">\n<h2><bdi>{shown}</bdi> <code class=\"soft\">{}</code></h2>",
            server.agent, server.agent
        );
        if !alone {
            let _ = writeln!(out, "<p>{}</p>", sentence(&self.answer_for(server)));
            self.verdicts(server, out);
        }
        if server.figures.exchanges == 0 {
            let _ =
                writeln!(out, "<p>{} {}</p>", escape(words.no_exchanges), escape(words.no_exchanges_next));
        } else {
            let _ = writeln!(out, "<p>{}</p>", sentence(&figures_of(server, words)));
            self.seals(server, out);
            self.summarised(server, out);
            let graph = Graph { window: self.window, server, tolerances: &self.facts.tolerances, words };
            out.push_str(&graph.draw());
        }
        self.periods(server, out);
        self.events(server, out);
        out.push_str("</section>\n");
    }

    /// How many exchanges the centre sealed, where anything was shown of any: elsewhere there is nothing to tell.
    fn seals(&self, server: &Server, out: &mut String) {
        let Proofs { proven, late, refused } = server.figures.proofs;
        if !server.figures.proofs.any() {
            return;
        }
        let values = [
            ("proven", figures::count(proven)),
            ("count", figures::count(server.figures.exchanges)),
            ("late", figures::count(late)),
            ("refused", figures::count(refused)),
        ];
        let _ = writeln!(out, "<p>{}</p>", sentence(&filled(self.words.sealed, &values)));
    }

    /// What of the period rests on summaries, where anything does.
    fn summarised(&self, server: &Server, out: &mut String) {
        let Summarised { entries, first, last, segments, exchanges, length } = server.summarised;
        if entries == 0 {
            return;
        }
        let values = [
            ("count", figures::count(exchanges)),
            ("length", figures::span(length, self.words)),
            ("entries", figures::count(entries)),
            ("first", figures::count(first)),
            ("last", figures::count(last)),
            ("segments", figures::count(segments)),
        ];
        let _ = writeln!(out, "<p>{}</p>", sentence(&filled(self.words.summarised, &values)));
    }

    /// The strip of verdicts, the shares, and against what they were judged.
    fn verdicts(&self, server: &Server, out: &mut String) {
        let words = self.words;
        out.push_str(&strip(&server.periods, self.window, words.over_time));
        out.push_str("<ul class=\"shares\">");
        let shares = Shares::of(&server.totals);
        let Totals { within, outside, not_proven } = server.totals;
        for (verdict, share, length) in [
            (Verdict::Within, shares.within, within),
            (Verdict::Outside, shares.outside, outside),
            (Verdict::NotProven, shares.not_proven, not_proven),
        ] {
            let _ = write!(
                out,
                "<li>{}<b>{}</b> {} <span class=\"soft\">{}</span></li>",
                chip(verdict),
                share.text(),
                escape(words.verdict(verdict)),
                escape(&figures::span(length, words))
            );
        }
        let _ = writeln!(
            out,
            "<li class=\"soft\">{}: {}</li></ul>",
            escape(words.reference),
            escape(&self.references(server))
        );
    }

    fn periods(&self, server: &Server, out: &mut String) {
        let words = self.words;
        let _ = write!(
            out,
            "<h3>{}</h3>\n<p class=\"soft\">{}</p>\n",
            escape(words.periods),
            escape(words.times_in_utc)
        );
        begin_table("rows", &[words.from, words.to, words.length, words.verdict, words.reference], out);
        let Rows { rows, all, left_out } = Rows::of(&server.periods);
        for row in &rows {
            let whys: Vec<_> = row.whys.iter().map(|why| words.why(*why)).collect();
            let changing = (row.periods > 1).then_some(words.changing);
            let whys: Vec<_> = changing.into_iter().chain(whys).collect();
            let references = row.references().map(|reference| words.reference(reference));
            let _ = writeln!(
                out,
                "<tr><td class=\"fixed\">{}</td><td class=\"fixed\">{}</td><td class=\"fixed\">{}</td>\
                 <td>{} <span class=\"soft\">{}</span></td><td>{}</td></tr>",
                figures::instant(row.from, self.decimals()),
                figures::instant(row.to, self.decimals()),
                escape(&figures::span(row.to - row.from, words)),
                self.verdict(row),
                escape(&whys.join("; ")),
                references
                    .map(|reference| format!("<span class=\"fixed\">{}</span>", escape(reference)))
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        out.push_str("</tbody>\n</table></div>\n");
        if rows.len() < all {
            let values = [
                ("count", figures::count(u64::try_from(all).unwrap_or(u64::MAX))),
                ("listed", figures::count(u64::try_from(rows.len()).unwrap_or(u64::MAX))),
                ("length", figures::span(left_out, words)),
            ];
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&filled(words.more_periods, &values)));
        }
    }

    /// A row's verdict, or the shares of each.
    fn verdict(&self, row: &Row) -> String {
        if let Some(verdict) = row.verdict() {
            return format!(
                "<span class=\"fixed\">{}{}</span>",
                chip(verdict),
                escape(self.words.verdict(verdict))
            );
        }
        let Shares { within, outside, not_proven } = Shares::of(&row.totals);
        let shares =
            [(within, Verdict::Within), (outside, Verdict::Outside), (not_proven, Verdict::NotProven)];
        let some = shares.into_iter().filter(|(share, _)| share.any);
        let told = some.map(|(share, verdict)| {
            let word = escape(self.words.verdict(verdict));
            format!("<span class=\"fixed\">{}{} {word}</span>", chip(verdict), share.text())
        });
        told.collect::<Vec<_>>().join(" ")
    }

    fn events(&self, server: &Server, out: &mut String) {
        let words = self.words;
        let _ = writeln!(out, "<h3>{}</h3>", escape(words.happened));
        if server.events.is_empty() {
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(words.nothing_happened));
            return;
        }
        begin_table("events", &[words.when, words.what, words.entry], out);
        for event in server.events.iter().take(rows::MOST) {
            let _ = writeln!(
                out,
                "<tr><td class=\"fixed\">{}</td><td>{}</td><td class=\"fixed\">{}</td></tr>",
                figures::instant(event.at, self.decimals()),
                escape(&self.happened(event)),
                event.index
            );
        }
        out.push_str("</tbody>\n</table></div>\n");
        if let Some(more) = server.events.len().checked_sub(rows::MOST).filter(|more| *more > 0) {
            let values = [("count", figures::count(u64::try_from(more).unwrap_or(u64::MAX)))];
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&filled(words.more_events, &values)));
        }
    }

    fn clock(&self, out: &mut String) {
        let words = self.words;
        let _ = writeln!(out, "<h2>{}</h2>", escape(words.clock));
        if self.facts.clock_states.is_empty() {
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(words.clock_unused));
            return;
        }
        let (about, utc) = (escape(words.clock_about), escape(words.times_in_utc));
        let _ = writeln!(out, "<p class=\"soft\">{about} {utc}</p>");
        let headings = [
            words.since,
            words.verdict,
            words.source,
            words.why,
            words.error_bound,
            words.exchanges,
            words.entry,
        ];
        begin_table("states", &headings, out);
        for state in self.facts.clock_states.iter().take(rows::MOST) {
            let source = name(&state.source);
            let bound = match state.verdict {
                ClockVerdict::Unproven => words.none.to_owned(),
                _ => figures::bound(state.bound),
            };
            let _ = writeln!(
                out,
                "<tr><td class=\"fixed\">{}</td><td class=\"fixed\">{}</td><td><bdi>{}</bdi></td><td>{}</td>\
                 <td class=\"fixed\">{}</td><td class=\"fixed\">{}</td><td class=\"fixed\">{}</td></tr>",
                figures::instant(state.since, self.decimals()),
                escape(words.reference(Some(state.verdict))),
                escape(if source.is_empty() { words.none } else { &source }),
                escape(&name(words.reason(&state.reason))),
                escape(&bound),
                figures::count(state.exchanges),
                state.index
            );
        }
        out.push_str("</tbody>\n</table></div>\n");
        if let Some(more) = self.facts.clock_states.len().checked_sub(rows::MOST).filter(|more| *more > 0) {
            let values = [("count", figures::count(u64::try_from(more).unwrap_or(u64::MAX)))];
            let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&filled(words.more_events, &values)));
        }
    }

    /// The first line: what is so, in words.
    fn answer(&self) -> String {
        let (words, facts) = (self.words, self.facts);
        let least = facts.servers.iter().min_by_key(|server| server.totals.within);
        let (Some(least), false) = (least, facts.servers.len() == 1) else {
            let values = [("customer", name(&facts.customer)), ("period", self.period())];
            let alone = facts.servers.first().map(|server| self.answer_for(server));
            return alone.unwrap_or_else(|| filled(words.nobody, &values));
        };
        let whole = self.window.to - self.window.from;
        let good = facts.servers.iter().filter(|server| server.totals.within == whole).count();
        let template = match good {
            good if good == facts.servers.len() => words.many_all,
            0 => words.many_none,
            1 => words.many_one,
            _ => words.many_some,
        };
        let values = [
            ("count", facts.servers.len().to_string()),
            ("good", good.to_string()),
            ("customer", name(&facts.customer)),
            ("within", self.within()),
            ("period", self.period()),
            ("least", name(&least.name)),
            ("share", Shares::of(&least.totals).within.text()),
        ];
        filled(template, &values)
    }

    fn answer_for(&self, server: &Server) -> String {
        let words = self.words;
        let shares = Shares::of(&server.totals);
        let rest = [(words.rest_outside, shares.outside), (words.rest_not_proven, shares.not_proven)];
        let rest: Vec<_> = rest
            .into_iter()
            .filter(|(_, share)| share.any)
            .map(|(template, share)| fill(template, &[("share", &share.text())]))
            .collect();
        let template = match (shares.within.any, rest.is_empty()) {
            (true, true) => words.one_all,
            (true, false) => words.one_some,
            (false, _) => words.one_none,
        };
        let values = [
            ("server", name(&server.name)),
            ("within", self.within()),
            ("period", self.period()),
            ("share", shares.within.text()),
            ("rest", rest.join(words.rest_and)),
        ];
        filled(template, &values)
    }

    fn within(&self) -> String {
        let tolerances = self.facts.tolerances_in_period();
        match (tolerances.first(), tolerances.len()) {
            (Some(tolerance), 1) => {
                fill(self.words.within_tolerance, &[("tolerance", &figures::exact(*tolerance))])
            }
            _ => self.words.its_tolerance.to_owned(),
        }
    }

    /// What the verdicts rest on.
    fn against(&self) -> Vec<String> {
        let (words, states) = (self.words, &self.facts.clock_states);
        let of = |verdict| states.iter().filter(move |state| state.verdict == verdict);
        let sources: BTreeSet<_> = of(ClockVerdict::Declared).map(|state| name(&state.source)).collect();
        let bound = of(ClockVerdict::Proven).map(|state| state.bound).max();
        let exchanges: u64 = self.facts.servers.iter().map(|server| server.figures.exchanges).sum();
        let resting: u64 = states.iter().map(|state| state.exchanges).sum();
        let unknown = exchanges > resting;
        let unproven = unknown || of(ClockVerdict::Unproven).next().is_some();
        let main = match (sources.is_empty(), bound) {
            (true, None) if unproven => words.against_unproven,
            (true, None) => words.against_nothing,
            (false, None) => words.against_declared,
            (true, Some(_)) => words.against_proven,
            (false, Some(_)) => words.against_mixed,
        };
        let source = sources.into_iter().collect::<Vec<_>>().join(", ");
        let main_said =
            filled(main, &[("source", source), ("bound", figures::bound(bound.unwrap_or_default()))]);
        let partly = unproven && main != words.against_unproven;
        [Some(main_said), partly.then(|| words.against_partly_unproven.to_owned())]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What a server's verdicts rest on, in the words of the tables.
    fn references(&self, server: &Server) -> String {
        let order = [ClockVerdict::Proven, ClockVerdict::Declared, ClockVerdict::Unproven];
        let rests =
            |verdict: &ClockVerdict| server.periods.iter().any(|period| period.reference == Some(*verdict));
        let words: Vec<_> =
            order.into_iter().filter(rests).map(|verdict| self.words.reference(Some(verdict))).collect();
        if words.is_empty() { self.words.reference(None).to_owned() } else { words.join(", ") }
    }

    fn happened(&self, event: &Event) -> String {
        let words = self.words;
        let (text, at) = match &event.record.fact {
            Fact::Alarm(alarm) => {
                let template = words.alarm(alarm.kind, alarm.difference < Nanos::ZERO);
                (filled(template, &[("difference", figures::length(alarm.difference.abs()))]), alarm.at)
            }
            Fact::Start(start) => {
                let template = if start.clean { words.started } else { words.started_after_crash };
                let manner = words.manner(start.manner);
                let software = format!("{}{manner}", start.software.as_str());
                (
                    filled(template, &[("software", software), ("poll", figures::span(start.poll, words))]),
                    start.at,
                )
            }
            Fact::Stop(stop) => (words.stopped.to_owned(), stop.at),
            Fact::Dropped(dropped) => {
                let lost = figures::count(dropped.last - event.record.seq + 1);
                (filled(words.dropped, &[("count", lost)]), dropped.at)
            }
            Fact::Pause(pause) => {
                let length = figures::length(pause.length);
                (filled(words.paused(pause.reason), &[("length", length)]), pause.at)
            }
            Fact::Corrections(corrections) => {
                let values = [
                    ("count", figures::count(u64::try_from(corrections.made.len()).unwrap_or(u64::MAX))),
                    (
                        "difference",
                        figures::length(
                            corrections.made.last().map_or(Nanos::ZERO, |made| made.amount.abs()),
                        ),
                    ),
                ];
                (filled(words.corrected, &values), corrections.at)
            }
            Fact::Exchange(_) => return String::new(),
        };
        // Where the server's own clock said something else, that is told too.
        if (at.system - event.at).abs() < Nanos::from_secs(1) {
            return text;
        }
        let own = filled(words.own_clock, &[("time", figures::instant(at.system, 0))]);
        format!("{text} ({own})")
    }

    /// The period in words: a month, a day, or from when until when.
    fn period(&self) -> String {
        let words = self.words;
        let Window { from, to } = self.window;
        let (first, last) = (Civil::of(from), Civil::of(to));
        let whole = first.is_midnight()
            && last.is_midnight()
            && from.nanos() % 1_000_000_000 == 0
            && to.nanos() % 1_000_000_000 == 0;
        let next_month = last.day == 1 && last.month == first.month % 12 + 1;
        if whole && first.day == 1 && next_month && to - from <= Nanos::from_secs(31 * 86_400) {
            let month =
                words.months.get(usize::from(first.month.saturating_sub(1))).copied().unwrap_or_default();
            return fill(words.whole_month, &[("year", &first.year), ("month", month)]);
        }
        if whole && to - from == Nanos::from_secs(86_400) {
            return self.date(&first);
        }
        // Seconds only where there are any.
        let short = first.clock.ends_with(":00") && last.clock.ends_with(":00");
        let clock =
            |civil: &Civil| civil.clock.get(..if short { 5 } else { 8 }).unwrap_or_default().to_owned();
        let (from, to) = (clock(&first), clock(&last));
        let (date, until) = (self.date(&first), self.date(&last));
        if date == until {
            return filled(words.within_day, &[("date", date), ("from", from), ("to", to)]);
        }
        filled(words.across_days, &[("from", format!("{date} {from}")), ("to", format!("{until} {to}"))])
    }

    fn date(&self, civil: &Civil) -> String {
        let month =
            self.words.months.get(usize::from(civil.month.saturating_sub(1))).copied().unwrap_or_default();
        let values = [("year", civil.year.as_str()), ("month", month), ("day", &civil.day.to_string())];
        fill(self.words.one_day, &values)
    }

    pub(super) fn data_until(&self) -> UnixTime {
        self.facts.proven.complete_until
    }

    /// The decimals that the centre's clock supports.
    pub(super) fn decimals(&self) -> u8 {
        let bounds = self.facts.clock_states.iter().filter(|state| state.verdict != ClockVerdict::Unproven);
        figures::decimals(bounds.map(|state| state.bound).max().unwrap_or(Nanos::MAX))
    }
}

fn chip(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "<i class=\"chip\"></i>",
        Verdict::Outside => "<i class=\"chip o\"></i>",
        Verdict::NotProven => "<i class=\"chip n\"></i>",
    }
}

pub(super) fn begin_table(class: &str, headings: &[&str], out: &mut String) {
    let _ = write!(out, "<div class=\"wide\"><table class=\"{class}\">\n<thead><tr>");
    for heading in headings {
        let _ = write!(out, "<th>{}</th>", escape(heading));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn figures_of(server: &Server, words: &Words) -> String {
    let Figures { exchanges, offset: (least, most), delay, bound, .. } = server.figures;
    let values = [
        ("count", figures::count(exchanges)),
        ("least", figures::offset(least)),
        ("most", figures::offset(most)),
        ("delay", figures::length(delay)),
        ("bound", figures::bound(bound)),
    ];
    filled(words.figures, &values)
}

pub(super) fn filled(template: &str, values: &[(&str, String)]) -> String {
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    fill(template, &values)
}
