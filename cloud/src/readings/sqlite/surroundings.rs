//! What stands before and after rows that are to be stored, and how far windows change with them: up
//! to the neighbours when those are near and complete, else as far as a line can reach; and a
//! counter's step changes the windows at both its ends, however far apart they are.

use std::sync::Arc;

use riverwatts_shared::metric::{CATALOGUE, Metric};
use riverwatts_shared::time::UtcMs;

use super::super::rollups::HOUR_MS;
use super::super::{ReadingsError, Rows, Side, StoredRow};
use super::latest::Latest;
use super::points;
use super::read::Readers;

/// What stands around rows, and what changes with them.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The nearest reading before them.
    pub before: Option<UtcMs>,
    /// The first reading that stood there already at their first time or later; it may be among them.
    pub after: Option<UtcMs>,
    /// How far before the first of them windows change, in ms.
    pub reach_before_ms: i64,
    /// How far after the last of them windows change, in ms.
    pub reach_after_ms: i64,
    /// Further hours that change: those of the counters' other ends.
    pub hours: Vec<i64>,
}

impl Surroundings {
    /// What stands around rows before they are stored; `latest` must know their device's past.
    pub fn of(rows: &Rows, readers: &Readers, latest: &Latest) -> Result<Surroundings, ReadingsError> {
        let mut around = Surroundings::default();
        let times = &rows.segment.times;
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Ok(around) };
        let Some(newest) = latest.get(&[rows.device]).pop() else { return Ok(around) };
        let (before, next, after) = if newest.time.0 < first {
            (Some(newest), None, None)
        } else {
            let beside =
                |time, side| points::beside(readers, rows.device, UtcMs(time), side).map(|row| row.map(Arc::new));
            let next = beside(first - 1, Side::After)?;
            let is_among = next.as_ref().is_some_and(|next| next.time.0 <= last);
            let after = if is_among { beside(last, Side::After)? } else { next.clone() };
            (beside(first, Side::Before)?, next, after)
        };
        around.before = before.as_ref().map(|row| row.time);
        around.after = next.as_ref().map(|row| row.time);
        around.reach_before_ms = around.reach(rows, UtcMs(first), before.as_deref(), Side::Before, readers)?;
        around.reach_after_ms = around.reach(rows, UtcMs(last), after.as_deref(), Side::After, readers)?;
        Ok(around)
    }

    /// How far windows change on one side of `time`, the outermost of the rows; notes the hours beyond.
    fn reach(
        &mut self,
        rows: &Rows,
        time: UtcMs,
        beside: Option<&StoredRow>,
        side: Side,
        readers: &Readers,
    ) -> Result<i64, ReadingsError> {
        let Some(beside) = beside else { return Ok(0) };
        let distance_ms = (time.0 - beside.time.0).abs();
        let metrics: Vec<Metric> = if rows.revision > 0 {
            // What a correction takes away counts too.
            CATALOGUE.iter().filter_map(|metric| Metric::numbered(metric.number.into()).ok()).collect()
        } else {
            rows.metrics().collect()
        };
        let is_complete = metrics.iter().all(|&metric| beside.summed(metric).is_some());
        if is_complete && distance_ms <= rows.reach_ms {
            return Ok(distance_ms);
        }
        for counter in metrics.into_iter().filter(|metric| metric.is_counter()) {
            let point = points::nearest(readers, rows.device, counter, time, side)?;
            self.hours.extend(point.map(|point| point.time.0.div_euclid(HOUR_MS)));
        }
        Ok(if is_complete { 0 } else { rows.reach_ms })
    }
}
