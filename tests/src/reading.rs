//! Readings as panel and cloud show them, and whether they are what was there: each once, none
//! missing, with the numbers and at the time at which the Modbus server served them.

use std::collections::BTreeMap;
use std::fmt;

use riverwatts_shared::time::UtcMs;
use serde_json::Value;

use crate::modbus::Served;

/// One reading, as far as gateway and cloud must agree on it.
#[derive(Clone, PartialEq)]
pub struct Point {
    /// Its time.
    pub time: UtcMs,
    /// Its numbers by metric; a metric without a number, or that the device does not have, is not there.
    pub numbers: BTreeMap<String, f64>,
    /// Words by metric, where the quality is not ok.
    pub quality: BTreeMap<String, String>,
}

impl Point {
    /// Of a reading in the form of the API.
    pub fn of(reading: &Value) -> Point {
        let own = reading.as_object().unwrap().iter();
        let extra = reading["extra"].as_object().unwrap().iter();
        let numbers = own.chain(extra).filter_map(|(metric, value)| Some((metric.clone(), value.as_f64()?)));
        let quality = reading["quality"].as_object().unwrap().iter();
        Point {
            time: reading["timestamp"].as_str().unwrap().parse().unwrap(),
            numbers: numbers.filter(|(metric, _)| metric != "time_uncertainty_s").collect(),
            quality: quality.map(|(metric, word)| (metric.clone(), word.as_str().unwrap().to_owned())).collect(),
        }
    }

    /// Of many.
    pub fn all(readings: &[Value]) -> Vec<Point> {
        readings.iter().map(Point::of).collect()
    }

    /// What the counter of `counter.toml` said.
    pub fn count(&self) -> u64 {
        self.numbers["x_count"] as u64
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { time, numbers, quality } = self;
        write!(f, "{time} {numbers:?} {quality:?}")
    }
}

/// Every reading of the gateway is in the cloud, with the same time and numbers, and nothing else is.
///
/// # Panics
/// With what is missing or too much.
#[track_caller]
pub fn assert_same(gateway: &[Point], cloud: &[Point]) {
    let missing: Vec<&Point> = gateway.iter().filter(|point| !cloud.contains(point)).collect();
    let strange: Vec<&Point> = cloud.iter().filter(|point| !gateway.contains(point)).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing in the cloud: {missing:#?}\nonly there: {strange:#?}");
    assert_eq!(gateway.len(), cloud.len(), "readings of gateway and cloud");
}

/// Every reading was served, once, at its time or at most `tolerance_ms` from it, in this order.
///
/// # Panics
/// With the first that is not.
#[track_caller]
pub fn assert_true(points: &[Point], served: &[Served], tolerance_ms: i64) {
    let served: BTreeMap<u64, UtcMs> = served.iter().map(|served| (served.number, served.at)).collect();
    for pair in points.windows(2) {
        assert!(pair[0].time < pair[1].time && pair[0].count() < pair[1].count(), "not in order: {pair:#?}");
    }
    for point in points {
        let at = served.get(&point.count()).unwrap_or_else(|| panic!("never served: {point:#?}"));
        let off_ms = point.time.since_ms(*at);
        assert!(off_ms.abs() <= tolerance_ms, "{off_ms} ms off what was served at {at}: {point:#?}");
    }
}

/// Of the numbers that were served from the first to the last of `points`, how many are not among them.
pub fn missing_counts(points: &[Point]) -> u64 {
    match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.count() - first.count() + 1 - points.len() as u64,
        _ => 0,
    }
}
