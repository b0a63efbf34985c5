//! NTS key establishment (RFC 8915, section 4): the records that both ends send over TLS 1.3, read from bytes and written
//! to bytes. The TLS itself, with its sockets and deadlines, is the shell's.

use super::{AES_SIV_CMAC_256, MOST_COOKIES};

/// The TCP port of NTS-KE (RFC 8915, section 7.1).
pub const PORT: u16 = 4460;

/// The protocol name for TLS (RFC 8915, section 4).
pub const ALPN: &[u8] = b"ntske/1";

/// The label of the keys that TLS exports (RFC 8915, section 5.1).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-network-time-security";

/// The longest request that a server reads, bytes. The shortest has 16; chrony's with all its algorithms has 26.
pub const LONGEST_REQUEST: usize = 1_024;

/// The longest response that a client reads, bytes: eight cookies, a name and some records of others.
pub const LONGEST_RESPONSE: usize = 8 * 1_024;

/// The longest cookie that a client takes, bytes: two of them fit in a request, one sent and one wished for.
pub const LONGEST_COOKIE: usize = 512;

const HEADER: usize = 4;
const CRITICAL: u16 = 0x8000;
const END: u16 = 0;
const NEXT_PROTOCOL: u16 = 1;
const ERROR: u16 = 2;
const WARNING: u16 = 3;
const ALGORITHM: u16 = 4;
const NEW_COOKIE: u16 = 5;
const SERVER: u16 = 6;
const SERVER_PORT: u16 = 7;

/// NTPv4 among the next protocols (RFC 8915, section 7.7).
const NTPV4: u16 = 0;

/// Which way a key protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// C2S.
    ClientToServer,
    /// S2C.
    ServerToClient,
}

/// The context with which TLS exports a key (RFC 8915, section 5.1): protocol, algorithm, direction.
pub const fn exporter_context(direction: Direction) -> [u8; 5] {
    let [protocol_high, protocol_low] = NTPV4.to_be_bytes();
    let [algorithm_high, algorithm_low] = AES_SIV_CMAC_256.to_be_bytes();
    let way = match direction {
        Direction::ClientToServer => 0,
        Direction::ServerToClient => 1,
    };
    [protocol_high, protocol_low, algorithm_high, algorithm_low, way]
}

/// Why a request cannot be answered with cookies; also what is told to the client (RFC 8915, section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// 0.
    #[error("the request has a critical record of a type that is not known here")]
    UnrecognizedCriticalRecord,
    /// 1.
    #[error("the request is not of the form that RFC 8915 says")]
    BadRequest,
}

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// NTPv4 is among the protocols that it offers.
    pub ntpv4: bool,
    /// AEAD_AES_SIV_CMAC_256 is among the algorithms that it offers.
    pub aes_siv_cmac_256: bool,
}

impl Request {
    /// Reads what has arrived so far: none while the end is not there yet. Whatever follows the end is left alone.
    ///
    /// # Errors
    /// [`RequestError`], also where the end does not come within [`LONGEST_REQUEST`] bytes.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, RequestError> {
        let mut records = Records { rest: bytes };
        let (mut protocols, mut algorithms) = (None, None);
        while let Some(record) = records.next() {
            match record.kind {
                END => {
                    let protocols: &[u8] = protocols.ok_or(RequestError::BadRequest)?;
                    let ntpv4 = numbers(protocols).any(|number| number == NTPV4);
                    let algorithms: &[u8] = match algorithms {
                        Some(algorithms) => algorithms,
                        // Without NTPv4 nothing needs an algorithm.
                        None if !ntpv4 => &[],
                        None => return Err(RequestError::BadRequest),
                    };
                    let aes_siv_cmac_256 = numbers(algorithms).any(|number| number == AES_SIV_CMAC_256);
                    let whole = record.body.is_empty() && record.critical;
                    return if whole {
                        Ok(Some(Self { ntpv4, aes_siv_cmac_256 }))
                    } else {
                        Err(RequestError::BadRequest)
                    };
                }
                NEXT_PROTOCOL => once(&mut protocols, record.body)?,
                ALGORITHM => once(&mut algorithms, record.body)?,
                // What only servers say.
                ERROR | WARNING | NEW_COOKIE => return Err(RequestError::BadRequest),
                // A wish for another server; this one serves what it serves.
                SERVER | SERVER_PORT => {}
                _ if record.critical => return Err(RequestError::UnrecognizedCriticalRecord),
                _ => {}
            }
        }
        if bytes.len() >= LONGEST_REQUEST { Err(RequestError::BadRequest) } else { Ok(None) }
    }

    /// Whether there is a protocol and an algorithm that both ends know, so that cookies are worth making.
    pub const fn can_be_served(&self) -> bool {
        self.ntpv4 && self.aes_siv_cmac_256
    }

    /// The request of this crate's client.
    pub fn encode() -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        put(&mut out, NEXT_PROTOCOL | CRITICAL, &NTPV4.to_be_bytes());
        put(&mut out, ALGORITHM | CRITICAL, &AES_SIV_CMAC_256.to_be_bytes());
        put(&mut out, END | CRITICAL, &[]);
        out
    }
}

/// The response to a request. `cookies` are for one that [can be served](Request::can_be_served); `port` is where this
/// host serves NTP.
pub fn respond<'a>(request: &Request, cookies: impl IntoIterator<Item = &'a [u8]>, port: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let protocol = NTPV4.to_be_bytes();
    put(&mut out, NEXT_PROTOCOL | CRITICAL, if request.ntpv4 { &protocol } else { &[] });
    if request.ntpv4 {
        let algorithm = AES_SIV_CMAC_256.to_be_bytes();
        put(&mut out, ALGORITHM | CRITICAL, if request.aes_siv_cmac_256 { &algorithm } else { &[] });
    }
    if request.can_be_served() {
        if port != crate::packet::PORT {
            put(&mut out, SERVER_PORT, &port.to_be_bytes());
        }
        for cookie in cookies.into_iter().take(MOST_COOKIES) {
            put(&mut out, NEW_COOKIE, cookie);
        }
    }
    put(&mut out, END | CRITICAL, &[]);
    out
}

/// The response to what cannot be answered.
pub fn refuse(error: RequestError) -> Vec<u8> {
    let code: u16 = match error {
        RequestError::UnrecognizedCriticalRecord => 0,
        RequestError::BadRequest => 1,
    };
    let mut out = Vec::with_capacity(10);
    put(&mut out, ERROR | CRITICAL, &code.to_be_bytes());
    put(&mut out, END | CRITICAL, &[]);
    out
}

/// Why a response gives no association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The server says what went wrong, by number (RFC 8915, section 4.1.3).
    #[error("the key exchange server answers with error {0}")]
    Error(u16),
    /// The server warns; none is known, so that none can be heeded (RFC 8915, section 4.1.4).
    #[error("the key exchange server answers with warning {0}")]
    Warning(u16),
    /// A critical record of an unknown type.
    #[error("the key exchange server sent a critical record of an unknown type, {0}")]
    UnrecognizedCriticalRecord(u16),
    /// No NTPv4, or no algorithm in common.
    #[error("the key exchange server knows neither protocol nor algorithm in common with this client")]
    NothingInCommon,
    /// No usable cookie.
    #[error("the key exchange server sent no cookie")]
    NoCookie,
    /// Not what RFC 8915 says.
    #[error("the key exchange server's response is malformed or longer than {LONGEST_RESPONSE} bytes")]
    Malformed,
}

/// What a server grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 1 to [`MOST_COOKIES`] cookies.
    pub cookies: Vec<Vec<u8>>,
    /// The NTP server to ask, if it is not the host that exchanged the keys: visible ASCII characters.
    pub server: Option<String>,
    /// The port to ask there, if it is not [`crate::packet::PORT`].
    pub port: Option<u16>,
}

impl Response {
    /// Reads what has arrived so far: none while the end is not there yet.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ResponseError> {
        let mut records = Records { rest: bytes };
        let (mut protocol, mut algorithm) = (None, None);
        let mut response = Self { cookies: Vec::new(), server: None, port: None };
        while let Some(record) = records.next() {
            match record.kind {
                END => return response.finish(protocol, algorithm).map(Some),
                ERROR => {
                    return Err(number(record.body).map_or(ResponseError::Malformed, ResponseError::Error));
                }
                WARNING => {
                    return Err(number(record.body).map_or(ResponseError::Malformed, ResponseError::Warning));
                }
                NEXT_PROTOCOL => once(&mut protocol, record.body).map_err(|_| ResponseError::Malformed)?,
                ALGORITHM => once(&mut algorithm, record.body).map_err(|_| ResponseError::Malformed)?,
                NEW_COOKIE => {
                    let fits =
                        (1..=LONGEST_COOKIE).contains(&record.body.len()) && record.body.len() % 4 == 0;
                    if fits && response.cookies.len() < MOST_COOKIES {
                        response.cookies.push(record.body.to_vec());
                    }
                }
                SERVER => response.server = Some(name(record.body).ok_or(ResponseError::Malformed)?),
                SERVER_PORT => response.port = Some(number(record.body).ok_or(ResponseError::Malformed)?),
                other if record.critical => return Err(ResponseError::UnrecognizedCriticalRecord(other)),
                _ => {}
            }
        }
        if bytes.len() >= LONGEST_RESPONSE { Err(ResponseError::Malformed) } else { Ok(None) }
    }

    fn finish(self, protocol: Option<&[u8]>, algorithm: Option<&[u8]>) -> Result<Self, ResponseError> {
        if protocol.and_then(number) != Some(NTPV4) || algorithm.and_then(number) != Some(AES_SIV_CMAC_256) {
            return Err(ResponseError::NothingInCommon);
        }
        if self.cookies.is_empty() {
            return Err(ResponseError::NoCookie);
        }
        Ok(self)
    }
}

/// One record.
struct Record<'a> {
    critical: bool,
    kind: u16,
    body: &'a [u8],
}

/// The records that have arrived whole (RFC 8915, section 4: critical bit and type, length, body). Their number is
/// bounded by the bytes that the shell reads.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn next(&mut self) -> Option<Record<'a>> {
        let ([kind_high, kind_low, length_high, length_low], rest) =
            self.rest.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let (body, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let kind = u16::from_be_bytes([*kind_high, *kind_low]);
        Some(Record { critical: kind & CRITICAL != 0, kind: kind & !CRITICAL, body })
    }
}

fn once<'a>(slot: &mut Option<&'a [u8]>, body: &'a [u8]) -> Result<(), RequestError> {
    match slot.replace(body) {
        None if body.len().is_multiple_of(2) => Ok(()),
        _ => Err(RequestError::BadRequest),
    }
}

fn numbers(body: &[u8]) -> impl Iterator<Item = u16> {
    body.as_chunks::<2>().0.iter().map(|bytes| u16::from_be_bytes(*bytes))
}

fn number(body: &[u8]) -> Option<u16> {
    body.try_into().ok().map(u16::from_be_bytes)
}

/// A host name or address as text (RFC 8915, section 4.1.7).
fn name(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let visible = (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    visible.then(|| text.to_owned())
}

fn put(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: [u8; 16] = [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 15, 0x80, 0, 0, 0];

    #[test]
    fn our_request_is_what_the_standard_says() {
        assert_eq!(Request::encode(), GOOD);
        assert_eq!(exporter_context(Direction::ClientToServer), [0, 0, 0, 15, 0]);
        assert_eq!(exporter_context(Direction::ServerToClient), [0, 0, 0, 15, 1]);
        for cut in 0..GOOD.len() {
            assert_eq!(Request::read(&GOOD[..cut]), Ok(None));
        }
        let both = Request { ntpv4: true, aes_siv_cmac_256: true };
        assert_eq!(Request::read(&GOOD), Ok(Some(both)));
    }

    #[test]
    fn requests_are_read_as_the_standard_says() {
        use RequestError::{BadRequest, UnrecognizedCriticalRecord};
        let read = |parts: &[&[u8]]| Request::read(&parts.concat());
        let (protocol, algorithm, end) = (&GOOD[..6], &GOOD[6..12], &GOOD[12..]);
        let served = |ntpv4, aes_siv_cmac_256| Ok(Some(Request { ntpv4, aes_siv_cmac_256 }));
        for (parts, expected) in [
            (vec![protocol, &[0x80, 4, 0, 4, 0, 30, 0, 15], end], served(true, true)),
            (vec![protocol, &[0x80, 4, 0, 2, 0, 30], end], served(true, false)),
            (vec![&[0x80, 1, 0, 2, 0x80, 1], end], served(false, false)),
            // Unknown records: left alone, or refused where they are critical.
            (vec![protocol, &[0x40, 1, 0, 1, 9], algorithm, end], served(true, true)),
            (vec![protocol, &[0xc0, 1, 0, 1, 9], algorithm, end], Err(UnrecognizedCriticalRecord)),
            // A wish for another server.
            (vec![protocol, algorithm, &[0, 7, 0, 2, 0, 123], end], served(true, true)),
            (vec![algorithm, end], Err(BadRequest)),
            (vec![protocol, end], Err(BadRequest)),
            (vec![protocol, protocol, algorithm, end], Err(BadRequest)),
            (vec![&[0x80, 1, 0, 1, 0], algorithm, end], Err(BadRequest)),
            (vec![protocol, &[0, 5, 0, 4, 1, 2, 3, 4], algorithm, end], Err(BadRequest)),
            (vec![protocol, algorithm, &[0x80, 0, 0, 1, 0]], Err(BadRequest)),
            (vec![&[0; LONGEST_REQUEST]], Err(BadRequest)),
            (vec![&[0x40, 1, 0xff, 0xff], &[0; LONGEST_REQUEST]], Err(BadRequest)),
        ] {
            assert_eq!(read(&parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn responses_read_back() {
        let cookies = vec![vec![7; 104]; 8];
        let both = Request { ntpv4: true, aes_siv_cmac_256: true };
        let bytes = respond(&both, cookies.iter().map(Vec::as_slice), 4_123);
        for cut in 0..bytes.len() {
            assert_eq!(Response::read(&bytes[..cut]), Ok(None));
        }
        let expected = Response { cookies: cookies.clone(), server: None, port: Some(4_123) };
        assert_eq!(Response::read(&bytes), Ok(Some(expected)));
        let read = |bytes: &[u8]| Response::read(bytes);
        assert_eq!(read(&respond(&both, [], 123)), Err(ResponseError::NoCookie));
        for (ntpv4, aes_siv_cmac_256) in [(false, true), (true, false)] {
            let request = Request { ntpv4, aes_siv_cmac_256 };
            let bytes = respond(&request, cookies.iter().map(Vec::as_slice), 123);
            assert!(bytes.len() < 20, "no cookie without a protocol and an algorithm");
            assert_eq!(read(&bytes), Err(ResponseError::NothingInCommon));
        }
        assert_eq!(read(&refuse(RequestError::BadRequest)), Err(ResponseError::Error(1)));
        assert_eq!(read(&refuse(RequestError::UnrecognizedCriticalRecord)), Err(ResponseError::Error(0)));
        assert_eq!(read(&[0; LONGEST_RESPONSE]), Err(ResponseError::NothingInCommon));
        assert_eq!(read(&[0x40; LONGEST_RESPONSE]), Err(ResponseError::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2_000), head in 0usize..=16) {
            let bytes = [&GOOD[..head], &bytes].concat();
            let _ = Request::read(&bytes);
            if let Ok(Some(response)) = Response::read(&bytes) {
                prop_assert!((1..=MOST_COOKIES).contains(&response.cookies.len()));
            }
        }
    }
}
