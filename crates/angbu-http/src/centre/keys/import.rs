//! Moving in: tokens from other products' files.

use std::collections::{BTreeMap, BTreeSet};

use angbu_accounts::LoginId;
use angbu_evidence::Kind;
use angbu_keys::import::{self, File, FileError, Format, Object, Reading, Taken};
use angbu_keys::{Motion, NotNow};
use angbu_store::accounts::CustomerRow;
use angbu_store::keys::KeyStanding;
use angbu_store::{Snapshot, StoreError, Tx};
use angbu_units::{ProvenInstant, SubjectId};
use serde_json::Value;
use zeroize::Zeroizing;

use super::tokens::enrol_in;
use super::{Enrolled, Enrolment, Material, cycle_of, motion_word, policy_of};
use crate::centre::{Centre, append_text};
use crate::problem::Refusal;
use crate::types::key_import::{KeyImportReport, KeyImportRow};

const IMPORT: Kind = Kind::constant("keys.import");

/// How many tokens come in one transaction, which others wait for meanwhile.
const AT_ONCE: usize = 256;

/// How deep objects of JSON are looked into.
const DEEPEST: usize = 4;

/// A file of another product, and what it takes to read it. No `Debug`: it holds secrets.
pub(crate) struct KeyFile {
    pub(crate) text: Zeroizing<String>,
    pub(crate) format: Option<Format>,
    /// Whose token it is, where the file does not say.
    pub(crate) holder: Option<String>,
    /// Login ids by serial number.
    pub(crate) people: BTreeMap<String, String>,
    pub(crate) key: Option<Zeroizing<String>>,
    pub(crate) password: Option<Zeroizing<String>>,
}

/// A token that somebody here could have.
struct Coming {
    login: LoginId,
    token: Taken,
}

/// What is to be said of one token, in the words of a report.
type Said = (&'static str, Option<(&'static str, String)>);

impl Centre {
    /// Takes the tokens of a file in, or says what that would do.
    pub(crate) async fn import_keys(
        &self,
        customer: &CustomerRow,
        file: KeyFile,
        dry_run: bool,
        by: String,
    ) -> Result<KeyImportReport, Refusal> {
        let now = self.instant().time;
        let reading = tokio::task::spawn_blocking(move || {
            let reading = import::read(&File {
                text: &file.text,
                format: file.format,
                key: file.key.as_ref().map(|key| key.as_str()),
                password: file.password.as_ref().map(|password| password.as_str()),
                holder: file.holder.as_deref(),
                objects,
                now,
            });
            (reading, file.people)
        });
        let (reading, people) = reading.await.map_err(|error| Refusal::Internal(error.to_string()))?;
        let reading = reading.map_err(|error: FileError| Refusal::Invalid(error.to_string()))?;
        let format = reading.format;
        let (coming, mut rows) = sorted(reading, &people);
        let mut coming = coming.into_iter().peekable();
        while coming.peek().is_some() {
            let some: Vec<Coming> = coming.by_ref().take(AT_ONCE).collect();
            let done = if dry_run {
                self.would_come(customer.clone(), some, &rows).await?
            } else {
                self.come(customer.clone(), some, by.clone()).await?
            };
            rows.extend(done);
        }
        rows.sort_by_key(|row| row.line);
        let mut report = counted(format, dry_run, rows);
        if !dry_run {
            report.entry = Some(self.note_import(customer, &report, by).await?);
        }
        Ok(report)
    }

    /// What would become of these, after what was said of others before them.
    async fn would_come(
        &self,
        customer: CustomerRow,
        coming: Vec<Coming>,
        before: &[KeyImportRow],
    ) -> Result<Vec<KeyImportRow>, Refusal> {
        let instant = self.instant();
        let added = before.iter().filter(|row| row.outcome == "added");
        let mut given: BTreeSet<String> = added.filter_map(|row| row.login_id.clone()).collect();
        self.store
            .read(move |snapshot| {
                let mut rows = Vec::with_capacity(coming.len());
                for Coming { login, token } in coming {
                    let (mut said, is_new) = outcome(snapshot, &customer, &login, &token, &instant)?;
                    if said.0 == "added" && !given.insert(login.as_str().to_owned()) {
                        said = has_token();
                    }
                    rows.push(row(&token, Some(login.as_str()), said, is_new));
                }
                Ok::<_, StoreError>(rows)
            })
            .await
            .map_err(Refusal::from)
    }

    /// Takes these in, all in one transaction.
    async fn come(
        &self,
        customer: CustomerRow,
        coming: Vec<Coming>,
        by: String,
    ) -> Result<Vec<KeyImportRow>, Refusal> {
        let instant = self.instant();
        self.store
            .write(move |tx| {
                let mut rows = Vec::with_capacity(coming.len());
                for Coming { login, token } in coming {
                    let (said, is_new) = outcome(tx, &customer, &login, &token, &instant)?;
                    let is_added = said.0 == "added";
                    let mut row = row(&token, Some(login.as_str()), said, is_new);
                    if is_added {
                        let (id, entry) = take_in(tx, &customer, login, token, (instant, &by))?;
                        (row.token, row.entry) = (Some(id), Some(entry));
                    }
                    rows.push(row);
                }
                Ok::<_, Refusal>(rows)
            })
            .await
    }

    /// The entry of an import: how much came, and from what. Each token has its own.
    async fn note_import(
        &self,
        customer: &CustomerRow,
        report: &KeyImportReport,
        by: String,
    ) -> Result<String, Refusal> {
        let (instant, id) = (self.instant(), customer.id);
        let fields = [
            ("format", report.format.clone()),
            ("added", report.added.to_string()),
            ("clashes", report.clashes.to_string()),
            ("refused", report.refused.to_string()),
            ("by", by),
        ];
        let entry = self
            .store
            .write(move |tx| append_text(tx, IMPORT, id, instant, fields).map_err(Refusal::from))
            .await?;
        Ok(entry.to_string())
    }
}

/// The tokens that have a holder by name, and the report's rows of those that nobody can have.
fn sorted(reading: Reading, people: &BTreeMap<String, String>) -> (Vec<Coming>, Vec<KeyImportRow>) {
    let (mut coming, mut rows) = (Vec::new(), Vec::new());
    for refused in reading.refused {
        rows.push(KeyImportRow {
            line: refused.line,
            login_id: refused.name,
            serial: None,
            outcome: "refused".to_owned(),
            why: Some(refused.why.name().to_owned()),
            detail: Some(refused.why.to_string()),
            remarks: Vec::new(),
            kind: None,
            cycle_time: None,
            digits: None,
            algorithm: None,
            new_person: false,
            token: None,
            entry: None,
        });
    }
    for token in reading.tokens {
        let mapped = token.serial.as_ref().and_then(|serial| people.get(serial));
        // What the caller says of a serial number counts for more than what the file says.
        match mapped.or(token.login_id.as_ref()).map(|login| login.parse::<LoginId>()) {
            Some(Ok(login)) => coming.push(Coming { login, token }),
            Some(Err(error)) => {
                rows.push(row(&token, None, ("refused", Some(("login-id", error.to_string()))), false))
            }
            None => {
                let detail =
                    "it has only a serial number; say whose it is (people, or a column with login ids)";
                rows.push(row(&token, None, ("refused", Some(("no-holder", detail.to_owned()))), false));
            }
        }
    }
    (coming, rows)
}

fn has_token() -> Said {
    ("clash", Some(("has-token", "its holder has a token; renew or revoke that first".to_owned())))
}

/// What becomes of a token that is taken in now, and whether its holder is new.
fn outcome(
    snapshot: &Snapshot<'_>,
    customer: &CustomerRow,
    login: &LoginId,
    token: &Taken,
    instant: &ProvenInstant,
) -> Result<(Said, bool), StoreError> {
    if let Some(cycle) = cycle_of(token.motion) {
        let policy = policy_of(snapshot.key_policy(customer.id)?.as_ref());
        if let Err(refused @ (NotNow::CycleTooLong(_) | NotNow::ClockTooWide(_))) =
            policy.admits(cycle, instant)
        {
            return Ok((("refused", Some(("long-cycle", refused.to_string()))), false));
        }
    }
    let Some(person) = snapshot.person_by_login(customer.id, login.key())? else {
        return Ok((("added", None), true));
    };
    if person.disabled {
        let detail = "its holder is disabled; enable them first".to_owned();
        return Ok((("clash", Some(("disabled-person", detail))), false));
    }
    let has_one = snapshot.has_key_token(SubjectId::Person(person.id))?;
    Ok((if has_one { has_token() } else { ("added", None) }, false))
}

/// Gives a token to its holder: its id, and its entry.
fn take_in(
    tx: &mut Tx<'_>,
    customer: &CustomerRow,
    login: LoginId,
    token: Taken,
    (instant, by): (ProvenInstant, &str),
) -> Result<(String, String), Refusal> {
    let Taken { secret, algorithm, digits, motion, last, drift, .. } = token;
    let wish = Enrolment {
        customer: customer.id,
        language: customer.language.clone(),
        whom: Enrolled::Login(login),
        material: Material::Secret { secret, algorithm, digits, motion, phone: None, last },
        change: "imported",
        by: by.to_owned(),
    };
    let row = enrol_in(tx, &wish, instant)?;
    if drift.count() != 0 {
        tx.update_key_standing(&row, &KeyStanding { drift, ..row.standing })?;
    }
    Ok((row.id.to_string(), row.entry.to_string()))
}

fn row(token: &Taken, login_id: Option<&str>, (outcome, why): Said, new_person: bool) -> KeyImportRow {
    let (why, detail) = why.unzip();
    KeyImportRow {
        line: token.line,
        login_id: login_id.map(str::to_owned).or_else(|| token.login_id.clone()),
        serial: token.serial.clone(),
        outcome: outcome.to_owned(),
        why: why.map(str::to_owned),
        detail,
        remarks: token.remarks.iter().map(|remark| remark.name().to_owned()).collect(),
        kind: Some(motion_word(token.motion).to_owned()),
        cycle_time: match token.motion {
            Motion::Time(cycle) | Motion::TimeAndEvent(cycle) => Some(u64::from(cycle.seconds())),
            Motion::Counter => None,
        },
        digits: Some(u64::from(token.digits.count())),
        algorithm: Some(token.algorithm.name().to_owned()),
        new_person,
        token: None,
        entry: None,
    }
}

fn counted(format: Format, dry_run: bool, rows: Vec<KeyImportRow>) -> KeyImportReport {
    let of = |outcome: &str| rows.iter().map(|row| u64::from(row.outcome == outcome)).sum();
    KeyImportReport {
        format: format.name().to_owned(),
        dry_run,
        added: of("added"),
        clashes: of("clash"),
        refused: of("refused"),
        rows,
        entry: None,
    }
}

/// A list of objects in JSON, or one, each value by its path.
fn objects(text: &str) -> Option<Vec<Object>> {
    let values = match serde_json::from_str(text).ok()? {
        Value::Array(values) => values,
        value @ Value::Object(_) => vec![value],
        _ => return None,
    };
    values.into_iter().map(object).collect()
}

fn object(value: Value) -> Option<Object> {
    let mut out = Object::new();
    let Value::Object(_) = value else { return None };
    flatten(String::new(), value, DEEPEST, &mut out);
    Some(out)
}

fn flatten(path: String, value: Value, depth: usize, out: &mut Object) {
    let text = match value {
        Value::Object(fields) if depth > 0 => {
            for (name, value) in fields {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(path, value, depth - 1, out);
            }
            return;
        }
        Value::Null | Value::Array(_) | Value::Object(_) => return,
        Value::String(text) => text,
        value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
    };
    out.insert(path, Zeroizing::new(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_flat_and_bounded() {
        let found = objects(r#"[{"a": 1, "b": {"c": "d", "e": null, "f": [1]}, "g": true}]"#).unwrap();
        let pairs: Vec<(&str, &str)> =
            found[0].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b.c", "d"), ("g", "true")]);
        assert_eq!(objects(r#"{"a": 1}"#).unwrap().len(), 1);
        assert!(objects(r#"{"a": {"a": {"a": {"a": {"a": 1}}}}}"#).unwrap()[0].is_empty());
        for text in ["", "1", "[1]", "[", "null"] {
            assert!(objects(text).is_none(), "{text}");
        }
    }
}
