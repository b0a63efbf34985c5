//! What the centre does when it is called, always the same way: load state, let the pure core decide, commit state
//! and entry in one transaction, answer. Routes and jobs both come here.

mod accounts;
mod asked;
mod board;
mod deliveries;
mod entries;
mod erasure;
mod evidence;
mod export;
mod incidents;
mod kept;
mod keys;
mod log;
mod meter;
mod notices;
mod operations;
mod own_clock;
mod passkeys;
mod periods;
mod proofs;
mod recent;
mod report;
mod requests;
mod retention;
mod segments;
mod shares;
mod site_keys;
mod state;
mod time;
mod tries;
mod webhooks;
mod witnessed;
mod witnesses;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use rand::rngs::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use tokio::sync::{Semaphore, broadcast, watch};

use angbu_evidence::note::VerifierKey;
use angbu_evidence::{Body, Draft, Kind};
use angbu_store::accounts::{CustomerRow, TokenRow};
use angbu_store::{Published, Store, StoreError, Tx};
use angbu_units::{CentreId, Clock, CustomerId, EntryId, Nanos, ProvenInstant, UnixTime};

pub(crate) use accounts::{CustomerWish, JoinWish, PersonWish, StaffWish, read_grant, read_holder};
use board::Board;
pub(crate) use board::{AgentsWish, MOST_LISTED};
pub use deliveries::{Claimed, Tried};
pub(crate) use entries::EntriesWish;
pub(crate) use erasure::Because;
pub(crate) use evidence::Shown;
pub(crate) use export::{ExportWish, Piece, Table};
pub(crate) use kept::show as kept_shown;
pub use keys::OldFace;
pub(crate) use keys::{
    Enrolled, Enrolment, KeyFile, KeyJudged, KeyWhom, Material, PolicyWish, TriesWish, Typed,
};
pub use notices::{NoticeSettings, zone};
pub(crate) use operations::CalibrationWish;
pub use operations::{Seen, clock_state_row};
pub use own_clock::{InForce, OwnClock, Seam};
pub(crate) use passkeys::Holder;
use proofs::KnownEpochs;
use recent::Recent;
pub(crate) use report::ReportWish;
pub(crate) use requests::{Browser, RequestWish, SigningIn};
pub use retention::Retention;
pub(crate) use shares::ShareWish;
use shares::SharesGate;
pub use state::{SITE_START, clock_history, clock_state_entry};
pub use witnesses::Witnessed;
use witnesses::Witnesses;

/// Passwords hashed at once: each takes 19 MiB and a core, and signing in must not starve the log.
const PASSWORD_PLACES: usize = 2;
/// News that a slow listener may lag behind.
const NEWS: usize = 1_024;

/// What a centre knows of itself from its start on.
pub struct Site {
    /// The log's origin.
    pub origin: String,
    /// This centre.
    pub centre: CentreId,
    /// The centre's TLS key, to which enrolment codes are bound; empty where it speaks plain HTTP.
    pub tls_public_key: Vec<u8>,
    /// Where the web interface is, as `http://…` or `https://…`.
    pub url: String,
    /// Where browsers reach the web interface: what passkeys are for, and what links begin with.
    pub public_url: String,
    /// Where the time server is.
    pub ntp_address: SocketAddr,
    /// Where clients exchange keys for protected time.
    pub nts_address: SocketAddr,
    /// SHA-256 over the DER SubjectPublicKeyInfo that is shown there.
    pub nts_key: [u8; 32],
    /// When this run began.
    pub started: UnixTime,
    /// Its number among this centre's runs.
    pub run: u64,
}

/// What the time server counts, and what the upstreams say: read when somebody asks.
pub trait TimeService: Send + Sync {
    /// Replies since the start.
    fn answered(&self) -> u64;
    /// Datagrams left unanswered since the start, by reason.
    fn dropped(&self) -> BTreeMap<&'static str, u64>;
    /// What was protected since the start.
    fn protected(&self) -> Protected;
    /// The upstreams and their newest measurement.
    fn upstreams(&self) -> Vec<UpstreamState>;
    /// What the Roughtime server has answered and what it has not, by reason; none where there is no such server.
    fn roughtime(&self) -> Option<(u64, BTreeMap<&'static str, u64>)> {
        None
    }
    /// What was seen of the sources since this was last asked; it is forgotten with the answer.
    fn seen(&self) -> Vec<Seen> {
        Vec::new()
    }
}

/// What was protected (NTS) since the start.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// Replies that were protected.
    pub answered: u64,
    /// Those among them that carried a proof of the exchange.
    pub witnessed: u64,
    /// Requests that could not be opened.
    pub nak: u64,
    /// The epoch in which cookies are made.
    pub epoch: u32,
    /// Exchanges of keys, by what came of them.
    pub key_exchanges: BTreeMap<&'static str, u64>,
}

/// An upstream and its newest measurement.
#[derive(Debug, Clone)]
pub struct UpstreamState {
    /// As configured.
    pub address: String,
    /// What the newest answered exchange showed.
    pub newest: Option<UpstreamReading>,
    /// Whether the newest question was answered.
    pub reachable: bool,
}

/// What one exchange with an upstream showed.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamReading {
    /// When.
    pub at: UnixTime,
    /// Its stratum.
    pub stratum: u8,
    /// The offset of this centre's clock from it.
    pub offset: Nanos,
    /// One-way delay.
    pub delay: Nanos,
    /// How far the truth can lie from the offset.
    pub bound: Nanos,
}

/// What browsers that watch are told.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// An agent's state changed: its customer, and its newest exchanges.
    Agent { customer: CustomerId, agent: crate::types::time::Agent },
    /// An exchange arrived.
    Exchange { customer: CustomerId, exchange: crate::types::time::Exchange },
    /// Something happened to an agent.
    Mark { customer: CustomerId, agent: String, mark: crate::types::time::Mark },
    /// The centre's own clock changed its state.
    Clock,
    /// A request is not as it was.
    Request(angbu_units::RequestId),
}

/// A running centre, as its routes and jobs see it.
pub struct Centre {
    /// Itself, for what goes on when its caller is gone.
    me: Weak<Self>,
    store: Store,
    clock: Arc<dyn Clock>,
    site: Site,
    own_clock: Arc<OwnClock>,
    time_service: Arc<dyn TimeService>,
    epochs: KnownEpochs,
    board: Board,
    published: watch::Receiver<Option<Arc<Published>>>,
    news: broadcast::Sender<News>,
    stop: watch::Receiver<bool>,
    witnesses: Witnesses,
    sign_ins: meter::Meter<IpAddr>,
    password_places: Semaphore,
    shares: SharesGate,
    recent_tokens: Recent<[u8; 32], TokenRow>,
    recent_customers: Recent<String, CustomerRow>,
    recent_policies: Recent<CustomerId, angbu_keys::Policy>,
    apart: Arc<keys::Apart>,
    old_faces: Vec<OldFace>,
    notices: NoticeSettings,
    lookout: incidents::Lookout,
}

/// The parts that a centre is put together from.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What is fixed from the start on.
    pub site: Site,
    /// The state of this centre's own clock.
    pub own_clock: Arc<OwnClock>,
    /// The time server's counters.
    pub time_service: Arc<dyn TimeService>,
    /// The log's newest signed head.
    pub published: watch::Receiver<Option<Arc<Published>>>,
    /// Turns true when the centre is to end: open event streams end then.
    pub stop: watch::Receiver<bool>,
    /// The keys of the witnesses that are asked to cosign the log.
    pub witnesses: Vec<VerifierKey>,
    /// Whether a report needs the cosignature of each of them.
    pub require_witnesses: bool,
    /// Who is told of incidents, and how.
    pub notices: NoticeSettings,
    /// Who may ask about one-time keys at the old address, the first that names the caller's address.
    pub old_faces: Vec<OldFace>,
}

impl Centre {
    /// Puts a centre together.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            store: parts.store,
            clock: parts.clock,
            site: parts.site,
            own_clock: parts.own_clock,
            time_service: parts.time_service,
            epochs: KnownEpochs::default(),
            board: Board::default(),
            published: parts.published,
            news: broadcast::Sender::new(NEWS),
            stop: parts.stop,
            witnesses: Witnesses::new(parts.witnesses, parts.require_witnesses),
            sign_ins: meter::Meter::new(requests::BEGUN_A_MINUTE),
            password_places: Semaphore::new(PASSWORD_PLACES),
            shares: SharesGate::new(),
            recent_tokens: Recent::new(),
            recent_customers: Recent::new(),
            recent_policies: Recent::new(),
            apart: Arc::default(),
            old_faces: parts.old_faces,
            notices: parts.notices,
            lookout: incidents::Lookout::default(),
        })
    }

    /// What is fixed from the start on.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The instant, with what is known about it: the stamp of every answer.
    pub fn instant(&self) -> ProvenInstant {
        self.own_clock.instant(self.clock.read())
    }

    /// Appends an entry of the site itself, with text fields.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub async fn append_of_site<const N: usize>(
        &self,
        kind: Kind,
        fields: [(&'static str, String); N],
    ) -> Result<EntryId, StoreError> {
        let instant = self.instant();
        self.store.write(move |tx| append_text(tx, kind, CustomerId::SITE, instant, fields)).await
    }

    /// Tells whoever watches that the centre's clock changed its state.
    pub fn clock_changed(&self) {
        let _ = self.news.send(News::Clock);
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.site.public_url.starts_with("https:")
    }

    pub(crate) fn watch_news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    pub(crate) fn watch_head(&self) -> watch::Receiver<Option<Arc<Published>>> {
        self.published.clone()
    }

    pub(crate) fn watch_stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }
}

/// The system's randomness. A system that has none left is not one to run a trust centre on: it panics.
pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// Appends an entry with text fields in a transaction.
fn append_text<const N: usize>(
    tx: &mut Tx<'_>,
    kind: Kind,
    customer: CustomerId,
    instant: ProvenInstant,
    fields: [(&str, String); N],
) -> Result<EntryId, StoreError> {
    append(tx, kind, customer, instant, fields.map(|(name, value)| (name, value.into_bytes())))
}

/// Appends an entry in a transaction: state and evidence commit together.
fn append<'a>(
    tx: &mut Tx<'_>,
    kind: Kind,
    customer: CustomerId,
    instant: ProvenInstant,
    fields: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
) -> Result<EntryId, StoreError> {
    let id = EntryId::new(instant.time, &mut rng());
    append_with_id(tx, id, kind, customer, instant, fields)?;
    Ok(id)
}

/// [`append`] under an id that something else in the transaction names.
fn append_with_id<'a>(
    tx: &mut Tx<'_>,
    id: EntryId,
    kind: Kind,
    customer: CustomerId,
    instant: ProvenInstant,
    fields: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
) -> Result<(), StoreError> {
    let body =
        Body::new(&mut rng(), fields).map_err(|error| StoreError::Unfit { what: error.to_string() })?;
    tx.append(&Draft { id, kind, instant, customer, body_root: body.root() }, &body)
}
