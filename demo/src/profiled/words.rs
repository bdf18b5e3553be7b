//! What a number or a text is in registers: the inverse of what the gateway does with them.

use riverwatts_shared::profile::{Kind, Order, Register};

/// Some bits of one register: their value, and which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) word: u16,
    pub(super) mask: u16,
}

/// The register's parts when its raw number has these bits.
pub(super) fn of_bits(register: &Register, bits: u64) -> Vec<Part> {
    let mask = register.mask.unwrap_or(u64::MAX);
    let bits = register.mask.map_or(bits, |mask| bits << mask.trailing_zeros());
    let part = |shift: u32| Part { word: (bits >> shift) as u16, mask: (mask >> shift) as u16 };
    let mut parts: Vec<Part> = match register.kind {
        Kind::U8High | Kind::I8High => vec![Part { word: (bits as u16 & 0xFF) << 8, mask: 0xFF00 }],
        Kind::U8Low | Kind::I8Low => vec![Part { word: bits as u16 & 0xFF, mask: 0x00FF }],
        kind => (0..kind.width()).rev().map(|place| part(16 * u32::from(place))).collect(),
    };
    if register.word_order == Order::LowFirst {
        parts.reverse();
    }
    parts.into_iter().map(|part| ordered(register, part)).collect()
}

/// The register's parts when it holds this text, cut to its length, filled with zeros.
pub(super) fn of_text(register: &Register, text: &str) -> Vec<Part> {
    let wide = matches!(register.kind, Kind::Utf16(_));
    let mut bytes = text.bytes().filter(u8::is_ascii);
    let mut next = || bytes.next().unwrap_or(0);
    let pairs = (0..register.width()).map(|_| if wide { [0, next()] } else { [next(), next()] });
    pairs.map(|pair| ordered(register, Part { word: u16::from_be_bytes(pair), mask: 0xFFFF })).collect()
}

fn ordered(register: &Register, part: Part) -> Part {
    match register.byte_order {
        Order::HighFirst => part,
        Order::LowFirst => Part { word: part.word.swap_bytes(), mask: part.mask.swap_bytes() },
    }
}

/// The least and the greatest raw whole number of a register; for floats, what any value lies between.
pub(super) fn limits(register: &Register) -> (i128, i128) {
    let kind = register.kind;
    match (kind.bits(), kind.is_signed(), kind.is_float()) {
        (_, _, true) => (i128::MIN, i128::MAX),
        _ if kind == Kind::Bcd16 => (0, 9_999),
        _ if kind == Kind::Sm16 => (-0x7FFF, 0x7FFF),
        (_, false, _) if register.mask.is_some() => {
            (0, register.mask.map_or(0, |mask| mask >> mask.trailing_zeros()).into())
        }
        (bits, true, _) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        (bits, false, _) => (0, (1 << bits) - 1),
    }
}

/// The bits of a raw whole number within the limits of the type.
pub(super) fn bits(kind: Kind, raw: i128) -> u64 {
    match kind {
        Kind::Bcd16 => (0..4).fold(0, |bits, place| bits | (((raw / 10i128.pow(place)) % 10) as u64) << (4 * place)),
        Kind::Sm16 => raw.unsigned_abs() as u64 | u64::from(raw < 0) << 15,
        _ if kind.bits() >= 64 => raw as u64,
        _ => raw as u64 & ((1 << kind.bits()) - 1),
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::profile::parse;

    use super::*;

    fn register(with: &str) -> Register {
        let head = "format = 1\nmanufacturer = \"M\"\nmodel = \"M\"\ndevice = \"sensor\"\nconfidence = \"low\"\nsources = [\"s\"]\n[[area]]\nname = \"a\"\nfunction = \"holding\"\n";
        let text = format!("{head}registers = [{{ name = \"r\", at = 0, {with} }}]");
        parse("p.toml", &text).unwrap().areas[0].registers[0].clone()
    }

    #[test]
    fn every_type_and_order_is_written_as_it_is_read() {
        for (with, raw, expected) in [
            ("type = \"u8_high\"", 254, &[(0xFE00, 0xFF00)][..]),
            ("type = \"i8_low\"", -2, &[(0x00FE, 0x00FF)]),
            ("type = \"u8_low\", byte_order = \"low_first\"", 254, &[(0xFE00, 0xFF00)]),
            ("type = \"i16\"", -32_768, &[(0x8000, 0xFFFF)]),
            ("type = \"u16\", byte_order = \"low_first\"", 1, &[(0x0100, 0xFFFF)]),
            ("type = \"u16\", mask = 0x0F00", 5, &[(0x0500, 0x0F00)]),
            ("type = \"bcd16\"", 1_234, &[(0x1234, 0xFFFF)]),
            ("type = \"sm16\"", -2, &[(0x8002, 0xFFFF)]),
            ("type = \"u32\"", 65_538, &[(1, 0xFFFF), (2, 0xFFFF)]),
            ("type = \"u32\", word_order = \"low_first\"", 65_538, &[(2, 0xFFFF), (1, 0xFFFF)]),
            (
                "type = \"u32\", word_order = \"low_first\", byte_order = \"low_first\"",
                65_538,
                &[(0x0200, 0xFFFF), (0x0100, 0xFFFF)],
            ),
            (
                "type = \"i64\", word_order = \"low_first\"",
                -2,
                &[(0xFFFE, 0xFFFF), (0xFFFF, 0xFFFF), (0xFFFF, 0xFFFF), (0xFFFF, 0xFFFF)],
            ),
        ] {
            let register = register(&format!("{with}, metric = \"x_r\""));
            let parts = of_bits(&register, bits(register.kind, raw));
            let got: Vec<_> = parts.iter().map(|part| (part.word, part.mask)).collect();
            assert_eq!(got, expected, "{with}");
        }
    }

    #[test]
    fn texts_are_cut_and_filled() {
        let words = |with: &str, text| {
            let parts = of_text(&register(&format!("type = \"text\", identity = \"model\", {with}")), text);
            parts.iter().map(|part| part.word).collect::<Vec<_>>()
        };
        assert_eq!(words("length = 2", "abc"), [0x6162, 0x6300]);
        assert_eq!(words("length = 2, byte_order = \"low_first\"", "abcdef"), [0x6261, 0x6463]);
    }

    #[test]
    fn types_have_limits() {
        let limits = |with: &str| limits(&register(&format!("{with}, metric = \"x_r\"")));
        assert_eq!(limits("type = \"i16\""), (-32_768, 32_767));
        assert_eq!(limits("type = \"u8_low\""), (0, 255));
        assert_eq!(limits("type = \"u64\""), (0, u64::MAX.into()));
        assert_eq!(limits("type = \"bcd16\""), (0, 9_999));
        assert_eq!(limits("type = \"u16\", mask = 0x0F00"), (0, 15));
    }
}
