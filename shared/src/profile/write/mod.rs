//! `[[write]]`: what of a device can be written, which values, and what must hold before and after.
//! A profile without such a table writes nothing, and none is open before `edge.toml` names it too.

mod number;
mod read;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use super::condition::Test;
use super::decimal::Decimal;
use super::kind::{Kind, Order};
use super::model::Function;
use super::sunspec::Model;

pub(super) use read::read_writes;
#[cfg(test)]
pub(super) use read::{ACCESSES, FUNCTIONS, KINDS, REFRESH};

/// Most writes of a profile, repeated ones counted.
pub const WRITES_MAX: usize = 64;
/// Most values, conditions and steps of one write.
pub const WRITE_PARTS_MAX: usize = 32;
/// How long a written value may take to show, unless the profile says otherwise.
pub const WITHIN: Duration = Duration::from_secs(1);
/// The longest that a profile may say.
pub const WITHIN_MAX: Duration = Duration::from_secs(10);

/// One thing that can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its name, unique within the profile.
    pub name: String,
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// SunSpec models of which one has it; addresses are then offsets from the model's id word.
    pub models: Vec<u16>,
    /// Where it is written.
    pub target: Target,
    /// Whether it can be read itself.
    pub access: Access,
    /// Which values.
    pub allowed: Allowed,
    /// Whether the register behind it takes the complement of the number.
    pub complement: bool,
    /// What the device wants written first, in this order.
    pub unlock: Vec<Unlock>,
    /// What the device must show just before, or nothing is written.
    pub allowed_when: Vec<Guard>,
    /// Where the value shows afterwards.
    pub shows: Seen,
    /// How long it may take to show.
    pub within: Duration,
    /// How soon the device falls back by itself unless it is written again.
    pub refresh: Option<Duration>,
    /// What else it does, for the person who opens it.
    pub warns: Option<String>,
}

/// A function code that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteFunction {
    /// Write single coil, function code 5: 16 bits, by the standard 0xFF00 and 0.
    Coil,
    /// Write multiple coils, function code 15, of one coil.
    Coils,
    /// Write single register, function code 6.
    Register,
    /// Write multiple registers, function code 16.
    Registers,
}

impl WriteFunction {
    /// The function code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            WriteFunction::Coil => 5,
            WriteFunction::Coils => 15,
            WriteFunction::Register => 6,
            WriteFunction::Registers => 16,
        }
    }

    /// The function that reads what it writes.
    pub const fn reads(self) -> Function {
        match self {
            WriteFunction::Coil | WriteFunction::Coils => Function::Coil,
            WriteFunction::Register | WriteFunction::Registers => Function::Holding,
        }
    }
}

/// Where and how a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// With which function code.
    pub function: WriteFunction,
    /// PDU address of the first register or coil, or the offset from the model's id word.
    pub at: u16,
    /// The type of the number.
    pub form: Form,
}

/// How a whole number lies in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Its type: no text and no float.
    pub kind: Kind,
    /// Order of its words.
    pub word_order: Order,
    /// Order of the bytes in each.
    pub byte_order: Order,
    /// Bits that count, shifted down.
    pub mask: Option<u64>,
}

/// Whether what is written can be read itself; every register is read only unless written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It can.
    ReadWrite,
    /// It cannot: another register shows it.
    WriteOnly,
}

/// The values that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// These.
    Named(Vec<Named>),
    /// A number, in the unit that `scale` and `offset` give.
    Range {
        /// The smallest.
        low: Decimal,
        /// The largest.
        high: Decimal,
        /// Unit of a raw step.
        scale: Decimal,
        /// Value of the raw number nought.
        offset: Decimal,
        /// What shows then; `None`: the raw number.
        reads: Option<i64>,
    },
}

/// A value with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What people call it.
    pub name: String,
    /// What is written.
    pub raw: i64,
    /// What shows then.
    pub reads: i64,
}

/// A register that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `area.register`, or the name of the write for what is written itself.
    pub name: String,
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// Function to read with.
    pub function: Function,
    /// SunSpec models of which one has it.
    pub models: Vec<u16>,
    /// PDU address, or the offset from the model's id word.
    pub at: u16,
    /// How many registers.
    pub count: u16,
    /// How its number lies in them; `None`: it is copied, not understood.
    pub form: Option<Form>,
}

/// What a register of the device must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Which register.
    pub seen: Seen,
    /// Its raw number.
    pub test: Test,
}

/// Something to write before the write itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlock {
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// Where.
    pub target: Target,
    /// What.
    pub with: Key,
}

/// What unlocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A number.
    Raw(i64),
    /// The words of a register of the device, such as its serial number.
    Copy(Seen),
}

/// A value that a write takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// As people call it.
    pub value: String,
    /// What is written, complement included.
    pub words: Vec<u16>,
    /// What shows then.
    pub reads: i64,
}

/// A value that it does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It has other names.
    #[error("`{value}` is no value of {write}; write one of {known}")]
    Unnamed {
        /// Of the write.
        write: String,
        /// What was asked for.
        value: String,
        /// The values there are.
        known: String,
    },
    /// It is no number.
    #[error("`{value}` is no number; {write} takes {low} to {high}")]
    NoNumber {
        /// Of the write.
        write: String,
        /// What was asked for.
        value: String,
        /// The smallest.
        low: String,
        /// The largest.
        high: String,
    },
    /// It is too small or too large.
    #[error("{value} is outside what {write} takes, {low} to {high}")]
    Outside {
        /// Of the write.
        write: String,
        /// What was asked for.
        value: String,
        /// The smallest.
        low: String,
        /// The largest.
        high: String,
    },
    /// The device has no such step.
    #[error("{value} is no whole step of {write}; its steps are {step}")]
    BetweenSteps {
        /// Of the write.
        write: String,
        /// What was asked for.
        value: String,
        /// Distance of two values.
        step: String,
    },
}

impl Write {
    /// What is to be written for a value that a person wrote.
    pub fn accept(&self, value: &str) -> Result<Accepted, NotAllowed> {
        let (name, raw, reads) = match &self.allowed {
            Allowed::Named(values) => {
                let named = values.iter().find(|named| named.name == value).ok_or_else(|| NotAllowed::Unnamed {
                    write: self.name.clone(),
                    value: shortened(value),
                    known: self.allowed.to_string(),
                })?;
                (named.name.clone(), named.raw, named.reads)
            }
            Allowed::Range { low, high, scale, offset, reads } => {
                let raw = self.step_of(value, (*low, *high), *scale, *offset)?;
                (number::told(raw, *scale, *offset), raw, reads.unwrap_or(raw))
            }
        };
        Ok(Accepted { value: name, words: self.sent(raw), reads })
    }

    fn step_of(
        &self,
        value: &str,
        (low, high): (Decimal, Decimal),
        scale: Decimal,
        offset: Decimal,
    ) -> Result<i64, NotAllowed> {
        let write = || self.name.clone();
        let (least, most) = (number::plain(low), number::plain(high));
        let Ok(decimal) = value.trim().parse::<Decimal>() else {
            return Err(NotAllowed::NoNumber { write: write(), value: shortened(value), low: least, high: most });
        };
        if !number::lies_between(decimal, low, high) {
            return Err(NotAllowed::Outside { write: write(), value: number::plain(decimal), low: least, high: most });
        }
        let (value, step) = (number::plain(decimal), number::plain(scale));
        number::raw(decimal, scale, offset).ok_or_else(|| NotAllowed::BetweenSteps { write: write(), value, step })
    }

    /// What shows after these words were written; `None` when they are none of its values.
    pub fn shown_after(&self, words: &[u16]) -> Option<i64> {
        match &self.allowed {
            Allowed::Named(values) => {
                values.iter().find(|named| self.sent(named.raw) == words).map(|named| named.reads)
            }
            Allowed::Range { low, high, scale, offset, reads } => {
                let raw = self.target.form.number(words).filter(|&raw| self.sent(raw) == words)?;
                let ends = [number::raw(*low, *scale, *offset)?, number::raw(*high, *scale, *offset)?];
                (ends[0].min(ends[1])..=ends[0].max(ends[1])).contains(&raw).then(|| reads.unwrap_or(raw))
            }
        }
    }

    /// The words of a raw number, complement included.
    fn sent(&self, raw: i64) -> Vec<u16> {
        let mut words = self.target.words(raw);
        if self.complement {
            words.extend(words.clone().iter().map(|word| !word));
        }
        words
    }

    /// What a number that shows means, in the words of the write.
    pub fn told(&self, shown: i64) -> String {
        match &self.allowed {
            Allowed::Named(values) => {
                let named = values.iter().find(|named| named.reads == shown);
                named.map_or_else(|| shown.to_string(), |named| named.name.clone())
            }
            Allowed::Range { scale, offset, reads: None, .. } => number::told(shown, *scale, *offset),
            Allowed::Range { .. } => shown.to_string(),
        }
    }

    /// The registers of the profile that it looks at.
    pub fn looks_at(&self) -> impl Iterator<Item = &Seen> {
        let keys = self.unlock.iter().filter_map(|unlock| match &unlock.with {
            Key::Copy(seen) => Some(seen),
            Key::Raw(_) => None,
        });
        self.allowed_when.iter().map(|guard| &guard.seen).chain(keys).chain([&self.shows])
    }
}

/// The PDU address of something on a device with these SunSpec models; `wanted` are those of which
/// one has it, none where addresses are fixed. `None` when the device does not have it.
pub fn address(wanted: &[u16], at: u16, count: u16, models: &[Model]) -> Option<u16> {
    if wanted.is_empty() {
        return Some(at);
    }
    let model = models.iter().find(|model| wanted.contains(&model.id))?;
    let fits = u32::from(at) + u32::from(count) <= u32::from(model.length) + 2;
    model.start.checked_add(at).filter(|_| fits)
}

impl Target {
    /// The words that this function sends for a raw number.
    pub fn words(&self, raw: i64) -> Vec<u16> {
        self.form.words(raw)
    }
}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Allowed::Named(values) => {
                let names: Vec<&str> = values.iter().map(|named| named.name.as_str()).collect();
                f.write_str(&names.join(", "))
            }
            Allowed::Range { low, high, .. } => write!(f, "{} to {}", number::plain(*low), number::plain(*high)),
        }
    }
}

/// A word of a stranger, short enough for a message.
fn shortened(value: &str) -> String {
    value.chars().take(40).collect()
}
