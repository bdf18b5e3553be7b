//! The requests of one cadence of one device, and which addresses the device refuses: a block that
//! fails is halved until the bad value stands alone; the rest goes on. Bad values are asked for again
//! now and then, one at a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Block, Function, Layout};

/// Failures of a block in a row, while others of its device are answered, after which it counts as
/// refused: some devices do not answer at all when asked for an address that they do not have.
pub const BLOCK_FAILURES_MAX: u8 = 3;
/// How often a register that the device refused is asked for again.
pub const ASK_AGAIN_EVERY: Duration = Duration::from_secs(600);

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
    excluded: Vec<Excluded>,
    rejoined: bool,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    block: Block,
    failures: u8,
    /// The block of the plan that it is, or is a part of.
    origin: u16,
}

#[derive(Debug, Clone, Copy)]
struct Excluded {
    block: Block,
    origin: u16,
    /// When it is asked for again.
    again: Instant,
}

impl Requests {
    /// Everything is still believed to be there.
    pub fn new(blocks: Vec<Block>) -> Self {
        let planned = |(block, origin)| Planned { block, failures: 0, origin };
        Requests { blocks: blocks.into_iter().zip(0..).map(planned).collect(), excluded: Vec::new(), rejoined: false }
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

    /// All requests.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().map(|planned| &planned.block)
    }

    /// Values that the device refuses.
    pub fn excluded(&self) -> impl Iterator<Item = &Block> {
        self.excluded.iter().map(|excluded| &excluded.block)
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
        let Planned { block, origin, .. } = self.blocks[index];
        match layout.bisect(&block) {
            Some((left, right)) => {
                self.blocks[index] = Planned { block: left, failures: 0, origin };
                self.blocks.insert(index + 1, Planned { block: right, failures: 0, origin });
                Split::Halved
            }
            None => {
                self.blocks.remove(index);
                self.excluded.push(Excluded { block, origin, again: Instant::now() + ASK_AGAIN_EVERY });
                Split::Excluded(block)
            }
        }
    }

    /// Joins neighbours again once bad values are found, so that they do not cost a request each.
    /// Only once: if the device then refuses, it wants small requests.
    pub fn rejoin(&mut self) {
        if !self.excluded.is_empty() && !self.rejoined {
            self.rejoined = true;
            self.join();
        }
    }

    /// Parts of one block that touch become one; two blocks of the plan stay two, as it has its reasons.
    fn join(&mut self) {
        self.blocks.dedup_by(|next, kept| {
            let touch = kept.origin == next.origin && kept.block.end() == u32::from(next.block.start);
            if touch {
                kept.block.count += next.block.count;
            }
            touch
        });
    }

    /// A bad value whose time has come to be asked for again; any at all when nothing else is left.
    pub fn to_ask_again(&self, now: Instant) -> Option<Block> {
        let first = self.excluded.iter().min_by_key(|excluded| excluded.again)?;
        (first.again <= now || self.blocks.is_empty()).then_some(first.block)
    }

    /// Still refused.
    pub fn put_off(&mut self, block: &Block) {
        if let Some(excluded) = self.excluded.iter_mut().find(|excluded| excluded.block == *block) {
            excluded.again = Instant::now() + ASK_AGAIN_EVERY;
        }
    }

    /// Answered after all.
    pub fn readmit(&mut self, block: &Block) {
        let Some(index) = self.excluded.iter().position(|excluded| excluded.block == *block) else { return };
        let Excluded { block, origin, .. } = self.excluded.swap_remove(index);
        let place = self.blocks.partition_point(|other| (other.origin, other.block.start) < (origin, block.start));
        self.blocks.insert(place, Planned { block, failures: 0, origin });
        self.join();
    }

    /// Blocks that lie in the span are read by another function from now on.
    pub fn switch(&mut self, from: impl Fn(&Block) -> bool, to: Function) {
        let blocks = self.blocks.iter_mut().map(|planned| &mut planned.block);
        for block in blocks.chain(self.excluded.iter_mut().map(|excluded| &mut excluded.block)) {
            if from(block) {
                block.function = to;
            }
        }
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

    fn excluded(requests: &Requests) -> Vec<Block> {
        requests.excluded().copied().collect()
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
        assert_eq!(excluded(&requests), [Block { unit: None, function: Function::Input, start: 6, count: 2 }]);
        let asked = learn(&mut requests, &layout, &[6], 125);
        assert_eq!(asked, requests.len(), "everything else is answered at once");
        assert!(requests.len() <= before + 2, "neighbours are joined again: {requests:?}");
    }

    #[test]
    fn a_device_with_a_smaller_limit_loses_nothing() {
        let (layout, mut requests) = meter();
        learn(&mut requests, &layout, &[], 10);
        assert!(excluded(&requests).is_empty());
        assert_eq!(learn(&mut requests, &layout, &[], 10), requests.len());
    }

    #[test]
    fn a_bad_value_and_a_smaller_limit_together_come_to_rest() {
        let (layout, mut requests) = meter();
        for _ in 0..3 {
            learn(&mut requests, &layout, &[6], 4);
        }
        assert_eq!(learn(&mut requests, &layout, &[6], 4), requests.len());
        assert_eq!(excluded(&requests).len(), 1);
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

    #[test]
    fn a_value_that_is_answered_again_stands_where_it_was() {
        let (layout, mut requests) = meter();
        let names = |requests: &Requests| requests.blocks().flat_map(|block| layout.names(block)).collect::<Vec<_>>();
        let before = names(&requests);
        let now = Instant::now();
        learn(&mut requests, &layout, &[6, 12], 125);
        assert_eq!(requests.to_ask_again(now), None, "not so soon");
        let bad = requests.to_ask_again(now + 2 * ASK_AGAIN_EVERY).expect("its time has come");
        requests.put_off(&bad);
        let other = requests.to_ask_again(Instant::now() + 2 * ASK_AGAIN_EVERY).expect("one after the other");
        assert_ne!(bad, other);
        requests.readmit(&bad);
        requests.readmit(&other);
        assert_eq!(names(&requests), before);
        assert!(excluded(&requests).is_empty());
    }

    #[test]
    fn two_blocks_that_touch_stay_two() {
        let block = |start, count| Block { unit: None, function: Function::Input, start, count };
        let (layout, _) = meter();
        let mut requests = Requests::new(vec![block(0, 6), block(6, 12), block(18, 6)]);
        learn(&mut requests, &layout, &[12], 125);
        assert_eq!(
            requests.blocks().map(|block| (block.start, block.count)).collect::<Vec<_>>(),
            [(0, 6), (6, 6), (14, 4), (18, 6)]
        );
    }

    #[test]
    fn where_nothing_is_left_any_value_is_asked_for_again_at_once() {
        let (layout, mut requests) = meter();
        learn(&mut requests, &layout, &[], 0);
        assert!(requests.is_empty());
        let first = requests.to_ask_again(Instant::now()).unwrap();
        requests.put_off(&first);
        assert_ne!(requests.to_ask_again(Instant::now()), Some(first), "and then the next");
    }
}
