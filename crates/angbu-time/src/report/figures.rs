//! Figures as people read them: lengths of time, shares, instants. Integers only, so that every machine writes the same.

use angbu_units::{Nanos, UnixTime};

use super::words::Words;

/// `1296000` as `1,296,000`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A measured length to three digits, rounded towards zero: `83.4 µs`, `-1.25 ms`, `3,600 s`. A true minus sign.
pub(crate) fn length(length: Nanos) -> String {
    signed(length, magnitude(length.count().unsigned_abs(), 3))
}

/// The same with its sign, whichever it is.
pub(crate) fn offset(length: Nanos) -> String {
    let text = self::length(length);
    if length > Nanos::ZERO { format!("+{text}") } else { text }
}

/// A bound to three digits, rounded up, so that it stays a bound.
pub(crate) fn bound(length: Nanos) -> String {
    let nanos = length.count().unsigned_abs();
    let unit = 10_u64.pow(digits(nanos).saturating_sub(3));
    magnitude(nanos.div_ceil(unit).saturating_mul(unit), 3)
}

/// A length that was settled, to the last digit: `50 ms`, `1.5 s`.
pub(crate) fn exact(length: Nanos) -> String {
    signed(length, magnitude(length.count().unsigned_abs(), 19))
}

/// A stretch of time in its two largest units: `3 d 4 h`, `12 min 5 s`, `840 ms`. Rounded down.
pub(super) fn span(length: Nanos, words: &Words) -> String {
    let nanos = length.count().unsigned_abs();
    if (1..1_000_000_000).contains(&nanos) {
        return magnitude(nanos, 3);
    }
    let seconds = nanos / 1_000_000_000;
    let units = [(86_400, words.days), (3_600, words.hours), (60, words.minutes), (1, words.seconds)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, word) in units {
        if !parts.is_empty() || rest >= unit || unit == 1 {
            parts.push((rest / unit, word));
            rest %= unit;
        }
    }
    let first = parts.first().map(|(number, word)| format!("{}{word}", count(*number))).unwrap_or_default();
    let second = parts.get(1).filter(|(number, _)| *number > 0);
    second.map_or(first.clone(), |(number, word)| format!("{first}{}{number}{word}", words.between_units))
}

/// Shares of one whole in hundredths of a percent that add up to 100 %. What is within is rounded down and what is outside up,
/// so that no rounding ever flatters.
pub(super) struct Shares {
    pub(super) within: Share,
    pub(super) outside: Share,
    pub(super) not_proven: Share,
}

/// A share, and whether it is anything at all.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) hundredths: u64,
    pub(super) any: bool,
}

impl Shares {
    pub(super) fn of(totals: &crate::periods::Totals) -> Self {
        let [within, outside, not_proven] =
            [totals.within, totals.outside, totals.not_proven].map(|part| part.count().unsigned_abs());
        let whole = u128::from(within) + u128::from(outside) + u128::from(not_proven);
        let hundredths = |part: u64| u128::from(part) * 10_000;
        let down = hundredths(within).checked_div(whole).unwrap_or(0);
        let up = if whole == 0 { 0 } else { hundredths(outside).div_ceil(whole) };
        let rest = 10_000_u128.saturating_sub(down + up);
        let share =
            |hundredths: u128, any: bool| Share { hundredths: u64::try_from(hundredths).unwrap_or(0), any };
        Self {
            within: share(down, within > 0),
            outside: share(up, outside > 0),
            not_proven: share(rest, not_proven > 0 || whole == 0),
        }
    }
}

impl Share {
    /// `99.2 %`; what is something never reads as nothing.
    pub(super) fn text(self) -> String {
        let Self { hundredths, any } = self;
        if any && hundredths == 0 {
            return "< 0.01 %".to_owned();
        }
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        match (rest, rest % 10) {
            (0, _) => format!("{whole} %"),
            (_, 0) => format!("{whole}.{} %", rest / 10),
            _ => format!("{whole}.{rest:02} %"),
        }
    }
}

/// The decimals of a second that an error bound supports, at most 3.
pub(super) fn decimals(bound: Nanos) -> u8 {
    match bound.count() {
        0..=1_000_000 => 3,
        1_000_001..=10_000_000 => 2,
        10_000_001..=100_000_000 => 1,
        _ => 0,
    }
}

/// An instant in UTC: `2026-10-01 14:05:07.25`.
pub(crate) fn instant(time: UnixTime, decimals: u8) -> String {
    time.rfc3339(decimals).trim_end_matches('Z').replacen('T', " ", 1)
}

/// The parts of an instant in UTC that calendars name: year, month, day, and the time of day.
pub(super) struct Civil {
    pub(super) year: String,
    pub(super) month: u8,
    pub(super) day: u8,
    /// `14:05:07`
    pub(super) clock: String,
}

impl Civil {
    pub(super) fn of(time: UnixTime) -> Self {
        let text = instant(time, 0);
        let (date, clock) = text.split_once(' ').unwrap_or((&text, ""));
        let mut parts = date.rsplitn(3, '-');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let (day, month) = (number(), number());
        Self { year: parts.next().unwrap_or_default().to_owned(), month, day, clock: clock.to_owned() }
    }

    pub(super) fn is_midnight(&self) -> bool {
        self.clock == "00:00:00"
    }
}

fn signed(length: Nanos, text: String) -> String {
    if length < Nanos::ZERO && text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        format!("\u{2212}{text}")
    } else {
        text
    }
}

/// Nanoseconds in the largest unit that leaves a digit before the point, to so many digits, without trailing zeros.
fn magnitude(nanos: u64, significant: u32) -> String {
    let (unit, decimals, word) = match nanos {
        0 => return "0 s".to_owned(),
        1..1_000 => (1, 0, "ns"),
        1_000..1_000_000 => (1_000, 3, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
        _ => (1_000_000_000, 9, "s"),
    };
    let whole = nanos / unit;
    let keep = significant.saturating_sub(digits(whole)).min(decimals);
    let rest = nanos % unit / 10_u64.pow(decimals - keep);
    let width = usize::try_from(keep).unwrap_or(0);
    let rest = format!("{rest:0width$}");
    let rest = rest.trim_end_matches('0');
    if keep == 0 || rest.is_empty() {
        format!("{} {word}", count(whole))
    } else {
        format!("{}.{rest} {word}", count(whole))
    }
}

const fn digits(number: u64) -> u32 {
    match number.checked_ilog10() {
        Some(log) => log + 1,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::periods::Totals;
    use crate::report::{Language, words};
    use proptest::prelude::*;

    #[test]
    fn lengths_to_three_digits() {
        for (nanos, measured, bounded) in [
            (0, "0 s", "0 s"),
            (7, "7 ns", "7 ns"),
            (83_456, "83.4 µs", "83.5 µs"),
            (1_250_000, "1.25 ms", "1.25 ms"),
            (1_250_001, "1.25 ms", "1.26 ms"),
            (999_999_999, "999 ms", "1 s"),
            (50_000_000, "50 ms", "50 ms"),
            (3_600_000_000_000, "3,600 s", "3,600 s"),
            (12_345_678_901_234, "12,345 s", "12,400 s"),
        ] {
            assert_eq!(length(Nanos::new(nanos)), measured);
            assert_eq!(bound(Nanos::new(nanos)), bounded);
        }
        assert_eq!(length(Nanos::new(-1_250_000)), "\u{2212}1.25 ms");
        assert_eq!(offset(Nanos::new(83_456)), "+83.4 µs");
        assert_eq!(exact(Nanos::new(1_500_000_007)), "1.500000007 s");
    }

    #[test]
    fn spans_in_two_units() {
        let words = words::of(Language::English);
        for (seconds, text) in [
            (0, "0 s"),
            (2, "2 s"),
            (12, "12 s"),
            (60, "1 min"),
            (725, "12 min 5 s"),
            (3_600, "1 h"),
            (90_061, "1 d 1 h"),
            (2_592_000, "30 d"),
        ] {
            assert_eq!(span(Nanos::from_secs(seconds), words), text);
        }
        assert_eq!(span(Nanos::from_millis(840), words), "840 ms");
        assert_eq!(span(Nanos::from_secs(725), self::words::of(Language::Korean)), "12분 5초");
    }

    #[test]
    fn shares_never_flatter() {
        let text = |within, outside, not_proven| {
            let [within, outside, not_proven] = [within, outside, not_proven].map(Nanos::new);
            let shares = Shares::of(&Totals { within, outside, not_proven });
            [shares.within, shares.outside, shares.not_proven].map(Share::text).join(" | ")
        };
        assert_eq!(text(992, 0, 8), "99.2 % | 0 % | 0.8 %");
        assert_eq!(text(1, 0, 0), "100 % | 0 % | 0 %");
        assert_eq!(text(999_999, 0, 1), "99.99 % | 0 % | 0.01 %");
        assert_eq!(text(999_999, 1, 0), "99.99 % | 0.01 % | 0 %");
        assert_eq!(text(1, 999_999, 1), "< 0.01 % | 100 % | < 0.01 %");
        assert_eq!(text(0, 0, 0), "0 % | 0 % | 100 %");
    }

    #[test]
    fn instants_to_the_digits_that_count() {
        let time = UnixTime::from_nanos(1_763_762_721_987_654_321);
        for (bound, text) in [
            (Nanos::from_micros(5), "2025-11-21 22:05:21.987"),
            (Nanos::from_millis(25), "2025-11-21 22:05:21.9"),
            (Nanos::from_secs(2), "2025-11-21 22:05:21"),
        ] {
            assert_eq!(instant(time, decimals(bound)), text);
        }
        let civil = Civil::of(time);
        assert_eq!((civil.year.as_str(), civil.month, civil.day), ("2025", 11, 21));
        assert!(!civil.is_midnight());
    }

    proptest! {
        #[test]
        fn shares_add_up(within in 0i64..1 << 60, outside in 0i64..1 << 60, not_proven in 0i64..1 << 60) {
            let [within, outside, not_proven] = [within, outside, not_proven].map(Nanos::new);
            let shares = Shares::of(&Totals { within, outside, not_proven });
            let sum = shares.within.hundredths + shares.outside.hundredths + shares.not_proven.hundredths;
            prop_assert_eq!(sum, 10_000);
        }

        #[test]
        fn every_length_has_a_text(nanos: i64) {
            for text in [length(Nanos::new(nanos)), offset(Nanos::new(nanos)), bound(Nanos::new(nanos)), exact(Nanos::new(nanos))] {
                prop_assert!(text.ends_with('s'));
            }
        }
    }
}
