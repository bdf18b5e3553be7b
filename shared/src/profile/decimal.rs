//! Exact decimals: scales, offsets and limits as a person wrote them, never a float.

use std::fmt;
use std::str::FromStr;

/// `mantissa × 10^exponent`, normalised: the mantissa has no trailing zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// The digits, with the sign.
    pub mantissa: i64,
    /// The power of ten.
    pub exponent: i32,
}

/// Largest magnitude of an exponent; wide enough for every unit, small enough for exact arithmetic.
pub const EXPONENT_MAX: i32 = 18;

/// A text that is no decimal of up to 18 digits and exponents.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no decimal number of at most 18 digits")]
pub struct NotADecimal(String);

impl Decimal {
    /// One.
    pub const ONE: Decimal = Decimal { mantissa: 1, exponent: 0 };
    /// Zero.
    pub const ZERO: Decimal = Decimal { mantissa: 0, exponent: 0 };

    /// `self / 10^exponent` as an integer, when it is one and fits.
    pub fn in_units_of(self, exponent: i32) -> Option<i64> {
        let shift = self.exponent - exponent;
        if self.mantissa == 0 {
            return Some(0);
        }
        let power = 10i64.checked_pow(u32::try_from(shift).ok()?)?;
        self.mantissa.checked_mul(power)
    }

    /// The nearest float, to compare sizes with.
    pub fn as_f64(self) -> f64 {
        self.mantissa as f64 * 10f64.powi(self.exponent)
    }

    /// Whether it is nought.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }
}

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        read(text).ok_or_else(|| NotADecimal(text.chars().take(40).collect()))
    }
}

fn read(text: &str) -> Option<Decimal> {
    let (number, power) = match text.split_once(['e', 'E']) {
        Some((number, power)) => (number, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = [whole, fraction].concat().chars().filter(|&c| c != '_').collect();
    let mut mantissa: i64 = digits.parse().ok()?;
    let places = fraction.bytes().filter(u8::is_ascii_digit).count();
    let mut exponent = power.checked_sub(i32::try_from(places).ok()?)?;
    if mantissa == 0 {
        return Some(Decimal::ZERO);
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent = exponent.checked_add(1)?;
    }
    let fits = mantissa.unsigned_abs() < 10u64.pow(EXPONENT_MAX as u32) && exponent.abs() <= EXPONENT_MAX;
    fits.then_some(Decimal { mantissa, exponent })
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exponent {
            0 => write!(f, "{}", self.mantissa),
            exponent => write!(f, "{}e{exponent}", self.mantissa),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, mantissa, exponent) in [
            ("0.1", 1, -1),
            ("-0.001", -1, -3),
            ("100", 1, 2),
            ("1e-3", 1, -3),
            ("2.50", 25, -1),
            ("1_000.5", 10_005, -1),
            ("+3", 3, 0),
            ("0.000", 0, 0),
        ] {
            assert_eq!(text.parse(), Ok(Decimal { mantissa, exponent }), "{text}");
        }
        for text in ["", "nan", "inf", "1e99", "0x10", "1.2.3", "99999999999999999999", "e5", "1e99999999999"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_decimal_in_units_is_an_integer_or_nothing() {
        let decimal: Decimal = "0.25".parse().unwrap();
        assert_eq!(decimal.in_units_of(-6), Some(250_000));
        assert_eq!(decimal.in_units_of(-1), None);
        assert_eq!("1e18".parse::<Decimal>().unwrap().in_units_of(-6), None);
    }
}
