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
    /// The cadence of a register; `None`: polling never reads it.
    pub const fn of(register: &Register) -> Option<Cadence> {
        match (register.every, register.poll) {
            (Some(every), _) => Some(Cadence::Every(every)),
            (None, Poll::Fast) => Some(Cadence::Fast),
            (None, Poll::Slow) => Some(Cadence::Slow),
            (None, Poll::Once) => Some(Cadence::Once),
            (None, Poll::Demand) => None,
        }
    }
}
