//! An agent that is its uploads alone: exchanges every 16 s on a clock that is told, signed as an agent signs them.

use std::collections::BTreeMap;

use angbu_accounts::EnrolmentCode;
use angbu_time::chain::Chain;
use angbu_time::exchange::{Exchange, Source};
use angbu_time::ingest;
use angbu_time::packet::Leap;
use angbu_time::record::{Fact, Measured, Record, Software, Start, Upload, When};
use angbu_time::sync::{Policy, Sync};
use angbu_units::{AgentId, Clock as _, Nanos, NtpServerId, NtpShort, UnixTime};
use ed25519_dalek::SigningKey as MachineKey;

use super::site::{Shows, TestSite};

const POLL: Nanos = Nanos::from_secs(16);

/// An agent, as far as a centre sees it.
pub(crate) struct Machine {
    pub(crate) id: AgentId,
    pub(crate) key: MachineKey,
    server: NtpServerId,
    pub(crate) seq: u64,
    pub(crate) next: UnixTime,
    sync: Sync,
    pub(crate) chain: Chain,
    noise: u32,
}

impl Machine {
    pub(crate) async fn join(site: &TestSite, customer: &str) -> Self {
        let name = format!("db-{}", site.next());
        let (_, code): (_, EnrolmentCode) = site.code("agent", customer, &name).await;
        let number = site.next();
        let mut seed = [9; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        let key = MachineKey::from_bytes(&seed);
        let body = TestSite::join_body(&code, &name, &key);
        let answer = site.send(&Shows::Nothing, "POST", "/api/v1/enrolments/agent", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.json()["agent_id"].as_str().unwrap().parse().unwrap();
        let server = NtpServerId::from_bytes(*site.centre.site().centre.as_bytes());
        let next = site.clock.read().wall;
        let chain = Chain::begin(id, &key.verifying_key().to_bytes(), 1);
        Self { id, key, server, seq: 1, next, sync: Sync::new(), chain, noise: number + 1 }
    }

    fn random(&mut self, below: i64) -> i64 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(self.noise >> 8) % below
    }

    /// One exchange; the agent's clock is `ahead` of the centre's.
    fn exchange(&mut self, ahead: Nanos) -> Record {
        let t2 = self.next.nanos();
        let t1 = t2 - 60_000 - self.random(40_000) + ahead.count();
        let t3 = t2 + 9_000 + self.random(4_000);
        let t4 = t3 + 60_000 + self.random(40_000) + ahead.count();
        let source = Source {
            leap: Leap::None,
            stratum: 10,
            precision: -23,
            root_delay: NtpShort::from_bits(0),
            root_dispersion: NtpShort::from_bits(67),
            reference_id: [127, 127, 1, 1],
        };
        let exchange = Exchange::new([t1, t2, t3, t4].map(UnixTime::from_nanos), source).unwrap();
        let judgement = self.sync.judge(&exchange, &Policy::with_tolerance(Nanos::from_millis(50)));
        let record = Record {
            seq: self.seq,
            fact: Fact::Exchange(Measured { server: self.server, exchange, judgement, poll: POLL }),
        };
        self.seq += 1;
        self.next = self.next + POLL;
        record
    }

    fn start(&mut self) -> Record {
        let at = When { system: self.next, centre: Some(self.next) };
        let software = Software::new("angbu/test").unwrap();
        let record = Record {
            seq: self.seq,
            fact: Fact::Start(Start { at, poll: POLL, clean: true, manner: None, software }),
        };
        self.seq += 1;
        record
    }

    /// All exchanges up to an instant, signed.
    pub(crate) fn upload(&mut self, until: UnixTime, ahead: Nanos) -> Option<Vec<u8>> {
        let mut records = Vec::new();
        if self.seq == 1 {
            records.push(self.start());
        }
        while self.next < until && records.len() < 1_000 {
            records.push(self.exchange(ahead));
        }
        let sent = self.next.min(until);
        let (agent, newest_checkpoint, witnesses) = (self.id, None, BTreeMap::new());
        let before = self.chain;
        self.chain = before.after(&records);
        let upload = Upload { agent, before, sent, newest_checkpoint, records, witnesses };
        (!upload.records.is_empty()).then(|| ingest::sign(&upload, &self.key))
    }
}
