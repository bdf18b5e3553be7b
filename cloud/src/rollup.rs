//! Roll-ups of stored readings: which windows a reading changes.

/// The narrowest span between two readings that may be a hole.
const HOLE_MIN_MS: i64 = 120_000;
/// The widest span between two readings that is still no hole: a day.
const HOLE_MAX_MS: i64 = 86_400_000;

/// Readings further apart have a hole between them: three intervals, at least 120 s.
pub fn max_gap_ms(interval_ms: Option<i64>) -> i64 {
    interval_ms.unwrap_or(0).saturating_mul(3).clamp(HOLE_MIN_MS, HOLE_MAX_MS)
}
