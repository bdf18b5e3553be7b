//! The cloud's answer to a batch: what is stored for good, and what was refused.

mod short;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::UtcMs;
use crate::words::RejectCode;

/// Media type of the short form ([`Receipt::to_short`]); without it in `Accept`, a receipt is JSON.
pub const MEDIA_TYPE: &str = "application/vnd.riverwatts.receipt";
/// Largest receipt, in bytes: a gateway reads no further.
pub const BYTES_MAX: usize = 8 << 20;

/// Written after the database commit; settles everything that the batch carried.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Which batch this answers.
    pub batch: BatchId,
    /// Changes when the cloud was restored from a backup: then the gateway reconciles.
    pub epoch: Uuid,
    /// The ids of the devices that the batch named by key.
    pub devices: Vec<NamedDevice>,
    /// Keys whose readings were not taken and stay with the gateway, unsettled: another active gateway
    /// of the site holds them, until an admin confirms the move.
    pub waiting: Vec<String>,
    /// What is now stored of the batch, duplicates included.
    pub stored: Vec<StoredSpan>,
    /// Readings stored now.
    pub accepted: u64,
    /// Readings that were there before, with the same values.
    pub duplicates: u64,
    /// Readings (or whole items) refused; they become dead letters at the edge.
    pub rejected: Vec<Rejected>,
    /// How often the cloud wants uploads, in seconds; `null`: as the gateway is set.
    pub upload_every_s: Option<u32>,
    /// The highest sequence of this store that the cloud had stored anything of before this batch; 0: none.
    /// A gateway that has a receipt for a higher one knows that the cloud was restored from a backup; one
    /// that never used so high a number runs from an older copy of its store.
    #[serde(default)]
    pub last_sequence: u64,
    /// Version of the gateway's `edge.toml` that the cloud has, the newest that it was sent; `null`: none.
    pub config_version: Option<String>,
    /// Commands for the gateway; none yet.
    pub commands: Vec<serde_json::Value>,
}

/// Identity of a batch: the gateway's store and a number that it never uses twice.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BatchId {
    /// Random id of the gateway's store, made with its file.
    pub store: Uuid,
    /// Counts up within the store, not always by one.
    pub sequence: u64,
}

/// A device's key in `edge.toml` and the id that the cloud gave it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NamedDevice {
    /// Key in `edge.toml`.
    pub key: String,
    /// Id in the cloud.
    pub device_id: Uuid,
}

/// `count` readings of a device with times in `[from, to]`, both included, are stored.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredSpan {
    /// The device.
    pub device_id: Uuid,
    /// Time of the first.
    pub from: UtcMs,
    /// Time of the last.
    pub to: UtcMs,
    /// How many.
    pub count: u64,
}

/// One refused reading, or with `timestamp = null` everything of the device in this batch.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// The device; `null` when the cloud knows none by that key.
    pub device_id: Option<Uuid>,
    /// Key of the device in `edge.toml`.
    pub key: String,
    /// Time of the reading.
    pub timestamp: Option<UtcMs>,
    /// The reason as a word.
    pub code: RejectCode,
    /// The reason as a sentence.
    pub message: String,
}
