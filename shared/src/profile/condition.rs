//! What registers say about others and about the device: conditions, signs, expectations, alarms.

use crate::words::Severity;

/// The sign of a value that stands in another register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignFrom {
    /// Index of the register in the area.
    pub register: usize,
    /// The raw numbers of it that make the value negative.
    pub negative: Test,
}

/// A condition on another register of the area, by its raw number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Index of the register in the area.
    pub register: usize,
    /// What its raw number must be.
    pub test: Test,
}

/// What a raw number must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these.
    Is(Vec<i64>),
    /// None of these.
    Not(Vec<i64>),
    /// From the first to the second, both included.
    Between(i64, i64),
}

/// What a register must hold, or the device is another one than the profile is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// A raw number.
    Number(Test),
    /// A text that begins so.
    Begins(String),
}

impl Test {
    /// Whether the raw number passes.
    pub fn passes(&self, raw: i128) -> bool {
        match self {
            Test::Is(numbers) => numbers.iter().any(|&number| i128::from(number) == raw),
            Test::Not(numbers) => numbers.iter().all(|&number| i128::from(number) != raw),
            Test::Between(least, most) => (i128::from(*least)..=i128::from(*most)).contains(&raw),
        }
    }
}

/// An alarm of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmBit {
    /// Its name, in lower case with underscores.
    pub name: String,
    /// How urgent it is.
    pub severity: Severity,
    /// When it is on.
    pub when: AlarmWhen,
}

/// When an alarm is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmWhen {
    /// When this bit is set, counted from the least significant one, nought.
    Bit(u32),
    /// When the raw number passes.
    Number(Test),
}

impl AlarmWhen {
    /// Whether the raw number switches it on.
    pub fn is_on(&self, raw: i128) -> bool {
        match self {
            AlarmWhen::Bit(bit) => raw >> bit & 1 == 1,
            AlarmWhen::Number(test) => test.passes(raw),
        }
    }
}
