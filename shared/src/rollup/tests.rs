//! Properties of the roll-ups: whatever the points and the cuts, the parts make up the whole.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::counter::Counter;
use super::sum::{roll_up, roll_up_cut};
use super::window::window_edges;
use super::{Cut, Point, Rollup};
use crate::metric::{Metric, VALUE_MAX};
use crate::time::UtcMs;
use crate::words::Resolution;

const START_MS: i64 = 1_795_507_200_000;

fn merged(rollups: &[Rollup]) -> Rollup {
    let mut whole = Rollup::default();
    rollups.iter().for_each(|rollup| whole.merge(rollup));
    whole
}

/// Points at irregular times around [`START_MS`], with gaps narrower and wider than bridged.
fn points() -> impl Strategy<Value = Vec<Point>> {
    let step = prop_oneof![4 => 1i64..5_000, 2 => 5_000i64..200_000, 1 => 200_000i64..10_000_000];
    let value = prop_oneof![3 => -50_000_000i64..50_000_000, 1 => -VALUE_MAX..=VALUE_MAX];
    let steps = prop::collection::vec((step, value), 0..120);
    (-5_000_000i64..1_000_000, steps).prop_map(|(start, steps)| {
        let times = steps.iter().scan(START_MS + start, |time, (step, _)| {
            *time += step;
            Some(UtcMs(*time))
        });
        times.zip(&steps).map(|(time, &(_, value))| Point { time, value }).collect()
    })
}

fn counters() -> impl Strategy<Value = Option<Counter>> {
    let modulus = prop::option::of(1i64..100_000_000);
    prop::option::of(modulus.prop_map(|modulus| Counter { modulus, jitter: 1_000 }))
}

/// Cuts of the six hours from [`START_MS`], both ends among them.
fn edges() -> impl Strategy<Value = Vec<UtcMs>> {
    prop::collection::btree_set(0i64..=21_600_000, 0..40).prop_map(|mut cuts| {
        cuts.extend([0, 21_600_000]);
        cuts.into_iter().map(|cut| UtcMs(START_MS + cut)).collect()
    })
}

proptest! {
    #[test]
    fn windows_add_up_to_the_whole(points in points(), counter in counters(), edges in edges()) {
        let ends = [edges[0], *edges.last().unwrap()];
        let whole = roll_up(&points, 120_000, counter, &ends)[0];
        prop_assert_eq!(merged(&roll_up(&points, 120_000, counter, &edges)), whole);
    }

    #[test]
    fn a_window_is_the_same_alone_as_among_others(points in points(), counter in counters(), edges in edges()) {
        for (pair, among) in edges.windows(2).zip(roll_up(&points, 120_000, counter, &edges)) {
            // From the points inside and one on each side, as a single window is recomputed.
            let from = points.partition_point(|point| point.time < pair[0]).saturating_sub(1);
            let to = (points.partition_point(|point| point.time < pair[1]) + 1).min(points.len());
            prop_assert_eq!(roll_up(&points[from..to], 120_000, counter, pair), vec![among]);
        }
    }

    #[test]
    fn merging_is_associative(points in points(), counter in counters(), edges in edges(), at: prop::sample::Index) {
        let windows = roll_up(&points, 120_000, counter, &edges);
        let (left, right) = windows.split_at(at.index(windows.len() + 1));
        prop_assert_eq!(merged(&[merged(left), merged(right)]), merged(&windows));
    }

    #[test]
    fn the_ladder_of_resolutions_equals_the_direct_result(points in points(), counter in counters()) {
        let zone = TimeZone::get("America/Anchorage").unwrap();
        // The day of 25 hours.
        let day: UtcMs = "2026-11-01T12:00:00Z".parse().unwrap();
        let day = window_edges(Resolution::Day, &zone, day, day);
        let moved_ms = day[0].since_ms(UtcMs(START_MS));
        let points: Vec<Point> =
            points.iter().map(|point| Point { time: point.time.plus_ms(moved_ms), value: point.value }).collect();
        let direct = |resolution| roll_up(&points, 120_000, counter, &window_edges(resolution, &zone, day[0], day[1]));
        let joined = |windows: &[Rollup], count| windows.chunks(count).map(merged).collect::<Vec<_>>();
        let minutes = direct(Resolution::Minute);
        prop_assert_eq!(minutes.len(), 25 * 60);
        prop_assert_eq!(joined(&minutes, 15), direct(Resolution::Quarter));
        prop_assert_eq!(joined(&direct(Resolution::Quarter), 4), direct(Resolution::Hour));
        prop_assert_eq!(joined(&direct(Resolution::Hour), 25), direct(Resolution::Day));
    }

    #[test]
    fn arrival_in_any_order_sums_to_the_same(points in points().prop_shuffle(), edges in edges()) {
        let mut sorted = points;
        sorted.sort_unstable_by_key(|point| point.time);
        let inside = |point: &&Point| edges[0] <= point.time && point.time < *edges.last().unwrap();
        let whole = merged(&roll_up(&sorted, 120_000, None, &edges));
        prop_assert_eq!(whole.count, sorted.iter().filter(inside).count() as u64);
        prop_assert_eq!(whole.sum, sorted.iter().filter(inside).map(|point| i128::from(point.value)).sum::<i128>());
        prop_assert_eq!(whole.min, sorted.iter().filter(inside).map(|point| point.value).min());
        prop_assert_eq!(whole.max, sorted.iter().filter(inside).map(|point| point.value).max());
        prop_assert_eq!(whole.first.as_ref(), sorted.iter().find(inside));
        prop_assert_eq!(whole.last.as_ref(), sorted.iter().rfind(inside));
    }
}

fn at(ms: i64, value: i64) -> Point {
    Point { time: UtcMs(ms), value }
}

#[test]
fn a_line_across_an_edge_is_cut_at_the_edge() {
    // From 0 at 500 ms to 3 at 3,500 ms: the area until 1,000 ms is 0.125 unit · s, twice that 250 unit · ms.
    let points = [at(500, 0), at(3_500, 3)];
    let windows = roll_up(&points, 120_000, None, &[0, 1_000, 2_000, 4_000].map(UtcMs));
    assert_eq!(windows.iter().map(|window| window.area2).collect::<Vec<_>>(), [250, 2_000, 6_750]);
    assert_eq!(windows.iter().map(|window| window.covered_ms).collect::<Vec<_>>(), [500, 1_000, 1_500]);
    assert_eq!(windows.iter().map(|window| window.count).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(windows[1].mean(), Some(1.0));
}

#[test]
fn parts_are_rounded_to_the_nearest_and_still_add_up() {
    // Until 1, 2 and 3 ms twice the area is 2/3, 8/3 and 6.
    let windows = roll_up(&[at(0, 0), at(3, 2)], 120_000, None, &[0, 1, 2, 3].map(UtcMs));
    assert_eq!(windows.iter().map(|window| window.area2).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_point_on_an_edge_belongs_to_the_later_window() {
    let windows = roll_up(&[at(0, 4), at(1_000, 8), at(2_000, 6)], 120_000, None, &[0, 1_000, 2_000].map(UtcMs));
    assert_eq!(
        windows.iter().map(|window| (window.min, window.max)).collect::<Vec<_>>(),
        [(Some(4), Some(4)), (Some(8), Some(8))]
    );
    assert_eq!(windows.iter().map(|window| window.area2).collect::<Vec<_>>(), [12_000, 14_000]);
}

#[test]
fn a_gap_covers_nothing_but_a_counter_counts_across_it() {
    let counter = Counter::of(Metric::ENERGY, None);
    let points = [at(0, 1_000), at(400_000, 5_000)];
    let windows = roll_up(&points, 120_000, counter, &[0, 100_000, 200_000, 400_001].map(UtcMs));
    assert!(windows.iter().all(|window| window.covered_ms == 0 && window.area2 == 0));
    assert_eq!(windows.iter().map(|window| window.increment).collect::<Vec<_>>(), [1_000, 1_000, 2_000]);
    assert_eq!(windows[0].mean(), Some(1_000.0));
    assert_eq!(windows[1].mean(), None);
}

#[test]
fn neighbours_exactly_the_widest_gap_apart_are_joined() {
    let covered = |gap| roll_up(&[at(0, 1), at(gap, 1)], 120_000, None, &[0, 500_000].map(UtcMs))[0].covered_ms;
    assert_eq!((covered(120_000), covered(120_001)), (120_000, 0));
}

#[test]
fn a_line_is_cut_where_something_is_missing_however_near_its_ends_are() {
    let points: Vec<Point> = (0..6).map(|i| at(i * 10_000, 100)).collect();
    let check = |cuts: &[(i64, i64)], covered: &[i64]| {
        let cuts: Vec<Cut> = cuts.iter().map(|&(from, to)| Cut { from: UtcMs(from), to: UtcMs(to) }).collect();
        let edges = [0, 25_000, 50_001].map(UtcMs);
        let windows = roll_up_cut(&points, 60_000, None, &cuts, &edges);
        let found: Vec<i64> = windows.iter().map(|window| window.covered_ms).collect();
        assert_eq!(found, covered, "{cuts:?}");
        for window in windows {
            assert_eq!(window.area2, 2 * 100 * i128::from(window.covered_ms));
        }
    };
    check(&[], &[25_000, 25_000]);
    check(&[(10_000, 20_000)], &[15_000, 25_000]);
    check(&[(20_000, 30_000)], &[20_000, 20_000]);
    check(&[(12_000, 13_000), (41_000, 41_001)], &[15_000, 15_000]);
    // Lines wholly inside join readings that came all the same.
    check(&[(5_000, 45_000)], &[15_000, 15_000]);
    check(&[(-90_000, 0), (50_000, 90_000)], &[25_000, 25_000]);
    // What was lost right before a reading, from nobody knows when.
    check(&[(20_000, 20_000)], &[15_000, 25_000]);
    let counter = Counter::of(Metric::ENERGY, None);
    let risen = [at(0, 0), at(10_000, 500)];
    let cut = Cut { from: UtcMs(0), to: UtcMs(10_000) };
    let window = roll_up_cut(&risen, 60_000, counter, &[cut], &[0, 10_001].map(UtcMs))[0];
    assert_eq!((window.increment, window.covered_ms), (500, 0), "a counter knows what it advanced");
}
