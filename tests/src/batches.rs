//! Small batches made by hand, as a gateway without a box sends them.

use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use uuid::Uuid;

/// A whole minute, some minutes ago.
pub fn recent() -> UtcMs {
    UtcMs(SystemClock::default().wall().0 / 60_000 * 60_000 - 300_000)
}

/// A reading of one value, in millionths of a kilowatt.
pub fn reading(time: UtcMs, power: i64) -> Reading {
    Reading { time, values: vec![Value::ok(Metric::POWER, power)] }
}

/// Readings of one device as an item of a batch.
pub fn segment(device: &str, readings: &[Reading]) -> Item {
    Item::Segment { device: device.to_owned(), segment: Segment::from_readings(readings) }
}

/// A device introduces itself.
pub fn announcement(device: &str) -> Item {
    Item::Announcement(Announcement {
        key: device.to_owned(),
        profile: "counter".to_owned(),
        ..Announcement::default()
    })
}

/// A batch of a store of its own.
pub fn batch(items: Vec<Item>) -> Batch {
    Batch { id: BatchId { store: Uuid::new_v4(), sequence: 1 }, revision: 0, items }
}
