//! One area of a profile, with values, as registers.

use std::collections::{BTreeMap, BTreeSet};

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Area, Expect, Feeds, Identity, Register};

use super::number::{self, Target};
use super::states::{self, States};
use super::targets::{measured, targets};
use super::values::Values;
use super::words::{self, Part};

/// A value that the registers cannot show.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum EncodeError {
    /// Too small or too large.
    #[error("{metric} = {value} does not fit register `{register}`; it holds {least} to {most}")]
    DoesNotFit { metric: Metric, value: f64, register: String, least: f64, most: f64 },
    /// The device says by it that it has no value.
    #[error("{metric} = {value} means \"no value\" in register `{register}`; take another number")]
    MeansNothing { metric: Metric, value: f64, register: String },
    /// Something else stands there.
    #[error("register `{register}` cannot show what is wanted beside the other values; leave one of them out")]
    Taken { register: String },
    /// No register can, as other values decide which ones count.
    #[error("no register can show {metric} beside the other values; leave one of them out")]
    Unshown { metric: Metric },
    /// One number stands for each of them.
    #[error("register `{register}` cannot show these alarms together; leave some of them out")]
    Alarms { register: String },
    /// Its parts say something already.
    #[error("{metric} is computed from {part} and others; give either it or its parts")]
    Computed { metric: Metric, part: Metric },
}

/// What a virtual device says about itself.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) manufacturer: String,
    pub(super) model: String,
    pub(super) serial_number: String,
    /// Where a number stands in place of a text.
    pub(super) number: u16,
    /// What its clock shows: seconds since 1970, in UTC whatever the profile says.
    pub(super) time_s: i64,
}

impl Said {
    fn text(&self, field: Identity) -> &str {
        match field {
            Identity::Manufacturer => &self.manufacturer,
            Identity::Model => &self.model,
            Identity::SerialNumber => &self.serial_number,
            Identity::FirmwareVersion | Identity::HardwareVersion => env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Registers in the making; what was written first stays.
struct Sheet {
    words: BTreeMap<u16, Part>,
}

impl Sheet {
    /// Whether all of it stands there now.
    fn write(&mut self, register: &Register, parts: &[Part]) -> bool {
        let places = || (register.at..=u16::MAX).zip(parts);
        let agrees = places().all(|(at, part)| {
            self.words.get(&at).is_none_or(|there| (there.word ^ part.word) & there.mask & part.mask == 0)
        });
        if agrees {
            for (at, part) in places() {
                let there = self.words.entry(at).or_insert(Part { word: 0, mask: 0 });
                *there = Part { word: there.word & there.mask | part.word & part.mask, mask: there.mask | part.mask };
            }
        }
        agrees
    }
}

/// The registers of an area; `powers` are those of [`states::powers`].
/// Adds the given metrics that they show to `seen`.
pub(super) fn encode(
    area: &Area,
    values: &Values,
    powers: &[i16],
    said: &Said,
    seen: &mut BTreeSet<Metric>,
) -> Result<BTreeMap<u16, u16>, EncodeError> {
    let targets = targets(area, values)?;
    let states = States::of(area, &targets, values);
    let mut sheet = Sheet { words: BTreeMap::new() };
    let shown = |given: bool| {
        let numbers = area.registers.iter().zip(&targets).enumerate();
        numbers.filter_map(move |(index, (register, target))| {
            Some((index, register, target.filter(|target| target.given == given)?))
        })
    };
    for (index, register, target) in shown(true) {
        if states.excluded[index] {
            continue;
        }
        let parts = given(area, &targets, register, &target, &states, powers)?;
        if !sheet.write(register, &parts) {
            return Err(EncodeError::Taken { register: register.name.clone() });
        }
        seen.insert(target.metric);
    }
    write_states(&mut sheet, area, values, &states, powers)?;
    for (index, register, target) in shown(false) {
        if !states.excluded[index] {
            sheet.write(register, &resting(area, &targets, register, &target, &states, powers));
        }
    }
    for register in &area.registers {
        if let Some(Expect::Begins(text)) = &register.expect {
            sheet.write(register, &words::of_text(register, text));
        }
        if let Feeds::Clock(_) = register.feeds {
            let bits = words::bits(register.kind, said.time_s.into());
            sheet.write(register, &words::of_bits(register, bits));
        }
        if let Feeds::Identity(field) = register.feeds {
            let parts = match register.kind.is_text() {
                true => words::of_text(register, said.text(field)),
                false => words::of_bits(register, words::bits(register.kind, said.number.into())),
            };
            sheet.write(register, &parts);
        }
    }
    let addresses = |register: &Register| (register.at..=u16::MAX).take(register.width().into());
    let mut registers: BTreeMap<u16, u16> = area.registers.iter().flat_map(addresses).map(|at| (at, 0)).collect();
    registers.extend(sheet.words.into_iter().map(|(at, part)| (at, part.word)));
    Ok(registers)
}

/// Selectors, signs, scale factors and alarms.
fn write_states(
    sheet: &mut Sheet,
    area: &Area,
    values: &Values,
    states: &States,
    powers: &[i16],
) -> Result<(), EncodeError> {
    for (index, register) in area.registers.iter().enumerate() {
        let is_factor = area.registers.iter().any(|other| other.scale_from == Some(index));
        let raw = if is_factor { Some(powers[index].into()) } else { states.raw[index] };
        let Some(raw) = raw else { continue };
        let written = sheet.write(register, &words::of_bits(register, words::bits(register.kind, raw)));
        let wanted = match &register.feeds {
            Feeds::Alarms(alarms) if alarms.iter().any(|alarm| values.alarm(&alarm.name) != alarm.when.is_on(raw)) => {
                return Err(EncodeError::Alarms { register: register.name.clone() });
            }
            Feeds::Alarms(alarms) => alarms.iter().any(|alarm| values.alarm(&alarm.name)),
            _ => is_factor,
        };
        if wanted && !written {
            return Err(EncodeError::Taken { register: register.name.clone() });
        }
    }
    Ok(())
}

fn given(
    area: &Area,
    targets: &[Option<Target>],
    register: &Register,
    target: &Target,
    states: &States,
    powers: &[i16],
) -> Result<Vec<Part>, EncodeError> {
    let setting = states.setting(area, targets, register, powers);
    let metric = target.metric;
    let value = metric.to_unit(target.stored as i64); // it came from one
    let name = || register.name.clone();
    if register.kind.is_float() {
        let bits = number::float_bits(register, target, setting);
        return match register.sentinels.iter().any(|sentinel| sentinel.pattern == bits) {
            true => Err(EncodeError::MeansNothing { metric, value, register: name() }),
            false => Ok(words::of_bits(register, bits)),
        };
    }
    let raw = number::raw(register, target, setting);
    let (least, most) = words::limits(register);
    if !(least..=most).contains(&raw) {
        let (least, most) = number::range(register, metric, setting);
        return Err(EncodeError::DoesNotFit { metric, value, register: name(), least, most });
    }
    if states::is_sentinel(register, raw) {
        return Err(EncodeError::MeansNothing { metric, value, register: name() });
    }
    Ok(words::of_bits(register, words::bits(register.kind, raw)))
}

/// What a register shows that nobody asked for: the nearest that it can and that is plausible.
fn resting(
    area: &Area,
    targets: &[Option<Target>],
    register: &Register,
    target: &Target,
    states: &States,
    powers: &[i16],
) -> Vec<Part> {
    let setting = states.setting(area, targets, register, powers);
    let mut target = *target;
    if let (Some((low, high)), Some(_)) = (&register.plausible, measured(&register.feeds)) {
        let exponent = target.metric.info().exponent.into();
        let low = low.in_units_of(exponent).expect("checked when the profile was parsed");
        let high = high.in_units_of(exponent).expect("checked when the profile was parsed");
        target.stored = target.stored.clamp(low.into(), high.into());
    }
    if register.kind.is_float() {
        return words::of_bits(register, number::float_bits(register, &target, setting));
    }
    let (least, most) = words::limits(register);
    let raw = number::raw(register, &target, setting).clamp(least, most);
    let nearby = [0, 1, -1].into_iter().map(|step| raw + step);
    let mut possible = nearby.filter(|raw| (least..=most).contains(raw) && !states::is_sentinel(register, *raw));
    words::of_bits(register, words::bits(register.kind, possible.next().unwrap_or(raw)))
}
