//! Has the roll-ups of a span of a device computed again from its rows, and tells how many were wrong.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{JobKind, Resolution};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{JobError, Means, object};
use crate::db::column::Object;
use crate::readings::rollups::HOUR_MS;
use crate::readings::{Readings, ReadingsError};
use crate::store::devices;
use crate::store::jobs::NewJob;

/// Longest span: its windows are compared in memory.
pub const SPAN_MAX_MS: i64 = 31 * 86_400_000;
/// How far before a span a day may begin that touches it.
const DAY_MAX_MS: i64 = 26 * HOUR_MS;
/// How often it looks whether the hours are in order.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long that may take.
const WITHIN: Duration = Duration::from_secs(600);

/// What is to be repaired.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RollupRepair {
    /// Whose roll-ups.
    pub device_id: Uuid,
    /// From then on.
    pub from: UtcMs,
    /// Up to then, and up to the hour that is not over.
    pub to: UtcMs,
}

/// What it came to.
#[derive(Debug, Serialize)]
struct Repaired {
    /// Hours that were computed.
    hours: i64,
    /// Windows that came out otherwise, those of days too.
    windows_changed: usize,
}

impl RollupRepair {
    /// As a job; of one device one at a time.
    pub fn job(&self, now: UtcMs) -> NewJob {
        let key = Some(format!("rollup_repair {}", self.device_id));
        NewJob { kind: JobKind::RollupRepair, payload: object(self), key, run_at: now }
    }
}

/// Does it.
pub async fn run(means: &Means, payload: Object) -> Result<Object, JobError> {
    let repair: RollupRepair = serde_json::from_value(Value::Object(payload.0))
        .map_err(|error| JobError::Hopeless(format!("payload: {error}")))?;
    let device = devices::named(&means.db, repair.device_id).await?;
    let device = device.ok_or_else(|| JobError::Hopeless("the device was deleted".to_owned()))?.number;
    // Whole hours that are over: the worker leaves the others to those who ask.
    let over = means.clock.wall().0.div_euclid(HOUR_MS);
    let first = repair.from.0.div_euclid(HOUR_MS);
    let end = (repair.to.0 + HOUR_MS - 1).div_euclid(HOUR_MS).min(over);
    if first >= end {
        return Ok(object(&Repaired { hours: 0, windows_changed: 0 }));
    }
    let (from, to) = (UtcMs(first * HOUR_MS), UtcMs(end * HOUR_MS));
    let before = windows(&means.readings, device, from, to).await?;
    means.readings.touch(device, (first..end).collect()).await?;
    let late = Instant::now() + WITHIN;
    while means.readings.dirty_hours(device).await?.iter().any(|hour| (first..end).contains(&hour.hour)) {
        if Instant::now() > late {
            return Err(JobError::Passing("the roll-ups were not in order in time".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let after = windows(&means.readings, device, from, to).await?;
    let gone = before.keys().filter(|window| !after.contains_key(window)).count();
    let changed = after.iter().filter(|(window, hash)| before.get(window) != Some(hash)).count();
    Ok(object(&Repaired { hours: end - first, windows_changed: gone + changed }))
}

/// What tells the windows of a span from others in their place.
async fn windows(
    readings: &Readings,
    device: i64,
    from: UtcMs,
    to: UtcMs,
) -> Result<BTreeMap<(Resolution, UtcMs), u64>, ReadingsError> {
    let mut hashes = BTreeMap::new();
    for &resolution in Resolution::ALL {
        let from = if resolution == Resolution::Day { from.plus_ms(-DAY_MAX_MS) } else { from };
        for window in readings.windows(device, resolution, from, to).await? {
            let mut hasher = DefaultHasher::new();
            hasher.write(&window.pack());
            hashes.insert((resolution, window.start), hasher.finish());
        }
    }
    Ok(hashes)
}
