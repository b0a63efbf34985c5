//! The address at which older callers ask whether a one-time key is good: `POST /baropam/web/result_ota.jsp`.
//!
//! It takes a form and answers two digits: `00` for a good key, `99` for everything else, and nothing about why. Nobody signs
//! in here, so that it answers only the addresses that the configuration names, each list for one customer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use encoding_rs::{EUC_KR, Encoding, UTF_8};

use angbu_units::{CycleTime, Phone};

use crate::caller::Source;
use crate::centre::{Centre, KeyWhom, OldFace, Typed};
use crate::problem::Refusal;

const PATH: &str = "/baropam/web/result_ota.jsp";
/// The largest form, in bytes: four short fields, each byte of them escaped.
const LARGEST: usize = 4_096;
/// Who asked, in entries.
const BY: &str = "result_ota.jsp";

const GOOD: &str = "00\r\n";
const BAD: &str = "99\r\n";
/// Older callers read the 17th and 18th character of the body.
const PADDING: &str = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

pub(crate) fn routes() -> Router<Arc<Centre>> {
    Router::new().route(PATH, post(ask)).layer(DefaultBodyLimit::max(LARGEST))
}

async fn ask(
    State(centre): State<Arc<Centre>>,
    Source(address): Source,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(face) = centre.old_face(address) else {
        tracing::debug!("an address that no list names asked at {PATH}");
        return answer(StatusCode::FORBIDDEN, false, BAD);
    };
    let padded = face.padded;
    let Ok(body) = body else { return answer(StatusCode::PAYLOAD_TOO_LARGE, padded, BAD) };
    match judge(&centre, face, address, &headers, &body).await {
        Ok(true) => answer(StatusCode::OK, padded, GOOD),
        Ok(false) => answer(StatusCode::OK, padded, BAD),
        Err(refusal) => {
            // What is said of it stays here; whoever asked learns the status and no more.
            let said = refusal.into_response();
            let mut response = answer(said.status(), padded, BAD);
            if let Some(after) = said.headers().get(header::RETRY_AFTER) {
                response.headers_mut().insert(header::RETRY_AFTER, after.clone());
            }
            response
        }
    }
}

async fn judge(
    centre: &Centre,
    face: &OldFace,
    address: IpAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<bool, Refusal> {
    let customer = centre.customer(&face.customer).await?.id;
    let Some(form) = Form::read(body, charset(headers)) else {
        centre.count_malformed(customer, address).await?;
        return Ok(false);
    };
    let asked = (
        KeyWhom::login(customer, &form.login_id),
        form.phone_no.parse::<Phone>(),
        form.cycle_time.parse::<CycleTime>(),
        Typed::read(&form.ota_key),
    );
    let (whom, Ok(phone), Ok(cycle), Ok(typed)) = asked else {
        centre.count_malformed(customer, address).await?;
        return Ok(false);
    };
    let asked =
        centre.key_try(whom, (Some(phone), Some(cycle)), typed, BY.to_owned(), (address, false)).await?;
    Ok(centre.judge_key(asked).await?.ok())
}

fn answer(status: StatusCode, padded: bool, word: &'static str) -> Response {
    let body = if padded { [PADDING, word].concat() } else { word.to_owned() };
    let headers: [(HeaderName, HeaderValue); 1] =
        [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    (status, headers, body).into_response()
}

/// The encoding that the caller says, if it says one that is known: `euc_kr` as well, which is no name but was told to callers.
fn charset(headers: &HeaderMap) -> Option<&'static Encoding> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let name = kind.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })?;
    Encoding::for_label(name.replace('_', "-").as_bytes()).or_else(|| Encoding::for_label(name.as_bytes()))
}

/// What is asked.
#[derive(Default)]
struct Form {
    login_id: String,
    phone_no: String,
    cycle_time: String,
    ota_key: String,
}

impl Form {
    /// Reads a form; nothing where it is none, lacks a field or has one twice. Bytes that are no UTF-8 are EUC-KR where no
    /// encoding is said.
    fn read(body: &[u8], charset: Option<&'static Encoding>) -> Option<Self> {
        let (mut form, mut seen) = (Self::default(), 0_u8);
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (pair.get(..at)?, pair.get(at + 1..)?);
            let (bit, place) = match name {
                b"login_id" => (1, &mut form.login_id),
                b"phone_no" => (2, &mut form.phone_no),
                b"cycle_time" => (4, &mut form.cycle_time),
                b"ota_key" => (8, &mut form.ota_key),
                _ => continue,
            };
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            *place = decode(&unescape(value)?, charset)?;
        }
        // Whoever writes +82 without escaping it has sent a space.
        if let Some(digits) = form.phone_no.strip_prefix(' ') {
            form.phone_no = format!("+{digits}");
        }
        (seen == 15).then_some(form)
    }
}

fn decode(bytes: &[u8], charset: Option<&'static Encoding>) -> Option<String> {
    let read = |encoding: &'static Encoding| {
        let text: Option<Cow<'_, str>> = encoding.decode_without_bom_handling_and_without_replacement(bytes);
        text.map(Cow::into_owned)
    };
    match charset {
        Some(charset) => read(charset),
        None => read(UTF_8).or_else(|| read(EUC_KR)),
    }
}

/// `application/x-www-form-urlencoded` (URL standard, section 5.1).
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok()?
            }
            other => *other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], kind: &'static str) -> Option<[String; 4]> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Form::read(body, charset(&headers))
            .map(|form| [form.login_id, form.phone_no, form.cycle_time, form.ota_key])
    }

    #[test]
    fn names_are_read_in_every_encoding_that_callers_use() {
        const PLAIN: &str = "application/x-www-form-urlencoded";
        let rest = "&phone_no=01012345678&cycle_time=30&ota_key=123456";
        let expected =
            Some(["김".to_owned(), "01012345678".to_owned(), "30".to_owned(), "123456".to_owned()]);
        let utf8 = format!("login_id=%EA%B9%80{rest}");
        let euc = format!("login_id=%B1%E8{rest}");
        for (body, kind) in [
            (&utf8, PLAIN),
            (&utf8, "application/x-www-form-urlencoded; charset=UTF-8"),
            (&euc, PLAIN),
            (&euc, "application/x-www-form-urlencoded; charset=EUC-KR"),
            (&euc, "application/x-www-form-urlencoded;charset=\"euc_kr\""),
        ] {
            assert_eq!(read(body.as_bytes(), kind), expected, "{kind}");
        }
        let raw = [b"login_id=\xb1\xe8".as_slice(), rest.as_bytes()].concat();
        assert_eq!(read(&raw, "application/x-www-form-urlencoded; charset=euc_kr"), expected);
        let plus = "login_id=kim&phone_no=+821012345678&cycle_time=30&ota_key=1&extra=2";
        assert_eq!(read(plus.as_bytes(), PLAIN).unwrap()[1], "+821012345678");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [
            "",
            "login_id",
            "login_id=kim&phone_no=1&cycle_time=30",
            "login_id=kim&login_id=lee&phone_no=1&cycle_time=30&ota_key=1",
            "login_id=%4&phone_no=1&cycle_time=30&ota_key=1",
            "login_id=%zz&phone_no=1&cycle_time=30&ota_key=1",
            "login_id=%FF%FF&phone_no=1&cycle_time=30&ota_key=1",
            "{\"login_id\":\"kim\"}",
        ] {
            assert_eq!(read(body.as_bytes(), "application/x-www-form-urlencoded"), None, "{body}");
        }
    }
}
