//! The exchange of keys for NTS (RFC 8915, section 4): TLS 1.3, one request, one answer, and the end. What is said is
//! [`angbu_time::nts::key_exchange`]'s.
//!
//! Everything that a stranger can grow is bounded: connections, connections of one address, the time of each, and the
//! bytes that are read of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use angbu_agent::ntp::server::PublishedEpochs;
use angbu_time::nts::cookie::{self, Contents};
use angbu_time::nts::key_exchange::{
    ALPN, Direction, EXPORTER_LABEL, LONGEST_REQUEST, PORT, Request, exporter_context, refuse, respond,
};
use angbu_time::nts::{AeadKey, MOST_COOKIES};
use angbu_time::packet;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::listener::{self, Door, Limits};

/// What one centre gives strangers who exchange keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many exchanges go on at once: enough for some thousands a second, and few enough that whoever only holds
    /// connections open holds nothing but these, and each no longer than the deadline.
    pub(crate) limits: Limits,
    /// How long a client may take for all of it.
    pub(crate) deadline: Duration,
}

impl Bounds {
    /// A centre's.
    pub(crate) const CENTRE: Self =
        Self { limits: Limits { connections: 512, each_source: 64 }, deadline: Duration::from_secs(5) };
}

/// What is served, and to whom it is counted.
#[derive(Clone)]
pub(crate) struct Service {
    /// The certificate, TLS 1.3 only.
    pub(crate) tls: Arc<ServerConfig>,
    /// The keys that seal cookies.
    pub(crate) epochs: Arc<PublishedEpochs>,
    /// Where this host serves NTP.
    pub(crate) ntp_port: u16,
    /// What came of it.
    pub(crate) counts: Arc<Counts>,
}

/// What came of the exchanges since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Cookies were handed out.
    pub(crate) served: AtomicU64,
    /// What a client wants is not served here, or was no request.
    pub(crate) refused: AtomicU64,
    /// TLS came to nothing, or the client went away or took too long.
    pub(crate) failed: AtomicU64,
    /// Closed at once: too many connections of one address.
    pub(crate) crowded: AtomicU64,
}

/// Takes the address: the one that is configured, else the time server's, at NTS-KE's own port beside NTP's own and at
/// the port of the same number beside any other.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(
    configured: Option<SocketAddr>,
    asked: SocketAddr,
    ntp: SocketAddr,
) -> Result<TcpListener, (SocketAddr, io::Error)> {
    let attempt = |address| listener::bind(address).map_err(|error| (address, error));
    if let Some(address) = configured {
        return attempt(address);
    }
    let port = if ntp.port() == packet::PORT { PORT } else { ntp.port() };
    match attempt(SocketAddr::new(ntp.ip(), port)) {
        // Any port of the time server was right, so any is right here.
        Err(_) if asked.port() == 0 => attempt(SocketAddr::new(ntp.ip(), 0)),
        bound => bound,
    }
}

/// Serves until `stop` turns true.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Service,
    Bounds { limits, deadline }: Bounds,
    stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&service.tls));
    let mut door = Door::new(listener, limits, stop);
    let counts = Arc::clone(&service.counts);
    let crowded = |_| {
        counts.crowded.fetch_add(1, Ordering::Relaxed);
    };
    while let Some((stream, peer, place)) = door.next(crowded).await {
        let (service, acceptor) = (service.clone(), acceptor.clone());
        tokio::spawn(async move {
            let outcome = tokio::time::timeout(deadline, exchange(stream, &acceptor, &service)).await;
            let counter = match outcome {
                Ok(Ok(true)) => &service.counts.served,
                Ok(Ok(false)) => &service.counts.refused,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "an exchange of keys came to nothing");
                    &service.counts.failed
                }
                Err(_) => &service.counts.failed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

/// One exchange; whether cookies were handed out.
async fn exchange(stream: TcpStream, acceptor: &TlsAcceptor, service: &Service) -> io::Result<bool> {
    let _ = stream.set_nodelay(true);
    let mut stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        // RFC 8915, section 4: whoever does not name the protocol does not speak it.
        return Ok(false);
    }
    let mut buffer = [0; LONGEST_REQUEST];
    let mut filled = 0;
    let request = loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        match Request::read(buffer.get(..filled).unwrap_or_default()) {
            Ok(None) => {}
            Ok(Some(request)) => break Ok(request),
            Err(error) => break Err(error),
        }
    };
    let (answer, served) = match request {
        Ok(request) => answer(&request, stream.get_ref().1, service).map_err(io::Error::other)?,
        Err(error) => (refuse(error), false),
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    Ok(served)
}

/// The answer to a request, with cookies if it can be served; whether it can.
fn answer(
    request: &Request,
    tls: &ServerConnection,
    service: &Service,
) -> Result<(Vec<u8>, bool), rustls::Error> {
    let epochs = service.epochs.epochs();
    let keys = epochs.and_then(|epochs| epochs.prepare()).filter(|_| request.can_be_served());
    let Some(mut keys) = keys else { return Ok((respond(request, [], service.ntp_port), false)) };
    let export = |direction| {
        let mut key = Zeroizing::new([0; 32]);
        tls.export_keying_material(&mut *key, EXPORTER_LABEL, Some(&exporter_context(direction)))?;
        Ok::<_, rustls::Error>(AeadKey::new(*key))
    };
    let contents = Contents {
        client_to_server: export(Direction::ClientToServer)?,
        server_to_client: export(Direction::ServerToClient)?,
    };
    let mut cookies = [[0; cookie::LENGTH]; MOST_COOKIES];
    for cookie in &mut cookies {
        keys.seal(&contents, &mut rand::rng(), cookie);
    }
    Ok((respond(request, cookies.iter().map(<[u8; cookie::LENGTH]>::as_slice), service.ntp_port), true))
}

impl Counts {
    /// The counts with their words for metrics.
    pub(crate) fn read(&self) -> [(&'static str, u64); 4] {
        let Self { served, refused, failed, crowded } = self;
        [("served", served), ("refused", refused), ("failed", failed), ("crowded", crowded)]
            .map(|(word, count)| (word, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    use angbu_agent::ntp::server::Epochs;
    use angbu_agent::nts::{Granted, KeyExchangeError, exchange_keys};
    use angbu_client::Trust;
    use angbu_time::nts::cookie::EpochSecret;
    use angbu_time::nts::key_exchange::{Response, ResponseError};
    use angbu_units::NtpServerId;
    use rustls::ClientConfig;
    use rustls_pki_types::ServerName;

    use crate::config::{HttpConfig, NtsConfig};
    use crate::tls;

    const DEADLINE: Duration = Duration::from_millis(400);
    const EACH_SOURCE: usize = 4;

    /// A service on a port of its own.
    struct Running {
        address: SocketAddr,
        trust: Trust,
        counts: Arc<Counts>,
        _stop: watch::Sender<bool>,
        _runtime: tokio::runtime::Runtime,
        _folder: tempfile::TempDir,
    }

    impl Running {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let site =
                tls::load_for_nts(&NtsConfig::default(), &HttpConfig::default(), folder.path()).unwrap();
            let epochs = Arc::new(PublishedEpochs::default());
            let server = NtpServerId::from_bytes([7; 16]);
            epochs.set(Epochs { server, open: vec![EpochSecret::new(1, [1; 32])], current: 1 });
            let service =
                Service { tls: Arc::new(site.config), epochs, ntp_port: 4_123, counts: Arc::default() };
            let counts = Arc::clone(&service.counts);
            let bounds =
                Bounds { limits: Limits { connections: 8, each_source: EACH_SOURCE }, deadline: DEADLINE };
            let (stop, stopped) = watch::channel(false);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let guard = runtime.enter();
            let listener = bind(Some(any), any, any).unwrap();
            let address = listener.local_addr().unwrap();
            runtime.spawn(serve(listener, service, bounds, stopped));
            drop(guard);
            let trust = Trust::in_key(&site.public_key);
            Self { address, trust, counts, _stop: stop, _runtime: runtime, _folder: folder }
        }

        fn exchange(&self) -> Result<Granted, KeyExchangeError> {
            exchange_keys(&self.address.to_string(), &Arc::new(self.trust.for_nts().unwrap()))
        }

        /// Sends a request of bytes and returns all that comes back.
        fn say(&self, request: &[u8]) -> io::Result<Vec<u8>> {
            self.say_with(self.trust.for_nts().unwrap(), request)
        }

        fn say_with(&self, config: ClientConfig, request: &[u8]) -> io::Result<Vec<u8>> {
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = std::net::TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(DEADLINE * 20))?;
            let mut over = rustls::Stream::new(&mut tls, &mut stream);
            over.write_all(request)?;
            let mut all = Vec::new();
            over.read_to_end(&mut all)?;
            Ok(all)
        }

        fn count(&self, word: &str) -> u64 {
            self.counts.read().into_iter().find(|(name, _)| *name == word).unwrap().1
        }

        /// Waits until a count is reached.
        fn reached(&self, word: &str, count: u64) {
            let end = Instant::now() + Duration::from_secs(20);
            while self.count(word) < count {
                assert!(Instant::now() < end, "{word} stays at {}", self.count(word));
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn an_exchange_gives_keys_and_eight_cookies() {
        let running = Running::start();
        let granted = running.exchange().unwrap();
        assert_eq!((granted.session.cookies(), granted.ntp.as_str()), (8, "127.0.0.1:4123"));
        running.reached("served", 1);
        let stranger = Trust::Key([9; 32]).for_nts().unwrap();
        let refused = exchange_keys(&running.address.to_string(), &Arc::new(stranger));
        assert!(matches!(refused, Err(KeyExchangeError::Tls { .. })), "{:?}", refused.err());
    }

    #[test]
    fn what_is_no_request_is_told_so() {
        let running = Running::start();
        let read = |bytes: &[u8]| Response::read(&running.say(bytes).unwrap());
        let (protocol, end) = ([0x80, 1, 0, 2, 0, 0], [0x80, 0, 0, 0]);
        let only_another = [&protocol[..], &[0x80, 4, 0, 2, 0, 30], &end].concat();
        assert_eq!(read(&only_another), Err(ResponseError::NothingInCommon));
        let unknown = [&protocol[..], &[0xc0, 9, 0, 0], &end].concat();
        assert_eq!(read(&unknown), Err(ResponseError::Error(0)));
        assert_eq!(read(&end), Err(ResponseError::Error(1)));
        // As long as is read, and no end.
        assert_eq!(read(&[0x40; LONGEST_REQUEST]), Err(ResponseError::Error(1)));
        running.reached("refused", 4);
        assert_eq!(running.count("served"), 0);
    }

    #[test]
    fn only_this_protocol_over_tls_1_3_is_spoken() {
        let running = Running::start();
        let mut silent = running.trust.for_nts().unwrap();
        silent.alpn_protocols.clear();
        assert!(running.say_with(silent, &Request::encode()).map_or(true, |said| said.is_empty()));
        let mut other = running.trust.for_nts().unwrap();
        other.alpn_protocols = vec![b"h2".to_vec()];
        assert!(running.say_with(other, &Request::encode()).is_err());
        // A greeting of TLS 1.2, and no TLS at all.
        for bytes in [&b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"[..], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut stream = std::net::TcpStream::connect(running.address).unwrap();
            stream.write_all(bytes).unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            assert!(said.len() < 16, "an alert at most: {said:?}");
        }
        assert!(running.exchange().is_ok());
    }

    #[test]
    fn whoever_only_holds_connections_open_holds_them_shortly() {
        let running = Running::start();
        let hold = || std::net::TcpStream::connect(running.address).unwrap();
        let held: Vec<_> = (0..EACH_SOURCE).map(|_| hold()).collect();
        // More of one address are closed at once.
        for mut more in (0..20).map(|_| hold()) {
            assert_eq!(more.read(&mut [0; 1]).unwrap_or(0), 0);
        }
        running.reached("crowded", 20);
        // Each of the others at its deadline, however slowly it goes on.
        running.reached("failed", held.len() as u64);
        assert!(running.exchange().is_ok(), "there is room again");
        // One that has shaken hands and then says a byte of its request.
        let begun = Instant::now();
        let said = running.say(&Request::encode()[..1]);
        assert!(said.is_err() || said.is_ok_and(|said| said.is_empty()));
        assert!(begun.elapsed() < DEADLINE * 10);
        assert!(running.exchange().is_ok());
    }
}
