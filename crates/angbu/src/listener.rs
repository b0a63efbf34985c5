//! The web listener: accepts connections, speaks TLS where the site has a certificate, and ends cleanly.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// How many connections are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At once; more wait in the system's queue.
    pub(crate) connections: usize,
    /// At once from one address; more are closed. An IPv6 network of /64 counts as one.
    pub(crate) each_source: usize,
}

impl Limits {
    /// A centre's: a customer's agents may all come from one address.
    pub(crate) const CENTRE: Self = Self { connections: 8_192, each_source: 8_192 };
    /// A witness's: it serves a few logs, and strangers.
    pub(crate) const WITNESS: Self = Self { connections: 1_024, each_source: 32 };
}
/// A handshake, and the head of a request, must be there within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long open requests may go on after the stop.
const GRACE: Duration = Duration::from_secs(3);

/// Connections that the system holds ready for us; with fewer, a burst of callers waits for their retransmissions.
const BACKLOG: u32 = 4_096;

/// Takes the address that the web interface listens on; port 0 takes any free one.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A centre that is started again does not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Lets connections in, as many as there are places, until `stop` turns true.
pub(crate) struct Door {
    listener: TcpListener,
    each_source: usize,
    places: Arc<Semaphore>,
    sources: Sources,
    stop: watch::Receiver<bool>,
}

/// What a connection holds; dropped, others can come in.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _source: FromSource,
}

impl Door {
    pub(crate) fn new(listener: TcpListener, limits: Limits, stop: watch::Receiver<bool>) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        Self { listener, each_source: limits.each_source, places, sources: Sources::default(), stop }
    }

    /// The next connection; none once `stop` has turned true. `crowded` is told of each that is closed because its address
    /// has too many.
    pub(crate) async fn next(
        &mut self,
        crowded: impl Fn(SocketAddr),
    ) -> Option<(TcpStream, SocketAddr, Place)> {
        loop {
            let place = tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => place.ok()?,
                _ = self.stop.wait_for(|stopped| *stopped) => return None,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.stop.wait_for(|stopped| *stopped) => return None,
            };
            match accepted {
                Ok((stream, peer)) => match self.sources.enter(peer.ip(), self.each_source) {
                    Some(source) => return Some((stream, peer, Place { _place: place, _source: source })),
                    None => crowded(peer),
                },
                Err(error) => {
                    // Out of file descriptors, most likely: waiting a moment beats spinning.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// Serves `router` on `listener` until `stop` turns true, then lets open requests end for a short while.
/// Handlers find the peer's address as `ConnectInfo<SocketAddr>`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let graceful = Arc::new(GracefulShutdown::new());
    let mut door = Door::new(listener, limits, stop);
    let crowded = |peer| tracing::debug!(%peer, "too many connections from one address");
    while let Some((stream, peer, place)) = door.next(crowded).await {
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(stream, peer, acceptor, router, watcher).await;
            drop(place);
        });
    }
    drop(door);
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }
}

/// How many connections each address has open.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address, until it is dropped.
struct FromSource {
    sources: Sources,
    address: IpAddr,
}

impl Sources {
    /// Counts a connection, unless its address has so many already.
    fn enter(&self, address: IpAddr, most: usize) -> Option<FromSource> {
        let address = network(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(FromSource { sources: self.clone(), address })
    }
}

impl Drop for FromSource {
    fn drop(&mut self) {
        let mut counts = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// The address that counts: of IPv6, whoever has one address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.map_request(
        move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(axum::body::Body::new)
        },
    ));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(PATIENCE)).max_concurrent_streams(256);
    let outcome = match acceptor {
        None => {
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            watcher.watch(connection).await
        }
        Some(acceptor) => match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                watcher.watch(connection).await
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => return,
        },
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_no_more_than_its_places() {
        let sources = Sources::default();
        let enter = |address: &str| sources.enter(address.parse().unwrap(), 2);
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let _six = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        let kept = sources.0.lock().unwrap().len();
        assert_eq!(kept, 2, "whoever left is forgotten");
    }
}
