//! The file in which readings are carried out of a site that has no link: batches, one after the
//! other, each behind a checksum, and an end that tells a whole file from one that was cut short.
//! Its byte layout stands in `docs/batch-format.md`.

use uuid::Uuid;

use crate::batch;
use crate::bytes::{Malformed, crc32};

/// Media type of such a file.
pub const MEDIA_TYPE: &str = "application/vnd.riverwatts.carry";
/// How such files end.
pub const EXTENSION: &str = "riverwatts";

const MAGIC: &[u8; 3] = b"RWX";
const VERSION: u8 = 1;
/// Magic, version, gateway.
const HEAD_BYTES: usize = 20;
/// Length and checksum around a batch.
const SUM_BYTES: usize = 4;

/// The beginning of a file of this gateway; of one that was never enrolled, of nobody.
pub fn head(gateway_id: Option<Uuid>) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.push(VERSION);
    head.extend_from_slice(gateway_id.unwrap_or_default().as_bytes());
    head
}

/// An encoded batch as it stands in the file.
pub fn frame(batch: &[u8]) -> Vec<u8> {
    let mut frame = (batch.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(batch);
    frame.extend_from_slice(&crc32(batch).to_le_bytes());
    frame
}

/// The end of a file of so many batches.
pub fn end(batches: u32) -> Vec<u8> {
    [0u32.to_le_bytes(), batches.to_le_bytes()].concat()
}

/// What stands next in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Its head: the gateway, unless it was never enrolled.
    Head(Option<Uuid>),
    /// An encoded batch.
    Batch(Vec<u8>),
    /// Its end.
    End,
}

/// Reads a file that comes in pieces. Holds one batch at most.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    state: State,
    batches: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Batches,
    Ended,
}

impl Reader {
    /// The gateway that a file is of, by its beginning.
    ///
    /// # Errors
    /// It is no such file.
    pub fn of(beginning: &[u8]) -> Result<Option<Uuid>, Malformed> {
        let mut reader = Reader::default();
        reader.feed(&beginning[..beginning.len().min(HEAD_BYTES)]);
        match reader.read()? {
            Some(Part::Head(gateway_id)) => Ok(gateway_id),
            _ => Err(Malformed::Truncated("its head")),
        }
    }

    /// The next piece of the file. Before each, [`read`](Self::read) has to be called until it gives nothing.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next part that is whole; `None` until more was fed.
    ///
    /// # Errors
    /// What follows cannot be read; what came before stands.
    pub fn read(&mut self) -> Result<Option<Part>, Malformed> {
        match self.state {
            State::Head => self.read_head(),
            State::Batches => self.read_batch(),
            State::Ended if self.bytes.is_empty() => Ok(None),
            State::Ended => Err(Malformed::Invalid("what stands behind the end of the file")),
        }
    }

    /// Whether the file may end here.
    ///
    /// # Errors
    /// It was cut short: what was read stands, the rest is missing.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.state {
            State::Ended => Ok(()),
            State::Head => Err(Malformed::Truncated("its head")),
            State::Batches => Err(Malformed::Truncated("its batches")),
        }
    }

    fn read_head(&mut self) -> Result<Option<Part>, Malformed> {
        let known = self.bytes.len().min(MAGIC.len());
        if self.bytes[..known] != MAGIC[..known] {
            return Err(Malformed::Invalid("the beginning of the file"));
        }
        let Some((head, _)) = self.bytes.split_at_checked(HEAD_BYTES) else { return Ok(None) };
        let version = head[MAGIC.len()];
        if version != VERSION {
            return Err(Malformed::Version { what: "the file", found: version, max: VERSION });
        }
        let gateway_id = Uuid::from_slice(&head[MAGIC.len() + 1..]).map_err(|_| Malformed::Invalid("the gateway"))?;
        self.bytes.drain(..HEAD_BYTES);
        self.state = State::Batches;
        Ok(Some(Part::Head(Some(gateway_id).filter(|id| !id.is_nil()))))
    }

    fn read_batch(&mut self) -> Result<Option<Part>, Malformed> {
        let Some((length, rest)) = self.bytes.split_first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > batch::BYTES_MAX {
            return Err(Malformed::TooLarge { what: "a batch", found: length as u64, max: batch::BYTES_MAX as u64 });
        }
        let Some(behind) = rest.get(length..length + SUM_BYTES) else { return Ok(None) };
        if length == 0 {
            if *behind != self.batches.to_le_bytes() {
                return Err(Malformed::Invalid("the number of batches at the end of the file"));
            }
            self.bytes.drain(..2 * SUM_BYTES);
            self.state = State::Ended;
            return Ok(Some(Part::End));
        }
        if *behind != crc32(&rest[..length]).to_le_bytes() {
            return Err(Malformed::Invalid("the checksum of a batch"));
        }
        let batch = rest[..length].to_vec();
        self.bytes.drain(..length + 2 * SUM_BYTES);
        self.batches += 1;
        Ok(Some(Part::Batch(batch)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(gateway: Option<Uuid>, batches: &[Vec<u8>]) -> Vec<u8> {
        let frames = batches.iter().flat_map(|batch| frame(batch));
        head(gateway).into_iter().chain(frames).chain(end(batches.len() as u32)).collect()
    }

    /// Everything that can be read of a file that comes in pieces of `step` bytes, and how it ended.
    fn read(bytes: &[u8], step: usize) -> (Vec<Part>, Result<(), Malformed>) {
        let mut reader = Reader::default();
        let mut parts = Vec::new();
        for piece in bytes.chunks(step.max(1)) {
            reader.feed(piece);
            loop {
                match reader.read() {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => break,
                    Err(error) => return (parts, Err(error)),
                }
            }
        }
        (parts, reader.finish())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_in_pieces_of_any_size(
            gateway in prop::option::of((1u128..).prop_map(Uuid::from_u128)),
            batches in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..6),
            step in 1usize..300,
        ) {
            let (parts, ended) = read(&file(gateway, &batches), step);
            let expected = [vec![Part::Head(gateway)], batches.into_iter().map(Part::Batch).collect(), vec![Part::End]];
            prop_assert_eq!((parts, ended), (expected.concat(), Ok(())));
        }

        #[test]
        fn a_file_that_was_cut_gives_its_whole_batches_and_says_so(
            batches in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..6),
            cut: prop::sample::Index,
        ) {
            let whole = file(None, &batches);
            let (parts, ended) = read(&whole[..cut.index(whole.len())], 7);
            prop_assert!(matches!(ended, Err(Malformed::Truncated(_))));
            let read: Vec<Vec<u8>> = parts.into_iter().filter_map(|part| match part {
                Part::Batch(batch) => Some(batch),
                _ => None,
            }).collect();
            prop_assert!(batches.starts_with(&read));
        }

        #[test]
        fn a_changed_byte_never_changes_a_batch(
            batches in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..6),
            at: prop::sample::Index,
            change in 1u8..,
        ) {
            let mut bytes = file(None, &batches);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            let (parts, _) = read(&bytes, 16);
            for part in parts {
                if let Part::Batch(batch) = part {
                    prop_assert!(batches.contains(&batch));
                }
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused_at_once() {
        assert_eq!(read(b"PK\x03\x04", 4).1, Err(Malformed::Invalid("the beginning of the file")));
        let newer = [b"RWX\x02".as_slice(), &[0; 16]].concat();
        assert_eq!(read(&newer, 64).1, Err(Malformed::Version { what: "the file", found: 2, max: 1 }));
        let endless = [head(None), u32::MAX.to_le_bytes().to_vec()].concat();
        assert!(matches!(read(&endless, 64).1, Err(Malformed::TooLarge { .. })));
        let more = [file(None, &[]), vec![0]].concat();
        assert_eq!(read(&more, 64).1, Err(Malformed::Invalid("what stands behind the end of the file")));
    }
}
