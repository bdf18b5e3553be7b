//! Raw numbers into the fixed unit of a metric: exact for integers, rounded once, half away from
//! nought. What does not fit is no number, never a wrong one.

use riverwatts_shared::metric::{Metric, VALUE_MAX};
use riverwatts_shared::profile::{Decimal, Reason, Register};

use super::image::{Image, Raw};
use crate::plan::Placed;

/// Scale factors beyond these are no scale factors (SunSpec: -10 to 10).
const SCALE_FACTOR_MAX: i128 = 10;

/// What came out of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was not read.
    Missing,
    /// The device does not have it.
    NotImplemented,
    /// The device has no value now.
    None,
    /// A value too large to be kept.
    Overflow,
    /// A value in the unit of the metric.
    Number {
        /// The value.
        stored: i64,
        /// Whether it lies in the range that the profile calls plausible.
        plausible: bool,
    },
}

/// The unit that values are stored in, and the step that they are rounded to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    exponent: i32,
    step: i64,
}

impl Unit {
    /// The unit of a metric, rounded as its register declares.
    pub(super) fn rounded(metric: Metric, register: &Register) -> Unit {
        match register.resolution {
            Some(resolution) => Unit::stepped(metric, resolution),
            None => Unit::exact(metric),
        }
    }

    /// The unit of a metric, rounded to the stored unit only.
    pub(super) fn exact(metric: Metric) -> Unit {
        Unit { exponent: metric.info().exponent.into(), step: 1 }
    }

    /// The unit of a metric, rounded to a step.
    pub(super) fn stepped(metric: Metric, resolution: Decimal) -> Unit {
        let exponent = metric.info().exponent.into();
        Unit { exponent, step: resolution.in_units_of(exponent).unwrap_or(1).max(1) }
    }
}

/// The value of a register in a unit.
pub(super) fn decode(placed: &Placed, image: &Image, index: usize, unit: Unit) -> Outcome {
    if !placed.is_present(index) {
        return Outcome::Missing;
    }
    let register = &placed.area.registers[index];
    let raw = image.raw(placed, register);
    if raw == Raw::Missing {
        return Outcome::Missing;
    }
    if let Raw::None(reason) = raw {
        return none(reason);
    }
    if let Some(condition) = &register.valid_when {
        match other(placed, image, condition.register) {
            None => return Outcome::Missing,
            Some(number) if condition.test.passes(number) => {}
            Some(_) if register.optional => return Outcome::NotImplemented,
            Some(_) => return Outcome::None,
        }
    }
    let mut exponent = register.scale.exponent - unit.exponent;
    if let Some(index) = register.scale_from {
        let factor = &placed.area.registers[index];
        match (placed.is_present(index), image.raw(placed, factor)) {
            (true, Raw::Integer(power)) if power.abs() <= SCALE_FACTOR_MAX => exponent += power as i32,
            (true, Raw::None(reason)) => return none(reason),
            (true, Raw::Missing) | (false, _) => return Outcome::Missing,
            _ => return Outcome::None,
        }
    }
    let mut mantissa = register.scale.mantissa;
    if let Some(sign) = &register.sign_from {
        match other(placed, image, sign.register) {
            None => return Outcome::Missing,
            Some(number) if sign.negative.passes(number) => mantissa = -mantissa,
            Some(_) => {}
        }
    }
    let Some(offset) = register.offset.in_units_of(unit.exponent) else { return Outcome::Overflow };
    let multiplied = |raw: f64| match product(placed, image, register) {
        Ok(product) => scale_float(raw * product, mantissa, exponent, offset, unit),
        Err(outcome) => outcome,
    };
    let outcome = match (raw, register.times.is_empty()) {
        (Raw::Integer(raw), true) => scale_integer(raw, mantissa, exponent, offset, unit),
        (Raw::Float(raw), true) => scale_float(raw, mantissa, exponent, offset, unit),
        (Raw::Integer(raw), false) => multiplied(raw as f64),
        (Raw::Float(raw), false) => multiplied(raw),
        (Raw::Text(_) | Raw::Missing | Raw::None(_), _) => Outcome::None,
    };
    plausible(outcome, register, unit)
}

fn none(reason: Reason) -> Outcome {
    if reason == Reason::NotImplemented { Outcome::NotImplemented } else { Outcome::None }
}

/// The product of the registers that another one is multiplied with, each in its own unit.
fn product(placed: &Placed, image: &Image, register: &Register) -> Result<f64, Outcome> {
    let mut product = 1.0;
    for &index in &register.times {
        let factor = &placed.area.registers[index];
        let raw = match image.raw(placed, factor) {
            _ if !placed.is_present(index) => return Err(Outcome::Missing),
            Raw::Missing => return Err(Outcome::Missing),
            Raw::None(reason) => return Err(none(reason)),
            Raw::Integer(raw) => raw as f64,
            Raw::Float(raw) => raw,
            Raw::Text(_) => return Err(Outcome::None),
        };
        product *= raw * factor.scale.as_f64() + factor.offset.as_f64();
    }
    Ok(product)
}

/// The plain number of a register that another one looks at.
pub(super) fn other(placed: &Placed, image: &Image, index: usize) -> Option<i128> {
    if placed.is_present(index) { image.plain(placed, &placed.area.registers[index]) } else { None }
}

/// `raw × mantissa × 10^exponent + offset`, in whole numbers throughout.
fn scale_integer(raw: i128, mantissa: i64, exponent: i32, offset: i64, unit: Unit) -> Outcome {
    let Some(power) = 10i128.checked_pow(exponent.unsigned_abs()) else {
        // Beyond 10^38: nothing is left of it, or it fits nowhere.
        return if exponent < 0 { quantise(offset.into(), 1, unit, true) } else { Outcome::Overflow };
    };
    let (times, divisor) = if exponent >= 0 { (power, 1) } else { (1, power) };
    let scaled = raw.checked_mul(mantissa.into()).and_then(|scaled| scaled.checked_mul(times));
    let offset = i128::from(offset).checked_mul(divisor);
    match scaled.zip(offset).and_then(|(scaled, offset)| scaled.checked_add(offset)) {
        Some(numerator) => quantise(numerator, divisor, unit, true),
        None => Outcome::Overflow,
    }
}

/// The same for floats, whose own error is larger than that of this arithmetic.
fn scale_float(raw: f64, mantissa: i64, exponent: i32, offset: i64, unit: Unit) -> Outcome {
    if !raw.is_finite() {
        return Outcome::None;
    }
    let power = 10f64.powi(exponent.abs());
    let product = raw * mantissa as f64;
    let scaled = if exponent >= 0 { product * power } else { product / power };
    let steps = ((scaled + offset as f64) / unit.step as f64).round();
    if steps.abs() > VALUE_MAX as f64 {
        return Outcome::Overflow;
    }
    quantise(steps as i128 * i128::from(unit.step), 1, unit, true)
}

/// `numerator / denominator` rounded to the unit's step, half away from nought.
pub(super) fn quantise(numerator: i128, denominator: i128, unit: Unit, plausible: bool) -> Outcome {
    let Some(divisor) = denominator.checked_mul(unit.step.into()).filter(|&divisor| divisor > 0) else {
        return Outcome::Overflow;
    };
    let (whole, rest) = (numerator / divisor, numerator % divisor);
    let away = if rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2) { numerator.signum() } else { 0 };
    let stored = (whole + away).checked_mul(unit.step.into());
    match stored.and_then(|stored| i64::try_from(stored).ok()) {
        Some(stored) if stored.abs() <= VALUE_MAX => Outcome::Number { stored, plausible },
        _ => Outcome::Overflow,
    }
}

fn plausible(outcome: Outcome, register: &Register, unit: Unit) -> Outcome {
    let Outcome::Number { stored, .. } = outcome else { return outcome };
    let Some((low, high)) = register.plausible else { return outcome };
    let low = low.in_units_of(unit.exponent).unwrap_or(i64::MIN);
    let high = high.in_units_of(unit.exponent).unwrap_or(i64::MAX);
    Outcome::Number { stored, plausible: (low..=high).contains(&stored) }
}
