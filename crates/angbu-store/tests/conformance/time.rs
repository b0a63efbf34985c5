use angbu_store::time::{
    AcceptedUpload, AgentRow, EpochRow, EventRow, ExchangeRow, SegmentRow, SummaryRow, Taken, UploadRow,
};
use angbu_store::{Store, StoreError};
use angbu_units::{AgentId, EntryId, Nanos, NtpServerId, Ppb, UnixTime};

use crate::support::{Drafter, Place, TestClock, append, customer, head, sequencer, until};

pub(super) const AGENT: AgentId = AgentId::from_bytes([8; 16]);

pub(super) fn agent(store: &Store, clock: &TestClock) -> AgentRow {
    let row = AgentRow {
        id: AGENT,
        customer: customer(1),
        name: "db-3".to_owned(),
        public_key: [7; 32],
        enrolment: EntryId::from_bytes([6; 16]),
        enrolled: clock.now(),
        next_seq: 0,
        chain: [1; 32],
        last_seen: None,
        poll: None,
        closed_seq: 0,
        open_count: 0,
        open_since: None,
        version: 0,
    };
    let inserted = row.clone();
    store.write_blocking(move |tx| tx.insert_agent(&inserted)).unwrap();
    row
}

pub(super) fn exchange(seq: u64, at: UnixTime, offset_us: i64) -> ExchangeRow {
    ExchangeRow {
        agent: AGENT,
        at,
        seq,
        offset: Nanos::from_micros(offset_us),
        delay: Nanos::from_micros(100 + i64::try_from(seq).unwrap()),
        bound: Nanos::from_micros(200),
        rate: Ppb::new(-12),
        flags: 0b101,
        arrived: at,
        record: vec![1, 2, 3],
    }
}

pub(super) fn upload(expected_seq: u64, arrived: UnixTime, exchanges: Vec<ExchangeRow>) -> AcceptedUpload {
    let count = u64::try_from(exchanges.len()).unwrap();
    let poll = Some(Nanos::from_secs(2));
    AcceptedUpload {
        agent: AGENT,
        expected_seq,
        next_seq: expected_seq + count,
        arrived,
        poll,
        signed: signed(expected_seq, expected_seq + count, count, arrived),
        exchanges,
        events: vec![],
    }
}

fn signed(first_seq: u64, next_seq: u64, records: u64, arrived: UnixTime) -> UploadRow {
    let chain = [u8::try_from(next_seq).unwrap(); 32];
    UploadRow { agent: AGENT, first_seq, next_seq, records, arrived, chain, signed: vec![4, 2] }
}

pub(super) fn apply(store: &Store, upload: AcceptedUpload) -> Result<(), StoreError> {
    store.write_blocking(move |tx| tx.apply_upload(&upload))
}

pub(crate) fn uploads_take_effect_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let row = agent(&store, &clock);
    let same_name = AgentRow { id: AgentId::from_bytes([9; 16]), ..row.clone() };
    let taken = store.write_blocking(move |tx| tx.insert_agent(&same_name));
    assert_eq!(taken, Err(StoreError::Taken { what: "the agent's name" }));

    let now = clock.now();
    let event = EventRow {
        agent: AGENT,
        at: now,
        seq: 1,
        kind: "alarm".to_owned(),
        detail: vec![9],
        entry: EntryId::from_bytes([5; 16]),
    };
    let first = AcceptedUpload {
        next_seq: 2,
        signed: signed(0, 2, 2, now),
        events: vec![event.clone()],
        ..upload(0, now, vec![exchange(0, now, 5)])
    };
    apply(&store, first.clone()).unwrap();
    // The same again, as after a lost answer: it was judged with a number that no longer holds.
    assert_eq!(apply(&store, first), Err(StoreError::Conflict { what: "the agent" }));
    // An upload that fails half-way through leaves nothing, not even the agent's number.
    let twice = vec![exchange(2, now, 6), exchange(2, now, 6)];
    assert!(matches!(apply(&store, upload(2, now, twice)), Err(StoreError::Taken { .. })));

    let (found, by_name, latest, event_found, exchanges) = store
        .read_blocking(move |s| {
            let latest = s.latest_exchange(AGENT, UnixTime::MAX)?;
            let exchanges = s.exchanges(AGENT, UnixTime::MIN, UnixTime::MAX, 100)?;
            let events = s.events(AGENT, now, now + Nanos::new(1), 10)?;
            assert_eq!(s.latest_event(AGENT, UnixTime::MAX)?.as_ref(), events.last());
            Ok::<_, StoreError>((
                s.agent(AGENT)?,
                s.agent_named(customer(1), "db-3")?,
                latest,
                events,
                exchanges,
            ))
        })
        .unwrap();
    let expected = AgentRow {
        next_seq: 2,
        chain: [2; 32],
        last_seen: Some(now),
        poll: Some(Nanos::from_secs(2)),
        open_count: 2,
        open_since: Some(now),
        ..row
    };
    assert_eq!((found, by_name), (Some(expected.clone()), Some(expected.clone())));
    assert_eq!((event_found, exchanges), (vec![event], vec![exchange(0, now, 5)]));
    assert_eq!(latest, Some(exchange(0, now, 5)));
    assert_eq!(store.read_blocking(|s| s.agents_of(customer(1))).unwrap(), std::slice::from_ref(&expected));
    assert_eq!(store.read_blocking(|s| s.agents()).unwrap(), [expected]);
}

pub(crate) fn exchanges_are_read_as_graphs(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let from = clock.now();
    let at = move |n: i64| from + Nanos::from_secs(n);
    // 0, 1, ... 9 s, with nothing in the seconds 4 and 5.
    let seconds = [0, 1, 2, 3, 6, 7, 8, 9];
    let rows = seconds
        .iter()
        .zip(0..)
        .map(|(n, seq)| exchange(seq, at(*n), if n % 2 == 0 { *n } else { -n }))
        .collect();
    apply(&store, upload(0, from, rows)).unwrap();
    let graph = |points| store.read_blocking(move |s| s.graph(AGENT, from, at(10), points));
    let points = graph(5).unwrap();
    let seen: Vec<_> =
        points.iter().map(|p| (p.first_at, p.last_at, p.offset_min, p.offset_max, p.count)).collect();
    let point = |n: i64| (at(n), at(n + 1), Nanos::from_micros(-(n + 1)), Nanos::from_micros(n), 2);
    assert_eq!(seen, [point(0), point(2), point(6), point(8)], "and the empty step is left out");
    assert_eq!(points.last().unwrap().delay, Nanos::from_micros(107));
    assert_eq!(graph(1).unwrap().len(), 1);
    assert!(matches!(graph(1_000_000), Err(StoreError::TooMuch { .. })));
    let some = store.read_blocking(move |s| s.exchanges(AGENT, at(3), at(8), 2)).unwrap();
    assert_eq!(some.iter().map(|row| row.at).collect::<Vec<_>>(), [at(3), at(6)]);
}

pub(crate) fn segments_close_exchanges_in_order(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let now = clock.now();
    // The agent's clock was set back between its numbers 2 and 3.
    let at = |seq: u64| now + Nanos::from_secs(i64::try_from(seq).unwrap() - if seq > 2 { 100 } else { 0 });
    for seq in 0..6 {
        apply(
            &store,
            upload(seq, now + Nanos::from_secs(seq.cast_signed()), vec![exchange(seq, at(seq), 1)]),
        )
        .unwrap();
    }
    let due = |count, before| store.read_blocking(move |s| s.agents_due(count, before)).unwrap().len();
    assert_eq!((due(6, now), due(7, now), due(7, now + Nanos::new(1))), (1, 0, 1));
    let open = |before| store.read_blocking(move |s| s.open_exchanges(AGENT, before)).unwrap();
    let uploads = |limit| store.read_blocking(move |s| s.open_uploads(AGENT, limit)).unwrap();
    assert_eq!(
        uploads(2),
        [0, 1].map(|seq| signed(seq, seq + 1, 1, now + Nanos::from_secs(seq.cast_signed())))
    );
    assert_eq!(
        store.read_blocking(move |s| s.proofs(AGENT, UnixTime::MIN, UnixTime::MAX)).unwrap(),
        [(0, 6)]
    );
    assert_eq!(open(4).iter().map(|row| row.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);

    let segment = |first_seq: u64, last_seq: u64| SegmentRow {
        agent: AGENT,
        first_seq,
        last_seq,
        count: last_seq - first_seq + 1,
        first_at: (first_seq..=last_seq).map(at).min().unwrap(),
        last_at: (first_seq..=last_seq).map(at).max().unwrap(),
        entry: EntryId::from_bytes([u8::try_from(first_seq).unwrap(); 16]),
    };
    let close = |segment: SegmentRow| store.write_blocking(move |tx| tx.close_segment(&segment));
    let conflict = Err(StoreError::Conflict { what: "the run of open records" });
    assert_eq!(close(segment(1, 3)), conflict, "the first open exchange is not in it");
    assert_eq!(
        close(SegmentRow { count: 3, ..segment(0, 3) }),
        conflict,
        "it says that it holds fewer than it does"
    );
    assert_eq!(close(segment(0, 7)), conflict, "its last exchange has not come yet");
    assert_eq!(close(segment(0, 3)), Ok(()));
    assert_eq!(close(segment(0, 3)), conflict, "it is closed already");
    let row = store.read_blocking(|s| s.agent(AGENT)).unwrap().unwrap();
    assert_eq!((row.closed_seq, row.open_count, row.open_since), (4, 2, Some(now + Nanos::from_secs(4))));
    assert_eq!(uploads(9).len(), 2, "what is in a segment need not be kept");
    assert_eq!(close(segment(4, 5)), Ok(()));
    assert_eq!((open(10).len(), due(1, UnixTime::MAX)), (0, 0));
    let row = store.read_blocking(|s| s.agent(AGENT)).unwrap().unwrap();
    assert_eq!((row.closed_seq, row.open_count, row.open_since), (6, 0, None));
    let found = |from, to| store.read_blocking(move |s| s.segments(AGENT, from, to)).unwrap();
    assert_eq!(found(UnixTime::MIN, UnixTime::MAX), [segment(0, 3), segment(4, 5)]);
    assert_eq!(found(now, now + Nanos::new(1)), [segment(0, 3)]);
    // What holds no exchange is closed as well.
    let event = AcceptedUpload { next_seq: 7, signed: signed(6, 7, 1, now), ..upload(6, now, vec![]) };
    apply(&store, event).unwrap();
    assert_eq!(due(1, UnixTime::MAX), 1);
    assert_eq!(close(SegmentRow { count: 0, first_at: now, last_at: now, ..segment(6, 6) }), Ok(()));
    assert_eq!(due(1, UnixTime::MAX), 0);
}

pub(super) fn epoch(store: &Store, number: u8, made: UnixTime) -> Result<(), StoreError> {
    let row = EpochRow { epoch: number.into(), secret: [number; 32].into(), made };
    store.write_blocking(move |tx| tx.begin_epoch(&row))
}

pub(crate) fn an_epoch_begins_once(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    for number in 1..=5 {
        epoch(&store, number, clock.now()).unwrap();
        assert!(matches!(epoch(&store, number, clock.now()), Err(StoreError::Conflict { .. })));
    }
    let newest = store.read_blocking(|snapshot| snapshot.epochs(3)).unwrap();
    let read: Vec<_> = newest.iter().map(|row| (row.epoch, *row.secret)).collect();
    assert_eq!(read, [(5, [5; 32]), (4, [4; 32]), (3, [3; 32])]);
    let first = store.read_blocking(|snapshot| snapshot.epoch(1)).unwrap().unwrap();
    assert_eq!((*first.secret, first.made), ([1; 32], clock.now()));
    assert!(store.read_blocking(|snapshot| snapshot.epoch(9)).unwrap().is_none());
}

pub(crate) fn the_last_arrival_is_kept_until_records_are_lost(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let servers = [3, 4].map(|n| NtpServerId::from_bytes([n; 16]));
    let last = |server| store.write_blocking(move |tx| tx.last_arrival(AGENT, server)).unwrap();
    for after in 1..3 {
        let arrived = clock.now() + Nanos::from_secs(after);
        store.write_blocking(move |tx| tx.keep_last_arrival(AGENT, servers[0], arrived)).unwrap();
        assert_eq!(servers.map(last), [Some(arrived), None]);
    }
    store.write_blocking(|tx| tx.forget_last_arrivals(AGENT)).unwrap();
    assert_eq!(last(servers[0]), None);
}

pub(crate) fn an_identifier_is_taken_once_and_requests_arrive_in_order(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let server = NtpServerId::from_bytes([3; 16]);
    let take = |identifier: u8, after: i64| {
        let (received, now) = (clock.now() + Nanos::from_secs(after), clock.now());
        store.write_blocking(move |tx| tx.take_identifier(AGENT, server, &[identifier; 32], received, now))
    };
    assert_eq!(take(1, 10).unwrap(), Taken::Now);
    assert_eq!(take(1, 20).unwrap(), Taken::Before);
    assert_eq!(take(2, 10).unwrap(), Taken::OutOfOrder, "not later");
    assert_eq!(take(3, 9).unwrap(), Taken::OutOfOrder, "earlier");
    assert_eq!(take(3, 30).unwrap(), Taken::Before, "used up although it proved nothing");
    assert_eq!(take(4, 11).unwrap(), Taken::Now);
    let now = clock.now();
    assert_eq!(store.write_blocking(move |tx| tx.forget_identifiers(now)).unwrap(), 0);
    let later = now + Nanos::from_secs(1);
    assert_eq!(store.write_blocking(move |tx| tx.forget_identifiers(later)).unwrap(), 4);
}

pub(crate) fn exchanges_go_when_a_summary_stands_for_them(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let now = clock.now();
    let at = |seq: u64| now + Nanos::from_secs(i64::try_from(seq).unwrap());
    // A segment ends where an upload does.
    for first in [0, 2, 4] {
        let two = (first..first + 2).map(|seq| exchange(seq, at(seq), 0)).collect();
        apply(&store, upload(first, now, two)).unwrap();
    }
    let segment = |first_seq: u64, last_seq: u64, entry: u8| SegmentRow {
        agent: AGENT,
        first_seq,
        last_seq,
        count: last_seq - first_seq + 1,
        first_at: at(first_seq),
        last_at: at(last_seq),
        entry: EntryId::from_bytes([entry; 16]),
    };
    for (first, last) in [(0, 1), (2, 3)] {
        let row = segment(first, last, u8::try_from(first + 1).unwrap());
        store.write_blocking(move |tx| tx.close_segment(&row)).unwrap();
    }
    assert_eq!(store.read_blocking(|s| s.newest_closed(AGENT)).unwrap(), Some(at(3)));
    let first = |from| store.read_blocking(move |s| s.first_closed_exchange(AGENT, from)).unwrap();
    assert_eq!((first(UnixTime::MIN), first(at(3)), first(at(4))), (Some(at(0)), Some(at(3)), None));

    let summary = |from: u64, to: u64, entry: u8| SummaryRow {
        agent: AGENT,
        from: at(from),
        to: at(to),
        entry: EntryId::from_bytes([entry; 16]),
        exchanges: to - from,
        compacted: None,
        done: false,
    };
    let insert = |row: SummaryRow| store.write_blocking(move |tx| tx.insert_summary(&row));
    let conflict = Err(StoreError::Conflict { what: "the agent's summaries" });
    assert_eq!((insert(summary(0, 2, 7)), insert(summary(2, 4, 8))), (Ok(()), Ok(())));
    assert_eq!((insert(summary(2, 4, 9)), insert(summary(3, 5, 9))), (conflict.clone(), conflict));
    let found = |from, to| store.read_blocking(move |s| s.summaries(AGENT, from, to)).unwrap();
    assert_eq!(found(UnixTime::MIN, UnixTime::MAX), [summary(0, 2, 7), summary(2, 4, 8)]);
    assert_eq!(found(at(1), at(2)), [summary(0, 2, 7)]);
    assert_eq!(found(at(2), at(9)), [summary(2, 4, 8)]);
    assert_eq!(store.read_blocking(|s| s.latest_summary(AGENT)).unwrap(), Some(summary(2, 4, 8)));

    let due = |before| store.read_blocking(move |s| s.summaries_to_compact(before, 9)).unwrap();
    assert_eq!((due(at(2)).len(), due(at(4)).len(), due(at(9)).len()), (0, 1, 2));
    let by = EntryId::from_bytes([3; 16]);
    let (one, two) = (summary(0, 2, 7), summary(2, 4, 8));
    let begin = || {
        let one = one.clone();
        store.write_blocking(move |tx| tx.begin_compaction(&one, by))
    };
    assert_eq!((begin(), begin()), (Ok(()), Err(StoreError::Conflict { what: "the compaction" })));
    let drop = |before| store.write_blocking(move |tx| tx.drop_exchanges(AGENT, before)).unwrap();
    assert_eq!((drop(at(2)), drop(at(2))), (2, 0));
    // What is in no segment yet stays, however old it is.
    assert_eq!(drop(UnixTime::MAX), 2);
    let left = store.read_blocking(|s| s.exchanges(AGENT, UnixTime::MIN, UnixTime::MAX, 99)).unwrap();
    assert_eq!(left.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5]);
    let segments = |before| store.write_blocking(move |tx| tx.drop_segments(AGENT, before)).unwrap();
    assert_eq!((segments(at(1)), segments(at(2)), segments(at(2))), (0, 1, 0));
    store.write_blocking(|tx| tx.end_compaction(&summary_of_nothing())).unwrap();
    let ended = one.clone();
    store.write_blocking(move |tx| tx.end_compaction(&ended)).unwrap();
    assert_eq!(due(at(9)), [summary(2, 4, 8)]);
    let ended = |before| store.read_blocking(move |s| s.summaries_ended(AGENT, before, 9)).unwrap().len();
    assert_eq!((ended(at(2)), ended(at(3)), ended(at(5))), (0, 1, 2));
    store.write_blocking(move |tx| tx.drop_summary(&one)).unwrap();
    // One whose exchanges are still there stays.
    store.write_blocking(move |tx| tx.drop_summary(&two)).unwrap();
    assert_eq!(found(UnixTime::MIN, UnixTime::MAX), [summary(2, 4, 8)]);
}

fn summary_of_nothing() -> SummaryRow {
    SummaryRow {
        agent: AgentId::from_bytes([99; 16]),
        from: UnixTime::MIN,
        to: UnixTime::MAX,
        entry: EntryId::from_bytes([9; 16]),
        exchanges: 0,
        compacted: None,
        done: false,
    }
}

pub(crate) fn what_is_left_of_a_body_is_its_root(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let (running, _) = sequencer(&store);
    let mut drafter = Drafter::new(3, &clock);
    let state = drafter.clock_state();
    append(&store, state);
    let (draft, body) = drafter.note(customer(1));
    let (id, root) = (draft.id, body.root());
    append(&store, (draft, body.clone()));
    until("the entry is in the log", || head(&store).head.size == 2);
    store.write_blocking(move |tx| tx.drop_body(id)).unwrap();
    let left = store.read_blocking(move |s| s.body(id)).unwrap().unwrap();
    assert_eq!((left.root(), left.shown().count()), (root, 0));
    let erased = store.write_blocking(move |tx| tx.erase_fields(id, |_| true, id)).unwrap();
    assert!(erased.is_empty());
    // A key that is replaced finds nothing to seal anew there.
    drop(running);
}
