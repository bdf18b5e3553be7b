//! Counters: what a register that counts up advanced between two readings of it.
//!
//! A step is judged by its two readings alone, so that a window can be computed from the points
//! in and beside it. A small fall therefore counts as negative and the rise after it in full,
//! which comes to the same as to leave the low reading out.

use crate::metric::Metric;

/// How a counter behaves when it falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Where it starts again from 0, in the metric's fixed unit, when that is known.
    pub modulus: Option<i64>,
    /// Falls smaller than this are jitter, unless they leave less than half of what stood there.
    /// (Taken for a reset, a register that wavers would be counted whole.)
    pub jitter: i64,
}

/// What happened between two readings of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It stood or went on.
    Forward,
    /// It passed its modulus.
    Rollover,
    /// It fell by less than one unit, and to no new beginning.
    Jitter,
    /// It began again from 0: a new meter, a new day, or a hand that put it back.
    Reset,
}

impl Counter {
    /// The counter of this metric, if it is one; jitter is less than one of the metric's units.
    pub fn of(metric: Metric, modulus: Option<i64>) -> Option<Counter> {
        let unit = 10i64.pow(u32::from(metric.info().exponent.unsigned_abs()));
        metric.is_counter().then_some(Counter { modulus, jitter: unit })
    }

    /// Judges the step from one reading to the next.
    pub fn step(self, from: i64, to: i64) -> Step {
        if to >= from {
            return Step::Forward;
        }
        let (from, to) = (i128::from(from), i128::from(to));
        let passes = |modulus: i64| 10 * from > 9 * i128::from(modulus) && 10 * to < i128::from(modulus);
        if self.modulus.is_some_and(passes) {
            Step::Rollover
        } else if from - to < i128::from(self.jitter) && !(0..from).contains(&(2 * to)) {
            Step::Jitter
        } else {
            Step::Reset
        }
    }

    /// What it advanced from one reading to the next; negative only for jitter.
    pub fn increment(self, from: i64, to: i64) -> i64 {
        match self.step(from, to) {
            Step::Forward | Step::Jitter => to.saturating_sub(from),
            Step::Rollover => to.saturating_sub(from).saturating_add(self.modulus.unwrap_or(0)),
            Step::Reset => to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(modulus: Option<i64>, from: i64, to: i64, step: Step, increment: i64) {
        let counter = Counter::of(Metric::ENERGY, modulus).unwrap();
        assert_eq!((counter.step(from, to), counter.increment(from, to)), (step, increment), "{from} to {to}");
    }

    #[test]
    fn a_fall_is_a_rollover_jitter_or_a_reset() {
        let ten_mwh = Some(10_000_000);
        check(ten_mwh, 5_000, 5_000, Step::Forward, 0);
        check(ten_mwh, 5_000, 9_000_000, Step::Forward, 8_995_000);
        check(ten_mwh, 9_000_001, 999_999, Step::Rollover, 1_999_998);
        check(ten_mwh, 9_000_000, 999_999, Step::Reset, 999_999);
        check(ten_mwh, 9_000_001, 1_000_000, Step::Reset, 1_000_000);
        check(ten_mwh, 6_250, 5_251, Step::Jitter, -999);
        check(ten_mwh, 6_250, 5_250, Step::Reset, 5_250);
        check(None, 9_999_999, 0, Step::Reset, 0);
        check(None, 6_250, 5_251, Step::Jitter, -999);
        check(None, 6_250, 5_250, Step::Reset, 5_250);
        check(None, 0, -100, Step::Jitter, -100);
        check(None, -100, -300, Step::Jitter, -200);
    }

    #[test]
    fn a_counter_of_the_day_begins_anew_however_little_it_counted() {
        check(None, 700, 0, Step::Reset, 0);
        check(None, 700, 300, Step::Reset, 300);
        check(None, 100, 0, Step::Reset, 0);
        check(None, 700, 350, Step::Jitter, -350);
        check(None, 200, 100, Step::Jitter, -100);
        let days = [0, 300, 700, 0, 0, 100, 400, 900, 0, 100];
        let counter = Counter::of(Metric::ENERGY, None).unwrap();
        assert_eq!(days.windows(2).map(|pair| counter.increment(pair[0], pair[1])).sum::<i64>(), 700 + 900 + 100);
    }

    #[test]
    fn only_energies_are_counters() {
        assert_eq!(Counter::of(Metric::POWER, None), None);
        assert_eq!(Counter::of(Metric::ENERGY, None), Some(Counter { modulus: None, jitter: 1_000 }));
    }
}
