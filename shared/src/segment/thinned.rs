//! Readings thinned to one minute where there is no room for all: what stays, and what it stands for.
//!
//! Of the readings of a minute, the first and the last stay, and those at which a metric had its least
//! and its greatest value. Metrics that measure have in the first and the last the mean of all their
//! values but those two; how many values each stands for goes along as the metric [`COUNT`]. Counters
//! and states have what they had. All this says so by the quality `thinned`; [`unfold`] gives values
//! back that have the number, the extremes, and up to rounding the sum of the readings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{ABSENT, Column, Segment};
use crate::metric::Metric;
use crate::reading::{Reading, Value};
use crate::rollup::Point;
use crate::time::UtcMs;
use crate::words::Quality;

/// How many readings the first and the last of a thinned minute stand for.
pub const COUNT: &str = "x_thinned_count";
/// One reading, in the fixed unit of [`COUNT`].
const ONE: i64 = 1_000_000;
const MINUTE_MS: i64 = 60_000;
/// Fewer readings of a minute stay as they are.
const READINGS_MIN: usize = 8;
/// Readings that lie so many usual steps apart have a hole between them, and are thinned apart.
const HOLE_STEPS: i64 = 4;
/// Most readings that a minute stands for, and points of one column: numbers come from outside.
const READINGS_MAX: usize = 1_200;
const POINTS_MAX: usize = 1 << 18;
/// Metrics of the catalogue that add up without being energies, and of which the last value counts:
/// charge drawn, cycles, hours, starts, volume.
const TOTALS: [u64; 5] = [45, 48, 56, 57, 58];

/// The segment thinned; `None` where that would win nothing, as when it is thinned already.
pub fn thin(segment: &Segment) -> Option<Segment> {
    let is_thinned = |column: &Column| column.quality.iter().any(|run| run.quality == Quality::Thinned);
    let count = Metric::named(COUNT).ok()?;
    if segment.columns.iter().any(is_thinned) {
        return None;
    }
    let mut kept: Vec<Reading> = Vec::new();
    for rows in minutes(&segment.times) {
        let readings = rows.map(|row| segment.reading(row)).collect::<Vec<_>>();
        match readings.len() {
            ..READINGS_MIN => kept.extend(readings),
            _ => kept.extend(thin_minute(&readings, count)),
        }
    }
    (kept.len() < segment.rows())
        .then(|| Segment { time_uncertainty_s: segment.time_uncertainty_s, ..Segment::from_readings(&kept) })
}

/// Rows of one minute each, without holes.
fn minutes(times: &[i64]) -> Vec<Range<usize>> {
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    let hole_ms = steps.get(steps.len() / 2).map_or(i64::MAX, |usual| usual.saturating_mul(HOLE_STEPS));
    let mut minutes = Vec::new();
    let mut first = 0;
    for row in 1..=times.len() {
        let goes_on = times.get(row).is_some_and(|&time| {
            time.div_euclid(MINUTE_MS) == times[first].div_euclid(MINUTE_MS) && time - times[row - 1] <= hole_ms
        });
        if !goes_on {
            minutes.push(first..row);
            first = row;
        }
    }
    minutes
}

fn thin_minute(readings: &[Reading], count: Metric) -> Vec<Reading> {
    let last = readings.len() - 1;
    let metrics: BTreeSet<Metric> = readings.iter().flat_map(|r| r.values.iter().map(|value| value.metric)).collect();
    let mut kept: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for metric in metrics {
        let of = |reading: &Reading| reading.values.iter().find(|value| value.metric == metric).copied();
        let values: Vec<Option<Value>> = readings.iter().map(of).collect();
        let good = |value: &Option<Value>| value.filter(|value| !value.quality.kept_out_of_rollups())?.value;
        let numbers: Option<Vec<i64>> = values.iter().map(good).collect();
        let mut keep = |row: usize, value: Value| kept.entry(row).or_default().push(value);
        let Some(numbers) = numbers else {
            // Asked for less often, or with sentinels among them: no aggregate would be of the same readings.
            values.iter().enumerate().filter_map(|(row, value)| Some((row, (*value)?))).for_each(|(r, v)| keep(r, v));
            continue;
        };
        for (row, value) in if is_state(metric) { states(&numbers) } else { mean_and_extremes(&numbers) } {
            keep(row, Value { metric, value: Some(value), quality: Quality::Thinned });
        }
    }
    for row in [0, last] {
        let number = readings.len() as i64 * ONE;
        kept.entry(row).or_default().push(Value { metric: count, value: Some(number), quality: Quality::Thinned });
    }
    let reading = |(row, mut values): (usize, Vec<Value>)| {
        values.sort_unstable_by_key(|value| value.metric);
        Reading { time: readings[row].time, values }
    };
    kept.into_iter().map(reading).collect()
}

/// Whether what a metric was last is more than what it was in the mean: counters, totals, codes.
fn is_state(metric: Metric) -> bool {
    let number = metric.number().map(u64::from);
    metric.is_counter() || number.map_or(metric.info().unit.is_empty(), |number| TOTALS.contains(&number))
}

/// The first and the last value, and every fall: what a counter advanced is the same without the others.
fn states(numbers: &[i64]) -> Vec<(usize, i64)> {
    let last = numbers.len() - 1;
    let falls = (1..=last).filter(|&row| numbers[row] < numbers[row - 1]).flat_map(|row| [row - 1, row]);
    let rows: BTreeSet<usize> = [0, last].into_iter().chain(falls).collect();
    rows.into_iter().map(|row| (row, numbers[row])).collect()
}

/// The mean of all but the extremes in the first and the last row, the extremes between them.
fn mean_and_extremes(numbers: &[i64]) -> Vec<(usize, i64)> {
    let inner = 1..=numbers.len() - 2;
    let least = *numbers.iter().min().expect("a minute has readings");
    let greatest = *numbers.iter().max().expect("a minute has readings");
    if least == greatest {
        return vec![(0, least), (numbers.len() - 1, least)];
    }
    // One that was found only in the first or the last row stands beside it.
    let place = |value: i64, taken: Option<usize>| {
        let own = inner.clone().find(|&row| numbers[row] == value && Some(row) != taken);
        let nearest = if numbers[0] == value { *inner.start() } else { *inner.end() };
        let beside = if nearest < numbers.len() / 2 { nearest + 1 } else { nearest - 1 };
        own.unwrap_or(if Some(nearest) == taken { beside } else { nearest })
    };
    let low = place(least, None);
    let high = place(greatest, Some(low));
    let sum: i128 = numbers.iter().map(|&number| i128::from(number)).sum();
    let rest = sum - i128::from(least) - i128::from(greatest);
    let mean = rounded(rest, numbers.len() as i128 - 2);
    let mut kept = vec![(0, mean), (low, least), (high, greatest), (numbers.len() - 1, mean)];
    kept.sort_unstable();
    kept
}

fn rounded(sum: i128, count: i128) -> i64 {
    // Between the least and the greatest of the values.
    (2 * sum + count).div_euclid(2 * count) as i64
}

/// What a column's values stand for, as points: those of a thinned minute are as many as its readings
/// were, evenly from the first to the last of them. `counts` is the column of [`COUNT`].
pub fn unfold(times: &[i64], counts: &Column, column: &Column) -> Vec<Point> {
    let mut points = Vec::with_capacity(times.len());
    let mut row = 0;
    while row < times.len() {
        let value = column.values[row];
        match minute_at(times, counts, column, row).filter(|(_, count)| points.len() + count <= POINTS_MAX) {
            Some((last, count)) => {
                let slots = slots(&times[row..=last], &column.values[row..=last], count);
                let time = |slot: usize| times[row] + (times[last] - times[row]) * slot as i64 / (count as i64 - 1);
                points.extend(slots.into_iter().enumerate().map(|(slot, value)| point(time(slot), value)));
                row = last + 1;
            }
            None => {
                if value != ABSENT && !column.quality_at(row).kept_out_of_rollups() {
                    points.push(point(times[row], value));
                }
                row += 1;
            }
        }
    }
    points
}

const fn point(ms: i64, value: i64) -> Point {
    Point { time: UtcMs(ms), value }
}

/// The last row of the thinned minute that begins in this one, and how many readings it stands for.
fn minute_at(times: &[i64], counts: &Column, column: &Column, row: usize) -> Option<(usize, usize)> {
    let is_mean = |row: usize| column.values[row] != ABSENT && column.quality_at(row) == Quality::Thinned;
    if counts.values[row] == ABSENT || !is_mean(row) || is_state(column.metric) {
        return None;
    }
    let last = row + 1 + counts.values[row + 1..].iter().position(|&count| count != ABSENT)?;
    let count = usize::try_from(counts.values[row] / ONE).ok()?;
    let length = times[last] - times[row];
    let is_one = times[row].div_euclid(MINUTE_MS) == times[last].div_euclid(MINUTE_MS)
        && counts.values[row] == counts.values[last]
        && is_mean(last)
        && column.values[row] == column.values[last];
    let between = (row + 1..last).filter(|&between| column.values[between] != ABSENT);
    let extremes = between.clone().count();
    let fits = (READINGS_MIN..=READINGS_MAX).contains(&count) && count as i64 <= length + 1;
    (is_one && fits && extremes <= 2 && between.clone().all(is_mean)).then_some((last, count))
}

/// The values of a minute's readings: the mean, and the extremes where they were.
fn slots(times: &[i64], values: &[i64], count: usize) -> Vec<i64> {
    let mean = values[0];
    let mut slots = vec![mean; count];
    let mut taken = None;
    for (&time, &value) in times.iter().zip(values).skip(1).filter(|&(_, &value)| value != ABSENT) {
        if time == times[times.len() - 1] {
            break;
        }
        let ratio = (time - times[0]) * (count as i64 - 1) / (times[times.len() - 1] - times[0]);
        let mut slot = (ratio as usize).clamp(1, count - 2);
        if taken == Some(slot) {
            slot = if slot + 1 < count - 1 { slot + 1 } else { slot - 1 };
        }
        slots[slot] = value;
        taken = Some(slot);
    }
    slots
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: i64 = 1_795_508_000_000;

    fn reading(ms: i64, values: Vec<Value>) -> Reading {
        Reading { time: UtcMs(T + ms), values }
    }

    fn column(segment: &Segment, metric: Metric) -> Column {
        let absent = || Column { metric, values: vec![ABSENT; segment.rows()], quality: Vec::new() };
        segment.columns.iter().find(|column| column.metric == metric).cloned().unwrap_or_else(absent)
    }

    /// The values of a metric by minute, unfolded.
    fn by_minute(segment: &Segment, metric: Metric) -> BTreeMap<i64, Vec<i64>> {
        let counts = column(segment, Metric::named(COUNT).unwrap());
        let mut minutes: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let points = unfold(&segment.times, &counts, &column(segment, metric));
        assert!(points.windows(2).all(|pair| pair[0].time < pair[1].time));
        for point in points {
            minutes.entry(point.time.0.div_euclid(MINUTE_MS)).or_default().push(point.value);
        }
        minutes
    }

    /// What a counter advanced, falls being new beginnings.
    fn advanced(segment: &Segment) -> i64 {
        let column = column(segment, Metric::ENERGY);
        let values: Vec<i64> = column.values.iter().copied().filter(|&value| value != ABSENT).collect();
        values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] }).sum()
    }

    fn readings() -> impl Strategy<Value = Segment> {
        let step = prop_oneof![8 => 900i64..1_100, 1 => 2i64..20_000];
        let row = (step, -1_000_000i64..1_000_000, 0i64..50, 0u8..60);
        (0i64..60_000, prop::collection::vec(row, 0..400)).prop_map(|(start, rows)| {
            let (mut ms, mut energy) = (start, 0);
            let reading = |(step, power, more, chance): (i64, i64, i64, u8)| {
                ms += step;
                energy = if chance == 0 { more } else { energy + more };
                let mut values = vec![Value::ok(Metric::POWER, power), Value::ok(Metric::ENERGY, energy)];
                if chance % 10 == 1 {
                    values.push(Value::ok(Metric::canonical(5), power / 2));
                }
                reading(ms, values)
            };
            Segment::from_readings(&rows.into_iter().map(reading).collect::<Vec<_>>())
        })
    }

    proptest! {
        #[test]
        fn number_sum_and_extremes_of_each_minute_are_kept(all in readings()) {
            let thinned = thin(&all).unwrap_or_else(|| all.clone());
            prop_assert_eq!((thinned.times.first(), thinned.times.last()), (all.times.first(), all.times.last()));
            prop_assert!(thinned.times.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(thinned.times.iter().all(|time| all.times.contains(time)), "a time of its own");
            prop_assert_eq!(advanced(&thinned), advanced(&all));
            for metric in [Metric::POWER, Metric::canonical(5)] {
                let (before, after) = (by_minute(&all, metric), by_minute(&thinned, metric));
                prop_assert_eq!(before.len(), after.len());
                for ((minute, before), (same, after)) in before.iter().zip(&after) {
                    prop_assert_eq!((minute, before.len()), (same, after.len()));
                    prop_assert_eq!((before.iter().min(), before.iter().max()), (after.iter().min(), after.iter().max()));
                    let off = (before.iter().sum::<i64>() - after.iter().sum::<i64>()).abs();
                    prop_assert!(2 * off <= before.len() as i64, "the sum is off by {}", off);
                }
            }
        }

        #[test]
        fn what_is_thinned_is_not_thinned_again_and_comes_back_from_bytes(all in readings()) {
            if let Some(thinned) = thin(&all) {
                prop_assert_eq!(thin(&thinned), None);
                prop_assert_eq!(Segment::decode(&thinned.encode()), Ok(thinned));
            }
        }

        #[test]
        fn no_rows_make_unfolding_panic_or_grow(
            rows in prop::collection::vec((1i64..40_000, prop::option::of(-9i64..1 << 50), prop::option::of(0i64..9)), 0..40)
        ) {
            let mut ms = 0;
            let readings = rows.iter().map(|&(step, count, power)| {
                ms += step;
                let thinned = |metric, value: Option<i64>| value.map(|value| Value { metric, value: Some(value), quality: Quality::Thinned });
                let values = [thinned(Metric::POWER, power), thinned(Metric::named(COUNT).unwrap(), count)];
                reading(ms, values.into_iter().flatten().collect())
            });
            let segment = Segment::from_readings(&readings.collect::<Vec<_>>());
            let counts = column(&segment, Metric::named(COUNT).unwrap());
            let points = unfold(&segment.times, &counts, &column(&segment, Metric::POWER));
            prop_assert!(points.len() <= POINTS_MAX);
        }
    }

    #[test]
    fn a_minute_is_first_last_and_extremes() {
        let power = |ms: i64| match ms {
            20_000 => 900,
            40_000 => -5,
            _ => 100,
        };
        let all: Vec<Reading> =
            (0..60).map(|n| reading(40_000 + n * 1_000, vec![Value::ok(Metric::POWER, power(n * 1_000))])).collect();
        let thinned = thin(&Segment::from_readings(&all)).unwrap();
        let rows = |metric| {
            let column = column(&thinned, metric);
            let rows = thinned.times.iter().zip(column.values).filter(|(_, value)| *value != ABSENT);
            rows.map(|(time, value)| (time - T - 40_000, value)).collect::<Vec<_>>()
        };
        assert_eq!(rows(Metric::POWER), [(0, 100), (20_000, 900), (40_000, -5), (59_000, 100)]);
        assert_eq!(rows(Metric::named(COUNT).unwrap()), [(0, 60 * ONE), (59_000, 60 * ONE)]);
        assert!(thinned.columns.iter().all(|column| {
            (0..4).all(|row| column.values[row] == ABSENT || column.quality_at(row) == Quality::Thinned)
        }));
    }

    #[test]
    fn few_readings_and_odd_ones_stay_as_they_are() {
        let few: Vec<Reading> = (0..7).map(|n| reading(n * 5_000, vec![Value::ok(Metric::POWER, n)])).collect();
        assert_eq!(thin(&Segment::from_readings(&few)), None);
        let sentinel = Value { metric: Metric::POWER, value: None, quality: Quality::Sentinel };
        let odd: Vec<Reading> = (0..20)
            .map(|n| {
                let power = if n == 7 { sentinel } else { Value::ok(Metric::POWER, n) };
                reading(40_000 + n * 1_000, vec![power, Value::ok(Metric::ENERGY, n)])
            })
            .collect();
        assert_eq!(thin(&Segment::from_readings(&odd)), None, "all stay for the sake of one metric");
    }
}
