//! Readings of one device as columns: how they rest in the gateway's store and travel to the cloud.

mod column;
#[cfg(test)]
mod tests;
pub mod thinned;

use crate::bytes::{Malformed, Reader, Writer};
use crate::metric::Metric;
use crate::reading::Reading;
use crate::time::UtcMs;
use crate::words::Quality;

/// Stands in a column for "no value"; never a value itself.
pub const ABSENT: i64 = i64::MIN;

/// Most readings one segment may hold.
pub const ROWS_MAX: usize = 65_536;
/// Most metrics one segment may hold.
pub const COLUMNS_MAX: usize = 256;
/// Most values (rows × columns) one segment may hold; a constant column of any length takes few
/// bytes, so this is what bounds the memory that decoding takes.
pub const VALUES_MAX: usize = 1 << 20;

/// Readings of one device, oldest first, times strictly increasing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Time of each reading in ms: UTC once dated, else the boot's monotonic time.
    pub times: Vec<i64>,
    /// One column per metric, in order of metric.
    pub columns: Vec<Column>,
    /// How far off the times may be, in seconds; 0 when they come from a trusted clock.
    pub time_uncertainty_s: u32,
}

/// The values of one metric over the readings of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// What was measured.
    pub metric: Metric,
    /// One entry per reading, in the metric's fixed unit; [`ABSENT`] where there is none.
    pub values: Vec<i64>,
    /// Where the quality is not ok; ascending, disjoint.
    pub quality: Vec<QualityRun>,
}

/// Rows `[from, to)` of a column whose values have this quality.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QualityRun {
    /// First row.
    pub from: u32,
    /// One past the last row.
    pub to: u32,
    /// Never [`Quality::Ok`].
    pub quality: Quality,
}

/// Version of the layout that [`Segment::encode`] writes. Version 1, with longer heads of columns
/// and fewer coders, is read for ever.
const VERSION: u8 = 2;
const VERSION_OLDEST: u8 = 1;

impl Segment {
    /// Number of readings.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The readings as columns. They must be of one device with times strictly increasing.
    pub fn from_readings(readings: &[Reading]) -> Segment {
        debug_assert!(readings.windows(2).all(|pair| pair[0].time < pair[1].time));
        let mut metrics: Vec<Metric> = readings.iter().flat_map(|r| r.values.iter().map(|v| v.metric)).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let mut columns: Vec<Column> = metrics
            .into_iter()
            .map(|metric| Column { metric, values: vec![ABSENT; readings.len()], quality: Vec::new() })
            .collect();
        for (row, reading) in readings.iter().enumerate() {
            for value in &reading.values {
                let index = columns.partition_point(|column| column.metric < value.metric);
                columns[index].set(row, value);
            }
        }
        Segment { times: readings.iter().map(|r| r.time.0).collect(), columns, time_uncertainty_s: 0 }
    }

    /// Row `row` as a reading; metrics that it does not have are left out.
    pub fn reading(&self, row: usize) -> Reading {
        let values = self.columns.iter().filter_map(|column| column.value(row)).collect();
        Reading { time: UtcMs(self.times[row]), values }
    }

    /// Appends `later`, whose first time must be after the last of `self`, column by column.
    pub fn append(&mut self, later: &Segment) {
        debug_assert!(self.times.last() < later.times.first());
        let before = self.rows();
        self.times.extend_from_slice(&later.times);
        let rows = self.rows();
        for column in &later.columns {
            let index = match self.columns.binary_search_by_key(&column.metric, |c| c.metric) {
                Ok(index) => index,
                Err(index) => {
                    let values = vec![ABSENT; before];
                    self.columns.insert(index, Column { metric: column.metric, values, quality: Vec::new() });
                    index
                }
            };
            self.columns[index].values.extend_from_slice(&column.values);
            for run in &column.quality {
                self.columns[index].mark(before as u32 + run.from, before as u32 + run.to, run.quality);
            }
        }
        for column in &mut self.columns {
            column.values.resize(rows, ABSENT);
        }
        self.time_uncertainty_s = self.time_uncertainty_s.max(later.time_uncertainty_s);
    }

    /// The bytes of `docs/batch-format.md`; the inverse of [`Segment::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        writer.varint(self.rows() as u64);
        writer.varint(self.columns.len() as u64);
        writer.varint(u64::from(self.time_uncertainty_s));
        if self.rows() > 0 {
            crate::coder::encode(&self.times, &mut writer);
            for column in &self.columns {
                column.encode(&mut writer);
            }
        }
        writer.into_bytes()
    }

    /// Reads what [`Segment::encode`] wrote. Memory stays within [`VALUES_MAX`] values,
    /// whatever the bytes claim; times that do not increase, or metrics out of order, are refused.
    pub fn decode(bytes: &[u8]) -> Result<Segment, Malformed> {
        let reader = &mut Reader::new(bytes);
        let version = reader.u8("segment version")?;
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return Err(Malformed::Version { what: "segment", found: version, max: VERSION });
        }
        let rows = reader.bounded("segment rows", ROWS_MAX)?;
        let count = reader.bounded("segment columns", COLUMNS_MAX)?;
        if rows * count > VALUES_MAX {
            let (found, max) = ((rows * count) as u64, VALUES_MAX as u64);
            return Err(Malformed::TooLarge { what: "segment values", found, max });
        }
        let time_uncertainty_s = reader.bounded("time uncertainty", u32::MAX as usize)? as u32;
        if rows == 0 {
            return if count == 0 && reader.is_empty() {
                Ok(Segment::default())
            } else {
                Err(Malformed::Invalid("empty segment"))
            };
        }
        let times = column::coded(version, reader, rows)?;
        if !times.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Malformed::Invalid("times of a segment"));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(count);
        for _ in 0..count {
            let column = Column::decode(version, reader, rows)?;
            if columns.iter().any(|c| c.metric == column.metric) {
                return Err(Malformed::Invalid("metric of a column"));
            }
            columns.push(column);
        }
        if !reader.is_empty() {
            return Err(Malformed::Invalid("end of a segment"));
        }
        // Numbers of x_ metrics differ between processes, so their order on the wire is not ours.
        columns.sort_unstable_by_key(|column| column.metric);
        Ok(Segment { times, columns, time_uncertainty_s })
    }
}
