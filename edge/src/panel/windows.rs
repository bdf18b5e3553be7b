//! Stored readings of a span as windows, in the shape of the cloud's, so that a chart of hours is a
//! small answer: the lowest, the highest and the mean of each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::segment::{Column, Segment};
use riverwatts_shared::time::UtcMs;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::PanelError;
use super::bodies::number;

/// Windows of an answer, unless asked for fewer or more, and most of them, for each metric.
const POINTS_DEFAULT: u16 = 300;
const POINTS_MAX: u16 = 2_000;
/// Most metrics of an answer.
const METRICS_MAX: usize = 8;
/// Span unless asked for another, and the longest: the store keeps no more of what the cloud has.
const SPAN_DEFAULT_MS: i64 = 3_600_000;
const SPAN_MAX_MS: i64 = 8 * 86_400_000;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    metric: String,
    from: Option<UtcMs>,
    to: Option<UtcMs>,
    points: Option<u16>,
}

/// What is asked for, filled with readings.
#[derive(Debug)]
pub(super) struct Windows {
    span: Range<i64>,
    width_ms: i64,
    /// Windows that are further apart than this have a hole between them.
    hole_ms: i64,
    metrics: BTreeMap<String, BTreeMap<i64, Window>>,
}

#[derive(Debug)]
struct Window {
    metric: Metric,
    count: i64,
    min: i64,
    max: i64,
    sum: i128,
}

impl Windows {
    /// Empty ones; none is narrower than the device's `interval`.
    pub(super) fn of(asked: Asked, interval: Duration, hole: Duration, now: UtcMs) -> Result<Windows, PanelError> {
        let wrong = |field, message: String| Err(PanelError::Parameter(field, message));
        let metrics: BTreeMap<_, _> = asked.metric.split(',').map(|name| (name.to_owned(), BTreeMap::new())).collect();
        if metrics.len() > METRICS_MAX {
            return wrong("metric", format!("write at most {METRICS_MAX} names"));
        }
        let points = asked.points.unwrap_or(POINTS_DEFAULT);
        if !(1..=POINTS_MAX).contains(&points) {
            return wrong("points", format!("write a whole number from 1 to {POINTS_MAX}"));
        }
        let to = asked.to.unwrap_or(now).0;
        let from = asked.from.map_or(to.saturating_sub(SPAN_DEFAULT_MS), |from| from.0);
        if from >= to {
            return wrong("from", "write a time before to".to_owned());
        }
        let from = from.max(to.saturating_sub(SPAN_MAX_MS));
        let width_ms = ((to - from) / i64::from(points)).max(interval.as_millis() as i64).max(1);
        Ok(Windows { span: from..to, width_ms, hole_ms: hole.as_millis() as i64, metrics })
    }

    pub(super) fn span(&self) -> Range<i64> {
        self.span.clone()
    }

    pub(super) fn add(&mut self, segment: &Segment) {
        for column in &segment.columns {
            if let Some(windows) = self.metrics.get_mut(column.metric.name()) {
                for (row, time) in segment.times.iter().enumerate().filter(|(_, time)| self.span.contains(time)) {
                    add(windows.entry((time - self.span.start) / self.width_ms), column, row);
                }
            }
        }
    }

    /// In order of metric and time. Where readings are missing stands one window without values.
    pub(super) fn body(&self) -> Json {
        let mut buckets = Vec::new();
        for (name, windows) in &self.metrics {
            let mut end = i64::MAX;
            for (place, window) in windows {
                let start = self.span.start + place * self.width_ms;
                if start.saturating_sub(end) > self.hole_ms {
                    buckets.push(bucket(name, end..start, None));
                }
                end = start + self.width_ms;
                buckets.push(bucket(name, start..end, Some(window)));
            }
        }
        json!({"buckets": buckets})
    }
}

fn add(window: std::collections::btree_map::Entry<'_, i64, Window>, column: &Column, row: usize) {
    let value = column.value(row).filter(|value| !value.quality.kept_out_of_rollups()).and_then(|value| value.value);
    let Some(value) = value else { return };
    let empty = Window { metric: column.metric, count: 0, min: value, max: value, sum: 0 };
    let window = window.or_insert(empty);
    window.count += 1;
    window.min = window.min.min(value);
    window.max = window.max.max(value);
    window.sum += i128::from(value);
}

fn bucket(name: &str, span: Range<i64>, window: Option<&Window>) -> Json {
    let of = |value: fn(&Window) -> i64| window.and_then(|window| number(window.metric, value(window)));
    json!({
        "metric": name,
        "start": UtcMs(span.start),
        "end": UtcMs(span.end),
        "count": window.map_or(0, |window| window.count),
        "min": of(|window| window.min),
        "max": of(|window| window.max),
        // Between the lowest and the highest, which fit.
        "mean": of(|window| (window.sum / i128::from(window.count)) as i64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::words::Quality;

    fn windows(points: u16) -> Windows {
        let asked = Asked {
            metric: "power_output_kw,x_none".to_owned(),
            from: Some(UtcMs(0)),
            to: Some(UtcMs(60_000)),
            points: Some(points),
        };
        Windows::of(asked, Duration::from_secs(1), Duration::from_secs(3), UtcMs(0)).unwrap()
    }

    fn segment(readings: &[(i64, i64, Quality)]) -> Segment {
        let readings = readings.iter().map(|&(second, kw, quality)| Reading {
            time: UtcMs(second * 1_000),
            values: vec![Value { quality, ..Value::ok(Metric::POWER, kw * 1_000_000) }],
        });
        Segment::from_readings(&readings.collect::<Vec<_>>())
    }

    #[test]
    fn a_window_has_the_extremes_and_the_mean_of_what_is_to_be_believed() {
        let mut windows = windows(6);
        windows.add(&segment(&[(10, 1, Quality::Ok), (11, 99, Quality::Range), (12, 4, Quality::Estimated)]));
        // Older ones come later, and one before the span not at all.
        windows.add(&segment(&[(-1, 50, Quality::Ok), (9, 7, Quality::Ok)]));
        assert_eq!(
            windows.body(),
            json!({"buckets": [
                {"metric": "power_output_kw", "start": UtcMs(0), "end": UtcMs(10_000), "count": 1, "min": 7, "max": 7, "mean": 7},
                {"metric": "power_output_kw", "start": UtcMs(10_000), "end": UtcMs(20_000), "count": 2, "min": 1, "max": 4, "mean": 2.5},
            ]})
        );
    }

    #[test]
    fn a_hole_is_one_window_without_values_and_a_missed_poll_is_none() {
        let mut windows = windows(POINTS_MAX);
        windows.add(&segment(&[(1, 1, Quality::Ok), (3, 1, Quality::Ok), (30, 1, Quality::Ok)]));
        let body = windows.body();
        let counts: Vec<_> = body["buckets"].as_array().unwrap().iter().map(|bucket| &bucket["count"]).collect();
        assert_eq!(counts, [1, 1, 0, 1]);
        let hole = &body["buckets"][2];
        assert_eq!((&hole["start"], &hole["end"]), (&json!(UtcMs(4_000)), &json!(UtcMs(30_000))));
        assert_eq!((&hole["mean"], &hole["min"]), (&Json::Null, &Json::Null));
    }
}
