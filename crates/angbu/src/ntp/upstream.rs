//! What the centre measures of the NTP servers that it is told to measure.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use angbu_agent::ntp::client::{self, ExchangeError, Question};
use angbu_agent::nts::{Granted, KeyExchangeError, exchange_keys};
use angbu_time::exchange::{Exchange, Refusal};
use angbu_time::nts::client::{Refusal as Unauthentic, Request, Session};
use angbu_units::{Clock, NtpTimestamp, UnixTime};
use md5::{Digest as _, Md5};
use rand::rngs::SysRng;
use rand_core::{Rng as _, UnwrapErr};
use rustls::ClientConfig;

/// One measurement of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// The address that answered.
    pub address: SocketAddr,
    /// The four instants and what the server said of itself.
    pub exchange: Exchange,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The exchange did not come about.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// It did, and nothing follows from it.
    #[error("the reply of the NTP server {address} cannot be used: {source}")]
    Refused {
        /// Who replied.
        address: SocketAddr,
        /// What is wrong with the reply.
        source: Refusal,
    },
    /// There are no keys to protect a question with.
    #[error(transparent)]
    Keys(#[from] KeyExchangeError),
    /// What came back is not protected, or not by this server.
    #[error("nothing authentic came back from {address}: {source}")]
    Unauthentic {
        /// Who was asked.
        address: SocketAddr,
        /// What is wrong with what came back.
        source: Unauthentic,
    },
}

/// An upstream that is asked under NTS (RFC 8915) and never without.
pub struct ProtectedUpstream {
    server: String,
    tls: Arc<ClientConfig>,
    granted: Option<Granted>,
}

impl ProtectedUpstream {
    /// The server whose keys are exchanged at `server`, `host` or `host:port`; no keys yet.
    pub fn new(server: &str, tls: Arc<ClientConfig>) -> Self {
        Self { server: server.to_owned(), tls, granted: None }
    }

    /// As [`measure`], under protection. Keys are exchanged where none are left, once in a call.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub fn measure(
        &mut self,
        timeout: Duration,
        clock: &dyn Clock,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Measurement, MeasureError> {
        let granted = match self.granted.take().filter(|granted| granted.session.cookies() > 0) {
            Some(granted) => granted,
            None => exchange_keys(&self.server, &self.tls)?,
        };
        let granted = self.granted.insert(granted);
        let mut result = Err(ExchangeError::GivenUp.into());
        for address in client::resolve(&granted.ntp)?.into_iter().take(MOST_ADDRESSES) {
            let mut question = ProtectedQuestion::new(&mut granted.session);
            let answered = client::exchange_of(address, timeout, clock, give_up, &mut question);
            let refused = question.refused;
            result = match (answered, refused) {
                (Ok(answered), _) => read(address, &answered),
                (Err(_), Some(source)) => Err(MeasureError::Unauthentic { address, source }),
                (Err(error), None) => Err(error.into()),
            };
            if refused == Some(Unauthentic::Nak) {
                // It cannot open our cookies; the next measurement begins with new ones.
                self.granted = None;
                break;
            }
            if result.is_ok() || give_up() {
                break;
            }
        }
        result
    }
}

/// A question under NTS that proves nothing to a third party.
pub struct ProtectedQuestion<'a> {
    session: &'a mut Session,
    request: Option<Request>,
    /// What was wrong with what came back, if something did.
    pub refused: Option<Unauthentic>,
}

impl<'a> ProtectedQuestion<'a> {
    /// A question in this association.
    pub const fn new(session: &'a mut Session) -> Self {
        Self { session, request: None, refused: None }
    }
}

impl Question for ProtectedQuestion<'_> {
    fn request(&mut self, token: u64, _t1: UnixTime) -> Option<Vec<u8>> {
        let mut rng = UnwrapErr(SysRng);
        let mut identifier = [0; 32];
        rng.fill_bytes(&mut identifier);
        let request = self.session.ask(NtpTimestamp::from_bits(token), identifier, None, &mut rng)?;
        let datagram = request.datagram.clone();
        self.request = Some(request);
        Some(datagram)
    }

    fn is_answer(&mut self, reply: &[u8]) -> bool {
        let Some(request) = &self.request else { return false };
        match self.session.read(request, reply) {
            Ok(_) => true,
            Err(refused) => {
                self.refused = Some(refused);
                false
            }
        }
    }
}

/// Asks an upstream (`host`, `host:port` or `[v6]:port`) once, at the first of its addresses that gives a usable
/// answer; each may take `timeout`. `give_up` is asked about ten times a second. Nothing is said about this
/// machine's clock, since the request's timestamp is random.
///
/// # Errors
/// [`MeasureError`] of the last address that was tried.
pub fn measure(
    server: &str,
    timeout: Duration,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
) -> Result<Measurement, MeasureError> {
    let mut result = Err(ExchangeError::GivenUp.into());
    for address in client::resolve(server)?.into_iter().take(MOST_ADDRESSES) {
        result = ask(address, timeout, clock, give_up);
        if result.is_ok() || give_up() {
            break;
        }
    }
    result
}

/// How this address is named as the reference of a server that takes time from it (RFC 5905, section 7.3):
/// the IPv4 address itself, or the first four octets of the MD5 of the IPv6 address. Servers know by it
/// that they would take their own time back; nothing else rests on it.
pub fn reference_id(address: IpAddr) -> [u8; 4] {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..]: [u8; 16] = Md5::digest(address.octets()).into();
            [a, b, c, d]
        }
    }
}

/// How many addresses of one name are tried.
const MOST_ADDRESSES: usize = 4;

fn ask(
    address: SocketAddr,
    timeout: Duration,
    clock: &dyn Clock,
    give_up: &dyn Fn() -> bool,
) -> Result<Measurement, MeasureError> {
    let answered = client::exchange(address, timeout, clock, give_up)?;
    read(address, &answered)
}

fn read(address: SocketAddr, answered: &client::Answered) -> Result<Measurement, MeasureError> {
    let exchange = Exchange::read(&answered.request, &answered.reply, answered.sent.wall, answered.received)
        .map_err(|source| MeasureError::Refused { address, source })?;
    Ok(Measurement { address, exchange })
}

#[cfg(test)]
mod tests {
    use super::*;
    use angbu_agent::clock::SystemClock;
    use angbu_agent::ntp::server::{Listen, Published, Server};
    use angbu_time::packet::Leap;
    use angbu_time::server::{ServerState, Unsynchronised};
    use angbu_units::{Nanos, Reading};
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A clock that is ahead of this machine's.
    struct Ahead(Nanos);

    impl Clock for Ahead {
        fn read(&self) -> Reading {
            let reading = SystemClock.read();
            Reading { wall: reading.wall + self.0, ..reading }
        }
    }

    fn serve(ahead: Nanos, state: impl FnOnce(Reading) -> ServerState) -> (Server, String) {
        let clock = Ahead(ahead);
        let published = Published::new(state(clock.read()));
        let listen = Listen { addresses: vec!["127.0.0.1:0".parse().unwrap()], threads: NonZeroUsize::MIN };
        let server = Server::start(&listen, Arc::new(published), Arc::new(clock)).unwrap();
        let address = server.addresses()[0].to_string();
        (server, address)
    }

    fn good(now: Reading) -> ServerState {
        ServerState {
            leap: Leap::None,
            stratum: 2,
            precision: -20,
            root_delay: Nanos::from_micros(300),
            root_dispersion: Nanos::from_millis(1),
            reference_id: *b"TEST",
            reference_time: now.wall,
            as_of: now.wall,
        }
    }

    #[test]
    fn a_clock_is_measured_within_the_bound() {
        for ahead in [Nanos::ZERO, Nanos::from_millis(250), Nanos::from_secs(-7_200)] {
            let (_server, address) = serve(ahead, good);
            let measured = measure(&address, PATIENCE, &SystemClock, &|| false).unwrap();
            let exchange = measured.exchange;
            assert_eq!(measured.address.to_string(), address);
            assert!((exchange.offset() - ahead).abs() <= exchange.bound(), "{exchange:?}");
            assert!(exchange.delay() >= Nanos::ZERO && exchange.delay() < Nanos::from_secs(1));
            let source = exchange.source();
            assert_eq!((source.stratum, source.leap, source.reference_id), (2, Leap::None, *b"TEST"));
            assert!(source.root_dispersion.to_nanos() >= Nanos::from_millis(1));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let (_server, address) =
            serve(Nanos::ZERO, |now| ServerState::unsynchronised(Unsynchronised::Initial, -20, now.wall));
        let refused = measure(&address, PATIENCE, &SystemClock, &|| false).unwrap_err();
        assert!(
            matches!(refused, MeasureError::Refused { source: Refusal::Unsynchronised, .. }),
            "{refused}"
        );
        let unknown = measure("no such name", PATIENCE, &SystemClock, &|| false).unwrap_err();
        assert!(matches!(unknown, MeasureError::Exchange(ExchangeError::Unresolved { .. })), "{unknown}");
        let given_up = measure(&address, PATIENCE, &SystemClock, &|| true).unwrap_err();
        assert!(matches!(given_up, MeasureError::Exchange(ExchangeError::GivenUp)), "{given_up}");
    }

    #[test]
    fn references_are_named_as_the_standard_says() {
        // `printf '20010db8000000000000000000000001' | xxd -r -p | md5sum`
        for (address, id) in [
            ("192.0.2.7", [192, 0, 2, 7]),
            ("::ffff:192.0.2.7", [192, 0, 2, 7]),
            ("2001:db8::1", [0x39, 0xab, 0x9b, 0x37]),
        ] {
            assert_eq!(reference_id(address.parse().unwrap()), id, "{address}");
        }
    }
}
