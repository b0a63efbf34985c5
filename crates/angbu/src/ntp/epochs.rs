//! The epochs of the time server's own keys: begun in time, shared by the centres of one site, published to the threads
//! that answer.
//!
//! A new epoch lies in the database for a while before anybody makes cookies in it, so that every centre opens them by
//! the time that the first one is sent. How long that is each centre measures on its own monotonic clock: no two
//! machines' clocks are compared.

use std::sync::Arc;
use std::time::Duration;

use angbu_agent::ntp::server::{Epochs, PublishedEpochs};
use angbu_store::time::EpochRow;
use angbu_store::{Store, StoreError};
use angbu_time::nts::cookie::{EpochSecret, OPEN};
use angbu_units::{Clock, Monotonic, Nanos, NtpServerId, UnixTime};
use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::watch;

/// For how long at least a new epoch is known to a centre before it makes cookies in it.
const SETTLED: Nanos = Nanos::from_secs(60);

/// The epochs as one centre keeps them.
pub(crate) struct EpochKeeper {
    store: Store,
    clock: Arc<dyn Clock>,
    published: Arc<PublishedEpochs>,
    server: NtpServerId,
    rotate: Nanos,
    /// The newest epoch, and since when it is known here.
    newest: Option<(u32, Monotonic)>,
    /// What is published: the newest and the current one.
    told: Option<(u32, u32)>,
}

impl EpochKeeper {
    /// Reads the epochs, begins the first where there is none, and publishes them.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub(crate) async fn start(
        store: Store,
        clock: Arc<dyn Clock>,
        published: Arc<PublishedEpochs>,
        server: NtpServerId,
        rotate: Nanos,
    ) -> Result<Self, StoreError> {
        let mut keeper = Self { store, clock, published, server, rotate, newest: None, told: None };
        keeper.keep_up().await?;
        Ok(keeper)
    }

    /// Keeps them until `stop` turns true. Without the database the time server goes on with what it has.
    pub(crate) async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        let period = Duration::from_nanos((self.settled().count() / 4).unsigned_abs());
        loop {
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
            if let Err(error) = self.keep_up().await {
                tracing::warn!(%error, "the time server's epochs cannot be read; it goes on with those it has");
            }
        }
    }

    async fn keep_up(&mut self) -> Result<(), StoreError> {
        let now = self.clock.read();
        let mut rows = self.read().await?;
        let next = match rows.first() {
            None => Some(1),
            // A clock that was far ahead when it made the newest must not hold up the next for ever.
            Some(newest) if (now.wall - newest.made).abs() >= self.rotate => newest.epoch.checked_add(1),
            Some(_) => None,
        };
        if let Some(next) = next {
            match begin(&self.store, next, now.wall).await {
                // Another centre was quicker.
                Ok(()) | Err(StoreError::Conflict { .. }) => rows = self.read().await?,
                Err(error) => return Err(error),
            }
        }
        self.publish(&rows, now.monotonic);
        Ok(())
    }

    async fn read(&self) -> Result<Vec<EpochRow>, StoreError> {
        self.store.read(|snapshot| snapshot.epochs(u64::from(OPEN) + 1)).await
    }

    fn publish(&mut self, rows: &[EpochRow], now: Monotonic) {
        let Some(newest) = rows.first().map(|row| row.epoch) else { return };
        let since = match self.newest {
            Some((epoch, since)) if epoch == newest => since,
            _ => now,
        };
        self.newest = Some((newest, since));
        let before = rows.get(1).map(|row| row.epoch).filter(|_| now - since < self.settled());
        let current = before.unwrap_or(newest);
        if self.told.replace((newest, current)) == Some((newest, current)) {
            return;
        }
        let open = rows.iter().map(|row| EpochSecret::new(row.epoch, *row.secret)).collect();
        self.published.set(Epochs { server: self.server, open, current });
    }

    fn settled(&self) -> Nanos {
        SETTLED.min(Nanos::new(self.rotate.count() / 4))
    }
}

async fn begin(store: &Store, epoch: u32, now: UnixTime) -> Result<(), StoreError> {
    let secret = EpochSecret::random(epoch, &mut UnwrapErr(SysRng));
    let row = EpochRow { epoch, secret: (*secret.reveal()).into(), made: now };
    store.write(move |tx| tx.begin_epoch(&row)).await
}
