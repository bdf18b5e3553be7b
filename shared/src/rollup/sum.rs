//! From points to the roll-ups of neighbouring windows.
//!
//! What the line between two neighbours gives to a window is the difference of a cumulative
//! function at the window's edges. That function depends on the line and the edge alone, never
//! on the other windows, so the parts of a line add up to it however it is cut.

use std::ops::Range;

use super::counter::Counter;
use super::{Cut, Point, Rollup};
use crate::time::UtcMs;

/// Widest gap that is bridged, whatever `max_gap_ms` says: about 24 days. Keeps every
/// intermediate product within 128 bits.
pub const GAP_MAX_MS: i64 = 1 << 31;

/// Rolls `points` up into the windows `[edges[i], edges[i + 1])`; one fewer than there are edges.
///
/// `points` and `edges` ascend strictly. Points may reach beyond the edges on both sides, and must
/// where there are any: by one, so that what crosses the outer edges is known. Neighbours up to
/// `max_gap_ms` apart are joined by a straight line; wider apart they cover nothing. A `counter`
/// is right across gaps of any width: what it advanced there is spread evenly over the time between.
pub fn roll_up(points: &[Point], max_gap_ms: i64, counter: Option<Counter>, edges: &[UtcMs]) -> Vec<Rollup> {
    roll_up_cut(points, max_gap_ms, counter, &[], edges)
}

/// The same, with no line where something is known to be missing, however near its ends are. Counters go on:
/// they know what they advanced.
pub fn roll_up_cut(
    points: &[Point],
    max_gap_ms: i64,
    counter: Option<Counter>,
    cuts: &[Cut],
    edges: &[UtcMs],
) -> Vec<Rollup> {
    debug_assert!(points.windows(2).all(|pair| pair[0].time < pair[1].time));
    debug_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
    let max_gap_ms = max_gap_ms.min(GAP_MAX_MS);
    let cut = cut_lines(points, cuts);
    let mut next = edges.first().map_or(0, |&edge| points.partition_point(|point| point.time < edge));
    edges
        .windows(2)
        .map(|edges| {
            let inside = next..next + points[next..].iter().take_while(|point| point.time < edges[1]).count();
            next = inside.end;
            let mut rollup = whole(points, inside.clone(), max_gap_ms, counter, &cut);
            // The lines that reach in from the left and out to the right; the same one in an empty window.
            let crossing = [inside.start, inside.end];
            let crossing = if inside.is_empty() { &crossing[..1] } else { &crossing[..] };
            for &right in crossing {
                if (1..points.len()).contains(&right) {
                    let max_gap_ms = if is_cut(&cut, right) { 0 } else { max_gap_ms };
                    let line = Line { from: points[right - 1], to: points[right] };
                    line.add_part(&mut rollup, edges[0], edges[1], max_gap_ms, counter);
                }
            }
            rollup
        })
        .collect()
}

/// The lines that are cut, each by the index of the point at its end, in order.
fn cut_lines(points: &[Point], cuts: &[Cut]) -> Vec<usize> {
    let around = |cut: &Cut| {
        let over_start = points.partition_point(|point| point.time <= cut.from);
        let to_end = points.partition_point(|point| point.time < cut.to);
        [(cut.from < cut.to).then_some(over_start), Some(to_end)]
    };
    let mut lines: Vec<usize> = cuts.iter().flat_map(around).flatten().collect();
    lines.retain(|right| (1..points.len()).contains(right));
    lines.sort_unstable();
    lines
}

fn is_cut(lines: &[usize], right: usize) -> bool {
    lines.binary_search(&right).is_ok()
}

/// The points of one window and the lines wholly inside it.
fn whole(all: &[Point], inside: Range<usize>, max_gap_ms: i64, counter: Option<Counter>, cut: &[usize]) -> Rollup {
    let points = &all[inside.clone()];
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else {
        return Rollup::default();
    };
    let (mut min, mut max, mut sum) = (first.value, first.value, i128::from(first.value));
    let (mut area2, mut covered_ms, mut increment) = (0i128, 0i64, 0i64);
    let mut previous = first;
    for (right, &point) in (inside.start + 1..).zip(&points[1..]) {
        min = min.min(point.value);
        max = max.max(point.value);
        sum += i128::from(point.value);
        let dt = point.time.since_ms(previous.time);
        if dt <= max_gap_ms && !is_cut(cut, right) {
            area2 += (i128::from(previous.value) + i128::from(point.value)) * i128::from(dt);
            covered_ms += dt;
        }
        if let Some(counter) = counter {
            increment = increment.saturating_add(counter.increment(previous.value, point.value));
        }
        previous = point;
    }
    let (min, max, first, last) = (Some(min), Some(max), Some(first), Some(last));
    Rollup { count: points.len() as u64, sum, min, max, first, last, area2, covered_ms, increment }
}

/// The line between two neighbours.
struct Line {
    from: Point,
    to: Point,
}

impl Line {
    /// Adds what lies between the edges `start` and `end`.
    fn add_part(&self, rollup: &mut Rollup, start: UtcMs, end: UtcMs, max_gap_ms: i64, counter: Option<Counter>) {
        let dt = self.to.time.since_ms(self.from.time);
        let from = start.max(self.from.time).since_ms(self.from.time);
        let to = end.min(self.to.time).since_ms(self.from.time);
        if from >= to {
            return;
        }
        if dt <= max_gap_ms {
            rollup.area2 += self.area2_until(to, dt) - self.area2_until(from, dt);
            rollup.covered_ms += to - from;
        }
        if let Some(counter) = counter {
            let step = i128::from(counter.increment(self.from.value, self.to.value));
            let until = |x: i64| divide(step * i128::from(x), dt) as i64; // no larger than the step
            rollup.increment = rollup.increment.saturating_add(until(to).saturating_sub(until(from)));
        }
    }

    /// Twice the area from the line's start to `x` ms after it, rounded; exact at both ends.
    fn area2_until(&self, x: i64, dt: i64) -> i128 {
        let rise = i128::from(self.to.value) - i128::from(self.from.value);
        let x = i128::from(x);
        2 * i128::from(self.from.value) * x + divide(rise * x * x, dt)
    }
}

/// Rounds to the nearest, halves up; in 64 bits where that is enough, as it nearly always is.
fn divide(number: i128, by: i64) -> i128 {
    let number = number + i128::from(by / 2);
    match i64::try_from(number) {
        Ok(number) => i128::from(number.div_euclid(by)),
        Err(_) => number.div_euclid(i128::from(by)),
    }
}
