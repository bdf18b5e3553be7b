//! When a device is polled: on the grid of its interval, without drift; rarely while it is silent.

use std::time::Duration;

use tokio::time::Instant;

/// Longest pause between two attempts to reach a silent device.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Silences in a row after which a device counts as sick: it is then asked ever less often.
pub const SICK: u32 = 2;

/// The times of the polls of one device.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How often.
    pub interval: Duration,
    /// When next.
    pub due: Instant,
}

impl Schedule {
    /// Moves on to the next poll that is `pause` away or more. Gives the number of polls that had
    /// to be given up because the bus was busy: one late poll is caught up with, more are not.
    pub fn advance(&mut self, now: Instant, pause: Duration) -> u64 {
        let mut overruns = 0;
        self.due += self.interval;
        while self.due + self.interval <= now {
            self.due += self.interval;
            overruns += 1;
        }
        if !pause.is_zero() {
            let behind = (now + pause).saturating_duration_since(self.due);
            let steps = behind.as_nanos().div_ceil(self.interval.as_nanos().max(1));
            self.due += self.interval.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        }
        overruns
    }
}

/// How long to leave a device alone that was silent `failures` times in a row.
pub fn back_off(failures: u32, interval: Duration, timeout: Duration) -> Duration {
    match failures.checked_sub(SICK) {
        // What is on its way may still arrive; it must not be taken for the next answer.
        None => timeout * failures,
        Some(steps) => interval.max(timeout).saturating_mul(2 << steps.min(16)).min(BACK_OFF_MAX.max(interval)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn polls_keep_to_the_grid() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut schedule = Schedule { interval: SECOND, due: start };
        for (now, pause, due, overruns) in [
            (ms(30), ms(0), ms(1_000), 0),
            (ms(1_200), ms(0), ms(2_000), 0),
            // One poll late: the next follows at once.
            (ms(3_400), ms(0), ms(3_000), 0),
            (ms(3_450), ms(0), ms(4_000), 0),
            // Three late: two are given up.
            (ms(7_500), ms(0), ms(7_000), 2),
            // Silent: the first point of the grid behind the pause.
            (ms(7_600), ms(2_000), ms(10_000), 0),
            (ms(10_000), ms(2_000), ms(12_000), 0),
        ] {
            assert_eq!(schedule.advance(start + now, pause), overruns, "at {now:?}");
            assert_eq!(schedule.due - start, due, "at {now:?}");
        }
    }

    #[test]
    fn the_pause_of_a_silent_device_doubles_up_to_a_minute() {
        let pauses: Vec<u64> = (0..12).map(|failures| back_off(failures, SECOND, SECOND).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        assert_eq!(back_off(u32::MAX, SECOND, SECOND), BACK_OFF_MAX);
        assert_eq!(back_off(30, 600 * SECOND, SECOND), 600 * SECOND);
    }
}
