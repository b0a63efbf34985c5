//! The newest cosignature of each witness: of the agents, and of those that are configured.

use angbu_units::UnixTime;

use crate::sql::{Row, column, optional, values};
use crate::{Snapshot, StoreError, Tx};

/// The most witnesses that one question is answered with.
pub const WITNESSES_AT_ONCE: u64 = 10_000;

/// Who cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WitnessKind {
    /// An agent, which the centre itself enrolled.
    Agent,
    /// A witness of the centre's configuration.
    Configured,
}

impl WitnessKind {
    /// As it stands in the database and in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Configured => "configured",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Agent, Self::Configured].into_iter().find(|kind| kind.word() == word)
    }
}

/// A witness and what it cosigned last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignatureRow {
    /// Its key's name.
    pub name: String,
    /// Its key's id.
    pub key_id: [u8; 4],
    /// Its verifier key.
    pub vkey: String,
    /// Who it is.
    pub kind: WitnessKind,
    /// The size of the checkpoint that it cosigned; 0 before the first.
    pub size: u64,
    /// The signature line; empty before the first.
    pub line: String,
    /// When.
    pub cosigned_at: Option<UnixTime>,
    /// Why the newest try failed, if it did.
    pub trouble: Option<String>,
}

impl Snapshot<'_> {
    /// The witnesses and what each cosigned last, by name; at most [`WITNESSES_AT_ONCE`].
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn cosignatures(&self) -> Result<Vec<CosignatureRow>, StoreError> {
        self.sql.all(
            "SELECT name, key_id, vkey, kind, size, line, cosigned_at, trouble FROM evidence_cosignatures
             ORDER BY kind DESC, name, key_id LIMIT ?1",
            values![WITNESSES_AT_ONCE],
            row,
        )
    }
}

impl Tx<'_> {
    /// Keeps a witness's newest cosignature; an older one of the same witness changes nothing.
    ///
    /// # Errors
    /// As every write.
    pub fn keep_cosignature(&mut self, row: &CosignatureRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO evidence_cosignatures (name, key_id, vkey, kind, size, line, cosigned_at, trouble)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (name, key_id) DO UPDATE SET vkey = excluded.vkey, kind = excluded.kind,
                 size = excluded.size, line = excluded.line, cosigned_at = excluded.cosigned_at,
                 trouble = excluded.trouble
             WHERE evidence_cosignatures.size <= excluded.size",
            values![
                row.name,
                row.key_id.as_slice(),
                row.vkey,
                row.kind.word(),
                row.size,
                row.line,
                row.cosigned_at,
                row.trouble
            ],
        )?;
        Ok(())
    }

    /// Notes why a witness's newest try failed, and keeps what it cosigned before.
    ///
    /// # Errors
    /// As every write.
    pub fn note_witness_trouble(&mut self, row: &CosignatureRow) -> Result<(), StoreError> {
        self.sql.execute(
            "INSERT INTO evidence_cosignatures (name, key_id, vkey, kind, size, line, cosigned_at, trouble)
             VALUES (?1, ?2, ?3, ?4, 0, '', NULL, ?5)
             ON CONFLICT (name, key_id) DO UPDATE SET trouble = excluded.trouble",
            values![row.name, row.key_id.as_slice(), row.vkey, row.kind.word(), row.trouble],
        )?;
        Ok(())
    }
}

fn row(row: &dyn Row) -> Result<CosignatureRow, StoreError> {
    let corrupt = || StoreError::corrupt("a witness's cosignature");
    let (key_id, kind): (Vec<u8>, String) = (column(row, 1)?, column(row, 3)?);
    Ok(CosignatureRow {
        name: column(row, 0)?,
        key_id: key_id.try_into().map_err(|_| corrupt())?,
        vkey: column(row, 2)?,
        kind: WitnessKind::from_word(&kind).ok_or_else(corrupt)?,
        size: column(row, 4)?,
        line: column(row, 5)?,
        cosigned_at: optional(row, 6)?,
        trouble: optional(row, 7)?,
    })
}
