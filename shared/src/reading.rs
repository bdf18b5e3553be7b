//! What one device measured at one time.

use uuid::{Uuid, uuid};

use crate::metric::Metric;
use crate::time::UtcMs;
use crate::words::{GapReason, Quality};

/// One named quantity of a reading. `value` is in the metric's fixed unit; `None` when the
/// device said that it has none (then the quality says why).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value {
    /// What was measured.
    pub metric: Metric,
    /// The number, in the metric's fixed decimal unit.
    pub value: Option<i64>,
    /// How far it may be trusted.
    pub quality: Quality,
}

impl Value {
    /// A value that nothing speaks against.
    pub const fn ok(metric: Metric, value: i64) -> Value {
        Value { metric, value: Some(value), quality: Quality::Ok }
    }
}

/// What one device measured at one time: one poll of one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When it was measured.
    pub time: UtcMs,
    /// Its values, in order of metric, each metric at most once.
    pub values: Vec<Value>,
}

/// A span `[from, to)` of one device whose readings will never come, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Key of the device in `edge.toml`.
    pub device: String,
    /// The last instant that was kept.
    pub from: UtcMs,
    /// The first instant that is kept again.
    pub to: UtcMs,
    /// How many readings are missing, where that is known.
    pub rows: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// Namespace of reading ids: a reading's id is a UUIDv5 in it, see [`reading_id`].
pub const READING_NAMESPACE: Uuid = uuid!("5b1a7c52-8d0e-4b7f-9a63-2f6b2a1c9e01");
/// Namespace of alert ids.
pub const ALERT_NAMESPACE: Uuid = uuid!("5b1a7c52-8d0e-4b7f-9a63-2f6b2a1c9e02");

/// Id of the reading of `device` at `time`: the UUIDv5, in [`READING_NAMESPACE`], of the device's
/// 16 bytes followed by the time in milliseconds as 8 bytes, big endian.
pub fn reading_id(device: Uuid, time: UtcMs) -> Uuid {
    let mut name = [0; 24];
    name[..16].copy_from_slice(device.as_bytes());
    name[16..].copy_from_slice(&time.0.to_be_bytes());
    Uuid::new_v5(&READING_NAMESPACE, &name)
}
