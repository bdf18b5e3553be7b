//! What a disk holds after a power cut: everything that was synced, and of the rest whatever it
//! pleased.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::vfs::Operation;

/// What a disk writes as a whole, in bytes.
const SECTOR: usize = 512;

/// Randomness that a seed repeats (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn flips(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// What became of writes that no sync had followed.
#[derive(Debug, Clone, Copy)]
pub enum Tail {
    /// All arrived.
    Whole,
    /// Those before a certain one arrived.
    Dropped,
    /// Any of them arrived, whatever their order.
    Reordered,
    /// Any sectors of any of them arrived, and of one of these only some bytes.
    Torn,
}

pub const TAILS: [Tail; 4] = [Tail::Whole, Tail::Dropped, Tail::Reordered, Tail::Torn];

/// Makes the files as a power cut behind `operations` leaves them.
pub fn cut(operations: &[Operation], tail: Tail, random: &mut Random, folder: &Path) {
    let mut files: BTreeMap<&str, (Vec<u8>, Vec<&Operation>)> = BTreeMap::new();
    for operation in operations {
        match operation {
            Operation::Write { file, .. } | Operation::Truncate { file, .. } => {
                files.entry(file).or_default().1.push(operation);
            }
            Operation::Sync { file } => {
                let (durable, pending) = files.entry(file).or_default();
                std::mem::take(pending).into_iter().for_each(|operation| apply(durable, operation));
            }
            Operation::Delete { file } => {
                files.remove(file.as_str());
            }
        }
    }
    for (name, (mut bytes, pending)) in files {
        let stays = random.below(pending.len() + 1);
        for (index, operation) in pending.into_iter().enumerate() {
            let arrives = match tail {
                Tail::Whole => true,
                Tail::Dropped => index < stays,
                Tail::Reordered | Tail::Torn => random.flips(),
            };
            match operation {
                Operation::Write { offset, bytes: written, .. } if matches!(tail, Tail::Torn) => {
                    tear(&mut bytes, *offset, written, random);
                }
                _ if arrives => apply(&mut bytes, operation),
                _ => {}
            }
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write { offset, bytes: written, .. } => put(bytes, *offset, written),
        Operation::Truncate { length, .. } => bytes.resize(*length, 0),
        Operation::Sync { .. } | Operation::Delete { .. } => {}
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

fn tear(bytes: &mut Vec<u8>, offset: usize, written: &[u8], random: &mut Random) {
    let mut at = 0;
    while at < written.len() {
        let next = written.len().min(((offset + at) / SECTOR + 1) * SECTOR - offset);
        match random.below(8) {
            0..=3 => put(bytes, offset + at, &written[at..next]),
            4 => put(bytes, offset + at, &written[at..at + random.below(next - at)]),
            _ => {}
        }
        at = next;
    }
}
