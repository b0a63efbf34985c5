use super::chain::{Chain, ChainError, Contradiction};
use super::client::{self, Refusal, Reply};
use super::message::{self, Message, Tag};
use super::server::{Delegation, Drop, MOST_TOGETHER, Round, radius};
use super::{REQUEST, VERSION};
use crate::packet::Leap;
use angbu_evidence::note::{Ed25519Signer, Signer};
use angbu_units::{Nanos, UnixTime};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const NOW: UnixTime = UnixTime::from_nanos(1_763_762_721_600_000_000);

struct Server {
    key: Ed25519Signer,
    delegation: Delegation,
}

impl Server {
    fn new(seed: u8) -> Self {
        let key = Ed25519Signer::new("roughtime", &[seed; 32]).unwrap();
        let delegation = delegate(&[&key], seed);
        Self { key, delegation }
    }

    fn public_key(&self) -> [u8; 32] {
        *self.key.verifier_key().public_key()
    }

    fn answer(&self, request: &[u8], now: UnixTime) -> Vec<u8> {
        let mut round = Round::new(1);
        let number = round.add(request, &self.delegation).unwrap();
        round.sign(&self.delegation, now, 1);
        round.reply(number, &self.delegation).to_vec()
    }
}

fn delegate(keys: &[&dyn Signer], seed: u8) -> Delegation {
    let (from, until) = (NOW - Nanos::from_secs(60), NOW + Nanos::from_secs(86_400));
    Delegation::new(keys, from, until, &mut StdRng::seed_from_u64(seed.into())).unwrap()
}

#[test]
fn a_batch_of_any_size_is_signed_once_and_every_reply_holds() {
    let server = Server::new(1);
    let mut round = Round::new(MOST_TOGETHER);
    for count in [1, 2, 3, 5, 8, 31, 33, 65, MOST_TOGETHER] {
        round.clear();
        let requests: Vec<_> =
            (0..count).map(|n| client::request(&server.public_key(), &[n.try_into().unwrap(); 32])).collect();
        for (number, request) in requests.iter().enumerate() {
            assert_eq!(request.len(), REQUEST);
            assert_eq!(round.add(request, &server.delegation), Ok(number));
        }
        round.sign(&server.delegation, NOW, 2);
        for (number, request) in requests.iter().enumerate() {
            let reply = round.reply(number, &server.delegation);
            assert!(reply.len() <= 640, "{}", reply.len());
            let told = client::verify(&server.public_key(), request, reply).unwrap();
            // 1763762721.6 is nearer to the next second.
            assert_eq!(told, Reply { midpoint: 1_763_762_722, radius: 2 });
            let other = &requests[(number + 1) % count];
            if count > 1 {
                assert_eq!(client::verify(&server.public_key(), other, reply), Err(Refusal::Nonce));
            }
        }
        assert!(round.reply(count, &server.delegation).is_empty());
    }
    let request = client::request(&server.public_key(), &[0; 32]);
    assert_eq!(round.add(&request, &server.delegation), Err(Drop::Full));
}

#[test]
fn what_is_no_request_of_this_server_is_dropped() {
    let server = Server::new(1);
    let key = server.public_key();
    let good = client::request(&key, &[7; 32]);
    let long = [0; REQUEST];
    let made = |fields: &[(Tag, &[u8])]| {
        let length = message::frame(&message::write(fields)).len() + 8;
        let fields = [fields, &[(Tag::ZZZZ, &long[..REQUEST - length])]].concat();
        message::frame(&message::write(&fields))
    };
    let (ver, kind, nonce) = (VERSION.to_le_bytes(), 0_u32.to_le_bytes(), [7; 32]);
    let (draft, response) = (0x8000_000c_u32.to_le_bytes(), 1_u32.to_le_bytes());
    let both = [ver, draft].concat();
    let check = |request: &[u8], delegation: &Delegation| Round::new(1).add(request, delegation);
    assert_eq!(check(&good, &server.delegation), Ok(0));
    let plain = made(&[(Tag::VER, &both), (Tag::NONC, &nonce), (Tag::TYPE, &kind)]);
    assert_eq!(check(&plain, &server.delegation), Ok(0));
    for (request, why) in [
        (good[..REQUEST - 4].to_vec(), Drop::Short),
        (vec![0; REQUEST], Drop::Malformed),
        ([&good[..], &[0; 4]].concat(), Drop::Malformed),
        (made(&[(Tag::VER, &draft), (Tag::NONC, &nonce), (Tag::TYPE, &kind)]), Drop::Version),
        (made(&[(Tag::VER, &ver), (Tag::NONC, &nonce), (Tag::TYPE, &response)]), Drop::Malformed),
        (made(&[(Tag::VER, &ver), (Tag::NONC, &nonce)]), Drop::Malformed),
        (made(&[(Tag::NONC, &nonce), (Tag::TYPE, &kind)]), Drop::Malformed),
        (made(&[(Tag::VER, &ver), (Tag::NONC, &nonce[..28]), (Tag::TYPE, &kind)]), Drop::Malformed),
        (client::request(&[9; 32], &nonce), Drop::Server),
    ] {
        assert_eq!(check(&request, &server.delegation), Err(why), "{why:?}");
    }
    // While two long-term keys stand side by side, a request has to say which it means.
    let newer = Ed25519Signer::new("roughtime", &[2; 32]).unwrap();
    let both = delegate(&[&newer, &server.key], 3);
    assert_eq!(check(&plain, &both), Err(Drop::Server));
    for key in [key, *newer.verifier_key().public_key()] {
        let request = client::request(&key, &nonce);
        let mut round = Round::new(4);
        round.add(&request, &both).unwrap();
        round.sign(&both, NOW, 1);
        client::verify(&key, &request, round.reply(0, &both)).unwrap();
    }
}

#[test]
fn a_reply_that_was_changed_or_signed_by_another_is_refused() {
    let server = Server::new(1);
    let key = server.public_key();
    let request = client::request(&key, &[7; 32]);
    let reply = server.answer(&request, NOW);
    assert!(client::verify(&key, &request, &reply).is_ok());
    for at in 0..reply.len() {
        let mut changed = reply.clone();
        changed[at] ^= 1;
        assert!(client::verify(&key, &request, &changed).is_err(), "byte {at}");
    }
    for length in 0..reply.len() {
        assert!(client::verify(&key, &request, &reply[..length]).is_err());
    }
    let other = Server::new(2).public_key();
    assert_eq!(client::verify(&other, &request, &reply), Err(Refusal::Delegation));
    let late = server.answer(&request, NOW + Nanos::from_secs(90_000));
    assert_eq!(client::verify(&key, &request, &late), Err(Refusal::OutsideDelegation));
    assert!(server.delegation.covers(NOW) && !server.delegation.covers(NOW + Nanos::from_secs(90_000)));
    let mut round = Round::new(1);
    round.add(&request, &server.delegation).unwrap();
    round.sign(&server.delegation, NOW, 0);
    let reply = round.reply(0, &server.delegation);
    assert_eq!(client::verify(&key, &request, reply), Err(Refusal::Radius));
}

#[test]
fn a_radius_contains_the_bound_and_the_rounding() {
    for (bound, leap, least, whole) in [
        (Nanos::ZERO, Leap::None, 1, 1),
        (Nanos::from_millis(499), Leap::None, 1, 1),
        (Nanos::from_millis(500), Leap::None, 1, 2),
        (Nanos::from_secs(4), Leap::None, 1, 5),
        (Nanos::from_millis(1), Leap::Insert, 1, 2),
        (Nanos::from_millis(1), Leap::None, 3, 3),
        (Nanos::MAX, Leap::Delete, 1, u32::MAX),
    ] {
        assert_eq!(radius(bound, leap, least), whole.min(radius(bound, leap, 0).max(least)), "{bound}");
        if whole < u32::MAX {
            assert_eq!(radius(bound, leap, least), whole);
        }
    }
}

/// A chain over servers that each say their own time.
fn chain(servers: &[(&Server, UnixTime)]) -> Chain {
    let mut rng = StdRng::seed_from_u64(9);
    let mut chain = Chain::new();
    for (server, now) in servers {
        let question = chain.question(&server.public_key(), &mut rng);
        let reply = server.answer(question.packet(), *now);
        chain.answered(&question, &reply).unwrap();
    }
    chain
}

#[test]
fn a_server_that_lies_is_caught_in_the_second_turn() {
    let (honest, liar) = (Server::new(1), Server::new(2));
    let ahead = NOW + Nanos::from_secs(3_600);
    let one_turn = chain(&[(&honest, NOW), (&liar, ahead)]);
    assert_eq!(one_turn.contradiction(), None);
    let two_turns = chain(&[(&honest, NOW), (&liar, ahead), (&honest, NOW), (&liar, ahead)]);
    assert_eq!(two_turns.contradiction(), Some(Contradiction { earlier: 1, later: 2 }));
    let behind = chain(&[(&honest, NOW), (&liar, NOW - Nanos::from_secs(3))]);
    assert_eq!(behind.contradiction(), Some(Contradiction { earlier: 0, later: 1 }));
    let honest_ones = chain(&[(&honest, NOW), (&liar, NOW - Nanos::from_secs(2))]);
    assert_eq!(honest_ones.contradiction(), None);
}

#[test]
fn a_chain_can_be_checked_by_a_stranger_and_not_be_reordered() {
    let (one, two) = (Server::new(1), Server::new(2));
    let chain = chain(&[(&one, NOW), (&two, NOW), (&one, NOW)]);
    let links = chain.links().to_vec();
    assert_eq!(Chain::check(links.clone()), Ok(chain));
    let mut swapped = links.clone();
    swapped.swap(1, 2);
    assert_eq!(Chain::check(swapped), Err(ChainError::Order(2)));
    let mut left_out = links.clone();
    left_out.remove(1);
    assert_eq!(Chain::check(left_out), Err(ChainError::Order(2)));
    let mut blind = links.clone();
    blind[2].rand = None;
    assert_eq!(Chain::check(blind), Err(ChainError::Order(3)));
    let mut forged = links.clone();
    forged[1].public_key = links[0].public_key;
    assert!(matches!(Chain::check(forged), Err(ChainError::Reply { number: 2, .. })));
    assert_eq!(Chain::check(Vec::new()), Err(ChainError::Length(0)));
}

#[test]
fn an_interval_excludes_what_lies_beside_it() {
    let reply = Reply { midpoint: 100, radius: 2 };
    let at = |millis| UnixTime::from_nanos(0) + Nanos::from_millis(millis);
    assert!(reply.excludes(at(0), at(97_999)) && reply.excludes(at(102_001), at(200_000)));
    assert!(!reply.excludes(at(0), at(98_000)) && !reply.excludes(at(101_999), at(200_000)));
    let far = Reply { midpoint: u64::MAX, radius: u32::MAX };
    assert_eq!(far.latest(), u64::MAX);
    assert_eq!(far.interval().1, UnixTime::MAX);
}

proptest! {
    #[test]
    fn strangers_bytes_break_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..1_500), seed: u64) {
        let server = Server::new(1);
        let key = server.public_key();
        let mut request = client::request(&key, &[7; 32]);
        prop_assert!(client::verify(&key, &request, &bytes).is_err());
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..4 {
            let at = rng.next_u32() as usize % 128;
            request[at] = rng.next_u32().to_le_bytes()[0];
        }
        let mut round = Round::new(1);
        if round.add(&request, &server.delegation).is_ok() {
            round.sign(&server.delegation, NOW, 1);
            let reply = round.reply(0, &server.delegation);
            prop_assert!(reply.len() < request.len());
            prop_assert!(Message::read(message::unframe(reply).unwrap()).is_ok());
        }
    }
}
