//! The server's side of an NTS-protected exchange (RFC 8915, section 5.7).
//!
//! The hot path: no allocation, no table of clients; a request is walked once, its cookie opened, its authenticator
//! checked, and the reply sealed where it is written.

use angbu_units::UnixTime;
use rand_core::CryptoRng;

use super::cookie::{self, Contents, Keys};
use super::extension::{Authenticator, Field, Fields, HEADER, Writer};
use super::{
    AUTHENTICATOR, COOKIE, COOKIE_PLACEHOLDER, IDENTIFIER, MOST_COOKIES, NONCE, NTSN, TAG, UNIQUE_IDENTIFIER,
};
use crate::packet::{LENGTH, Leap};
use crate::proof::{self, Asked, Seal};
use crate::server::{self, Drop, MAX_STRATUM, ServerState};

/// The longest ciphertext of a request that is opened. What this crate's client hides takes 40 bytes.
const LONGEST_CIPHERTEXT: usize = 256;

/// A cookie's field in a reply.
const COOKIE_FIELD: usize = HEADER + cookie::LENGTH;

/// What an authenticator takes in a reply before what it hides: head, two lengths, nonce, tag.
const AUTHENTICATOR_HEAD: usize = HEADER + 4 + NONCE + TAG;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request without NTS, or to a server without keys.
    Plain,
    /// A protected one.
    Authenticated,
    /// A protected one, with the proof of the exchange that it asked for ([`crate::proof`]).
    Witnessed,
    /// Its cookie does not open, or it is not authentic: told with the kiss code NTSN.
    Nak,
}

/// A reply that stands in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// How many bytes of the buffer it takes; never more than the request has.
    pub length: usize,
    /// What became of the request.
    pub kind: Kind,
}

/// Answers one request, protected or not, into `out`; see [`server::answer`] for what is said of the time.
///
/// # Errors
/// [`Drop`] when the datagram gets no answer; what `out` holds then is of no meaning.
#[inline]
pub fn answer(
    request: &[u8],
    received: UnixTime,
    transmit: UnixTime,
    state: &ServerState,
    protection: Option<(&mut Keys, &mut dyn CryptoRng)>,
    out: &mut [u8],
) -> Result<Reply, Drop> {
    let room = out.len().min(request.len());
    let out = out.get_mut(..room).ok_or(Drop::Short)?;
    let header: &mut [u8; LENGTH] = out.first_chunk_mut().ok_or(Drop::Short)?;
    let plain = Reply { length: LENGTH, kind: Kind::Plain };
    server::answer(request, received, transmit, state, header)?;
    // The version is checked by now. NTS is for version 4 (RFC 8915, section 5).
    let is_v4 = request.first().is_some_and(|first| first >> 3 & 7 == 4);
    let Some((keys, rng)) = protection.filter(|_| is_v4 && request.len() > LENGTH) else { return Ok(plain) };
    let Some(protected) = Protected::read(request)? else { return Ok(plain) };
    let opened = keys.open(protected.cookie);
    let opened = opened.and_then(|contents| Some((protected.open(request, &contents)?, contents)));
    let Some((asked, contents)) = opened else {
        return nak(&protected, request, received, transmit, state, out);
    };
    let header: &[u8; LENGTH] = out.first_chunk().ok_or(Drop::Short)?;
    let seal = asked.map(|_| Seal::make(keys.current(), keys.server(), request, header));
    let kind = if seal.is_some() { Kind::Witnessed } else { Kind::Authenticated };
    let length = reply(&protected, &contents, seal, keys, rng, out).ok_or(Drop::Protection)?;
    Ok(Reply { length, kind })
}

/// The fields of a protected request.
pub(crate) struct Protected<'a> {
    pub(crate) identifier: &'a [u8],
    pub(crate) cookie: &'a [u8],
    cookies: usize,
    authenticator: Authenticator<'a>,
    /// Where the authenticator begins: all before it is authenticated.
    protected: usize,
}

impl<'a> Protected<'a> {
    /// Reads a request's fields up to its authenticator; whatever follows that is not authenticated and left alone.
    /// None where there is nothing of NTS in it: a plain request, with or without another's fields or MAC.
    pub(crate) fn read(request: &'a [u8]) -> Result<Option<Self>, Drop> {
        let (mut identifier, mut cookie) = (None, None);
        let mut placeholders = 0;
        let mut begun = false;
        for field in Fields::of_packet(request) {
            let Ok(Field { kind, body, offset }) = field else {
                return if begun { Err(Drop::Protection) } else { Ok(None) };
            };
            let once = |slot: &mut Option<&'a [u8]>| slot.replace(body).is_none();
            begun |= matches!(kind, UNIQUE_IDENTIFIER | COOKIE | COOKIE_PLACEHOLDER | AUTHENTICATOR);
            let good = match kind {
                UNIQUE_IDENTIFIER => body.len() >= IDENTIFIER && once(&mut identifier),
                COOKIE => once(&mut cookie),
                COOKIE_PLACEHOLDER => {
                    // Only what is as long as a cookie may become one (RFC 8915, section 5.5).
                    placeholders += usize::from(body.len() == cookie::LENGTH);
                    true
                }
                AUTHENTICATOR => {
                    let parts = identifier.zip(cookie).zip(Authenticator::read(body));
                    let Some(((identifier, cookie), authenticator)) = parts else {
                        return Err(Drop::Protection);
                    };
                    let cookies = (1 + placeholders).min(MOST_COOKIES);
                    return Ok(Some(Self { identifier, cookie, cookies, authenticator, protected: offset }));
                }
                _ => true,
            };
            if !good {
                return Err(Drop::Protection);
            }
        }
        if begun { Err(Drop::Protection) } else { Ok(None) }
    }

    /// What the client asks for besides the time; none where the request is not authentic.
    pub(crate) fn open(&self, request: &[u8], contents: &Contents) -> Option<Option<Asked>> {
        let mut plaintext = [0; LONGEST_CIPHERTEXT];
        let text = plaintext.get_mut(..self.authenticator.ciphertext.len())?;
        text.copy_from_slice(self.authenticator.ciphertext);
        let associated = request.get(..self.protected)?;
        let mut sealer = contents.client_to_server.prepare();
        let text = sealer.open([associated, self.authenticator.nonce], text)?;
        let asked = Fields::of_plaintext(text).flatten().find(|field| field.kind == proof::FIELD);
        Some(asked.and_then(|field| Asked::decode(field.body)))
    }
}

/// Writes the rest of the reply behind its first 48 bytes: identifier, proof, and hidden the new cookies, as many as
/// were wished for and fit. None where not one does.
fn reply(
    protected: &Protected<'_>,
    contents: &Contents,
    seal: Option<Seal>,
    keys: &mut Keys,
    rng: &mut dyn CryptoRng,
    out: &mut [u8],
) -> Option<usize> {
    let mut writer = Writer::after(out, LENGTH);
    writer.field(UNIQUE_IDENTIFIER, protected.identifier)?;
    if let Some(seal) = seal {
        writer.field(proof::FIELD, &seal.encode())?;
    }
    let cookies = protected.cookies.min(writer.room().checked_sub(AUTHENTICATOR_HEAD)? / COOKIE_FIELD);
    if cookies == 0 {
        return None;
    }
    let hidden = TAG + cookies * COOKIE_FIELD;
    let length = writer.at() + AUTHENTICATOR_HEAD + hidden - TAG;
    let (associated, rest) = writer.split();
    let (head, rest) = rest.split_at_mut_checked(AUTHENTICATOR_HEAD - TAG)?;
    let sealed = rest.get_mut(..hidden)?;
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let mut writer = Writer::after(head, 0);
    writer.head(AUTHENTICATOR, 4 + NONCE + hidden)?;
    writer.put(&u16::try_from(NONCE).ok()?.to_be_bytes())?;
    writer.put(&u16::try_from(hidden).ok()?.to_be_bytes())?;
    writer.put(&nonce)?;
    let mut writer = Writer::after(sealed, TAG);
    for _ in 0..cookies {
        writer.head(COOKIE, cookie::LENGTH)?;
        keys.seal(contents, rng, writer.skip(cookie::LENGTH)?.first_chunk_mut()?);
    }
    contents.server_to_client.prepare().seal([associated, &nonce], sealed);
    Some(length)
}

/// Tells that the request could not be opened: kiss code NTSN, and the identifier, so that the client knows which
/// request is meant; no cookie, no authenticator (RFC 8915, section 5.7).
fn nak(
    protected: &Protected<'_>,
    request: &[u8],
    received: UnixTime,
    transmit: UnixTime,
    state: &ServerState,
    out: &mut [u8],
) -> Result<Reply, Drop> {
    let state = ServerState { leap: Leap::Unknown, stratum: MAX_STRATUM, reference_id: NTSN, ..*state };
    let header: &mut [u8; LENGTH] = out.first_chunk_mut().ok_or(Drop::Short)?;
    server::answer(request, received, transmit, &state, header)?;
    let mut writer = Writer::after(out, LENGTH);
    writer.field(UNIQUE_IDENTIFIER, protected.identifier).ok_or(Drop::Protection)?;
    Ok(Reply { length: writer.at(), kind: Kind::Nak })
}

#[cfg(test)]
mod tests {
    use super::super::client::{Refusal, Session};
    use super::super::cookie::{EpochKeys, EpochSecret};
    use super::super::{AeadKey, key_exchange};
    use super::*;
    use crate::packet::{Packet, Version};
    use crate::proof::identifier;
    use angbu_units::{Nanos, NtpServerId, NtpTimestamp};
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const SERVER: NtpServerId = NtpServerId::from_bytes([7; 16]);
    const RECEIVED: UnixTime = UnixTime::from_nanos(1_763_762_721_000_000_123);
    const TRANSMIT: UnixTime = UnixTime::from_nanos(1_763_762_721_000_010_456);
    const ASKED: Asked = Asked { t1: NtpTimestamp::from_bits(77), previous_t4: NtpTimestamp::UNKNOWN };

    fn state() -> ServerState {
        ServerState {
            leap: Leap::None,
            stratum: 2,
            precision: -20,
            root_delay: Nanos::from_micros(300),
            root_dispersion: Nanos::from_millis(1),
            reference_id: [192, 0, 2, 7],
            reference_time: RECEIVED,
            as_of: RECEIVED,
        }
    }

    /// A server with the keys of some epochs, and clients of it.
    struct Site {
        keys: Keys,
        rng: StdRng,
    }

    fn epoch(number: u32) -> EpochSecret {
        EpochSecret::new(number, [u8::try_from(number).unwrap(); 32])
    }

    impl Site {
        fn new() -> Self {
            Self { keys: Keys::prepare(SERVER, &[epoch(5)], 5).unwrap(), rng: StdRng::seed_from_u64(1) }
        }

        fn turn_to(&mut self, newest: u32) {
            let epochs: Vec<_> = (0..3).map(|age| epoch(newest - age)).collect();
            self.keys = Keys::prepare(SERVER, &epochs, newest).unwrap();
        }

        /// What a key exchange gives.
        fn session(&mut self) -> Session {
            let [to_server, to_client] = [1, 2].map(|byte| AeadKey::new([byte; 32]));
            let contents =
                Contents { client_to_server: to_server.clone(), server_to_client: to_client.clone() };
            let cookies = (0..MOST_COOKIES).map(|_| {
                let mut cookie = [0; cookie::LENGTH];
                self.keys.seal(&contents, &mut self.rng, &mut cookie);
                cookie.to_vec()
            });
            Session::new(&to_server, &to_client, cookies.collect())
        }

        fn ask(&mut self, session: &mut Session, asked: Option<&Asked>) -> super::super::client::Request {
            let token = NtpTimestamp::from_bits(self.rng.next_u64() | 1);
            let mut identifier = [0; 32];
            self.rng.fill_bytes(&mut identifier);
            session.ask(token, identifier, asked, &mut self.rng).unwrap()
        }

        fn answer(&mut self, request: &[u8]) -> Result<(Kind, Vec<u8>), Drop> {
            let mut out = vec![0; request.len()];
            let protection = Some((&mut self.keys, &mut self.rng as &mut dyn CryptoRng));
            let reply = answer(request, RECEIVED, TRANSMIT, &state(), protection, &mut out)?;
            out.truncate(reply.length);
            Ok((reply.kind, out))
        }
    }

    #[test]
    fn eight_cookies_last_for_ever_and_come_back_after_losses() {
        let mut site = Site::new();
        let mut session = site.session();
        let mut seen = std::collections::HashSet::new();
        for round in 0..100 {
            let asked = (round % 2 == 0).then_some(&ASKED);
            let request = site.ask(&mut session, asked);
            assert!(seen.insert(request.datagram[88..192].to_vec()), "no cookie is sent twice");
            assert_eq!(session.cookies(), MOST_COOKIES - 1);
            let (kind, reply) = site.answer(&request.datagram).unwrap();
            assert_eq!(kind, if asked.is_some() { Kind::Witnessed } else { Kind::Authenticated });
            assert_eq!(reply.len(), request.datagram.len());
            let authentic = session.read(&request, &reply).unwrap();
            assert_eq!((authentic.seal.is_some(), authentic.cookies), (asked.is_some(), 1));
            let packet = Packet::decode(&reply).unwrap();
            assert_eq!((packet.stratum, packet.receive), (2, NtpTimestamp::from_unix(RECEIVED)));
        }
        for lost in 1..MOST_COOKIES {
            for _ in 0..lost {
                site.ask(&mut session, None);
            }
            let request = site.ask(&mut session, Some(&ASKED));
            assert!(request.datagram.len() <= super::super::client::LONGEST);
            let (_, reply) = site.answer(&request.datagram).unwrap();
            assert!(reply.len() <= request.datagram.len());
            assert_eq!(session.read(&request, &reply).unwrap().cookies, lost + 1);
            assert_eq!(session.cookies(), MOST_COOKIES);
        }
        for _ in 0..MOST_COOKIES {
            site.ask(&mut session, None);
        }
        assert!(session.ask(NtpTimestamp::from_bits(1), [0; 32], None, &mut site.rng).is_none());
    }

    #[test]
    fn rotation_breaks_nobody_who_asks_now_and_then() {
        let mut site = Site::new();
        let mut session = site.session();
        for newest in 6..30 {
            site.turn_to(newest);
            let request = site.ask(&mut session, None);
            let (_, reply) = site.answer(&request.datagram).unwrap();
            session.read(&request, &reply).unwrap();
            // All cookies of long ago are used up within eight questions: one epoch lasts longer than that.
            for _ in 0..MOST_COOKIES {
                let request = site.ask(&mut session, None);
                let (_, reply) = site.answer(&request.datagram).unwrap();
                session.read(&request, &reply).unwrap();
            }
        }
        // Who was away for longer is told, and exchanges keys anew.
        let request = site.ask(&mut session, Some(&ASKED));
        site.turn_to(90);
        let (kind, reply) = site.answer(&request.datagram).unwrap();
        assert_eq!((kind, reply.len()), (Kind::Nak, 48 + 36));
        let packet = Packet::decode(&reply).unwrap();
        assert_eq!((packet.stratum, &packet.reference_id, packet.leap), (0, b"NTSN", Leap::Unknown));
        assert_eq!(session.read(&request, &reply), Err(Refusal::Nak));
    }

    #[test]
    fn what_a_man_on_the_way_can_do_is_noticed() {
        let mut site = Site::new();
        let mut session = site.session();
        let request = site.ask(&mut session, Some(&ASKED));
        let (_, good) = site.answer(&request.datagram).unwrap();
        let mut stripped = good.clone();
        stripped.truncate(48);
        assert_eq!(session.read(&request, &stripped), Err(Refusal::Unprotected));
        // His own NAK, for another identifier.
        let other = site.ask(&mut site_session(), None);
        let (_, foreign) = site.answer(&other.datagram).unwrap();
        assert_eq!(session.read(&request, &foreign), Err(Refusal::NotOurs));
        assert_eq!(session.read(&request, &request.datagram), Err(Refusal::NotOurs));
        assert_eq!(session.read(&request, &[]), Err(Refusal::NotOurs));
        // The true one still counts, once.
        assert!(session.read(&request, &good).is_ok());
        assert_eq!(session.read(&request, &good), Err(Refusal::NotOurs));
        let next = site.ask(&mut session, None);
        assert_eq!(session.read(&next, &good), Err(Refusal::NotOurs));
        assert_eq!(session.read(&request, &good), Err(Refusal::NotOurs));
    }

    fn site_session() -> Session {
        Site::new().session()
    }

    #[test]
    fn the_centre_seals_the_exchange() {
        let mut site = Site::new();
        let mut session = site.session();
        let mine = identifier(&[3; 32], &[4; 32]);
        let request = session.ask(NtpTimestamp::from_bits(9), mine, Some(&ASKED), &mut site.rng).unwrap();
        let (_, reply) = site.answer(&request.datagram).unwrap();
        let seal = session.read(&request, &reply).unwrap().seal.unwrap();
        let keys = EpochKeys::prepare(&epoch(5));
        let header: &[u8; 48] = reply.first_chunk().unwrap();
        assert!(seal.fits(&keys, SERVER, &request.datagram, header));
        assert!(!seal.fits(&EpochKeys::prepare(&epoch(6)), SERVER, &request.datagram, header));
        assert!(!seal.fits(&keys, NtpServerId::from_bytes([8; 16]), &request.datagram, header));
        for at in [32, 40, 47] {
            let mut invented = *header;
            invented[at] ^= 1;
            assert!(!seal.fits(&keys, SERVER, &request.datagram, &invented));
        }
        let another = session.ask(NtpTimestamp::from_bits(9), mine, Some(&ASKED), &mut site.rng).unwrap();
        assert!(!seal.fits(&keys, SERVER, &another.datagram, header));
    }

    #[test]
    fn plain_requests_stay_plain_and_others_fields_are_left_alone() {
        let mut site = Site::new();
        let plain = Packet::request(Version::V4, NtpTimestamp::from_bits(5)).encode();
        for tail in
            [vec![], vec![9; 20], vec![9; 24], vec![9; 3], [&[0xf3, 0x23, 0, 16][..], &[0; 12]].concat()]
        {
            let (kind, reply) = site.answer(&[&plain[..], &tail].concat()).unwrap();
            assert_eq!((kind, reply.len()), (Kind::Plain, 48));
        }
        // Parts of NTS make no request.
        let mut session = site.session();
        let request = site.ask(&mut session, None).datagram;
        let (identifier, cookie, end) = (&request[48..84], &request[84..192], &request[192..]);
        for parts in [
            vec![identifier],
            vec![cookie],
            vec![end],
            vec![identifier, end],
            vec![cookie, end],
            vec![identifier, identifier, cookie, end],
            vec![identifier, cookie, cookie, end],
            vec![identifier, cookie],
            vec![identifier, cookie, &end[..end.len() - 4]],
            vec![&identifier[..20], cookie, end],
        ] {
            let bytes = [&plain[..], &parts.concat()].concat();
            assert_eq!(site.answer(&bytes), Err(Drop::Protection), "{parts:?}");
        }
        // Version 3 knows no NTS: such a packet is what it is without.
        let mut old = request.clone();
        old[0] = 3 << 3 | 3;
        assert_eq!(site.answer(&old).unwrap().1.len(), 48);
        // A server without keys answers as if nothing had been asked.
        let mut out = vec![0; request.len()];
        let reply = answer(&request, RECEIVED, TRANSMIT, &state(), None, &mut out).unwrap();
        assert_eq!(reply, Reply { length: 48, kind: Kind::Plain });
    }

    #[test]
    fn keys_are_exchanged_in_words_that_both_understand() {
        let mut site = Site::new();
        let request = key_exchange::Request::read(&key_exchange::Request::encode()).unwrap().unwrap();
        let mut cookie = [0; cookie::LENGTH];
        let [to_server, to_client] = [1, 2].map(|byte| AeadKey::new([byte; 32]));
        let contents = Contents { client_to_server: to_server.clone(), server_to_client: to_client.clone() };
        site.keys.seal(&contents, &mut site.rng, &mut cookie);
        let bytes = key_exchange::respond(&request, [&cookie[..]], 123);
        let response = key_exchange::Response::read(&bytes).unwrap().unwrap();
        let mut session = Session::new(&to_server, &to_client, response.cookies);
        let request = site.ask(&mut session, None);
        let (_, reply) = site.answer(&request.datagram).unwrap();
        assert_eq!(session.read(&request, &reply).unwrap().cookies, MOST_COOKIES);
    }

    proptest! {
        #[test]
        fn a_reply_with_a_changed_byte_or_cut_short_is_refused(at: prop::sample::Index, flip in 1u8.., cut: bool, asked: bool) {
            let mut site = Site::new();
            let mut session = site.session();
            let request = site.ask(&mut session, asked.then_some(&ASKED));
            let (_, mut reply) = site.answer(&request.datagram).unwrap();
            let at = at.index(reply.len());
            if cut { reply.truncate(at) } else { reply[at] ^= flip }
            prop_assert!(session.read(&request, &reply).is_err());
        }

        #[test]
        fn a_request_with_a_changed_byte_brings_no_cookie(at in 1usize..232, flip in 1u8..) {
            let mut site = Site::new();
            let mut session = site.session();
            let mut request = site.ask(&mut session, None).datagram;
            prop_assert_eq!(request.len(), 232);
            request[at] ^= flip;
            match site.answer(&request) {
                Ok((kind, reply)) => {
                    prop_assert!(matches!(kind, Kind::Nak | Kind::Plain), "{:?}", kind);
                    prop_assert!(reply.len() <= 48 + 36);
                }
                Err(why) => prop_assert_eq!(why, Drop::Protection),
            }
        }

        #[test]
        fn no_reply_is_longer_than_its_request(head in 0usize..232, tail in prop::collection::vec(any::<u8>(), 0..1_100), fields in prop::collection::vec((0usize..6, 3u16..40), 0..12)) {
            let mut site = Site::new();
            let mut session = site.session();
            let request = site.ask(&mut session, Some(&ASKED)).datagram;
            let mut made = request[..48].to_vec();
            for (kind, words) in fields {
                let kind = [UNIQUE_IDENTIFIER, COOKIE, COOKIE_PLACEHOLDER, AUTHENTICATOR, proof::FIELD, 0xf323][kind];
                made.extend(kind.to_be_bytes());
                made.extend((4 + words * 4).to_be_bytes());
                made.extend(vec![1; usize::from(words) * 4]);
            }
            made.extend(&request[48..]);
            for datagram in [[&request[..head], &tail[..]].concat(), [&request[..], &tail[..]].concat(), made] {
                if let Ok((_, reply)) = site.answer(&datagram) {
                    prop_assert!(reply.len() <= datagram.len());
                }
                let asked = super::super::client::Request { datagram: request.clone(), identifier: [0; 32] };
                prop_assert!(session.read(&asked, &datagram).is_err());
            }
        }
    }
}
