//! The upload of a gateway: a container of versioned, length-prefixed items.
//! Its byte layout stands in `docs/batch-format.md`.

use serde::{Deserialize, Serialize};

use crate::reading::Gap;
use crate::receipt::BatchId;
use crate::segment::Segment;
use crate::words::DeviceType;

/// Media type of an encoded batch.
pub const MEDIA_TYPE: &str = "application/vnd.riverwatts.batch";
/// Largest encoded batch, in bytes.
pub const BYTES_MAX: usize = 4 << 20;
/// Most items in one batch.
pub const ITEMS_MAX: usize = 4_096;
/// Most readings in one batch, over all its segments.
pub const READINGS_MAX: usize = 100_000;

/// What a gateway sends in one request.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Its identity.
    pub id: BatchId,
    /// 0 for readings sent for the first time; a *correction* has a higher revision and may replace values.
    pub revision: u32,
    /// What it carries.
    pub items: Vec<Item>,
}

/// One thing that a batch carries.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// A device introduces itself; sent when new or changed.
    Announcement(Announcement),
    /// Readings of one device, by key.
    Segment {
        /// Key of the device in `edge.toml`.
        device: String,
        /// The readings, in UTC.
        segment: Segment,
    },
    /// Readings that will never come.
    Gap(Gap),
}

/// What a gateway knows of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Announcement {
    /// Key in `edge.toml`, unique within the site.
    pub key: String,
    /// Kind of machine, from the profile.
    pub device_type: Option<DeviceType>,
    /// Name of the profile.
    pub profile: String,
    /// As the device or the profile says.
    pub manufacturer: Option<String>,
    /// As the device or the profile says.
    pub model: Option<String>,
    /// As the device says.
    pub serial_number: Option<String>,
    /// As the device says.
    pub firmware_version: Option<String>,
    /// As the device says.
    pub hardware_version: Option<String>,
    /// `rated.power_w` of `edge.toml`.
    pub rated_power_w: Option<u64>,
    /// Marks a meter: `"meter"`.
    pub kind: Option<String>,
}
