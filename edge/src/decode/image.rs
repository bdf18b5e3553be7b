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

    /// Forgets all words, for the next poll.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// What stands in a register of an area, sentinels recognised.
    pub(super) fn raw(&self, placed: &Placed, register: &Register) -> Raw {
        let Some(words) = self.words(placed, register) else { return Raw::Missing };
        if let Kind::Text(_) = register.kind {
            return Raw::Text(text(words, register.byte_order));
        }
        let bits = bits(words, register);
        if let Some(sentinel) = register.sentinels.iter().find(|sentinel| sentinel.pattern == bits) {
            return Raw::None(sentinel.reason);
        }
        number(bits, register.kind)
    }

    /// The raw whole number of a register that others look at, sentinels included.
    pub(super) fn plain(&self, placed: &Placed, register: &Register) -> Option<i128> {
        match number(bits(self.words(placed, register)?, register), register.kind) {
            Raw::Integer(number) => Some(number),
            _ => None,
        }
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
    match register.kind {
        Kind::U8High | Kind::I8High => bits >> 8,
        Kind::U8Low | Kind::I8Low => bits & 0xFF,
        _ => bits,
    }
}

fn number(bits: u64, kind: Kind) -> Raw {
    match kind {
        Kind::F32 => Raw::Float(f32::from_bits(bits as u32).into()),
        Kind::F64 => Raw::Float(f64::from_bits(bits)),
        Kind::Text(_) => Raw::Missing,
        kind if kind.is_signed() => {
            let unused = 64 - kind.bits();
            Raw::Integer(((bits << unused) as i64 >> unused).into())
        }
        _ => Raw::Integer(bits.into()),
    }
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
