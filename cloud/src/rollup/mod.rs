//! Roll-ups of stored readings: computed from whole hours of rows, kept by a worker, and asked for in
//! any resolution and zone. An answer never shows what the rows no longer say: hours that the worker
//! has not come to are computed when asked for.
//!
//! A stored window knows the metrics that have points in it, and of those everything, the parts of the
//! lines across its edges too. Windows without points are not stored: what a line or a counter's step
//! gives them follows from the points beside them.

mod compute;
mod live;
mod query;
mod source;
mod worker;

pub use query::{BUCKETS_MAX, Buckets, BucketsQuery, RollupError, Series, buckets, finest};
pub use worker::keep_rolling_up;

/// The narrowest span between two readings that may be a hole.
const HOLE_MIN_MS: i64 = 120_000;
/// The widest span between two readings that is still no hole: a day.
const HOLE_MAX_MS: i64 = 86_400_000;

/// Readings further apart have a hole between them: three intervals, at least 120 s.
pub fn max_gap_ms(interval_ms: Option<i64>) -> i64 {
    interval_ms.unwrap_or(0).saturating_mul(3).clamp(HOLE_MIN_MS, HOLE_MAX_MS)
}
