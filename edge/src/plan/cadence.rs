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
}
