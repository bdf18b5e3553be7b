//! How a silent device is tried: ever less often, and so that all silent ones of a bus together
//! cost those that live almost nothing.

use std::time::Duration;

/// Longest pause between two attempts to reach a silent device.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// Silences in a row after which a device counts as sick: it is then asked ever less often.
pub const SICK: u32 = 2;
/// While others live, the silent devices of a bus together take one part in so many of its time.
const SHARE: u32 = 20;
/// Shortest time-out of a device that is tried between the polls of others.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// A device that comes back may answer more slowly than it ever did, by this factor.
const SLOWER: u32 = 2;

/// How long to leave a device alone after a poll that took `spent`: `silent` devices share what those
/// that live can spare. That is long enough for what it says too late, which on RTU could be taken for the
/// answer to the next request.
pub fn pause(failures: u32, interval: Duration, timeout: Duration, spent: Duration, silent: Option<u32>) -> Duration {
    let fair = silent.filter(|_| failures >= SICK).map_or(Duration::ZERO, |count| fair_pause(spent, count));
    fair.max(back_off(failures, interval, timeout))
}

/// How long to leave a device alone that was silent `failures` times in a row.
fn back_off(failures: u32, interval: Duration, timeout: Duration) -> Duration {
    match failures.checked_sub(SICK) {
        // What is on its way may still arrive; it must not be taken for the next answer.
        None => timeout * failures,
        Some(steps) => interval.max(timeout).saturating_mul(2 << steps.min(16)).min(BACK_OFF_MAX.max(interval)),
    }
}

/// What the attempt at a silent device may cost the others.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// How many devices of the bus are silent.
    pub silent: u32,
    /// Its whole time-out.
    pub timeout: Duration,
    /// The slowest of its last answers; nought while it never answered.
    pub answer: Duration,
    /// How long it was left alone.
    pub waited: Duration,
    /// How long no living device is due.
    pub free: Duration,
}

impl Attempt {
    /// How long to wait for its answer. The longer it was left alone the longer, so that also an
    /// answer slower than ever before is heard in the end.
    pub fn patience(&self) -> Duration {
        let affordable = self.waited / (SHARE * self.silent.max(1));
        affordable.max(self.free).max(self.answer * SLOWER).max(TIMEOUT_MIN).min(self.timeout)
    }
}

/// How long the next attempt has to wait when this one took `spent`.
fn fair_pause(spent: Duration, silent: u32) -> Duration {
    spent.saturating_mul(SHARE * silent).min(BACK_OFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_pause_of_a_silent_device_doubles_up_to_five_minutes() {
        let pauses: Vec<u64> = (0..12).map(|failures| back_off(failures, SECOND, SECOND).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(back_off(u32::MAX, SECOND, SECOND), BACK_OFF_MAX);
        assert_eq!(back_off(30, 600 * SECOND, SECOND), 600 * SECOND);
    }

    #[test]
    fn an_attempt_gets_what_the_bus_can_afford_and_in_the_end_its_whole_time_out() {
        let ms = Duration::from_millis;
        let attempt = Attempt { silent: 5, timeout: SECOND, answer: ms(0), waited: 2 * SECOND, free: ms(0) };
        for (attempt, patience) in [
            (attempt, ms(100)),
            (Attempt { waited: 32 * SECOND, ..attempt }, ms(320)),
            (Attempt { waited: BACK_OFF_MAX, ..attempt }, SECOND),
            (Attempt { silent: 1, waited: 10 * SECOND, ..attempt }, ms(500)),
            (Attempt { free: ms(700), ..attempt }, ms(700)),
            (Attempt { answer: ms(150), ..attempt }, ms(300)),
            (Attempt { timeout: ms(50), ..attempt }, ms(50)),
        ] {
            assert_eq!(attempt.patience(), patience, "{attempt:?}");
        }
    }

    #[test]
    fn where_nobody_lives_nobody_is_held_up() {
        let ms = Duration::from_millis;
        let after = |failures, silent| pause(failures, ms(250), ms(300), ms(300), silent);
        assert_eq!([1, 2, 3].map(|failures| after(failures, Some(1))), [ms(300), ms(6_000), ms(6_000)]);
        assert_eq!([1, 2, 3].map(|failures| after(failures, None)), [ms(300), ms(600), ms(1_200)]);
    }

    #[test]
    fn silent_devices_together_keep_to_their_share() {
        let spent = Duration::from_millis(120);
        let share = 5.0 * spent.as_secs_f64() / fair_pause(spent, 5).as_secs_f64();
        assert!(share <= 1.0 / f64::from(SHARE), "{share}");
        assert_eq!(fair_pause(60 * SECOND, 9), BACK_OFF_MAX);
    }
}
