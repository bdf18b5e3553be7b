//! One column of a segment: what its bytes say of it before the coded integers.

use super::{ABSENT, Column, QualityRun};
use crate::bytes::{Malformed, Reader, Writer};
use crate::coder;
use crate::metric::{METRIC_NAME_MAX, Metric};
use crate::reading::Value;
use crate::words::Quality;

/// Column flags of version 1: some rows have no value; some rows have a quality.
const V1_HAS_ABSENT: u8 = 1;
const V1_HAS_QUALITY: u8 = 2;
/// The same since version 2, beside the divisor.
const HAS_ABSENT: u8 = 0x20;
const HAS_QUALITY: u8 = 0x40;
/// The low bits: the power of ten that is the divisor, or that it follows as a number.
const DIVISOR: u8 = 0x1f;
const DIVISOR_APART: u8 = 31;

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

    pub(super) fn set(&mut self, row: usize, value: &Value) {
        self.values[row] = value.value.unwrap_or(ABSENT);
        self.mark(row as u32, row as u32 + 1, value.quality);
    }

    /// Marks rows after all that are marked already.
    pub(super) fn mark(&mut self, from: u32, to: u32, quality: Quality) {
        if quality == Quality::Ok {
            return;
        }
        match self.quality.last_mut() {
            Some(last) if last.to == from && last.quality == quality => last.to = to,
            _ => self.quality.push(QualityRun { from, to, quality }),
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        match self.metric.number() {
            Some(number) => writer.varint(u64::from(number)),
            None => {
                writer.varint(0);
                writer.block(self.metric.name().as_bytes());
            }
        }
        let present: Vec<i64> = self.values.iter().copied().filter(|&value| value != ABSENT).collect();
        let has_absent = present.len() < self.values.len();
        let (divisor, ten) = divisor(&present);
        writer.u8(if has_absent { HAS_ABSENT } else { 0 }
            | if self.quality.is_empty() { 0 } else { HAS_QUALITY }
            | ten.unwrap_or(DIVISOR_APART));
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
            if ten.is_none() {
                writer.varint(divisor);
            }
            let scaled: Vec<i64> = present.iter().map(|&value| value / divisor as i64).collect();
            coder::encode(&scaled, writer);
        }
    }

    pub(super) fn decode(version: u8, reader: &mut Reader<'_>, rows: usize) -> Result<Column, Malformed> {
        let metric = match reader.varint("metric number")? {
            0 => Metric::named(reader.text("metric name", METRIC_NAME_MAX)?),
            number => Metric::numbered(number),
        }
        .map_err(|_| Malformed::Invalid("metric of a column"))?;
        let flags = Flags::read(version, reader)?;
        let bits = if flags.has_absent { Some(reader.raw("rows with a value", rows.div_ceil(8))?) } else { None };
        let is_present = |row: usize| bits.is_none_or(|bits| bits[row / 8] & (1 << (row % 8)) != 0);
        let present = if bits.is_some() { (0..rows).filter(|&row| is_present(row)).count() } else { rows };

        let mut quality = Vec::new();
        if flags.has_quality {
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
        let divisor = match flags.ten {
            Some(ten) => 10u64.checked_pow(ten.into()).unwrap_or(0),
            None => reader.varint("divisor")?,
        };
        if divisor == 0 || divisor > i64::MAX as u64 {
            return Err(Malformed::Invalid("divisor"));
        }
        let mut values = coded(version, reader, present)?;
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

/// The byte behind a column's metric.
struct Flags {
    has_absent: bool,
    has_quality: bool,
    /// The divisor as a power of ten; `None`: it follows as a number.
    ten: Option<u8>,
}

impl Flags {
    fn read(version: u8, reader: &mut Reader<'_>) -> Result<Flags, Malformed> {
        let byte = reader.u8("column flags")?;
        let (absent, quality, ten) = match version {
            1 => (V1_HAS_ABSENT, V1_HAS_QUALITY, DIVISOR_APART),
            _ => (HAS_ABSENT, HAS_QUALITY, byte & DIVISOR),
        };
        let known = absent | quality | if version == 1 { 0 } else { DIVISOR };
        if byte & !known != 0 {
            return Err(Malformed::Invalid("column flags"));
        }
        let ten = Some(ten).filter(|&ten| ten != DIVISOR_APART);
        Ok(Flags { has_absent: byte & absent != 0, has_quality: byte & quality != 0, ten })
    }
}

/// Coded integers as this version has them.
pub(super) fn coded(version: u8, reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, Malformed> {
    match version {
        1 => coder::decode_v1(reader, count),
        _ => coder::decode(reader, count),
    }
}

/// By what the values are divided, and which power of ten that is, if it is one. A power costs
/// nothing; another divisor must be worth its bytes.
pub(super) fn divisor(values: &[i64]) -> (u64, Option<u8>) {
    let common = common_divisor(values);
    let mut ten = 0;
    let mut power = 1;
    while common.is_multiple_of(power * 10) {
        power *= 10;
        ten += 1;
    }
    let (saved_bits, bits) = (values.len() as u64 * u64::from((common / power).ilog2()), u64::from(common.ilog2() + 7));
    if saved_bits > bits { (common, None) } else { (power, Some(ten)) }
}

/// The greatest common divisor of the values, at least 1: it gives the small integers of the
/// registers back, whatever the metric's unit.
pub(super) fn common_divisor(values: &[i64]) -> u64 {
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
