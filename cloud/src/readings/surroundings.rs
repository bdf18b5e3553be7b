//! What stands before and after rows that are to be stored, and how far windows change with them: up
//! to the neighbours when those are near and complete, else as far as a line can reach; and a
//! counter's step changes the windows at both its ends, however far apart they are.

use std::ops::Range;

use riverwatts_shared::metric::{CATALOGUE, Metric};
use riverwatts_shared::rollup::Point;
use riverwatts_shared::time::UtcMs;

use super::rollups::HOUR_MS;
use super::{Rows, Side, StoredRow};

/// What stands around rows, and what changes with them.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The nearest reading before them.
    pub before: Option<UtcMs>,
    /// The first reading that stood there already at their first time or later; it may be among them.
    pub after: Option<UtcMs>,
    /// How far before the first of them windows change, in ms.
    reach_before_ms: i64,
    /// How far after the last of them windows change, in ms.
    reach_after_ms: i64,
    /// Further hours that change: those of the counters' other ends.
    hours: Vec<i64>,
}

impl Surroundings {
    /// Takes the neighbour on one side; answers the counters whose nearest values there count too.
    #[must_use]
    pub fn meet(&mut self, rows: &Rows, side: Side, beside: Option<&StoredRow>) -> Vec<Metric> {
        let times = &rows.segment.times;
        let (Some(beside), Some(&first), Some(&last)) = (beside, times.first(), times.last()) else {
            return Vec::new();
        };
        let metrics: Vec<Metric> = if rows.revision > 0 {
            // What a correction takes away counts too.
            CATALOGUE.iter().filter_map(|metric| Metric::numbered(metric.number.into()).ok()).collect()
        } else {
            rows.metrics().collect()
        };
        let is_complete = metrics.iter().all(|&metric| beside.summed(metric).is_some());
        let (distance_ms, reach_ms) = match side {
            Side::Before => (first - beside.time.0, &mut self.reach_before_ms),
            Side::After => (beside.time.0 - last, &mut self.reach_after_ms),
        };
        if is_complete && distance_ms <= rows.reach_ms {
            *reach_ms = distance_ms;
            return Vec::new();
        }
        *reach_ms = if is_complete { 0 } else { rows.reach_ms };
        metrics.into_iter().filter(|metric| metric.is_counter()).collect()
    }

    /// Notes the other end of a counter's step.
    pub fn note(&mut self, end: Option<Point>) {
        self.hours.extend(end.map(|point| point.time.0.div_euclid(HOUR_MS)));
    }

    /// The hours whose windows change when these of the rows are new.
    pub fn hours(&self, rows: &Rows, changed: Range<usize>) -> impl Iterator<Item = i64> {
        // What stands beside rows in the middle is not looked at.
        let before = if changed.start == 0 { self.reach_before_ms } else { rows.reach_ms };
        let after = if changed.end == rows.count() { self.reach_after_ms } else { rows.reach_ms };
        let from = rows.segment.times[changed.start] - before;
        let to = rows.segment.times[changed.end - 1] + after;
        (from.div_euclid(HOUR_MS)..=to.div_euclid(HOUR_MS)).chain(self.hours.iter().copied())
    }
}
