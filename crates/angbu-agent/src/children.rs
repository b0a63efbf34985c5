//! Serves time to the machines of the agent's site, which know nothing of a centre: plain NTP, one stratum below the server
//! that the agent asks, and honest about how well this machine's clock is known.

use std::num::NonZeroUsize;
use std::sync::Arc;

use angbu_time::children::{OwnClock, state};
use angbu_time::server::{ServerState, Unsynchronised};
use angbu_units::{Clock as _, Nanos};

use crate::clock::SystemClock;
use crate::config::{ChildrenConfig, Config};
use crate::event::Event;
use crate::ntp::precision::precision;
use crate::ntp::server::{Listen, Published, Server, StartError};
use crate::run::Shared;

/// How often it is looked whether the clock is still in sync.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// A server that has begun to say that it knows no time yet.
pub(crate) struct Children {
    server: Server,
    published: Arc<Published>,
    poll: Nanos,
    reference_id: [u8; 4],
    precision: i8,
}

impl Children {
    /// Opens the sockets. `centre` is the upstream's id, whose first bytes name it in replies.
    pub(crate) fn start(
        config: &Config,
        children: &ChildrenConfig,
        centre: [u8; 16],
    ) -> Result<Self, StartError> {
        let precision = precision(&SystemClock);
        let now = SystemClock.read().wall;
        let unknown = ServerState::unsynchronised(Unsynchronised::Initial, precision, now);
        let published = Arc::new(Published::new(unknown));
        let listen = Listen { addresses: children.listen.clone(), threads: NonZeroUsize::MIN };
        let server = Server::start_guarded(
            &listen,
            Arc::clone(&published),
            Arc::default(),
            children.policy(),
            Arc::new(SystemClock),
        )?;
        let [a, b, c, d, ..] = centre;
        Ok(Self { server, published, poll: config.poll_interval, reference_id: [a, b, c, d], precision })
    }

    /// Keeps what replies say true, until the run stops.
    pub(crate) fn serve(self, shared: &Shared) {
        let addresses = self.server.addresses().iter().map(ToString::to_string).collect();
        (shared.events)(&Event::Serving { addresses });
        let mut was_known = false;
        while !shared.stop.wait_for(LOOK) {
            let core = shared.core();
            // One reading for both: they belong to one instant.
            let now = shared.clock.read();
            let clock = OwnClock {
                status: core.agent.status(),
                reference: core.agent.centre_time(now),
                poll: self.poll,
                reference_id: self.reference_id,
                precision: self.precision,
            };
            drop(core);
            let state = state(&clock, now);
            let is_known = state.is_synchronised();
            self.published.set(state);
            if is_known != was_known {
                was_known = is_known;
                (shared.events)(&Event::Children { served: is_known });
            }
        }
    }
}
