//! Runs against one pass over all points, and what ends them.

use std::sync::Arc;

use proptest::prelude::*;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;

use super::super::compute::change_of_points;
use super::*;

const GAP_MS: i64 = 120_000;
const START: i64 = 480_000 * HOUR_MS;

/// A device whose readings are committed one piece after the other.
struct Device {
    live: Live,
    stored: Vec<Reading>,
    versions: HashMap<i64, u64>,
    number: u64,
}

impl Device {
    fn new() -> Device {
        Device { live: Live::default(), stored: Vec::new(), versions: HashMap::new(), number: 0 }
    }

    /// Commits readings as the store would tell of it.
    fn commit(&mut self, readings: &[Reading]) -> Vec<Change> {
        let (first, last) = (readings[0].time, readings[readings.len() - 1].time);
        let before = self.stored.iter().map(|reading| reading.time).filter(|&time| time < first).max();
        let after = self.stored.iter().map(|reading| reading.time).filter(|&time| time >= first).min();
        let from = before.filter(|&before| first.since_ms(before) <= GAP_MS).unwrap_or(first);
        let to = after.filter(|&after| after > last && after.since_ms(last) <= GAP_MS).unwrap_or(last);
        let mut hours = Vec::new();
        // The counter's step changes the windows at its other end too.
        let touched: std::collections::BTreeSet<i64> =
            (hour_of(from)..=hour_of(to)).chain(before.map(hour_of)).chain(after.map(hour_of)).collect();
        for hour in touched {
            let version = self.versions.entry(hour).or_default();
            *version += 1;
            hours.push((hour, *version));
        }
        self.number += 1;
        self.stored.extend_from_slice(readings);
        self.stored.sort_by_key(|reading| reading.time);
        let rows = Rows::new(Segment::from_readings(readings), last, 0).of_device(7, GAP_MS);
        let rows = Some(Arc::new(rows));
        let changes = self.live.take(&Commit { number: self.number, device: 7, rows, before, after, hours });
        let open =
            self.versions.iter().map(|(&hour, &version)| DirtyHour { device: 7, hour, version, untouched_ms: 0 });
        let known: Vec<Change> = open.filter_map(|hour| self.live.look(&hour)).collect();
        self.check(&known);
        changes
    }

    /// Hours that were given away are those of all points, and clean what the store last said.
    fn check(&self, changes: &[Change]) -> Vec<i64> {
        let mut hours = Vec::new();
        if changes.is_empty() {
            return hours;
        }
        let points = points(&Segment::from_readings(&self.stored));
        for change in changes {
            let hour = change.done[0];
            let expected = change_of_points(7, &points, GAP_MS, &[], hour.start(), hour.end());
            assert_eq!((&change.windows, &change.replaced), (&expected.windows, &expected.replaced));
            assert_eq!(hour.version, self.versions[&hour.hour]);
            hours.push(hour.hour - START / HOUR_MS);
        }
        hours
    }
}

fn readings(from_s: i64, count: i64, step_ms: i64) -> Vec<Reading> {
    let reading = |i: i64| {
        let time = UtcMs(START + from_s * 1_000 + i * step_ms);
        let power = Value::ok(Metric::POWER, time.0 % 7_919 * 1_000);
        Reading { time, values: vec![power, Value::ok(Metric::ENERGY, time.since_ms(UtcMs(START)) / 1_000)] }
    };
    (0..count).map(reading).collect()
}

#[test]
fn a_steady_stream_gives_each_hour_away_once() {
    let mut device = Device::new();
    let mut given = Vec::new();
    for piece in 0..55 {
        let changes = device.commit(&readings(piece * 200, 50, 4_000));
        given.extend(device.check(&changes));
    }
    assert_eq!(given, [0, 1, 2]);
}

#[test]
fn a_stream_that_begins_after_others_leaves_its_first_hour() {
    let mut device = Device::new();
    device.commit(&readings(100, 1, 1_000));
    device.live = Live { number: device.number, ..Live::default() };
    let changes = device.commit(&readings(600, 8_000, 1_000));
    assert_eq!(device.check(&changes), [1]);
}

#[test]
fn a_backlog_is_followed_beside_the_live_stream() {
    let mut device = Device::new();
    let mut given = Vec::new();
    device.commit(&readings(0, 600, 1_000));
    for piece in 0..58 {
        for part in [readings(36_000 + piece * 10, 1, 1_000), readings(600 + piece * 600, 20, 30_000)] {
            let changes = device.commit(&part);
            given.extend(device.check(&changes));
        }
    }
    given.sort_unstable();
    // The stream's first counter reading ended the run of hour 0; hour 9 is not over in the backlog.
    assert_eq!(given, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn whatever_does_not_fit_leaves_the_hour_to_the_worker() {
    let stream = |device: &mut Device, from_s: i64| device.commit(&readings(from_s, 1_000, 1_000));
    for disturb in [
        // Late, between, into the open hour.
        |device: &mut Device| drop(device.commit(&readings(50, 1, 1_000).iter().map(|r| at(r, 1)).collect::<Vec<_>>())),
        // A commit that did not get here.
        |device: &mut Device| device.number += 1,
        // A metric that was not there before.
        |device: &mut Device| {
            let mut odd = readings(2_000, 1, 1_000);
            odd[0].values.push(Value::ok(Metric::named("rotor_rpm").unwrap(), 1));
            drop(device.commit(&odd));
        },
        // A metric that is there no more.
        |device: &mut Device| {
            let mut odd = readings(2_000, 1, 1_000);
            odd[0].values.truncate(0);
            drop(device.commit(&odd));
            device.live.devices.clear();
        },
    ] {
        let mut device = Device::new();
        assert!(stream(&mut device, 0).is_empty());
        assert!(stream(&mut device, 1_000).is_empty());
        disturb(&mut device);
        assert!(stream(&mut device, 2_500).is_empty());
        let changes = stream(&mut device, 3_500);
        assert_eq!(device.check(&changes), Vec::<i64>::new());
    }
}

#[test]
fn an_hour_that_is_not_over_can_be_looked_at() {
    let mut device = Device::new();
    let hour = |version| DirtyHour { device: 7, hour: START / HOUR_MS, version, untouched_ms: 0 };
    device.commit(&readings(0, 600, 1_000));
    assert!(device.live.look(&hour(1)).is_some());
    assert!(device.live.look(&hour(2)).is_none());
    // With something later in the same hour the run does not know all of it.
    device.commit(&readings(1_800, 60, 1_000));
    device.commit(&readings(600, 60, 1_000));
    assert!((1..9).all(|version| device.live.look(&hour(version)).is_none()));
}

#[test]
fn the_runs_are_bounded() {
    let mut live = Live::default();
    for device in 0..2 * RUNS_MAX as i64 {
        let rows = Some(Arc::new(Rows::new(Segment::from_readings(&readings(0, 3, 1_000)), UtcMs(0), 0)));
        let number = device as u64 + 1;
        live.take(&Commit { number, device, rows, before: None, after: None, hours: vec![(START / HOUR_MS, 1)] });
    }
    assert_eq!((live.runs, live.devices.len()), (RUNS_MAX, RUNS_MAX));
    assert!(live.devices.keys().all(|&device| device >= RUNS_MAX as i64));
}

fn at(reading: &Reading, later_ms: i64) -> Reading {
    Reading { time: reading.time.plus_ms(later_ms), ..reading.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Pieces of any length and step, some of them late: what is given away is always right.
    #[test]
    fn what_is_given_away_is_what_the_worker_would_compute(
        pieces in prop::collection::vec((1i64..200, 1_000i64..30_000, 0i64..400, prop::bool::weighted(0.1)), 1..60),
    ) {
        let mut device = Device::new();
        let mut next_ms = 0;
        for (count, step_ms, pause_s, is_late) in pieces {
            let start = next_ms + pause_s * 1_000 + step_ms;
            if is_late && device.stored.len() > 10 {
                let middle = device.stored[device.stored.len() / 2].clone();
                let late = at(&middle, 1);
                if device.stored.iter().all(|stored| stored.time != late.time) {
                    let changes = device.commit(&[late]);
                    device.check(&changes);
                }
            }
            let piece = readings(0, count, step_ms).iter().map(|reading| at(reading, start)).collect::<Vec<_>>();
            next_ms = start + (count - 1) * step_ms;
            let changes = device.commit(&piece);
            device.check(&changes);
        }
    }
}
