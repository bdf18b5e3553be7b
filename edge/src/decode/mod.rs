//! From words to values: what a device said at one poll, in the fixed units of its metrics.
//! Pure and total: no words make it fail, and what has no value says so in its quality.

mod image;
mod number;
#[cfg(test)]
mod requirements;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{ClockForm, Computed, Expect, Feeds, Identity, Operation, Register};
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::{Quality, Severity};

pub use image::Image;
use image::Raw;
use number::{Outcome, Unit};

use crate::plan::{Layout, Placed};

/// What the words of one poll mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The values, in order of metric, each metric at most once.
    pub values: Vec<Value>,
    /// What the device says about itself; fields that it leaves empty are missing.
    pub identity: BTreeMap<Identity, String>,
    /// Its alarms, on and off; those that it does not tell are missing.
    pub alarms: Vec<Alarm>,
    /// What its clock says, in seconds since 1970.
    pub clock: Option<(ClockForm, i64)>,
    /// A register that does not hold what the profile expects: the device is another one.
    pub unexpected: Option<String>,
}

/// One alarm of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name in the profile.
    pub name: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Whether it is on.
    pub active: bool,
}

/// Decodes the words that were read. A register whose words are missing gives nothing.
pub fn decode(layout: &Layout, image: &Image) -> Decoded {
    let mut decoded = Decoded::default();
    let mut values = BTreeMap::new();
    for placed in layout.areas() {
        for (index, register) in placed.area.registers.iter().enumerate() {
            let expect = register.expect.as_ref().filter(|_| placed.is_present(index));
            if expect.is_some_and(|expect| contradicts(expect, &image.raw(placed, register))) {
                decoded.unexpected = Some(register.name.clone());
            }
            match &register.feeds {
                Feeds::Metric { metric, .. } => {
                    let outcome = number::decode(placed, image, index, Unit::rounded(*metric, register));
                    keep(&mut values, *metric, outcome, register.optional);
                }
                Feeds::Identity(field) => identify(&mut decoded, placed, image, register, *field),
                Feeds::Alarms(_) => alarm(&mut decoded, placed, image, register),
                Feeds::Clock(form) => {
                    let seconds = image.raw(placed, register).whole().and_then(|raw| i64::try_from(raw).ok());
                    decoded.clock = decoded.clock.or(seconds.map(|seconds| (*form, seconds)));
                }
                Feeds::Others => {}
            }
        }
        for computed in &placed.area.computed {
            keep(&mut values, computed.metric, compute(placed, image, computed), true);
        }
    }
    decoded.values = values.into_values().collect();
    decoded
}

/// Keeps a value; the first that is one wins.
fn keep(values: &mut BTreeMap<Metric, Value>, metric: Metric, outcome: Outcome, optional: bool) {
    let value = match outcome {
        Outcome::Missing => return,
        Outcome::NotImplemented if optional => return,
        Outcome::NotImplemented | Outcome::None => Value { metric, value: None, quality: Quality::Sentinel },
        Outcome::Overflow => Value { metric, value: None, quality: Quality::Range },
        Outcome::Number { stored, plausible: true } => Value::ok(metric, stored),
        Outcome::Number { stored, plausible: false } => Value { metric, value: Some(stored), quality: Quality::Range },
    };
    let kept = values.entry(metric).or_insert(value);
    if kept.value.is_none() && value.value.is_some() {
        *kept = value;
    }
}

/// The value of registers taken together, rounded once at the end.
fn compute(placed: &Placed, image: &Image, computed: &Computed) -> Outcome {
    let mut numbers: Vec<i128> = Vec::with_capacity(computed.from.len());
    let mut plausible = true;
    for &index in &computed.from {
        match number::decode(placed, image, index, Unit::exact(computed.metric)) {
            Outcome::Number { stored, plausible: this } => {
                numbers.push(stored.into());
                plausible &= this;
            }
            Outcome::NotImplemented => {}
            other => return other,
        }
    }
    let sum: i128 = numbers.iter().sum();
    let (numerator, denominator) = match computed.operation {
        Operation::Sum => (Some(sum), 1),
        Operation::Mean => (Some(sum), numbers.len() as i128),
        Operation::Max => (numbers.iter().copied().max(), 1),
        Operation::Min => (numbers.iter().copied().min(), 1),
    };
    match numerator {
        Some(numerator) if !numbers.is_empty() => {
            number::quantise(numerator, denominator, Unit::stepped(computed.metric, computed.resolution), plausible)
        }
        _ => Outcome::NotImplemented,
    }
}

/// Whether a register that was read shows that the device is not the one expected.
fn contradicts(expect: &Expect, raw: &Raw) -> bool {
    match (expect, raw) {
        (_, Raw::Missing) => false,
        (Expect::Number(test), raw) => !raw.whole().is_some_and(|number| test.passes(number)),
        (Expect::Begins(text), Raw::Text(found)) => !found.starts_with(text.as_str()),
        (Expect::Begins(_), _) => true,
    }
}

fn identify(decoded: &mut Decoded, placed: &Placed, image: &Image, register: &Register, field: Identity) {
    let text = match image.raw(placed, register) {
        Raw::Text(text) => text,
        Raw::Integer(number) => number.to_string(),
        Raw::Missing | Raw::Float(_) | Raw::None(_) => return,
    };
    if !text.is_empty() {
        decoded.identity.entry(field).or_insert(text);
    }
}

fn alarm(decoded: &mut Decoded, placed: &Placed, image: &Image, register: &Register) {
    let (Feeds::Alarms(alarms), Some(raw)) = (&register.feeds, image.raw(placed, register).whole()) else { return };
    let condition = register.valid_when.as_ref();
    let tells = condition.is_none_or(|condition| {
        number::other(placed, image, condition.register).is_some_and(|number| condition.test.passes(number))
    });
    if !tells {
        return;
    }
    for alarm in alarms {
        let active = alarm.when.is_on(raw);
        decoded.alarms.push(Alarm { name: alarm.name.clone(), severity: alarm.severity, active });
    }
}
