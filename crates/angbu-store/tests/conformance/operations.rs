use angbu_store::operations::{CalibrationRow, RunRow, SourceRow, StateRow};
use angbu_store::{Purpose, Store, StoreError};
use angbu_units::{CentreId, ClockVerdict, EntryId, Nanos, UnixTime};

use crate::support::{Place, TestClock};

const CENTRE: CentreId = CentreId::from_bytes([1; 16]);

fn at(second: i64) -> UnixTime {
    UnixTime::from_nanos(second * 1_000_000_000)
}

fn entry(n: u8) -> EntryId {
    EntryId::from_bytes([n; 16])
}

fn calibration(n: u8, measured: i64) -> CalibrationRow {
    CalibrationRow {
        entry: entry(n),
        recorded: at(100),
        subject: "GNSS receiver 4711".to_owned(),
        laboratory: "KRISS 한국표준과학연구원".to_owned(),
        certificate: "2026-0815".to_owned(),
        measured: at(measured),
        offset: Nanos::new(-37),
        uncertainty: Nanos::new(50),
        coverage: 2_000,
        valid_until: at(1_000),
        file_hash: Some([3; 32]),
        withdrawn: None,
    }
}

fn record(store: &Store, row: CalibrationRow, file: Option<Vec<u8>>) {
    store.write_blocking(move |tx| tx.insert_calibration(&row, file.as_deref())).unwrap();
}

fn file(store: &Store, n: u8) -> Option<Vec<u8>> {
    let found = store.read_blocking(move |snapshot| snapshot.calibration_file(entry(n))).unwrap();
    found.map(|bytes| bytes.to_vec())
}

pub(crate) fn calibrations_are_kept_with_their_sealed_files(place: &dyn Place) {
    let store = place.open(TestClock::new()).unwrap();
    // Larger than a page, a bundle and a batch of anything else.
    let certificate: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).take(9_000_000).collect();
    record(&store, calibration(1, 10), Some(certificate.clone()));
    record(&store, CalibrationRow { file_hash: None, ..calibration(2, 20) }, None);
    let measured = |store: &Store| {
        let rows = store.read_blocking(|snapshot| snapshot.calibrations()).unwrap();
        rows.into_iter().map(|row| (row.entry, row.withdrawn)).collect::<Vec<_>>()
    };
    assert_eq!(measured(&store), [(entry(2), None), (entry(1), None)]);
    let found = store.read_blocking(|snapshot| snapshot.calibration(entry(1))).unwrap();
    assert_eq!(found, Some(calibration(1, 10)));
    assert_eq!((file(&store, 1), file(&store, 2)), (Some(certificate.clone()), None));
    // A key that is replaced seals it anew.
    store.write_blocking(|tx| tx.rotate(Purpose::Bodies, UnixTime::MIN)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    while runtime.block_on(store.reseal(Purpose::Bodies, 10)).unwrap() != angbu_store::Resealed::Done {}
    assert_eq!(file(&store, 1), Some(certificate));
    store.write_blocking(|tx| tx.withdraw_calibration(entry(2), entry(9))).unwrap();
    assert_eq!(measured(&store), [(entry(2), Some(entry(9))), (entry(1), None)]);
    let again = store.write_blocking(|tx| tx.withdraw_calibration(entry(2), entry(8)));
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
}

pub(crate) fn runs_end_well_or_are_left(place: &dyn Place) {
    let store = place.open(TestClock::new()).unwrap();
    let run = |run, started| RunRow {
        centre: CENTRE,
        run,
        version: "1.2.3".to_owned(),
        started: at(started),
        seen: at(started),
        stopped: None,
    };
    for (number, started) in [(1, 10), (2, 100), (3, 200)] {
        let row = run(number, started);
        store.write_blocking(move |tx| tx.insert_run(&row)).unwrap();
    }
    store
        .write_blocking(|tx| {
            tx.run_goes_on(CENTRE, 1, at(40))?;
            tx.run_stopped(CENTRE, 2, at(150))?;
            // Whatever comes late does not wake the dead.
            tx.run_goes_on(CENTRE, 2, at(160))
        })
        .unwrap();
    let runs = |from, to| {
        let rows = store.read_blocking(move |snapshot| snapshot.runs(at(from), at(to))).unwrap();
        rows.into_iter().map(|row| (row.run, row.seen, row.stopped)).collect::<Vec<_>>()
    };
    let (first, second) = ((1, at(40), None), (2, at(150), Some(at(150))));
    assert_eq!(runs(0, 1_000), [first, second, (3, at(200), None)]);
    assert_eq!(runs(0, 100), [first]);
    assert_eq!(runs(41, 200), [second]);
}

pub(crate) fn states_and_sources_are_read_over_time(place: &dyn Place) {
    let store = place.open(TestClock::new()).unwrap();
    let verdicts = [ClockVerdict::Unproven, ClockVerdict::Declared, ClockVerdict::Proven];
    let states: Vec<_> = (0_u8..3)
        .zip(verdicts)
        .map(|(n, verdict)| StateRow {
            centre: CENTRE,
            since: at(100 * i64::from(n)),
            entry: entry(n),
            verdict,
            reason: "measured".to_owned(),
            source: "ntp1.example".to_owned(),
            reference_id: *b"PPS\0",
            stratum: 1,
            bound: Nanos::from_millis(1),
        })
        .collect();
    let rows = states.clone();
    store.write_blocking(move |tx| rows.iter().try_for_each(|row| tx.insert_clock_state(row))).unwrap();
    let read = |from, to| {
        store.read_blocking(move |snapshot| snapshot.clock_states(CENTRE, at(from), at(to))).unwrap()
    };
    assert_eq!(read(0, 1_000), states);
    assert_eq!(read(150, 200), states[1..2], "what held when the period began");
    assert_eq!(read(201, 300), states[2..]);
    let seen = |second: i64, answered| SourceRow {
        centre: CENTRE,
        source: "ntp1.example".to_owned(),
        at: at(second),
        asked: 4,
        answered,
        offset_min: Nanos::new(-second),
        offset_max: Nanos::new(second),
        bound_max: Nanos::new(second),
        stratum: 2,
    };
    let rows = [seen(10, 4), seen(20, 0), seen(30, 3), seen(60, 0)];
    store.write_blocking(move |tx| tx.insert_sources(&rows)).unwrap();
    let twice = [seen(10, 1)];
    store.write_blocking(move |tx| tx.insert_sources(&twice)).unwrap();
    let read = |points| {
        store.read_blocking(move |snapshot| snapshot.sources(CENTRE, at(0), at(100), points)).unwrap()
    };
    assert_eq!(read(10).len(), 4);
    let halves = read(2);
    assert_eq!(halves[0], SourceRow { asked: 12, answered: 7, ..seen(30, 7) });
    assert_eq!((halves[1].asked, halves[1].answered, halves[1].bound_max), (4, 0, Nanos::ZERO));
    assert!(matches!(
        store.read_blocking(|snapshot| snapshot.sources(CENTRE, at(0), at(100), 10_001)),
        Err(StoreError::TooMuch { .. })
    ));
    assert_eq!(store.write_blocking(|tx| tx.forget_sources(at(30))).unwrap(), 2);
}
