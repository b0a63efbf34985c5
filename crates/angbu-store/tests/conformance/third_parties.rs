use angbu_store::third_parties::{KeptReportRow, ShareRow};
use angbu_store::{Store, StoreError};
use angbu_units::{Month, Nanos, ReportId, ShareId, UnixTime};

use crate::support::{Place, TestClock, customer};

fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut angbu_store::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(work)
}

fn share(n: u8, created: UnixTime) -> ShareRow {
    ShareRow {
        id: ShareId::from_bytes([n; 16]),
        secret_hash: [n; 32],
        customer: customer(1),
        from: UnixTime::from_nanos(1),
        to: UnixTime::from_nanos(2),
        zone: "Europe/Berlin".to_owned(),
        holder: "감사인 キム".to_owned(),
        report: ReportId::from_bytes([n; 16]),
        created,
        expires: created + Nanos::from_secs(100),
        revoked: false,
        views: 0,
        last_view: None,
        told_views: 0,
        told_at: None,
    }
}

fn report(n: u8, month: Option<&str>, made: UnixTime) -> KeptReportRow {
    KeptReportRow {
        id: ReportId::from_bytes([n; 16]),
        customer: customer(1),
        month: month.map(|month| month.parse::<Month>().unwrap()),
        from: UnixTime::from_nanos(1),
        to: UnixTime::from_nanos(2),
        zone: "UTC".to_owned(),
        language: "ko".to_owned(),
        made,
        size: 0,
        why: String::new(),
    }
}

pub(crate) fn share_links_count_their_views_and_end(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    for n in [1, 2] {
        let row = share(n, now + Nanos::from_secs(i64::from(n)));
        write(&store, move |tx| tx.insert_share(&row)).unwrap();
    }
    let id = ShareId::from_bytes([1; 16]);
    let find = || store.read_blocking(|s| s.share_by_secret(&[1; 32])).unwrap().unwrap();
    assert!(find() == share(1, now + Nanos::from_secs(1)));
    assert!(store.read_blocking(|s| s.share_by_secret(&[9; 32])).unwrap().is_none());
    let of = store.read_blocking(|s| s.shares_of(customer(1))).unwrap();
    assert_eq!(of.iter().map(|row| row.id).collect::<Vec<_>>(), [ShareId::from_bytes([2; 16]), id]);
    assert_eq!(store.read_blocking(move |s| s.count_shares(customer(1), now)), Ok(2));

    // Two views at once make one entry; the next ones wait for their minute.
    let minute = Nanos::from_secs(60);
    let tell = |at: UnixTime| write(&store, move |tx| tx.tell_share_views(id, at, at - minute)).unwrap();
    for _ in 0..2 {
        write(&store, move |tx| tx.count_share_view(id, now)).unwrap();
    }
    assert_eq!(tell(now), Some(2));
    write(&store, move |tx| tx.count_share_view(id, now)).unwrap();
    assert_eq!(tell(now + Nanos::from_secs(59)), None);
    let waiting = |before| store.read_blocking(move |s| s.shares_to_tell(before)).unwrap();
    assert_eq!((waiting(now).len(), waiting(now + minute)), (0, vec![id]));
    assert_eq!(tell(now + minute + Nanos::new(1)), Some(1));
    assert_eq!(tell(now + minute.times(3)), None);
    let row = find();
    assert_eq!((row.views, row.told_views, row.last_view), (3, 3, Some(now)));

    let gone = Err(StoreError::NotFound { what: "share link" });
    assert_eq!(write(&store, move |tx| tx.revoke_share(id)), Ok(()));
    assert_eq!(write(&store, move |tx| tx.revoke_share(id)), gone);
    assert_eq!(write(&store, move |tx| tx.count_share_view(id, now)), gone);
    assert_eq!(store.read_blocking(move |s| s.count_shares(customer(1), now)), Ok(1));
    assert!(find().revoked);
}

pub(crate) fn reports_are_kept_once_a_month(place: &dyn Place) {
    let clock = TestClock::new();
    let store = place.open(clock.clone()).unwrap();
    let now = clock.now();
    let file = "보고서".repeat(200_000);
    let keep = |row: KeptReportRow, file: String| write(&store, move |tx| tx.keep_report(&row, &file));
    keep(report(1, Some("2026-10"), now), file.clone()).unwrap();
    let taken = Err(StoreError::Taken { what: "the month's report" });
    assert_eq!(keep(report(2, Some("2026-10"), now), String::new()), taken);
    keep(report(3, None, now), file.clone()).unwrap();
    keep(report(4, None, now), "x".to_owned()).unwrap();
    let too_long = keep(report(5, None, now), "x".repeat((32 << 20) + 1));
    assert!(matches!(too_long, Err(StoreError::TooMuch { .. })));

    let month = store.read_blocking(|s| s.monthly_report(customer(1), "2026-10".parse().unwrap())).unwrap();
    let size = u64::try_from(file.len()).unwrap();
    assert_eq!(month, Some(KeptReportRow { size, ..report(1, Some("2026-10"), now) }));
    let of = |n: u8| store.read_blocking(move |s| s.report_file(ReportId::from_bytes([n; 16]))).unwrap();
    assert_eq!((of(1), of(4), of(9)), (Some(file.clone()), Some("x".to_owned()), None));
    assert_eq!(store.read_blocking(|s| s.kept_reports_of(customer(1))).unwrap().len(), 3);

    let first = ReportId::from_bytes([1; 16]);
    write(&store, move |tx| tx.let_report_go(first, "old")).unwrap();
    let kept = store.read_blocking(move |s| s.kept_report(first)).unwrap().unwrap();
    assert_eq!((of(1), kept.size, kept.why.as_str()), (None, 0, "old"));
    assert_eq!(keep(report(6, Some("2026-10"), now), String::new()), taken);

    // A report for a link goes when its last link has ended; a month's stays.
    let link = share(3, now);
    write(&store, move |tx| tx.insert_share(&link)).unwrap();
    let purge = |at: UnixTime| write(&store, move |tx| tx.purge_shared_reports(at, at)).unwrap();
    assert_eq!(purge(now + Nanos::from_secs(1)), 1);
    assert_eq!((of(4), of(3).is_some()), (None, true));
    assert_eq!(purge(now + Nanos::from_secs(100)), 1);
    assert_eq!(store.read_blocking(|s| s.kept_reports_of(customer(1))).unwrap().len(), 1);
}
