//! The store against its promises: nothing lost, nothing twice, whatever is cut short.

mod crash;
mod harm;
mod journal;
mod legacy;
mod reconcile;
mod refused;
mod thread;
mod time;
mod traffic;
mod writes;

use std::collections::BTreeMap;
use std::path::Path;

use riverwatts_shared::batch::{Item, Sealed};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Gap, Reading, Value};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;

use super::file::StoreFile;
use super::*;

pub(super) const BOOT: Uuid = Uuid::from_u128(1);
/// A time like those of readings.
pub(super) const T: i64 = 1_795_508_000_000;
pub(super) const ALL: Limits = Limits { units: 1_000, readings: 1_000_000, bytes: 1 << 30 };

pub(super) fn settings(dir: &Path, boot: Uuid) -> Settings {
    let keys = ["a", "b"].map(str::to_owned).to_vec();
    Settings { dir: dir.to_owned(), max_bytes: 1 << 30, keep_free: None, keys, boot }
}

pub(super) fn open(dir: &Path) -> StoreFile {
    open::open(settings(dir, BOOT), Duration::ZERO).unwrap()
}

pub(super) fn segment(times: &[i64]) -> Segment {
    let reading = |&ms: &i64| Reading { time: UtcMs(ms), values: vec![Value::ok(Metric::POWER, ms % 1_000)] };
    Segment::from_readings(&times.iter().map(reading).collect::<Vec<_>>())
}

/// A dated flush: place of the device, and times.
pub(super) fn flush(parts: &[(u16, &[i64])]) -> Flush {
    let segments = parts.iter().map(|(place, times)| (*place, segment(times)));
    Flush { dated: true, segments: segments.collect(), ..Flush::default() }
}

/// Times by key.
pub(super) fn times(items: &[Item]) -> BTreeMap<String, Vec<i64>> {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for item in items {
        if let Item::Segment { device, segment } = item {
            times.entry(device.clone()).or_default().extend(&segment.times);
        }
    }
    times
}

pub(super) fn gaps(items: &[Item]) -> Vec<Gap> {
    let gaps = items.iter().filter_map(|item| match item {
        Item::Gap(gap) => Some(gap.clone()),
        _ => None,
    });
    gaps.collect()
}

pub(super) fn expect(pairs: &[(&str, &[i64])]) -> BTreeMap<String, Vec<i64>> {
    pairs.iter().map(|(key, times)| ((*key).to_owned(), times.to_vec())).collect()
}

/// Everything that is in the file: device and time, and whether the cloud has it.
fn contents(file: &StoreFile) -> Vec<(i64, i64, bool)> {
    let mut found = Vec::new();
    for (&number, entry) in &file.journal {
        for (device, segment) in file.read_flush(number, |_| true).unwrap() {
            found.extend(segment.times.iter().map(|&ms| (device, ms, !entry.open.has(device))));
        }
    }
    let mut segments = file
        .connection
        .prepare("select number, device, number not in (select segment from unsettled) from segments")
        .unwrap();
    let rows = segments.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    for (number, device, settled) in rows.map(Result::unwrap) {
        found.extend(file.read_segment(number).unwrap().times.iter().map(|&ms| (device, ms, settled)));
    }
    found.sort_unstable();
    found
}

/// Everything that goes out, sealed or not.
pub(super) fn items(outgoing: &Outgoing) -> Vec<Item> {
    let opened = |Sealed { device, bytes }: &Sealed| Item::Segment {
        device: device.clone(),
        segment: Segment::decode(bytes).unwrap(),
    };
    outgoing.sealed.iter().map(opened).chain(outgoing.items.iter().cloned()).collect()
}

/// Takes everything of a lane and settles it.
fn drain(file: &mut StoreFile, lane: Lane) -> Vec<Item> {
    let mut all = Vec::new();
    while let Some(outgoing) = file.take(lane, ALL).unwrap() {
        all.extend(items(&outgoing));
        file.settle(outgoing.cargo, Settlement::default(), Duration::ZERO).unwrap();
        file.commit(None).unwrap();
    }
    all
}

#[test]
fn the_live_lane_has_what_is_new_and_the_backlog_the_rest_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for n in 0..4 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
    }
    let live = file.take(Lane::Live, Limits { units: 1, ..ALL }).unwrap().unwrap();
    assert_eq!(times(&items(&live)), expect(&[("a", &[T + 3])]), "the newest first");
    assert_eq!(file.take(Lane::Live, ALL).unwrap(), None, "what was not taken live is backlog");
    let backlog = file.take(Lane::Backlog, Limits { units: 2, ..ALL }).unwrap().unwrap();
    assert_eq!(times(&items(&backlog)), expect(&[("a", &[T, T + 1])]));
    let rest = file.take(Lane::Backlog, ALL).unwrap().unwrap();
    assert_eq!(times(&items(&rest)), expect(&[("a", &[T + 2])]), "what is on its way is in one lane only");
    file.release(&live.cargo);
    assert_eq!(times(&items(&file.take(Lane::Backlog, ALL).unwrap().unwrap())), expect(&[("a", &[T + 3])]));
}

#[test]
fn where_bytes_are_dear_the_newest_goes_alone_and_what_it_passes_over_is_backlog() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for n in 0..4 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
    }
    let newest = file.take(Lane::Newest, ALL).unwrap().unwrap();
    assert_eq!(times(&items(&newest)), expect(&[("a", &[T + 3])]));
    assert_eq!(file.take(Lane::Newest, ALL).unwrap(), None);
    assert_eq!(file.take(Lane::Live, ALL).unwrap(), None);
    let backlog = file.take(Lane::Backlog, ALL).unwrap().unwrap();
    assert_eq!(times(&items(&backlog)), expect(&[("a", &[T, T + 1, T + 2])]));
}

#[test]
fn what_is_settled_is_not_sent_again_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T, T + 1]), (1, &[T])]))).unwrap();
    file.commit(Some(&flush(&[(0, &[T + 2])]))).unwrap();
    assert_eq!(file.backlog, 4);
    let taken = file.take(Lane::Backlog, Limits { units: 1, ..ALL }).unwrap().unwrap();
    file.settle(taken.cargo, Settlement::default(), Duration::ZERO).unwrap();
    assert_eq!(file.backlog, 1);
    file.close().unwrap();
    let mut file = open(folder.path());
    assert_eq!(file.backlog, 1);
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("a", &[T + 2])]));
    assert_eq!(file.backlog, 0);
}

#[test]
fn a_clean_stop_leaves_no_gap_and_an_unclean_one_leaves_one_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T, T + 5]), (1, &[T + 3])]))).unwrap();
    file.close().unwrap();
    let mut file = open(folder.path());
    drain(&mut file, Lane::Backlog);
    file.commit(Some(&flush(&[(0, &[T + 10])]))).unwrap();
    assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), []);
    drop(file);
    // Killed again and again before there is a reading.
    for _ in 0..20 {
        drop(open(folder.path()));
    }
    let mut file = open(folder.path());
    assert_eq!(drain(&mut file, Lane::Backlog), []);
    file.commit(Some(&flush(&[(0, &[T + 20])]))).unwrap();
    let gap = |device: &str, from, to| Gap {
        device: device.to_owned(),
        from: UtcMs(T + from),
        to: UtcMs(T + to),
        rows: None,
        reason: GapReason::UncleanStop,
    };
    assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), [gap("a", 10, 20)]);
    file.commit(Some(&flush(&[(0, &[T + 21]), (1, &[T + 21])]))).unwrap();
    assert_eq!(gaps(&drain(&mut file, Lane::Backlog)), [gap("b", 3, 21)]);
}

#[test]
fn readings_of_a_device_that_waits_stay_and_go_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T]), (1, &[T])]))).unwrap();
    let taken = file.take(Lane::Backlog, ALL).unwrap().unwrap();
    let waits = Settlement { kept: ["a".to_owned()].into(), ..Settlement::default() };
    file.settle(taken.cargo, waits, Duration::ZERO).unwrap();
    assert_eq!((file.backlog, file.take(Lane::Backlog, ALL).unwrap()), (1, None));
    file.commit(Some(&flush(&[(0, &[T + 1]), (1, &[T + 1])]))).unwrap();
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("b", &[T + 1])]));
    drop(file);
    let mut file = open(folder.path());
    assert_eq!(file.backlog, 2, "what is held is held through a restart");
    file.waiting.insert(file.places[0]);
    for n in 2..5 {
        file.commit(Some(&flush(&[(0, &[T + n]), (1, &[T + n])]))).unwrap();
    }
    file.seal(Duration::ZERO).unwrap();
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("b", &[T + 2, T + 3, T + 4])]));
    let taken = Cargo::default();
    let id = NamedDevice { key: "a".to_owned(), device_id: BOOT };
    file.settle(taken, Settlement { named: vec![id], ..Settlement::default() }, Duration::ZERO).unwrap();
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("a", &[T, T + 1, T + 2, T + 3, T + 4])]));
    assert_eq!((file.backlog, file.count_backlog().unwrap()), (0, 0));
}

#[test]
fn sealing_keeps_what_is_settled_apart_from_what_is_not_and_leaves_what_is_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for n in 0..8 {
        file.commit(Some(&flush(&[(0, &[T + n])]))).unwrap();
    }
    let first = file.take(Lane::Backlog, Limits { units: 2, ..ALL }).unwrap().unwrap();
    let second = file.take(Lane::Backlog, Limits { units: 1, ..ALL }).unwrap().unwrap();
    file.settle(first.cargo, Settlement::default(), Duration::ZERO).unwrap();
    file.seal(Duration::ZERO).unwrap();
    let rows: Vec<(i64, i64, i64)> = {
        let mut rows =
            file.connection.prepare("select first_flush, last_flush, rows from segments order by number").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(rows, [(1, 2, 2), (4, 6, 3)], "the third is on its way, the newest two stay");
    assert_eq!(file.journal.keys().copied().collect::<Vec<_>>(), [3, 7, 8]);
    assert_eq!(times(&items(&second)), expect(&[("a", &[T + 2])]));
    file.release(&second.cargo);
    let rest = drain(&mut file, Lane::Backlog);
    assert_eq!(times(&rest)["a"].len(), 6);
    assert_eq!(file.backlog, 0);
}

#[test]
fn a_sequence_number_is_never_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let mut file = open(folder.path());
        for _ in 0..1_500 {
            let id = file.next_id().unwrap();
            assert!(id.sequence > last, "{} after {last}", id.sequence);
            last = id.sequence;
        }
    }
    let mut file = open(folder.path());
    let before = file.next_id().unwrap();
    file.fork().unwrap();
    let after = file.next_id().unwrap();
    assert!(before.store != after.store && after.sequence == 1);
    drop(file);
    let again = open(folder.path()).next_id().unwrap();
    assert!(again.store == after.store && again.sequence > 1);
}

#[test]
fn a_receipt_for_rows_of_another_file_settles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    let taken = file.take(Lane::Live, ALL).unwrap().unwrap();
    let foreign = Cargo { store: BOOT, ..taken.cargo.clone() };
    file.settle(foreign, Settlement::default(), Duration::ZERO).unwrap();
    file.commit(None).unwrap();
    assert_eq!((file.backlog, contents(&file)), (1, vec![(file.places[0], T, false)]));
    file.settle(taken.cargo, Settlement::default(), Duration::ZERO).unwrap();
    assert_eq!(file.backlog, 0);
}

#[test]
fn one_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = open::open(settings(folder.path(), BOOT), Duration::ZERO).unwrap_err();
    assert!(matches!(second, OpenError::Locked { .. }), "{second}");
}

#[test]
fn devices_are_known_by_key_whatever_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    file.commit(Some(&flush(&[(0, &[T])]))).unwrap();
    drop(file);
    let keys = ["new", "b", "a"].map(str::to_owned).to_vec();
    let mut file = open::open(Settings { keys, ..settings(folder.path(), BOOT) }, Duration::ZERO).unwrap();
    file.commit(Some(&flush(&[(0, &[T + 1]), (2, &[T + 2])]))).unwrap();
    assert_eq!(times(&drain(&mut file, Lane::Backlog)), expect(&[("a", &[T, T + 2]), ("new", &[T + 1])]));
}

#[test]
fn the_history_is_newest_first_through_journal_and_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path());
    for n in 0..6 {
        file.commit(Some(&flush(&[(0, &[T + 2 * n, T + 2 * n + 1]), (1, &[T + n])]))).unwrap();
    }
    file.seal(Duration::ZERO).unwrap();
    let history = History { path: folder.path().join(open::FILE) };
    let newest = |key, limit| history.newest(key, limit).unwrap().iter().map(|r| r.time.0 - T).collect::<Vec<_>>();
    assert_eq!(newest("a", 100), (0..12).rev().collect::<Vec<_>>());
    assert_eq!(newest("a", 5), [11, 10, 9, 8, 7]);
    assert_eq!(newest("b", 2), [5, 4]);
    assert!(newest("ghost", 5).is_empty());
    file.commit(Some(&flush(&[(0, &[T + 20])]))).unwrap();
    let around = |span: std::ops::Range<i64>| {
        let mut seen = Vec::new();
        let each = |segment: &Segment| {
            seen.extend(segment.times.iter().map(|time| time - T));
            true
        };
        history.walk("a", T + span.start..T + span.end, each).unwrap();
        seen
    };
    // Newest first; the journal is looked through as a whole, of the segments only what is asked for.
    let newest = around(12..21);
    assert!(newest[0] == 20 && !newest.contains(&0), "{newest:?}");
    let sealed = around(0..3);
    assert!(sealed.contains(&0) && sealed.contains(&2) && !sealed.contains(&20), "{sealed:?}");
    assert_eq!(around(0..21).len(), 13);
}
