//! `angbu keys`: tokens of one-time keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use angbu_client::wire::KeyImportReport;

use super::{CentreArguments, Failure, Output};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Take tokens in from a file of another product
    Import(ImportArguments),
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The file; - reads standard input
    file: PathBuf,
    /// The customer's name
    #[arg(long)]
    customer: String,
    /// otpauth, pskc, csv, users.oath, google-authenticator or privacyidea; seen from the file if left out
    #[arg(long)]
    format: Option<String>,
    /// Change nothing, and say what would be
    #[arg(long)]
    dry_run: bool,
    /// Whose token it is, for a file that holds one and does not say
    #[arg(long, value_name = "ID")]
    login_id: Option<String>,
    /// A file with SERIAL,LOGIN_ID on each line, for tokens that have only a serial number
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// A file with the key under which the tokens are encrypted
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file with the password under which the tokens are encrypted
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    centre: CentreArguments,
}

pub(super) fn run(command: &Keys) -> Result<(), Failure> {
    match command {
        Keys::Import(arguments) => import(arguments),
    }
}

/// Sends the file and prints the report. Ends 1 when nothing of it can be taken.
fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let text = if arguments.file.as_os_str() == "-" {
        Zeroizing::new(
            std::io::read_to_string(std::io::stdin()).context("standard input cannot be read as text")?,
        )
    } else {
        text_of(&arguments.file)?
    };
    let secret = |file: Option<&PathBuf>| file.map(|file| text_of(file)).transpose();
    let key = secret(arguments.key_file.as_ref())?;
    let password = secret(arguments.password_file.as_ref())?;
    let wish = json!({
        "customer": arguments.customer,
        "text": text.as_str(),
        "dry_run": arguments.dry_run,
        "format": arguments.format,
        "login_id": arguments.login_id,
        "people": arguments.people.as_deref().map(people).transpose()?,
        "key": key.as_ref().map(|key| key.trim()),
        // A password may end with a space, and no file of one line ends without a line feed.
        "password": password.as_ref().map(|password| password.trim_end_matches(['\r', '\n'])),
    });
    let report = arguments.centre.client()?.import_keys(&wish).map_err(anyhow::Error::from)?;
    Output::new(arguments.json).result(&report, || words(&report, &arguments.customer));
    if report.added == 0 {
        return Err(Failure::Refused(anyhow::anyhow!("nothing of this file can be taken")));
    }
    Ok(())
}

fn text_of(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("{} cannot be read as text: {error}", file.display())))?;
    Ok(Zeroizing::new(text))
}

/// Login ids by serial number.
fn people(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = text_of(file)?;
    let mut people = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let (serial, login_id) = line.split_once(',').ok_or_else(|| {
            Failure::Usage(format!("{}, line {number}: write SERIAL,LOGIN_ID", file.display()))
        })?;
        people.insert(serial.trim().to_owned(), login_id.trim().to_owned());
    }
    Ok(people)
}

fn words(report: &KeyImportReport, customer: &str) -> String {
    let mut out = String::new();
    for row in &report.rows {
        let name = row.login_id.as_deref().or(row.serial.as_deref()).unwrap_or("-");
        out.push_str(&format!("line {:<5} {:<8} {name}", row.line, row.outcome));
        if let Some(detail) = &row.detail {
            out.push_str(&format!(": {detail}"));
        }
        if !row.remarks.is_empty() {
            out.push_str(&format!(" (not taken along: {})", row.remarks.join(", ")));
        }
        out.push('\n');
    }
    let KeyImportReport { added, clashes, refused, format, .. } = report;
    let counts = format!("{clashes} clash with what is there, {refused} cannot be taken");
    out.push_str(&if report.dry_run {
        format!("{format}: {added} can come to {customer}, {counts}; nothing was changed (run it without --dry-run)")
    } else {
        format!("{format}: {added} came to {customer}, {counts}")
    });
    out
}
