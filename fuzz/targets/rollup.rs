//! Any points and edges: no overflow, and the windows add up to the whole.
#![no_main]

use riverwatts_shared::rollup::counter::Counter;
use riverwatts_shared::rollup::sum::roll_up;
use riverwatts_shared::rollup::{Point, Rollup};
use riverwatts_shared::time::UtcMs;

/// Start; time since the point before, and value; edges; widest gap; modulus.
type Input = (i64, Vec<(u32, i64)>, Vec<u32>, u32, Option<i64>);

/// Brings any number into what a stored value may be: 54 bits with the sign.
fn value(number: i64) -> i64 {
    number >> 10
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let (start, steps, cuts, max_gap_ms, modulus) = input;
    let mut time = UtcMs(start);
    let mut points: Vec<Point> = Vec::new();
    for (step_ms, number) in steps {
        time = time.plus_ms(step_ms.into());
        if points.last().is_none_or(|last| last.time < time) {
            points.push(Point { time, value: value(number) });
        }
    }
    let mut edges: Vec<UtcMs> = cuts.iter().map(|&cut| UtcMs(start).plus_ms(cut.into())).collect();
    edges.sort_unstable();
    edges.dedup();
    let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else { return };
    if first == last {
        return;
    }
    for counter in [None, Some(Counter { modulus: modulus.map(value), jitter: 1_000 })] {
        let mut merged = Rollup::default();
        roll_up(&points, max_gap_ms.into(), counter, &edges).iter().for_each(|window| merged.merge(window));
        assert_eq!(vec![merged], roll_up(&points, max_gap_ms.into(), counter, &[first, last]));
    }
});
