//! When a device is polled: on the grid of its interval, without drift; and who goes first.

use std::time::Duration;

use tokio::time::Instant;

use super::back_off::SICK;
use crate::config::Priority;

/// A device that is so many intervals late goes first, whatever its priority.
const PATIENCE_INTERVALS: u32 = 3;

/// The times of the polls of one device.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How often.
    pub interval: Duration,
    /// When next.
    pub due: Instant,
    /// Whether it goes first.
    pub priority: Priority,
    /// Silences in a row.
    pub failures: u32,
}

/// Who goes first: the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Was due so long ago that nothing else counts.
    Overdue { since: Instant },
    /// Is due and lives.
    Due { priority: Priority, since: Instant },
    /// Is due and was silent the last times: whoever lives goes first.
    Sick { since: Instant },
    /// Is not due yet.
    Early { until: Instant },
}

impl Schedule {
    /// Whether it was silent so often that it is only tried now and then.
    pub fn is_sick(&self) -> bool {
        self.failures >= SICK
    }

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

    /// Forgets the pause: due at the next point of its grid.
    pub fn resume(&mut self, now: Instant) {
        self.failures = 0;
        let early = self.due.saturating_duration_since(now).as_nanos() / self.interval.as_nanos().max(1);
        self.due -= self.interval.saturating_mul(u32::try_from(early).unwrap_or(u32::MAX));
    }

    fn standing(&self, now: Instant) -> Standing {
        let since = self.due;
        if since > now {
            return Standing::Early { until: since };
        }
        let patience = since + self.interval * PATIENCE_INTERVALS;
        match self.is_sick() {
            _ if patience <= now => Standing::Overdue { since: patience },
            false => Standing::Due { priority: self.priority, since },
            true => Standing::Sick { since },
        }
    }
}

/// Whose turn it is: of those that are due, or else who is due first.
pub fn next<'s>(schedules: impl Iterator<Item = &'s Schedule>, now: Instant) -> Option<usize> {
    schedules.map(|schedule| schedule.standing(now)).enumerate().min_by_key(|&(_, standing)| standing).map(|(index, _)| index)
}
