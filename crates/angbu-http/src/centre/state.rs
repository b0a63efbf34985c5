//! The centre's own state, as pages and numbers show it, and the entries about its clock.

use std::collections::BTreeMap;

use angbu_evidence::{Body, Draft, Entry, Kind};
use angbu_store::{Snapshot, StoreError};
use angbu_time::centre_clock::{History, Reason, State, reference};
use angbu_time::packet::Leap;
use angbu_units::{CustomerId, EntryId, Reading, UnixTime};

use super::{Centre, rng};
use crate::types::centre::{CentreClock, HttpFace, LeapWord, Ntp, StoreFace, Upstream};
use crate::types::instant;

/// A centre's start, written down right after its first clock state.
pub const SITE_START: Kind = Kind::constant("site.start");
/// How many of the site's newest entries are searched for earlier clock states at the start: its hourly manifests alone are
/// 8,784 a year, and what agents did a year ago is still looked at.
const SEARCHED: u64 = 16_384;

impl Centre {
    /// The centre's state now.
    pub(crate) async fn now(&self) -> crate::types::centre::Centre {
        let site = &self.site;
        crate::types::centre::Centre {
            name: site.origin.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: instant(site.started),
            now: instant(self.clock.read().wall),
            clock: self.clock_now().await,
            log: self.head_now(),
            ntp: Ntp {
                address: Some(site.ntp_address.to_string()),
                answered: self.time_service.answered(),
                dropped: self
                    .time_service
                    .dropped()
                    .into_iter()
                    .map(|(reason, count)| (reason.to_owned(), count))
                    .collect(),
            },
            http: HttpFace { address: site.url.clone() },
            store: StoreFace { kind: self.store.kind().to_owned() },
            upstreams: self.upstreams(),
        }
    }

    /// What the time server protected since the start.
    pub(crate) fn protected(&self) -> super::Protected {
        self.time_service.protected()
    }

    /// What the Roughtime server counts, where there is one.
    pub(crate) fn roughtime(&self) -> Option<(u64, BTreeMap<&'static str, u64>)> {
        self.time_service.roughtime()
    }

    /// What the centre can say of its own clock now.
    pub(crate) async fn clock_now(&self) -> CentreClock {
        let in_force = self.own_clock.in_force();
        let state = self.own_clock.state(self.clock.read());
        let id = in_force.entry;
        // Shown for convenience: without the database the page goes without the entry's place.
        let entry = self.store.read(move |snapshot| snapshot.clock_state_index(id)).await.unwrap_or(None);
        let server = &state.server;
        CentreClock {
            verdict: state.verdict.into(),
            error_bound_ns: state.error_bound.count(),
            source: source(&state).to_owned(),
            reason: state.reason.code().to_owned(),
            since: instant(in_force.since),
            stratum: server.stratum,
            leap: match server.leap {
                Leap::None => LeapWord::None,
                Leap::Insert => LeapWord::Add,
                Leap::Delete => LeapWord::Delete,
                Leap::Unknown => LeapWord::Unsynchronised,
            },
            root_delay_ns: server.root_delay.count(),
            root_dispersion_ns: server.root_dispersion.count(),
            reference_id: reference(server.reference_id, server.stratum),
            entry,
        }
    }

    /// Writes down a new state of this centre's clock, and returns its entry. For threads that may block.
    ///
    /// # Errors
    /// Where the database does not take it.
    pub fn append_clock_state(&self, state: &State, now: Reading) -> Result<EntryId, StoreError> {
        let (draft, body) = clock_state_entry(state, self.site.centre, now)?;
        let id = draft.id;
        let row = super::clock_state_row(state, self.site.centre, id, now.wall);
        self.store.write_blocking(move |tx| {
            tx.append(&draft, &body)?;
            tx.insert_clock_state(&row)
        })?;
        Ok(id)
    }

    fn upstreams(&self) -> Vec<Upstream> {
        let show = |upstream: super::UpstreamState| Upstream {
            address: upstream.address,
            reachable: upstream.reachable,
            stratum: upstream.newest.map(|newest| newest.stratum),
            offset_ns: upstream.newest.map(|newest| newest.offset.count()),
            delay_ns: upstream.newest.map(|newest| newest.delay.count()),
            bound_ns: upstream.newest.map(|newest| newest.bound.count()),
            last_at: upstream.newest.map(|newest| instant(newest.at)),
        };
        self.time_service.upstreams().into_iter().map(show).collect()
    }
}

/// The `clock.state` entry that says `state`; it names itself as the clock state in force.
///
/// # Errors
/// [`StoreError::Unfit`] where the state's texts fit into no body.
pub fn clock_state_entry(
    state: &State,
    centre: angbu_units::CentreId,
    now: Reading,
) -> Result<(Draft, Body), StoreError> {
    let body = Body::new(&mut rng(), state.fields(centre))
        .map_err(|error| StoreError::Unfit { what: error.to_string() })?;
    let id = EntryId::new(now.wall, &mut rng());
    let instant = state.instant(now.wall, id);
    let draft =
        Draft { id, kind: Kind::CLOCK_STATE, instant, customer: CustomerId::SITE, body_root: body.root() };
    Ok((draft, body))
}

/// What the log says of this centre's clock before now, so that what agents saw before a restart is judged by what
/// held then. The last state before a restart ends with the last entry that was stamped under it.
///
/// # Errors
/// As every read.
pub fn clock_history(snapshot: &Snapshot<'_>) -> Result<History, StoreError> {
    let mut history = History::default();
    let Some(counter) = snapshot.counter(CustomerId::SITE)? else { return Ok(history) };
    let first = counter.count.saturating_sub(SEARCHED).max(1);
    let mut entries = Vec::new();
    for item in snapshot.entries_of(CustomerId::SITE, first, SEARCHED + 1)? {
        if let Ok(entry) = Entry::decode(&item.entry) {
            entries.push((item.index, entry));
        }
    }
    for (place, (index, state)) in entries.iter().enumerate() {
        if state.kind != Kind::CLOCK_STATE {
            continue;
        }
        let stamped = last_stamp(snapshot, *index)?.unwrap_or(state.time);
        // A run writes its first clock state down just before its start. Within a run the states meet, unless the clock
        // was set back: then the one before had reached the later instant.
        let starts_a_run = entries.get(place + 1).is_some_and(|(_, next)| next.kind == SITE_START);
        let ended = if starts_a_run { stamped } else { stamped.max(state.time) };
        history.push(state.id, state.verdict, state.time, ended);
    }
    Ok(history)
}

/// The instant of the entry before this index.
fn last_stamp(snapshot: &Snapshot<'_>, index: u64) -> Result<Option<UnixTime>, StoreError> {
    let Some(before) = index.checked_sub(1) else { return Ok(None) };
    let bytes = snapshot.entry(before)?;
    Ok(bytes.and_then(|bytes| Entry::decode(&bytes).ok()).map(|entry| entry.time))
}

fn source(state: &State) -> &'static str {
    match state.reason {
        Reason::Declared => "local",
        Reason::Measured => "upstream",
        Reason::Receiver | Reason::Holdover => "receiver",
        Reason::Believed => "daemon",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use angbu_evidence::note::Signer as _;
    use angbu_store::{Options, Sequencer, SigningKey, Store};
    use angbu_units::{CentreId, Clock, ClockVerdict, Monotonic, Nanos, ProvenInstant};

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn read(&self) -> Reading {
            Reading { wall: UnixTime::from_nanos(0), monotonic: Monotonic::from_nanos(0) }
        }
    }

    fn append(store: &Store, kind: Kind, verdict: ClockVerdict, at: i64, state: Option<EntryId>) -> EntryId {
        let time = UnixTime::from_nanos(at);
        let body = Body::new(&mut rng(), [("what", b"x".to_vec())]).unwrap();
        let id = EntryId::new(time, &mut rng());
        let instant =
            ProvenInstant { time, error_bound: Nanos::ZERO, verdict, clock_state: state.unwrap_or(id) };
        let draft = Draft { id, kind, instant, customer: CustomerId::SITE, body_root: body.root() };
        store.write_blocking(move |tx| tx.append(&draft, &body)).unwrap();
        id
    }

    #[tokio::test]
    async fn each_state_holds_from_its_entry_to_the_next_and_not_while_nothing_ran() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(folder.path()), Arc::new(Stopped)).unwrap();
        let signer = Arc::new(store.signer(SigningKey::Log, "test/log").unwrap());
        assert_eq!(signer.verifier_key().name(), "test/log");
        let _sequencer = Sequencer::start(&store, signer, CentreId::from_bytes([1; 16])).unwrap();
        let (proven, unproven) = (ClockVerdict::Proven, ClockVerdict::Unproven);
        let first = append(&store, Kind::CLOCK_STATE, proven, 100, None);
        append(&store, SITE_START, proven, 110, Some(first));
        append(&store, Kind::NOTE, proven, 150, Some(first));
        let second = append(&store, Kind::CLOCK_STATE, unproven, 200, None);
        append(&store, Kind::NOTE, unproven, 250, Some(second));
        let third = append(&store, Kind::CLOCK_STATE, proven, 300, None);
        append(&store, Kind::NOTE, proven, 350, Some(third));
        // Killed, and started again.
        let fourth = append(&store, Kind::CLOCK_STATE, proven, 500, None);
        append(&store, SITE_START, proven, 510, Some(fourth));
        assert!(store.settle(Duration::from_secs(30)).await.unwrap());
        let history = store.read(clock_history).await.unwrap();
        for (at, expected) in [
            (50, None),
            (120, Some((first, proven))),
            (190, Some((first, proven))),
            (220, Some((second, unproven))),
            (320, Some((third, proven))),
            (400, None),
            (520, Some((fourth, proven))),
        ] {
            assert_eq!(history.at(UnixTime::from_nanos(at)), expected, "at {at}");
        }
    }
}
