//! Roll-ups as they are stored: what a device's metrics came to in a window. Whole records, replaced,
//! never incremented.

use riverwatts_shared::bytes::{Malformed, Reader, Writer};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::Rollup;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;

use super::rows::{read_metric, write_metric};

/// Version of the packed metrics of a window.
const VERSION: u8 = 1;

/// One hour, in ms.
pub const HOUR_MS: i64 = 3_600_000;

/// On which side of an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Earlier.
    Before,
    /// Later.
    After,
}

/// An hour of a device whose roll-ups do not know yet what stands in the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirtyHour {
    /// Number of the device.
    pub device: i64,
    /// Hours since 1970.
    pub hour: i64,
    /// Grows with every write that touches it.
    pub version: u64,
    /// How long ago the last of them was, in ms.
    pub untouched_ms: u64,
}

impl DirtyHour {
    /// When it begins.
    pub fn start(&self) -> UtcMs {
        UtcMs(self.hour * HOUR_MS)
    }

    /// When it ends.
    pub fn end(&self) -> UtcMs {
        UtcMs((self.hour + 1) * HOUR_MS)
    }
}

/// What the metrics of a device came to in one window; only those that have points in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// When it begins.
    pub start: UtcMs,
    /// In order of metric.
    pub metrics: Vec<(Metric, Rollup)>,
}

/// New roll-ups of one device.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Number of the device.
    pub device: i64,
    /// Windows that begin in `[from, to)` are removed before the new ones are put in.
    pub replaced: Vec<(Resolution, UtcMs, UtcMs)>,
    /// The new ones.
    pub windows: Vec<(Resolution, Window)>,
    /// The zone whose days all windows of a day are now.
    pub day_zone: Option<String>,
    /// The hours that are in order with it, unless they were touched meanwhile.
    pub done: Vec<DirtyHour>,
}

/// Energy of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Energy {
    /// In Wh.
    pub wh: i64,
    /// How much of the window what it comes from covers, in ms.
    pub covered_ms: i64,
}

/// Energy in a window: what the counter advanced where there is one, else the integral of the power.
pub fn energy(counter: &Rollup, power: &Rollup) -> Option<Energy> {
    if counter.count > 0 {
        return Some(Energy { wh: counter.increment, covered_ms: counter.covered_ms });
    }
    // Millionths of a kW × ms, doubled.
    let wh = || (power.area2 as f64 / (2.0 * 3_600_000.0 * 1_000.0)).round() as i64;
    (power.covered_ms > 0).then(|| Energy { wh: wh(), covered_ms: power.covered_ms })
}

impl Window {
    /// The roll-up of a metric; empty when it has no points.
    pub fn of(&self, metric: Metric) -> Rollup {
        let found = self.metrics.binary_search_by_key(&metric, |(metric, _)| *metric);
        found.map_or_else(|_| Rollup::default(), |index| self.metrics[index].1)
    }

    /// Energy in Wh.
    pub fn energy_wh(&self) -> Option<i64> {
        energy(&self.of(Metric::ENERGY), &self.of(Metric::POWER)).map(|energy| energy.wh)
    }

    /// How much of it is covered by the metric that is covered most, in ms.
    pub fn covered_ms(&self) -> i64 {
        self.metrics.iter().map(|(_, rollup)| rollup.covered_ms).max().unwrap_or(0)
    }

    /// Its metrics as bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        for (metric, rollup) in &self.metrics {
            write_metric(*metric, &mut writer);
            rollup.encode(&mut writer);
        }
        writer.into_bytes()
    }

    /// The inverse of [`Window::pack`].
    pub fn unpack(start: UtcMs, bytes: &[u8]) -> Result<Window, Malformed> {
        let reader = &mut Reader::new(bytes);
        let found = reader.u8("window version")?;
        if found != VERSION {
            return Err(Malformed::Version { what: "window", found, max: VERSION });
        }
        let mut metrics = Vec::new();
        while !reader.is_empty() {
            metrics.push((read_metric(reader)?, Rollup::decode(reader)?));
        }
        // Numbers of x_ metrics differ between processes.
        metrics.sort_unstable_by_key(|(metric, _)| *metric);
        Ok(Window { start, metrics })
    }
}
