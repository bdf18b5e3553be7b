//! The store against its promises: nothing lost, nothing twice, whatever is cut short.

use std::collections::BTreeMap;
use std::path::Path;

use riverwatts_shared::batch::Item;
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
    Settings { dir: dir.to_owned(), max_bytes: 1 << 30, keys, boot }
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

/// Takes everything of a lane and settles it.
fn drain(file: &mut StoreFile, lane: Lane) -> Vec<Item> {
    let mut all = Vec::new();
    while let Some(Outgoing { items, cargo }) = file.take(lane, ALL).unwrap() {
        all.extend(items);
        file.settle(cargo, Settlement::default(), Duration::ZERO).unwrap();
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
    assert_eq!(times(&live.items), expect(&[("a", &[T + 3])]), "the newest first");
    assert_eq!(file.take(Lane::Live, ALL).unwrap(), None, "what was not taken live is backlog");
    let backlog = file.take(Lane::Backlog, Limits { units: 2, ..ALL }).unwrap().unwrap();
    assert_eq!(times(&backlog.items), expect(&[("a", &[T, T + 1])]));
    let rest = file.take(Lane::Backlog, ALL).unwrap().unwrap();
    assert_eq!(times(&rest.items), expect(&[("a", &[T + 2])]), "what is on its way is in one lane only");
    file.release(&live.cargo);
    assert_eq!(times(&file.take(Lane::Backlog, ALL).unwrap().unwrap().items), expect(&[("a", &[T + 3])]));
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
