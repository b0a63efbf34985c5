//! The proof of an exchange: what makes sure that neither end alone can invent its instants.
//!
//! A client of NTS knows the keys that seal a server's replies, so that a sealed reply by itself proves to nobody else
//! what the server said. Therefore both packets of an exchange with a centre carry one field more, of a type from the
//! range for experiments (RFC 7821 and RFC 8915 use the registry's other numbers):
//!
//! * the request, within what the authenticator hides: T1, the T4 of the exchange before, four bytes of padding. The
//!   request's unique identifier is SHA-256(the agent's public key ‖ 32 random bytes), which are shown at the upload;
//! * the reply, where everybody can read it, but authenticated: the epoch of a key that only the centre has (4 bytes)
//!   and the first 16 bytes of HMAC-SHA-256 under that key over SHA-256(the request as it was received) ‖ the reply's 48
//!   bytes ‖ the centre's id.
//!
//! Both are 24 bytes with their heads, so that a reply is never longer than its request.

use angbu_units::{Nanos, NtpServerId, NtpTimestamp, UnixTime};
use hmac::Mac as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::exchange::Exchange;
use crate::nts::client;
use crate::nts::cookie::{EpochKeys, epoch_of};
use crate::nts::server::Protected;
use crate::packet::LENGTH;
use crate::record::{DecodeError, Measured};
use crate::wire::Reader;

/// The type of both fields (RFC 5905's registry: 0xF000 to 0xFFFF are for experiments).
pub const FIELD: u16 = 0xfa16;

/// The length of both fields' bodies, bytes.
pub const BODY: usize = 20;

const MAC: usize = 16;

/// What an agent says, hidden, in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// T1: when the request leaves, by the agent's clock.
    pub t1: NtpTimestamp,
    /// When the reply before this request arrived, by the agent's clock; [`NtpTimestamp::UNKNOWN`] where none did.
    pub previous_t4: NtpTimestamp,
}

impl Asked {
    /// The field's body: T1, previous T4, padding.
    pub fn encode(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        let parts = [self.t1.bits().to_be_bytes(), self.previous_t4.bits().to_be_bytes()];
        for (room, part) in body.chunks_exact_mut(8).zip(parts) {
            room.copy_from_slice(&part);
        }
        body
    }

    /// Reads the field's body; none where it is no such body.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; BODY] = body.try_into().ok()?;
        let (t1, rest) = body.split_first_chunk()?;
        let (previous_t4, padding) = rest.split_first_chunk()?;
        let stamp = |bytes: &[u8; 8]| NtpTimestamp::from_bits(u64::from_be_bytes(*bytes));
        (padding == [0; 4]).then(|| Self { t1: stamp(t1), previous_t4: stamp(previous_t4) })
    }
}

/// What a centre says in its reply: that this reply was made by it, for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The epoch of the key.
    pub epoch: u32,
    mac: [u8; MAC],
}

impl Seal {
    /// Seals the reply `header` to a request as it was received, in the name of `server`.
    pub fn make(keys: &EpochKeys, server: NtpServerId, request: &[u8], header: &[u8; LENGTH]) -> Self {
        let hash = keys
            .exchange_hash()
            .chain_update(Sha256::digest(request))
            .chain_update(header)
            .chain_update(server.as_bytes())
            .finalize()
            .into_bytes();
        let hash: [u8; 32] = hash.into();
        let mac = hash.first_chunk().copied().unwrap_or_default();
        Self { epoch: keys.epoch(), mac }
    }

    /// Whether this is the seal of exactly this reply to exactly this request; takes the same time wherever it is not.
    pub fn fits(&self, keys: &EpochKeys, server: NtpServerId, request: &[u8], header: &[u8; LENGTH]) -> bool {
        let made = Self::make(keys, server, request, header);
        self.epoch == made.epoch && self.mac.ct_eq(&made.mac).into()
    }

    /// The field's body: epoch, then the hash.
    pub fn encode(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        let (epoch, mac) = body.split_at_mut(4);
        epoch.copy_from_slice(&self.epoch.to_be_bytes());
        mac.copy_from_slice(&self.mac);
        body
    }

    /// Reads the field's body; none where it has another length.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let body: &[u8; BODY] = body.try_into().ok()?;
        let (epoch, mac) = body.split_first_chunk()?;
        Some(Self { epoch: u32::from_be_bytes(*epoch), mac: mac.try_into().ok()? })
    }
}

/// The unique identifier of an agent's request: SHA-256(the agent's public key ‖ 32 random bytes).
pub fn identifier(agent_key: &[u8; 32], reveal: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(agent_key).chain_update(reveal).finalize().into()
}

/// What an agent shows of an exchange so that the centre can check its own seal on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The random bytes behind the request's identifier.
    pub reveal: [u8; 32],
    /// The request as it was sent.
    pub request: Vec<u8>,
    /// The first 48 bytes of the reply. The rest protects the reply on its way and proves nothing to others.
    pub header: [u8; LENGTH],
    /// The seal that the reply carried.
    pub seal: Seal,
}

/// The longest request of a witness.
const LONGEST_REQUEST: usize = client::LONGEST;

impl Witness {
    /// The epochs that it names: of the cookie and of the seal. Nothing about them is checked.
    pub fn epochs(&self) -> impl Iterator<Item = u32> + use<> {
        let asked = Protected::read(&self.request).ok().flatten();
        let cookie = asked.and_then(|asked| epoch_of(asked.cookie));
        let seal = self.seal.epoch;
        cookie.into_iter().chain(Some(seal).filter(|seal| Some(*seal) != cookie))
    }

    /// Its bytes: what was hidden, the reply's header, its seal, the request behind its length.
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.request.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&self.reveal[..], &self.header, &self.seal.encode(), &length, &self.request].concat()
    }

    /// Reads one from the front.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (reveal, header) = (reader.array()?, reader.array()?);
        let seal = Seal::decode(&reader.array::<BODY>()?).ok_or(DecodeError::NotCanonical)?;
        let length = usize::from(reader.u16()?);
        if !(LENGTH..=LONGEST_REQUEST).contains(&length) {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { reveal, header, seal, request: reader.bytes(length)?.to_vec() })
    }
}

/// How old an exchange can be and still be proven: for so long identifiers are remembered.
pub const OLDEST: Nanos = Nanos::from_secs(35 * 86_400);

/// What may pass between an exchange and its record's arrival, besides two poll intervals, before it is late.
pub const PATIENCE: Nanos = Nanos::from_secs(60);

/// What is proven of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Proof {
    /// Nothing was shown: the exchange was not protected, or not with a centre.
    #[default]
    NotShown,
    /// The centre sealed exactly this exchange, of this agent, and it is told for the first time and in time.
    Witnessed,
    /// As [`Self::Witnessed`], but told later than the poll interval explains.
    Late,
    /// What was shown proves nothing.
    Refused(Refused),
}

/// Why what was shown of an exchange proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Not a protected request that asks for the proof.
    #[error("what is shown as the request is none that asks for a proof")]
    Request,
    /// The identifier is not made from this agent's key.
    #[error("the request is not this agent's")]
    Agent,
    /// The cookie, or what is sealed under it, does not open with the keys of its epoch.
    #[error("the request was not made with keys that this site gave out")]
    Cookie,
    /// The request says another T1 than the record.
    #[error("the request says another T1 than the record")]
    T1,
    /// The seal is not one that this site made for this request and reply.
    #[error("the reply to this request was not sealed by this site, or in another epoch")]
    Seal,
    /// The reply says otherwise than the record.
    #[error("the reply says otherwise than the record")]
    Reply,
    /// The identifier has proven an exchange before.
    #[error("the same request has proven an exchange before")]
    Repeated,
    /// The request reached the centre before the one that was proven last.
    #[error("the request reached the centre before the one that was proven last")]
    Order,
    /// Too long ago: identifiers of then are forgotten.
    #[error("the exchange is too long ago to be proven")]
    TooOld,
    /// The request says another T4 of the exchange before than that exchange's record.
    #[error("the request says another T4 of the exchange before than its record")]
    PreviousT4,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Request,
        Self::Agent,
        Self::Cookie,
        Self::T1,
        Self::Seal,
        Self::Reply,
        Self::Repeated,
        Self::Order,
        Self::TooOld,
        Self::PreviousT4,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Request => 3,
            Self::Agent => 4,
            Self::Cookie => 5,
            Self::T1 => 6,
            Self::Seal => 7,
            Self::Reply => 8,
            Self::Repeated => 9,
            Self::Order => 10,
            Self::TooOld => 11,
            Self::PreviousT4 => 12,
        }
    }
}

impl Proof {
    /// Its number in segments and in the database.
    pub const fn code(self) -> u8 {
        match self {
            Self::NotShown => 0,
            Self::Witnessed => 1,
            Self::Late => 2,
            Self::Refused(why) => why.code(),
        }
    }

    /// The one with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        let refused = Refused::ALL.into_iter().map(Self::Refused);
        [Self::NotShown, Self::Witnessed, Self::Late]
            .into_iter()
            .chain(refused)
            .find(|one| one.code() == code)
    }

    /// Whether the exchange is proven, in time or late.
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Witnessed | Self::Late)
    }
}

/// What is proven as far as nothing else has to be known: that the identifier is new, and the request later than the one
/// before, its keeper has to see to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The identifier, to be taken once.
    pub identifier: [u8; 32],
    /// T4 of the exchange before with the same server, as the request says it, where it says one.
    pub previous_t4: Option<NtpTimestamp>,
    /// T2, which is later than that of the exchange with the same server that was proven before.
    pub received: UnixTime,
    /// [`Proof::Witnessed`] or [`Proof::Late`].
    pub proof: Proof,
}

impl Checked {
    /// Whether the record of the exchange before with the same server, where it is known, says the T4 that the request says. So
    /// the agent could not choose a T4 after it had sent the next request.
    pub fn fits_before(&self, recorded: Option<UnixTime>) -> bool {
        let said = self.previous_t4.zip(recorded);
        said.is_none_or(|(said, recorded)| said == NtpTimestamp::from_unix(recorded))
    }
}

/// Checks what an agent shows of an exchange with a centre; `arrived` is when its record was uploaded, `epoch` gives the keys
/// of any epoch of the site.
///
/// # Errors
/// [`Refused`], but for [`Refused::Repeated`] and [`Refused::Order`].
pub fn check(
    witness: &Witness,
    measured: &Measured,
    centre: NtpServerId,
    agent_key: &[u8; 32],
    arrived: UnixTime,
    mut epoch: impl FnMut(u32) -> Option<EpochKeys>,
) -> Result<Checked, Refused> {
    let [t1, t2, t3, t4] = measured.exchange.instants();
    if arrived - t3 > OLDEST {
        return Err(Refused::TooOld);
    }
    let asked = Protected::read(&witness.request).ok().flatten().ok_or(Refused::Request)?;
    let identifier = identifier(agent_key, &witness.reveal);
    if asked.identifier != identifier {
        return Err(Refused::Agent);
    }
    let keys = epoch_of(asked.cookie).and_then(&mut epoch);
    let contents = keys.and_then(|mut keys| keys.open(asked.cookie)).ok_or(Refused::Cookie)?;
    let hidden = asked.open(&witness.request, &contents).ok_or(Refused::Cookie)?;
    let hidden = hidden.ok_or(Refused::Request)?;
    if hidden.t1 != NtpTimestamp::from_unix(t1) {
        return Err(Refused::T1);
    }
    let fits = |keys: EpochKeys| witness.seal.fits(&keys, centre, &witness.request, &witness.header);
    if !epoch(witness.seal.epoch).is_some_and(fits) {
        return Err(Refused::Seal);
    }
    if Exchange::read(&witness.request, &witness.header, t1, t4) != Ok(measured.exchange) {
        return Err(Refused::Reply);
    }
    let in_time = arrived - t3 <= measured.poll.times(2) + PATIENCE;
    let proof = if in_time { Proof::Witnessed } else { Proof::Late };
    let previous_t4 = Some(hidden.previous_t4).filter(|t4| *t4 != NtpTimestamp::UNKNOWN);
    Ok(Checked { identifier, previous_t4, received: t2, proof })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nts::cookie::{self, Contents, EpochSecret, Keys};
    use crate::nts::{AeadKey, client::Session, server};
    use crate::packet::Leap;
    use crate::server::ServerState;
    use crate::sync::Judgement;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const CENTRE: NtpServerId = NtpServerId::from_bytes([7; 16]);
    const AGENT: [u8; 32] = [3; 32];
    const T: i64 = 1_763_762_721_000_000_000;

    fn epoch(number: u32) -> Option<EpochKeys> {
        (1..9).contains(&number).then(|| EpochKeys::prepare(&secret(number)))
    }

    fn secret(number: u32) -> EpochSecret {
        EpochSecret::new(number, [u8::try_from(number).unwrap(); 32])
    }

    fn at(nanos: i64) -> UnixTime {
        UnixTime::from_nanos(T + nanos)
    }

    /// An exchange of an agent with a centre in epoch 5, as the agent tells it.
    fn told() -> (Witness, Measured) {
        let mut rng = StdRng::seed_from_u64(1);
        let mut keys = Keys::prepare(CENTRE, &[secret(5)], 5).unwrap();
        let [to_server, to_client] = [1, 2].map(|byte| AeadKey::new([byte; 32]));
        let mut cookie = [0; cookie::LENGTH];
        let contents = Contents { client_to_server: to_server.clone(), server_to_client: to_client.clone() };
        keys.seal(&contents, &mut rng, &mut cookie);
        let mut session = Session::new(&to_server, &to_client, vec![cookie.to_vec()]);
        let reveal = [9; 32];
        let asked = Asked { t1: NtpTimestamp::from_unix(at(0)), previous_t4: NtpTimestamp::UNKNOWN };
        let token = NtpTimestamp::from_bits(42);
        let request = session.ask(token, identifier(&AGENT, &reveal), Some(&asked), &mut rng).unwrap();
        let state = ServerState {
            leap: Leap::None,
            stratum: 2,
            precision: -20,
            root_delay: Nanos::ZERO,
            root_dispersion: Nanos::ZERO,
            reference_id: [0; 4],
            reference_time: at(0),
            as_of: at(0),
        };
        let mut reply = vec![0; request.datagram.len()];
        let protection: Option<(&mut Keys, &mut dyn rand_core::CryptoRng)> = Some((&mut keys, &mut rng));
        server::answer(&request.datagram, at(1_000_000), at(1_100_000), &state, protection, &mut reply)
            .unwrap();
        let seal = session.read(&request, &reply).unwrap().seal.unwrap();
        let exchange = Exchange::read(&request.datagram, &reply, at(0), at(2_000_000)).unwrap();
        let measured =
            Measured { server: CENTRE, exchange, judgement: Judgement::NONE, poll: Nanos::from_secs(16) };
        let header = *reply.first_chunk().unwrap();
        (Witness { reveal, request: request.datagram, header, seal }, measured)
    }

    #[track_caller]
    fn refused(why: Refused, change: impl FnOnce(&mut Witness, &mut Measured)) {
        let (mut witness, mut measured) = told();
        change(&mut witness, &mut measured);
        assert_eq!(check(&witness, &measured, CENTRE, &AGENT, at(3_000_000), epoch), Err(why));
    }

    /// The exchange with other instants.
    fn moved(measured: &mut Measured, nanos: [i64; 4]) {
        let [t1, t2, t3, t4] = measured.exchange.instants();
        let [a, b, c, d] = nanos.map(Nanos::new);
        measured.exchange =
            Exchange::new([t1 + a, t2 + b, t3 + c, t4 + d], *measured.exchange.source()).unwrap();
    }

    #[test]
    fn an_honest_exchange_is_proven_and_told_late_it_is_late() {
        let (witness, measured) = told();
        let limit = measured.exchange.at() + Nanos::from_secs(2 * 16 + 60);
        for (arrived, proof) in [
            (at(3_000_000), Proof::Witnessed),
            (limit, Proof::Witnessed),
            (limit + Nanos::new(1), Proof::Late),
            (limit + Nanos::from_secs(86_400), Proof::Late),
        ] {
            let checked = check(&witness, &measured, CENTRE, &AGENT, arrived, epoch).unwrap();
            let [_, t2, _, _] = measured.exchange.instants();
            let identifier = identifier(&AGENT, &[9; 32]);
            let expected = Checked { identifier, previous_t4: None, received: t2, proof };
            assert_eq!(checked, expected);
        }
        let long_ago =
            check(&witness, &measured, CENTRE, &AGENT, at(0) + Nanos::from_secs(36 * 86_400), epoch);
        assert_eq!(long_ago, Err(Refused::TooOld));
    }

    #[test]
    fn what_an_agent_invents_is_refused() {
        // T2 and T3, in the record alone and in the packet too.
        refused(Refused::Reply, |_, measured| moved(measured, [0, 5_000, 0, 0]));
        refused(Refused::Reply, |_, measured| moved(measured, [0, 0, 5_000, 0]));
        refused(Refused::Seal, |witness, measured| {
            moved(measured, [0, 1_000_000_000, 1_000_000_000, 0]);
            for at in [32, 40] {
                let seconds = u32::from_be_bytes(witness.header[at..at + 4].try_into().unwrap());
                witness.header[at..at + 4].copy_from_slice(&(seconds + 1).to_be_bytes());
            }
        });
        // T1 that differs from what the request had sealed.
        refused(Refused::T1, |_, measured| moved(measured, [-1_000_000, 0, 0, 0]));
        // Another server's exchange, told as this centre's.
        let (witness, measured) = told();
        let other = NtpServerId::from_bytes([8; 16]);
        assert_eq!(check(&witness, &measured, other, &AGENT, at(3_000_000), epoch), Err(Refused::Seal));
        // Another epoch, one that never was, and a seal that was made up.
        refused(Refused::Seal, |witness, _| witness.seal.epoch = 4);
        refused(Refused::Seal, |witness, _| witness.seal.epoch = 77);
        refused(Refused::Seal, |witness, _| witness.seal = Seal::decode(&[0; BODY]).unwrap());
        // A cookie of an epoch that never was, or of another site.
        refused(Refused::Cookie, |witness, _| witness.request[88..92].copy_from_slice(&[0; 4]));
        refused(Refused::Cookie, |witness, _| witness.request[91] = 6);
        // No request at all, and a plain one.
        refused(Refused::Request, |witness, _| witness.request.truncate(100));
        refused(Refused::Request, |witness, _| witness.request.truncate(48));
    }

    #[test]
    fn another_agents_exchange_is_refused() {
        let (witness, measured) = told();
        assert_eq!(check(&witness, &measured, CENTRE, &[4; 32], at(3_000_000), epoch), Err(Refused::Agent));
        refused(Refused::Agent, |witness, _| witness.reveal[0] ^= 1);
    }

    #[test]
    fn numbers_stand_for_one_thing_each() {
        let known: Vec<Proof> = (0..=u8::MAX).filter_map(Proof::from_code).collect();
        assert_eq!(known.len(), 3 + Refused::ALL.len());
        for proof in known {
            assert_eq!(Proof::from_code(proof.code()), Some(proof));
        }
    }

    #[test]
    fn what_was_said_of_the_exchange_before_is_what_its_record_says() {
        let said =
            |previous_t4| Checked { identifier: [0; 32], previous_t4, received: at(0), proof: Proof::Late };
        let t4 = NtpTimestamp::from_unix(at(5));
        assert!(said(Some(t4)).fits_before(Some(at(5))));
        assert!(!said(Some(t4)).fits_before(Some(at(1_000))));
        assert!(said(Some(t4)).fits_before(None), "the record before is lost");
        assert!(said(None).fits_before(Some(at(1_000))), "the first of a session");
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_proven(at: prop::sample::Index, flip in 1u8..) {
            let (witness, measured) = told();
            let mut bytes = witness.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(changed) = Witness::read(&mut Reader::new(&bytes)) {
                prop_assert!(check(&changed, &measured, CENTRE, &AGENT, super::tests::at(3_000_000), epoch).is_err());
            }
        }
    }
}
