//! What a laboratory found of a centre's reference: the head of the chain that every verdict hangs on.
//!
//! A calibration is the operator's statement of what a certificate says. The centre proves when it was recorded, by whom, and
//! that it has not changed since, together with the certificate's own bytes; whether the certificate is genuine, the laboratory
//! that it names knows.

use angbu_evidence::Kind;
use angbu_units::{Nanos, UnixTime};

/// The entry that records a calibration.
pub const KIND: Kind = Kind::constant("clock.calibration");

/// The entry that withdraws one that was recorded wrongly.
pub const WITHDRAWN: Kind = Kind::constant("clock.calibration.withdrawn");

/// The longest text of a calibration, in characters.
pub const LONGEST_TEXT: usize = 200;

/// The largest certificate file, in bytes.
pub const LARGEST_FILE: usize = 10 * 1_024 * 1_024;

/// How long before its end a calibration's end is warned of.
pub const WARNED_BEFORE: Nanos = Nanos::from_secs(60 * 86_400);

/// Why something is no calibration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// A text that is empty, too long or not of visible characters.
    #[error("{0} is 1 to 200 visible characters")]
    Text(&'static str),
    /// A coverage factor that no certificate states.
    #[error("the coverage factor is a number from 1 to 9.999 with at most three decimals, 2 for instance")]
    Coverage,
    /// An uncertainty of nothing.
    #[error("the uncertainty is greater than zero and at most one second")]
    Uncertainty,
    /// An offset that no reference has.
    #[error("the offset is at most one second in either direction")]
    Offset,
    /// Measured in the future.
    #[error("the day of the measurement has not come yet")]
    NotYetMeasured,
    /// An end before the measurement.
    #[error("a calibration is valid until an instant after its measurement")]
    EndsBeforeItBegins,
    /// A file that is no PDF.
    #[error("the certificate's file is a PDF, which begins with %PDF-")]
    NotAPdf,
    /// A file that is too large.
    #[error("the certificate's file is at most 10 MiB")]
    FileTooLarge,
}

/// A text of a calibration: 1 to [`LONGEST_TEXT`] characters, none of them a control character, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(String);

impl Phrase {
    /// The text, without the space around it; `what` names it in the refusal.
    ///
    /// # Errors
    /// [`CalibrationError::Text`].
    pub fn new(what: &'static str, text: &str) -> Result<Self, CalibrationError> {
        let text = text.trim();
        let hidden = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if text.is_empty() || text.chars().count() > LONGEST_TEXT || text.chars().any(hidden) {
            return Err(CalibrationError::Text(what));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The factor k by which a standard uncertainty was multiplied, in thousandths: 2,000 for about 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage(u16);

impl Coverage {
    /// Thousandths, 1,000 to 9,999.
    ///
    /// # Errors
    /// [`CalibrationError::Coverage`].
    pub const fn from_thousandths(thousandths: u16) -> Result<Self, CalibrationError> {
        if thousandths >= 1_000 && thousandths <= 9_999 {
            Ok(Self(thousandths))
        } else {
            Err(CalibrationError::Coverage)
        }
    }

    /// Thousandths.
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

impl std::str::FromStr for Coverage {
    type Err = CalibrationError;

    /// Reads `2`, `2.0` or `1.96`.
    fn from_str(text: &str) -> Result<Self, CalibrationError> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() != 1 || rest.len() > 3 || !is_number(whole) || !is_number(rest) || text.ends_with('.')
        {
            return Err(CalibrationError::Coverage);
        }
        let digits = format!("{whole}{rest:0<3}");
        digits.parse().map_err(|_| CalibrationError::Coverage).and_then(Self::from_thousandths)
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        let short = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(short)
    }
}

/// What a laboratory found, as its certificate says it. Every value of this type went through [`Calibration::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    /// What was calibrated: the receiver, or whatever else the reference is.
    pub subject: Phrase,
    /// Who did it.
    pub laboratory: Phrase,
    /// The certificate's number.
    pub certificate: Phrase,
    /// When it was measured.
    pub measured: UnixTime,
    /// What the reference was ahead of UTC, as the laboratory realises it.
    pub offset: Nanos,
    /// The expanded uncertainty of that, k included.
    pub uncertainty: Nanos,
    /// The factor k.
    pub coverage: Coverage,
    /// Until when the operator, or the certificate, takes it for valid.
    pub valid_until: UnixTime,
    /// SHA-256 of the certificate's file, if one is kept.
    pub file: Option<[u8; 32]>,
}

/// How a calibration stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is valid.
    Valid,
    /// It is valid, and ends within [`WARNED_BEFORE`].
    Ending,
    /// It has ended.
    Ended,
}

impl Standing {
    /// The word for it in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// How far a reference can lie from UTC by a calibration alone: |offset| + uncertainty. What it did since the measurement no
/// certificate says.
pub fn bound(offset: Nanos, uncertainty: Nanos) -> Nanos {
    offset.abs() + uncertainty
}

/// How a calibration that is valid until an instant stands at `now`.
pub fn standing(valid_until: UnixTime, now: UnixTime) -> Standing {
    if now >= valid_until {
        Standing::Ended
    } else if valid_until - now <= WARNED_BEFORE {
        Standing::Ending
    } else {
        Standing::Valid
    }
}

impl Calibration {
    /// Checks what the fields' types cannot say, at `now`.
    ///
    /// # Errors
    /// [`CalibrationError`].
    pub fn check(self, now: UnixTime) -> Result<Self, CalibrationError> {
        let second = Nanos::from_secs(1);
        if self.offset.abs() > second {
            return Err(CalibrationError::Offset);
        }
        if self.uncertainty <= Nanos::ZERO || self.uncertainty > second {
            return Err(CalibrationError::Uncertainty);
        }
        // A certificate says a day, and the day begins earlier elsewhere.
        if self.measured > now + Nanos::from_secs(86_400) {
            return Err(CalibrationError::NotYetMeasured);
        }
        if self.valid_until <= self.measured {
            return Err(CalibrationError::EndsBeforeItBegins);
        }
        Ok(self)
    }

    /// How it stands at `now`.
    pub fn standing(&self, now: UnixTime) -> Standing {
        standing(self.valid_until, now)
    }

    /// How far the reference can lie from UTC by this calibration alone.
    pub fn bound(&self) -> Nanos {
        bound(self.offset, self.uncertainty)
    }

    /// The fields of its entry, beside who recorded it.
    pub fn fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let file = self.file.map_or_else(|| "-".to_owned(), |digest| hex(&digest));
        let text = [
            ("subject", self.subject.as_str().to_owned()),
            ("laboratory", self.laboratory.as_str().to_owned()),
            ("certificate", self.certificate.as_str().to_owned()),
            ("measured", self.measured.rfc3339(9)),
            ("offset", self.offset.count().to_string()),
            ("uncertainty", self.uncertainty.count().to_string()),
            ("coverage", self.coverage.to_string()),
            ("valid-until", self.valid_until.rfc3339(9)),
            ("file", file),
        ];
        text.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
    }

    /// Reads the fields of an entry, as `value` gives them by name; none where they are not those of a calibration.
    pub fn from_fields<'a>(value: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Self> {
        let text = |name| std::str::from_utf8(value(name)?).ok();
        let instant = |name| UnixTime::parse_rfc3339(text(name)?).ok();
        let nanos = |name| text(name)?.parse().ok().map(Nanos::new);
        let file = match text("file")? {
            "-" => None,
            digest => Some(from_hex(digest)?),
        };
        Some(Self {
            subject: Phrase::new("subject", text("subject")?).ok()?,
            laboratory: Phrase::new("laboratory", text("laboratory")?).ok()?,
            certificate: Phrase::new("certificate", text("certificate")?).ok()?,
            measured: instant("measured")?,
            offset: nanos("offset")?,
            uncertainty: nanos("uncertainty")?,
            coverage: text("coverage")?.parse().ok()?,
            valid_until: instant("valid-until")?,
            file,
        })
    }
}

/// Checks that bytes can be kept as a certificate's file.
///
/// # Errors
/// [`CalibrationError::NotAPdf`] and [`CalibrationError::FileTooLarge`].
pub fn check_file(bytes: &[u8]) -> Result<(), CalibrationError> {
    if bytes.len() > LARGEST_FILE {
        return Err(CalibrationError::FileTooLarge);
    }
    // ISO 32000-1, section 7.5.2: the header is the file's first line.
    if !bytes.starts_with(b"%PDF-") {
        return Err(CalibrationError::NotAPdf);
    }
    Ok(())
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_nanos(seconds * 1_000_000_000)
    }

    fn calibration() -> Calibration {
        Calibration {
            subject: Phrase::new("subject", "GNSS receiver 4711").unwrap(),
            laboratory: Phrase::new("laboratory", "한국표준과학연구원 (KRISS)").unwrap(),
            certificate: Phrase::new("certificate", "2026-0815").unwrap(),
            measured: at(1_000 * DAY),
            offset: Nanos::new(-37),
            uncertainty: Nanos::new(50),
            coverage: "2".parse().unwrap(),
            valid_until: at(1_365 * DAY),
            file: Some([0xa5; 32]),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for file in [Some([0x0f; 32]), None] {
            let calibration = Calibration { file, ..calibration() }.check(at(1_001 * DAY)).unwrap();
            let fields = calibration.fields();
            let value = |name: &str| {
                fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_slice())
            };
            assert_eq!(Calibration::from_fields(value), Some(calibration.clone()));
            assert_eq!(Calibration::from_fields(|name| value(name).filter(|_| name != "offset")), None);
        }
        assert_eq!(calibration().bound(), Nanos::new(87));
    }

    #[test]
    fn what_no_certificate_says_is_refused() {
        let second = Nanos::from_secs(1);
        for (wrong, why) in [
            (Calibration { offset: second + Nanos::new(1), ..calibration() }, CalibrationError::Offset),
            (Calibration { uncertainty: Nanos::ZERO, ..calibration() }, CalibrationError::Uncertainty),
            (Calibration { uncertainty: second.times(2), ..calibration() }, CalibrationError::Uncertainty),
            (Calibration { measured: at(1_003 * DAY), ..calibration() }, CalibrationError::NotYetMeasured),
            (
                Calibration { valid_until: at(1_000 * DAY), ..calibration() },
                CalibrationError::EndsBeforeItBegins,
            ),
        ] {
            assert_eq!(wrong.check(at(1_001 * DAY)), Err(why));
        }
        for text in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(201)] {
            assert_eq!(Phrase::new("it", text), Err(CalibrationError::Text("it")), "{text:?}");
        }
        assert_eq!(check_file(b"%PDF-1.7 and more"), Ok(()));
        assert_eq!(check_file(b"<html>"), Err(CalibrationError::NotAPdf));
        assert_eq!(check_file(&vec![0; LARGEST_FILE + 1]), Err(CalibrationError::FileTooLarge));
    }

    #[test]
    fn coverage_factors() {
        for (text, thousandths, shown) in
            [("2", 2_000, "2"), ("2.00", 2_000, "2"), ("1.96", 1_960, "1.96"), ("2.576", 2_576, "2.576")]
        {
            let coverage: Coverage = text.parse().unwrap();
            assert_eq!((coverage.thousandths(), coverage.to_string().as_str()), (thousandths, shown));
        }
        for text in ["", "0", "0.999", "10", "2.", "2.0000", "-2", "+2", "2,0", "1e1", "２"] {
            assert_eq!(text.parse::<Coverage>(), Err(CalibrationError::Coverage), "{text}");
        }
    }

    #[test]
    fn an_end_is_warned_of() {
        let calibration = calibration();
        for (day, standing) in [
            (1_001, Standing::Valid),
            (1_304, Standing::Valid),
            (1_305, Standing::Ending),
            (1_364, Standing::Ending),
            (1_365, Standing::Ended),
        ] {
            assert_eq!(calibration.standing(at(day * DAY)), standing, "{day}");
        }
    }
}
