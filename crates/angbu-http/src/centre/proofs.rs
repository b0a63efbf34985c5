//! What an upload shows of its exchanges, held against the keys of the time server: what is proven of each.
//!
//! What needs no memory is [`angbu_time::proof`]'s. Here are the epochs' keys, and what takes effect in the upload's own
//! transaction: an identifier proves once, and requests of one agent reach a centre one after the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use angbu_store::time::{AcceptedUpload, AgentRow, Taken};
use angbu_store::{StoreError, Tx};
use angbu_time::ingest::Accepted;
use angbu_time::nts::cookie::{EpochKeys, EpochSecret};
use angbu_time::proof::{self, Checked, OLDEST, Proof, Refused, Witness};
use angbu_time::record::{Fact, Measured, Record};
use angbu_units::{AgentId, Nanos, NtpServerId, UnixTime};

use super::Centre;

/// How long identifiers are remembered: as long as an exchange can be proven, and some clock's error more.
pub(super) const REMEMBERED: Nanos = Nanos::from_secs(OLDEST.count() / 1_000_000_000 + 86_400);

/// How many epochs' secrets are kept at hand: more than are needed for what is not yet too old to be proven.
const EPOCHS: usize = 64;

/// Where in a row's flags the number of what is proven stands.
const SHIFT: u32 = 8;

/// The secrets of epochs that uploads were checked with.
#[derive(Default)]
pub(super) struct KnownEpochs(Mutex<BTreeMap<u32, EpochSecret>>);

impl KnownEpochs {
    fn find(&self, epoch: u32) -> Option<EpochSecret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }

    fn keep(&self, secret: EpochSecret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(secret.epoch, secret);
        while known.len() > EPOCHS {
            known.pop_first();
        }
    }
}

/// What is proven of the exchanges of one upload.
pub(super) struct Proofs {
    checked: BTreeMap<u64, Checking>,
    /// The exchanges in order, each with its server and its T4; none where records are lost.
    arrivals: Vec<(u64, Option<(NtpServerId, UnixTime)>)>,
}

#[derive(Clone, Copy)]
enum Checking {
    /// Nothing more has to be known.
    Refused(Refused),
    /// Proven if its identifier is new and its request later than the one before.
    Open(NtpServerId, Checked),
}

impl Centre {
    /// Checks what an upload shows of its exchanges.
    pub(super) async fn check_proofs(
        &self,
        agent: &AgentRow,
        accepted: &Accepted,
        arrived: UnixTime,
    ) -> Result<Proofs, StoreError> {
        let mut checked = BTreeMap::new();
        let arrivals = accepted.records.iter().filter_map(arrival).collect();
        for Record { seq, fact } in &accepted.records {
            let (Fact::Exchange(measured), Some(witness)) = (fact, accepted.witnesses.get(seq)) else {
                continue;
            };
            checked.insert(*seq, self.check_proof(agent, measured, witness, arrived).await?);
        }
        Ok(Proofs { checked, arrivals })
    }

    async fn check_proof(
        &self,
        agent: &AgentRow,
        measured: &Measured,
        witness: &Witness,
        arrived: UnixTime,
    ) -> Result<Checking, StoreError> {
        for epoch in witness.epochs() {
            self.learn_epoch(epoch).await?;
        }
        let keys = |epoch| self.epochs.find(epoch).map(|secret| EpochKeys::prepare(&secret));
        let by = |centre| proof::check(witness, measured, centre, &agent.public_key, arrived, &keys);
        let refused = match by(measured.server) {
            Ok(checked) => return Ok(Checking::Open(measured.server, checked)),
            Err(refused) => refused,
        };
        if refused == Refused::Seal {
            // An agent that names one centre of the site can have been answered by another one behind the same address.
            let centres = self.store.read(|snapshot| snapshot.centres()).await?;
            let mut ids: Vec<_> =
                centres.iter().map(|centre| NtpServerId::from_bytes(*centre.id.as_bytes())).collect();
            if ids.contains(&measured.server) {
                ids.retain(|id| *id != measured.server);
                let found = ids.into_iter().find_map(|id| Some((id, by(id).ok()?)));
                if let Some((id, checked)) = found {
                    return Ok(Checking::Open(id, checked));
                }
            }
        }
        Ok(Checking::Refused(refused))
    }

    async fn learn_epoch(&self, epoch: u32) -> Result<(), StoreError> {
        if self.epochs.find(epoch).is_none()
            && let Some(row) = self.store.read(move |snapshot| snapshot.epoch(epoch)).await?
        {
            self.epochs.keep(EpochSecret::new(row.epoch, *row.secret));
        }
        Ok(())
    }
}

impl Proofs {
    /// Settles what is proven, in the transaction that takes the upload into effect, and notes it in the rows' flags.
    pub(super) fn take(&self, tx: &mut Tx<'_>, upload: &mut AcceptedUpload) -> Result<(), StoreError> {
        let mut before = Before::new(upload.agent);
        let mut rows = upload.exchanges.iter_mut().peekable();
        for (seq, arrival) in &self.arrivals {
            let Some((server, t4)) = *arrival else {
                before.forget(tx)?;
                continue;
            };
            let recorded = before.replace(tx, server, t4)?;
            let row = rows.next_if(|row| row.seq == *seq);
            let (Some(row), Some(checking)) = (row, self.checked.get(seq)) else { continue };
            let proof = match *checking {
                Checking::Refused(why) => Proof::Refused(why),
                Checking::Open(_, checked) if !checked.fits_before(recorded) => {
                    Proof::Refused(Refused::PreviousT4)
                }
                Checking::Open(server, Checked { identifier, received, proof, .. }) => {
                    match tx.take_identifier(row.agent, server, &identifier, received, row.arrived)? {
                        Taken::Now => proof,
                        Taken::Before => Proof::Refused(Refused::Repeated),
                        Taken::OutOfOrder => Proof::Refused(Refused::Order),
                    }
                }
            };
            row.flags |= u16::from(proof.code()) << SHIFT;
        }
        before.keep(tx)
    }
}

/// T4 of the last exchange with each server, before the one that is looked at.
struct Before {
    agent: AgentId,
    known: BTreeMap<NtpServerId, UnixTime>,
    /// Records were lost: what the database knows is from before.
    lost: bool,
}

impl Before {
    const fn new(agent: AgentId) -> Self {
        Self { agent, known: BTreeMap::new(), lost: false }
    }

    fn replace(
        &mut self,
        tx: &mut Tx<'_>,
        server: NtpServerId,
        t4: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        match self.known.insert(server, t4) {
            Some(before) => Ok(Some(before)),
            None if self.lost => Ok(None),
            None => tx.last_arrival(self.agent, server),
        }
    }

    fn forget(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.known.clear();
        self.lost = true;
        tx.forget_last_arrivals(self.agent)
    }

    fn keep(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for (server, t4) in self.known {
            tx.keep_last_arrival(self.agent, server, t4)?;
        }
        Ok(())
    }
}

/// The server and T4 of an exchange; none where the record says that others are lost.
fn arrival(record: &Record) -> Option<(u64, Option<(NtpServerId, UnixTime)>)> {
    match &record.fact {
        Fact::Exchange(Measured { server, exchange, .. }) => {
            let [_, _, _, t4] = exchange.instants();
            Some((record.seq, Some((*server, t4))))
        }
        Fact::Dropped(_) => Some((record.seq, None)),
        _ => None,
    }
}

/// What a row's flags say of what is proven.
pub(super) fn of_flags(flags: u16) -> Option<Proof> {
    u8::try_from(flags >> SHIFT).ok().and_then(Proof::from_code)
}
