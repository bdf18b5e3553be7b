//! Bounded reading and writing of bytes: variable-length integers, strings, blocks.

/// Why bytes are not what they claim to be.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// They end in the middle of `0`.
    #[error("ends in the middle of {0}")]
    Truncated(&'static str),
    /// `what` is larger than the format allows.
    #[error("{what} is {found}, more than {max}")]
    TooLarge {
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The format's bound.
        max: u64,
    },
    /// `0` has a value that means nothing.
    #[error("{0} has a value that means nothing")]
    Invalid(&'static str),
    /// The checksum behind them is not theirs.
    #[error("is not what was sent: its checksum is another")]
    Damaged,
    /// A version that this program does not know.
    #[error("{what} has version {found}, this program reads up to {max}")]
    Version {
        /// Which structure.
        what: &'static str,
        /// Its version.
        found: u8,
        /// The newest known.
        max: u8,
    },
}

/// Appends to a byte vector.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes were written.
    pub fn written(&self) -> usize {
        self.bytes.len()
    }

    /// One byte.
    pub fn u8(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// LEB128, 1 to 10 bytes.
    pub fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// LEB128 of 128 bits, 1 to 19 bytes.
    pub fn wide(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// A signed number as zigzag LEB128.
    pub fn signed(&mut self, number: i64) {
        self.varint(zigzag(number));
    }

    /// Bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes behind their length.
    pub fn block(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }
}

/// Takes from a byte slice, never past its end.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated(what))?;
        self.rest = rest;
        Ok(byte)
    }

    /// LEB128 of at most 10 bytes.
    pub fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed::Invalid(what));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Invalid(what))
    }

    /// LEB128 of at most 19 bytes.
    pub fn wide(&mut self, what: &'static str) -> Result<u128, Malformed> {
        let mut number = 0u128;
        for shift in (0..133).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u128::from(byte & 0x7f);
            if shift == 126 && bits > 3 {
                return Err(Malformed::Invalid(what));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Invalid(what))
    }

    /// A number of at most `max`.
    pub fn bounded(&mut self, what: &'static str, max: usize) -> Result<usize, Malformed> {
        let found = self.varint(what)?;
        if found > max as u64 {
            return Err(Malformed::TooLarge { what, found, max: max as u64 });
        }
        Ok(found as usize)
    }

    /// Zigzag LEB128.
    pub fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        Ok(unzigzag(self.varint(what)?))
    }

    /// Exactly `count` bytes.
    pub fn raw(&mut self, what: &'static str, count: usize) -> Result<&'a [u8], Malformed> {
        if self.rest.len() < count {
            return Err(Malformed::Truncated(what));
        }
        let (bytes, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(bytes)
    }

    /// Bytes behind their length, of at most `max`.
    pub fn block(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], Malformed> {
        let count = self.bounded(what, max)?;
        self.raw(what, count)
    }

    /// UTF-8 text behind its length, of at most `max` bytes.
    pub fn text(&mut self, what: &'static str, max: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.block(what, max)?).map_err(|_| Malformed::Invalid(what))
    }
}

/// Small magnitudes of either sign as small numbers.
pub const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// CRC-32 as in IEEE 802.3.
pub fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut rest = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                rest = if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 };
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, &byte| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)])
}

/// Bytes with their checksum behind them, lowest byte first.
pub fn with_sum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes
}

/// Bytes without the checksum behind them, which is theirs.
pub fn without_sum(bytes: &[u8]) -> Result<&[u8], Malformed> {
    match bytes.split_last_chunk() {
        Some((content, sum)) if *sum == crc32(content).to_le_bytes() => Ok(content),
        _ => Err(Malformed::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    proptest! {
        #[test]
        fn integers_come_back(unsigned: u64, signed: i64, wide: u128) {
            let mut writer = Writer::default();
            writer.varint(unsigned);
            writer.wide(wide);
            writer.signed(signed);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("a"), Ok(unsigned));
            prop_assert_eq!(reader.wide("w"), Ok(wide));
            prop_assert_eq!(reader.signed("b"), Ok(signed));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint("x").is_ok() {}
            let _ = reader.text("t", 10);
        }
    }

    #[test]
    fn an_integer_of_more_than_64_bits_is_refused() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]);
        assert_eq!(reader.varint("x"), Err(Malformed::Invalid("x")));
    }
}
