//! What the registers say that others look at: selectors, signs, scale factors, alarms.

use riverwatts_shared::profile::{AlarmBit, AlarmWhen, Area, Feeds, Register, Test};

use super::number::{self, Setting, Target};
use super::values::Values;
use super::words;

/// Scale factors are sought between these powers of ten, finest first.
const POWERS: std::ops::RangeInclusive<i16> = -3..=10;

/// How the registers of an area stand towards each other.
#[derive(Debug)]
pub(super) struct States {
    /// By register: the raw number, where others decide it.
    pub(super) raw: Vec<Option<i128>>,
    /// By register: whether its condition cannot be met together with those of earlier ones.
    pub(super) excluded: Vec<bool>,
}

impl States {
    /// What selectors, signs and alarms say, so that as many targets as possible are shown; what was
    /// given comes first.
    pub(super) fn of(area: &Area, targets: &[Option<Target>], values: &Values) -> States {
        let count = area.registers.len();
        let mut states = States { raw: vec![None; count], excluded: vec![false; count] };
        for (index, register) in area.registers.iter().enumerate() {
            if let Feeds::Alarms(alarms) = &register.feeds {
                states.raw[index] = Some(alarm_raw(alarms, values));
            }
        }
        let is_given = |index: &usize| targets[*index].is_some_and(|target| target.given);
        let (given, resting): (Vec<usize>, Vec<usize>) = (0..count).partition(is_given);
        for index in given.into_iter().chain(resting) {
            let Some(condition) = &area.registers[index].valid_when else { continue };
            if targets[condition.register].is_some() {
                continue; // a measured value decides itself whether others are valid
            }
            let raw = *states.raw[condition.register].get_or_insert_with(|| passing(&condition.test));
            states.excluded[index] = !condition.test.passes(raw);
        }
        for (index, register) in area.registers.iter().enumerate() {
            let (Some(sign), Some(target)) = (&register.sign_from, &targets[index]) else { continue };
            if states.raw[sign.register].is_none() || target.given {
                let minus = number::raw(register, target, Setting::default()) < 0;
                let raw = if minus { sign.negative[0].into() } else { passing(&Test::Not(sign.negative.clone())) };
                states.raw[sign.register] = Some(raw);
            }
        }
        states
    }

    /// How a register stands, with the powers of [`powers`].
    pub(super) fn setting(&self, register: &Register, powers: &[i16]) -> Setting {
        let negative = register.sign_from.as_ref().is_some_and(|sign| {
            let raw = self.raw[sign.register].unwrap_or(0);
            sign.negative.iter().any(|&negative| i128::from(negative) == raw)
        });
        Setting { power: register.scale_from.map_or(0, |factor| powers[factor]), negative }
    }
}

/// By register: the power of ten that it holds as a scale factor, the finest with which the extreme
/// targets fit. Devices do not change theirs, so neither does a virtual one.
pub(super) fn powers(area: &Area, extremes: &[Vec<Option<Target>>; 2]) -> Vec<i16> {
    let power = |factor: usize| {
        let scaled = || area.registers.iter().enumerate().filter(|(_, register)| register.scale_from == Some(factor));
        let fits = |power: i16| {
            scaled().all(|(index, register)| {
                let (least, most) = words::limits(register.kind);
                let targets = extremes.iter().filter_map(|targets| targets[index]);
                let setting = Setting { power, negative: false };
                targets.map(|target| number::raw(register, &target, setting)).all(|raw| {
                    let size = if register.sign_from.is_some() { raw.abs() } else { raw };
                    (least..=most).contains(&size) && !is_sentinel(register, size)
                })
            })
        };
        POWERS.into_iter().find(|&power| fits(power)).unwrap_or(*POWERS.end())
    };
    let is_factor = |index| area.registers.iter().any(|register| register.scale_from == Some(index));
    (0..area.registers.len()).map(|index| if is_factor(index) { power(index) } else { 0 }).collect()
}

/// Whether the raw number means that there is no value.
pub(super) fn is_sentinel(register: &Register, raw: i128) -> bool {
    let bits = words::bits(register.kind, raw);
    register.sentinels.iter().any(|sentinel| sentinel.pattern == bits)
}

/// Whether a raw number switches an alarm on.
pub(super) fn is_on(alarm: &AlarmBit, raw: i128) -> bool {
    match alarm.when {
        AlarmWhen::Bit(bit) => raw >> bit & 1 == 1,
        AlarmWhen::Is(number) => raw == number.into(),
    }
}

/// The smallest raw number that passes.
fn passing(test: &Test) -> i128 {
    match test {
        Test::Is(numbers) => numbers.first().copied().unwrap_or(0).into(),
        Test::Not(_) => (0..).find(|&raw| test.passes(raw)).expect("a list excludes finitely many numbers"),
    }
}

/// What a register of alarms holds; quiet, it holds the smallest number that means no alarm.
fn alarm_raw(alarms: &[AlarmBit], values: &Values) -> i128 {
    let on = |alarm: &&AlarmBit| values.alarm(&alarm.name);
    let numbers = alarms.iter().filter_map(|alarm| match alarm.when {
        AlarmWhen::Is(number) => Some(number),
        AlarmWhen::Bit(_) => None,
    });
    let active = alarms.iter().filter(on);
    active
        .fold(None, |raw: Option<i128>, alarm| {
            Some(
                raw.unwrap_or(0)
                    | match alarm.when {
                        AlarmWhen::Bit(bit) => 1 << bit,
                        AlarmWhen::Is(number) => number.into(),
                    },
            )
        })
        .unwrap_or_else(|| passing(&Test::Not(numbers.collect())))
}
