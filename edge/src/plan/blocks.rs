//! Groups registers into requests within the device's limits, and halves a request that fails.

use riverwatts_shared::profile::{Area, Function, Poll};

use super::layout::{Layout, Placed};

/// The span of one Modbus request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// Function code.
    pub function: Function,
    /// PDU address of the first register.
    pub start: u16,
    /// How many registers.
    pub count: u16,
}

impl Block {
    /// The address behind the last register.
    pub const fn end(&self) -> u32 {
        self.start as u32 + self.count as u32
    }

    /// Whether all these registers are in the block.
    pub const fn covers(&self, at: u16, width: u16) -> bool {
        self.start <= at && at as u32 + width as u32 <= self.end()
    }
}

/// The addresses `[start, end)` of one value, or of values that overlap.
type Span = (u32, u32);

impl Layout {
    /// The requests that read the registers of a poll class (`None`: all), and those that they
    /// depend on. A value is never split; a request never crosses areas, limits or forbidden
    /// addresses. Within an area this is the least number of requests.
    pub fn blocks(&self, poll: impl Into<Option<Poll>>) -> Vec<Block> {
        let poll = poll.into();
        self.areas.iter().flat_map(|placed| area_blocks(placed, poll)).collect()
    }

    /// The two halves of a block that failed, cut between values and without unused registers at
    /// their rims; `None` when it holds one value only, which is then the bad one.
    pub fn bisect(&self, block: &Block) -> Option<(Block, Block)> {
        let spans = self.areas.iter().find_map(|placed| {
            let spans = spans_within(placed, block);
            (!spans.is_empty()).then_some(spans)
        })?;
        let spans = merged(spans);
        let middle = u32::from(block.start) + u32::from(block.count) / 2;
        let cut = spans.iter().filter(|(start, _)| *start < middle).count().clamp(1, spans.len());
        let cut = if cut == spans.len() { cut - 1 } else { cut };
        if cut == 0 {
            return None;
        }
        let half = |spans: &[Span]| {
            let (start, end) = (spans[0].0, spans[spans.len() - 1].1);
            Block { start: start as u16, count: (end - start) as u16, ..*block }
        };
        Some((half(&spans[..cut]), half(&spans[cut..])))
    }
}

fn area_blocks(placed: &Placed, poll: Option<Poll>) -> Vec<Block> {
    let area = &placed.area;
    let mut blocks: Vec<Span> = Vec::new();
    for index in placed.wanted(poll) {
        let register = &area.registers[index];
        let (start, end) = (u32::from(register.at), u32::from(register.at) + u32::from(register.width()));
        match blocks.last_mut() {
            Some(last) if joins(area, *last, (start, end)) => last.1 = last.1.max(end),
            _ => blocks.push((start, end)),
        }
    }
    let block = |(start, end): Span| Block {
        unit: area.unit,
        function: area.function,
        start: start as u16,
        count: (end - start) as u16,
    };
    blocks.into_iter().map(block).collect()
}

/// Whether a request may be widened to take in a further value.
fn joins(area: &Area, block: Span, value: Span) -> bool {
    let (start, end) = (block.0, block.1.max(value.1));
    let forbidden =
        |range: &std::ops::RangeInclusive<u16>| u32::from(*range.start()) < end && u32::from(*range.end()) >= start;
    let near = match area.alone {
        true => value.1 <= block.1, // two readings of one value
        false => value.0.saturating_sub(block.1) <= u32::from(area.gap_max),
    };
    near && end - start <= u32::from(area.registers_max) && !area.forbidden.iter().any(forbidden)
}

/// The values of an area that lie in a block of its own unit and function.
fn spans_within(placed: &Placed, block: &Block) -> Vec<Span> {
    if placed.area.unit != block.unit || placed.area.function != block.function {
        return Vec::new();
    }
    let within = placed.wanted(None).into_iter().map(|index| &placed.area.registers[index]);
    let within = within.filter(|register| block.covers(register.at, register.width()));
    within.map(|register| (u32::from(register.at), u32::from(register.at) + u32::from(register.width()))).collect()
}

/// Values that overlap become one span.
fn merged(spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 < last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}
