//! What the registers say that others look at: selectors, signs, scale factors, alarms.

use std::cmp::Reverse;

use riverwatts_shared::profile::{AlarmBit, AlarmWhen, Area, Expect, Feeds, Register, Test};

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
        for (index, register) in area.registers.iter().enumerate() {
            if let Some(Expect::Number(test)) = &register.expect {
                states.raw[index] = Some(passing(test));
            }
            for &factor in register.times.iter().filter(|&&factor| targets[factor].is_none()) {
                states.raw[factor] = Some(usual(&area.registers[factor]));
            }
        }
        let is_given = |index: &usize| targets[*index].is_some_and(|target| target.given);
        let (given, resting): (Vec<usize>, Vec<usize>) = (0..count).partition(is_given);
        for index in given.into_iter().chain(resting) {
            let Some(condition) = &area.registers[index].valid_when else { continue };
            if targets[condition.register].is_some() {
                continue; // a measured value decides itself whether others are valid
            }
            let raw = *states.raw[condition.register]
                .get_or_insert_with(|| agreeable(area, condition.register, &condition.test));
            states.excluded[index] = !condition.test.passes(raw);
        }
        for (index, register) in area.registers.iter().enumerate() {
            let (Some(sign), Some(target)) = (&register.sign_from, &targets[index]) else { continue };
            if states.raw[sign.register].is_none() || target.given {
                let minus = number::raw(register, target, Setting::PLAIN) < 0;
                let raw = if minus { passing(&sign.negative) } else { failing(&sign.negative) };
                states.raw[sign.register] = Some(raw);
            }
        }
        states
    }

    /// How a register stands, with the powers of [`powers`].
    pub(super) fn setting(
        &self,
        area: &Area,
        targets: &[Option<Target>],
        register: &Register,
        powers: &[i16],
    ) -> Setting {
        let negative =
            register.sign_from.as_ref().is_some_and(|sign| sign.negative.passes(self.raw[sign.register].unwrap_or(0)));
        let factor = |index: usize| {
            let factor = &area.registers[index];
            let (least, most) = words::limits(factor);
            let shown = targets[index].map(|target| number::raw(factor, &target, Setting::PLAIN).clamp(least, most));
            let raw = shown.or(self.raw[index]).unwrap_or(0);
            raw as f64 * factor.scale.as_f64() + factor.offset.as_f64()
        };
        let factor = register.times.iter().map(|&index| factor(index)).product();
        Setting { power: register.scale_from.map_or(0, |factor| powers[factor]), negative, factor }
    }
}

/// By register: the power of ten that it holds as a scale factor, the finest with which the extreme
/// targets fit. Devices do not change theirs, so neither does a virtual one.
pub(super) fn powers(area: &Area, extremes: &[Vec<Option<Target>>; 2]) -> Vec<i16> {
    let power = |factor: usize| {
        let scaled = || area.registers.iter().enumerate().filter(|(_, register)| register.scale_from == Some(factor));
        let fits = |power: i16| {
            scaled().all(|(index, register)| {
                let (least, most) = words::limits(register);
                let targets = extremes.iter().filter_map(|targets| targets[index]);
                let setting = Setting { power, ..Setting::PLAIN };
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

/// The smallest raw number that passes.
fn passing(test: &Test) -> i128 {
    match test {
        Test::Is(numbers) => numbers.first().copied().unwrap_or(0).into(),
        Test::Not(_) => (0..).find(|&raw| test.passes(raw)).expect("a list excludes finitely many numbers"),
        Test::Between(least, most) => 0.clamp(i128::from(*least), i128::from(*most)),
    }
}

/// Of the numbers that pass, the one with which most registers that look at the selector are valid:
/// three phases rather than one.
fn agreeable(area: &Area, selector: usize, test: &Test) -> i128 {
    let conditions = area.registers.iter().filter_map(|register| register.valid_when.as_ref());
    let tests: Vec<_> = conditions.filter(|other| other.register == selector).map(|other| &other.test).collect();
    let valid = |raw: i128| tests.iter().filter(|test| test.passes(raw)).count();
    let numbers = tests.iter().map(|test| passing(test)).filter(|&raw| test.passes(raw));
    numbers.max_by_key(|&raw| (valid(raw), Reverse(raw))).unwrap_or_else(|| passing(test))
}

/// The smallest raw number that does not pass.
fn failing(test: &Test) -> i128 {
    match test {
        Test::Is(numbers) => passing(&Test::Not(numbers.clone())),
        Test::Not(numbers) => passing(&Test::Is(numbers.clone())),
        Test::Between(least, most) if (*least..=*most).contains(&0) => i128::from(*most) + 1,
        Test::Between(..) => 0,
    }
}

/// What a factor that nobody measures shows: a hundred, or as near as it can.
fn usual(register: &Register) -> i128 {
    let (least, most) = words::limits(register);
    ((100.0 / register.scale.as_f64()).round() as i128).clamp(least, most)
}

/// What a register of alarms holds; quiet, it holds the smallest number that means no alarm.
fn alarm_raw(alarms: &[AlarmBit], values: &Values) -> i128 {
    let active = alarms.iter().filter(|alarm| values.alarm(&alarm.name));
    let raw = active.fold(None, |raw: Option<i128>, alarm| {
        let this = match &alarm.when {
            AlarmWhen::Bit(bit) => 1 << bit,
            AlarmWhen::Number(test) => passing(test),
        };
        Some(raw.unwrap_or(0) | this)
    });
    let quiet = || (0..).find(|&raw| alarms.iter().all(|alarm| !alarm.when.is_on(raw)));
    raw.or_else(quiet).expect("some number means no alarm")
}
