//! The thread that sends records to the centre: in order, each in effect once.
//!
//! The centre says which record it wants next, with every answer and with the refusal of an upload that begins
//! elsewhere; the spool follows it. So an answer that is lost, or a centre that was set back, costs a repetition.

use std::collections::BTreeMap;
use std::time::Duration;

use angbu_client::wire::LogGrowth;
use angbu_client::{Client, ClientError};
use angbu_time::chain::Chain;
use angbu_time::ingest;
use angbu_time::proof::Witness;
use angbu_time::record::{Dropped, Fact, MAX_RECORDS, Record, Upload, When};
use angbu_units::{AgentId, Nanos, UnixTime};
use ed25519_dalek::SigningKey;

use crate::backoff::Backoff;
use crate::log::LogWatch;
use crate::run::{Core, Shared};
use crate::spool::{Item, Lost};
use crate::state::Enrolment;
use crate::{Event, SpoolError};

/// How many bytes of records go into one upload: signature, head and losses fit beside them.
const RECORD_BYTES: usize = ingest::MAX_WIRE - 64 * 1_024;

/// The longest sleep; a wake-up that finds nothing costs nothing.
const IDLE: Duration = Duration::from_secs(3_600);

/// The thread's own.
pub(crate) struct Uploader {
    pub(crate) agent: AgentId,
    pub(crate) log: LogWatch,
    pub(crate) key: SigningKey,
    pub(crate) client: Client,
    pub(crate) enrolment: Enrolment,
    pub(crate) backoff: Backoff,
    /// The last upload was refused because another record is wanted.
    pub(crate) followed: bool,
}

/// What a refusal is called whose reason is that the chain does not follow.
const UNCHAINED: &str = "urn:angbu:problem:upload-unchained";

/// Records to send.
struct Batch {
    first: u64,
    /// The chain before each of the records, and after the last.
    chains: Vec<(u64, Chain)>,
    wire: Vec<u8>,
    /// The run closes: nothing will be added, and nothing is tried twice.
    last_try: bool,
}

impl Batch {
    /// The chain before a record, where it follows from what was sent.
    fn chain_before(&self, seq: u64) -> Option<Chain> {
        self.chains.iter().find(|(next, _)| *next == seq).map(|(_, chain)| *chain)
    }
}

/// Sends what is in the spool until the run has closed and either everything is sent or the centre does not take it.
pub(crate) fn upload(shared: &Shared, mut uploader: Uploader) {
    loop {
        let (reason, last_try) = match uploader.next_batch(shared) {
            Ok(None) => return,
            Ok(Some(batch)) => match uploader.send(shared, &batch) {
                Ok(()) => continue,
                Err(reason) => (reason, batch.last_try),
            },
            Err(error) => (error.to_string(), shared.core().closing),
        };
        let wait = uploader.backoff.next_wait();
        (shared.events)(&Event::NotUploaded {
            reason,
            waiting: shared.core().spool.waiting(),
            retry_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        });
        if last_try {
            return;
        }
        shared.stop.wait_for(wait);
    }
}

impl Uploader {
    /// Waits for records and signs them; none once the run has closed and everything is sent.
    fn next_batch(&self, shared: &Shared) -> Result<Option<Batch>, SpoolError> {
        let mut core = shared.core();
        // Between the wish to stop and the stop on record, that record is worth waiting for.
        let idle =
            |core: &mut Core| !core.closing && (core.spool.waiting() == 0 || shared.stop.is_requested());
        while idle(&mut core) {
            core = shared.wait_while(core, IDLE, idle);
        }
        let now = shared.clock.read();
        let items = core.spool.read(MAX_RECORDS, RECORD_BYTES, now.wall)?;
        let (sent, chain) = (core.agent.centre_time(now), core.spool.chain());
        let last_try = core.closing;
        drop(core);
        let Some((first, _)) = items.first() else { return Ok(None) };
        let first = *first;
        let (mut records, mut witnesses) = (Vec::with_capacity(items.len()), BTreeMap::new());
        for (seq, item) in items {
            let (record, witness) = record(seq, item, now.wall);
            witnesses.extend(witness.map(|witness| (record.seq, witness)));
            records.push(record);
        }
        let newest_checkpoint = self.log.cosigned(sent);
        // Where it is not known any more what went before, the chain begins anew.
        let key = self.key.verifying_key().to_bytes();
        let before = chain.unwrap_or_else(|| Chain::begin(self.agent, &key, first));
        let mut chains = vec![(first, before)];
        for record in &records {
            let (_, last) = chains.last().copied().unwrap_or((first, before));
            chains.push((record.next_seq(), last.after([record])));
        }
        let upload = Upload { agent: self.agent, before, sent, newest_checkpoint, records, witnesses };
        Ok(Some(Batch { first, chains, wire: ingest::sign(&upload, &self.key), last_try }))
    }

    /// Sends once, and follows the centre's answer; an error in words if that leads nowhere.
    fn send(&mut self, shared: &Shared, batch: &Batch) -> Result<(), String> {
        match self.client.upload(&batch.wire) {
            Ok(uploaded) if uploaded.next_seq > batch.first => {
                self.backoff.reset();
                self.followed = false;
                self.follow(shared, uploaded.next_seq, batch.chain_before(uploaded.next_seq))?;
                self.learn(shared, Nanos::new(uploaded.tolerance_ns));
                self.watch_log(shared, uploaded.log.as_ref());
                Ok(())
            }
            Ok(_) => {
                Err("the centre took the records and wants them again; is its store read-only?".to_owned())
            }
            Err(error) => match elsewhere(&error, batch.first) {
                Some(next) => {
                    // Records that do not follow those that the centre has begin a chain of their own.
                    let chain = batch.chain_before(next).filter(|_| !is_unchained(&error));
                    self.follow(shared, next, chain)?;
                    // At once only once in a row: a centre that cannot make up its mind is followed slowly.
                    if std::mem::replace(&mut self.followed, true) { Err(error.to_string()) } else { Ok(()) }
                }
                None => {
                    // A centre that refuses because its log is in doubt shows that log, for whoever has seen another.
                    if let ClientError::Refused(problem) = &error {
                        self.watch_log(shared, problem.log.as_ref());
                    }
                    Err(error.to_string())
                }
            },
        }
    }

    /// Checks what the centre shows of its log.
    fn watch_log(&mut self, shared: &Shared, growth: Option<&LogGrowth>) {
        let Some(growth) = growth else { return };
        // Once the run is over the folder may be another process's.
        let core = shared.core();
        if core.over {
            return;
        }
        for event in self.log.learn(&shared.state, &mut self.enrolment, growth) {
            (shared.events)(&event);
        }
        drop(core);
    }

    /// `chain`: before the record that the centre wants, where that is known.
    fn follow(&self, shared: &Shared, next_seq: u64, chain: Option<Chain>) -> Result<(), String> {
        let mut core = shared.core();
        if core.over {
            return Err("the run is over".to_owned());
        }
        let reading = shared.clock.read();
        let now = reading.wall;
        // Nobody but this agent writes its records, so that an earlier state of it is what runs here.
        let rolled_back = next_seq > core.spool.next_seq();
        core.spool.keep_chain(next_seq, chain).map_err(|error| error.to_string())?;
        let lost = core.spool.acknowledge(next_seq, now).map_err(|error| error.to_string())?;
        if rolled_back {
            // Only now: what waited is given up, and this must not be.
            for record in core.agent.on_rolled_back(reading) {
                shared.keep(&mut core, record, "", reading);
            }
        }
        if let Some(lost) = lost {
            (shared.events)(&Event::Lost { first: lost.first, last: lost.last });
        }
        (shared.events)(&Event::Uploaded { next_seq, waiting: core.spool.waiting() });
        Ok(())
    }

    /// Takes over the customer's tolerance if it has changed.
    fn learn(&mut self, shared: &Shared, tolerance: Nanos) {
        if self.enrolment.tolerance() == tolerance {
            return;
        }
        self.enrolment.tolerance_ns = tolerance.count();
        shared.core().agent.set_tolerance(tolerance);
        (shared.events)(&Event::Tolerance { tolerance_ns: tolerance.count() });
        if let Err(error) = shared.state.keep(&self.enrolment) {
            (shared.events)(&Event::NotKept { reason: error.to_string() });
        }
    }
}

/// The record that the centre wants, if that is why it refused, and it is another than it was sent, or another chain before it.
fn elsewhere(error: &ClientError, first: u64) -> Option<u64> {
    match error {
        ClientError::Refused(problem) => {
            problem.next_seq.filter(|next| *next != first || is_unchained(error))
        }
        _ => None,
    }
}

/// Whether the centre refused since the records do not follow those that it has.
fn is_unchained(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(problem) if problem.kind == UNCHAINED)
}

/// The record of an item, and what proves it.
fn record(seq: u64, item: Item, now: UnixTime) -> (Record, Option<Witness>) {
    let lost = match item {
        Item::Record(bytes) => match Record::decode_with_witness(&bytes) {
            Ok((record, witness)) if record.seq == seq => return (record, witness),
            // Written by another version of this program, and of no use to anybody.
            _ => Lost { first: seq, last: seq, at: now },
        },
        Item::Lost(lost) => lost,
    };
    let at = When { system: lost.at, centre: None };
    (Record { seq: lost.first, fact: Fact::Dropped(Dropped { at, last: lost.last }) }, None)
}
