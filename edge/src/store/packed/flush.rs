//! The readings of one flush: few of each device, so that what stands before the numbers would be
//! most of it. Devices of the same metrics have it once.
//!
//! | field | form |
//! |---|---|
//! | zero | number; a flush of the first version of this program begins with its devices, never none |
//! | first time | signed |
//! | shapes | count, then of each its columns: count, then metric (number) and power of ten (byte) of each |
//! | devices | count, then of each its number and a block |
//!
//! A block is zero and a segment, or the number of the shape from one on, rows, time uncertainty, and
//! times and columns: as coded integers, or of a single row as signed numbers, the time from the first.

use std::collections::BTreeMap;

use riverwatts_shared::bytes::{Malformed, Reader, Writer};
use riverwatts_shared::coder;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::segment::{ABSENT, COLUMNS_MAX, Column, ROWS_MAX, Segment, VALUES_MAX};

/// Most devices in one flush, and so most shapes.
const DEVICES_MAX: usize = 4_096;
/// The largest power of ten that values may be divided by.
const TEN_MAX: u32 = 18;

/// Metrics, and what the values of each are divided by.
type Shape = Vec<(u64, u32)>;

/// The readings of one flush, by number of the device, without a checksum.
pub(super) fn write(parts: &[(i64, &Segment)]) -> Vec<u8> {
    let mut shapes: BTreeMap<Vec<u64>, (usize, Shape)> = BTreeMap::new();
    for (_, segment) in parts {
        let Some(metrics) = metrics(segment) else { continue };
        let number = shapes.len() + 1;
        let of_columns = || metrics.iter().map(|&metric| (metric, TEN_MAX)).collect();
        let (_, shape) = shapes.entry(metrics.clone()).or_insert_with(|| (number, of_columns()));
        for ((_, ten), column) in shape.iter_mut().zip(&segment.columns) {
            *ten = column.values.iter().fold(*ten, |ten, &value| common_ten(value, ten));
        }
    }
    let mut in_order: Vec<&(usize, Shape)> = shapes.values().collect();
    in_order.sort_unstable_by_key(|(number, _)| *number);
    let first = parts.iter().filter_map(|(_, segment)| segment.times.first()).min().copied().unwrap_or_default();

    let mut writer = Writer::default();
    writer.varint(0);
    writer.signed(first);
    writer.varint(in_order.len() as u64);
    for (_, shape) in in_order {
        writer.varint(shape.len() as u64);
        for &(metric, ten) in shape {
            writer.varint(metric);
            writer.u8(ten as u8);
        }
    }
    writer.varint(parts.len() as u64);
    for (device, segment) in parts {
        writer.varint(device.unsigned_abs());
        let mut block = Writer::default();
        match metrics(segment).and_then(|metrics| shapes.get(&metrics)) {
            Some((number, shape)) => write_shaped(segment, *number, shape, first, &mut block),
            None => {
                block.varint(0);
                block.raw(&segment.encode());
            }
        }
        writer.block(&block.into_bytes());
    }
    writer.into_bytes()
}

/// The inverse of [`write`], of the devices that are `wanted`.
pub(super) fn read(content: &[u8], wanted: impl Fn(i64) -> bool) -> Result<Vec<(i64, Segment)>, Malformed> {
    let reader = &mut Reader::new(content);
    let count = reader.bounded("devices of a flush", DEVICES_MAX)?;
    if count > 0 {
        return read_segments(reader, count, wanted);
    }
    let first = reader.signed("first time of a flush")?;
    let mut shapes: Vec<Shape> = Vec::new();
    for _ in 0..reader.bounded("shapes", DEVICES_MAX)? {
        let columns = reader.bounded("columns", COLUMNS_MAX)?;
        let column = |_| Ok((reader.varint("metric")?, u32::from(reader.u8("power of ten")?)));
        shapes.push((0..columns).map(column).collect::<Result<_, Malformed>>()?);
    }
    let mut parts = Vec::new();
    for _ in 0..reader.bounded("devices of a flush", DEVICES_MAX)? {
        let device = reader.varint("device")?.cast_signed();
        let mut block = Reader::new(reader.block("readings of a device", content.len())?);
        if !wanted(device) {
            continue;
        }
        let segment = match block.bounded("shape", shapes.len())?.checked_sub(1) {
            Some(shape) => read_shaped(&mut block, &shapes[shape], first)?,
            None => Segment::decode(block.rest())?,
        };
        parts.push((device, segment));
    }
    Ok(parts)
}

/// As the first version wrote it: segments behind their devices.
fn read_segments(
    reader: &mut Reader<'_>,
    count: usize,
    wanted: impl Fn(i64) -> bool,
) -> Result<Vec<(i64, Segment)>, Malformed> {
    let mut parts = Vec::new();
    for _ in 0..count {
        let device = reader.varint("device")?.cast_signed();
        let segment = reader.block("segment", usize::MAX)?;
        if wanted(device) {
            parts.push((device, Segment::decode(segment)?));
        }
    }
    Ok(parts)
}

fn write_shaped(segment: &Segment, number: usize, shape: &Shape, first: i64, writer: &mut Writer) {
    writer.varint(number as u64);
    writer.varint(segment.rows() as u64);
    writer.varint(segment.time_uncertainty_s.into());
    let columns = shape.iter().zip(&segment.columns);
    let scaled = columns.map(|(&(_, ten), column)| column.values.iter().map(|value| value / 10i64.pow(ten)).collect());
    let scaled: Vec<Vec<i64>> = scaled.collect();
    if let [time] = segment.times[..] {
        writer.signed(time.wrapping_sub(first));
        scaled.iter().for_each(|values| writer.signed(values[0]));
    } else {
        coder::encode(&segment.times, writer);
        scaled.iter().for_each(|values| coder::encode(values, writer));
    }
}

fn read_shaped(reader: &mut Reader<'_>, shape: &Shape, first: i64) -> Result<Segment, Malformed> {
    let rows = reader.bounded("rows", ROWS_MAX)?;
    if rows == 0 || rows * shape.len() > VALUES_MAX {
        return Err(Malformed::Invalid("rows"));
    }
    let time_uncertainty_s = reader.bounded("time uncertainty", u32::MAX as usize)? as u32;
    let mut integers = |from: i64| match rows {
        1 => Ok(vec![reader.signed("value")?.wrapping_add(from)]),
        _ => coder::decode(reader, rows),
    };
    let times = integers(first)?;
    let mut columns = Vec::with_capacity(shape.len());
    for &(metric, ten) in shape {
        let metric = Metric::numbered(metric).map_err(|_| Malformed::Invalid("metric"))?;
        let power = 10i64.checked_pow(ten).ok_or(Malformed::Invalid("power of ten"))?;
        let values = integers(0)?.into_iter().map(|value| value.checked_mul(power));
        let values = values.collect::<Option<_>>().ok_or(Malformed::Invalid("value"))?;
        columns.push(Column { metric, values, quality: Vec::new() });
    }
    Ok(Segment { times, columns, time_uncertainty_s })
}

/// The metrics of a segment that is nothing but numbers; `None` where a value is missing or doubtful,
/// or a metric has no number.
fn metrics(segment: &Segment) -> Option<Vec<u64>> {
    let is_plain = |column: &Column| column.quality.is_empty() && !column.values.contains(&ABSENT);
    if segment.rows() == 0 || !segment.columns.iter().all(is_plain) {
        return None;
    }
    segment.columns.iter().map(|column| column.metric.number().map(u64::from)).collect()
}

/// The largest power of ten up to `ten` that divides the value.
fn common_ten(value: i64, mut ten: u32) -> u32 {
    while value % 10i64.pow(ten) != 0 {
        ten -= 1;
    }
    ten
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::time::UtcMs;
    use riverwatts_shared::words::Quality;

    use super::*;

    /// Devices of few metrics, of which some have no number, some values are missing, and some doubtful.
    fn segment() -> impl Strategy<Value = Segment> {
        let extra = Metric::named("x_flush").unwrap();
        let metric = prop::sample::subsequence(vec![Metric::POWER, Metric::ENERGY, extra], 0..=3);
        let value = prop_oneof![
            8 => (-500i64..500, 0u32..6).prop_map(|(number, ten)| (Some(number * 10i64.pow(ten)), Quality::Ok)),
            1 => Just((None, Quality::Sentinel)),
            1 => Just((Some(i64::MIN + 1), Quality::Range)),
        ];
        let rows = prop::collection::vec((1i64..2_000, prop::collection::vec(value, 3)), 1..4);
        (metric, rows, any::<i32>(), 0u32..3).prop_map(|(metrics, rows, start, time_uncertainty_s)| {
            let mut time = start.into();
            let readings = rows.into_iter().map(|(step, values)| {
                time += step;
                let values = metrics.iter().zip(values);
                let values = values.map(|(&metric, (value, quality))| Value { metric, value, quality });
                Reading { time: UtcMs(time), values: values.collect() }
            });
            Segment { time_uncertainty_s, ..Segment::from_readings(&readings.collect::<Vec<_>>()) }
        })
    }

    proptest! {
        #[test]
        fn readings_come_back(segments in prop::collection::vec(segment(), 1..6), wanted in 0i64..6) {
            let parts: Vec<(i64, &Segment)> = (0..).zip(&segments).collect();
            let bytes = write(&parts);
            let all = read(&bytes, |_| true).unwrap();
            prop_assert_eq!(all.iter().map(|(device, segment)| (*device, segment)).collect::<Vec<_>>(), parts);
            let one: Vec<_> = all.into_iter().filter(|(device, _)| *device == wanted).collect();
            prop_assert_eq!(read(&bytes, |device| device == wanted), Ok(one));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes, |_| true);
            let _ = read(&[&[0], &bytes[..]].concat(), |_| true);
        }
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let reading = Reading { time: UtcMs(9), values: vec![Value::ok(Metric::POWER, 7)] };
        let segment = Segment::from_readings(&[reading]);
        let mut writer = Writer::default();
        writer.varint(1);
        writer.varint(300);
        writer.block(&segment.encode());
        assert_eq!(read(&writer.into_bytes(), |_| true), Ok(vec![(300, segment)]));
    }

    #[test]
    fn devices_of_the_same_metrics_say_so_once() {
        let reading = |value| Reading {
            time: UtcMs(1_795_508_130_000),
            values: vec![Value::ok(Metric::POWER, value), Value::ok(Metric::ENERGY, 1_000)],
        };
        let segments: Vec<Segment> = (1..=10).map(|n| Segment::from_readings(&[reading(n * 100_000)])).collect();
        let parts: Vec<(i64, &Segment)> = (1..).zip(&segments).collect();
        assert_eq!((write(&parts[..1]).len(), write(&parts).len()), (22, 94));
    }
}
