//! Sealing anew what a retired key sealed, in the background: a batch at a time, so that nobody waits long for one.
//!
//! One pass goes over each table in the order of its primary key and notes how far it came, so that a centre that was
//! stopped, or another one, goes on from there. What is written meanwhile bears the new key wherever it stands, so one
//! pass finds everything. Two centres at it at once waste work and nothing else: each value is replaced only while it
//! is still the one that was read.

use angbu_units::{AgentId, PasskeyId, PersonId, UnixTime};

use super::{KeyRow, Purpose};
use crate::accounts::PersonRow;
use crate::passkeys::PasskeyRow;
use crate::sql::{Connection, Next, Row, column, optional, values};
use crate::{Snapshot, Store, StoreError, Tx};

/// About how many bytes one step reads; one value is read whatever its size.
const STEP: usize = 4 << 20;

/// What one step of [`Store::reseal`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resealed {
    /// Nothing of this purpose waits to be sealed anew.
    Nothing,
    /// This many values were looked at, and there are more.
    More(u64),
    /// That was the last, and the old key is deleted.
    Done,
}

/// A table with a sealed column.
struct Table {
    /// Its name, as sealed values name it.
    name: &'static str,
    /// A batch of it behind a row's identity: the identity's columns, then the sealed one.
    select: &'static str,
    /// Replaces a sealed value that is still the one that was read.
    update: &'static str,
    identity: Identity,
}

/// What identifies a row, and stands in its sealed column as associated data.
#[derive(Clone, Copy)]
enum Identity {
    /// 16 bytes.
    Id,
    /// An agent's id, an instant, a number.
    Record,
    /// A number, from 1.
    Number,
}

macro_rules! by_id {
    ($name:literal, $id:literal, $sealed:literal) => {
        Table {
            name: $name,
            select: concat!(
                "SELECT ",
                $id,
                ", ",
                $sealed,
                " FROM ",
                $name,
                " WHERE ",
                $id,
                " > ?1 ORDER BY ",
                $id,
                " LIMIT ?2"
            ),
            update: concat!(
                "UPDATE ",
                $name,
                " SET ",
                $sealed,
                " = ?3 WHERE ",
                $id,
                " = ?1 AND ",
                $sealed,
                " = ?2"
            ),
            identity: Identity::Id,
        }
    };
}

macro_rules! by_record {
    ($name:literal, $sealed:literal) => {
        Table {
            name: $name,
            select: concat!(
                "SELECT agent_id, at, seq, ",
                $sealed,
                " FROM ",
                $name,
                " WHERE (agent_id, at, seq) > (?1, ?2, ?3) ORDER BY agent_id, at, seq LIMIT ?4"
            ),
            update: concat!(
                "UPDATE ",
                $name,
                " SET ",
                $sealed,
                " = ?5 WHERE agent_id = ?1 AND at = ?2 AND seq = ?3 AND ",
                $sealed,
                " = ?4"
            ),
            identity: Identity::Record,
        }
    };
}

const EPOCHS: Table = Table {
    name: "time_epochs",
    select: "SELECT epoch, secret FROM time_epochs WHERE epoch > ?1 ORDER BY epoch LIMIT ?2",
    update: "UPDATE time_epochs SET secret = ?3 WHERE epoch = ?1 AND secret = ?2",
    identity: Identity::Number,
};

/// Everything that a purpose's key seals.
const fn tables(purpose: Purpose) -> &'static [Table] {
    match purpose {
        Purpose::Bodies => &[
            by_id!("evidence_bodies", "entry_id", "sealed"),
            by_id!("time_calibration_files", "entry_id", "sealed"),
        ],
        Purpose::Records => &[
            by_record!("time_exchanges", "record"),
            by_record!("time_events", "detail"),
            EPOCHS,
            by_id!("time_report_parts", "part_id", "sealed"),
        ],
        Purpose::Personal => &[
            by_id!("accounts_customers", "customer_id", "contacts"),
            by_id!("accounts_people", "person_id", "sealed"),
            by_id!("accounts_codes", "code_id", "name"),
            by_id!("keys_tokens", "token_id", "sealed"),
            by_id!("passkeys", "passkey_id", "sealed"),
            by_id!("time_share_links", "share_id", "holder"),
            by_id!("deliveries_messages", "message_id", "sealed"),
            by_id!("deliveries_queue", "delivery_id", "target"),
            by_id!("deliveries_webhooks", "webhook_id", "sealed"),
            by_id!("requests_asked", "request_id", "sealed"),
        ],
        Purpose::Index | Purpose::Log | Purpose::Promise | Purpose::Roughtime => &[],
    }
}

/// Of what the index key hashed, the people.
const PEOPLE: u8 = 0;
/// Of what the index key hashed, the passkeys.
const PASSKEYS: u8 = 1;

/// How far a pass has come: which table, and its last row that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    table: u8,
    row: Vec<u8>,
}

/// A row's sealed value as it was read, and as it is to be.
struct Replaced {
    row: Vec<u8>,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// One step, ready to be written.
struct Step {
    key: u32,
    from: Option<Vec<u8>>,
    to: Option<Reached>,
    table: Option<&'static Table>,
    replaced: Vec<Replaced>,
    /// People who are found by hashes under the retired key.
    people: Vec<PersonRow>,
    /// Passkeys, as well.
    passkeys: Vec<PasskeyRow>,
    seen: u64,
}

impl Store {
    /// Seals anew at most `limit` of the values that a purpose's retired key sealed; deletes that key after the last.
    /// What it came to stands in [`KeyRow::resealed`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NotOurs`] for a value that does not open.
    pub async fn reseal(&self, purpose: Purpose, limit: u64) -> Result<Resealed, StoreError> {
        if purpose.signs() {
            return Ok(Resealed::Nothing);
        }
        let is_retired = move |key: &KeyRow| key.purpose == purpose && key.retired.is_some();
        let Some(key) = self
            .read(move |snapshot| Ok::<_, StoreError>(snapshot.site_keys()?.into_iter().find(is_retired)))
            .await?
        else {
            return Ok(Resealed::Nothing);
        };
        let step = self.read(move |snapshot| Step::prepare(snapshot, &key, limit)).await?;
        let (seen, is_last) = (step.seen, step.to.is_none());
        self.write(move |tx| step.write(tx)).await?;
        Ok(if is_last { Resealed::Done } else { Resealed::More(seen) })
    }
}

impl Step {
    /// Reads the next batch and seals it under the key that seals now; nothing is written yet.
    fn prepare(snapshot: &Snapshot<'_>, key: &KeyRow, limit: u64) -> Result<Self, StoreError> {
        // The new key can be one that no transaction of this store has begun with yet.
        snapshot.keys.learn(snapshot.sql)?;
        let reached = snapshot.sql.first(
            "SELECT reached FROM site_keys WHERE key_id = ?1",
            values![i64::from(key.id)],
            |row| optional::<Vec<u8>>(row, 0),
        )?;
        let from = reached.flatten();
        let at = from.as_deref().map_or(Ok(Reached { table: 0, row: Vec::new() }), Reached::decode)?;
        let tables = tables(key.purpose);
        let table = tables.get(usize::from(at.table));
        let mut step = Self {
            key: key.id,
            from,
            to: None,
            table,
            replaced: Vec::new(),
            people: Vec::new(),
            passkeys: Vec::new(),
            seen: 0,
        };
        let Some(table) = table else {
            step.find_hashed(snapshot, &at, limit)?;
            return Ok(step);
        };
        let (mut bytes, mut last) = (0, None);
        table.query(snapshot.sql, &at.row, limit, &mut |row, sealed| {
            if let Some(old) = sealed {
                bytes += old.len();
                step.replace(snapshot, (key.purpose, table.name), &row, old)?;
            }
            step.seen += 1;
            last = Some(row);
            Ok(if bytes < STEP { Next::More } else { Next::Enough })
        })?;
        let is_full = step.seen >= limit || bytes >= STEP;
        step.to = match last {
            Some(row) if is_full => Some(Reached { table: at.table, row }),
            _ if usize::from(at.table) + 1 < tables.len() => {
                Some(Reached { table: at.table + 1, row: Vec::new() })
            }
            _ => None,
        };
        Ok(step)
    }

    /// The index key seals nothing: what it hashed is hashed anew, people first and then passkeys.
    fn find_hashed(&mut self, snapshot: &Snapshot<'_>, at: &Reached, limit: u64) -> Result<(), StoreError> {
        let after = Id::read(&at.row)?.0;
        let (found, last) = if at.table == PEOPLE {
            self.people = snapshot.people_behind(PersonId::from_bytes(after), limit)?;
            (self.people.len(), self.people.last().map(|person| person.id.as_bytes().to_vec()))
        } else {
            self.passkeys = snapshot.passkeys_behind(PasskeyId::from_bytes(after), limit)?;
            (self.passkeys.len(), self.passkeys.last().map(|passkey| passkey.id.as_bytes().to_vec()))
        };
        self.seen = u64::try_from(found).unwrap_or(u64::MAX);
        self.to = match last {
            Some(row) if self.seen >= limit => Some(Reached { table: at.table, row }),
            _ if at.table == PEOPLE => Some(Reached { table: PASSKEYS, row: Vec::new() }),
            _ => None,
        };
        Ok(())
    }

    fn replace(
        &mut self,
        snapshot: &Snapshot<'_>,
        (purpose, table): (Purpose, &'static str),
        row: &[u8],
        old: Vec<u8>,
    ) -> Result<(), StoreError> {
        // An entry whose fields were compacted away has nothing sealed.
        if old.is_empty() || snapshot.keys.is_current(&old) {
            return Ok(());
        }
        let plain = snapshot.open_sealed(table, row, &old)?;
        let new = snapshot.seal(purpose, table, row, &plain)?;
        self.replaced.push(Replaced { row: row.to_vec(), old, new });
        Ok(())
    }

    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        for replaced in &self.replaced {
            if let Some(table) = self.table {
                table.update(tx.sql, replaced)?;
            }
        }
        for person in self.people.iter().filter(|person| person.known.is_some()) {
            tx.hash_person_anew(person)?;
        }
        for passkey in &self.passkeys {
            tx.hash_passkey_anew(passkey)?;
        }
        let from = self.from.clone().unwrap_or_default();
        let key = i64::from(self.key);
        // Whoever was faster has done the same; then nothing is left to be noted here.
        match &self.to {
            Some(to) => tx.sql.execute(
                "UPDATE site_keys SET reached = ?3, resealed = resealed + ?4
                 WHERE key_id = ?1 AND COALESCE(reached, ?2) = ?2",
                values![key, from, to.encode(), self.seen],
            )?,
            None => tx.sql.execute(
                "DELETE FROM site_keys WHERE key_id = ?1 AND COALESCE(reached, ?2) = ?2",
                values![key, from],
            )?,
        };
        Ok(())
    }
}

impl Table {
    fn query(
        &self,
        sql: &dyn Connection,
        after: &[u8],
        limit: u64,
        each: &mut dyn FnMut(Vec<u8>, Option<Vec<u8>>) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        match self.identity {
            Identity::Id => {
                let after = Id::read(after)?;
                sql.query(self.select, values![after.0, limit], &mut |row| {
                    each(column::<[u8; 16]>(row, 0)?.to_vec(), optional(row, 1)?)
                })
            }
            Identity::Record => {
                let Record { agent, at, seq } = Record::read(after)?;
                sql.query(self.select, values![agent, at, seq, limit], &mut |row| {
                    each(Record::of(row)?.encode(), optional(row, 3)?)
                })
            }
            Identity::Number => sql.query(self.select, values![number(after)?, limit], &mut |row| {
                each(column::<u64>(row, 0)?.to_be_bytes().to_vec(), optional(row, 1)?)
            }),
        }
    }

    fn update(&self, sql: &dyn Connection, replaced: &Replaced) -> Result<(), StoreError> {
        let Replaced { row, old, new } = replaced;
        match self.identity {
            Identity::Id => sql.execute(self.update, values![Id::read(row)?.0, old, new])?,
            Identity::Record => {
                let Record { agent, at, seq } = Record::read(row)?;
                sql.execute(self.update, values![agent, at, seq, old, new])?
            }
            Identity::Number => sql.execute(self.update, values![number(row)?, old, new])?,
        };
        Ok(())
    }
}

impl Reached {
    fn encode(&self) -> Vec<u8> {
        [&[self.table], self.row.as_slice()].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let (table, row) = bytes.split_first().ok_or_else(damaged)?;
        Ok(Self { table: *table, row: row.to_vec() })
    }
}

/// A row's id; no row has the id of zeros, from which a pass begins.
struct Id([u8; 16]);

impl Id {
    fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.is_empty() {
            return Ok(Self([0; 16]));
        }
        bytes.try_into().map(Self).map_err(|_| damaged())
    }
}

/// What identifies an agent's record.
struct Record {
    agent: AgentId,
    at: UnixTime,
    seq: u64,
}

impl Record {
    fn of(row: &dyn Row) -> Result<Self, StoreError> {
        Ok(Self { agent: column(row, 0)?, at: column(row, 1)?, seq: column(row, 2)? })
    }

    fn encode(&self) -> Vec<u8> {
        crate::time::place(self.agent, self.at, self.seq)
    }

    fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.is_empty() {
            return Ok(Self { agent: AgentId::from_bytes([0; 16]), at: UnixTime::MIN, seq: 0 });
        }
        let (agent, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (at, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let seq = rest.try_into().map_err(|_| damaged())?;
        Ok(Self {
            agent: AgentId::from_bytes(*agent),
            at: UnixTime::from_nanos(i64::from_be_bytes(*at)),
            seq: u64::from_be_bytes(seq),
        })
    }
}

/// A row's number; a pass begins behind 0.
fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

fn damaged() -> StoreError {
    StoreError::corrupt("how far a key's re-sealing has come cannot be read")
}
