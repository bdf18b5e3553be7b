//! Windows of a device as they are now: stored ones where they are in order, else computed from rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::window::window_edges;
use riverwatts_shared::rollup::{Cut, Point, Rollup};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;

use super::compute::{Points, fill, join, of_metric, points, roll_up_all, to_windows};
use super::max_gap_ms;
use crate::db::{Db, DbError};
use crate::readings::rollups::HOUR_MS;
use crate::readings::{DirtyHour, Readings, ReadingsError, Side, Window};
use crate::store::devices::NamedDevice;
use crate::store::gaps;

/// Hours whose rows are read at once.
pub const HOURS_AT_ONCE: usize = 6;

/// A device whose windows are wanted.
#[derive(Clone, Debug)]
pub struct Source<'r> {
    pub readings: &'r Readings,
    pub device: i64,
    pub max_gap_ms: i64,
    /// What is known to be missing of the span that is looked at.
    pub cuts: Arc<[Cut]>,
}

impl<'r> Source<'r> {
    /// For windows in `[from, to)`.
    pub async fn of(
        db: &Db,
        readings: &'r Readings,
        device: &NamedDevice,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Source<'r>, DbError> {
        let max_gap_ms = max_gap_ms(device.interval_ms);
        let (from, to) = (from.plus_ms(-max_gap_ms), to.plus_ms(max_gap_ms));
        let cuts = gaps::cuts(db, device.id, from, to).await?.into();
        Ok(Source { readings, device: device.number, max_gap_ms, cuts })
    }
}

impl Source<'_> {
    /// The points of all metrics in `[from, to)`, and those outside that lines and steps across its edges need.
    pub async fn points(&self, from: UtcMs, to: UtcMs) -> Result<Points, ReadingsError> {
        let (first, last) = (from.plus_ms(-self.max_gap_ms), to.plus_ms(self.max_gap_ms + 1));
        let segment = self.readings.segment(self.device, first, last).await?;
        let mut found = tokio::task::spawn_blocking(move || points(&segment)).await.expect("sums never panic");
        for (&metric, points) in found.iter_mut().filter(|(metric, _)| metric.is_counter()) {
            if points.first().is_some_and(|point| point.time >= from) {
                points.splice(0..0, self.nearest(metric, from, Side::Before).await?);
            }
            if points.last().is_some_and(|point| point.time < to) {
                points.extend(self.nearest(metric, to.plus_ms(-1), Side::After).await?);
            }
        }
        Ok(found)
    }

    /// The windows of a resolution up to an hour that begin in `[from, to)` and have points. Both
    /// are edges of such windows.
    pub async fn windows(
        &self,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
        dirty: &[DirtyHour],
    ) -> Result<Vec<Window>, ReadingsError> {
        let mut windows = self.readings.windows(self.device, resolution, from, to).await?;
        let dirty: Vec<DirtyHour> =
            dirty.iter().filter(|hour| hour.start() < to && hour.end() > from).copied().collect();
        windows.retain(|window| !dirty.iter().any(|hour| (hour.start()..hour.end()).contains(&window.start)));
        for run in runs(&dirty) {
            let (start, end) = (run[0].start().max(from), run[run.len() - 1].end().min(to));
            let points = self.points(start, end).await?;
            let edges = window_edges(resolution, &TimeZone::UTC, start, end);
            let (max_gap_ms, cuts) = (self.max_gap_ms, Arc::clone(&self.cuts));
            let computed = move || to_windows(&roll_up_all(&points, max_gap_ms, &cuts, &edges), &edges);
            windows.extend(tokio::task::spawn_blocking(computed).await.expect("sums never panic"));
        }
        windows.sort_unstable_by_key(|window| window.start);
        Ok(windows)
    }

    /// The windows between `edges`, days of some zone, that have points, from the widest stored windows
    /// that fit between them.
    pub async fn days(&self, edges: &[UtcMs], dirty: &[DirtyHour]) -> Result<Vec<Window>, ReadingsError> {
        let (from, to) = (edges[0], edges[edges.len() - 1]);
        let fits = |width_ms: i64| edges.iter().all(|edge| edge.0.rem_euclid(width_ms) == 0);
        let resolution = match () {
            () if fits(HOUR_MS) => Resolution::Hour,
            () if fits(HOUR_MS / 4) => Resolution::Quarter,
            () => Resolution::Minute,
        };
        let windows = self.windows(resolution, from, to, dirty).await?;
        let narrow = window_edges(resolution, &TimeZone::UTC, from, to);
        let widths: Vec<usize> = edges
            .windows(2)
            .map(|day| narrow.partition_point(|edge| *edge < day[1]) - narrow.partition_point(|edge| *edge < day[0]))
            .collect();
        let mut metrics: Vec<Metric> =
            windows.iter().flat_map(|window| window.metrics.iter().map(|(metric, _)| *metric)).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let mut rollups = BTreeMap::new();
        for metric in metrics {
            rollups.insert(metric, self.filled(&windows, metric, &narrow).await?);
        }
        Ok(to_windows(&join(&rollups, &widths), edges))
    }

    /// One metric of stored windows over neighbouring edges; those without points get what lines and
    /// steps from beside them give.
    pub async fn filled(
        &self,
        windows: &[Window],
        metric: Metric,
        edges: &[UtcMs],
    ) -> Result<Vec<Rollup>, ReadingsError> {
        let mut rollups = of_metric(windows, metric, edges);
        let is_empty = |rollup: Option<&Rollup>| rollup.is_some_and(|rollup| rollup.count == 0);
        let (mut before, mut after) = (None, None);
        if is_empty(rollups.first()) {
            before = self.beside(metric, edges[0], Side::Before).await?;
        }
        if is_empty(rollups.last()) {
            after = self.beside(metric, edges[edges.len() - 1].plus_ms(-1), Side::After).await?;
        }
        fill(&mut rollups, edges, metric, self.max_gap_ms, &self.cuts, before, after);
        Ok(rollups)
    }

    /// The nearest point of a metric on one side that can matter on the other.
    async fn beside(&self, metric: Metric, time: UtcMs, side: Side) -> Result<Option<Point>, ReadingsError> {
        if metric.is_counter() {
            return self.nearest(metric, time, side).await;
        }
        let reach = self.max_gap_ms + 1;
        let (from, to) = match side {
            Side::Before => (time.plus_ms(-reach), time),
            Side::After => (time.plus_ms(1), time.plus_ms(reach)),
        };
        let found = points(&self.readings.segment(self.device, from, to).await?).remove(&metric).unwrap_or_default();
        Ok(if side == Side::Before { found.last().copied() } else { found.first().copied() })
    }

    async fn nearest(&self, metric: Metric, time: UtcMs, side: Side) -> Result<Option<Point>, ReadingsError> {
        self.readings.nearest(self.device, metric, time, side).await
    }
}

/// Hours of one device, in order, in runs of neighbours, each of at most [`HOURS_AT_ONCE`].
pub fn runs(hours: &[DirtyHour]) -> impl Iterator<Item = &[DirtyHour]> {
    hours.chunk_by(|a, b| a.hour + 1 == b.hour).flat_map(|run| run.chunks(HOURS_AT_ONCE))
}
