//! How readings rest in a row: segments behind a checksum, since the pages of the file have none.

mod flush;

use riverwatts_shared::bytes::{Malformed, crc32};
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::words::Quality;

/// Bytes of a checksum.
const SUM_BYTES: usize = 4;
/// Sizes of flushes are multiples of this at least.
const GRAIN_MIN: usize = 16;

/// The readings of one flush, by number of the device.
pub(super) fn pack_flush(parts: &[(i64, &Segment)]) -> Vec<u8> {
    let mut bytes = flush::write(parts);
    // Sizes that are often the same: then a row is written in place.
    let grain = (bytes.len().next_power_of_two() / 16).max(GRAIN_MIN);
    bytes.resize((bytes.len() + SUM_BYTES).next_multiple_of(grain) - SUM_BYTES, 0);
    sign(bytes)
}

/// What [`pack_flush`] packed, of the devices that are `wanted`.
pub(super) fn unpack_flush(bytes: &[u8], wanted: impl Fn(i64) -> bool) -> Result<Vec<(i64, Segment)>, Malformed> {
    flush::read(checked(bytes)?, wanted)
}

/// The readings of one device.
pub(super) fn pack(segment: &Segment) -> Vec<u8> {
    sign(segment.encode())
}

/// What [`pack`] packed.
pub(super) fn unpack(bytes: &[u8]) -> Result<Segment, Malformed> {
    Segment::decode(checked(bytes)?)
}

/// Most readings and values of a segment that is joined from others: far below what a batch may be.
const JOINED_ROWS_MAX: usize = 8_000;
const JOINED_VALUES_MAX: usize = 1 << 16;

/// Appends `later` where one segment may hold both; gives it back where not.
pub(super) fn join(segment: &mut Segment, later: Segment) -> Option<Segment> {
    let rows = segment.rows() + later.rows();
    // No column is in both, at worst.
    let columns = segment.columns.len() + later.columns.len();
    let fits = rows <= JOINED_ROWS_MAX && rows * columns <= JOINED_VALUES_MAX;
    let alike = segment.time_uncertainty_s == later.time_uncertainty_s;
    if !fits || !alike || segment.times.last() >= later.times.first() {
        return Some(later);
    }
    segment.append(&later);
    None
}

/// The same readings, `offset_ms` later, and as doubtful as their dating is.
pub(super) fn dated(segment: &Segment, offset_ms: i64, uncertainty_s: u32, quality: Quality) -> Segment {
    let doubt = |value: Value| match value.quality {
        Quality::Ok => Value { quality, ..value },
        _ => value,
    };
    let mut dated = if quality == Quality::Ok {
        segment.clone()
    } else {
        let readings = (0..segment.rows()).map(|row| {
            let Reading { time, values } = segment.reading(row);
            Reading { time, values: values.into_iter().map(doubt).collect() }
        });
        Segment::from_readings(&readings.collect::<Vec<_>>())
    };
    dated.times.iter_mut().for_each(|time| *time += offset_ms);
    dated.time_uncertainty_s = uncertainty_s;
    dated
}

/// Moves readings that are not later than `last` behind it, and doubts them; the others stay.
pub(super) fn begin_after(segment: &mut Segment, last: i64, doubt: Quality) {
    let moved = segment.times.iter().enumerate().take_while(|&(row, &ms)| ms <= last + row as i64).count();
    for (ms, row) in segment.times[..moved].iter_mut().zip(1..) {
        *ms = last + row;
    }
    let readings = (0..segment.rows()).map(|row| {
        let mut reading = segment.reading(row);
        for value in reading.values.iter_mut().filter(|value| row < moved && value.quality == Quality::Ok) {
            value.quality = doubt;
        }
        reading
    });
    let doubted = Segment::from_readings(&readings.collect::<Vec<_>>());
    *segment = Segment { time_uncertainty_s: segment.time_uncertainty_s, ..doubted };
}

fn sign(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes
}

/// The content of bytes that are as they were written.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8], Malformed> {
    match bytes.split_last_chunk() {
        Some((content, sum)) if *sum == crc32(content).to_le_bytes() => Ok(content),
        Some(_) => Err(Malformed::Invalid("checksum")),
        None => Err(Malformed::Truncated("checksum")),
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::time::UtcMs;

    use super::*;

    fn segment(times: &[i64]) -> Segment {
        let reading = |&time: &i64| Reading { time: UtcMs(time), values: vec![Value::ok(Metric::POWER, time)] };
        Segment::from_readings(&times.iter().map(reading).collect::<Vec<_>>())
    }

    #[test]
    fn every_damaged_bit_is_found() {
        let parts = [(1, segment(&[1, 2])), (7, segment(&[5]))];
        let bytes = pack_flush(&parts.each_ref().map(|(device, segment)| (*device, segment)));
        assert_eq!(unpack_flush(&bytes, |_| true).as_deref(), Ok(&parts[..]));
        assert_eq!(unpack_flush(&bytes, |device| device == 7).as_deref(), Ok(&parts[1..]));
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(unpack_flush(&damaged, |_| true).is_err(), "bit {at}");
        }
        assert!(unpack_flush(&bytes[..3], |_| true).is_err());
    }

    #[test]
    fn only_what_comes_later_and_is_dated_alike_is_joined() {
        let mut joined = segment(&[1, 2]);
        assert_eq!(join(&mut joined, segment(&[3])), None);
        assert_eq!(joined, segment(&[1, 2, 3]));
        assert_eq!(join(&mut joined, segment(&[3])), Some(segment(&[3])));
        let doubtful = Segment { time_uncertainty_s: 9, ..segment(&[4]) };
        assert_eq!(join(&mut joined, doubtful.clone()), Some(doubtful));
        let mut long = segment(&(0..JOINED_ROWS_MAX as i64 - 1).collect::<Vec<_>>());
        assert!(join(&mut long, segment(&[10_000])).is_none());
        assert!(join(&mut long, segment(&[10_001])).is_some());
    }

    #[test]
    fn times_that_are_taken_are_passed_over_and_doubted() {
        let moved = |last| {
            let mut moved = segment(&[1, 2, 9]);
            begin_after(&mut moved, last, Quality::ClockUntrusted);
            let doubted = |row: &usize| moved.reading(*row).values[0].quality == Quality::ClockUntrusted;
            ((0..3).filter(doubted).count(), moved.times)
        };
        assert_eq!(moved(0), (0, vec![1, 2, 9]));
        assert_eq!(moved(1), (2, vec![2, 3, 9]));
        assert_eq!(moved(7), (3, vec![8, 9, 10]));
        assert_eq!(moved(100), (3, vec![101, 102, 103]));
    }

    #[test]
    fn dating_moves_times_and_keeps_worse_doubts() {
        let sentinel = Value { metric: Metric::ENERGY, value: None, quality: Quality::Sentinel };
        let reading = Reading { time: UtcMs(5), values: vec![Value::ok(Metric::POWER, 1), sentinel] };
        let moved = dated(&Segment::from_readings(&[reading]), 100, 3, Quality::Redated);
        let doubted = Value { quality: Quality::Redated, ..Value::ok(Metric::POWER, 1) };
        assert_eq!(moved.reading(0), Reading { time: UtcMs(105), values: vec![doubted, sentinel] });
        assert_eq!(moved.time_uncertainty_s, 3);
        assert_eq!(dated(&segment(&[1]), 2, 0, Quality::Ok).times, [3]);
    }
}
