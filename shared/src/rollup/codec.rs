//! A roll-up as bytes, for the rows that the cloud keeps: about 35 for a minute of one metric.
//!
//! Version, then LEB128 numbers (zigzag where they can be negative): count; if there are points
//! min, max − min, sum − count · min, first time, first value − min, last time − first time,
//! last value − min; then covered ms; if that is not 0 the doubled area; the increment.

use super::{Point, Rollup};
use crate::bytes::{Malformed, Reader, Writer};
use crate::time::UtcMs;

const VERSION: u8 = 1;
/// Most points one roll-up may stand for: a century at ten a second.
pub const COUNT_MAX: u64 = 1 << 35;
/// Most time one roll-up may cover: three centuries.
pub const COVERED_MAX_MS: i64 = 1 << 43;

impl Rollup {
    /// Appends its bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u8(VERSION);
        let (Some(min), Some(max), Some(first), Some(last)) = (self.min, self.max, self.first, self.last) else {
            writer.varint(0);
            return self.encode_rest(writer);
        };
        writer.varint(self.count);
        writer.signed(min);
        writer.varint(max.abs_diff(min));
        writer.wide((self.sum - i128::from(self.count) * i128::from(min)) as u128);
        writer.signed(first.time.0);
        writer.varint(first.value.abs_diff(min));
        writer.varint(last.time.0.abs_diff(first.time.0));
        writer.varint(last.value.abs_diff(min));
        self.encode_rest(writer);
    }

    fn encode_rest(&self, writer: &mut Writer) {
        writer.varint(self.covered_ms as u64);
        if self.covered_ms > 0 {
            writer.wide(((self.area2 << 1) ^ (self.area2 >> 127)) as u128);
        }
        writer.signed(self.increment);
    }

    /// Takes what [`encode`](Rollup::encode) wrote; whatever contradicts itself is refused.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Rollup, Malformed> {
        let found = reader.u8("roll-up version")?;
        if found != VERSION {
            return Err(Malformed::Version { what: "roll-up", found, max: VERSION });
        }
        let mut rollup = Rollup { count: bounded(reader, "roll-up count", COUNT_MAX)?, ..Rollup::default() };
        if rollup.count > 0 {
            let min = reader.signed("roll-up min")?;
            let range = reader.varint("roll-up max")?;
            let above_min = |number: u64, what| {
                if number > range { Err(Malformed::Invalid(what)) } else { added(min, number, what) }
            };
            let sum = reader.wide("roll-up sum")?;
            if sum > u128::from(rollup.count) * u128::from(range) {
                return Err(Malformed::Invalid("roll-up sum"));
            }
            let first_time = reader.signed("roll-up first time")?;
            let first_value = above_min(reader.varint("roll-up first")?, "roll-up first")?;
            let last_time = added(first_time, reader.varint("roll-up last time")?, "roll-up last time")?;
            let last_value = above_min(reader.varint("roll-up last")?, "roll-up last")?;
            rollup.min = Some(min);
            rollup.max = Some(above_min(range, "roll-up max")?);
            rollup.sum = sum as i128 + i128::from(rollup.count) * i128::from(min);
            rollup.first = Some(Point { time: UtcMs(first_time), value: first_value });
            rollup.last = Some(Point { time: UtcMs(last_time), value: last_value });
        }
        rollup.covered_ms = bounded(reader, "roll-up covered time", COVERED_MAX_MS as u64)? as i64;
        if rollup.covered_ms > 0 {
            let area2 = reader.wide("roll-up area")?;
            rollup.area2 = (area2 >> 1) as i128 ^ -((area2 & 1) as i128);
            // No line is higher than the largest value.
            if rollup.area2.unsigned_abs() > rollup.covered_ms as u128 * (1 << 64) {
                return Err(Malformed::Invalid("roll-up area"));
            }
        }
        rollup.increment = reader.signed("roll-up increment")?;
        Ok(rollup)
    }
}

fn added(base: i64, number: u64, what: &'static str) -> Result<i64, Malformed> {
    base.checked_add_unsigned(number).ok_or(Malformed::Invalid(what))
}

fn bounded(reader: &mut Reader<'_>, what: &'static str, max: u64) -> Result<u64, Malformed> {
    let found = reader.varint(what)?;
    if found > max { Err(Malformed::TooLarge { what, found, max }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rollup::sum::roll_up;

    fn check(rollup: &Rollup) -> usize {
        let mut writer = Writer::default();
        rollup.encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(Rollup::decode(&mut reader).as_ref(), Ok(rollup));
        assert!(reader.is_empty());
        for end in 0..bytes.len() {
            assert!(Rollup::decode(&mut Reader::new(&bytes[..end])).is_err(), "cut at {end}");
        }
        bytes.len()
    }

    #[test]
    fn a_minute_takes_few_bytes() {
        let start = 1_795_508_130_000;
        let points: Vec<Point> = (0..=60)
            .map(|i| Point { time: UtcMs(start + i * 1_000), value: 12_345_000 + i * i * 1_000 % 70_000 })
            .collect();
        let minute = roll_up(&points, 120_000, None, &[UtcMs(start), UtcMs(start + 60_000)])[0];
        let size = check(&minute);
        assert!(size <= 36, "{size}");
        assert_eq!(check(&Rollup::default()), 4);
    }

    #[test]
    fn contradictions_are_refused() {
        let point = Point { time: UtcMs(5), value: 10 };
        let right = Rollup {
            count: 1,
            sum: 10,
            min: Some(10),
            max: Some(10),
            first: Some(point),
            last: Some(point),
            ..Rollup::default()
        };
        check(&right);
        for (what, wrong) in [
            ("roll-up sum", Rollup { sum: 11, ..right }),
            ("roll-up first", Rollup { first: Some(Point { value: 11, ..point }), ..right }),
            ("roll-up last", Rollup { last: Some(Point { value: 11, ..point }), ..right }),
            ("roll-up area", Rollup { covered_ms: 1, area2: i128::MAX, ..right }),
        ] {
            let mut writer = Writer::default();
            wrong.encode(&mut writer);
            assert_eq!(Rollup::decode(&mut Reader::new(&writer.into_bytes())), Err(Malformed::Invalid(what)));
        }
        let refused = Rollup::decode(&mut Reader::new(&[2]));
        assert_eq!(refused, Err(Malformed::Version { what: "roll-up", found: 2, max: 1 }));
    }

    proptest! {
        #[test]
        fn any_rollup_comes_back(values in prop::collection::vec(any::<i64>(), 0..20), start: i32, end in 1i64..100) {
            let points: Vec<Point> = values
                .iter()
                .enumerate()
                .map(|(i, &value)| Point { time: UtcMs(i64::from(start) + 10 * i as i64), value })
                .collect();
            let edges = [UtcMs(i64::from(start) + 5), UtcMs(i64::from(start) + 5 + end)];
            check(&roll_up(&points, 60_000, None, &edges)[0]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(mut rollup) = Rollup::decode(&mut Reader::new(&bytes)) {
                let again = rollup;
                rollup.merge(&again);
            }
        }
    }
}
