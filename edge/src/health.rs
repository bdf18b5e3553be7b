//! Whether the gateway does its work: polling and storing both make progress.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;

/// Slack on top of three rounds before work counts as stuck.
const SLACK: Duration = Duration::from_secs(60);

/// Watches two counters that must grow.
#[derive(Debug)]
pub struct Health {
    polling_within: Option<Duration>,
    storing_within: Duration,
    seen: Mutex<[Progress; 2]>,
}

/// A counter and when it last grew.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    count: u64,
    grown_at: Duration,
}

/// What is found, as `/healthz` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Devices are being asked.
    pub polling: bool,
    /// What was read is being committed.
    pub storing: bool,
}

impl Finding {
    /// Everything works.
    pub const fn is_well(self) -> bool {
        self.polling && self.storing
    }
}

impl Health {
    /// `interval`: the longest interval of a device, `None` without devices. `flush`: the time
    /// between two commits. `now`: monotonic time.
    pub fn new(interval: Option<Duration>, flush: Duration, now: Duration) -> Self {
        let start = Progress { count: 0, grown_at: now };
        Health {
            polling_within: interval.map(|interval| interval * 3 + SLACK),
            storing_within: interval.unwrap_or_default() * 3 + flush * 3 + SLACK,
            seen: Mutex::new([start; 2]),
        }
    }

    /// Takes how many polls were begun, how many readings came of them, and how many of those are
    /// stored or on their way to be: without readings, nothing need be stored.
    pub fn observe(&self, polls: u64, stored: u64, unstored: bool, now: Duration) -> Finding {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let [polling, storing] = &mut *seen;
        polling.observe(polls, now);
        storing.observe(stored, now);
        if !unstored {
            storing.grown_at = now;
        }
        Finding {
            polling: self.polling_within.is_none_or(|within| now - polling.grown_at <= within),
            storing: now - storing.grown_at <= self.storing_within,
        }
    }
}

impl Progress {
    fn observe(&mut self, count: u64, now: Duration) {
        if count != self.count {
            *self = Progress { count, grown_at: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn work_that_stands_still_is_told_apart() {
        let health = Health::new(Some(at(1)), at(10), at(0));
        let find = |polls, stored, unstored, now| {
            let Finding { polling, storing } = health.observe(polls, stored, unstored, at(now));
            (polling, storing)
        };
        assert_eq!(find(0, 0, false, 60), (true, true), "at the start there is time");
        assert_eq!(find(0, 0, false, 64), (false, true), "nothing polled, nothing to store");
        assert_eq!(find(1, 0, true, 65), (true, true));
        assert_eq!(find(100, 0, true, 155), (true, true));
        assert_eq!(find(200, 0, true, 160), (true, false), "polled, and not stored");
        assert_eq!(find(201, 1, true, 161), (true, true));
    }

    #[test]
    fn a_gateway_without_devices_is_well() {
        assert!(Health::new(None, at(10), at(0)).observe(0, 0, false, at(9_999)).is_well());
    }
}
