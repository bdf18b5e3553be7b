//! Readings of one device as columns: how they rest in the gateway's store and travel to the cloud.

use crate::bytes::Malformed;
use crate::metric::Metric;
use crate::reading::{Reading, Value};
use crate::time::UtcMs;
use crate::words::Quality;

/// Stands in a column for "no value"; never a value itself.
pub const ABSENT: i64 = i64::MIN;

/// Most readings one segment may hold.
pub const ROWS_MAX: usize = 65_536;
/// Most metrics one segment may hold.
pub const COLUMNS_MAX: usize = 256;

/// Readings of one device, oldest first, times strictly increasing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Time of each reading in ms: UTC once dated, else the boot's monotonic time.
    pub times: Vec<i64>,
    /// One column per metric, in order of metric.
    pub columns: Vec<Column>,
    /// How far off the times may be, in seconds; 0 when they come from a trusted clock.
    pub time_uncertainty_s: u32,
}

/// The values of one metric over the readings of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// What was measured.
    pub metric: Metric,
    /// One entry per reading, in the metric's fixed unit; [`ABSENT`] where there is none.
    pub values: Vec<i64>,
    /// Where the quality is not ok; ascending, disjoint.
    pub quality: Vec<QualityRun>,
}

/// Rows `[from, to)` of a column whose values have this quality.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QualityRun {
    /// First row.
    pub from: u32,
    /// One past the last row.
    pub to: u32,
    /// Never [`Quality::Ok`].
    pub quality: Quality,
}

impl Segment {
    /// Number of readings.
    pub fn rows(&self) -> usize {
        self.times.len()
    }
}
