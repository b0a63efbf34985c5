//! `angbu probe`: asks a time server and shows, a line an answer, how far this machine's clock is from it, and what the
//! server says of itself. Nothing is set.

use std::sync::Arc;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use angbu_agent::clock::SystemClock;
use angbu_agent::ntp::client::{self, Answered, ExchangeError};
use angbu_agent::nts::exchange_keys;
use angbu_client::Trust;
use angbu_time::exchange::{Exchange, Source};
use angbu_time::nts::client::{Refusal, Session};
use angbu_units::Nanos;

use super::{Failure, Output, ProbeArguments};
use crate::ntp::upstream::ProtectedQuestion;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 8;
/// How many places the picture of an offset has on each side of its middle.
const SIDE: i64 = 20;

/// Asks as often as was said: 0 when there was an answer that shows the time, 1 when there was none, 2 usage.
pub(super) fn run(arguments: &ProbeArguments) -> Result<(), Failure> {
    let output = Output::new(arguments.json);
    let mut server = Server::find(arguments)?;
    output.words(&format!("{} [{}]{}", arguments.server, server.address(), server.state()));
    let mut shown = 0;
    let mut last = None;
    for number in 1..=arguments.count.get() {
        let next = Instant::now() + arguments.interval.to_duration();
        match server.ask() {
            Ok(exchange) => {
                shown += 1;
                tell(output, number, &server, &exchange, last.as_ref() != Some(exchange.source()));
                last = Some(*exchange.source());
            }
            Err(reason) => {
                output.result(
                    &json!({ "sample": number, "server": server.address(), "error": reason }),
                    || format!("{}  {reason}", now_of_day()),
                );
            }
        }
        while number < arguments.count.get() && Instant::now() < next {
            park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
    output.object(&json!({ "asked": arguments.count, "answered": shown, "nts": arguments.nts }));
    if shown == 0 {
        let server = &arguments.server;
        return Err(Failure::Refused(anyhow::anyhow!("{server} gave no answer that shows the time")));
    }
    Ok(())
}

/// The server, by the address that is asked.
struct Server {
    addresses: Vec<std::net::SocketAddr>,
    session: Option<Session>,
}

impl Server {
    fn find(arguments: &ProbeArguments) -> Result<Self, Failure> {
        let refused = |error: anyhow::Error| Failure::Refused(error);
        let (name, session) = if arguments.nts {
            let trust = match &arguments.ca {
                None => Trust::Public,
                Some(path) => {
                    let pem = std::fs::read(path)
                        .map_err(|error| Failure::Usage(format!("--ca {}: {error}", path.display())))?;
                    Trust::authorities(&pem).map_err(|error| refused(error.into()))?
                }
            };
            let tls = Arc::new(trust.for_nts().map_err(|error| refused(error.into()))?);
            let granted = exchange_keys(&arguments.server, &tls).map_err(|error| refused(error.into()))?;
            (granted.ntp, Some(granted.session))
        } else {
            (arguments.server.clone(), None)
        };
        let mut addresses = client::resolve(&name).map_err(|error| refused(error.into()))?;
        addresses.truncate(MOST_ADDRESSES);
        Ok(Self { addresses, session })
    }

    fn address(&self) -> String {
        self.addresses.first().map(ToString::to_string).unwrap_or_default()
    }

    fn state(&self) -> String {
        match &self.session {
            Some(session) => format!(", under NTS: keys exchanged, {} cookies", session.cookies()),
            None => String::new(),
        }
    }

    /// One exchange with the first address that answers, which is the first to be asked from then on.
    fn ask(&mut self) -> Result<Exchange, String> {
        let mut failure = "the name has no address".to_owned();
        for place in 0..self.addresses.len() {
            let Some(address) = self.addresses.get(place).copied() else { break };
            let (asked, refused) = match &mut self.session {
                None => (client::exchange(address, PATIENCE, &SystemClock, &|| false), None),
                Some(session) => {
                    let mut question = ProtectedQuestion::new(session);
                    let asked =
                        client::exchange_of(address, PATIENCE, &SystemClock, &|| false, &mut question);
                    (asked, question.refused)
                }
            };
            match asked {
                Ok(answered) => {
                    self.addresses.swap(0, place);
                    return exchange(&answered);
                }
                Err(error) => failure = in_words(&error, refused),
            }
        }
        Err(failure)
    }
}

fn in_words(error: &ExchangeError, refused: Option<Refusal>) -> String {
    match (error, refused) {
        (_, Some(refused)) => refused.to_string(),
        (ExchangeError::GivenUp, None) => "no cookie is left to ask with".to_owned(),
        (error, None) => error.to_string(),
    }
}

fn exchange(answered: &Answered) -> Result<Exchange, String> {
    let Answered { request, reply, sent, received, .. } = answered;
    Exchange::read(request, reply, sent.wall, *received).map_err(|refusal| refusal.to_string())
}

/// One line for an answer, and one for what the server says of itself where that is news.
fn tell(output: Output, number: u32, server: &Server, exchange: &Exchange, is_news: bool) {
    output.object(&object(number, server, exchange));
    if is_news {
        output.words(&about(exchange.source()));
    }
    let (offset, bound) = (exchange.offset(), exchange.bound());
    output.words(&format!(
        "{}  d:{}  o:{}  ±{}  {}",
        now_of_day(),
        seconds(exchange.delay().times(2)),
        seconds(offset),
        bound,
        picture(offset, bound),
    ));
}

fn object(number: u32, server: &Server, exchange: &Exchange) -> Value {
    let source = exchange.source();
    json!({
        "sample": number,
        "server": server.address(),
        "at": exchange.at().to_string(),
        "offset_ns": exchange.offset().count(),
        "delay_ns": exchange.delay().times(2).count(),
        "bound_ns": exchange.bound().count(),
        "stratum": source.stratum,
        "leap": source.leap.bits(),
        "root_delay_ns": source.root_delay.to_nanos().count(),
        "root_dispersion_ns": source.root_dispersion.to_nanos().count(),
        "precision": source.precision,
        "reference_id": reference(source),
        "nts": server.session.is_some(),
    })
}

fn about(source: &Source) -> String {
    let leap = match source.leap.bits() {
        0 => "no leap second announced",
        1 => "a second is inserted at the end of the day",
        2 => "a second is left out at the end of the day",
        _ => "its clock is not synchronised",
    };
    format!(
        "stratum {}, reference {}, root delay {}, root dispersion {}, {leap}",
        source.stratum,
        reference(source),
        source.root_delay.to_nanos(),
        source.root_dispersion.to_nanos(),
    )
}

/// Letters at stratum 1, an address or a part of a hash further down (RFC 5905, section 7.3).
fn reference(source: &Source) -> String {
    let id = source.reference_id;
    if source.stratum <= 1 {
        return id
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| byte.escape_ascii().to_string())
            .collect();
    }
    std::net::Ipv4Addr::from(id).to_string()
}

/// As `w32tm /stripchart` writes it: a sign, seconds, seven digits.
fn seconds(length: Nanos) -> String {
    let tenths = (length.count().unsigned_abs() + 50) / 100;
    let sign = if length.count() < 0 { '-' } else { '+' };
    format!("{sign}{:02}.{:07}s", tenths / 10_000_000, tenths % 10_000_000)
}

/// `[    |  --*--   ]`: the middle is a clock without error, the star the offset, the dashes what the bound leaves open. The
/// scale, at its right, is the power of ten that holds both.
fn picture(offset: Nanos, bound: Nanos) -> String {
    let farthest = (offset.abs() + bound).count().max(1);
    let mut scale = 1_000_i64;
    while scale < farthest && scale < 1_000_000_000_000_000_000 {
        scale = scale.saturating_mul(10);
    }
    let place = |at: Nanos| {
        let scaled = i128::from(at.count()) * i128::from(SIDE) / i128::from(scale);
        i64::try_from(scaled).unwrap_or(SIDE).clamp(-SIDE, SIDE)
    };
    let (low, star, high) = (place(offset - bound), place(offset), place(offset + bound));
    let bar: String = (-SIDE..=SIDE)
        .map(|at| match at {
            _ if at == star => '*',
            0 => '|',
            _ if (low..=high).contains(&at) => '-',
            _ => ' ',
        })
        .collect();
    format!("[{bar}] to {}", Nanos::new(scale))
}

fn now_of_day() -> String {
    use angbu_units::Clock as _;
    SystemClock.read().wall.rfc3339(0).get(11..19).unwrap_or_default().to_owned()
}

/// How many answers: 1 to 100,000.
pub(super) fn count(text: &str) -> Result<std::num::NonZeroU32, String> {
    let count: std::num::NonZeroU32 =
        text.parse().context("not a number").map_err(|error| error.to_string())?;
    if count.get() <= 100_000 { Ok(count) } else { Err("100000 at most".to_owned()) }
}

/// How long from one question to the next.
pub(super) fn interval(text: &str) -> Result<Nanos, String> {
    let interval: Nanos = text.parse().map_err(|error: angbu_units::TimeError| error.to_string())?;
    if interval >= Nanos::from_millis(1) { Ok(interval) } else { Err("1 ms at least".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_in_a_strip_chart() {
        for (nanos, text) in [
            (0, "+00.0000000s"),
            (31_234_549, "+00.0312345s"),
            (-934_500, "-00.0009345s"),
            (3_600_000_000_000, "+3600.0000000s"),
            (i64::MIN, "-9223372036.8547758s"),
        ] {
            assert_eq!(seconds(Nanos::new(nanos)), text);
        }
    }

    #[test]
    fn a_picture_shows_offset_and_bound_on_a_scale() {
        for (offset, bound, text) in [
            (0, 100, "[                  --*--                  ] to 1.000 µs"),
            (500_000, 100_000, "[                    |       --*--        ] to 1.000 ms"),
            (-10_000_000, 0, "[*                   |                    ] to 10.000 ms"),
        ] {
            assert_eq!(picture(Nanos::new(offset), Nanos::new(bound)), text);
        }
        assert!(picture(Nanos::MAX, Nanos::MAX).ends_with("*] to 1000000000.000 s"));
    }
}
