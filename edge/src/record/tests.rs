//! What waits for the store: its times, its bound, its order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::{Clock, ManualClock, UtcMs};
use riverwatts_shared::words::Quality;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;

use super::pending::{FLUSH_VALUES_MAX, Pending, VALUES_MAX};
use super::{FromBus, Polled, Recorded, Recorder};
use crate::clock::{Dated, SiteTime, Timekeeper};
use crate::store::{self, Flush, Store};

/// A time like those of readings.
const T: i64 = 1_795_508_000_000;

fn untrusted(_: Duration) -> Option<Dated> {
    None
}

fn exact(monotonic: Duration) -> Option<Dated> {
    doubtful(0)(monotonic)
}

fn doubtful(uncertainty_s: u32) -> impl Fn(Duration) -> Option<Dated> {
    move |monotonic| {
        let time = UtcMs(T + monotonic.as_millis() as i64);
        Some(Dated { time, uncertainty_s, quality: Quality::Ok })
    }
}

fn polled(device: u16, ms: u64) -> Polled {
    Polled { device, monotonic: Duration::from_millis(ms), values: vec![Value::ok(Metric::POWER, 1)], lost_before: 0 }
}

fn pending() -> Pending {
    Pending::new(&[(None, None); 2])
}

/// Whether it is dated, and the times of each device.
fn told(flush: &Flush) -> (bool, Vec<(u16, Vec<i64>)>) {
    (flush.dated, flush.segments.iter().map(|(place, segment)| (*place, segment.times.clone())).collect())
}

#[test]
fn a_flush_is_dated_or_it_is_not() {
    let mut pending = pending();
    assert_eq!(pending.add(polled(0, 10), &untrusted), None);
    pending.add(polled(1, 11), &untrusted);
    pending.close(&untrusted);
    pending.add(polled(0, 20), &untrusted);
    pending.add(polled(1, 21), &untrusted);
    assert_eq!(pending.add(polled(0, 30), &exact), Some(UtcMs(T + 30)));
    pending.close(&exact);
    assert_eq!(told(&pending.next().unwrap()), (false, vec![(0, vec![10]), (1, vec![11])]));
    assert_eq!(told(&pending.next().unwrap()), (true, vec![(0, vec![T + 20, T + 30]), (1, vec![T + 21])]));
    assert_eq!(pending.next(), None);
}

#[test]
fn no_device_has_a_time_twice() {
    let mut pending = Pending::new(&[(Some(T + 10), Some(10)), (None, None)]);
    for ms in [9, 10, 10] {
        pending.add(polled(0, ms), &exact);
    }
    pending.close(&exact);
    assert_eq!(told(&pending.next().unwrap()), (true, vec![(0, vec![T + 11, T + 12, T + 13])]));
    pending.add(polled(0, 9), &untrusted);
    pending.close(&untrusted);
    assert_eq!(told(&pending.next().unwrap()), (false, vec![(0, vec![11])]));
}

#[test]
fn what_is_dated_afterwards_by_a_doubtful_clock_says_so() {
    let qualities = |first: u32| {
        let mut pending = pending();
        let date = doubtful(first);
        pending.add(polled(0, 10), &untrusted);
        pending.add(polled(0, 20), &date);
        pending.close(&date);
        let (_, segment) = pending.next().unwrap().segments.remove(0);
        (segment.time_uncertainty_s, [0, 1].map(|row| segment.reading(row).values[0].quality))
    };
    assert_eq!(qualities(2), (2, [Quality::Redated, Quality::Ok]));
    assert_eq!(qualities(0), (0, [Quality::Ok, Quality::Ok]));
}

#[test]
fn a_flush_that_was_not_committed_has_its_turn_again_before_later_ones() {
    let mut pending = pending();
    for ms in [10, 20] {
        pending.add(polled(0, ms), &exact);
        pending.close(&exact);
    }
    let first = pending.next().unwrap();
    pending.put_back(first.clone());
    let flush = pending.next().unwrap();
    assert_eq!(flush, first);
    pending.committed(&flush);
    assert_eq!(pending.readings(), 1);
}

#[test]
fn beyond_the_bound_the_oldest_are_lost_and_counted() {
    let mut pending = pending();
    let all = VALUES_MAX as u64;
    for ms in 0..all {
        pending.add(polled((ms % 2) as u16, ms), &exact);
        if ms % 100 == 99 {
            pending.close(&exact);
        }
    }
    let first = pending.next().unwrap();
    pending.put_back(first);
    pending.add(polled(0, all), &exact);
    assert_eq!(pending.readings(), all - 99);
    let next = pending.next().unwrap();
    assert_eq!(next.lost, [(0, 50), (1, 50)]);
    assert_eq!(next.segments[0].1.times[0], T + 100, "the second flush is the oldest now");
}

#[test]
fn without_a_flush_single_readings_are_lost_and_that_is_told_alone() {
    let mut pending = pending();
    for ms in 0..VALUES_MAX as u64 + 3 {
        pending.add(polled(0, ms), &exact);
    }
    assert_eq!(pending.readings(), VALUES_MAX as u64);
    assert_eq!(pending.next(), None);
    pending.close(&exact);
    let told = pending.next().unwrap();
    assert_eq!((told.lost, told.segments[0].1.times[0]), (vec![(0, 3)], T + 3));
}

#[test]
fn what_is_lost_behind_a_flush_that_the_store_has_in_hand_is_told_by_the_one_that_follows_it() {
    let mut pending = pending();
    let half = VALUES_MAX as u64 / 2;
    let fill = |pending: &mut Pending, from: u64| {
        (from..from + half).for_each(|ms| assert!(pending.add(polled(0, ms), &exact).is_some()));
        pending.close(&exact);
    };
    fill(&mut pending, 0);
    let in_hand = pending.next().unwrap();
    fill(&mut pending, half);
    fill(&mut pending, 2 * half);
    pending.put_back(in_hand);
    let told: Vec<_> =
        std::iter::from_fn(|| pending.next()).map(|flush| (flush.segments[0].1.times[0] - T, flush.lost)).collect();
    assert_eq!(told, [(0, vec![]), (2 * half as i64, vec![(0, half)])]);
}

#[test]
fn readings_lost_on_the_way_here_are_told_where_they_are_missing() {
    let mut pending = pending();
    pending.add(polled(0, 10), &exact);
    pending.add(polled(1, 11), &exact);
    pending.add(Polled { lost_before: 2, ..polled(0, 40) }, &exact);
    pending.add(Polled { lost_before: 1, ..polled(1, 41) }, &exact);
    pending.add(polled(0, 50), &exact);
    pending.close(&exact);
    let first = pending.next().unwrap();
    assert_eq!((told(&first).1, first.lost), (vec![(0, vec![T + 10]), (1, vec![T + 11])], vec![]));
    let second = pending.next().unwrap();
    assert_eq!(told(&second).1, vec![(0, vec![T + 40, T + 50]), (1, vec![T + 41])]);
    assert_eq!(second.lost, [(0, 2), (1, 1)]);
}

#[test]
fn a_flush_that_is_large_enough_does_not_wait_for_its_time() {
    let mut pending = pending();
    for ms in 0..FLUSH_VALUES_MAX as u64 {
        assert!(!pending.is_full());
        pending.add(polled(0, ms), &exact);
    }
    assert!(pending.is_full());
    pending.close(&exact);
    assert!(!pending.is_full());
}

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    to_recorder: mpsc::Sender<FromBus>,
    recorded: Arc<Recorded>,
    store: Store,
    upload_every: watch::Sender<Duration>,
    task: tokio::task::JoinHandle<()>,
}

fn start(dir: &Path, flush: Duration) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UtcMs(T)));
    let keys = vec!["a".to_owned()];
    let settings =
        store::Settings { dir: dir.to_owned(), max_bytes: 1 << 30, keep_free: None, keys, boot: Uuid::from_u128(1) };
    let (store, left) = store::start(settings, Arc::clone(&clock)).unwrap();
    let time = Arc::new(SiteTime::new(clock, Timekeeper::new(left.anchor, left.floor_ms, Duration::ZERO)));
    let recorded = Arc::new(Recorded::new(1));
    let (upload_every, every) = watch::channel(Duration::from_secs(3_600));
    let (to_recorder, from_buses) = mpsc::channel(64);
    let recorder = Recorder::new(store.clone(), time, Arc::clone(&recorded), &left.last, flush, every, || true);
    let task = tokio::spawn(recorder.run(from_buses));
    Running { to_recorder, recorded, store, upload_every, task }
}

impl Running {
    async fn read(&self, ms: u64) {
        self.to_recorder.send(FromBus::Polled(polled(0, ms))).await.unwrap();
    }

    async fn committed(&self, flush: i64) {
        let mut committed = self.store.committed();
        timeout(PATIENCE, committed.wait_for(|newest| *newest >= flush)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_time_server_dates_the_flush_and_the_panel_sees_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), Duration::from_millis(20));
    running.read(5).await;
    running.committed(1).await;
    assert_eq!(running.store.history().newest("a", 9).unwrap()[0].time, UtcMs(T + 5));
    let latest = running.recorded.latest(0).unwrap();
    assert_eq!((latest.monotonic, latest.values.len()), (Duration::from_millis(5), 1));
}

#[tokio::test]
async fn flushes_follow_the_interval_of_the_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), Duration::from_secs(3_600));
    running.read(5).await;
    running.upload_every.send_replace(Duration::from_millis(20));
    running.committed(1).await;
}

#[tokio::test]
async fn what_was_read_is_in_the_store_when_the_recorder_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let Running { to_recorder, recorded, store, upload_every, task } = start(folder.path(), Duration::from_secs(3_600));
    drop(upload_every);
    for ms in 0..50 {
        to_recorder.send(FromBus::Polled(polled(0, ms))).await.unwrap();
    }
    drop(to_recorder);
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(store.history().newest("a", 99).unwrap().len(), 50);
    assert_eq!(recorded.unflushed(), 0);
}
