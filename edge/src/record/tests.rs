//! What waits for the store: its times, its bound, its order.

use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::Polled;
use super::pending::{FLUSH_VALUES_MAX, Pending, VALUES_MAX};
use crate::clock::Dated;
use crate::store::Flush;

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
    Polled { device, monotonic: Duration::from_millis(ms), values: vec![Value::ok(Metric::POWER, 1)] }
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
    let told = pending.next().unwrap();
    assert_eq!((told.lost, told.segments.len()), (vec![(0, 3)], 0));
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
