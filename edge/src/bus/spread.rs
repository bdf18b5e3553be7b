//! Spreads the polls of the whole gateway over time, always in the same way: neither do all begin
//! at once, nor do the slow registers of several devices fall together.
//!
//! The fractional parts of the multiples of a number far from every fraction lie evenly, however many
//! are taken and wherever one begins: devices that follow each other, as those of one bus do, are
//! spread as well as all together.

use std::time::Duration;

/// 2^64 parts of the golden section.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// 2^64 parts of the square root of two, less one.
const SILVER: u64 = 0x6A09_E667_F3BC_C908;
/// All devices are asked for the first time within this, however long their intervals are.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// How long after the start the device with this place is asked for the first time.
pub fn offset(place: u32, interval: Duration) -> Duration {
    part(place, GOLDEN, interval.min(FIRST_WITHIN))
}

/// How far into the interval of its slow registers they are read.
pub fn phase(place: u32, every: Duration) -> Duration {
    part(place, SILVER, every)
}

fn part(place: u32, step: u64, span: Duration) -> Duration {
    let fraction = u64::from(place).wrapping_mul(step);
    Duration::from_nanos(((span.as_nanos() * u128::from(fraction)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Most of these times within any window of this width, round the end of the span.
    fn crowd(mut times: Vec<Duration>, window: Duration, span: Duration) -> usize {
        times.sort_unstable();
        let round = times.clone().into_iter().map(|time| time + span);
        let times: Vec<_> = times.iter().copied().chain(round).collect();
        let begins = times.iter().take(times.len() / 2);
        let within = begins.map(|begin| times.iter().filter(|&time| time >= begin && *time < *begin + window).count());
        within.max().unwrap_or_default()
    }

    #[test]
    fn devices_of_a_thousand_buses_begin_evenly() {
        let times: Vec<_> = (0..1_000).map(|place| offset(place, SECOND)).collect();
        let most = crowd(times, SECOND / 100, SECOND);
        assert!(most <= 12, "ten would be even, {most} fall together");
    }

    #[test]
    fn devices_of_one_bus_begin_evenly_wherever_it_stands() {
        for (first, count) in [(0, 10), (377, 10), (990, 10), (5, 3), (700, 32)] {
            let times: Vec<_> = (first..first + count).map(|place| offset(place, SECOND)).collect();
            let most = crowd(times, SECOND / count, SECOND);
            assert!(most <= 2, "{most} of {count} from {first} begin together");
        }
    }

    #[test]
    fn slow_registers_of_several_devices_do_not_fall_together() {
        for (first, count) in [(0, 10), (377, 10), (0, 1_000)] {
            // On the polls of their devices, which begin at their offsets.
            let slow = |place| {
                let (offset, phase) = (offset(place, SECOND), phase(place, 10 * SECOND));
                offset + Duration::from_secs(phase.saturating_sub(offset).as_nanos().div_ceil(1_000_000_000) as u64)
            };
            let times: Vec<_> = (first..first + count).map(slow).collect();
            let even = SECOND * 10 / count;
            let most = crowd(times, even * 4, 10 * SECOND);
            assert!(most <= 8, "{most} of {count} from {first} within the time of four");
        }
    }

    #[test]
    fn a_long_interval_does_not_delay_the_first_poll() {
        let hour = 3_600 * SECOND;
        assert!((0..1_000).all(|place| offset(place, hour) < FIRST_WITHIN));
        assert_eq!((offset(0, SECOND), phase(0, SECOND)), (Duration::ZERO, Duration::ZERO));
    }
}
