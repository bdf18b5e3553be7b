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

    /// Forgets the pause: due now, as of the last point of its grid.
    pub fn resume(&mut self, now: Instant) {
        self.failures = 0;
        let early = self.due.saturating_duration_since(now).as_nanos().div_ceil(self.interval.as_nanos().max(1));
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
    schedules
        .map(|schedule| schedule.standing(now))
        .enumerate()
        .min_by_key(|&(_, standing)| standing)
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn schedule(interval: Duration, due: Instant, priority: Priority) -> Schedule {
        Schedule { interval, due, priority, failures: 0 }
    }

    #[test]
    fn polls_keep_to_the_grid() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut schedule = schedule(SECOND, start, Priority::Normal);
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
        schedule.advance(start + ms(12_100), ms(60_000));
        schedule.failures = 7;
        schedule.resume(start + ms(20_300));
        assert_eq!(
            (schedule.due - start, schedule.failures),
            (ms(20_000), 0),
            "a pause that is forgotten leaves the grid"
        );
    }

    #[test]
    fn of_those_that_are_due_the_important_go_first_then_who_waits_longer_then_who_is_silent() {
        let now = Instant::now() + 100 * SECOND;
        let at = |behind: Duration, priority| schedule(SECOND, now - behind, priority);
        let sick = Schedule { failures: 2, ..at(SECOND, Priority::High) };
        let early = schedule(SECOND, now + SECOND, Priority::High);
        for (schedules, first) in [
            (vec![at(10 * MS, Priority::Low), at(9 * MS, Priority::Normal), at(1 * MS, Priority::High)], 2),
            (vec![at(10 * MS, Priority::Normal), at(11 * MS, Priority::Normal)], 1),
            (vec![sick, at(1 * MS, Priority::Low)], 1),
            (vec![early, sick], 1),
            (vec![early, schedule(SECOND, now + MS, Priority::Low)], 1),
            // Three intervals late: before everybody, and the longest so first.
            (vec![at(500 * MS, Priority::High), at(3_100 * MS, Priority::Low), at(3_200 * MS, Priority::Low)], 2),
        ] {
            assert_eq!(next(schedules.iter(), now), Some(first), "{schedules:?}");
        }
        assert_eq!(next([].iter(), now), None);
    }

    /// However much there is to do, and whoever is important.
    #[test]
    fn nobody_starves() {
        let start = Instant::now();
        let mut schedules: Vec<Schedule> = (0..12)
            .map(|index| {
                let interval = [100 * MS, 200 * MS, SECOND][index % 3];
                schedule(interval, start, [Priority::High, Priority::Normal, Priority::Low][index / 4])
            })
            .collect();
        let mut now = start;
        let mut last = vec![start; schedules.len()];
        let mut longest = vec![Duration::ZERO; schedules.len()];
        while now < start + 300 * SECOND {
            let index = next(schedules.iter(), now).unwrap();
            now = now.max(schedules[index].due) + 50 * MS;
            schedules[index].advance(now, Duration::ZERO);
            longest[index] = longest[index].max(now - last[index]);
            last[index] = now;
        }
        // Everybody once takes 0.6 s; late by three intervals, one is behind all that were so before.
        for (schedule, longest) in schedules.iter().zip(&longest) {
            let most = schedule.interval * (PATIENCE_INTERVALS + 1) + 2 * 600 * MS;
            assert!(*longest <= most, "{longest:?} without a poll at {schedule:?}");
        }
    }
}
