//! Which registers of a device are read together, and how often.

use std::time::Duration;

use riverwatts_shared::profile::{Poll, Register};

/// How often a register is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cadence {
    /// At every poll of the device.
    Fast,
    /// At its slow interval.
    Slow,
    /// At an interval of the register's own.
    Every(Duration),
    /// Once when the device is first reached.
    Once,
}

impl Cadence {
    /// The cadence of a register; `None` when polling never reads it.
    pub const fn of(register: &Register) -> Option<Cadence> {
        match (register.poll, register.every) {
            (Poll::Demand, _) => None,
            (_, Some(pace)) => Some(Cadence::Every(pace)),
            (Poll::Fast, _) => Some(Cadence::Fast),
            (Poll::Slow, _) => Some(Cadence::Slow),
            (Poll::Once, _) => Some(Cadence::Once),
        }
    }

    /// How often it is due on a device with these intervals, of which the first is the shortest; `None`:
    /// once.
    pub fn every(self, interval: Duration, slow_interval: Duration) -> Option<Duration> {
        match self {
            Cadence::Fast => Some(interval),
            Cadence::Slow => Some(slow_interval),
            Cadence::Every(every) => Some(every.max(interval)),
            Cadence::Once => None,
        }
    }
}
