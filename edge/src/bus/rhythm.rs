//! How often the registers of a device are read, and in which poll: each cadence has a grid of its
//! own, placed so that those of several devices do not fall together.

use std::time::Duration;

use tokio::time::Instant;

use super::spread;
use crate::config::Device;
use crate::plan::Cadence;

/// The times of one device.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    period: Duration,
    slow_interval: Duration,
    start: Instant,
    place: u32,
}

/// The polls at which one cadence is read.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// How often.
    pub every: Duration,
    /// A point of its grid; `None`: at every poll.
    anchor: Option<Instant>,
    due: Instant,
}

/// How often a device is polled: as its interval says, or less often where none of its registers
/// is to be read that often.
pub fn period(device: &Device) -> Duration {
    let registers = device.profile.areas.iter().flat_map(|area| &area.registers);
    let paces = registers.filter_map(|register| Cadence::of(register)?.every(device.interval, device.slow_interval));
    paces.min().unwrap_or(device.interval)
}

impl Rhythm {
    /// The times of a device with this place among all devices of the gateway, which starts now.
    pub fn new(device: &Device, place: u32, start: Instant) -> Self {
        Rhythm { period: period(device), slow_interval: device.slow_interval, start, place }
    }

    /// How often the device is polled.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// When it is polled first.
    pub fn first(&self) -> Instant {
        self.start + spread::offset(self.place, self.period)
    }

    /// When a cadence is read; `None` for what is read once. First at once, for a whole picture.
    pub fn turn(&self, cadence: Cadence) -> Option<Turn> {
        let every = cadence.every(self.period, self.slow_interval)?;
        let anchor = (every > self.period).then(|| self.start + spread::phase(self.place, every));
        Some(Turn { every, anchor, due: self.start })
    }
}

impl Turn {
    /// Whether the cadence is to be read in a poll at `now`.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// It was read in a poll at `now`: it is due again at the next point of its grid.
    pub fn taken(&mut self, now: Instant) {
        let Some(anchor) = self.anchor else { return };
        let steps = now.saturating_duration_since(anchor).as_nanos() / self.every.as_nanos().max(1);
        let passed = self.every.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        self.due = if anchor > now { anchor } else { anchor + passed + self.every };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rhythm(start: Instant, place: u32) -> Rhythm {
        Rhythm { period: SECOND, slow_interval: 10 * SECOND, start, place }
    }

    /// In which of the polls, one a second, a cadence is read.
    fn polls(turn: &mut Turn, first: Instant, count: u32) -> Vec<u32> {
        let due = |poll: &u32| {
            let now = first + SECOND * *poll;
            let due = turn.is_due(now);
            if due {
                turn.taken(now);
            }
            due
        };
        (0..count).filter(due).collect()
    }

    #[test]
    fn everything_is_read_first_and_then_each_cadence_on_its_grid() {
        let start = Instant::now();
        let rhythm = rhythm(start, 3);
        let first = rhythm.first();
        // Three times the silver part of ten seconds is 2.4 s.
        let mut slow = rhythm.turn(Cadence::Slow).unwrap();
        assert_eq!(polls(&mut slow, first, 40), [0, 2, 12, 22, 32]);
        let mut odd = rhythm.turn(Cadence::Every(2 * SECOND + SECOND / 2)).unwrap();
        assert_eq!(polls(&mut odd, first, 2_501).len(), 1 + 1_000, "not a multiple, and no drift");
        let mut fast = rhythm.turn(Cadence::Every(SECOND / 2)).unwrap();
        assert_eq!(polls(&mut fast, first, 5), [0, 1, 2, 3, 4], "never more often than the device");
        assert!(rhythm.turn(Cadence::Once).is_none());
    }

    #[test]
    fn after_a_pause_a_cadence_is_read_once_and_keeps_its_grid() {
        let start = Instant::now();
        let rhythm = rhythm(start, 0);
        let mut slow = rhythm.turn(Cadence::Slow).unwrap();
        slow.taken(start);
        assert_eq!(polls(&mut slow, start + 95 * SECOND, 30), [0, 5, 15, 25]);
    }
}
