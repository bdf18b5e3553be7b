//! Readings as rows: nine columns of integers, what else was measured packed into bytes, and the
//! quality of what is not good packed into bytes.
//!
//! A metric in packed bytes is its number in the catalogue, or 0 and its name. `extra` is metric and
//! value (zigzag) of each further metric that has one; `flags` is how far the time may be off, in
//! seconds, then metric and quality of each value that is not ok. Metrics stand in one order,
//! so equal readings are equal bytes.

use riverwatts_shared::bytes::{Malformed, Reader, Writer};
use riverwatts_shared::metric::{CANONICAL, METRIC_NAME_MAX, Metric};
use riverwatts_shared::reading::Value;
use riverwatts_shared::segment::{ABSENT, Column, Segment};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

/// Readings of one device on their way into the store, oldest first, times strictly increasing.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Number of the device; 0 until it is known.
    pub device: i64,
    /// How far before and after a reading roll-ups change with it, in ms.
    pub reach_ms: i64,
    /// The readings as columns.
    pub segment: Segment,
    /// When they were received.
    pub received_at: UtcMs,
    /// 0, or that of the correction which they are.
    pub revision: u32,
    /// Position in `segment.columns` of each canonical metric.
    canonical: [Option<usize>; CANONICAL],
    extra: Packed,
    flags: Packed,
}

/// One string of bytes per row, most of them empty, in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    /// Where each row's bytes end; empty when no row has any.
    ends: Vec<u32>,
}

/// One stored reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Number of the device.
    pub device: i64,
    /// When it was measured.
    pub time: UtcMs,
    /// The canonical metrics; [`ABSENT`] where there is no value.
    pub canonical: [i64; CANONICAL],
    /// The further metrics, packed.
    pub extra: Vec<u8>,
    /// The quality of what is not good, packed.
    pub flags: Vec<u8>,
    /// When it was received.
    pub received_at: UtcMs,
    /// 0, or that of the correction which put it here.
    pub revision: u32,
}

impl Rows {
    /// Prepares a segment: everything that needs no database is done here.
    pub fn new(segment: Segment, received_at: UtcMs, revision: u32) -> Rows {
        let canonical = std::array::from_fn(|column| {
            segment.columns.binary_search_by_key(&Metric::canonical(column), |column| column.metric).ok()
        });
        let mut ordered: Vec<&Column> = segment.columns.iter().collect();
        // Numbers of x_ metrics differ between processes; their names do not.
        ordered.sort_by_key(|column| {
            column.metric.number().map_or((u16::MAX, column.metric.name()), |number| (number, ""))
        });
        let extra = pack_extra(segment.rows(), &ordered);
        let flags = pack_flags(&segment, &ordered);
        Rows { device: 0, reach_ms: 0, segment, received_at, revision, canonical, extra, flags }
    }

    /// The same rows as those of `device`.
    pub fn of_device(self, device: i64, reach_ms: i64) -> Rows {
        Rows { device, reach_ms, ..self }
    }

    /// How many readings.
    pub fn count(&self) -> usize {
        self.segment.rows()
    }

    /// A canonical value of a row; [`ABSENT`] where there is none.
    pub fn canonical(&self, row: usize, column: usize) -> i64 {
        self.canonical[column].map_or(ABSENT, |position| self.segment.columns[position].values[row])
    }

    /// The further metrics of a row, packed.
    pub fn extra(&self, row: usize) -> &[u8] {
        self.extra.row(row)
    }

    /// The quality of what is not good in a row, packed.
    pub fn flags(&self, row: usize) -> &[u8] {
        self.flags.row(row)
    }

    /// The metrics that have a value.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        let with_value = |column: &&Column| column.values.iter().any(|&value| value != ABSENT);
        self.segment.columns.iter().filter(with_value).map(|column| column.metric)
    }

    /// Whether a stored row says the same as this one.
    pub fn is_same(&self, row: usize, stored: &StoredRow) -> bool {
        (0..CANONICAL).all(|column| stored.canonical[column] == self.canonical(row, column))
            && stored.extra == self.extra(row)
            && stored.flags == self.flags(row)
    }

    /// One row, as it will be stored.
    pub fn row(&self, row: usize) -> StoredRow {
        StoredRow {
            device: self.device,
            time: UtcMs(self.segment.times[row]),
            canonical: std::array::from_fn(|column| self.canonical(row, column)),
            extra: self.extra(row).to_vec(),
            flags: self.flags(row).to_vec(),
            received_at: self.received_at,
            revision: self.revision,
        }
    }
}

impl Packed {
    /// The bytes of a row.
    pub fn row(&self, row: usize) -> &[u8] {
        match self.ends.get(row) {
            Some(&end) => {
                let start = if row == 0 { 0 } else { self.ends[row - 1] };
                &self.bytes[start as usize..end as usize]
            }
            None => &[],
        }
    }

    fn pack(rows: usize, mut write: impl FnMut(usize, &mut Writer)) -> Packed {
        let mut writer = Writer::default();
        let mut ends = Vec::with_capacity(rows);
        for row in 0..rows {
            write(row, &mut writer);
            ends.push(writer.written() as u32);
        }
        Packed { bytes: writer.into_bytes(), ends }
    }
}

fn pack_extra(rows: usize, columns: &[&Column]) -> Packed {
    let further: Vec<&&Column> = columns.iter().filter(|column| column.metric.canonical_column().is_none()).collect();
    if further.is_empty() {
        return Packed::default();
    }
    Packed::pack(rows, |row, writer| {
        for column in &further {
            let value = column.values[row];
            if value != ABSENT {
                write_metric(column.metric, writer);
                writer.signed(value);
            }
        }
    })
}

fn pack_flags(segment: &Segment, columns: &[&Column]) -> Packed {
    let flagged: Vec<&&Column> = columns.iter().filter(|column| !column.quality.is_empty()).collect();
    if flagged.is_empty() && segment.time_uncertainty_s == 0 {
        return Packed::default();
    }
    Packed::pack(segment.rows(), |row, writer| {
        let mut started = segment.time_uncertainty_s > 0;
        if started {
            writer.varint(u64::from(segment.time_uncertainty_s));
        }
        for column in &flagged {
            let quality = column.quality_at(row);
            if quality != Quality::Ok {
                if !started {
                    writer.varint(0);
                    started = true;
                }
                write_metric(column.metric, writer);
                writer.u8(quality.number());
            }
        }
    })
}

/// Appends a metric: its number in the catalogue, or 0 and its name.
pub fn write_metric(metric: Metric, writer: &mut Writer) {
    match metric.number() {
        Some(number) => writer.varint(u64::from(number)),
        None => {
            writer.varint(0);
            writer.block(metric.name().as_bytes());
        }
    }
}

/// Takes what [`write_metric`] wrote.
pub fn read_metric(reader: &mut Reader<'_>) -> Result<Metric, Malformed> {
    match reader.varint("metric number")? {
        0 => Metric::named(reader.text("metric name", METRIC_NAME_MAX)?),
        number => Metric::numbered(number),
    }
    .map_err(|_| Malformed::Invalid("metric of a stored reading"))
}

/// Metric and value of each further metric in packed bytes.
pub fn read_extra(bytes: &[u8], mut take: impl FnMut(Metric, i64)) -> Result<(), Malformed> {
    let reader = &mut Reader::new(bytes);
    while !reader.is_empty() {
        let metric = read_metric(reader)?;
        take(metric, reader.signed("stored value")?);
    }
    Ok(())
}

/// Metric and quality of each value that is not ok in packed bytes; answers how far the time may be
/// off, in seconds.
pub fn read_flags(bytes: &[u8], mut take: impl FnMut(Metric, Quality)) -> Result<u32, Malformed> {
    let reader = &mut Reader::new(bytes);
    if reader.is_empty() {
        return Ok(0);
    }
    let time_uncertainty_s = reader.bounded("time uncertainty", u32::MAX as usize)? as u32;
    while !reader.is_empty() {
        let metric = read_metric(reader)?;
        let quality = Quality::from_number(reader.u8("quality")?).ok_or(Malformed::Invalid("stored quality"))?;
        take(metric, quality);
    }
    Ok(time_uncertainty_s)
}

impl StoredRow {
    /// The value of a metric, when it has one that may be summed.
    pub fn summed(&self, metric: Metric) -> Option<i64> {
        let mut found = metric.canonical_column().map(|column| self.canonical[column]).filter(|&value| value != ABSENT);
        // Bytes that cannot be read have no value; those who show them say so.
        let _ = read_extra(&self.extra, |of, value| found = if of == metric { Some(value) } else { found });
        let _ = read_flags(&self.flags, |of, quality| {
            found = found.filter(|_| of != metric || !quality.kept_out_of_rollups());
        });
        found
    }

    /// Its values, the canonical ones first, and how far its time may be off, in seconds. A metric
    /// without a value is there when its quality says why.
    pub fn values(&self) -> Result<(Vec<Value>, u32), Malformed> {
        let mut values: Vec<Value> = (0..CANONICAL)
            .filter(|&column| self.canonical[column] != ABSENT)
            .map(|column| Value::ok(Metric::canonical(column), self.canonical[column]))
            .collect();
        read_extra(&self.extra, |metric, value| values.push(Value::ok(metric, value)))?;
        let time_uncertainty_s =
            read_flags(&self.flags, |metric, quality| match values.iter_mut().find(|value| value.metric == metric) {
                Some(value) => value.quality = quality,
                None => values.push(Value { metric, value: None, quality }),
            })?;
        Ok((values, time_uncertainty_s))
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::reading::Reading;

    use super::*;

    #[test]
    fn a_row_gives_back_what_its_reading_said() {
        let sluice = Metric::named("x_sluice").unwrap();
        let gate = Metric::named("x_gate").unwrap();
        let rotor = Metric::named("rotor_rpm").unwrap();
        let mut readings = vec![
            Reading { time: UtcMs(1), values: vec![Value::ok(Metric::POWER, 12_300_000)] },
            Reading {
                time: UtcMs(2),
                values: vec![
                    Value { metric: Metric::POWER, value: None, quality: Quality::Sentinel },
                    Value { metric: Metric::canonical(5), value: Some(-7), quality: Quality::Range },
                    Value::ok(rotor, 57_000_000),
                    Value { metric: sluice, value: None, quality: Quality::Stuck },
                    Value::ok(gate, i64::MAX),
                ],
            },
        ];
        readings[1].values.sort_by_key(|value| value.metric);
        let mut segment = Segment::from_readings(&readings);
        segment.time_uncertainty_s = 40;
        let rows = Rows::new(segment, UtcMs(9), 0);
        for (row, reading) in readings.iter().enumerate() {
            let stored = rows.row(row);
            let (mut values, time_uncertainty_s) = stored.values().unwrap();
            values.sort_by_key(|value| value.metric);
            assert_eq!((stored.time, values, time_uncertainty_s), (reading.time, reading.values.clone(), 40));
        }
    }

    #[test]
    fn a_good_row_of_canonical_metrics_packs_nothing() {
        let reading = Reading { time: UtcMs(1), values: vec![Value::ok(Metric::POWER, 1)] };
        let rows = Rows::new(Segment::from_readings(&[reading]), UtcMs(2), 0);
        assert_eq!((rows.extra(0), rows.flags(0)), (&[][..], &[][..]));
    }

    #[test]
    fn the_order_of_further_metrics_is_by_number_then_by_name() {
        // Registered in the other order, so their numbers in this process are too.
        let later = Metric::named("x_order_b").unwrap();
        let earlier = Metric::named("x_order_a").unwrap();
        assert!(later < earlier);
        let rotor = Metric::named("rotor_rpm").unwrap();
        let values = vec![Value::ok(rotor, 1), Value::ok(later, 2), Value::ok(earlier, 3)];
        let rows = Rows::new(Segment::from_readings(&[Reading { time: UtcMs(1), values }]), UtcMs(2), 0);
        let mut found = Vec::new();
        read_extra(rows.extra(0), |metric, _| found.push(metric)).unwrap();
        assert_eq!(found, [rotor, earlier, later]);
    }
}
