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
    /// The cadence of a register.
    pub const fn of(register: &Register) -> Cadence {
        match register.poll {
            Poll::Fast => Cadence::Fast,
            Poll::Slow => Cadence::Slow,
            Poll::Once => Cadence::Once,
        }
    }
}
