//! The words that were read, and the raw numbers in them.

use riverwatts_shared::profile::{Kind, Order, Reason, Register};

use crate::plan::{Block, Placed};

/// The words that one poll of one device brought.
#[derive(Debug, Clone, Default)]
pub struct Image {
    blocks: Vec<(Block, Vec<u16>)>,
}

/// What stands in a register.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// It was not read, or the device does not have it.
    Missing,
    /// A whole number.
    Integer(i128),
    /// A float, perhaps not finite.
    Float(f64),
    /// Text, trimmed.
    Text(String),
    /// A sentinel.
    None(Reason),
}

impl Raw {
    /// Its whole number; a float that is one counts, as some devices have only floats.
    pub(super) fn whole(&self) -> Option<i128> {
        match *self {
            Raw::Integer(number) => Some(number),
            Raw::Float(number) if number.fract() == 0.0 => Some(number as i128),
            _ => None,
        }
    }
}

impl Image {
    /// An image without words.
    pub fn new() -> Image {
        Image::default()
    }

    /// Adds the words that a block brought; the same block read again replaces them. Words beyond
    /// the block's count are ignored, fewer words leave its end missing.
    pub fn put(&mut self, block: &Block, words: &[u16]) {
        let count = words.len().min(usize::from(block.count));
        let kept = Block { count: count as u16, ..*block };
        let words = words[..count].to_vec();
        let same = |known: &Block| (known.unit, known.function, known.start) == (kept.unit, kept.function, kept.start);
        match self.blocks.iter_mut().find(|(known, _)| same(known)) {
            Some(place) => *place = (kept, words),
            None => self.blocks.push((kept, words)),
        }
    }

    /// Whether all words of a block are there already.
    pub fn holds(&self, block: &Block) -> bool {
        let same = |known: &Block| (known.unit, known.function) == (block.unit, block.function);
        self.blocks.iter().any(|(known, _)| same(known) && known.covers(block.start, block.count))
    }

    /// Forgets all words, for the next poll.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// What stands in a register of an area, sentinels recognised.
    pub(super) fn raw(&self, placed: &Placed, register: &Register) -> Raw {
        let Some(words) = self.words(placed, register) else { return Raw::Missing };
        match register.kind {
            Kind::Text(_) => return Raw::Text(text(words, register.byte_order)),
            Kind::Utf16(_) => return Raw::Text(utf16(words, register.byte_order)),
            _ => {}
        }
        let bits = bits(words, register);
        if let Some(sentinel) = register.sentinels.iter().find(|sentinel| sentinel.pattern == bits) {
            return Raw::None(sentinel.reason);
        }
        number(bits, register.kind)
    }

    /// The raw whole number of a register that others look at, sentinels included.
    pub(super) fn plain(&self, placed: &Placed, register: &Register) -> Option<i128> {
        number(bits(self.words(placed, register)?, register), register.kind).whole()
    }

    fn words(&self, placed: &Placed, register: &Register) -> Option<&[u16]> {
        let (at, width) = (register.at, register.width());
        let holds = |block: &Block| {
            block.unit == placed.area.unit && block.function == placed.area.function && block.covers(at, width)
        };
        let (block, words) = self.blocks.iter().find(|(block, _)| holds(block))?;
        let from = usize::from(at - block.start);
        words.get(from..from + usize::from(width))
    }
}

/// The bits of a number, most significant first, whatever order the device has.
fn bits(words: &[u16], register: &Register) -> u64 {
    let word = |word: &u16| match register.byte_order {
        Order::HighFirst => u64::from(*word),
        Order::LowFirst => u64::from(word.swap_bytes()),
    };
    let join = |bits: u64, word: u64| bits << 16 | word;
    let bits = match register.word_order {
        Order::HighFirst => words.iter().map(word).fold(0, join),
        Order::LowFirst => words.iter().rev().map(word).fold(0, join),
    };
    let bits = match register.kind {
        Kind::U8High | Kind::I8High => bits >> 8,
        Kind::U8Low | Kind::I8Low => bits & 0xFF,
        Kind::Bit => bits & 1,
        _ => bits,
    };
    register.mask.map_or(bits, |mask| (bits & mask) >> mask.trailing_zeros())
}

fn number(bits: u64, kind: Kind) -> Raw {
    match kind {
        Kind::F16 => Raw::Float(half(bits as u16)),
        Kind::F32 => Raw::Float(f32::from_bits(bits as u32).into()),
        Kind::F64 => Raw::Float(f64::from_bits(bits)),
        Kind::Text(_) | Kind::Utf16(_) => Raw::Missing,
        Kind::Bcd16 => digits(bits),
        Kind::Sm16 => Raw::Integer(i128::from(bits & 0x7FFF) * if bits >> 15 == 1 { -1 } else { 1 }),
        kind if kind.is_signed() => {
            let unused = 64 - kind.bits();
            Raw::Integer(((bits << unused) as i64 >> unused).into())
        }
        _ => Raw::Integer(bits.into()),
    }
}

/// A half float, IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    let size = match bits >> 10 & 0x1F {
        0 => fraction * 2f64.powi(-14),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    };
    sign * size
}

/// Decimal digits of four bits each; what is no digit makes it no value.
fn digits(bits: u64) -> Raw {
    let digits = (0..4).rev().map(|place| bits >> (4 * place) & 0xF);
    digits
        .clone()
        .all(|digit| digit < 10)
        .then(|| digits.fold(0, |number, digit| number * 10 + i128::from(digit)))
        .map_or(Raw::None(Reason::Unavailable), Raw::Integer)
}

/// UTF-16 text, as the other kind.
fn utf16(words: &[u16], byte_order: Order) -> String {
    let word = |word: &u16| if byte_order == Order::HighFirst { *word } else { word.swap_bytes() };
    let words: Vec<u16> = words.iter().map(word).take_while(|&word| word != 0).collect();
    let text: String = String::from_utf16_lossy(&words).chars().filter(|c| !c.is_control()).collect();
    text.trim().to_owned()
}

/// Text up to the first NUL, without spaces at its ends and without control characters.
fn text(words: &[u16], byte_order: Order) -> String {
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word| match byte_order {
            Order::HighFirst => word.to_be_bytes(),
            Order::LowFirst => word.to_le_bytes(),
        })
        .take_while(|&byte| byte != 0)
        .collect();
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    text.trim().to_owned()
}
