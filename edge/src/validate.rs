//! Marks values that cannot be: pure, one validator per device. It flags and never deletes; the
//! first doubt stays. Plausible ranges are the profile's and are marked while decoding.

use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::Quality;

/// An energy counter may run this many times faster than the rated power lets it.
const ENERGY_MARGIN: u64 = 2;
/// Steps of a counter, in Wh, that say nothing: coarse counters move in kilowatt-hours.
const ENERGY_STEP_WH: u64 = 2_000;

/// What is remembered of a device from one reading to the next.
#[derive(Debug, Clone, Default)]
pub struct Validator {
    rated_power_w: Option<u64>,
    last: Option<Duration>,
    energy: Option<(Duration, i64)>,
}

impl Validator {
    /// For a device with this rated power, where it is known.
    pub fn new(rated_power_w: Option<u64>) -> Self {
        Validator { rated_power_w, last: None, energy: None }
    }

    /// Marks the values of a reading taken at `monotonic`.
    pub fn validate(&mut self, monotonic: Duration, values: &mut [Value]) {
        if self.last.is_some_and(|last| monotonic <= last) {
            values.iter_mut().for_each(|value| doubt(value, Quality::TimeOrder));
            return;
        }
        self.last = Some(monotonic);
        for value in values.iter_mut().filter(|value| value.metric == Metric::ENERGY) {
            let Some(energy_wh) = value.value else { continue };
            if self.runs_too_fast(monotonic, energy_wh) {
                doubt(value, Quality::Rate);
            }
            // Kept also when doubted, so that one jump is one doubt.
            self.energy = Some((monotonic, energy_wh));
        }
    }

    /// A counter that jumps, as when a meter answers with half of its old number, is no energy.
    fn runs_too_fast(&self, monotonic: Duration, energy_wh: i64) -> bool {
        let (Some(rated_w), Some((since, before))) = (self.rated_power_w, self.energy) else { return false };
        let passed_ms = (monotonic - since).as_millis() as u64;
        let possible_wh = rated_w.saturating_mul(ENERGY_MARGIN).saturating_mul(passed_ms) / 3_600_000;
        u64::try_from(energy_wh.saturating_sub(before)).is_ok_and(|step| step > possible_wh + ENERGY_STEP_WH)
    }
}

fn doubt(value: &mut Value, quality: Quality) {
    if value.quality == Quality::Ok {
        value.quality = quality;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rated_power_w: Option<u64>, readings: &[(u64, i64, Quality)]) {
        let mut validator = Validator::new(rated_power_w);
        for &(second, energy_wh, expected) in readings {
            let mut values = [Value::ok(Metric::ENERGY, energy_wh)];
            validator.validate(Duration::from_secs(second), &mut values);
            assert_eq!(values, [Value { quality: expected, ..Value::ok(Metric::ENERGY, energy_wh) }], "at {second} s");
        }
    }

    #[test]
    fn a_counter_that_jumps_is_doubted_once() {
        use Quality::{Ok, Rate};
        check(Some(5_000), &[(0, 1_000, Ok), (10, 1_014, Ok), (20, 4_000_000, Rate), (30, 4_000_014, Ok)]);
        check(Some(5_000), &[(0, 1_000_000, Ok), (3_600, 1_010_000, Ok), (3_601, 0, Ok), (3_602, 1, Ok)]);
        check(None, &[(0, 1_000, Ok), (1, 4_000_000_000, Ok)]);
    }

    #[test]
    fn a_reading_that_is_not_newer_is_marked() {
        use Quality::{Ok, TimeOrder};
        check(None, &[(10, 1, Ok), (10, 2, TimeOrder), (9, 3, TimeOrder), (11, 4, Ok)]);
    }

    #[test]
    fn the_first_doubt_stays() {
        let mut validator = Validator::default();
        validator.validate(Duration::from_secs(1), &mut []);
        let sentinel = Value { metric: Metric::POWER, value: None, quality: Quality::Sentinel };
        let mut values = [sentinel];
        validator.validate(Duration::ZERO, &mut values);
        assert_eq!(values, [sentinel]);
    }
}
