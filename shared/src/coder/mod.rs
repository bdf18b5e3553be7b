//! Coders of integer columns. Each block names its coder, so that better ones can be added; the
//! encoder tries those below and takes the one that is smallest for the block.
//!
//! | number | coder | its first values and parameters |
//! |---|---|---|
//! | 0 | constant | the value |
//! | 1 | difference from the value before ([`Model::Last`]) | first value |
//! | 2 | difference from the last step ([`Model::Step`]) | first value, first step |
//! | 3 to 6 | distance from a level that follows ([`Model::Level`]) | first value |
//! | 7 | distance from a grid ([`Model::Grid`]) | first value, grid, first distance |
//! | 8 | what the last two steps do not foresee ([`Model::Steps`]) | first value, two weights |
//!
//! What a model did not foresee follows in Rice code ([`rice`]), one number for each further value.
//! A block begins with one byte: the coder, and in the low four bits the parameter of the Rice code;
//! 15 says that the parameter is a byte of its own. The layout of segments of version 1, which is
//! only read, had two bytes ([`decode_v1`]) and coders 0 to 2.

mod model;
mod rice;
#[cfg(test)]
mod tests;

use crate::bytes::{Malformed, Reader, Writer, unzigzag, zigzag};
use model::{Foresight, Model};

const CONSTANT: u8 = 0;
/// A parameter of the Rice code from here on is a byte of its own.
const K_APART: u32 = 15;

/// Appends `values` (at least one).
pub fn encode(values: &[i64], writer: &mut Writer) {
    let first = values[0];
    if values.iter().all(|&value| value == first) {
        writer.u8(CONSTANT << 4);
        writer.signed(first);
        return;
    }
    let mut best: Option<Candidate> = None;
    for model in model::candidates(values) {
        let candidate = Candidate::new(model, values);
        if best.as_ref().is_none_or(|best| candidate.bits < best.bits) {
            best = Some(candidate);
        }
    }
    best.expect("the difference from the value before suits every block").write(first, writer);
}

/// Takes `count` (at least one) values; the result has exactly that length.
pub fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, Malformed> {
    let head = reader.u8("coder")?;
    let (coder, k) = (head >> 4, u32::from(head & 0xF));
    if coder == CONSTANT {
        return Ok(vec![reader.signed("constant column")?; count]);
    }
    let k = if k == K_APART { u32::from(reader.u8("Rice parameter")?) } else { k };
    let first = reader.signed("first value")?;
    let model = Model::read(coder, reader)?;
    decode_with(model, first, k, reader, count)
}

/// The same of a segment of version 1.
pub fn decode_v1(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, Malformed> {
    let coder = reader.u8("coder")?;
    if coder == CONSTANT {
        return Ok(vec![reader.signed("constant column")?; count]);
    }
    if coder > model::STEP {
        return Err(Malformed::Invalid("coder"));
    }
    let first = reader.signed("first value")?;
    let model = Model::read(coder, reader)?;
    let k = u32::from(reader.u8("Rice parameter")?);
    decode_with(model, first, k, reader, count)
}

fn decode_with(model: Model, first: i64, k: u32, reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, Malformed> {
    let mut foresight = Foresight::new(model, first);
    let given = foresight.given();
    if count < given.len() {
        return Err(Malformed::Invalid("coder of a column with one row"));
    }
    // Each value takes a bit at least: what is not there takes no memory either.
    if count - given.len() > reader.rest().len().saturating_mul(8) {
        return Err(Malformed::Truncated("coded integers"));
    }
    let mut values = Vec::with_capacity(count);
    values.extend_from_slice(given.as_slice());
    rice::decode(reader, k, count - values.len(), |number| {
        let value = foresight.expected().wrapping_add(unzigzag(number));
        foresight.take(value);
        values.push(value);
    })?;
    Ok(values)
}

/// A block in one coder.
struct Candidate {
    model: Model,
    k: u32,
    /// What was not foreseen.
    numbers: Vec<u64>,
    /// Size without what all coders have.
    bits: u64,
}

impl Candidate {
    fn new(model: Model, values: &[i64]) -> Self {
        let mut foresight = Foresight::new(model, values[0]);
        let given = foresight.given().len();
        let number = |&value: &i64| {
            let number = zigzag(value.wrapping_sub(foresight.expected()));
            foresight.take(value);
            number
        };
        let numbers: Vec<u64> = values[given..].iter().map(number).collect();
        let (k, bits) = rice::best_parameter(&numbers);
        let mut parameters = Writer::default();
        model.write(&mut parameters);
        let apart = if k < K_APART { 0 } else { 8 };
        // Bits fill whole bytes.
        Candidate { model, k, numbers, bits: bits.next_multiple_of(8) + apart + 8 * parameters.written() as u64 }
    }

    fn write(&self, first: i64, writer: &mut Writer) {
        writer.u8(self.model.coder() << 4 | self.k.min(K_APART) as u8);
        if self.k >= K_APART {
            writer.u8(self.k as u8);
        }
        writer.signed(first);
        self.model.write(writer);
        rice::encode(&self.numbers, self.k, writer);
    }
}
