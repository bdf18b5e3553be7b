//! What a profile says once it is parsed: areas of registers, and what each register feeds.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use super::condition::{AlarmBit, Condition, Expect, SignFrom};
use super::decimal::Decimal;
use super::kind::{Kind, Order};
use super::write::Write;
use crate::metric::Metric;
use crate::words::DeviceType;

/// Version of the format that this program reads (`format = 1`).
pub const FORMAT: i64 = 1;
/// Most registers that Modbus lets one request read.
pub const REGISTERS_PER_REQUEST_MAX: u16 = 125;
/// Most areas of a profile.
pub const AREAS_MAX: usize = 64;
/// Most registers and computed values of an area.
pub const REGISTERS_MAX: usize = 512;
/// Most copies of a repeated register.
pub const REPEAT_MAX: i64 = 128;
/// Longest string, in registers.
pub const STRING_REGISTERS_MAX: u16 = 64;
/// Most often that a request without an answer is asked again within a poll.
pub const RETRIES_MAX: u8 = 3;
/// Longest silence that a device may ask for.
pub const QUIET_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
/// How often registers may be read.
pub const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// A family of devices that shares one register map.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name that `edge.toml` calls it by; that of its file.
    pub name: String,
    /// Who makes the device; what the device itself says wins.
    pub manufacturer: String,
    /// The model or family; what the device itself says wins.
    pub model: String,
    /// What kind of machine it is.
    pub device: DeviceType,
    /// A narrower word, such as `meter`.
    pub kind: Option<String>,
    /// How sure we are of the registers.
    pub confidence: Confidence,
    /// The documents that the registers come from.
    pub sources: Vec<String>,
    /// Defaults of the link, which `edge.toml` may override.
    pub link: Link,
    /// How the addresses are found; `None` when they are fixed.
    pub discovery: Option<Discover>,
    /// The registers, by unit, function code or SunSpec model.
    pub areas: Vec<Area>,
    /// What can be written.
    pub writes: Vec<Write>,
}

/// How sure we are of the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A manufacturer's document, or two independent tested implementations.
    High,
    /// One maintained implementation.
    Medium,
    /// Community text, or sources in conflict.
    Low,
}

impl Confidence {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        }
    }
}

/// Defaults of the serial line and of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Unit id (Modbus address) of a device as it leaves the factory.
    pub unit: Option<u8>,
    /// Serial speed, bit/s.
    pub baud: Option<u32>,
    /// Serial parity.
    pub parity: Option<Parity>,
    /// Serial stop bits, 1 or 2.
    pub stop_bits: Option<u8>,
    /// Silence to keep before a request, where the device needs more than Modbus asks.
    pub quiet: Option<Duration>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// How often a request that got no answer, or a bad frame, is asked again within a poll.
    pub retries: Option<u8>,
    /// Whether the device closes the connection after each answer.
    pub one_request: bool,
}

/// Serial parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

/// How to find the addresses of a SunSpec device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discover {
    /// PDU addresses at which the marker may stand, in the order to try them.
    pub bases: Vec<u16>,
    /// Function code to read with.
    pub function: Function,
}

/// The function code of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Read holding registers, function code 3.
    Holding,
    /// Read input registers, function code 4.
    Input,
    /// Read coils, function code 1; a coil counts as a register that holds 0 or 1.
    Coil,
    /// Read discrete inputs, function code 2.
    Discrete,
}

impl Function {
    /// The function code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Function::Holding => 3,
            Function::Input => 4,
            Function::Coil => 1,
            Function::Discrete => 2,
        }
    }

    /// Whether it reads single bits.
    pub const fn reads_bits(self) -> bool {
        matches!(self, Function::Coil | Function::Discrete)
    }
}

/// How often registers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Poll {
    /// At every poll.
    Fast,
    /// Now and then: counters, temperatures of slow bodies, settings.
    Slow,
    /// Once when the device is first reached: identity.
    Once,
    /// Never by polling, only when someone asks.
    Demand,
}

/// Registers that are read alike: one unit, one function code, and where addresses are found by
/// discovery, one SunSpec model. Requests never cross areas.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// Its name in messages.
    pub name: String,
    /// Function code to read with.
    pub function: Function,
    /// Function code for devices that answer the first with exception 1, illegal function.
    pub other_function: Option<Function>,
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// SunSpec models with this layout; addresses are then offsets from the model's id word.
    pub models: Vec<u16>,
    /// Of the areas with the same word here, only the first that the device has is used.
    pub one_of: Option<String>,
    /// Most registers in one request.
    pub registers_max: u16,
    /// How many unused registers a request may read over to save another request.
    pub gap_max: u16,
    /// Whether each value is read by a request of its own: registers that must be read alone, texts
    /// that must be read whole, and devices whose addresses do not advance by one a register.
    pub alone: bool,
    /// Addresses that no request may touch.
    pub forbidden: Vec<RangeInclusive<u16>>,
    /// Its registers.
    pub registers: Vec<Register>,
    /// Values computed from its registers.
    pub computed: Vec<Computed>,
}

/// One register, or the few that together hold one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Register {
    /// Its name within the area.
    pub name: String,
    /// Line of the file that speaks of it.
    pub line: usize,
    /// PDU address, or the offset from the model's id word.
    pub at: u16,
    /// What the source calls it, where it counts or names otherwise.
    pub document: Option<String>,
    /// How its words are to be read.
    pub kind: Kind,
    /// Order of the words of values wider than one register.
    pub word_order: Order,
    /// Order of the two bytes in each register.
    pub byte_order: Order,
    /// Bits of the raw number that count, shifted down to the lowest of them.
    pub mask: Option<u64>,
    /// How often it is read; with a pace of its own it counts as slow.
    pub poll: Poll,
    /// A pace of its own. The device's interval is the shortest.
    pub every: Option<Duration>,
    /// Turns the raw number into the unit of the metric.
    pub scale: Decimal,
    /// Added after scaling, in the unit of the metric.
    pub offset: Decimal,
    /// Register (index in the area) that holds a further power of ten.
    pub scale_from: Option<usize>,
    /// Registers (indices in the area) whose values it is multiplied with.
    pub times: Vec<usize>,
    /// Register that holds the sign.
    pub sign_from: Option<SignFrom>,
    /// Step that values are rounded to, in the unit of the metric; `None`: the register's own.
    pub resolution: Option<Decimal>,
    /// Raw values that mean "no value".
    pub sentinels: Vec<Sentinel>,
    /// Without it, the register counts as having no value.
    pub valid_when: Option<Condition>,
    /// What it must hold, or the device is another one than the profile is for.
    pub expect: Option<Expect>,
    /// Values outside, in the unit of the metric, are marked `range`.
    pub plausible: Option<(Decimal, Decimal)>,
    /// Where a counter begins again, in raw steps.
    pub modulus: Option<u64>,
    /// Whether a device that does not implement it, or for which it is not valid, is no worse: it
    /// then gives no value at all, rather than one marked `sentinel`.
    pub optional: bool,
    /// What it is for.
    pub feeds: Feeds,
}

impl Register {
    /// How many registers it takes.
    pub const fn width(&self) -> u16 {
        self.kind.width()
    }

    /// The registers (indices in the area) without which it cannot be decoded.
    pub fn depends_on(&self) -> impl Iterator<Item = usize> + '_ {
        let sign = self.sign_from.as_ref().map(|sign| sign.register);
        let condition = self.valid_when.as_ref().map(|condition| condition.register);
        [self.scale_from, sign, condition].into_iter().flatten().chain(self.times.iter().copied())
    }
}

/// A raw value that means "no value".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentinel {
    /// The bits, as wide as the register.
    pub pattern: u64,
    /// What the device says by it.
    pub reason: Reason,
}

/// Why a device has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// This device does not have the quantity.
    NotImplemented,
    /// It has none now.
    Unavailable,
    /// Above what it can measure.
    OverRange,
    /// Below what it can measure.
    UnderRange,
    /// The sensor is broken or missing.
    SensorFault,
}

/// What a register is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Feeds {
    /// A metric of the reading. A fallback counts only where no earlier register gave a value.
    Metric {
        /// Which.
        metric: Metric,
        /// Whether it stands in for an earlier register.
        fallback: bool,
    },
    /// Part of the device's identity.
    Identity(Identity),
    /// Alarms, by bit or by value.
    Alarms(Vec<AlarmBit>),
    /// The device's own clock. Read only where a site trusts it.
    Clock(ClockForm),
    /// Other registers: a scale factor, a sign, a condition, a part of a computed value.
    Others,
}

/// How a device counts its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockForm {
    /// Seconds since 1970 in UTC.
    UnixS,
    /// The same count from the clock on the wall: as people set it at the device.
    LocalS,
}

/// One field of a device's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Who made it.
    Manufacturer,
    /// Which model.
    Model,
    /// Its serial number.
    SerialNumber,
    /// Version of its firmware.
    FirmwareVersion,
    /// Version of its hardware.
    HardwareVersion,
}

/// A metric computed from registers of the area.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// Line of the file that speaks of it.
    pub line: usize,
    /// What is computed.
    pub metric: Metric,
    /// How.
    pub operation: Operation,
    /// From which registers (indices in the area), each scaled to the metric's unit. Those that
    /// the device does not implement are left out.
    pub from: Vec<usize>,
    /// Step that the value is rounded to, in the unit of the metric.
    pub resolution: Decimal,
    /// Whether it stands in for an earlier register.
    pub fallback: bool,
}

/// How registers become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}
