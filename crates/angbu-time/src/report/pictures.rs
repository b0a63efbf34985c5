//! The pictures of a report: the strip of verdicts, and the graph of offsets with the tolerance under it.
//!
//! Both are drawn through columns of equal width, so that a month of exchanges costs no more than an hour of them. Coordinates are
//! integers; what is text stands beside the picture and not in it, so that it keeps its size on a phone.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use angbu_units::{Nanos, UnixTime};

use super::figures::{self, Civil};
use super::html::{escape, fill};
use super::server::{Bucket, Server, parted};
use super::window::{COLUMNS, Window};
use super::words::Words;
use crate::periods::{Period, Verdict};
use crate::record::Fact;

/// The units of a drawing: ten a column across, and its height, half of it on either side of zero.
const WIDTH: i64 = COLUMNS * 10;
const HEIGHT: i64 = 2_400;
/// The most marks of events on one graph.
const MOST_MARKS: usize = 200;

/// The strip: all of it within, but for the columns that hold anything else.
pub(super) fn strip(periods: &[Period], window: Window, label: &str) -> String {
    let mut out = format!("<div class=\"strip\" role=\"img\" aria-label=\"{}\">", escape(label));
    out.push_str(&columns(periods, window, |verdict| match verdict {
        Verdict::Within => None,
        Verdict::Outside => Some("o"),
        Verdict::NotProven => Some("n"),
    }));
    out.push_str("</div>\n");
    out
}

/// The columns that hold anything of a class, the worst of each first; neighbours of one class are one mark.
fn columns(periods: &[Period], window: Window, class: impl Fn(Verdict) -> Option<&'static str>) -> String {
    let mut worst = vec![Verdict::Within; usize::try_from(COLUMNS).unwrap_or(0)];
    for period in periods.iter().filter(|period| period.verdict != Verdict::Within) {
        let first = usize::try_from(window.place(period.from, COLUMNS)).unwrap_or(0);
        let last = usize::try_from(window.place(period.to - Nanos::new(1), COLUMNS)).unwrap_or(0);
        for column in worst.iter_mut().take(last + 1).skip(first) {
            if *column != Verdict::Outside {
                *column = period.verdict;
            }
        }
    }
    let mut out = String::new();
    let mut place = 0;
    for run in worst.chunk_by(|one, next| one == next) {
        let length = i64::try_from(run.len()).unwrap_or(0);
        if let Some(class) = run.first().and_then(|verdict| class(*verdict)) {
            let left = percent(place * 10_000 / COLUMNS);
            let width = percent((place + length) * 10_000 / COLUMNS - place * 10_000 / COLUMNS);
            let _ = write!(out, "<i class=\"{class}\" style=\"left:{left};width:{width}\"></i>");
        }
        place += length;
    }
    out
}

/// What a graph is drawn from.
pub(super) struct Graph<'a> {
    pub(super) window: Window,
    pub(super) server: &'a Server,
    pub(super) tolerances: &'a [(UnixTime, Nanos)],
    pub(super) words: &'a Words,
}

impl Graph<'_> {
    /// The graph at the scale of the tolerance and, where that shows nothing but a line, enlarged.
    pub(super) fn draw(&self) -> String {
        let reaches = || self.server.buckets.iter().map(Bucket::reach);
        let largest = reaches().max().unwrap_or_default();
        let held: Vec<Nanos> =
            self.held().into_iter().map(|(_, _, held)| held).filter(|held| *held > Nanos::ZERO).collect();
        let (least, most) = (held.iter().min().copied(), held.iter().max().copied());
        let scale = most.map_or(largest, |most| {
            // What lies far beyond the tolerance is marked at the edge, lest everything else become a line.
            let near = reaches().filter(|reach| *reach <= most.times(4)).max().unwrap_or_default();
            enlarge(near).max(Nanos::new(most.count() / 4 * 5))
        });
        let scale = scale.max(Nanos::new(1));
        let mut labels: BTreeSet<Nanos> =
            held.iter().flat_map(|tolerance| [*tolerance, -*tolerance]).collect();
        if labels.is_empty() {
            labels = [nice(largest), -nice(largest)].into();
        }
        let mut out = self.figure(scale, &labels, self.words.offset_graph, "");
        let enlarged = nice(enlarge(largest)).max(Nanos::new(10));
        if let Some(least) = least.filter(|least| largest > Nanos::ZERO && enlarged.times(6) < *least) {
            let times = figures::count((least.count() / enlarged.count()).unsigned_abs());
            let title = fill(self.words.enlarged, &[("times", &times)]);
            out.push_str(&self.figure(
                Nanos::new(enlarged.count() / 8 * 9),
                &[enlarged, -enlarged].into(),
                &title,
                " small",
            ));
        }
        out
    }

    fn figure(&self, scale: Nanos, labels: &BTreeSet<Nanos>, title: &str, class: &str) -> String {
        let Self { window, words, .. } = self;
        let buckets = &self.server.buckets;
        let mut out = format!(
            "<figure class=\"graph{class}\" role=\"img\" aria-label=\"{title}\">\n<h3>{title}</h3>\n<div class=\"plot\">\n",
            title = escape(title)
        );
        out.push_str("<div class=\"left\">");
        for value in labels.iter().copied().chain([Nanos::ZERO]) {
            let top = percent((HEIGHT / 2 - high(value, scale)) * 10_000 / HEIGHT);
            let text = if value == Nanos::ZERO { "0".to_owned() } else { figures::offset(value) };
            let _ = write!(out, "<span style=\"top:{top}\">{text}</span>");
        }
        // The band lies under everything, then the gaps, then the data.
        let drawing = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        );
        let _ = write!(
            out,
            "</div>\n<div class=\"area\">{drawing}{}</svg><div class=\"gaps\">",
            self.band(scale)
        );
        out.push_str(&columns(&self.server.periods, *window, |verdict| {
            (verdict == Verdict::NotProven).then_some("g")
        }));
        let _ = write!(out, "</div>{drawing}");
        let ticks = ticks(*window);
        for (at, _, _) in &ticks {
            let _ = write!(out, "<path class=\"tick\" d=\"M{x} 0V{HEIGHT}\"/>", x = window.place(*at, WIDTH));
        }
        let _ = write!(out, "<path class=\"zero\" d=\"M0 {}H{WIDTH}\"/>", HEIGHT / 2);
        let bound = |bucket: &Bucket| bucket.range;
        let offset = |bucket: &Bucket| bucket.offset;
        let _ = write!(out, "<path class=\"bound\" d=\"{}\"/>", self.outline(buckets, scale, bound));
        let _ = write!(out, "<path class=\"offset\" d=\"{}\"/>", self.outline(buckets, scale, offset));
        let (beyond, any) = self.beyond(buckets, scale);
        out.push_str(&beyond);
        out.push_str("</svg></div>\n");
        out.push_str(&self.marks());
        out.push_str("<div class=\"ticks\">");
        for (at, text, odd) in &ticks {
            let odd = if *odd { " class=\"odd\"" } else { "" };
            let _ =
                write!(out, "<span{odd} style=\"left:{}\">{text}</span>", percent(window.place(*at, 10_000)));
        }
        out.push_str("</div>\n</div>\n");
        if class.is_empty() {
            out.push_str(&keys(words, any));
        }
        out.push_str("</figure>\n");
        out
    }

    /// The stretches of the window in which a tolerance held.
    fn held(&self) -> Vec<(UnixTime, UnixTime, Nanos)> {
        let Window { from, to } = self.window;
        let ends = self.tolerances.iter().skip(1).map(|(since, _)| *since).chain([UnixTime::MAX]);
        let stretches = self.tolerances.iter().zip(ends);
        let stretches =
            stretches.map(|((since, tolerance), end)| ((*since).max(from), end.min(to), *tolerance));
        stretches.filter(|(since, end, _)| since < end).collect()
    }

    fn band(&self, scale: Nanos) -> String {
        let mut out = String::new();
        for (since, end, tolerance) in self.held() {
            let (left, right) = (self.window.place(since, WIDTH), self.window.place(end, WIDTH));
            let (top, bottom) = (HEIGHT / 2 - high(tolerance, scale), HEIGHT / 2 + high(tolerance, scale));
            let _ = write!(out, "<path class=\"band\" d=\"M{left} {top}H{right}V{bottom}H{left}z\"/>");
            if tolerance <= scale {
                let _ =
                    write!(out, "<path class=\"edge\" d=\"M{left} {top}H{right}M{left} {bottom}H{right}\"/>");
            }
        }
        out
    }

    /// Whether the line goes on: the exchanges lie no further apart than one covers, and nothing happened between them.
    fn joined(&self, one: &Bucket, next: &Bucket) -> bool {
        next.first - one.last <= one.covers && !parted(&self.server.events, one.last, next.first)
    }

    /// The area between the least and the most of each column.
    fn outline(
        &self,
        buckets: &[Bucket],
        scale: Nanos,
        values: impl Fn(&Bucket) -> (Nanos, Nanos),
    ) -> String {
        let y = |value: Nanos| HEIGHT / 2 - high(value, scale);
        let mut out = String::new();
        let seen: Vec<Bucket> = buckets
            .iter()
            .filter(|bucket| bucket.offset.0 <= scale && bucket.offset.1 >= -scale)
            .copied()
            .collect();
        for run in seen.chunk_by(|one, next| self.joined(one, next)) {
            let mut upper = Vec::with_capacity(run.len() * 2);
            let mut lower = Vec::with_capacity(run.len() * 2);
            for bucket in run {
                let (least, most) = values(bucket);
                // Each column is as wide as its exchanges lie apart, so that a lone one is still seen.
                let left = self.window.place(bucket.first, WIDTH);
                let right = self.window.place(bucket.last, WIDTH).max(left + 2);
                upper.extend([(left, y(most)), (right, y(most))]);
                lower.extend([(left, y(least)), (right, y(least))]);
            }
            for (index, (x, y)) in upper.into_iter().chain(lower.into_iter().rev()).enumerate() {
                let _ = write!(out, "{}{x} {y}", if index == 0 { 'M' } else { 'L' });
            }
            out.push('z');
        }
        out
    }

    /// A mark at the edge of the picture where the offset lies beyond it.
    fn beyond(&self, buckets: &[Bucket], scale: Nanos) -> (String, bool) {
        let mut path = String::new();
        for bucket in buckets {
            let left = self.window.place(bucket.first, WIDTH);
            let right = self.window.place(bucket.last, WIDTH).max(left + 10);
            if bucket.offset.1 > scale {
                let _ = write!(path, "M{left} 0H{right}");
            }
            if bucket.offset.0 < -scale {
                let _ = write!(path, "M{left} {HEIGHT}H{right}");
            }
        }
        if path.is_empty() { (path, false) } else { (format!("<path class=\"beyond\" d=\"{path}\"/>"), true) }
    }

    /// The marks of events under the graph; of one kind at most one in a place.
    fn marks(&self) -> String {
        let mut out = String::from("<div class=\"events\">");
        let mut taken = BTreeSet::new();
        for event in &self.server.events {
            let at = event.at;
            let (class, shape) = match &event.record.fact {
                Fact::Alarm(_) => ("alarm", "<path d=\"M7 0l7 7-7 7-7-7z\"/>"),
                Fact::Start(_) => ("start", "<path d=\"M3 2l9 5-9 5z\"/>"),
                Fact::Stop(_) => ("stop", "<path d=\"M3 3h8v8H3z\"/>"),
                Fact::Dropped(_) => ("dropped", "<circle cx=\"7\" cy=\"7\" r=\"4.5\"/>"),
                Fact::Pause(_) => ("stop", "<path d=\"M3 3h3v8H3zM8 3h3v8H8z\"/>"),
                Fact::Exchange(_) | Fact::Corrections(_) => continue,
            };
            if taken.len() >= MOST_MARKS || !taken.insert((self.window.place(at, COLUMNS / 4), class)) {
                continue;
            }
            let left = percent(self.window.place(at, 10_000));
            let title = escape(&figures::instant(at, 0));
            let _ = write!(
                out,
                "<svg class=\"e-{class}\" viewBox=\"0 0 14 14\" style=\"left:{left}\"><title>{title}</title>{shape}</svg>"
            );
        }
        out.push_str("</div>\n");
        out
    }
}

fn keys(words: &Words, beyond: bool) -> String {
    let mut keys = vec![
        ("k-band", words.key_tolerance),
        ("k-offset", words.key_offset),
        ("k-bound", words.key_bound),
        ("k-gap", words.key_gap),
    ];
    if beyond {
        keys.push(("k-beyond", words.key_beyond));
    }
    let items =
        keys.into_iter().map(|(class, text)| format!("<li><i class=\"{class}\"></i>{}</li>", escape(text)));
    format!("<ul class=\"keys\">{}</ul>\n", items.collect::<String>())
}

/// How high above zero a value is drawn.
fn high(value: Nanos, scale: Nanos) -> i64 {
    let half = i128::from(HEIGHT / 2);
    let high = i128::from(value.count()) * half / i128::from(scale.count().max(1));
    i64::try_from(high.clamp(-half, half)).unwrap_or(0)
}

/// A tenth more, so that the largest value does not touch the frame.
fn enlarge(value: Nanos) -> Nanos {
    value + Nanos::new(value.count() / 10)
}

/// The next number up that reads well: 1, 2 or 5 and zeros.
fn nice(value: Nanos) -> Nanos {
    let value = value.count().max(1);
    let mut unit = 1_i64;
    loop {
        for step in [1, 2, 5] {
            let nice = unit.saturating_mul(step);
            if nice >= value {
                return Nanos::new(nice);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Where the axis of time is labelled, how, and which labels a narrow page leaves out.
fn ticks(window: Window) -> Vec<(UnixTime, String, bool)> {
    const SECOND: i64 = 1_000_000_000;
    const STEPS: [i64; 22] = [
        1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800,
        432_000, 864_000, 2_592_000, 7_776_000, 31_536_000,
    ];
    let length = (window.to - window.from).count();
    let step =
        STEPS.into_iter().find(|step| length / (step * SECOND) <= 8).unwrap_or(length / (8 * SECOND) + 1);
    let first = window.from.nanos().div_euclid(step * SECOND);
    let instants = (first..).map(|n| UnixTime::from_nanos(n.saturating_mul(step * SECOND)));
    let inside = instants.take(12).filter(|at| {
        // A label at the very edge would hang over it.
        let place = window.place(*at, 100);
        window.from <= *at && *at < window.to && (2..=97).contains(&place)
    });
    let label = |(number, at): (usize, UnixTime)| {
        let Civil { month, day, clock, .. } = Civil::of(at);
        let text = match step {
            0..60 => clock,
            60..86_400 if clock == "00:00:00" => format!("{month:02}-{day:02}"),
            60..86_400 => clock.get(..5).unwrap_or_default().to_owned(),
            _ => format!("{month:02}-{day:02}"),
        };
        (at, text, number % 2 == 1)
    };
    inside.enumerate().map(label).collect()
}

fn percent(hundredths: i64) -> String {
    format!("{}.{:02}%", hundredths / 100, (hundredths % 100).abs())
}
