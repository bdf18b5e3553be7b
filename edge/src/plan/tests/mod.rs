//! Plans keep the device's limits and lose no register.

mod cheapest;
mod few;

use proptest::prelude::*;
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Area, Function, Parity, Poll, Profile, parse};

use super::wire::Line;
use super::{Block, Cadence, Cost, Layout};
use crate::decode::samples::profile;

/// A profile of one area with u16, u32 and u64 registers at these addresses.
fn area_of(
    registers: &[(u16, u16, Poll)],
    registers_max: u16,
    gap_max: u16,
    forbidden: &[(u16, u16)],
) -> Option<Profile> {
    let mut text = String::from(
        "format = 1\nmanufacturer = \"M\"\nmodel = \"M\"\ndevice = \"sensor\"\nconfidence = \"low\"\nsources = [\"s\"]\n",
    );
    text += &format!(
        "[[area]]\nname = \"a\"\nfunction = \"input\"\nregisters_max = {registers_max}\ngap_max = {gap_max}\n"
    );
    let ranges: Vec<_> = forbidden.iter().map(|(from, to)| format!("{{ from = {from}, to = {to} }}")).collect();
    text += &format!("forbidden = [{}]\nregisters = [\n", ranges.join(", "));
    for (index, (at, width, poll)) in registers.iter().enumerate() {
        let kind = ["u16", "u32", "u64"][usize::from(width.ilog2() as u8)];
        let poll = format!("{poll:?}").to_lowercase();
        text += &format!(
            "{{ name = \"r{index}\", at = {at}, type = \"{kind}\", metric = \"x_r{index}\", poll = \"{poll}\" }},\n"
        );
    }
    parse("p.toml", &(text + "]\n")).ok()
}

fn registers() -> impl Strategy<Value = Vec<(u16, u16, Poll)>> {
    let poll = prop_oneof![Just(Poll::Fast), Just(Poll::Slow), Just(Poll::Once), Just(Poll::Demand)];
    prop::collection::vec((0u16..300, prop_oneof![Just(1u16), Just(2), Just(4)], poll), 1..40)
}

fn of(poll: Poll) -> Cadence {
    match poll {
        Poll::Fast => Cadence::Fast,
        Poll::Slow => Cadence::Slow,
        Poll::Once => Cadence::Once,
        Poll::Demand => panic!("polling never reads it"),
    }
}

fn touches(block: &Block, (from, to): (u16, u16)) -> bool {
    u32::from(from) < block.end() && to >= block.start
}

proptest! {
    #[test]
    fn a_plan_covers_every_register_and_crosses_no_limit(
        registers in registers(),
        registers_max in 4u16..=125,
        gap_max in 0u16..=20,
        from in 0u16..300,
        width in 0u16..20,
    ) {
        let forbidden = (from, from + width);
        let allowed: Vec<_> = registers
            .into_iter()
            .filter(|(at, width, _)| at + width <= forbidden.0 || *at > forbidden.1)
            .collect();
        prop_assume!(!allowed.is_empty());
        let profile = area_of(&allowed, registers_max, gap_max, &[forbidden]).expect("these registers are right");
        let layout = Layout::fixed(&profile);
        for poll in [None, Some(Poll::Fast), Some(Poll::Slow), Some(Poll::Once)] {
            let blocks = layout.blocks(poll.map(of), &Cost::FEWEST);
            for block in &blocks {
                prop_assert!(block.count >= 1 && block.count <= registers_max);
                prop_assert!(!touches(block, forbidden), "{block:?} touches {forbidden:?}");
            }
            for (at, width, class) in &allowed {
                if poll.is_none_or(|poll| poll == *class) {
                    prop_assert!(blocks.iter().any(|block| block.covers(*at, *width)), "{at} is not covered");
                }
                let own = (*at, at + width - 1);
                let read = |(at, width, class): &(u16, u16, Poll)| Some(*class) == poll && *at <= own.1 && at + width > own.0;
                if *class == Poll::Demand && poll.is_some() && !allowed.iter().any(read) {
                    prop_assert!(!blocks.iter().any(|block| touches(block, own)), "{at} is only read when someone asks");
                }
            }
        }
    }

    #[test]
    fn halving_ends_with_single_values_and_loses_none(registers in registers(), gap_max in 0u16..=20) {
        let profile = area_of(&registers, 125, gap_max, &[]).expect("these registers are right");
        let layout = Layout::fixed(&profile);
        let mut waiting = layout.blocks(None, &Cost::FEWEST);
        let mut single = Vec::new();
        while let Some(block) = waiting.pop() {
            match layout.bisect(&block) {
                Some((low, high)) => {
                    prop_assert!(low.end() <= u32::from(high.start));
                    prop_assert!(low.count + high.count <= block.count);
                    prop_assert!(block.covers(low.start, low.count) && block.covers(high.start, high.count));
                    waiting.extend([low, high]);
                }
                None => single.push(block),
            }
        }
        for (at, width, _) in &registers {
            prop_assert!(single.iter().any(|block| block.covers(*at, *width)));
        }
    }
}

/// (unit, start, count) of every block.
fn spans(blocks: &[Block]) -> Vec<(Option<u8>, u16, u16)> {
    blocks.iter().map(|block| (block.unit, block.start, block.count)).collect()
}

#[test]
fn a_gap_is_read_over_only_as_far_as_allowed() {
    let registers = [(0, 1, Poll::Fast), (4, 1, Poll::Fast), (9, 2, Poll::Slow)];
    for (gap_max, expected) in [(0, vec![(0, 1), (4, 1), (9, 2)]), (3, vec![(0, 5), (9, 2)]), (4, vec![(0, 11)])] {
        let profile = area_of(&registers, 125, gap_max, &[]).unwrap();
        let blocks: Vec<_> = Layout::fixed(&profile)
            .blocks(None, &Cost::FEWEST)
            .iter()
            .map(|block| (block.start, block.count))
            .collect();
        assert_eq!(blocks, expected, "{gap_max}");
    }
}

#[test]
fn the_five_devices_need_few_requests() {
    let sdm = Layout::fixed(&profile("eastron-sdm630"));
    assert_eq!(spans(&sdm.blocks(None, &Cost::FEWEST)), [(None, 0, 80)]);
    let banner = Layout::fixed(&profile("banner-qm42vt2"));
    assert_eq!(spans(&banner.blocks(Cadence::Fast, &Cost::FEWEST)), [(None, 5201, 11)]);
    assert_eq!(spans(&banner.blocks(None, &Cost::FEWEST)), [(None, 5201, 21)]);
    let radar = Layout::fixed(&profile("ott-svr100"));
    assert_eq!(spans(&radar.blocks(Cadence::Fast, &Cost::FEWEST)), [(None, 2, 10)]);
    let victron = Layout::fixed(&profile("victron-gx"));
    assert_eq!(spans(&victron.blocks(Cadence::Fast, &Cost::FEWEST)), [(None, 256, 66), (Some(100), 840, 7)]);
    assert_eq!(spans(&victron.blocks(Cadence::Once, &Cost::FEWEST)), [(Some(100), 800, 6)]);
}

#[test]
fn a_sunspec_model_is_one_request_at_its_place() {
    let profile = profile("sunspec-inverter");
    for (id, length, start, count) in [(103, 50, 40_073, 39), (111, 60, 40_074, 48), (701, 153, 40_072, 121)] {
        let models = [Model { id: 1, start: 40_002, length: 66 }, Model { id, start: 40_070, length }];
        let layout = Layout::discovered(&profile, &models);
        assert!(!layout.is_empty());
        assert_eq!(spans(&layout.blocks(Cadence::Fast, &Cost::FEWEST)), [(None, start, count)], "{id}");
        assert_eq!(spans(&layout.blocks(Cadence::Once, &Cost::FEWEST)), [(None, 40_004, 64)]);
    }
    let meter = [Model { id: 1, start: 40_002, length: 66 }, Model { id: 203, start: 40_070, length: 105 }];
    assert!(Layout::discovered(&profile, &meter).is_empty());
}

#[test]
fn a_request_ends_with_its_model_and_alternatives_are_not_read() {
    let profile = profile("sunspec-inverter");
    let short = Layout::discovered(&profile, &[Model { id: 701, start: 40_070, length: 20 }]);
    assert!(
        short.blocks(None, &Cost::FEWEST).iter().all(|block| block.end() <= 40_092),
        "{:?}",
        short.blocks(None, &Cost::FEWEST)
    );
    let both = [Model { id: 701, start: 40_070, length: 153 }, Model { id: 103, start: 40_225, length: 50 }];
    assert_eq!(spans(&Layout::discovered(&profile, &both).blocks(Cadence::Fast, &Cost::FEWEST)), [(None, 40_228, 39)]);
}

#[test]
fn a_slow_value_brings_its_scale_factor_along() {
    let mut profile = profile("sunspec-inverter");
    let area: &mut Area = profile.areas.iter_mut().find(|area| area.models.contains(&103)).unwrap();
    area.registers.iter_mut().find(|register| register.name == "energy").unwrap().poll = Poll::Slow;
    let layout = Layout::discovered(&profile, &[Model { id: 103, start: 100, length: 50 }]);
    assert_eq!(spans(&layout.blocks(Cadence::Slow, &Cost::FEWEST)), [(None, 124, 3)]);
}

#[test]
fn a_request_on_the_wire_takes_silence_both_frames_and_silence() {
    let line = Line { baud: 9_600, parity: Parity::None, stop_bits: 1, quiet: std::time::Duration::ZERO };
    let block = Block { unit: None, function: Function::Input, start: 0, count: 80 };
    // 8 + 165 bytes and 7 characters of silence, 10 bits each.
    assert_eq!(line.cycle([&block]).as_millis(), (8 + 165 + 7) * 10 * 1_000 / 9_600);
    let even = Line { parity: Parity::Even, ..line };
    assert_eq!(even.cycle([&block]).as_millis(), (8 + 165 + 7) * 11 * 1_000 / 9_600);
    let quiet = Line { quiet: std::time::Duration::from_millis(100), ..line };
    assert_eq!(quiet.cycle([&block]), line.cycle([&block]) + quiet.quiet - line.silence());
    assert_eq!(line.cycle(&[block, block]), line.cycle([&block]) * 2);
    // 80 coils are 10 bytes.
    let coils = Block { function: Function::Coil, ..block };
    assert_eq!(line.cycle([&coils]).as_millis(), (8 + 15 + 7) * 10 * 1_000 / 9_600);
}
