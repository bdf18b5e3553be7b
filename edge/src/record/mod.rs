//! From the buses to the store: readings are dated, kept until their flush, and shown to the panel.

mod pending;
mod recorder;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::profile::Identity;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::UtcMs;

pub use recorder::{Recorded, Recorder};

/// What a bus tells.
#[derive(Debug, Clone, PartialEq)]
pub enum FromBus {
    /// A reading.
    Polled(Polled),
    /// What a device says about itself.
    Identity {
        /// Its number.
        device: u16,
        /// What it says.
        fields: BTreeMap<Identity, String>,
    },
    /// What the clock of the device said that `edge.toml` names.
    Clock(ClockSaid),
}

/// A device's clock at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSaid {
    /// When its answer came.
    pub monotonic: Duration,
    /// The time.
    pub said: UtcMs,
    /// How far off that may be.
    pub bound: Duration,
}

/// One poll of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// Its number.
    pub device: u16,
    /// When its answer came.
    pub monotonic: Duration,
    /// What it said.
    pub values: Vec<Value>,
    /// Readings of it between this one and the one before that were lost on the way here.
    pub lost_before: u64,
}
