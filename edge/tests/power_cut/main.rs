//! Power cuts: a store at work is written down by a VFS, and cut at any instant, with whatever a
//! disk does to writes that no sync had followed. Then what was flushed is there exactly once, the
//! rest is at most one flush, and stands as a gap.
//!
//! `CUTS` says how many (200); `make soak` makes a thousand.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod disk;
mod vfs;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use disk::{Random, TAILS, Tail, cut};
use riverwatts_edge::store::{self, Flush, Lane, Limits, Outgoing, SEAL_EVERY, Settings, Settlement, Store};
use riverwatts_shared::batch::Item;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Gap, Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, ManualClock, UtcMs};
use riverwatts_shared::words::GapReason;
use uuid::Uuid;
use vfs::Operation;

/// When the readings begin, UTC ms.
const T: i64 = 1_795_508_000_000;
const KEYS: [&str; 2] = ["a", "b"];
/// How long the store is at work: some seals and some checkpoints.
const FLUSHES: i64 = 500;
/// Readings of a device in a flush.
const ROWS: i64 = 5;
const SEAL_AFTER: i64 = 60;

/// A store's life.
struct Life {
    operations: Vec<Operation>,
    /// How many operations there were when each flush was promised to be there.
    promised: Vec<usize>,
    /// The same when the store was told to close.
    closing: usize,
    /// The same when the receipt of a flush was taken, and the times that it settled.
    settled: Vec<(usize, BTreeSet<(usize, i64)>)>,
}

fn settings(folder: &Path, boot: u128) -> Settings {
    let keys = KEYS.map(str::to_owned).to_vec();
    Settings { dir: folder.to_owned(), max_bytes: 1 << 30, keep_free: None, keys, boot: Uuid::from_u128(boot) }
}

/// The reading of a device at a time: numbers that depend on both, and not smoothly.
fn reading(device: usize, ms: i64) -> Reading {
    let noise = Random(ms as u64 + device as u64).next();
    let values = (0..8).map(|n| Value::ok(Metric::canonical(n), (noise >> (8 * n)) as i64 & 0xFFFF));
    Reading { time: UtcMs(ms), values: values.collect() }
}

fn times(flush: i64) -> impl Iterator<Item = i64> {
    (flush * ROWS..(flush + 1) * ROWS).map(|n| T + n * 1_000)
}

fn flush(number: i64) -> Flush {
    let of = |device: usize| Segment::from_readings(&times(number).map(|ms| reading(device, ms)).collect::<Vec<_>>());
    let segments = (0..KEYS.len()).map(|device| (device as u16, of(device)));
    Flush { dated: true, segments: segments.collect(), ..Flush::default() }
}

fn identities(outgoing: &Outgoing) -> Vec<(usize, i64)> {
    let of = |key: &str, segment: &Segment| {
        let device = KEYS.iter().position(|known| *known == key).unwrap();
        segment.times.iter().map(|&ms| (device, ms)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for item in &outgoing.items {
        if let Item::Segment { device, segment } = item {
            found.extend(of(device, segment));
        }
    }
    for sealed in &outgoing.sealed {
        found.extend(of(&sealed.device, &Segment::decode(&sealed.bytes).unwrap()));
    }
    found
}

const ALL: Limits = Limits { units: 20, readings: 1_000_000, bytes: 1 << 30 };

/// Lets a store work, some batches settled, some not, and writes down what the disk sees.
async fn live() -> Life {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(UtcMs(T)));
    vfs::begin();
    let (store, _) = store::start(settings(folder.path(), 1), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let (mut promised, mut settled) = (Vec::new(), Vec::new());
    let mut random = Random(1);
    for number in 0..FLUSHES {
        store.flush(Arc::new(flush(number))).await.unwrap();
        promised.push(vfs::length());
        let lane = if random.below(3) == 0 { Lane::Backlog } else { Lane::Live };
        let limits = Limits { units: 1 + random.below(8), ..ALL };
        if random.below(3) > 0
            && let Some(outgoing) = store.take(lane, limits).await.unwrap()
        {
            if random.below(4) == 0 {
                store.release(outgoing.cargo).await;
            } else {
                settled.push((vfs::length(), identities(&outgoing).into_iter().collect()));
                store.settle(outgoing.cargo, Settlement::default()).await.unwrap();
            }
        }
        clock.advance(SEAL_EVERY / SEAL_AFTER as u32);
    }
    let closing = vfs::length();
    store.close().await.unwrap();
    Life { operations: vfs::end(), promised, closing, settled }
}

/// Every reading that is there, of each device.
fn stored(store: &Store) -> Vec<Vec<Reading>> {
    KEYS.iter().map(|key| store.history().newest(key, usize::MAX).unwrap()).collect()
}

/// Everything that goes to the cloud.
async fn drain(store: &Store) -> (Vec<(usize, i64)>, Vec<Gap>) {
    let (mut sent, mut gaps) = (Vec::new(), Vec::new());
    for lane in [Lane::Live, Lane::Backlog] {
        while let Some(outgoing) = store.take(lane, ALL).await.unwrap() {
            sent.extend(identities(&outgoing));
            gaps.extend(outgoing.items.iter().filter_map(|item| match item {
                Item::Gap(gap) => Some(gap.clone()),
                _ => None,
            }));
            store.settle(outgoing.cargo, Settlement::default()).await.unwrap();
        }
    }
    (sent, gaps)
}

/// Opens what the cut left and compares.
async fn check(life: &Life, at: usize, folder: &Path, words: &str) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UtcMs(T)));
    let (store, _) = store::start(settings(folder, 2), clock).unwrap_or_else(|error| panic!("{words}: {error}"));
    let kept: i64 = life.promised.partition_point(|&promised| promised <= at) as i64;
    let readings = stored(&store);
    let flushes = (readings[0].len() as i64) / ROWS;
    assert!((kept..=kept + 1).contains(&flushes), "{words}: {flushes} flushes are there, {kept} were promised");
    for (device, readings) in readings.iter().enumerate() {
        let mut there: Vec<&Reading> = readings.iter().collect();
        there.sort_by_key(|reading| reading.time);
        let expected: Vec<Reading> = (0..flushes).flat_map(times).map(|ms| reading(device, ms)).collect();
        assert!(there.into_iter().eq(&expected), "{words}: device {} has other readings", KEYS[device]);
    }

    // The first reading afterwards closes the gap.
    store.flush(Arc::new(flush(FLUSHES))).await.unwrap();
    let (sent, gaps) = drain(&store).await;
    let unique: BTreeSet<_> = sent.iter().copied().collect();
    assert_eq!(unique.len(), sent.len(), "{words}: sent twice");
    let told: BTreeSet<_> = life.settled.iter().filter(|(when, _)| *when <= at).flat_map(|(_, times)| times).collect();
    for identity in (0..flushes).flat_map(times).flat_map(|ms| [(0, ms), (1, ms)]) {
        assert!(unique.contains(&identity) || told.contains(&identity), "{words}: {identity:?} is never sent");
    }
    if at < life.closing && flushes > 0 {
        let last = times(flushes - 1).last().unwrap();
        let mut seen: Vec<_> = gaps.iter().map(|gap| (gap.reason, gap.from.0)).collect();
        seen.dedup();
        assert_eq!((gaps.len(), seen), (KEYS.len(), vec![(GapReason::UncleanStop, last)]), "{words}: {gaps:?}");
    }
    store.close().await.unwrap();
    let aside = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside: Vec<_> = aside.filter(|name| !["store.db", "store.lock"].contains(&name.as_str())).collect();
    assert_eq!(aside, Vec::<String>::new(), "{words}: nothing has to be set aside");
}

#[tokio::test]
async fn a_power_cut_at_any_instant_costs_one_flush_at_most_and_leaves_a_gap() {
    let cuts: usize = std::env::var("CUTS").ok().map_or(200, |text| text.parse().expect("CUTS is a number"));
    let life = live().await;
    let syncs = life.operations.iter().filter(|operation| matches!(operation, Operation::Sync { .. })).count();
    assert!(syncs > FLUSHES as usize, "every flush is synced");
    let into_file = |operation: &&Operation| matches!(operation, Operation::Write { file, .. } if file == "store.db");
    assert!(life.operations.iter().filter(into_file).count() > 100, "pages moved from the log to the file");
    for round in 0..cuts {
        let mut random = Random(round as u64);
        let (tail, at) = (TAILS[round % TAILS.len()], random.below(life.operations.len()));
        let folder = tempfile::tempdir().unwrap();
        cut(&life.operations[..at], tail, &mut random, folder.path());
        check(&life, at, folder.path(), &format!("cut {round}, {tail:?} behind operation {at}")).await;
    }
}

#[test]
fn the_disk_of_this_test_keeps_what_was_synced_and_may_lose_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let write = |offset, bytes: &[u8]| Operation::Write { file: "f".to_owned(), offset, bytes: bytes.to_vec() };
    let operations = [write(0, b"ab"), Operation::Sync { file: "f".to_owned() }, write(1, b"cd")];
    for tail in TAILS {
        let mut left = BTreeSet::new();
        for seed in 0..50 {
            cut(&operations, tail, &mut Random(seed), folder.path());
            left.insert(std::fs::read(folder.path().join("f")).unwrap());
        }
        let expected: &[&[u8]] = match tail {
            Tail::Whole => &[b"acd"],
            Tail::Dropped | Tail::Reordered => &[b"ab", b"acd"],
            Tail::Torn => &[b"ab", b"ac", b"acd"],
        };
        assert!(left.iter().map(Vec::as_slice).eq(expected.iter().copied()), "{tail:?}: {left:?}");
    }
}
