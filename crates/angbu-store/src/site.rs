//! The site, its centres and how often each was started.

use angbu_units::{CentreId, UnixTime};
use rand_core::CryptoRng;

use crate::sql::{Row, column, values};
use crate::{Snapshot, StoreError, Tx};

/// The site: made once, at the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRow {
    /// Its random id.
    pub id: [u8; 16],
    /// The log's origin, the first line of every checkpoint. It never changes.
    pub origin: String,
    /// When the site was made.
    pub created: UnixTime,
}

/// A centre of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentreRow {
    /// Its random id.
    pub id: CentreId,
    /// Its name, unique in the site.
    pub name: String,
    /// When it was first started.
    pub created: UnixTime,
    /// How often it was started, this time included.
    pub starts: u64,
}

impl Snapshot<'_> {
    /// The site, or `None` before the first start.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn site(&self) -> Result<Option<SiteRow>, StoreError> {
        self.sql.first("SELECT site_id, origin, created FROM site_meta WHERE one = 1", values![], |row| {
            Ok(SiteRow { id: column(row, 0)?, origin: column(row, 1)?, created: column(row, 2)? })
        })
    }

    /// All centres, by name.
    ///
    /// # Errors
    /// As every read: [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub fn centres(&self) -> Result<Vec<CentreRow>, StoreError> {
        self.sql.all(
            "SELECT centre_id, name, created, starts FROM site_centres ORDER BY name",
            values![],
            centre,
        )
    }
}

impl Tx<'_> {
    /// The site; made now, with this origin, if there is none yet.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn found_site(
        &mut self,
        origin: &str,
        now: UnixTime,
        rng: &mut dyn CryptoRng,
    ) -> Result<SiteRow, StoreError> {
        if let Some(site) = self.site()? {
            return Ok(site);
        }
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        self.sql.execute(
            "INSERT INTO site_meta (one, site_id, origin, created) VALUES (1, ?1, ?2, ?3)",
            values![id, origin, now],
        )?;
        Ok(SiteRow { id, origin: origin.to_owned(), created: now })
    }

    /// Counts one more start of the centre with this name, which is made now if there is none yet.
    ///
    /// # Errors
    /// As every write: [`StoreError::Unavailable`].
    pub fn start_centre(
        &mut self,
        name: &str,
        now: UnixTime,
        rng: &mut dyn CryptoRng,
    ) -> Result<CentreRow, StoreError> {
        let started = self.sql.first(
            "UPDATE site_centres SET starts = starts + 1 WHERE name = ?1
             RETURNING centre_id, name, created, starts",
            values![name],
            centre,
        )?;
        if let Some(started) = started {
            return Ok(started);
        }
        let id = CentreId::random(rng);
        self.sql.execute(
            "INSERT INTO site_centres (centre_id, name, created, starts) VALUES (?1, ?2, ?3, 1)",
            values![id, name, now],
        )?;
        Ok(CentreRow { id, name: name.to_owned(), created: now, starts: 1 })
    }
}

fn centre(row: &dyn Row) -> Result<CentreRow, StoreError> {
    Ok(CentreRow {
        id: column(row, 0)?,
        name: column(row, 1)?,
        created: column(row, 2)?,
        starts: column(row, 3)?,
    })
}
