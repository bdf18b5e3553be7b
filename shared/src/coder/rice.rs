//! Rice code: a number is `number >> k` ones, a zero, and its low `k` bits; from [`ESCAPE`] ones
//! on, the 64 bits of the number follow instead. Bits fill bytes from the lowest.

use crate::bytes::{Malformed, Reader, Writer};

/// Quotients of this size and more are written out in full.
const ESCAPE: u32 = 24;
/// Largest parameter.
const K_MAX: u32 = 56;

/// The parameter that needs the fewest bits, and how many those are.
pub(super) fn best_parameter(numbers: &[u64]) -> (u32, u64) {
    let bits = |k: u32| numbers.iter().map(|&number| size(number, k)).sum::<u64>();
    let mean = numbers.iter().map(|&n| u128::from(n)).sum::<u128>() / (numbers.len().max(1) as u128);
    let mut k = (127 - (mean | 1).leading_zeros()).min(K_MAX);
    let mut least = bits(k);
    // A few far numbers lift the mean far above what suits the others, so it may be a long way down.
    for direction in [-1, 1] {
        while let Some(next) = k.checked_add_signed(direction).filter(|&next| next <= K_MAX) {
            let found = bits(next);
            if found >= least {
                break;
            }
            (k, least) = (next, found);
        }
    }
    (k, least)
}

fn size(number: u64, k: u32) -> u64 {
    let quotient = number >> k;
    if quotient < u64::from(ESCAPE) { quotient + 1 + u64::from(k) } else { u64::from(ESCAPE) + 64 }
}

/// Appends the numbers.
pub(super) fn encode(numbers: &[u64], k: u32, writer: &mut Writer) {
    let mut bits = BitWriter { writer, pending: 0, count: 0 };
    for &number in numbers {
        let quotient = number >> k;
        if quotient < u64::from(ESCAPE) {
            bits.put((1 << quotient) - 1, quotient as u32 + 1);
            bits.put(number & ((1 << k) - 1), k);
        } else {
            bits.put((1 << ESCAPE) - 1, ESCAPE);
            bits.put(number & 0xffff_ffff, 32);
            bits.put(number >> 32, 32);
        }
    }
    bits.finish();
}

/// Takes `count` numbers.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    k: u32,
    count: usize,
    mut take: impl FnMut(u64),
) -> Result<(), Malformed> {
    if k > K_MAX {
        return Err(Malformed::TooLarge { what: "Rice parameter", found: u64::from(k), max: u64::from(K_MAX) });
    }
    let mut bits = BitReader { reader, pending: 0, count: 0 };
    for _ in 0..count {
        let quotient = bits.ones(ESCAPE)?;
        take(if quotient == ESCAPE {
            bits.take(32)? | bits.take(32)? << 32
        } else {
            // A quotient below ESCAPE and k up to K_MAX can exceed 64 bits only in forged input.
            (u64::from(quotient) << k) | bits.take(k)?
        });
    }
    Ok(())
}

struct BitWriter<'a> {
    writer: &'a mut Writer,
    pending: u64,
    count: u32,
}

impl BitWriter<'_> {
    /// Appends the low `count` (at most 56) bits.
    fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.writer.u8(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    fn finish(self) {
        if self.count > 0 {
            self.writer.u8(self.pending as u8);
        }
    }
}

struct BitReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    pending: u64,
    count: u32,
}

impl BitReader<'_, '_> {
    fn take(&mut self, count: u32) -> Result<u64, Malformed> {
        while self.count < count {
            self.pending |= u64::from(self.reader.u8("Rice bits")?) << self.count;
            self.count += 8;
        }
        let bits = self.pending & ((1 << count) - 1);
        self.pending >>= count;
        self.count -= count;
        Ok(bits)
    }

    /// Counts ones up to the next zero, which is taken too, or up to `most`, when none is taken.
    fn ones(&mut self, most: u32) -> Result<u32, Malformed> {
        while self.count < most + 1 && self.pending.trailing_ones() >= self.count {
            self.pending |= u64::from(self.reader.u8("Rice bits")?) << self.count;
            self.count += 8;
        }
        let ones = self.pending.trailing_ones().min(most);
        let used = if ones == most { most } else { ones + 1 };
        self.pending >>= used;
        self.count -= used;
        Ok(ones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_numbers_do_not_spoil_the_parameter_of_the_others() {
        let mut numbers: Vec<u64> = (0..600).map(|i| i % 6).collect();
        assert_eq!(best_parameter(&numbers).0, 1);
        numbers[300] = 10_000_000;
        assert_eq!(best_parameter(&numbers).0, 1);
    }
}
