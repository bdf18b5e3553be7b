//! The raw number whose decoding gives a value: the inverse of scale, offset, scale factor and sign.

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Kind, Register};

use super::words;

/// A value that a register shall show, in a fixed decimal unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// What it is, for messages.
    pub(super) metric: Metric,
    /// In the unit of the metric.
    pub(super) stored: i128,
    /// Whether somebody asked for it; else a register rests there.
    pub(super) given: bool,
}

/// How the register stands when it is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Setting {
    /// What its scale factor's register holds.
    pub(super) power: i16,
    /// Whether its sign's register says minus.
    pub(super) negative: bool,
    /// The product of the registers that it is multiplied with.
    pub(super) factor: f64,
}

impl Setting {
    /// Nothing but the register's own scale.
    pub(super) const PLAIN: Setting = Setting { power: 0, negative: false, factor: 1.0 };
}

/// The raw whole number nearest to a target, within limits or not.
pub(super) fn raw(register: &Register, target: &Target, setting: Setting) -> i128 {
    let (numerator, denominator) = quotient(register, target, setting);
    if setting.factor != 1.0 {
        return (numerator as f64 / denominator as f64 / setting.factor).round() as i128;
    }
    let numerator = numerator * denominator.signum();
    let denominator = denominator.abs();
    numerator.saturating_add(numerator.signum() * (denominator / 2)) / denominator
}

/// The bits of a target in a float register.
pub(super) fn float_bits(register: &Register, target: &Target, setting: Setting) -> u64 {
    let (numerator, denominator) = quotient(register, target, setting);
    let number = numerator as f64 / denominator as f64 / setting.factor;
    match register.kind {
        Kind::F32 => (number as f32).to_bits().into(),
        _ => number.to_bits(),
    }
}

/// The value of a raw number in the metric's unit, for messages.
pub(super) fn value(register: &Register, metric: Metric, setting: Setting, raw: i128) -> f64 {
    let sign = if setting.negative { -1.0 } else { 1.0 };
    let scale = register.scale.as_f64() * 10f64.powi(setting.power.into()) * sign * setting.factor;
    let value = raw as f64 * scale + register.offset.as_f64();
    let places = 10f64.powi(-i32::from(metric.info().exponent));
    (value * places).round() / places
}

/// The limits of a register in the metric's unit, lowest first.
pub(super) fn range(register: &Register, metric: Metric, setting: Setting) -> (f64, f64) {
    let (least, most) = words::limits(register);
    let (a, b) = (value(register, metric, setting, least), value(register, metric, setting, most));
    (a.min(b), a.max(b))
}

/// `(stored − offset) / scale` as two whole numbers.
fn quotient(register: &Register, target: &Target, setting: Setting) -> (i128, i128) {
    let exponent = i32::from(target.metric.info().exponent);
    let offset = register.offset.in_units_of(exponent).expect("checked when the profile was parsed");
    let power = register.scale.exponent - exponent + i32::from(setting.power);
    let mantissa = i128::from(register.scale.mantissa) * if setting.negative { -1 } else { 1 };
    let numerator = target.stored - i128::from(offset);
    // Values stay below 2^53 and powers of profiles within ±28: at the edge of i128 a value fits no register.
    let ten = 10i128.saturating_pow(power.unsigned_abs());
    if power >= 0 {
        (numerator, mantissa.saturating_mul(ten))
    } else {
        (numerator.saturating_mul(ten).max(-i128::MAX), mantissa)
    }
}
