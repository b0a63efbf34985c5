//! Calibrations: what laboratories found of a site's references.

use angbu_units::{EntryId, Nanos, UnixTime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Client, ClientError};

/// What an operator read in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCalibration {
    /// What was calibrated.
    pub subject: String,
    /// Who did it.
    pub laboratory: String,
    /// The certificate's number.
    pub certificate: String,
    /// When it was measured.
    pub measured: UnixTime,
    /// What the reference was ahead of UTC.
    pub offset: Nanos,
    /// The expanded uncertainty of that.
    pub uncertainty: Nanos,
    /// The coverage factor, `2` for instance.
    pub coverage: String,
    /// Until when it is valid.
    pub valid_until: UnixTime,
    /// The certificate, a PDF.
    pub file: Option<Vec<u8>>,
}

/// A calibration as the centre lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// Id of its entry.
    pub id: String,
    /// What was calibrated.
    pub subject: String,
    /// Who did it.
    pub laboratory: String,
    /// The certificate's number.
    pub certificate: String,
    /// When it was measured, RFC 3339.
    pub measured_at: String,
    /// What the reference was ahead of UTC, in nanoseconds.
    pub offset_ns: i64,
    /// The expanded uncertainty of that, in nanoseconds.
    pub uncertainty_ns: i64,
    /// The coverage factor.
    pub coverage: String,
    /// Until when it is valid, RFC 3339.
    pub valid_until: String,
    /// SHA-256 of the certificate's file, in hexadecimal.
    pub file_sha256: Option<String>,
    /// `valid`, `ending`, `ended` or `withdrawn`.
    pub standing: String,
}

#[derive(Deserialize)]
struct Listed {
    calibrations: Vec<Calibration>,
}

#[derive(Deserialize)]
struct Made {
    entry_id: String,
}

impl Client {
    /// Every calibration, the newest measurement first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn calibrations(&self) -> Result<Vec<Calibration>, ClientError> {
        let body = self.get("/api/v1/time/calibrations")?;
        self.parse::<Listed>(&body, "calibrations").map(|listed| listed.calibrations)
    }

    /// Records a calibration; returns its entry.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn record_calibration(&self, new: &NewCalibration) -> Result<EntryId, ClientError> {
        let wish = json!({
            "subject": new.subject,
            "laboratory": new.laboratory,
            "certificate": new.certificate,
            "measured_at": new.measured.rfc3339(9),
            "offset_ns": new.offset.count(),
            "uncertainty_ns": new.uncertainty.count(),
            "coverage": new.coverage,
            "valid_until": new.valid_until.rfc3339(9),
            "file": new.file.as_ref().map(|file| STANDARD.encode(file)),
        });
        self.entry_made("/api/v1/time/calibrations", &wish)
    }

    /// Withdraws a calibration that was recorded wrongly; returns the entry that says so.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn withdraw_calibration(&self, id: EntryId, reason: &str) -> Result<EntryId, ClientError> {
        let path = format!("/api/v1/time/calibrations/{id}/withdraw");
        self.entry_made(&path, &json!({ "reason": reason }))
    }

    fn entry_made(&self, path: &str, wish: &serde_json::Value) -> Result<EntryId, ClientError> {
        let body = self.post(path, wish)?;
        let made: Made = self.parse(&body, "an entry's id")?;
        made.entry_id.parse().map_err(|_| self.not_understood("an entry's id"))
    }
}
