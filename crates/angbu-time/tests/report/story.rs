//! A customer's servers over some time, made up: polls, wanderings, and what happens to them.

use angbu_evidence::Kind;
use angbu_time::chain::{self, Chain, Other, Signed, Statement};
use angbu_time::events::{self, Enrolment};
use angbu_time::exchange::{Exchange, Source};
use angbu_time::packet::Leap;
use angbu_time::proof::Proof;
use angbu_time::record::{
    Alarm, AlarmKind, Dropped, Fact, Manner, Measured, Record, Software, Start, Stop, When,
};
use angbu_time::report::CUSTOMER;
use angbu_time::segment::{self, Kept, Segment};
use angbu_time::sync::{Policy, Sync};
use angbu_units::{AgentId, EntryId, Nanos, NtpServerId, NtpShort, UnixTime};

use ed25519_dalek::SigningKey;

use crate::site::{Fields, OURS, Site};

pub(crate) fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

/// What happens to one server.
pub(crate) enum Deed {
    Stop,
    Start {
        clean: bool,
    },
    /// Its clock is set ahead (or back) by so much.
    Set(Nanos),
    Slew(Nanos),
    Drop(u64),
    /// Its exchanges are lost until the next deed.
    Silence,
    Speak,
}

/// One server: how its clock wanders, and what happens when.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) number: u8,
    pub(crate) from: UnixTime,
    pub(crate) poll: Nanos,
    /// The one-way delay, its jitter, and how far the clock wanders.
    pub(crate) delay: Nanos,
    pub(crate) jitter: Nanos,
    pub(crate) wander: Nanos,
    pub(crate) deeds: Vec<(UnixTime, Deed)>,
}

/// Appends a customer's settlement.
pub(crate) fn settle(site: &mut Site, at: UnixTime, tolerance: Nanos, revision: u32) -> EntryId {
    let fields: Fields = vec![
        ("name", b"Hanbit Exchange".to_vec()),
        ("tolerance-ns", tolerance.count().to_string().into_bytes()),
        ("revision", revision.to_string().into_bytes()),
    ];
    site.append(CUSTOMER, OURS, at, &fields)
}

impl Server {
    const fn agent(&self) -> AgentId {
        AgentId::from_bytes([self.number; 16])
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&[self.number; 32])
    }

    fn public_key(&self) -> [u8; 32] {
        self.key().verifying_key().to_bytes()
    }

    pub(crate) fn enrol(&self, site: &mut Site) -> EntryId {
        let enrolment =
            Enrolment { agent: self.agent(), name: self.name.to_owned(), public_key: self.public_key() };
        site.append(events::ENROLMENT, OURS, self.from, &enrolment.fields())
    }

    /// Everything that its agent records until `to`; `clock_state` says which clock state was in force.
    pub(crate) fn live(
        &self,
        site: &mut Site,
        ids: (EntryId, EntryId),
        to: UnixTime,
        clock_state: impl Fn(UnixTime) -> EntryId,
    ) {
        let mut life = Life {
            server: self,
            enrolment: ids.0,
            settings: ids.1,
            seq: 1,
            ahead: Nanos::ZERO,
            sync: Sync::new(),
            open: Vec::new(),
            others: Vec::new(),
            chain: Chain::begin(self.agent(), &self.public_key(), 1),
            first_seq: 1,
            noise: u32::from(self.number),
        };
        let mut deeds = self.deeds.iter().peekable();
        let (mut running, mut heard) = (true, true);
        life.start(site, self.from, true);
        let mut now = self.from + self.poll;
        while now < to {
            while let Some((at, deed)) = deeds.next_if(|(at, _)| *at <= now) {
                life.undergo(site, *at, deed);
                match deed {
                    Deed::Stop => running = false,
                    Deed::Start { .. } => running = true,
                    Deed::Silence => heard = false,
                    Deed::Speak => heard = true,
                    _ => {}
                }
            }
            if running && heard {
                life.exchange(now, clock_state(now));
                if life.open.len() == segment::MAX_EXCHANGES {
                    life.close(site, now);
                }
            }
            now = now + self.poll;
        }
        life.close(site, to);
    }
}

struct Life<'a> {
    server: &'a Server,
    enrolment: EntryId,
    settings: EntryId,
    seq: u64,
    ahead: Nanos,
    sync: Sync,
    open: Vec<Kept>,
    others: Vec<Other>,
    /// The chain before record `first_seq`, the first that is in no segment.
    chain: Chain,
    first_seq: u64,
    noise: u32,
}

impl Life<'_> {
    fn random(&mut self, below: i64) -> i64 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(self.noise >> 8) % below.max(1)
    }

    /// A slow triangle, three days long, with the wander's height.
    fn wander(&self, now: UnixTime) -> Nanos {
        let phase = (now - self.server.from).count() % 259_200_000_000_000;
        let height = i128::from(self.server.wander.count());
        let up = i128::from(129_600_000_000_000 - (phase - 129_600_000_000_000).abs());
        Nanos::new(i64::try_from(height * (up * 2 - 129_600_000_000_000) / 129_600_000_000_000).unwrap())
    }

    fn exchange(&mut self, now: UnixTime, clock_state: EntryId) {
        let there = self.server.delay + Nanos::new(self.random(self.server.jitter.count()));
        let back = self.server.delay + Nanos::new(self.random(self.server.jitter.count()));
        let t1 = now + self.ahead + self.wander(now);
        let (t2, t3) = (now + there, now + there + Nanos::from_micros(12));
        let t4 = t1 + there + back + Nanos::from_micros(12);
        let source = Source {
            leap: Leap::None,
            stratum: 10,
            precision: -23,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_nanos_rounded_up(Nanos::from_micros(30)),
            reference_id: [127, 127, 1, 1],
        };
        let exchange = Exchange::new([t1, t2, t3, t4], source).unwrap();
        let judgement = self.sync.judge(&exchange, &Policy::with_tolerance(Nanos::from_millis(50)));
        let measured = Measured {
            server: NtpServerId::from_bytes([1; 16]),
            exchange,
            judgement,
            poll: self.server.poll,
        };
        self.open.push(Kept {
            seq: self.seq,
            measured,
            arrived: t3,
            clock_state: Some(clock_state),
            proof: Proof::NotShown,
        });
        self.seq += 1;
    }

    fn close(&mut self, site: &mut Site, at: UnixTime) {
        let exchanges = std::mem::take(&mut self.open);
        if self.first_seq < self.seq {
            let mut signed = Signed {
                first_seq: self.first_seq,
                next_seq: self.seq,
                before: self.chain,
                others: std::mem::take(&mut self.others),
                rest: [9; 32],
                signature: [0; 64],
            };
            let mut hashes: Vec<_> =
                exchanges.iter().map(|kept| (kept.seq, chain::hash(&kept.record()))).collect();
            hashes.extend(signed.others.iter().map(|other| (other.seq, other.hash)));
            hashes.sort_unstable();
            let after = hashes.iter().fold(self.chain, |chain, (_, hash)| chain.then(hash));
            let statement =
                Statement { agent: self.server.agent(), next_seq: self.seq, chain: after, rest: signed.rest };
            signed.signature = statement.sign(&self.server.key());
            (self.chain, self.first_seq) = (after, self.seq);
            let segment = Segment {
                agent: self.server.agent(),
                enrolment: self.enrolment,
                settings: self.settings,
                exchanges,
                signed: Some(signed),
            };
            site.append(segment::KIND, OURS, at, &segment.fields());
        }
    }

    fn start(&mut self, site: &mut Site, at: UnixTime, clean: bool) {
        let software = Software::new("angbu/0.1.0").unwrap();
        let when = When { system: at + self.ahead, centre: None };
        let (poll, manner) = (self.server.poll, Some(Manner { nts: true, steers: false }));
        self.record(site, at, Fact::Start(Start { at: when, poll, clean, manner, software }));
        self.sync = Sync::new();
    }

    fn undergo(&mut self, site: &mut Site, at: UnixTime, deed: &Deed) {
        let when = |ahead| When { system: at + ahead, centre: Some(at) };
        match deed {
            Deed::Stop => self.record(site, at, Fact::Stop(Stop { at: when(self.ahead) })),
            Deed::Start { clean } => self.start(site, at, *clean),
            Deed::Set(by) | Deed::Slew(by) => {
                self.ahead = self.ahead + *by;
                self.sync = Sync::new();
                let kind = if matches!(deed, Deed::Set(_)) { AlarmKind::Step } else { AlarmKind::Slew };
                let alarm = Alarm { at: when(self.ahead), kind, difference: *by, since: Nanos::from_secs(1) };
                self.record(site, at, Fact::Alarm(alarm));
            }
            Deed::Drop(count) => {
                let dropped = Dropped { at: when(self.ahead), last: self.seq + count - 1 };
                self.record(site, at, Fact::Dropped(dropped));
            }
            Deed::Silence | Deed::Speak => {}
        }
    }

    fn record(&mut self, site: &mut Site, at: UnixTime, fact: Fact) {
        let record = Record { seq: self.seq, fact };
        self.seq = record.next_seq();
        let hash = chain::hash(&record);
        self.others.push(Other { seq: record.seq, next_seq: self.seq, hash });
        let (kind, fields): (Kind, _) = events::entry(self.server.agent(), &record).unwrap();
        site.append(kind, OURS, at, &fields);
    }
}
