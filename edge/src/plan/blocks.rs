//! Groups registers into requests within the device's limits, and halves a request that fails.

use std::time::Duration;

use riverwatts_shared::profile::{Area, Function, Register};

use super::layout::{Layout, Placed};
use super::{Cadence, Cost};

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
    /// The requests that read the registers of a cadence, and those that they depend on. `None`: all
    /// of the device, also those that polling never touches. A value is never split; a request never
    /// crosses areas, limits or forbidden addresses. Within an area no other requests cost less.
    pub fn blocks(&self, cadence: impl Into<Option<Cadence>>, cost: &Cost) -> Vec<Block> {
        let cadence = cadence.into();
        self.areas.iter().flat_map(|placed| area_blocks(placed, cadence, cost)).collect()
    }

    /// How many registers of a block are read over for a cadence: no value of it is in them.
    pub fn unused(&self, block: &Block, cadence: Cadence) -> u32 {
        let own = |placed: &&Placed| (placed.area.unit, placed.area.function) == (block.unit, block.function);
        let values = self.areas.iter().filter(own).flat_map(|placed| {
            placed.wanted(Some(cadence)).into_iter().map(|index| span(&placed.area.registers[index]))
        });
        let values: Vec<Span> = values.collect();
        let is_used = |at: u32| values.iter().any(|&(start, end)| start <= at && at < end);
        (u32::from(block.start)..block.end()).filter(|&at| !is_used(at)).count() as u32
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

fn area_blocks(placed: &Placed, cadence: Option<Cadence>, cost: &Cost) -> Vec<Block> {
    let area = &placed.area;
    let values = outermost(placed.wanted(cadence).into_iter().map(|index| span(&area.registers[index])));
    let shut = shut(placed, cadence, &values);
    // Values are sorted and none lies in another, so there is a cheapest plan whose requests each
    // read a run of them: the cheapest for the first `n` ends in one that begins at some `first`.
    let mut plans = vec![Plan::default()];
    for last in 0..values.len() {
        let runs = (0..=last).rev().take_while(|&first| first == last || fits(area, &shut, &values[first..=last]));
        let plan = runs.map(|first| {
            let count = values[last].1 - values[first].0;
            let before: Plan = plans[first];
            Plan {
                cost: before.cost + cost.request + cost.registers(area.function, count),
                requests: before.requests + 1,
                registers: before.registers + count,
                first,
            }
        });
        plans.push(plan.min().expect("a value alone is a run"));
    }
    let mut blocks = Vec::new();
    let mut end = values.len();
    while end > 0 {
        let first = plans[end].first;
        let (start, behind) = (values[first].0, values[end - 1].1);
        let count = (behind - start) as u16;
        blocks.push(Block { unit: area.unit, function: area.function, start: start as u16, count });
        end = first;
    }
    blocks.reverse();
    blocks
}

/// The cheapest requests for the first values of an area; of equal cost the fewer, then the smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Plan {
    cost: Duration,
    requests: u32,
    registers: u32,
    /// The value with which the last request begins.
    first: usize,
}

/// The values that lie in no other, in order.
fn outermost(values: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut values: Vec<Span> = values.collect();
    values.sort_unstable_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
    let mut reached = 0;
    values.retain(|&(_, end)| {
        let outside = end > reached;
        reached = reached.max(end);
        outside
    });
    values
}

/// What no request may read over: forbidden addresses, and what is only read when someone asks.
fn shut(placed: &Placed, cadence: Option<Cadence>, values: &[Span]) -> Vec<Span> {
    let area = &placed.area;
    let forbidden = area.forbidden.iter().map(|range| (u32::from(*range.start()), u32::from(*range.end()) + 1));
    let asked_for =
        area.registers.iter().enumerate().filter(|(index, register)| {
            cadence.is_some() && Cadence::of(register).is_none() && placed.is_present(*index)
        });
    let asked_for = asked_for.map(|(_, register)| span(register));
    forbidden.chain(asked_for.filter(|&asked_for| !values.iter().any(|&value| meet(value, asked_for)))).collect()
}

/// Whether one request may read these values.
fn fits(area: &Area, shut: &[Span], values: &[Span]) -> bool {
    let (start, end) = (values[0].0, values[values.len() - 1].1);
    let near = |pair: &[Span]| pair[1].0.saturating_sub(pair[0].1) <= u32::from(area.gap_max);
    !area.alone
        && end - start <= u32::from(area.registers_max)
        && values.windows(2).all(near)
        && !shut.iter().any(|&shut| meet(shut, (start, end)))
}

/// Whether two spans have an address in common.
const fn meet(one: Span, other: Span) -> bool {
    one.0 < other.1 && other.0 < one.1
}

fn span(register: &Register) -> Span {
    (u32::from(register.at), u32::from(register.at) + u32::from(register.width()))
}

/// The values of an area that lie in a block of its own unit and function.
fn spans_within(placed: &Placed, block: &Block) -> Vec<Span> {
    if placed.area.unit != block.unit || placed.area.function != block.function {
        return Vec::new();
    }
    let within = placed.wanted(None).into_iter().map(|index| &placed.area.registers[index]);
    let within = within.filter(|register| block.covers(register.at, register.width()));
    within.map(span).collect()
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
