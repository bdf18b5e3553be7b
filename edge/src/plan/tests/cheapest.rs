//! No plan costs less: compared with every way to group a few values.

use std::time::Duration;

use proptest::prelude::*;
use riverwatts_shared::profile::{Area, Function};

use super::*;

/// Values on few addresses, so that many overlap or lie in another.
fn few_values() -> impl Strategy<Value = Vec<(u16, u16, Poll)>> {
    prop::collection::vec((0u16..24, prop_oneof![Just(1u16), Just(2), Just(4)], Just(Poll::Fast)), 1..7)
}

fn costs() -> impl Strategy<Value = Cost> {
    (1u64..60, 0u64..8).prop_map(|(request, register)| Cost {
        request: Duration::from_millis(request),
        register: Duration::from_millis(register),
    })
}

/// The request that reads a group of values, if the device allows it; said address by address.
fn request(area: &Area, values: &[(u16, u16)], group: &[(u16, u16)]) -> Option<Block> {
    let start = group.iter().map(|(at, _)| *at).min()?;
    let end = group.iter().map(|(at, width)| at + width).max()?;
    let block = Block { unit: area.unit, function: area.function, start, count: end - start };
    if area.alone {
        return group.iter().any(|&(at, width)| (at, at + width) == (start, end)).then_some(block);
    }
    let is_forbidden = |at: u16| area.forbidden.iter().any(|range| range.contains(&at));
    let is_used = |at: u16| values.iter().any(|(first, width)| (*first..first + width).contains(&at));
    let unused: Vec<bool> = (start..end).map(|at| !is_used(at)).collect();
    let gap = unused.split(|unused| !unused).map(<[bool]>::len).max().unwrap_or(0);
    let allowed = gap <= usize::from(area.gap_max) && !(start..end).any(is_forbidden);
    (block.count <= area.registers_max && allowed).then_some(block)
}

/// Every way to put values into groups.
fn groupings(values: &[(u16, u16)]) -> Vec<Vec<Vec<(u16, u16)>>> {
    let Some((&first, rest)) = values.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for groups in groupings(rest) {
        for index in 0..groups.len() {
            let mut joined = groups.clone();
            joined[index].push(first);
            all.push(joined);
        }
        let mut apart = groups;
        apart.push(vec![first]);
        all.push(apart);
    }
    all
}

/// Every plan that reads all values.
fn plans(area: &Area) -> impl Iterator<Item = Vec<Block>> {
    let values: Vec<(u16, u16)> = area.registers.iter().map(|register| (register.at, register.width())).collect();
    let all = groupings(&values);
    all.into_iter().filter_map(move |groups| groups.iter().map(|group| request(area, &values, group)).collect())
}

proptest! {
    #[test]
    fn no_other_plan_costs_less(
        values in few_values(),
        registers_max in 4u16..=30,
        gap_max in 0u16..=12,
        from in 0u16..24,
        width in 0u16..4,
        alone in prop::bool::weighted(0.2),
        bits in any::<bool>(),
        cost in costs(),
    ) {
        let forbidden = (from, from + width);
        let allowed: Vec<_> =
            values.into_iter().filter(|(at, width, _)| at + width <= forbidden.0 || *at > forbidden.1).collect();
        prop_assume!(!allowed.is_empty());
        let mut profile = area_of(&allowed, registers_max, gap_max, &[forbidden]).expect("these registers are right");
        profile.areas[0].alone = alone;
        profile.areas[0].function = if bits { Function::Coil } else { Function::Input };
        let layout = Layout::fixed(&profile);
        let area = &profile.areas[0];

        let planned = layout.blocks(None, &cost);
        let least = plans(area).map(|blocks| cost.sum(&blocks)).min();
        prop_assert_eq!(Some(cost.sum(&planned)), least, "{:?}", planned);

        let few = layout.blocks(None, &Cost::FEWEST);
        let fewest = plans(area).map(|blocks| blocks.len()).min();
        prop_assert_eq!(Some(few.len()), fewest, "{:?}", few);
    }
}

#[test]
fn a_slow_line_reads_over_few_registers_and_a_fast_one_over_many() {
    let registers = [(0, 2, Poll::Fast), (18, 2, Poll::Fast), (66, 2, Poll::Fast)];
    let profile = area_of(&registers, 125, 60, &[]).unwrap();
    let layout = Layout::fixed(&profile);
    let serial = |baud| {
        let line = Line { baud, parity: Parity::None, stop_bits: 1, quiet: Duration::ZERO };
        Cost::serial(&line)
    };
    for (baud, expected) in [
        (1_200, vec![(None, 0, 2), (None, 18, 2), (None, 66, 2)]),
        (9_600, vec![(None, 0, 20), (None, 66, 2)]),
        (115_200, vec![(None, 0, 68)]),
    ] {
        assert_eq!(spans(&layout.blocks(None, &serial(baud))), expected, "{baud}");
    }
}
