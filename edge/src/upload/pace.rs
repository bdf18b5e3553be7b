//! When to try again, and how much at once: pure, with randomness as a parameter.

use std::time::Duration;

use crate::config::Upload;
use crate::store::Limits;

/// Shortest and longest interval that the cloud may ask for.
pub(super) const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(3_600);
/// Longest pause between two attempts at a cloud that is not reached.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How much later than asked for an attempt comes, at most.
const LATE_MAX: Duration = Duration::from_secs(60);
/// Pause after the cloud refused the credential.
const STRANGER: Duration = Duration::from_secs(600);
/// Refusals of the credential in a row after which it counts as refused.
const STRANGERS_MAX: u32 = 3;
/// Pause when the cloud refuses whatever it gets.
const REFUSED: Duration = Duration::from_secs(300);
/// Single rows in a row that are refused before the cloud counts as ill, and no more are given up.
const REFUSED_MAX: u32 = 3;
/// Bounds of one batch: a small part of what the format allows, so that memory stays small.
const UNITS_MAX: usize = 512;
const READINGS_MAX: u64 = 8_000;
const BYTES_MAX: usize = 192 << 10;
/// Least bytes of a batch on a slow link.
const BYTES_MIN: usize = 8 << 10;

/// Why the next cycle comes later than usual.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pause {
    /// Soon again, later each time.
    Retry(String),
    /// When the cloud says.
    After(Duration, String),
    /// The credential is refused.
    Stranger(String),
    /// Everything is refused.
    Refused(String),
    /// There is nobody to send to.
    NotEnrolled,
}

impl Pause {
    /// What the cloud asks for, if it does.
    pub(super) fn of(again: Option<Duration>, words: String) -> Pause {
        match again {
            Some(pause) => Pause::After(pause, words),
            None => Pause::Retry(words),
        }
    }
}

/// How it has gone lately.
#[derive(Debug)]
pub(super) struct Pace {
    failures: u32,
    units: usize,
    bytes: usize,
    refused: u32,
    strangers: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { failures: 0, units: UNITS_MAX, bytes: BYTES_MAX, refused: 0, strangers: 0 }
    }
}

impl Pace {
    /// How much the next batch may have.
    pub(super) const fn limits(&self) -> Limits {
        Limits { units: self.units, readings: READINGS_MAX, bytes: self.bytes }
    }

    /// A batch arrived, after so long; a batch should not take longer than half an interval, since
    /// the live lane waits for it.
    pub(super) fn delivered(&mut self, took: Duration, every: Duration) {
        self.failures = 0;
        self.refused = 0;
        self.strangers = 0;
        self.units = (self.units * 2).min(UNITS_MAX);
        if took > every / 2 {
            self.bytes = (self.bytes / 2).max(BYTES_MIN);
        } else if took < every / 8 {
            self.bytes = (self.bytes * 2).min(BYTES_MAX);
        }
    }

    /// A batch did not get through: less at once has a better chance on a link that breaks or changes bytes.
    pub(super) fn failed(&mut self) {
        self.bytes = (self.bytes / 2).max(BYTES_MIN);
    }

    /// The credential was refused; the first times a link may have changed it.
    pub(super) fn stranger(&mut self, words: String) -> Pause {
        self.strangers = (self.strangers + 1).min(STRANGERS_MAX);
        if self.strangers < STRANGERS_MAX { Pause::Retry(words) } else { Pause::Stranger(words) }
    }

    /// A batch of so many rows was refused whole. Gives whether to try with fewer; if not, the one
    /// row that it was is to be given up.
    pub(super) fn refuse(&mut self, units: usize, words: &str) -> Result<bool, Pause> {
        self.units = (units / 2).max(1);
        if units > 1 {
            return Ok(true);
        }
        self.refused += 1;
        if self.refused > REFUSED_MAX {
            return Err(Pause::Refused(words.to_owned()));
        }
        Ok(false)
    }

    /// How long to wait. `chance`: 0 to 255, spreads the attempts of many gateways.
    pub(super) fn wait(&mut self, pause: &Pause, every: Duration, chance: u8) -> Duration {
        let spread = |pause: Duration| pause / 2 + pause / 2 * u32::from(chance) / 255;
        match pause {
            Pause::Retry(_) => {
                self.failures = (self.failures + 1).min(16);
                spread((every * (1 << (self.failures - 1))).min(RETRY_MAX.max(every)))
            }
            // Never sooner than asked for, and not all gateways at once.
            Pause::After(pause, _) => {
                let late = (*pause / 4).min(LATE_MAX) * u32::from(chance) / 255;
                (*pause).max(every) + late
            }
            Pause::Stranger(_) => spread(STRANGER).max(every),
            Pause::Refused(_) => spread(REFUSED).max(every),
            Pause::NotEnrolled => every,
        }
    }
}

/// The interval in force when the cloud asks for this one. Where bytes cost money it asks in vain.
pub(super) fn interval(upload: &Upload, asked_s: Option<u32>) -> Duration {
    let asked = asked_s.filter(|_| !upload.metered).map(|seconds| Duration::from_secs(seconds.into()));
    asked.map_or(upload.every, |every| every.clamp(EVERY_MIN, EVERY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn retries_come_later_each_time_and_never_much_later() {
        let mut pace = Pace::default();
        let retry = Pause::Retry("no route".to_owned());
        let waits: Vec<u64> = (0..20).map(|_| pace.wait(&retry, EVERY, 255).as_secs()).collect();
        assert_eq!(waits[..4], [10, 20, 30, 30]);
        assert_eq!(waits[19], 30);
        assert_eq!(pace.wait(&retry, EVERY, 0).as_secs(), 15);
        assert_eq!(pace.wait(&retry, Duration::from_secs(60), 255).as_secs(), 60);
        pace.delivered(Duration::ZERO, EVERY);
        assert_eq!(pace.wait(&retry, EVERY, 255).as_secs(), 10);
    }

    #[test]
    fn the_cloud_may_ask_for_an_interval_where_bytes_cost_nothing() {
        for (metered, asked_s, every_s) in [
            (false, None, 10),
            (false, Some(1), 1),
            (false, Some(0), 1),
            (false, Some(u32::MAX), 3_600),
            (true, None, 10),
            (true, Some(1), 10),
        ] {
            let upload =
                Upload { every: EVERY, metered, bandwidth_bytes_per_s: None, backlog_hours: Vec::new(), plan: None };
            assert_eq!(interval(&upload, asked_s).as_secs(), every_s, "{metered} {asked_s:?}");
        }
    }

    #[test]
    fn the_cloud_says_when_but_not_sooner_than_the_interval() {
        let mut pace = Pace::default();
        for (said, chance, waits) in [(0, 255, 10), (1, 0, 10), (90, 0, 90), (80, 255, 100), (3_600, 255, 3_660)] {
            let after = Pause::After(Duration::from_secs(said), String::new());
            assert_eq!(pace.wait(&after, EVERY, chance).as_secs(), waits);
        }
    }

    #[test]
    fn a_refused_batch_is_halved_down_to_the_row_that_is_at_fault() {
        let mut pace = Pace::default();
        for (units, next) in [(40, 20), (20, 10), (2, 1)] {
            assert_eq!(pace.refuse(units, ""), Ok(true));
            assert_eq!(pace.limits().units, next);
        }
        assert_eq!(pace.refuse(1, ""), Ok(false));
        pace.delivered(Duration::ZERO, EVERY);
        assert_eq!(pace.limits().units, 2);
        for _ in 0..REFUSED_MAX {
            assert_eq!(pace.refuse(1, ""), Ok(false));
        }
        assert_eq!(pace.refuse(1, "ill"), Err(Pause::Refused("ill".to_owned())));
    }

    #[test]
    fn a_credential_is_refused_when_it_was_so_three_times() {
        let mut pace = Pace::default();
        let words = String::new;
        assert_eq!([pace.stranger(words()), pace.stranger(words())], [Pause::Retry(words()), Pause::Retry(words())]);
        assert_eq!(
            [pace.stranger(words()), pace.stranger(words())],
            [Pause::Stranger(words()), Pause::Stranger(words())]
        );
        pace.delivered(Duration::ZERO, EVERY);
        assert_eq!(pace.stranger(words()), Pause::Retry(words()));
    }

    #[test]
    fn batches_shrink_where_they_do_not_get_through() {
        let mut pace = Pace::default();
        pace.failed();
        assert_eq!(pace.limits().bytes, BYTES_MAX / 2);
        for _ in 0..20 {
            pace.failed();
        }
        assert_eq!(pace.limits().bytes, BYTES_MIN);
    }

    #[test]
    fn batches_shrink_on_a_slow_link() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.delivered(EVERY, EVERY);
        }
        assert_eq!(pace.limits().bytes, BYTES_MIN);
        for _ in 0..20 {
            pace.delivered(Duration::from_millis(1), EVERY);
        }
        assert_eq!(pace.limits().bytes, BYTES_MAX);
    }
}
