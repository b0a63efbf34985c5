//! What the tests of several modules are fed with: arbitrary records and uploads, and a segment as an agent makes it.

use angbu_units::{AgentId, EntryId, Nanos, NtpServerId, NtpShort, Ppb, UnixTime};
use proptest::prelude::*;

use crate::chain::{Chain, Other, Signed};
use crate::correction::{Correction, CorrectionKind, Corrections, MAX_CORRECTIONS};
use crate::exchange::{Exchange, Source};
use crate::packet::Leap;
use crate::proof::{Proof, Seal, Witness};
use crate::record::{
    Alarm, AlarmKind, Dropped, Fact, Manner, Measured, Pause, PauseReason, Record, Software, Start, Stop,
    Upload, When,
};
use crate::segment::{Kept, Segment};
use crate::sync::{Judgement, Policy, Sync};

prop_compose! {
    fn when()(system: i64, centre: Option<i64>) -> When {
        When { system: UnixTime::from_nanos(system), centre: centre.map(UnixTime::from_nanos) }
    }
}

prop_compose! {
    pub(crate) fn measured()(
        server: [u8; 16], t1 in -4_000_000_000_000_000_000i64..4_000_000_000_000_000_000, ahead in -2_000_000_000_000_000_000i64..2_000_000_000_000_000_000,
        there in 0i64..10_000_000_000, inside in 0i64..1_000_000, back in 0i64..10_000_000_000,
        leap in 0u8..3, stratum in 1u8..16, precision in -30i8..0, delay in 0u32..400_000, dispersion in 0u32..400_000, reference_id: [u8; 4],
        level in 0u8..4, rate: i64, poll in 1i64..100_000,
    ) -> Measured {
        let t2 = t1 + ahead + there;
        let instants = [t1, t2, t2 + inside, t1 + there + inside + back].map(UnixTime::from_nanos);
        let source = Source {
            leap: Leap::from_bits(leap), stratum, precision, reference_id,
            root_delay: NtpShort::from_bits(delay), root_dispersion: NtpShort::from_bits(dispersion),
        };
        Measured {
            server: NtpServerId::from_bytes(server),
            exchange: Exchange::new(instants, source).unwrap(),
            judgement: Judgement { rate: (level > 0).then_some(Ppb::new(rate)), steady: level > 1, in_sync: level > 2 },
            poll: Nanos::from_millis(poll),
        }
    }
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        measured().prop_map(Fact::Exchange),
        (when(), prop::sample::select(&AlarmKind::ALL[..]), any::<i64>(), 0..i64::MAX).prop_map(
            |(at, kind, difference, since)| {
                Fact::Alarm(Alarm { at, kind, difference: Nanos::new(difference), since: Nanos::new(since) })
            }
        ),
        (when(), 1..i64::MAX, prop::sample::select(&PauseReason::ALL[..]))
            .prop_map(|(at, length, reason)| Fact::Pause(Pause { at, length: Nanos::new(length), reason })),
        (
            when(),
            prop::collection::vec(
                (any::<[i64; 3]>(), prop::sample::select(CorrectionKind::ALL.to_vec()), any::<u64>()),
                1..=MAX_CORRECTIONS
            )
        )
            .prop_map(|(at, made)| {
                let made = made.into_iter().map(|([time, amount, frequency], kind, rests_on)| Correction {
                    at: UnixTime::from_nanos(time),
                    kind,
                    amount: Nanos::new(amount),
                    frequency: Ppb::new(frequency),
                    rests_on,
                });
                Fact::Corrections(Corrections { at, made: made.collect() })
            }),
        (
            when(),
            1_000_000i64..1_000_000_000_000,
            any::<bool>(),
            any::<Option<(bool, bool)>>(),
            "[!-~]{1,32}"
        )
            .prop_map(|(at, poll, clean, manner, text)| {
                Fact::Start(Start {
                    at,
                    poll: Nanos::new(poll),
                    clean,
                    manner: manner.map(|(nts, steers)| Manner { nts, steers }),
                    software: Software::new(&text).unwrap(),
                })
            }),
        when().prop_map(|at| Fact::Stop(Stop { at })),
        (when(), 0u64..1_000).prop_map(|(at, last)| Fact::Dropped(Dropped { at, last })),
    ]
}

prop_compose! {
    fn witness()(reveal: [u8; 32], request in prop::collection::vec(any::<u8>(), 48..300), header: [u8; 24], epoch: u32, mac: [u8; 16]) -> Witness {
        let seal = Seal::decode(&[&epoch.to_be_bytes()[..], &mac].concat()).unwrap();
        Witness { reveal, request, header: [header, header].concat().try_into().unwrap(), seal }
    }
}

prop_compose! {
    pub(crate) fn upload()(agent: [u8; 16], before: [u8; 32], sent: i64, newest_checkpoint in prop::option::of("[ -~\n—]{1,600}"), first in 1u64..1_000_000, facts in prop::collection::vec(fact(), 1..40), proofs in prop::collection::vec(prop::option::of(witness()), 40)) -> Upload {
        let mut seq = first;
        let records: Vec<Record> = facts.into_iter().map(|mut fact| {
            if let Fact::Dropped(dropped) = &mut fact {
                dropped.last += seq;
            }
            let record = Record { seq, fact };
            seq = record.next_seq();
            record
        }).collect();
        let proven = records.iter().zip(proofs).filter(|(record, _)| matches!(record.fact, Fact::Exchange(_)));
        let witnesses = proven.filter_map(|(record, proof)| Some((record.seq, proof?))).collect();
        Upload { agent: AgentId::from_bytes(agent), before: Chain::from_bytes(before), sent: UnixTime::from_nanos(sent), newest_checkpoint, records, witnesses }
    }
}

/// Exchanges as an agent makes them: every 2 s, rates that follow, one server.
pub(crate) fn ordinary(count: usize) -> Segment {
    let source = Source {
        leap: Leap::None,
        stratum: 10,
        precision: -23,
        root_delay: NtpShort::from_bits(0),
        root_dispersion: NtpShort::from_bits(67),
        reference_id: [127, 127, 1, 1],
    };
    let mut sync = Sync::new();
    let mut noise = 12_345_u32;
    let mut random = |below: i64| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(noise >> 8) % below
    };
    let exchanges = (0..i64::try_from(count).unwrap()).map(|n| {
        let t1 = 1_763_762_721_000_000_000 + n * 2_000_000_000 + random(500_000);
        let t2 = t1 + 40_000 + random(30_000);
        let t3 = t2 + 9_000 + random(5_000);
        let t4 = t3 + 40_000 + random(30_000);
        let exchange = Exchange::new([t1, t2, t3, t4].map(UnixTime::from_nanos), source).unwrap();
        let judgement = sync.judge(&exchange, &Policy::with_tolerance(Nanos::from_millis(50)));
        Kept {
            seq: u64::try_from(n).unwrap() + 2,
            measured: Measured {
                server: NtpServerId::from_bytes([3; 16]),
                exchange,
                judgement,
                poll: Nanos::from_secs(2),
            },
            arrived: UnixTime::from_nanos(t4 - t4 % 10_000_000_000),
            clock_state: Some(EntryId::from_bytes([5; 16])),
            proof: Proof::NotShown,
        }
    });
    Segment {
        agent: AgentId::from_bytes([1; 16]),
        enrolment: EntryId::from_bytes([2; 16]),
        settings: EntryId::from_bytes([4; 16]),
        exchanges: exchanges.collect(),
        signed: None,
    }
}

/// What might have been signed of records with these numbers, one of them in the middle no exchange.
pub(crate) fn signed(first_seq: u64, next_seq: u64) -> Signed {
    let seq = u64::midpoint(first_seq, next_seq);
    let others = vec![Other { seq, next_seq: seq + 1, hash: [8; 32] }];
    Signed {
        first_seq,
        next_seq,
        before: Chain::from_bytes([7; 32]),
        others,
        rest: [9; 32],
        signature: [6; 64],
    }
}
