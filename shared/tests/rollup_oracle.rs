//! The worked cases of `data/rollups.json`: the arithmetic gives the numbers that were computed
//! independently of it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report; clippy.toml does not reach helpers")]

use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::counter::{Counter, Step};
use riverwatts_shared::rollup::states::{Availability, state_durations};
use riverwatts_shared::rollup::sum::roll_up;
use riverwatts_shared::rollup::window::window_edges;
use riverwatts_shared::rollup::{Point, Rollup};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{OperatingState, Resolution};
use serde_json::Value;

struct Case {
    inputs: Value,
    expected: Value,
    tolerance: Value,
}

impl Case {
    fn named(id: &str) -> Case {
        let file: Value = serde_json::from_str(include_str!("data/rollups.json")).unwrap();
        let case = file["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap();
        let part = |name: &str| case[name].clone();
        Case { inputs: part("inputs"), expected: part("expected"), tolerance: part("tolerance") }
    }

    fn close(&self, what: &str, found: f64, expected: &Value) {
        let expected = expected.as_f64().unwrap_or_else(|| panic!("{what} is expected"));
        let [abs, rel] = ["abs", "rel"].map(|kind| self.tolerance[kind].as_f64().unwrap_or(0.0));
        assert!((found - expected).abs() <= abs.max(rel * expected.abs()), "{what}: {found}, expected {expected}");
    }

    /// Compares every number that the case expects of a window whose values are in 1 / `scale` of the case's unit.
    fn check(&self, rollup: &Rollup, start: UtcMs, end: UtcMs, scale: f64, expected: &Value) {
        for (name, number) in expected.as_object().unwrap() {
            let found = match name.as_str() {
                "start_s" => start.0 as f64 / 1e3,
                "end_s" => end.0 as f64 / 1e3,
                "count" => rollup.count as f64,
                "min" => rollup.min.unwrap() as f64 / scale,
                "max" => rollup.max.unwrap() as f64 / scale,
                "integral" => rollup.integral_unit_hours() * 3_600.0 / scale,
                "covered_s" => rollup.covered_ms as f64 / 1e3,
                "coverage" => rollup.coverage(end.since_ms(start)),
                "time_weighted_mean" => rollup.mean().unwrap() / scale,
                "arithmetic_mean" => rollup.sum as f64 / rollup.count as f64 / scale,
                "energy_wh_if_power_w" => rollup.integral_unit_hours() / scale,
                _ => panic!("{name} is not compared"),
            };
            self.close(&format!("{name} of {start}"), found, number);
        }
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn seconds(seconds: f64) -> UtcMs {
    UtcMs((seconds * 1e3).round() as i64)
}

fn rounded(number: f64) -> i64 {
    number.round() as i64
}

/// The trapezoid case: points in mW, and all edges of its windows.
fn trapezoid() -> (Case, Vec<Point>, Vec<UtcMs>) {
    let case = Case::named("trapezoid-gap-aware");
    let times = numbers(&case.inputs["t_s"]);
    let points = times.iter().zip(numbers(&case.inputs["power_w"]));
    let points = points.map(|(&t, power)| Point { time: seconds(t), value: rounded(power * 1e3) }).collect();
    let windows: Vec<Vec<f64>> = case.inputs["windows_s"].as_array().unwrap().iter().map(numbers).collect();
    let edges = windows.iter().map(|window| seconds(window[0])).chain([seconds(windows.last().unwrap()[1])]).collect();
    (case, points, edges)
}

#[test]
fn energy_is_the_trapezoid_between_neighbours_and_nothing_in_gaps() {
    let (case, points, edges) = trapezoid();
    let windows = roll_up(&points, 120_000, None, &edges);
    let expected = case.expected["windows"].as_array().unwrap();
    assert_eq!(windows.len(), expected.len());
    for ((rollup, edge), expected) in windows.iter().zip(edges.windows(2)).zip(expected) {
        case.check(rollup, edge[0], edge[1], 1e3, expected);
    }
    let ends = [edges[0], *edges.last().unwrap()];
    case.check(&roll_up(&points, 120_000, None, &ends)[0], ends[0], ends[1], 1e3, &case.expected["total"]);
}

#[test]
fn merged_windows_equal_the_total() {
    let case = Case::named("merge-rollups");
    let (_, points, edges) = trapezoid();
    let mut whole = Rollup::default();
    for window in roll_up(&points, 120_000, None, &edges) {
        whole.merge(&window);
    }
    case.check(&whole, edges[0], *edges.last().unwrap(), 1e3, &case.expected);
}

#[test]
fn a_state_holds_until_the_next() {
    let case = Case::named("state-durations");
    let changes: Vec<(UtcMs, i64)> = case.inputs["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
        .map(|change| (seconds(change[0]), rounded(change[1])))
        .collect();
    let durations = state_durations(&changes, seconds(case.inputs["end_s"].as_f64().unwrap()));
    let expected = case.expected["seconds_by_state"].as_object().unwrap();
    assert_eq!(durations.len(), expected.len());
    for (state, duration_ms) in durations {
        case.close("duration", duration_ms as f64 / 1e3, &expected[&state.to_string()]);
    }
}

fn check_counter(id: &str) {
    let case = Case::named(id);
    let points: Vec<Point> = case.inputs["counter_kwh"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
        .map(|point| Point { time: seconds(point[0]), value: rounded(point[1] * 1e3) })
        .collect();
    let modulus = case.inputs["modulus"].as_f64().map(|modulus| rounded(modulus * 1e3));
    let counter = Counter::of(Metric::ENERGY, modulus).unwrap();

    let end = points.last().unwrap().time.plus_ms(1);
    let by_quarter: Vec<UtcMs> =
        (0..).map(|quarter| UtcMs(quarter * 900_000)).take_while(|&edge| edge < end).chain([end]).collect();
    for edges in [&[UtcMs(0), end][..], &by_quarter] {
        let windows = roll_up(&points, 120_000, Some(counter), edges);
        let energy_wh: i64 = windows.iter().map(|window| window.increment).sum();
        case.close("energy_kwh", energy_wh as f64 / 1e3, &case.expected["energy_kwh"]);
    }

    let kind = |step| match step {
        Step::Forward => None,
        Step::Rollover => Some("rollover"),
        Step::Jitter => Some("jitter"),
        Step::Reset => Some("reset"),
    };
    let events: Vec<Value> = points
        .windows(2)
        .filter_map(|pair| Some((pair[1].time.0 / 1_000, kind(counter.step(pair[0].value, pair[1].value))?)))
        .map(|(t_s, kind)| serde_json::json!({"t_s": t_s, "kind": kind}))
        .collect();
    assert_eq!(Value::from(events), case.expected["events"]);
}

#[test]
fn a_counter_that_begins_again_adds_what_it_shows() {
    check_counter("energy-counter");
}

#[test]
fn a_counter_passes_its_modulus_and_its_jitter_is_no_energy() {
    check_counter("energy-counter-modulus");
}

#[test]
fn availability_follows_the_categories() {
    let case = Case::named("availability");
    let changes: Vec<(UtcMs, OperatingState)> = case.inputs["changes_h"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (seconds(change[0].as_f64().unwrap() * 3_600.0), change[1].as_str().unwrap().parse().unwrap()))
        .collect();
    let availability = Availability::of(&changes, seconds(case.inputs["total_h"].as_f64().unwrap() * 3_600.0));
    for (name, expected) in case.expected.as_object().unwrap() {
        let found = match name.as_str() {
            "hours" => {
                for (state, hours) in expected.as_object().unwrap() {
                    case.close(state, availability.hours(state.parse().unwrap()), hours);
                }
                continue;
            }
            "generating_fraction" => availability.generating_fraction(),
            "operational_availability" => availability.operational(),
            "technical_availability" => availability.technical(),
            "data_coverage" => availability.data_coverage(),
            "failures" => Some(availability.failures as f64),
            "mtbf_h" => availability.mtbf_h(),
            "mttr_h" => availability.mttr_h(),
            _ => panic!("{name} is not compared"),
        };
        case.close(name, found.unwrap(), expected);
    }
}

#[test]
fn days_of_a_real_record_with_holes() {
    let case = Case::named("daily-rollup-real-current");
    let file: Value = serde_json::from_str(include_str!("data/noaa_s08010_tidal_current_excerpt.json")).unwrap();
    let speeds = file["s"].as_object().unwrap();
    assert_eq!(case.inputs["keys"], speeds.len());
    // cm/s as millionths of m/s.
    let mut points: Vec<Point> = speeds
        .iter()
        .map(|(ms, speed)| Point { time: UtcMs(ms.parse().unwrap()), value: rounded(speed.as_f64().unwrap() * 1e4) })
        .collect();
    points.sort_unstable_by_key(|point| point.time);
    let expected = case.expected["days"].as_array().unwrap();
    let from = seconds(case.inputs["first_day_start_epoch_s"].as_f64().unwrap());
    let edges =
        window_edges(Resolution::Day, &jiff::tz::TimeZone::UTC, from, from.plus_ms(expected.len() as i64 * 86_400_000));
    let max_gap_ms = case.inputs["max_gap_s"].as_i64().unwrap() * 1_000;
    let days = roll_up(&points, max_gap_ms, None, &edges);
    assert_eq!(days.len(), expected.len());
    for ((rollup, edge), expected) in days.iter().zip(edges.windows(2)).zip(expected) {
        case.check(rollup, edge[0], edge[1], 1e6, expected);
    }
}
