//! The time server's own secrets, one an epoch, which every centre of the site shares; and what proven exchanges used up.

use angbu_units::{AgentId, NtpServerId, UnixTime};
use zeroize::Zeroizing;

use crate::seal::Purpose;
use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx};

/// The table, as sealed values name it.
const EPOCHS: &str = "time_epochs";

/// A secret of the time server. It has no `Debug`; wiped when dropped.
#[derive(Clone)]
pub struct EpochRow {
    /// Its number, from 1.
    pub epoch: u32,
    /// What every key of the epoch is made from.
    pub secret: Zeroizing<[u8; 32]>,
    /// When it was made.
    pub made: UnixTime,
}

/// What came of taking an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is taken now, for the first time.
    Now,
    /// It was taken before.
    Before,
    /// It is taken now, but the request reached the server no later than the agent's before.
    OutOfOrder,
}

impl Snapshot<'_> {
    /// The newest epochs, the newest first.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn epochs(&self, count: u64) -> Result<Vec<EpochRow>, StoreError> {
        let rows = self.sql.all(
            "SELECT epoch, secret, made FROM time_epochs ORDER BY epoch DESC LIMIT ?1",
            values![count],
            sealed,
        )?;
        rows.into_iter().map(|row| self.open_epoch(row)).collect()
    }

    /// One epoch.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn epoch(&self, epoch: u32) -> Result<Option<EpochRow>, StoreError> {
        let row = self.sql.first(
            "SELECT epoch, secret, made FROM time_epochs WHERE epoch = ?1",
            values![u64::from(epoch)],
            sealed,
        )?;
        row.map(|row| self.open_epoch(row)).transpose()
    }

    fn open_epoch(&self, (number, sealed, made): (u64, Vec<u8>, UnixTime)) -> Result<EpochRow, StoreError> {
        let damaged = || StoreError::corrupt("the secret of an epoch of the time server cannot be read");
        let epoch = u32::try_from(number).map_err(|_| damaged())?;
        let plain = self.open_sealed(EPOCHS, &number.to_be_bytes(), &sealed)?;
        let mut secret = Zeroizing::new([0; 32]);
        let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| damaged())?;
        secret.copy_from_slice(bytes);
        Ok(EpochRow { epoch, secret, made })
    }
}

impl Tx<'_> {
    /// Begins an epoch.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where another centre has begun it already: read them again.
    pub fn begin_epoch(&mut self, epoch: &EpochRow) -> Result<(), StoreError> {
        let number = u64::from(epoch.epoch);
        let secret = self.seal(Purpose::Records, EPOCHS, &number.to_be_bytes(), epoch.secret.as_slice())?;
        self.sql.execute_one(
            "INSERT INTO time_epochs (epoch, secret, made) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            values![number, secret, epoch.made],
            StoreError::Conflict { what: "the epoch" },
        )
    }

    /// Takes the identifier of an exchange, so that it proves no other one, and notes when the request reached the server.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn take_identifier(
        &mut self,
        agent: AgentId,
        server: NtpServerId,
        identifier: &[u8; 32],
        received: UnixTime,
        now: UnixTime,
    ) -> Result<Taken, StoreError> {
        let taken = self.sql.execute(
            "INSERT INTO time_identifiers (identifier, taken) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            values![identifier, now],
        )?;
        if taken == 0 {
            return Ok(Taken::Before);
        }
        let noted = self.sql.execute(
            "INSERT INTO time_proven (agent_id, server_id, received) VALUES (?1, ?2, ?3)
             ON CONFLICT (agent_id, server_id) DO UPDATE SET received = excluded.received
             WHERE time_proven.received < excluded.received",
            values![agent, server, received],
        )?;
        Ok(if noted == 0 { Taken::OutOfOrder } else { Taken::Now })
    }

    /// What an agent's clock showed when the reply of its last exchange with a server arrived (T4), if that is known.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn last_arrival(
        &mut self,
        agent: AgentId,
        server: NtpServerId,
    ) -> Result<Option<UnixTime>, StoreError> {
        self.sql.first(
            "SELECT arrived FROM time_arrivals WHERE agent_id = ?1 AND server_id = ?2",
            values![agent, server],
            |row| column(row, 0),
        )
    }

    /// Keeps that for the next upload.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn keep_last_arrival(
        &mut self,
        agent: AgentId,
        server: NtpServerId,
        arrived: UnixTime,
    ) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO time_arrivals (agent_id, server_id, arrived) VALUES (?1, ?2, ?3)
             ON CONFLICT (agent_id, server_id) DO UPDATE SET arrived = excluded.arrived",
            values![agent, server, arrived],
        )?;
        Ok(())
    }

    /// Forgets it, where records of an agent are lost between.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_last_arrivals(&mut self, agent: AgentId) -> Result<(), StoreError> {
        self.sql.execute("DELETE FROM time_arrivals WHERE agent_id = ?1", values![agent])?;
        Ok(())
    }

    /// Forgets the identifiers that were taken before an instant, and says how many.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn forget_identifiers(&mut self, before: UnixTime) -> Result<u64, StoreError> {
        self.sql.execute("DELETE FROM time_identifiers WHERE taken < ?1", values![before])
    }
}

fn sealed(row: &dyn Row) -> Result<(u64, Vec<u8>, UnixTime), StoreError> {
    Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?))
}
