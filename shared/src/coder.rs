//! Coders of integer columns. Each block names its coder, so that better ones can be added;
//! the encoder takes the one that is smallest for the block.
//!
//! | number | coder | layout after the number |
//! |---|---|---|
//! | 0 | constant | the first value |
//! | 1 | Rice of first differences | first value, k, bits |
//! | 2 | Rice of second differences | first value, first difference, k, bits |
//!
//! Numbers are zigzag LEB128. In Rice code a number is `number >> k` ones, a zero, and the low
//! `k` bits; from [`ESCAPE`] ones on, the 64 bits of the number follow instead. Bits fill bytes from the lowest.

use crate::bytes::{Malformed, Reader, Writer, unzigzag, zigzag};

const CONSTANT: u8 = 0;
const RICE_DELTA: u8 = 1;
const RICE_DELTA_DELTA: u8 = 2;

/// Quotients of this size and more are written out in full.
const ESCAPE: u32 = 24;
/// Largest parameter of the Rice code.
const K_MAX: u32 = 56;

/// Appends `values` (at least one).
pub fn encode(values: &[i64], writer: &mut Writer) {
    let first = values[0];
    if values.iter().all(|&value| value == first) {
        writer.u8(CONSTANT);
        writer.signed(first);
        return;
    }
    let deltas: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let once: Vec<u64> = deltas.iter().map(|&delta| zigzag(delta)).collect();
    let twice: Vec<u64> = deltas.windows(2).map(|pair| zigzag(pair[1].wrapping_sub(pair[0]))).collect();
    let (k_once, bits_once) = best_parameter(&once);
    let (k_twice, bits_twice) = best_parameter(&twice);
    let first_delta_bits = 8 * (70 - u64::from(zigzag(deltas[0]).leading_zeros())).div_ceil(7);
    if bits_twice + first_delta_bits < bits_once {
        writer.u8(RICE_DELTA_DELTA);
        writer.signed(first);
        writer.signed(deltas[0]);
        rice_encode(&twice, k_twice, writer);
    } else {
        writer.u8(RICE_DELTA);
        writer.signed(first);
        rice_encode(&once, k_once, writer);
    }
}

/// Takes `count` (at least one) values; the result has exactly that length.
pub fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, Malformed> {
    match reader.u8("coder")? {
        CONSTANT => Ok(vec![reader.signed("constant column")?; count]),
        RICE_DELTA => {
            let mut value = reader.signed("first value")?;
            let mut values = Vec::with_capacity(count);
            values.push(value);
            rice_decode(reader, count - 1, |delta| {
                value = value.wrapping_add(delta);
                values.push(value);
            })?;
            Ok(values)
        }
        RICE_DELTA_DELTA => {
            if count < 2 {
                return Err(Malformed::Invalid("coder of a column with one row"));
            }
            let mut value = reader.signed("first value")?;
            let mut delta = reader.signed("first difference")?;
            let mut values = Vec::with_capacity(count);
            values.push(value);
            value = value.wrapping_add(delta);
            values.push(value);
            rice_decode(reader, count - 2, |change| {
                delta = delta.wrapping_add(change);
                value = value.wrapping_add(delta);
                values.push(value);
            })?;
            Ok(values)
        }
        _ => Err(Malformed::Invalid("coder")),
    }
}

/// The parameter that needs the fewest bits, and how many those are.
fn best_parameter(numbers: &[u64]) -> (u32, u64) {
    let bits = |k: u32| numbers.iter().map(|&number| rice_bits(number, k)).sum::<u64>();
    let mean = numbers.iter().map(|&n| u128::from(n)).sum::<u128>() / (numbers.len().max(1) as u128);
    let guess = (127 - (mean | 1).leading_zeros()).min(K_MAX);
    (guess.saturating_sub(2)..=(guess + 2).min(K_MAX))
        .map(|k| (k, bits(k)))
        .min_by_key(|&(_, bits)| bits)
        .expect("the range holds the guess")
}

fn rice_bits(number: u64, k: u32) -> u64 {
    let quotient = number >> k;
    if quotient < u64::from(ESCAPE) { quotient + 1 + u64::from(k) } else { u64::from(ESCAPE) + 64 }
}

fn rice_encode(numbers: &[u64], k: u32, writer: &mut Writer) {
    writer.u8(k as u8);
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

fn rice_decode(reader: &mut Reader<'_>, count: usize, mut take: impl FnMut(i64)) -> Result<(), Malformed> {
    let k = u32::from(reader.u8("Rice parameter")?);
    if k > K_MAX {
        return Err(Malformed::TooLarge { what: "Rice parameter", found: u64::from(k), max: u64::from(K_MAX) });
    }
    let mut bits = BitReader { reader, pending: 0, count: 0 };
    for _ in 0..count {
        let quotient = bits.ones(ESCAPE)?;
        let number = if quotient == ESCAPE {
            bits.take(32)? | bits.take(32)? << 32
        } else {
            // A quotient below ESCAPE and k up to K_MAX can exceed 64 bits only in forged input.
            (u64::from(quotient) << k) | bits.take(k)?
        };
        take(unzigzag(number));
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
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[i64]) -> usize {
        let mut writer = Writer::default();
        encode(values, &mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(decode(&mut reader, values.len()).as_deref(), Ok(values));
        assert!(reader.is_empty(), "{values:?}");
        bytes.len()
    }

    #[test]
    fn values_come_back() {
        for values in [
            &[0][..],
            &[7, 7, 7, 7],
            &[i64::MIN, i64::MAX, 0, -1, i64::MIN],
            &[1, 2, 3, 4, 5, 6, 1_000_000, 7],
            &[0, 1 << 62, -(1 << 62), 3],
            &[5, 4],
            &[0, 23, 0, 24, 0, 25],
        ] {
            check(values);
        }
    }

    #[test]
    fn regular_times_cost_almost_nothing() {
        let times: Vec<i64> = (0..600).map(|i| 1_795_508_130_250 + i * 1_000).collect();
        assert!(check(&times) < 90, "{}", check(&times));
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in prop::collection::vec(any::<i64>(), 1..200)) {
            check(&values);
        }

        #[test]
        fn small_steps_come_back(start: i32, steps in prop::collection::vec(-300i64..300, 1..200)) {
            let values: Vec<i64> = steps.iter().scan(i64::from(start), |sum, step| { *sum += step; Some(*sum) }).collect();
            check(&values);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 1usize..1000) {
            if let Ok(values) = decode(&mut Reader::new(&bytes), count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
