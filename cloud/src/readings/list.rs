//! What a page of readings is asked by.

use riverwatts_shared::time::UtcMs;

/// Readings of some devices, in order of time and then of device number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Numbers of the devices.
    pub devices: Vec<i64>,
    /// First time, included.
    pub from: UtcMs,
    /// Last time, not included.
    pub to: UtcMs,
    /// Newest first.
    pub descending: bool,
    /// Time and device of the last reading of the page before.
    pub after: Option<(UtcMs, i64)>,
    /// Most readings wanted.
    pub limit: usize,
}

impl ListQuery {
    /// The times `[from, to)` of a device's readings that are still to come.
    pub fn span_of(&self, device: i64) -> (UtcMs, UtcMs) {
        match self.after {
            None => (self.from, self.to),
            Some((time, last)) if self.descending => {
                let end = if device < last { time.plus_ms(1) } else { time };
                (self.from, self.to.min(end))
            }
            Some((time, last)) => {
                let start = if device > last { time } else { time.plus_ms(1) };
                (self.from.max(start), self.to)
            }
        }
    }
}
