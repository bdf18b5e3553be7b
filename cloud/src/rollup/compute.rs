//! The arithmetic: from columns to points, from points to windows, from windows to wider ones.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::counter::Counter;
use riverwatts_shared::rollup::sum::roll_up_cut;
use riverwatts_shared::rollup::window::window_edges;
use riverwatts_shared::rollup::{Cut, Point, Rollup};
use riverwatts_shared::segment::{ABSENT, Column, Segment, thinned};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{Quality, Resolution};

use crate::readings::rollups::HOUR_MS;
use crate::readings::{Change, Window};

/// The values of each metric that may be summed, oldest first.
pub type Points = BTreeMap<Metric, Vec<Point>>;

/// The points of a segment; what was thinned by its gateway counts as what it stands for.
pub fn points(segment: &Segment) -> Points {
    let counts = segment.columns.iter().find(|column| column.metric.name() == thinned::COUNT);
    let of_column = |column: &Column| {
        if let Some(counts) = counts {
            return (column.metric, thinned::unfold(&segment.times, counts, column));
        }
        let mut runs = column.quality.iter().peekable();
        let mut points = Vec::with_capacity(column.values.len() + 2);
        for (row, (&time, &value)) in segment.times.iter().zip(&column.values).enumerate() {
            while runs.peek().is_some_and(|run| run.to as usize <= row) {
                runs.next();
            }
            let quality = runs.peek().filter(|run| run.from as usize <= row).map_or(Quality::Ok, |run| run.quality);
            if value != ABSENT && !quality.kept_out_of_rollups() {
                points.push(Point { time: UtcMs(time), value });
            }
        }
        (column.metric, points)
    };
    segment.columns.iter().map(of_column).filter(|(_, points)| !points.is_empty()).collect()
}

/// What each metric comes to in each window, also in those without points.
pub fn roll_up_all(points: &Points, max_gap_ms: i64, cuts: &[Cut], edges: &[UtcMs]) -> BTreeMap<Metric, Vec<Rollup>> {
    let rolled = |(&metric, points): (&Metric, &Vec<Point>)| {
        (metric, roll_up_cut(points, max_gap_ms, Counter::of(metric, None), cuts, edges))
    };
    points.iter().map(rolled).collect()
}

/// Neighbouring windows joined: `widths[i]` of them to one.
pub fn join(narrow: &BTreeMap<Metric, Vec<Rollup>>, widths: &[usize]) -> BTreeMap<Metric, Vec<Rollup>> {
    let joined = |(&metric, rollups): (&Metric, &Vec<Rollup>)| {
        let mut rest = rollups.as_slice();
        let mut take = |&width: &usize| {
            let (now, later) = rest.split_at(width);
            rest = later;
            now.iter().fold(Rollup::default(), |mut sum, rollup| {
                sum.merge(rollup);
                sum
            })
        };
        (metric, widths.iter().map(&mut take).collect())
    };
    narrow.iter().map(joined).collect()
}

/// The windows that have points, as they are stored.
pub fn to_windows(rollups: &BTreeMap<Metric, Vec<Rollup>>, edges: &[UtcMs]) -> Vec<Window> {
    let window = |(index, &start): (usize, &UtcMs)| {
        let with_points = |(&metric, rollups): (&Metric, &Vec<Rollup>)| {
            Some(rollups[index]).filter(|rollup| rollup.count > 0).map(|rollup| (metric, rollup))
        };
        Window { start, metrics: rollups.iter().filter_map(with_points).collect() }
    };
    let starts = &edges[..edges.len() - 1];
    starts.iter().enumerate().map(window).filter(|window| !window.metrics.is_empty()).collect()
}

/// New roll-ups for the whole hours `[from, to)`, from what each metric comes to in each of their minutes.
pub fn change_of_minutes(device: i64, minutes: BTreeMap<Metric, Vec<Rollup>>, from: UtcMs, to: UtcMs) -> Change {
    let hours = (to.since_ms(from) / HOUR_MS) as usize;
    let quarters = join(&minutes, &vec![15; 4 * hours]);
    let whole = join(&quarters, &vec![4; hours]);
    let mut change = Change { device, ..Change::default() };
    for (resolution, rollups) in
        [(Resolution::Minute, minutes), (Resolution::Quarter, quarters), (Resolution::Hour, whole)]
    {
        let windows = to_windows(&rollups, &window_edges(resolution, &TimeZone::UTC, from, to));
        change.replaced.push((resolution, from, to));
        change.windows.extend(windows.into_iter().map(|window| (resolution, window)));
    }
    change
}

/// New roll-ups for the whole hours `[from, to)`, from all points.
pub fn change_of_points(device: i64, points: &Points, max_gap_ms: i64, cuts: &[Cut], from: UtcMs, to: UtcMs) -> Change {
    let edges = window_edges(Resolution::Minute, &TimeZone::UTC, from, to);
    change_of_minutes(device, roll_up_all(points, max_gap_ms, cuts, &edges), from, to)
}

/// One metric of stored windows over neighbouring edges; those that are not stored are empty.
pub fn of_metric(windows: &[Window], metric: Metric, edges: &[UtcMs]) -> Vec<Rollup> {
    let mut rollups = vec![Rollup::default(); edges.len() - 1];
    for window in windows {
        if let Ok(index) = edges[..edges.len() - 1].binary_search(&window.start) {
            rollups[index] = window.of(metric);
        }
    }
    rollups
}

/// Gives windows without points what the line between their neighbours gives them. `before` and
/// `after` are the nearest points outside all windows, needed where the outer ones are empty.
pub fn fill(
    rollups: &mut [Rollup],
    edges: &[UtcMs],
    metric: Metric,
    max_gap_ms: i64,
    cuts: &[Cut],
    before: Option<Point>,
    after: Option<Point>,
) {
    let counter = Counter::of(metric, None);
    let mut left = before;
    let mut index = 0;
    while index < rollups.len() {
        if rollups[index].count > 0 {
            left = rollups[index].last;
            index += 1;
            continue;
        }
        let empty = rollups[index..].iter().take_while(|rollup| rollup.count == 0).count();
        let right = rollups.get(index + empty).map_or(after, |rollup| rollup.first);
        if let (Some(left), Some(right)) = (left, right) {
            let parts = roll_up_cut(&[left, right], max_gap_ms, counter, cuts, &edges[index..=index + empty]);
            rollups[index..index + empty].copy_from_slice(&parts);
        }
        index += empty;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riverwatts_shared::reading::{Reading, Value};

    use super::*;

    const GAP_MS: i64 = 120_000;
    const MINUTE_MS: i64 = 60_000;

    fn edges(count: i64, width_ms: i64) -> Vec<UtcMs> {
        (0..=count).map(|i| UtcMs(i * width_ms)).collect()
    }

    #[test]
    fn a_thinned_minute_comes_to_what_its_readings_came_to() {
        let minute = |n: i64| Reading {
            time: UtcMs(n * 1_000),
            values: vec![Value::ok(Metric::POWER, if n == 20 { 900 } else { 100 })],
        };
        let all = Segment::from_readings(&(0..60).map(minute).collect::<Vec<_>>());
        let thin = thinned::thin(&all).unwrap();
        let edges = [UtcMs(0), UtcMs(60_000)];
        let rolled = |segment: &Segment| roll_up_all(&points(segment), 3_000, &[], &edges)[&Metric::POWER][0];
        assert_eq!((rolled(&thin), thin.rows()), (rolled(&all), 4));
    }

    #[test]
    fn values_of_bad_quality_and_absent_ones_are_no_points() {
        let value = |value, quality| vec![Value { metric: Metric::POWER, value, quality }];
        let readings: Vec<Reading> = [
            (Some(1), Quality::Ok),
            (Some(2), Quality::Range),
            (None, Quality::Sentinel),
            (Some(4), Quality::Redated),
            (Some(5), Quality::Stuck),
            (Some(6), Quality::Ok),
        ]
        .iter()
        .enumerate()
        .map(|(i, &(number, quality))| Reading { time: UtcMs(i as i64), values: value(number, quality) })
        .collect();
        let found = points(&Segment::from_readings(&readings));
        let values: Vec<i64> = found[&Metric::POWER].iter().map(|point| point.value).collect();
        assert_eq!(values, [1, 4, 6]);
    }

    proptest! {
        /// Whatever stands stored (windows with points), filled up it is what all points at once come to.
        #[test]
        fn filled_windows_are_those_of_all_points(
            steps in prop::collection::vec((1i64..400_000, -50i64..50), 1..60),
            metric in prop_oneof![Just(Metric::POWER), Just(Metric::ENERGY)],
            missing in prop::collection::vec((0i64..3_600_000, 0i64..200_000), 0..4),
        ) {
            let cuts: Vec<Cut> =
                missing.iter().map(|&(from, ms)| Cut { from: UtcMs(from), to: UtcMs(from + ms) }).collect();
            let mut point = Point { time: UtcMs(-100_000), value: 1_000 };
            let points: Vec<Point> = steps.iter().map(|&(ms, rise)| {
                point = Point { time: point.time.plus_ms(ms), value: point.value + rise };
                point
            }).collect();
            let edges = edges(60, MINUTE_MS);
            let all = Points::from([(metric, points.clone())]);
            let direct = &roll_up_all(&all, GAP_MS, &cuts, &edges)[&metric];
            let stored = to_windows(&roll_up_all(&all, GAP_MS, &cuts, &edges), &edges);
            let mut filled = of_metric(&stored, metric, &edges);
            let before = points.iter().rfind(|point| point.time < edges[0]).copied();
            let after = points.iter().find(|point| point.time >= edges[60]).copied();
            fill(&mut filled, &edges, metric, GAP_MS, &cuts, before, after);
            prop_assert_eq!(&filled, direct);

            let hour = join(&BTreeMap::from([(metric, filled)]), &[60]);
            let whole = roll_up_all(&all, GAP_MS, &cuts, &[edges[0], edges[60]]);
            prop_assert_eq!(hour, whole);
        }
    }
}
