use angbu_store::deliveries::{Channel, DeliveryRow, DeliveryState, MessageRow, QueueCounts, WebhookRow};
use angbu_store::time::{IncidentRow, Shown, Told, UnjudgedRow};
use angbu_store::{Store, StoreError};
use angbu_units::{
    AgentId, CustomerId, DeliveryId, EntryId, IncidentId, MessageId, Nanos, UnixTime, WebhookId,
};

use super::time::{AGENT, agent};
use crate::support::{Place, TestClock, customer};

fn incident(n: u8, kind: &str, opened: UnixTime) -> IncidentRow {
    IncidentRow {
        id: IncidentId::from_bytes([n; 16]),
        customer: customer(1),
        agent: Some(AGENT),
        kind: kind.to_owned(),
        opened,
        last: opened,
        gone_since: None,
        closed: None,
        returns: 0,
        told: Told::Nothing,
        told_site: Told::Nothing,
        opened_entry: EntryId::from_bytes([n; 16]),
        closed_entry: None,
        version: 1,
    }
}

fn insert(store: &Store, row: &IncidentRow) -> Result<(), StoreError> {
    let row = row.clone();
    store.write_blocking(move |tx| tx.insert_incident(&row))
}

fn update(store: &Store, row: &IncidentRow) -> Result<(), StoreError> {
    let row = row.clone();
    store.write_blocking(move |tx| tx.update_incident(&row))
}

pub(crate) fn one_incident_of_a_kind_is_open_at_a_time(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let now = clock.now();
    let later = move |seconds| now + Nanos::from_secs(seconds);
    let first = incident(1, "silent", now);
    insert(&store, &first).unwrap();
    assert!(matches!(insert(&store, &incident(2, "silent", now)), Err(StoreError::Taken { .. })));
    let other = IncidentRow { agent: None, customer: CustomerId::SITE, ..incident(3, "centre", later(1)) };
    insert(&store, &other).unwrap();

    let closed = IncidentRow {
        last: later(5),
        gone_since: Some(later(6)),
        closed: Some(later(6)),
        told: Told::End,
        closed_entry: Some(EntryId::from_bytes([9; 16])),
        ..first.clone()
    };
    update(&store, &closed).unwrap();
    assert_eq!(update(&store, &closed), Err(StoreError::Conflict { what: "the incident" }));
    // It has ended, but the operators do not know it yet.
    let kept = IncidentRow { version: 2, ..closed };
    let unsettled = || store.read_blocking(|s| s.unsettled_incidents()).unwrap();
    assert_eq!(unsettled(), [kept.clone(), other.clone()]);
    update(&store, &IncidentRow { told_site: Told::End, ..kept.clone() }).unwrap();
    assert_eq!(unsettled(), std::slice::from_ref(&other));
    let kept = IncidentRow { told_site: Told::End, version: 3, ..kept };
    let second = incident(2, "silent", later(10));
    insert(&store, &second).unwrap();

    let read = move |customer, agent| {
        store.read_blocking(move |s| s.incidents(customer, agent, UnixTime::MAX, 10)).unwrap()
    };
    assert_eq!(read(None, None), [second.clone(), other.clone(), kept.clone()]);
    assert_eq!(read(Some(customer(1)), None), [second.clone(), other.clone(), kept.clone()]);
    assert_eq!(read(Some(customer(2)), None), [other]);
    assert_eq!(read(Some(customer(1)), Some(AGENT)), [second, kept.clone()]);
    drop(read);
    let store = place.open(clock).unwrap();
    let before = store.read_blocking(|s| s.incident_before(Some(AGENT), "silent")).unwrap();
    assert_eq!(before, Some(kept));
    assert_eq!(store.read_blocking(|s| s.incident_before(None, "centre")).unwrap(), None);
}

pub(crate) fn agents_in_question_are_found_by_what_they_show(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    agent(&store, &clock);
    let now = clock.now();
    let later = move |seconds| now + Nanos::from_secs(seconds);
    let show = |shown, at| store.write_blocking(move |tx| tx.show_agent(AGENT, shown, at)).unwrap();
    let in_question = |before| store.read_blocking(move |s| s.agents_in_question(before)).unwrap();
    // Never heard of is not silent.
    assert!(in_question(UnixTime::MAX).is_empty());
    show(Shown::Outside, now);
    show(Shown::Outside, later(5));
    let [found] = in_question(UnixTime::MIN).try_into().unwrap();
    assert_eq!((found.agent, found.shown, found.shown_since), (AGENT, Shown::Outside, Some(now)));
    show(Shown::Within, later(7));
    assert!(in_question(UnixTime::MIN).is_empty());
    super::time::apply(&store, super::time::upload(0, now, vec![super::time::exchange(0, now, 5)])).unwrap();
    assert!(in_question(now).is_empty());
    assert_eq!(in_question(later(1)).len(), 1);
    let standing = store.read_blocking(|s| s.agent_standing(AGENT)).unwrap().unwrap();
    assert_eq!((standing.last_seen, standing.shown_since), (Some(now), Some(later(7))));
    assert_eq!(store.read_blocking(|s| s.agent_standing(AgentId::from_bytes([1; 16]))).unwrap(), None);

    let note = |at| store.write_blocking(move |tx| tx.note_alarm(AGENT, "step", at)).unwrap();
    note(now);
    let judged = UnjudgedRow { agent: AGENT, kind: "step".to_owned(), since: now, last: now };
    assert_eq!(store.read_blocking(|s| s.unjudged_alarms()).unwrap(), std::slice::from_ref(&judged));
    // One more comes in while the first is judged.
    note(later(3));
    store.write_blocking(move |tx| tx.forget_alarms(&judged)).unwrap();
    let [left] = store.read_blocking(|s| s.unjudged_alarms()).unwrap().try_into().unwrap();
    assert_eq!((left.since, left.last), (now, later(3)));
    store.write_blocking(move |tx| tx.forget_alarms(&left)).unwrap();
    assert!(store.read_blocking(|s| s.unjudged_alarms()).unwrap().is_empty());

    store.write_blocking(move |tx| tx.note_told(customer(1), now)).unwrap();
    store.write_blocking(move |tx| tx.note_told(customer(1), later(1))).unwrap();
    let told = |id| store.read_blocking(move |s| s.told_at(id)).unwrap();
    assert_eq!((told(customer(1)), told(CustomerId::SITE)), (Some(later(1)), None));
}

fn delivery(n: u8, made: UnixTime) -> DeliveryRow {
    DeliveryRow {
        id: DeliveryId::from_bytes([n; 16]),
        message: MessageId::from_bytes([1; 16]),
        customer: customer(1),
        channel: Channel::Mail,
        target: format!("ops{n}@example.org"),
        made,
        due: made,
        attempts: 0,
        state: DeliveryState::Waiting,
        ended: None,
        why: String::new(),
    }
}

pub(crate) fn deliveries_wait_until_they_have_ended(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let later = move |seconds| now + Nanos::from_secs(seconds);
    let message = MessageRow {
        id: MessageId::from_bytes([1; 16]),
        customer: customer(1),
        topic: "news".to_owned(),
        made: now,
        parts: vec!["제목".to_owned(), String::new(), "<p>x".to_owned()],
    };
    let (written, rows) = (message.clone(), [delivery(1, now), delivery(2, later(1)), delivery(3, later(2))]);
    let put = rows.clone();
    store
        .write_blocking(move |tx| {
            tx.insert_message(&written)?;
            put.iter().try_for_each(|row| tx.insert_delivery(row))
        })
        .unwrap();
    let read = store.read_blocking(move |s| s.message(message.id)).unwrap();
    assert_eq!(read, Some(message));
    let due = |at, limit| store.read_blocking(move |s| s.due_deliveries(at, limit)).unwrap();
    assert_eq!(due(later(1), 10), rows[..2]);
    assert_eq!(due(later(9), 1), rows[..1]);

    let first = rows[0].clone();
    let claim = |row: DeliveryRow| store.write_blocking(move |tx| tx.claim_delivery(&row, later(60)));
    claim(first.clone()).unwrap();
    assert_eq!(claim(first), Err(StoreError::Conflict { what: "the delivery" }));
    assert_eq!(due(later(9), 10), rows[1..]);
    // Whoever claimed it died: it is due again.
    assert_eq!(due(later(60), 10).len(), 3);
    let (one, two, three) = (rows[0].id, rows[1].id, rows[2].id);
    let why = format!("no\r\n{}", "x".repeat(1_000));
    store
        .write_blocking(move |tx| {
            tx.end_delivery(one, DeliveryState::Delivered, later(3), "")?;
            tx.put_off_delivery(two, later(100), "greylisted")?;
            tx.end_delivery(three, DeliveryState::GivenUp, later(4), &why)
        })
        .unwrap();
    assert!(due(later(99), 10).is_empty());
    let hurry = |at| store.write_blocking(move |tx| tx.hurry_deliveries(at)).unwrap();
    assert_eq!((hurry(later(50)), hurry(later(50))), (1, 0));
    let [second] = due(later(50), 10).try_into().unwrap();
    claim(second).unwrap();
    // Somebody is sending it.
    assert_eq!(hurry(later(55)), 0);
    store.write_blocking(move |tx| tx.put_off_delivery(two, later(100), "greylisted")).unwrap();
    let counts = |of| store.read_blocking(move |s| s.queue_counts(of)).unwrap();
    let expected = QueueCounts { waiting: 1, oldest: Some(later(1)), given_up: 1 };
    assert_eq!((counts(None), counts(Some(customer(1)))), (expected, expected));
    assert_eq!(counts(Some(customer(2))), QueueCounts::default());
    let listed = |of| store.read_blocking(move |s| s.deliveries(of, UnixTime::MAX, 10)).unwrap();
    let [third, second, first] = listed(None).try_into().unwrap();
    assert_eq!((first.state, first.ended, first.attempts), (DeliveryState::Delivered, Some(later(3)), 1));
    assert_eq!((second.due, second.why.as_str()), (later(100), "greylisted"));
    assert!(third.why.starts_with("no  xx") && third.why.len() == 300);
    assert!(listed(Some(customer(2))).is_empty());
    let newest = store.read_blocking(|s| s.newest_message(customer(1), "news")).unwrap();
    assert_eq!(newest, Some(now));

    let forget = |at| store.write_blocking(move |tx| tx.forget_deliveries(at)).unwrap();
    assert_eq!(forget(later(4)), 1);
    // What waits keeps its message.
    assert!(store.read_blocking(|s| s.message(MessageId::from_bytes([1; 16]))).unwrap().is_some());
    store.write_blocking(move |tx| tx.end_delivery(two, DeliveryState::Delivered, later(5), "")).unwrap();
    assert_eq!(forget(later(60)), 2);
    assert_eq!(store.read_blocking(|s| s.message(MessageId::from_bytes([1; 16]))).unwrap(), None);
}

pub(crate) fn webhooks_keep_their_secrets_sealed(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let row = WebhookRow {
        id: WebhookId::from_bytes([1; 16]),
        customer: customer(1),
        made: clock.now(),
        url: "https://예시.example/hook".to_owned(),
        secret: "whsec_one".to_owned(),
        old_secret: None,
        version: 1,
    };
    let put = row.clone();
    store.write_blocking(move |tx| tx.insert_webhook(&put)).unwrap();
    let rotated = WebhookRow {
        secret: "whsec_two".to_owned(),
        old_secret: Some(("whsec_one".to_owned(), clock.now())),
        ..row
    };
    let put = rotated.clone();
    let update = move |store: &Store| {
        let put = put.clone();
        store.write_blocking(move |tx| tx.update_webhook(&put))
    };
    update(&store).unwrap();
    assert_eq!(update(&store), Err(StoreError::Conflict { what: "the webhook" }));
    let expected = WebhookRow { version: 2, ..rotated };
    assert!(!format!("{expected:?}").contains("whsec"));
    assert_eq!(store.read_blocking(|s| s.webhooks(customer(1))).unwrap(), std::slice::from_ref(&expected));
    assert!(store.read_blocking(|s| s.webhooks(customer(2))).unwrap().is_empty());
    assert_eq!(store.read_blocking(|s| s.webhook(WebhookId::from_bytes([1; 16]))).unwrap(), Some(expected));
    let delete = || store.write_blocking(|tx| tx.delete_webhook(WebhookId::from_bytes([1; 16]))).unwrap();
    assert!(delete());
    assert!(!delete());
}
