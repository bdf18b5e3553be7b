//! Readings of one device as columns: how they rest in the gateway's store and travel to the cloud.

use crate::bytes::{Malformed, Reader, Writer};
use crate::coder;
use crate::metric::{METRIC_NAME_MAX, Metric};
use crate::reading::{Reading, Value};
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

/// Version of the layout that [`Segment::encode`] writes.
const VERSION: u8 = 1;
/// Column flags: some rows have no value; some rows have a quality.
const HAS_ABSENT: u8 = 1;
const HAS_QUALITY: u8 = 2;

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
            coder::encode(&self.times, &mut writer);
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
        if version != VERSION {
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
        let times = coder::decode(reader, rows)?;
        if !times.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Malformed::Invalid("times of a segment"));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(count);
        for _ in 0..count {
            let column = Column::decode(reader, rows)?;
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

impl Column {
    /// The value in `row`; `None` when that reading does not have this metric.
    pub fn value(&self, row: usize) -> Option<Value> {
        let quality = self.quality_at(row);
        let value = Some(self.values[row]).filter(|&value| value != ABSENT);
        (value.is_some() || quality != Quality::Ok).then_some(Value { metric: self.metric, value, quality })
    }

    /// The quality in `row`.
    pub fn quality_at(&self, row: usize) -> Quality {
        let after = self.quality.partition_point(|run| run.to as usize <= row);
        self.quality.get(after).filter(|run| run.from as usize <= row).map_or(Quality::Ok, |run| run.quality)
    }

    fn set(&mut self, row: usize, value: &Value) {
        self.values[row] = value.value.unwrap_or(ABSENT);
        self.mark(row as u32, row as u32 + 1, value.quality);
    }

    /// Marks rows after all that are marked already.
    fn mark(&mut self, from: u32, to: u32, quality: Quality) {
        if quality == Quality::Ok {
            return;
        }
        match self.quality.last_mut() {
            Some(last) if last.to == from && last.quality == quality => last.to = to,
            _ => self.quality.push(QualityRun { from, to, quality }),
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self.metric.number() {
            Some(number) => writer.varint(u64::from(number)),
            None => {
                writer.varint(0);
                writer.block(self.metric.name().as_bytes());
            }
        }
        let present: Vec<i64> = self.values.iter().copied().filter(|&value| value != ABSENT).collect();
        let has_absent = present.len() < self.values.len();
        writer.u8(if has_absent { HAS_ABSENT } else { 0 } | if self.quality.is_empty() { 0 } else { HAS_QUALITY });
        if has_absent {
            let mut bits = vec![0u8; self.values.len().div_ceil(8)];
            for (row, _) in self.values.iter().enumerate().filter(|(_, value)| **value != ABSENT) {
                bits[row / 8] |= 1 << (row % 8);
            }
            writer.raw(&bits);
        }
        if !self.quality.is_empty() {
            writer.varint(self.quality.len() as u64);
            let mut at = 0;
            for run in &self.quality {
                writer.varint(u64::from(run.from - at));
                writer.varint(u64::from(run.to - run.from));
                writer.u8(run.quality.number());
                at = run.to;
            }
        }
        if !present.is_empty() {
            let divisor = common_divisor(&present);
            writer.varint(divisor);
            let scaled: Vec<i64> = present.iter().map(|&value| value / divisor as i64).collect();
            coder::encode(&scaled, writer);
        }
    }

    fn decode(reader: &mut Reader<'_>, rows: usize) -> Result<Column, Malformed> {
        let metric = match reader.varint("metric number")? {
            0 => Metric::named(reader.text("metric name", METRIC_NAME_MAX)?),
            number => Metric::numbered(number),
        }
        .map_err(|_| Malformed::Invalid("metric of a column"))?;
        let flags = reader.u8("column flags")?;
        if flags & !(HAS_ABSENT | HAS_QUALITY) != 0 {
            return Err(Malformed::Invalid("column flags"));
        }
        let bits =
            if flags & HAS_ABSENT != 0 { Some(reader.raw("rows with a value", rows.div_ceil(8))?) } else { None };
        let is_present = |row: usize| bits.is_none_or(|bits| bits[row / 8] & (1 << (row % 8)) != 0);
        let present = if bits.is_some() { (0..rows).filter(|&row| is_present(row)).count() } else { rows };

        let mut quality = Vec::new();
        if flags & HAS_QUALITY != 0 {
            let count = reader.bounded("quality runs", rows)?;
            let mut at = 0usize;
            for _ in 0..count {
                let from = at + reader.bounded("quality run", rows)?;
                let to = from + reader.bounded("quality run", rows)?;
                let word = Quality::from_number(reader.u8("quality")?).filter(|&q| q != Quality::Ok);
                let word = word.ok_or(Malformed::Invalid("quality"))?;
                if to <= from || to > rows {
                    return Err(Malformed::Invalid("quality run"));
                }
                quality.push(QualityRun { from: from as u32, to: to as u32, quality: word });
                at = to;
            }
        }
        if present == 0 {
            return Ok(Column { metric, values: vec![ABSENT; rows], quality });
        }
        let divisor = reader.varint("divisor")?;
        if divisor == 0 || divisor > i64::MAX as u64 {
            return Err(Malformed::Invalid("divisor"));
        }
        let mut values = coder::decode(reader, present)?;
        for value in &mut values {
            *value = value.checked_mul(divisor as i64).filter(|&v| v != ABSENT).ok_or(Malformed::Invalid("value"))?;
        }
        if present < rows {
            let mut next = values.into_iter();
            values =
                (0..rows).map(|row| if is_present(row) { next.next().unwrap_or(ABSENT) } else { ABSENT }).collect();
        }
        Ok(Column { metric, values, quality })
    }
}

/// The greatest common divisor of the values, at least 1: it gives the small integers of the
/// registers back, whatever the metric's unit.
fn common_divisor(values: &[i64]) -> u64 {
    let mut divisor = 0u64;
    for &value in values {
        let (mut a, mut b) = (divisor, value.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
        if divisor == 1 {
            break;
        }
    }
    divisor.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metric() -> impl Strategy<Value = Metric> {
        prop_oneof![
            (1u64..40).prop_map(|number| Metric::numbered(number).unwrap()),
            (0u8..4).prop_map(|n| Metric::named(&format!("x_test_{n}")).unwrap()),
        ]
    }

    fn value(metric: Metric) -> impl Strategy<Value = Value> {
        let quality = (0u8..11).prop_map(|number| Quality::from_number(number).unwrap());
        (prop::option::weighted(0.9, -(1i64 << 53)..(1i64 << 53)), quality).prop_map(move |(value, quality)| {
            let quality = if value.is_none() && quality == Quality::Ok { Quality::Sentinel } else { quality };
            Value { metric, value, quality }
        })
    }

    fn readings() -> impl Strategy<Value = Vec<Reading>> {
        let values = prop::collection::btree_set(metric(), 0..6)
            .prop_flat_map(|metrics| metrics.into_iter().map(value).collect::<Vec<_>>());
        prop::collection::vec((1i64..5_000, values), 0..40).prop_map(|rows| {
            let mut time = 1_795_000_000_000;
            rows.into_iter()
                .map(|(step, values)| {
                    time += step;
                    Reading { time: UtcMs(time), values }
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn readings_come_back_from_bytes(readings in readings()) {
            let segment = Segment::from_readings(&readings);
            let decoded = Segment::decode(&segment.encode()).unwrap();
            prop_assert_eq!(&decoded, &segment);
            let back: Vec<Reading> = (0..decoded.rows()).map(|row| decoded.reading(row)).collect();
            prop_assert_eq!(back, readings);
        }

        #[test]
        fn two_halves_make_the_whole(readings in readings(), at in 0usize..40) {
            let (before, after) = readings.split_at(at.min(readings.len()));
            let mut joined = Segment::from_readings(before);
            if !after.is_empty() {
                joined.append(&Segment::from_readings(after));
            }
            prop_assert_eq!(joined, Segment::from_readings(&readings));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Segment::decode(&bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(readings in readings(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = Segment::from_readings(&readings).encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = Segment::decode(&bytes);
        }
    }

    #[test]
    fn the_divisor_gives_the_registers_integers_back() {
        assert_eq!(common_divisor(&[230_100_000, 230_300_000, -100_000]), 100_000);
        assert_eq!(common_divisor(&[0, 0]), 1);
        assert_eq!(common_divisor(&[7, 8]), 1);
    }

    #[test]
    fn a_newer_version_is_named() {
        let error = Segment::decode(&[9, 0, 0, 0]).unwrap_err();
        assert_eq!(error.to_string(), "segment has version 9, this program reads up to 1");
    }
}
