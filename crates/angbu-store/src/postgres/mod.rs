//! PostgreSQL: how a database is reached, migrated and asked.

mod migrations;
mod rows;
mod session;
mod url;

use std::path::Path;
use std::sync::Arc;

use angbu_units::UnixTime;
use tokio::runtime::Runtime;

use crate::StoreError;
use crate::database;
use crate::store::unusable;
use session::{Live, Role, Session};

pub use url::{PostgresUrl, UrlError};

/// A database behind an address.
pub(crate) struct Database {
    place: Arc<Place>,
}

/// Where it is, and what the way there is encrypted with.
struct Place {
    url: PostgresUrl,
    tls: Option<rustls::ClientConfig>,
}

impl Database {
    /// Finds the database and brings its tables up to date.
    pub(crate) fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let place = Arc::new(Place { tls: url.tls()?, url: url.clone() });
        runtime()?.block_on(async {
            let live = Live::connect(&place).await?;
            migrations::migrate(&live.client).await
        })?;
        Ok(Self { place })
    }
}

impl database::Database for Database {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn writer(&self) -> Result<Box<dyn database::Session>, StoreError> {
        let session = Session::new(Arc::clone(&self.place), Role::Writer)?;
        session.connect()?;
        Ok(Box::new(session))
    }

    fn reader(&self) -> Result<Box<dyn database::Session>, StoreError> {
        // It connects when it is first asked.
        Ok(Box::new(Session::new(Arc::clone(&self.place), Role::Reader)?))
    }

    fn maintain(&self, now: UnixTime) -> Result<(), StoreError> {
        runtime()?.block_on(async {
            let live = Live::connect(&self.place).await?;
            migrations::make_months(&live.client, now).await
        })
    }
}

fn runtime() -> Result<Runtime, StoreError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unusable(Path::new("a connection"), &error))
}
