//! Roll-up arithmetic: what the values of one metric come to over windows of time.
//! Everything is integer in the metric's fixed unit and milliseconds, and exact at the edges
//! of windows: windows add up to the whole, whatever their width and however they are merged.

pub mod codec;
pub mod counter;
pub mod states;
pub mod sum;
pub mod window;

#[cfg(test)]
mod tests;

use crate::time::UtcMs;

/// One value that may be summed: its quality does not keep it out of roll-ups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When it was measured.
    pub time: UtcMs,
    /// In the metric's fixed unit.
    pub value: i64,
}

/// A span whose readings will never come. A line is cut that begins before its end and reaches it, or that
/// reaches over its start; lines that lie wholly inside join readings that came all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The last instant that was kept.
    pub from: UtcMs,
    /// The first instant that is kept again.
    pub to: UtcMs,
}

/// What one metric came to in a window `[start, end)`. Values are in the metric's fixed unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rollup {
    /// Points inside.
    pub count: u64,
    /// Sum of their values.
    pub sum: i128,
    /// Smallest value; `None` when there is no point, like `max`, `first` and `last`.
    pub min: Option<i64>,
    /// Largest value.
    pub max: Option<i64>,
    /// Earliest point.
    pub first: Option<Point>,
    /// Latest point.
    pub last: Option<Point>,
    /// Twice the area under the straight lines between neighbours, in unit · ms: twice, because
    /// that is an integer.
    pub area2: i128,
    /// How much of the window lies under such a line.
    pub covered_ms: i64,
    /// What a counter advanced; 0 for other metrics.
    pub increment: i64,
}

impl Rollup {
    /// Takes in the window that follows at once or later. Windows of one series merge to exactly
    /// what the window of their joint span is, counters too: the parts of a step across an edge
    /// were made to add up to it.
    pub fn merge(&mut self, later: &Rollup) {
        self.count += later.count;
        self.sum += later.sum;
        self.min = [self.min, later.min].into_iter().flatten().min();
        self.max = [self.max, later.max].into_iter().flatten().max();
        self.first = self.first.or(later.first);
        self.last = later.last.or(self.last);
        self.area2 += later.area2;
        self.covered_ms += later.covered_ms;
        self.increment = self.increment.saturating_add(later.increment);
    }

    /// Mean in the fixed unit: weighted by time where time is covered, else of the points as they are.
    pub fn mean(&self) -> Option<f64> {
        if self.covered_ms > 0 {
            Some(self.area2 as f64 / (2.0 * self.covered_ms as f64))
        } else {
            (self.count > 0).then(|| self.sum as f64 / self.count as f64)
        }
    }

    /// Integral over the covered time, in fixed unit · hours.
    pub fn integral_unit_hours(&self) -> f64 {
        self.area2 as f64 / (2.0 * 3_600_000.0)
    }

    /// Covered part of a window of this length, 0 to 1.
    pub fn coverage(&self, window_ms: i64) -> f64 {
        if window_ms > 0 { self.covered_ms as f64 / window_ms as f64 } else { 0.0 }
    }
}
