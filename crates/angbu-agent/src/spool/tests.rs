use super::*;
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];
const NOW: UnixTime = UnixTime::from_nanos(1_700_000_000_000_000_000);
const ROOM: u64 = 64 * 1024 * 1024;

/// A folder in memory where there is one: thousands of flushes to a disk that others use would make everybody wait.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(directory: &Path, limit: u64) -> Spool {
    Spool::open(directory, &KEY, limit, 1, NOW).unwrap()
}

fn record(n: u64) -> Vec<u8> {
    format!("record number {n}").into_bytes()
}

fn append(spool: &mut Spool, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        assert_eq!(spool.append(&record(seq), NOW).unwrap(), (seq, None));
    }
}

fn all(spool: &Spool) -> Vec<(u64, Item)> {
    spool.read(usize::MAX, usize::MAX, NOW).unwrap()
}

fn records(seqs: std::ops::RangeInclusive<u64>) -> Vec<(u64, Item)> {
    seqs.map(|seq| (seq, Item::Record(record(seq)))).collect()
}

fn lost(first: u64, last: u64) -> (u64, Item) {
    (first, Item::Lost(Lost { first, last, at: NOW }))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap() != CHAIN);
    files.sort();
    files
}

/// What must hold of whatever is read: no number is left out, none comes twice.
fn assert_gapless(spool: &Spool) {
    let mut next = spool.wanted;
    for (seq, item) in all(spool) {
        assert_eq!(seq, next);
        next = item.after(seq);
    }
    assert_eq!(next, spool.next_seq());
}

#[test]
fn what_was_written_is_read_in_order_also_after_reopening() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=20);
    assert_eq!(all(&spool), records(1..=20));
    drop(spool);
    let mut spool = open(place.path(), ROOM);
    assert_eq!(all(&spool), records(1..=20));
    append(&mut spool, 21..=25);
    assert_eq!(all(&spool), records(1..=25));
    assert_eq!(spool.read(3, usize::MAX, NOW).unwrap(), records(1..=3));
    assert_eq!(spool.read(9, 1, NOW).unwrap(), records(1..=1));
}

#[test]
fn what_the_centre_has_is_deleted_and_numbers_go_on() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=10);
    spool.acknowledge(5, NOW).unwrap();
    assert_eq!(all(&spool), records(5..=10));
    spool.acknowledge(3, NOW).unwrap();
    assert_eq!(all(&spool), records(3..=10), "the centre went back to an older state");
    spool.acknowledge(11, NOW).unwrap();
    assert!(all(&spool).is_empty());
    spool.sweep().unwrap();
    assert_eq!(files(place.path()).len(), 1);
    drop(spool);
    let mut spool = open(place.path(), ROOM);
    assert!(all(&spool).is_empty());
    append(&mut spool, 11..=12);
}

#[test]
fn what_was_deleted_and_is_wanted_again_is_told_as_lost() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=10);
    spool.acknowledge(11, NOW).unwrap();
    spool.sweep().unwrap();
    append(&mut spool, 11..=12);
    spool.acknowledge(4, NOW).unwrap();
    let expected = [vec![lost(4, 10)], records(11..=12)].concat();
    assert_eq!(all(&spool), expected);
    drop(spool);
    assert_eq!(all(&open(place.path(), ROOM)), expected);
}

#[test]
fn numbers_that_the_centre_already_has_are_not_given_again() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=3);
    spool.acknowledge(100, NOW).unwrap();
    assert_eq!(all(&spool), vec![lost(100, 102)]);
    append(&mut spool, 103..=104);
    drop(spool);
    let mut spool = open(place.path(), ROOM);
    assert_eq!(all(&spool), [vec![lost(100, 102)], records(103..=104)].concat());
    spool.acknowledge(105, NOW).unwrap();
    spool.acknowledge(200, NOW).unwrap();
    assert!(all(&spool).is_empty());
    append(&mut spool, 200..=201);
}

#[test]
fn a_full_spool_gives_up_its_oldest_records_and_says_so() {
    let place = folder();
    let limit = 16 * 1024;
    let mut spool = open(place.path(), limit);
    let mut told = 0;
    for seq in 1..=2_000 {
        let (at, loss) = spool.append(&record(seq), NOW).unwrap();
        assert_eq!(at, seq);
        if let Some(loss) = loss {
            assert_eq!(loss.first, told + 1, "each loss is told once");
            told = loss.last;
        }
        let length: u64 = files(place.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(length <= limit + 4_096, "{length}");
    }
    assert!(told > 1_000);
    let expected = [vec![lost(1, told)], records(told + 1..=2_000)].concat();
    assert_eq!(all(&spool), expected);
    drop(spool);
    let mut spool = open(place.path(), limit);
    assert_eq!(all(&spool), expected);
    // A loss that began before what the centre has is told from there on only.
    spool.acknowledge(told - 10, NOW).unwrap();
    assert_eq!(all(&spool)[0], lost(told - 10, told));
}

#[test]
fn a_power_cut_between_burying_and_removing_changes_nothing() {
    let place = folder();
    let limit = 16 * 1024;
    let mut spool = open(place.path(), limit);
    let mut kept: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut cuts = 0;
    for seq in 1..=600 {
        let before: Vec<_> = files(place.path())
            .into_iter()
            .map(|file| (file.clone(), std::fs::read(file).unwrap()))
            .collect();
        let (_, loss) = spool.append(&record(seq), NOW).unwrap();
        if loss.is_some() {
            // As if no removal had reached the disk.
            kept.clone_from(&before);
            let expected = all(&spool);
            let copy = folder();
            for (file, bytes) in &kept {
                std::fs::write(copy.path().join(file.file_name().unwrap()), bytes).unwrap();
            }
            for file in files(place.path()) {
                std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
            }
            assert_eq!(all(&open(copy.path(), limit)), expected);
            cuts += 1;
        }
    }
    assert!(cuts > 2, "{cuts}");
}

#[test]
fn cut_at_any_byte_a_prefix_is_left() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=6);
    drop(spool);
    let file = files(place.path()).pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut most = 0;
    for length in 0..=whole.len() {
        let copy = folder();
        std::fs::write(copy.path().join(file.file_name().unwrap()), &whole[..length]).unwrap();
        let mut spool = open(copy.path(), ROOM);
        let found = u64::try_from(all(&spool).len()).unwrap();
        assert_eq!(all(&spool), records(1..=found), "cut at {length}");
        assert!(found >= most);
        most = found;
        append(&mut spool, found + 1..=found + 2);
        drop(spool);
        assert_eq!(all(&open(copy.path(), ROOM)), records(1..=found + 2), "cut at {length}, continued");
    }
    assert_eq!(most, 6);
}

#[test]
fn damage_in_the_middle_becomes_a_loss() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=6);
    let damaged = files(place.path()).pop().unwrap();
    drop(spool);
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 7..=9);
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let seen = all(&spool);
    assert_eq!(seen[..2], records(1..=2));
    assert_eq!(seen[seen.len() - 3..], records(7..=9));
    assert!(seen.iter().any(|(_, item)| matches!(item, Item::Lost(lost) if lost.last == 6)));
    assert_gapless(&spool);
    drop(spool);
    assert_eq!(all(&open(place.path(), ROOM)), seen);
    std::fs::remove_file(&damaged).unwrap();
    assert_eq!(all(&open(place.path(), ROOM)).last(), Some(&records(9..=9)[0]));
}

#[test]
fn a_disk_that_refuses_leaves_a_loss_behind() {
    let place = folder();
    let inner = place.path().join("spool");
    let mut spool = open(&inner, ROOM);
    append(&mut spool, 1..=2);
    // No file can be made while the directory is away, as on a full disk.
    let away = place.path().join("away");
    std::fs::rename(&inner, &away).unwrap();
    spool.active = None;
    for _ in 0..3 {
        assert!(matches!(spool.append(b"never written", NOW), Err(SpoolError::File { .. })));
    }
    std::fs::rename(&away, &inner).unwrap();
    assert_eq!(spool.append(&record(6), NOW).unwrap(), (6, None));
    assert_eq!(all(&spool), [records(1..=2), vec![lost(3, 5)], records(6..=6)].concat());
    assert!(matches!(spool.append(&[0; LONGEST_RECORD + 1], NOW), Err(SpoolError::TooLong(_))));
    append(&mut spool, 7..=7);
}

#[test]
fn a_write_that_only_seemed_to_fail_does_not_count_twice() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=3);
    let first = files(place.path()).pop().unwrap();
    let with_three = std::fs::read(&first).unwrap();
    // The third record's flush failed: it does not count, and a new segment begins with its number.
    spool.active = None;
    spool.segments.back_mut().unwrap().next = 3;
    assert_eq!(spool.append(b"another third", NOW).unwrap().0, 3);
    drop(spool);
    std::fs::write(&first, with_three).unwrap();
    let spool = open(place.path(), ROOM);
    assert_eq!(all(&spool), [records(1..=2), vec![(3, Item::Record(b"another third".to_vec()))]].concat());
}

#[test]
fn another_key_opens_nothing_and_the_files_tell_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = folder();
    let inner = place.path().join("spool");
    let mut spool = open(&inner, ROOM);
    append(&mut spool, 1..=5);
    drop(spool);
    assert!(matches!(Spool::open(&inner, &[8; 32], ROOM, 1, NOW).err(), Some(SpoolError::WrongKey { .. })));
    assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in files(&inner) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"record"));
    }
    assert_eq!(all(&open(&inner, ROOM)), records(1..=5));
}

#[test]
fn items_cannot_be_moved_or_renumbered() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=2);
    drop(spool);
    let file = files(place.path()).pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let contents = Sealer::new(&KEY).read(1, &bytes).ok().unwrap();
    let (one, two) = bytes[HEADER..].split_at(contents.starts[1] - HEADER);
    std::fs::write(&file, [&bytes[..HEADER], two, one].concat()).unwrap();
    assert!(all(&open(place.path(), ROOM)).is_empty());
    std::fs::write(&file, bytes).unwrap();
    std::fs::rename(&file, place.path().join("0000000000000002.seg")).unwrap();
    assert!(matches!(Spool::open(place.path(), &KEY, ROOM, 1, NOW).err(), Some(SpoolError::WrongKey { .. })));
}

#[test]
fn the_chain_is_kept_as_far_as_it_is_known() {
    let place = folder();
    let mut spool = open(place.path(), ROOM);
    append(&mut spool, 1..=10);
    assert_eq!(spool.chain(), None);
    let chain = |n: u8| Chain::from_bytes([n; 32]);
    spool.keep_chain(5, Some(chain(5))).unwrap();
    assert_eq!(spool.chain(), None, "the centre is not known to have the records before 5");
    // As after a crash right here: what was kept leads, and nothing is sent twice.
    let copy = folder();
    for file in files(place.path()).into_iter().chain([place.path().join(CHAIN)]) {
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let crashed = open(copy.path(), ROOM);
    assert_eq!((crashed.chain(), all(&crashed)), (Some(chain(5)), records(5..=10)));
    spool.acknowledge(5, NOW).unwrap();
    assert_eq!(spool.chain(), Some(chain(5)));
    append(&mut spool, 11..=12);
    drop(spool);
    let mut spool = open(place.path(), ROOM);
    assert_eq!((spool.chain(), all(&spool)), (Some(chain(5)), records(5..=12)));
    // The centre wants another record than the one that the chain is known before.
    spool.acknowledge(7, NOW).unwrap();
    assert_eq!(spool.chain(), None);
    spool.acknowledge(100, NOW).unwrap();
    assert_eq!(spool.chain(), None);
    spool.keep_chain(100, None).unwrap();
    spool.keep_chain(100, None).unwrap();
    // What is spoilt, or of another spool, is not believed.
    spool.keep_chain(100, Some(chain(7))).unwrap();
    let file = place.path().join(CHAIN);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(open(place.path(), ROOM).chain(), None);
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Acknowledge(u8),
    Reopen,
    Cut(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..40).prop_map(Step::Append),
        2 => any::<u8>().prop_map(Step::Acknowledge),
        1 => Just(Step::Reopen),
        1 => any::<u8>().prop_map(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_happens_no_number_is_skipped_or_given_twice(steps in proptest::collection::vec(step(), 1..30)) {
        let place = folder();
        let mut spool = open(place.path(), 8 * 1024);
        for step in steps {
            match step {
                Step::Append(n) => {
                    for _ in 0..n {
                        let seq = spool.next_seq();
                        prop_assert_eq!(spool.append(&record(seq), NOW).unwrap().0, seq);
                    }
                }
                Step::Acknowledge(part) => {
                    let next = spool.wanted + spool.waiting() * u64::from(part) / 255;
                    spool.acknowledge(next, NOW).unwrap();
                    prop_assert_eq!(spool.wanted, next);
                }
                Step::Reopen => {
                    let (next, before) = (spool.next_seq(), all(&spool));
                    drop(spool);
                    spool = open(place.path(), 8 * 1024);
                    prop_assert_eq!(spool.next_seq(), next);
                    let after = all(&spool);
                    prop_assert!(after.ends_with(&before) || before.is_empty() || matches!(before[0].1, Item::Lost(_)));
                }
                Step::Cut(bytes) => {
                    drop(spool);
                    let last = files(place.path()).pop().unwrap();
                    let file = std::fs::OpenOptions::new().write(true).open(&last).unwrap();
                    file.set_len(file.metadata().unwrap().len().saturating_sub(bytes.into())).unwrap();
                    spool = open(place.path(), 8 * 1024);
                }
            }
            assert_gapless(&spool);
            for (seq, item) in all(&spool) {
                if let Item::Record(found) = item {
                    prop_assert_eq!(found, record(seq));
                }
            }
        }
    }
}
