//! What metrics of a device came to, window by window.

use jiff::tz::TimeZone;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::Rollup;
use riverwatts_shared::rollup::window::window_edges;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;

use super::source::Source;
use crate::db::{Db, DbError};
use crate::readings::{DirtyHour, Readings, ReadingsError, Window};
use crate::store::devices::NamedDevice;

/// Most windows, over all metrics, in one answer.
pub const BUCKETS_MAX: usize = 20_000;
/// Most hours that are computed from rows for one answer.
const HOURS_MAX: usize = 14 * 24;
/// Days whose hours are read at once.
const DAYS_AT_ONCE: usize = 31;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// More windows than one answer holds: ask for wider ones, or for a shorter span.
    #[error("more than {BUCKETS_MAX} windows; take a wider resolution or a shorter span")]
    TooMany,
    /// Much came late and the worker is not through with it: try later.
    #[error("{0} hours wait to be rolled up")]
    Behind(usize),
    /// Of the records.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Of the readings.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
}

/// What is wanted of a device: windows that touch `[from, to)`.
#[derive(Clone, Debug)]
pub struct BucketsQuery {
    /// The device.
    pub device: NamedDevice,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// First instant.
    pub from: UtcMs,
    /// One past the last instant; later than `from`.
    pub to: UtcMs,
    /// Width of the windows.
    pub resolution: Resolution,
    /// IANA name of the zone whose days they are.
    pub timezone: String,
    /// The same zone.
    pub zone: TimeZone,
}

/// Windows between neighbouring edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// One more than there are windows.
    pub edges: Vec<UtcMs>,
    /// In the order in which the metrics were asked for.
    pub series: Vec<Series>,
}

/// One metric, window by window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which.
    pub metric: Metric,
    /// One a window.
    pub rollups: Vec<Rollup>,
}

/// The narrowest resolution in which `[from, to)` touches at most `points` windows; days if there is none.
pub fn finest(from: UtcMs, to: UtcMs, points: u32) -> Resolution {
    let span_ms = i128::from(to.0) - i128::from(from.0);
    let fits = |width_ms: i128| span_ms.div_euclid(width_ms) + 1 < i128::from(points);
    match () {
        () if fits(60_000) => Resolution::Minute,
        () if fits(900_000) => Resolution::Quarter,
        () if fits(3_600_000) => Resolution::Hour,
        () => Resolution::Day,
    }
}

/// The windows that `query` asks for; exact whatever came late.
pub async fn buckets(db: &Db, readings: &Readings, query: &BucketsQuery) -> Result<Buckets, RollupError> {
    let windows_max = BUCKETS_MAX / query.metrics.len().max(1);
    // Days may be an hour shorter; edges outside the span add one window.
    let width_ms = match query.resolution {
        Resolution::Minute => 60_000,
        Resolution::Quarter => 900_000,
        Resolution::Hour => 3_600_000,
        Resolution::Day => 23 * 3_600_000,
    };
    if (i128::from(query.to.0) - i128::from(query.from.0)) / width_ms >= windows_max as i128 {
        return Err(RollupError::TooMany);
    }
    let edges = window_edges(query.resolution, &query.zone, query.from, query.to);
    let (from, to) = (edges[0], edges[edges.len() - 1]);
    let device = query.device.number;
    let source = Source::of(db, readings, &query.device, from, to).await?;
    let mut dirty = readings.dirty_hours(device).await?;
    dirty.retain(|hour| hour.start() < to && hour.end() > from);
    dirty.sort_unstable_by_key(|hour| hour.hour);
    if dirty.len() > HOURS_MAX {
        return Err(RollupError::Behind(dirty.len()));
    }
    let windows = if query.resolution == Resolution::Day {
        days(&source, &edges, &query.timezone, &dirty).await?
    } else {
        source.windows(query.resolution, from, to, &dirty).await?
    };
    let mut series = Vec::new();
    for &metric in &query.metrics {
        let rollups = source.filled(&windows, metric, &edges).await?;
        series.push(Series { metric, rollups });
    }
    Ok(Buckets { edges, series })
}

/// Days: stored ones where they are days of this zone and in order, else from narrower windows.
async fn days(
    source: &Source<'_>,
    edges: &[UtcMs],
    timezone: &str,
    dirty: &[DirtyHour],
) -> Result<Vec<Window>, ReadingsError> {
    let (from, to) = (edges[0], edges[edges.len() - 1]);
    let zone = source.readings.day_zones(Some(source.device)).await?.remove(&source.device);
    let in_order = zone.as_deref() == Some(timezone);
    let mut found =
        if in_order { source.readings.windows(source.device, Resolution::Day, from, to).await? } else { Vec::new() };
    let is_stale = |day: &[UtcMs]| !in_order || dirty.iter().any(|hour| hour.start() < day[1] && hour.end() > day[0]);
    let stale: Vec<usize> = (0..edges.len() - 1).filter(|&day| is_stale(&edges[day..=day + 1])).collect();
    found.retain(|window| stale.binary_search_by_key(&window.start, |&day| edges[day]).is_err());
    for run in stale.chunk_by(|a, b| a + 1 == *b).flat_map(|run| run.chunks(DAYS_AT_ONCE)) {
        found.extend(source.days(&edges[run[0]..=run[run.len() - 1] + 1], dirty).await?);
    }
    found.sort_unstable_by_key(|window| window.start);
    Ok(found)
}
