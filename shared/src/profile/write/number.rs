//! Whole numbers in registers, and the exact decimals that people write for them.

use super::Form;
use crate::profile::decimal::Decimal;
use crate::profile::kind::{Kind, Order};

impl Form {
    /// The words of a raw number; it fits, as the profile was checked.
    pub fn words(&self, raw: i64) -> Vec<u16> {
        let bits = raw as u64;
        let mut words: Vec<u16> =
            (0..self.kind.width()).rev().map(|place| (bits >> (16 * u32::from(place))) as u16).collect();
        if self.word_order == Order::LowFirst {
            words.reverse();
        }
        if self.byte_order == Order::LowFirst {
            words.iter_mut().for_each(|word| *word = word.swap_bytes());
        }
        words
    }

    /// The raw number in these words; `None` when there are too few, or it is no `i64`.
    pub fn number(&self, words: &[u16]) -> Option<i64> {
        let words = words.get(..usize::from(self.kind.width()))?;
        let word = |word: &u16| u64::from(if self.byte_order == Order::LowFirst { word.swap_bytes() } else { *word });
        let join = |bits: u64, word: u64| bits << 16 | word;
        let bits = match self.word_order {
            Order::HighFirst => words.iter().map(word).fold(0, join),
            Order::LowFirst => words.iter().rev().map(word).fold(0, join),
        };
        let bits = match self.kind {
            Kind::U8High | Kind::I8High => bits >> 8,
            _ => bits & (u64::MAX >> (64 - self.kind.bits())),
        };
        let bits = self.mask.map_or(bits, |mask| (bits & mask) >> mask.trailing_zeros());
        if self.kind.is_signed() {
            let unused = 64 - self.kind.bits();
            return Some((bits << unused) as i64 >> unused);
        }
        i64::try_from(bits).ok()
    }
}

/// The raw number of a value, when the device has a step there.
pub(super) fn raw(value: Decimal, scale: Decimal, offset: Decimal) -> Option<i64> {
    let exponent = value.exponent.min(offset.exponent);
    let aligned = in_steps(value, exponent)?.checked_sub(in_steps(offset, exponent)?)?;
    let shift = exponent - scale.exponent;
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let (numerator, denominator) = if shift >= 0 {
        (aligned.checked_mul(power)?, i128::from(scale.mantissa))
    } else {
        (aligned, i128::from(scale.mantissa).checked_mul(power)?)
    };
    if numerator.checked_rem(denominator)? != 0 {
        return None;
    }
    i64::try_from(numerator / denominator).ok()
}

/// A value as people write it, from its raw number.
pub(super) fn told(raw: i64, scale: Decimal, offset: Decimal) -> String {
    let exponent = scale.exponent.min(offset.exponent);
    let step = in_steps(scale, exponent).and_then(|step| step.checked_mul(raw.into()));
    let sum = step.zip(in_steps(offset, exponent)).and_then(|(step, offset)| step.checked_add(offset));
    sum.map_or_else(|| raw.to_string(), |sum| plainly(sum, exponent))
}

/// Whether a value lies between two others, both included; what is too long to compare does not.
pub(super) fn lies_between(value: Decimal, low: Decimal, high: Decimal) -> bool {
    let exponent = value.exponent.min(low.exponent).min(high.exponent);
    let [value, low, high] = [value, low, high].map(|decimal| in_steps(decimal, exponent));
    matches!((value, low, high), (Some(value), Some(low), Some(high)) if (low..=high).contains(&value))
}

/// A decimal without a power of ten.
pub(super) fn plain(decimal: Decimal) -> String {
    plainly(decimal.mantissa.into(), decimal.exponent)
}

fn in_steps(decimal: Decimal, exponent: i32) -> Option<i128> {
    let shift = u32::try_from(decimal.exponent - exponent).ok()?;
    i128::from(decimal.mantissa).checked_mul(10i128.checked_pow(shift)?)
}

fn plainly(mantissa: i128, exponent: i32) -> String {
    if exponent >= 0 {
        let zeros = if mantissa == 0 { 0 } else { exponent.unsigned_abs() as usize };
        return format!("{mantissa}{}", "0".repeat(zeros));
    }
    let places = exponent.unsigned_abs() as usize;
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let sign = if mantissa < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}
