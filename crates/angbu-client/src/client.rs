//! Calls to a centre.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use angbu_evidence::note::VerifierKey;
use angbu_evidence::report;
use angbu_units::{EntryId, UnixTime};
use serde::de::DeserializeOwned;
use serde_json::json;
use ureq::http::{Request, Response, StatusCode, Uri};
use zeroize::Zeroizing;

use crate::wire::{
    Appended, Confirmed, Customer, Customers, Enrolment, KeyImportReport, UploadAnswer, Uploaded,
};
use crate::{ClientError, Problem, Trust, connection};

/// The longest report that is read: as long as one can be that is proven.
const LONGEST_REPORT: u64 = report::LARGEST as u64;

/// The longest answer of any other kind that is read.
const LONGEST_ANSWER: u64 = 1_024 * 1_024;

/// More keys than a log has at once.
const MOST_LOG_KEYS: usize = 8;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the making of a report may take.
const REPORT_PATIENCE: Duration = Duration::from_secs(600);

/// A blocking client of one centre. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    url: Arc<str>,
    token: Option<Arc<str>>,
    http: ureq::Agent,
    patience: Duration,
}

impl fmt::Debug for Client {
    /// Where it calls, and nothing of its token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the centre at `url` (`https://host[:port]`, or `http://` for this machine), which shows
    /// `token` if it has one. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`], [`ClientError::PlainHttp`] or [`ClientError::Unusable`].
    pub fn new(url: &str, token: Option<&str>, trust: &Trust) -> Result<Self, ClientError> {
        Self::with_http(url, token, connection::http(trust.tls()?))
    }

    pub(crate) fn with_http(url: &str, token: Option<&str>, http: ureq::Agent) -> Result<Self, ClientError> {
        let url = checked(url, false)?;
        if token.is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            let reason = "the token is empty or has characters that no token has; was it copied whole?";
            return Err(ClientError::Unusable(reason.to_owned()));
        }
        Ok(Self { url: url.into(), token: token.map(Into::into), http, patience: PATIENCE })
    }

    /// A client of whatever answers at `url`, which may end in a path, such as a witness.
    pub(crate) fn of_prefix(url: &str, trust: &Trust) -> Result<Self, ClientError> {
        let http = connection::http(trust.tls()?);
        Ok(Self { url: checked(url, true)?.into(), token: None, http, patience: PATIENCE })
    }

    /// The same client, whose calls (but for reports) end after `patience`, from the search for the address to
    /// the answer's last byte; 20 s if nothing is said.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The centre's address, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host part of the centre's address; an IPv6 address in brackets.
    pub fn host(&self) -> String {
        let uri: Option<Uri> = self.url.parse().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }

    /// The newest verifier key of the centre's log, as whoever answers says it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn log_key(&self) -> Result<VerifierKey, ClientError> {
        let newest = self.log_keys()?.into_iter().next();
        newest.ok_or_else(|| self.not_understood("a verifier key"))
    }

    /// The verifier keys that sign the centre's log now, the newest first, as whoever answers says it: two while the
    /// log's key is being replaced.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn log_keys(&self) -> Result<Vec<VerifierKey>, ClientError> {
        let body = self.get("/api/v1/evidence/key")?;
        let lines = std::str::from_utf8(&body).unwrap_or_default().lines();
        let keys: Result<Vec<_>, _> = lines.take(MOST_LOG_KEYS).map(str::parse).collect();
        keys.map_err(|_| self.not_understood("a verifier key"))
    }

    /// The centre's own state, as it says it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn centre(&self) -> Result<serde_json::Value, ClientError> {
        self.parse(&self.get("/api/v1/centre")?, "its own state")
    }

    /// The customers that the centre serves.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn customers(&self) -> Result<Vec<Customer>, ClientError> {
        let answer: Customers = self.parse(&self.get("/api/v1/customers")?, "a list of customers")?;
        Ok(answer.customers)
    }

    /// A code by which an agent with this name can join a customer, given by name or id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn enrol_agent(&self, customer: &str, name: &str) -> Result<Enrolment, ClientError> {
        self.enrol("agent", customer, name)
    }

    /// A code by which something of this kind (`agent`, `person`, `host` or `relying-party`) and name, which a person's
    /// login id is, can join a customer, given by name or id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn enrol(&self, kind: &str, customer: &str, name: &str) -> Result<Enrolment, ClientError> {
        let wish = json!({"kind": kind, "customer": customer, "name": name});
        self.parse(&self.post("/api/v1/enrolments", &wish)?, "an enrolment code")
    }

    /// Has the centre take the tokens of another product's file in, or say what that would do: `wish` is the body of
    /// `POST /api/v1/keys/import`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn import_keys(&self, wish: &serde_json::Value) -> Result<KeyImportReport, ClientError> {
        let body = Zeroizing::new(wish.to_string());
        let request = self.request("POST", "/api/v1/keys/import", "application/json", body.as_bytes())?;
        let answer = self.call(request, self.patience, LONGEST_REPORT)?;
        self.parse(&answer, "a report of an import")
    }

    /// Sends an agent's signed upload, of which nothing or everything takes effect.
    ///
    /// # Errors
    /// [`ClientError`]; with [`Problem::next_seq`] where it does not begin with the record that the centre wants.
    pub fn upload(&self, upload: &[u8]) -> Result<Uploaded, ClientError> {
        let request = self.request("POST", "/api/v1/time/uploads", "application/octet-stream", upload)?;
        let body = self.call(request, self.patience, LONGEST_ANSWER)?;
        let answer: UploadAnswer = self.parse(&body, "the number of the next record")?;
        let next_seq =
            answer.next_seq.parse().map_err(|_| self.not_understood("the number of the next record"))?;
        Ok(Uploaded { next_seq, tolerance_ns: answer.tolerance_ns, log: answer.log })
    }

    /// Has the centre make a customer's time report, in the language `en`, `ko` or `ja` or the centre's own
    /// choice, and returns the file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn time_report(
        &self,
        customer: &str,
        from: UnixTime,
        to: UnixTime,
        language: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
        let wish = json!({
            "customer": customer, "from": from.to_string(), "to": to.to_string(), "language": language
        });
        let body = wish.to_string();
        let request = self.request("POST", "/api/v1/time/reports", "application/json", body.as_bytes())?;
        self.call(request, REPORT_PATIENCE, LONGEST_REPORT)
    }

    /// Has the centre send a file and writes it down as it comes, however long it is; returns how many bytes that were. What was
    /// written when it breaks off is not the whole file.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Unreachable`] where it breaks off, and where `out` does not take it.
    pub fn download(&self, path: &str, out: &mut dyn std::io::Write) -> Result<u64, ClientError> {
        let mut answer = self.stream(path, REPORT_PATIENCE)?;
        let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
        std::io::copy(&mut body, out).map_err(|error| ClientError::Unreachable {
            url: self.url.to_string(),
            reason: error.to_string(),
        })
    }

    /// Appends a customer's statement to the log; with `wait`, its receipt or the promise of one comes with the
    /// answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn append(
        &self,
        customer: &str,
        fields: &BTreeMap<String, String>,
        wait: bool,
    ) -> Result<Appended, ClientError> {
        let statement = json!({"customer": customer, "fields": fields}).to_string();
        let mut request =
            self.request("POST", "/api/v1/evidence/entries", "application/json", statement.as_bytes())?;
        if wait {
            request.headers_mut().insert("prefer", ureq::http::HeaderValue::from_static("wait"));
        }
        self.parse(&self.call(request, self.patience, LONGEST_ANSWER)?, "an entry's id")
    }

    /// The receipt of an entry (a C2SP tlog-proof).
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn receipt(&self, entry: EntryId) -> Result<String, ClientError> {
        let body = self.get(&format!("/api/v1/evidence/entries/{entry}/receipt"))?;
        String::from_utf8(body).map_err(|_| self.not_understood("a receipt"))
    }

    /// Has the centre go on with a log that stands still, as its database has it; returns the entry that says so.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn confirm_log(&self, size: u64, reason: &str) -> Result<EntryId, ClientError> {
        let body = self.post("/api/v1/evidence/confirm", &json!({"size": size, "reason": reason}))?;
        let confirmed: Confirmed = self.parse(&body, "an entry's id")?;
        confirmed.entry_id.parse().map_err(|_| self.not_understood("an entry's id"))
    }

    /// Begins to read an answer that goes on, for so long.
    pub(crate) fn stream(&self, path: &str, patience: Duration) -> Result<Response<ureq::Body>, ClientError> {
        let mut answer = self.send(self.request("GET", path, "", b"")?, patience, LONGEST_ANSWER)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
        let problem = Problem::read(status.as_u16(), &body.unwrap_or_default());
        Err(ClientError::Refused(Box::new(problem)))
    }

    /// Ends every call that is still under way, in whatever thread, and every later one.
    pub fn close(&self) {
        self.http.clone().shutdown();
    }

    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.call(self.request("GET", path, "", &[])?, self.patience, LONGEST_ANSWER)
    }

    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> Result<Vec<u8>, ClientError> {
        let body = body.to_string();
        let request = self.request("POST", path, "application/json", body.as_bytes())?;
        self.call(request, self.patience, LONGEST_ANSWER)
    }

    pub(crate) fn parse<T: DeserializeOwned>(
        &self,
        body: &[u8],
        expected: &'static str,
    ) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|_| self.not_understood(expected))
    }

    pub(crate) fn not_understood(&self, expected: &'static str) -> ClientError {
        ClientError::NotUnderstood { url: self.url.to_string(), expected }
    }

    fn request<'a>(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &'a [u8],
    ) -> Result<Request<&'a [u8]>, ClientError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request
            .body(body)
            .map_err(|error| ClientError::Unusable(format!("the request cannot be made: {error}")))
    }

    /// Sends a request and reads the whole answer, refusals included.
    fn call(
        &self,
        request: Request<&[u8]>,
        patience: Duration,
        longest: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let mut answer = self.send(request, patience, longest)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(longest).read_to_vec();
        if status.is_success() {
            return body.map_err(|error| self.failed(error, longest));
        }
        // A refusal is one even where its words are lost on the way.
        let mut problem = Problem::read(status.as_u16(), &body.unwrap_or_default());
        if problem.retry_after_s.is_none() && status == StatusCode::TOO_MANY_REQUESTS {
            let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            problem.retry_after_s = header.and_then(|seconds| seconds.parse().ok());
        }
        Err(ClientError::Refused(Box::new(problem)))
    }

    /// Sends a request and reads the whole answer, whatever its status is.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        longest: u64,
    ) -> Result<(u16, String), ClientError> {
        let content_type = if body.is_empty() { "" } else { "text/plain; charset=utf-8" };
        let request = self.request(method, path, content_type, body)?;
        let mut answer = self.send(request, self.patience, longest)?;
        let bytes = answer.body_mut().with_config().limit(longest).read_to_vec();
        let bytes = bytes.map_err(|error| self.failed(error, longest))?;
        let text = String::from_utf8(bytes).map_err(|_| self.not_understood("text"))?;
        Ok((answer.status().as_u16(), text))
    }

    fn send(
        &self,
        request: Request<&[u8]>,
        patience: Duration,
        longest: u64,
    ) -> Result<Response<ureq::Body>, ClientError> {
        let has_body = request.method() == "POST";
        let (parts, body) = request.into_parts();
        let answer = if has_body {
            let request = Request::from_parts(parts, body);
            let request = self.http.configure_request(request).timeout_global(Some(patience)).build();
            self.http.run(request)
        } else {
            let request = Request::from_parts(parts, ());
            let request = self.http.configure_request(request).timeout_global(Some(patience)).build();
            self.http.run(request)
        };
        answer.map_err(|error| self.failed(error, longest))
    }

    fn failed(&self, error: ureq::Error, limit: u64) -> ClientError {
        let url = self.url.to_string();
        match error {
            ureq::Error::Timeout(_) => ClientError::Slow { url },
            ureq::Error::BodyExceedsLimit(_) => ClientError::TooLong { url, limit },
            ureq::Error::RequireHttpsOnly(host) => ClientError::PlainHttp { host },
            ureq::Error::Rustls(error) => not_the_centre(url, &error),
            ureq::Error::Io(error) => match within::<rustls::Error>(&error) {
                Some(tls) => not_the_centre(url, tls),
                None => match within::<ureq::Error>(&error) {
                    Some(ureq::Error::Timeout(_)) => ClientError::Slow { url },
                    _ => ClientError::Unreachable { url, reason: error.to_string() },
                },
            },
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) | ureq::Error::Http(_) => {
                ClientError::NotUnderstood { url, expected: "HTTP" }
            }
            error => ClientError::Unreachable { url, reason: error.to_string() },
        }
    }
}

/// The cause of this type that an error carries.
fn within<T: std::error::Error + 'static>(error: &std::io::Error) -> Option<&T> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn not_the_centre(url: String, error: &rustls::Error) -> ClientError {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            ClientError::NotTheCentre { url, reason: "its key is another one".to_owned() }
        }
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            ClientError::NotTheCentre { url, reason: error.to_string() }
        }
        error => ClientError::Unreachable { url, reason: error.to_string() },
    }
}

/// The address of a centre without a slash at its end, if it is one that may be called.
fn checked(url: &str, may_have_path: bool) -> Result<String, ClientError> {
    let wrong = |reason| ClientError::Address { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("it must hold no user name"));
    }
    let has_path = !matches!(uri.path(), "" | "/") && !may_have_path;
    if has_path || uri.query().is_some() {
        return Err(wrong("it must end after the host and port"));
    }
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_this_machine(host) => {}
        Some("http") => return Err(ClientError::PlainHttp { host: host.to_owned() }),
        _ => return Err(wrong("it begins with neither https:// nor http://")),
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Whether the name is surely this machine's; what `localhost` really means is looked at again on connecting.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
