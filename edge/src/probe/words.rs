//! Words as numbers of every type, in every order of words and bytes: pure.

use std::fmt;

use serde::Serialize;

/// How words may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Type {
    /// Unsigned, 16 bits.
    U16,
    /// Two's complement, 16 bits.
    I16,
    /// Four decimal digits.
    Bcd16,
    /// A sign bit and 15 bits.
    Sm16,
    /// IEEE 754, 16 bits.
    F16,
    /// Two characters.
    Text,
    /// Unsigned, 32 bits.
    U32,
    /// Two's complement, 32 bits.
    I32,
    /// IEEE 754, 32 bits.
    F32,
    /// Unsigned, 64 bits.
    U64,
    /// Two's complement, 64 bits.
    I64,
    /// IEEE 754, 64 bits.
    F64,
}

/// Which part comes first, by the letters that manuals use: `a` is the most significant byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// High word first, high byte first, as Modbus has it.
    Abcd,
    /// Low word first: `word_order = "low_first"`.
    Cdab,
    /// Low byte first: `byte_order = "low_first"`.
    Badc,
    /// Both low first.
    Dcba,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole number.
    Whole(i128),
    /// A float.
    Float(f64),
    /// Characters.
    Text(String),
    /// No number: digits that are none, a float that is not finite.
    None,
}

impl Type {
    /// All of them, narrow ones first.
    pub const ALL: [Type; 12] = [
        Type::U16,
        Type::I16,
        Type::Bcd16,
        Type::Sm16,
        Type::F16,
        Type::Text,
        Type::U32,
        Type::I32,
        Type::F32,
        Type::U64,
        Type::I64,
        Type::F64,
    ];

    /// The word of profiles.
    pub const fn word(self) -> &'static str {
        match self {
            Type::U16 => "u16",
            Type::I16 => "i16",
            Type::Bcd16 => "bcd16",
            Type::Sm16 => "sm16",
            Type::F16 => "f16",
            Type::Text => "text",
            Type::U32 => "u32",
            Type::I32 => "i32",
            Type::F32 => "f32",
            Type::U64 => "u64",
            Type::I64 => "i64",
            Type::F64 => "f64",
        }
    }

    /// How many registers it takes.
    pub const fn width(self) -> usize {
        match self {
            Type::U32 | Type::I32 | Type::F32 => 2,
            Type::U64 | Type::I64 | Type::F64 => 4,
            _ => 1,
        }
    }

    /// The orders in which it can stand; one register has no order of words.
    pub const fn arrangements(self) -> &'static [Arrangement] {
        match self.width() {
            1 => &[Arrangement::Abcd, Arrangement::Badc],
            _ => &Arrangement::ALL,
        }
    }

    /// The words as this type; `None` when they are too few.
    pub fn read(self, words: &[u16], arrangement: Arrangement) -> Option<Number> {
        let words = words.get(..self.width())?;
        let bits = arrangement.bits(words);
        Some(match self {
            Type::U16 | Type::U32 | Type::U64 => Number::Whole(bits.into()),
            Type::I16 => Number::Whole((bits as u16 as i16).into()),
            Type::I32 => Number::Whole((bits as u32 as i32).into()),
            Type::I64 => Number::Whole((bits as i64).into()),
            Type::Sm16 => Number::Whole(i128::from(bits & 0x7FFF) * if bits >> 15 == 1 { -1 } else { 1 }),
            Type::Bcd16 => digits(bits as u16),
            Type::F16 => float(half(bits as u16)),
            // Rounded to the digits that such a float has.
            Type::F32 => float(f32::from_bits(bits as u32).to_string().parse().unwrap_or(f64::NAN)),
            Type::F64 => float(f64::from_bits(bits)),
            Type::Text => characters(bits as u16),
        })
    }
}

impl Arrangement {
    /// All of them, the usual one first.
    pub const ALL: [Arrangement; 4] = [Arrangement::Abcd, Arrangement::Cdab, Arrangement::Badc, Arrangement::Dcba];

    /// Its letters.
    pub const fn word(self) -> &'static str {
        match self {
            Arrangement::Abcd => "abcd",
            Arrangement::Cdab => "cdab",
            Arrangement::Badc => "badc",
            Arrangement::Dcba => "dcba",
        }
    }

    fn bits(self, words: &[u16]) -> u64 {
        let swapped = matches!(self, Arrangement::Badc | Arrangement::Dcba);
        let word = |word: &u16| u64::from(if swapped { word.swap_bytes() } else { *word });
        let join = |bits: u64, word: u64| bits << 16 | word;
        match self {
            Arrangement::Abcd | Arrangement::Badc => words.iter().map(word).fold(0, join),
            Arrangement::Cdab | Arrangement::Dcba => words.iter().rev().map(word).fold(0, join),
        }
    }
}

impl Number {
    /// How much it looks like something that a device would tell, from -2 (not at all) to 2.
    pub fn plausibility(&self, of: Type) -> f64 {
        match (self, of) {
            (Number::None, _) => -2.0,
            (Number::Text(text), _) => {
                if text.is_empty() {
                    -1.0
                } else {
                    1.0
                }
            }
            (Number::Float(float), _) if *float == 0.0 => 0.0,
            (Number::Float(float), _) => match float.abs() {
                size if !(1e-6..1e9).contains(&size) => -2.0,
                size if (1e-3..1e7).contains(&size) && of != Type::F16 => 2.0,
                _ => 0.5,
            },
            (Number::Whole(number), _) => match (of.width(), number.unsigned_abs()) {
                (_, 0) => 0.0,
                (1, _) => 0.5,
                (2, ..100_000_000) => 1.0,
                (4, ..1_000_000_000_000) => 1.0,
                _ => -1.0,
            },
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => f.pad(&number.to_string()),
            Number::Float(float) if *float != 0.0 && !(1e-4..1e10).contains(&float.abs()) => {
                f.pad(&format!("{float:.4e}"))
            }
            Number::Float(float) => f.pad(&shortest(*float)),
            Number::Text(text) => f.pad(text),
            Number::None => f.pad("-"),
        }
    }
}

/// At most nine digits, which is what a 32-bit float has.
fn shortest(float: f64) -> String {
    let whole_digits = float.abs().log10().max(0.0) as usize + 1;
    let text = format!("{float:.*}", 9usize.saturating_sub(whole_digits));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn float(float: f64) -> Number {
    if float.is_finite() { Number::Float(float) } else { Number::None }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    sign * match bits >> 10 & 0x1F {
        0 => fraction * 2f64.powi(-14),
        0x1F => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    }
}

fn digits(word: u16) -> Number {
    let digits = (0..4).rev().map(|place| word >> (4 * place) & 0xF);
    match digits.clone().all(|digit| digit < 10) {
        true => Number::Whole(digits.fold(0, |number, digit| number * 10 + i128::from(digit))),
        false => Number::None,
    }
}

/// Printable characters; anything else makes it no text.
fn characters(word: u16) -> Number {
    let bytes = word.to_be_bytes();
    match bytes.iter().all(|byte| matches!(byte, 0 | 0x20..=0x7E)) {
        true => Number::Text(bytes.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()),
        false => Number::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type in every order, from the words of one number each.
    #[test]
    fn every_type_and_order_gives_the_number_that_the_words_were_made_of() {
        let bytes: [u8; 8] = [0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48];
        let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        let [a, b, c, d, e, f, g, h] = bytes;
        for (arrangement, words) in [
            (Arrangement::Abcd, [word(a, b), word(c, d), word(e, f), word(g, h)]),
            (Arrangement::Cdab, [word(g, h), word(e, f), word(c, d), word(a, b)]),
            (Arrangement::Badc, [word(b, a), word(d, c), word(f, e), word(h, g)]),
            (Arrangement::Dcba, [word(h, g), word(f, e), word(d, c), word(b, a)]),
        ] {
            let read = |of: Type| of.read(&words, arrangement).unwrap();
            assert_eq!(read(Type::U64), Number::Whole(u64::from_be_bytes(bytes).into()), "{arrangement:?}");
            assert_eq!(read(Type::I64), Number::Whole(i64::from_be_bytes(bytes).into()), "{arrangement:?}");
            assert_eq!(read(Type::F64), Number::Float(f64::from_be_bytes(bytes)), "{arrangement:?}");
        }
        for (arrangement, words) in [
            (Arrangement::Abcd, [0xC366u16, 0x8000]),
            (Arrangement::Cdab, [0x8000, 0xC366]),
            (Arrangement::Badc, [0x66C3, 0x0080]),
            (Arrangement::Dcba, [0x0080, 0x66C3]),
        ] {
            let read = |of: Type| of.read(&words, arrangement).unwrap();
            assert_eq!(read(Type::F32), Number::Float(-230.5), "{arrangement:?}");
            assert_eq!(read(Type::U32), Number::Whole(0xC366_8000), "{arrangement:?}");
            assert_eq!(read(Type::I32), Number::Whole(0xC366_8000_u32 as i32 as i128), "{arrangement:?}");
        }
        for (of, word, expected) in [
            (Type::U16, 0xFFFE, Number::Whole(65_534)),
            (Type::I16, 0xFFFE, Number::Whole(-2)),
            (Type::Sm16, 0x8002, Number::Whole(-2)),
            (Type::Bcd16, 0x1234, Number::Whole(1_234)),
            (Type::Bcd16, 0x12A4, Number::None),
            (Type::F16, 0x4A40, Number::Float(12.5)),
            (Type::F16, 0x7C00, Number::None),
            (Type::Text, 0x4F4B, Number::Text("OK".to_owned())),
            (Type::Text, 0x4F00, Number::Text("O".to_owned())),
            (Type::Text, 0x0107, Number::None),
        ] {
            assert_eq!(of.read(&[word], Arrangement::Abcd), Some(expected.clone()), "{of:?} {word:04x}");
            assert_eq!(
                of.read(&[word.swap_bytes()], Arrangement::Badc),
                Some(match expected {
                    Number::Text(text) if text.len() == 1 => Number::Text(text),
                    other => other,
                }),
                "{of:?} {word:04x} swapped"
            );
        }
        assert_eq!(Type::F32.read(&[1], Arrangement::Abcd), None);
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are() {
        for (number, text) in [
            (Number::Float(230.5), "230.5"),
            (Number::Float(49.990_001), "49.990001"),
            (Number::Float(0.0), "0"),
            (Number::Float(-0.123), "-0.123"),
            (Number::Float(1.5e-20), "1.5000e-20"),
            (Number::Float(1_234_567.0), "1234567"),
            (Number::Whole(-5), "-5"),
            (Number::None, "-"),
        ] {
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn a_real_voltage_looks_better_as_what_it_is_than_as_anything_else() {
        let words = [0x4366, 0x8000];
        let mut looks: Vec<_> = Type::ALL
            .iter()
            .flat_map(|&of| of.arrangements().iter().map(move |&arrangement| (of, arrangement)))
            .filter_map(|(of, arrangement)| Some((of.read(&words, arrangement)?.plausibility(of), of, arrangement)))
            .collect();
        looks.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert_eq!((looks[0].1, looks[0].2), (Type::F32, Arrangement::Abcd));
        assert!(looks[0].0 > looks[1].0, "{looks:?}");
    }
}
