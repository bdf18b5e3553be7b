//! From the buses to the store: readings are dated, kept until their flush, and shown to the panel.

mod pending;
mod recorder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::profile::Identity;
use riverwatts_shared::reading::Value;

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
