//! The requests of one poll class of one device, and which addresses the device refuses: a block
//! that fails is halved until the bad value stands alone; the rest goes on.

use crate::plan::{Block, Layout};

/// Failures of a block in a row, while others of its device are answered, after which it counts as
/// refused: some devices do not answer at all when asked for an address that they do not have.
pub const BLOCK_FAILURES_MAX: u8 = 3;

/// What became of a refused block.
#[derive(Debug, PartialEq, Eq)]
pub enum Split {
    /// Two halves stand in its place.
    Halved,
    /// It held one value, which is asked for no more.
    Excluded(Block),
}

/// Blocks to read, and blocks given up.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    blocks: Vec<Planned>,
    excluded: Vec<Block>,
    rejoined: bool,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    block: Block,
    failures: u8,
}

impl Requests {
    /// Everything is still believed to be there.
    pub fn new(blocks: Vec<Block>) -> Self {
        let blocks = blocks.into_iter().map(|block| Planned { block, failures: 0 }).collect();
        Requests { blocks, excluded: Vec::new(), rejoined: false }
    }

    /// How many requests a poll takes.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The request at `index`.
    pub fn block(&self, index: usize) -> Block {
        self.blocks[index].block
    }

    /// Values that the device refuses.
    pub fn excluded(&self) -> &[Block] {
        &self.excluded
    }

    /// The block at `index` was answered.
    pub fn answered(&mut self, index: usize) {
        self.blocks[index].failures = 0;
    }

    /// The block at `index` brought nothing although the device answers. True when that happened
    /// so often that the block counts as [`refused`](Self::refused).
    pub fn failed(&mut self, index: usize) -> bool {
        let planned = &mut self.blocks[index];
        planned.failures = planned.failures.saturating_add(1);
        planned.failures >= BLOCK_FAILURES_MAX
    }

    /// The device refuses the block at `index`.
    pub fn refused(&mut self, layout: &Layout, index: usize) -> Split {
        let block = self.blocks[index].block;
        match layout.bisect(&block) {
            Some((left, right)) => {
                self.blocks[index].block = left;
                self.blocks[index].failures = 0;
                self.blocks.insert(index + 1, Planned { block: right, failures: 0 });
                Split::Halved
            }
            None => {
                self.blocks.remove(index);
                self.excluded.push(block);
                Split::Excluded(block)
            }
        }
    }

    /// Joins neighbours again once bad values are found, so that they do not cost a request each.
    /// Only once: if the device then refuses, it wants small requests.
    pub fn rejoin(&mut self) {
        if self.excluded.is_empty() || self.rejoined {
            return;
        }
        self.rejoined = true;
        self.blocks.dedup_by(|next, kept| {
            let adjacent = (kept.block.unit, kept.block.function) == (next.block.unit, next.block.function)
                && kept.block.end() == u32::from(next.block.start);
            if adjacent {
                kept.block.count += next.block.count;
            }
            adjacent
        });
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::profile::{self, Function};

    use super::*;
    use crate::plan::{Cadence, Cost};

    /// A device that refuses every request over `bad`, or of more than `limit` registers.
    fn learn(requests: &mut Requests, layout: &Layout, bad: &[u16], limit: u16) -> usize {
        let refuses = |block: &Block| block.count > limit || bad.iter().any(|&at| block.covers(at, 1));
        let (mut index, mut asked) = (0, 0);
        while index < requests.len() {
            asked += 1;
            assert!(asked < 1_000, "does not end");
            if refuses(&requests.block(index)) {
                requests.refused(layout, index);
            } else {
                index += 1;
            }
        }
        requests.rejoin();
        asked
    }

    fn meter() -> (Layout, Requests) {
        let text = profile::builtin("eastron-sdm630").unwrap();
        let layout = Layout::fixed(&profile::parse("eastron-sdm630.toml", text).unwrap());
        let requests = Requests::new(layout.blocks(Cadence::Fast, &Cost::FEWEST));
        (layout, requests)
    }

    #[test]
    fn one_bad_value_costs_itself_alone() {
        let (layout, mut requests) = meter();
        let before = requests.len();
        learn(&mut requests, &layout, &[6], 125);
        assert_eq!(requests.excluded(), [Block { unit: None, function: Function::Input, start: 6, count: 2 }]);
        let asked = learn(&mut requests, &layout, &[6], 125);
        assert_eq!(asked, requests.len(), "everything else is answered at once");
        assert!(requests.len() <= before + 2, "neighbours are joined again: {requests:?}");
    }

    #[test]
    fn a_device_with_a_smaller_limit_loses_nothing() {
        let (layout, mut requests) = meter();
        learn(&mut requests, &layout, &[], 10);
        assert!(requests.excluded().is_empty());
        assert_eq!(learn(&mut requests, &layout, &[], 10), requests.len());
    }

    #[test]
    fn a_bad_value_and_a_smaller_limit_together_come_to_rest() {
        let (layout, mut requests) = meter();
        for _ in 0..3 {
            learn(&mut requests, &layout, &[6], 4);
        }
        assert_eq!(learn(&mut requests, &layout, &[6], 4), requests.len());
        assert_eq!(requests.excluded().len(), 1);
    }

    #[test]
    fn a_block_that_stays_silent_among_answers_is_split_in_the_end() {
        let (_, mut requests) = meter();
        assert!(!requests.failed(0));
        assert!(!requests.failed(0));
        requests.answered(0);
        assert!(!requests.failed(0));
        assert!(!requests.failed(0));
        assert!(requests.failed(0));
    }
}
