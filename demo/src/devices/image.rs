//! The registers of one device at one time, written by hand from the makers' tables.
//! Deliberately not made from the gateway's profiles: each checks the other.

use std::collections::BTreeMap;

/// A sparse map of registers. What is not written does not exist for the master.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    words: BTreeMap<u16, u16>,
}

impl Image {
    /// `count` registers from `address` on, unless one of them does not exist.
    pub fn read(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        let last = address.checked_add(count.checked_sub(1)?)?;
        let words: Vec<u16> = self.words.range(address..=last).map(|(_, &word)| word).collect();
        (words.len() == usize::from(count)).then_some(words)
    }

    /// Words, one register after another.
    pub fn words(&mut self, address: u16, words: &[u16]) {
        for (address, &word) in (address..=u16::MAX).zip(words) {
            self.words.insert(address, word);
        }
    }

    /// An unsigned register holding `value / scale`, rounded, held at its limits.
    pub fn u16(&mut self, address: u16, value: f64, scale: f64) {
        self.words(address, &[(value / scale).round() as u16]);
    }

    /// A signed register holding `value / scale`, rounded, held at its limits.
    pub fn i16(&mut self, address: u16, value: f64, scale: f64) {
        self.words(address, &[(value / scale).round() as i16 as u16]);
    }

    /// Two registers, high word first.
    pub fn u32(&mut self, address: u16, value: u32) {
        self.words(address, &[(value >> 16) as u16, value as u16]);
    }

    /// A float in two registers, high word first.
    pub fn f32(&mut self, address: u16, value: f64) {
        self.u32(address, (value as f32).to_bits());
    }

    /// Text in `registers` registers, first letter in the high byte, filled with zeros.
    pub fn text(&mut self, address: u16, registers: u16, text: &str) {
        let mut bytes = text.bytes();
        for address in address..address + registers {
            let [high, low] = std::array::from_fn(|_| bytes.next().unwrap_or(0));
            self.words(address, &[u16::from_be_bytes([high, low])]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_give_the_words_computed_by_hand() {
        let check = |address, write: &dyn Fn(&mut Image), expected: &[u16]| {
            let mut image = Image::default();
            write(&mut image);
            assert_eq!(image.read(address, expected.len() as u16).as_deref(), Some(expected));
        };
        check(5201, &|image| image.u16(5201, 0.95, 0.001), &[950]);
        check(1, &|image| image.u16(1, 70_000.0, 1.0), &[0xFFFF]);
        check(1, &|image| image.u16(1, -3.0, 1.0), &[0]);
        check(5203, &|image| image.i16(5203, -1.28, 0.01), &[0xFF80]);
        check(842, &|image| image.i16(842, 40_000.0, 1.0), &[0x7FFF]);
        check(24, &|image| image.u32(24, 42_118_000), &[0x0282, 0xAB70]);
        check(0, &|image| image.f32(0, 277.0), &[0x438A, 0x8000]);
        check(0, &|image| image.f32(0, -0.15625), &[0xBE20, 0x0000]);
        check(4, &|image| image.text(4, 3, "SunS!"), &[0x5375, 0x6E53, 0x2100]);
    }

    #[test]
    fn what_is_not_written_does_not_exist() {
        let mut image = Image::default();
        image.words(10, &[1, 2]);
        image.words(13, &[4]);
        image.words(0xFFFF, &[9]);
        for (address, count, expected) in [
            (10, 2, Some(vec![1, 2])),
            (13, 1, Some(vec![4])),
            (10, 3, None),
            (12, 1, None),
            (10, 0, None),
            (0xFFFF, 1, Some(vec![9])),
            (0xFFFF, 2, None),
        ] {
            assert_eq!(image.read(address, count), expected, "{count} from {address}");
        }
    }
}
