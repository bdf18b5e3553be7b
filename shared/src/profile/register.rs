//! Reads the registers and computed values of one area.

use std::collections::HashMap;

use super::condition::*;
use super::decimal::Decimal;
use super::fields::{Fields, Report, is_name};
use super::kind::{Kind, Order};
use super::model::*;
use super::parse::{Cadence, read_cadence};
use super::relation::*;
use crate::metric::Metric;
use crate::words::Severity;

/// Sentinels that hold for every register of a type.
pub(super) type Sentinels = HashMap<&'static str, Vec<Sentinel>>;

/// The types by their words; text gets its length afterwards.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("u8_high", Kind::U8High),
    ("u8_low", Kind::U8Low),
    ("i8_high", Kind::I8High),
    ("i8_low", Kind::I8Low),
    ("u16", Kind::U16),
    ("i16", Kind::I16),
    ("u32", Kind::U32),
    ("i32", Kind::I32),
    ("u64", Kind::U64),
    ("i64", Kind::I64),
    ("f16", Kind::F16),
    ("f32", Kind::F32),
    ("f64", Kind::F64),
    ("bcd16", Kind::Bcd16),
    ("sm16", Kind::Sm16),
    ("bit", Kind::Bit),
    ("bits16", Kind::Bits16),
    ("bits32", Kind::Bits32),
    ("text", Kind::Text(1)),
    ("utf16", Kind::Utf16(1)),
];

pub(super) const ORDERS: &[(&str, Order)] = &[("high_first", Order::HighFirst), ("low_first", Order::LowFirst)];
pub(super) const REASONS: &[(&str, Reason)] = &[
    ("not_implemented", Reason::NotImplemented),
    ("unavailable", Reason::Unavailable),
    ("over_range", Reason::OverRange),
    ("under_range", Reason::UnderRange),
    ("sensor_fault", Reason::SensorFault),
];
pub(super) const IDENTITIES: &[(&str, Identity)] = &[
    ("manufacturer", Identity::Manufacturer),
    ("model", Identity::Model),
    ("serial_number", Identity::SerialNumber),
    ("firmware_version", Identity::FirmwareVersion),
    ("hardware_version", Identity::HardwareVersion),
];
pub(super) const CLOCKS: &[(&str, ClockForm)] = &[("unix_s", ClockForm::UnixS), ("local_s", ClockForm::LocalS)];
pub(super) const OPERATIONS: &[(&str, Operation)] =
    &[("sum", Operation::Sum), ("mean", Operation::Mean), ("max", Operation::Max), ("min", Operation::Min)];

/// The registers of an area by name, so that references become indices.
pub(super) type Names = HashMap<String, usize>;

/// The registers and computed values of an area, references resolved.
pub(super) fn read_registers(
    report: &mut Report<'_>,
    area: &mut Fields<'_>,
    cadence: Cadence,
    sentinels: &Sentinels,
) -> (Vec<Register>, Vec<Computed>) {
    let mut tables = area.tables(report, "registers");
    if tables.is_empty() {
        area.wrong(report, "registers", "is missing or empty", "add a register");
    }
    let computed = area.tables(report, "computed");
    if tables.len() + computed.len() > REGISTERS_MAX {
        area.wrong(report, "registers", "are too many", format!("keep to {REGISTERS_MAX} in an area"));
        return (Vec::new(), Vec::new());
    }
    let mut names = Names::new();
    let mut next = 0;
    for table in &mut tables {
        let name = table.name(report, "name");
        let repeat = read_repeat(report, table, None);
        let first = next;
        next += repeat.as_ref().map_or(1, |repeat| usize::from(repeat.count));
        let Some(name) = table.require(report, "name", name) else { continue };
        for index in first..next {
            let name = Repeat::name(repeat.as_ref(), &name, index - first);
            if let Some(other) = names.insert(name, index) {
                table.wrong(report, "name", format!("is also register {other} of this area"), "choose another name");
            }
        }
    }
    if next + computed.len() > REGISTERS_MAX {
        area.wrong(report, "registers", "are too many", format!("keep to {REGISTERS_MAX} in an area"));
        return (Vec::new(), Vec::new());
    }
    let mut registers = Vec::with_capacity(next);
    for table in tables {
        read_register(report, table, &names, cadence, sentinels, &mut registers);
    }
    let computed = computed.into_iter().filter_map(|table| read_computed(report, table, &names)).collect();
    (registers, computed)
}

fn read_register(
    report: &mut Report<'_>,
    mut table: Fields<'_>,
    names: &Names,
    cadence: Cadence,
    sentinels: &Sentinels,
    registers: &mut Vec<Register>,
) {
    let name = table.name(report, "name").unwrap_or_default();
    let at = table.integer(report, "at", 0..=65_535);
    let at = table.require(report, "at", at).unwrap_or(0);
    let words: Vec<_> = KINDS.iter().map(|&(word, kind)| (word, (word, kind))).collect();
    let kind = table.word(report, "type", &words);
    let (word, kind) = table.require(report, "type", kind).unwrap_or(("u16", Kind::U16));
    let kind = match kind {
        Kind::Text(_) | Kind::Utf16(_) => {
            let length = table.integer(report, "length", 1..=i64::from(STRING_REGISTERS_MAX));
            let length = table.require(report, "length", length).unwrap_or(1);
            if kind == Kind::Text(1) { Kind::Text(length) } else { Kind::Utf16(length) }
        }
        kind => kind,
    };
    let repeat = read_repeat(report, &mut table, Some(names));
    let (poll, every) = read_cadence(report, &mut table).unwrap_or(cadence);
    let own = table.has("sentinels").then(|| read_sentinel_list(report, &mut table, "sentinels", kind));
    let register = Register {
        name: Repeat::name(repeat.as_ref(), &name, 0),
        line: table.line,
        at,
        document: table.text(report, "document"),
        kind,
        word_order: table.word(report, "word_order", ORDERS).unwrap_or(Order::HighFirst),
        byte_order: table.word(report, "byte_order", ORDERS).unwrap_or(Order::HighFirst),
        mask: table.integer(report, "mask", 1..=i64::MAX),
        poll,
        every,
        scale: table.decimal(report, "scale").unwrap_or(Decimal::ONE),
        offset: table.decimal(report, "offset").unwrap_or(Decimal::ZERO),
        scale_from: reference(report, &mut table, "scale_from", names),
        times: read_times(report, &mut table, names),
        sign_from: read_sign(report, &mut table, names),
        resolution: table.decimal(report, "resolution"),
        sentinels: own.unwrap_or_else(|| sentinels.get(word).cloned().unwrap_or_default()),
        valid_when: read_condition(report, &mut table, names),
        expect: read_expect(report, &mut table),
        plausible: table.decimals(report, "plausible"),
        modulus: table.integer(report, "modulus", 2..=i64::MAX),
        optional: table.flag(report, "optional").unwrap_or(false),
        feeds: read_feeds(report, &mut table, repeat.as_ref().map(|repeat| repeat.from)),
    };
    let Some(repeat) = &repeat else {
        table.finish(report);
        registers.push(register);
        return;
    };
    for copy in 0..repeat.count {
        let at = u16::try_from(i64::from(register.at) + i64::from(copy) * repeat.step);
        if at.is_err() {
            table.wrong(report, "repeat", "leaves the addresses", "repeat less often, or with a smaller step");
        }
        registers.push(Register {
            name: Repeat::name(Some(repeat), &name, copy.into()),
            at: at.unwrap_or(register.at), // each name keeps its index
            valid_when: repeat.condition(copy).or_else(|| register.valid_when.clone()),
            optional: register.optional || repeat.count_from.is_some(),
            feeds: read_feeds(report, &mut table, Some(repeat.from + i64::from(copy))),
            ..register.clone()
        });
    }
    table.finish(report);
}

/// Sentinels under a key; a raw number may be written as bits (0x8000) or as a number (-32768).
pub(super) fn read_sentinel_list(
    report: &mut Report<'_>,
    table: &mut Fields<'_>,
    key: &'static str,
    kind: Kind,
) -> Vec<Sentinel> {
    let bits = kind.bits();
    let mut sentinels = Vec::new();
    for mut entry in table.tables(report, key) {
        let raw: Option<i64> = entry.integer(report, "raw", i64::MIN..=i64::MAX);
        let raw = entry.require(report, "raw", raw);
        let reason = entry.word(report, "reason", REASONS);
        let reason = entry.require(report, "reason", reason);
        if let (Some(raw), Some(reason)) = (raw, reason) {
            let number = i128::from(raw);
            if bits == 0 || number >= 1 << bits || number < -(1 << (bits - 1)) {
                entry.wrong(
                    report,
                    "raw",
                    format!("does not fit {bits} bits"),
                    "write the raw bits, as wide as the register",
                );
            } else {
                let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                sentinels.push(Sentinel { pattern: raw as u64 & mask, reason });
            }
        }
        entry.finish(report);
    }
    sentinels
}

/// What a register feeds; `number` stands in for the `#` of its names.
fn read_feeds(report: &mut Report<'_>, table: &mut Fields<'_>, number: Option<i64>) -> Feeds {
    let metric = read_metric(report, table, number);
    let fallback = table.flag(report, "fallback").unwrap_or(false);
    let identity = table.word(report, "identity", IDENTITIES);
    let alarms = table.has("alarms").then(|| read_alarms(report, table, number));
    let clock = table.word(report, "clock", CLOCKS);
    let count = [metric.is_some(), identity.is_some(), alarms.is_some(), clock.is_some()];
    let count = count.into_iter().filter(|feeds| *feeds).count();
    if count > 1 {
        let line = table.line;
        let remedy = "keep one of `metric`, `identity`, `alarms` and `clock`; list the address twice for two uses";
        report.add(line, &table.path, "feeds more than one thing", remedy);
    }
    if fallback && metric.is_none() {
        table.wrong(report, "fallback", "is of no use without `metric`", "remove it");
    }
    match (metric, identity, alarms, clock) {
        (Some(metric), ..) => Feeds::Metric { metric, fallback },
        (_, Some(identity), ..) => Feeds::Identity(identity),
        (_, _, Some(alarms), _) => Feeds::Alarms(alarms),
        (.., Some(form)) => Feeds::Clock(form),
        _ => Feeds::Others,
    }
}

fn read_metric(report: &mut Report<'_>, table: &mut Fields<'_>, number: Option<i64>) -> Option<Metric> {
    let name = numbered(&table.text(report, "metric")?, number);
    Metric::named(&name)
        .map_err(|error| table.wrong(report, "metric", error.to_string(), "docs/device-profiles.md lists the metrics"))
        .ok()
}

/// A name with the number of a repeated register in the place of its `#`.
fn numbered(name: &str, number: Option<i64>) -> String {
    number.map_or_else(|| name.to_owned(), |number| name.replace('#', &number.to_string()))
}

fn read_alarms(report: &mut Report<'_>, table: &mut Fields<'_>, number: Option<i64>) -> Vec<AlarmBit> {
    let severities: Vec<_> = Severity::ALL.iter().map(|&severity| (severity.word(), severity)).collect();
    let mut alarms = Vec::new();
    for mut alarm in table.tables(report, "alarms") {
        let name = alarm.text(report, "name").map(|name| numbered(&name, number));
        let name = alarm.require(report, "name", name);
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            alarm.wrong(report, "name", "is no name", "write a-z, 0-9, _ and -, at most 48; # in a repeated register");
        }
        let severity = alarm.word(report, "severity", &severities);
        let severity = alarm.require(report, "severity", severity);
        let bit: Option<u32> = alarm.integer(report, "bit", 0..=31);
        let when = match (bit, read_test(report, &mut alarm)) {
            (Some(bit), None) => Some(AlarmWhen::Bit(bit)),
            (None, Some(test)) => Some(AlarmWhen::Number(test)),
            _ => {
                alarm.wrong(report, "bit", "needs one of `bit`, `is` and `not`", "write `bit = 0` or `is = 7`");
                None
            }
        };
        alarm.finish(report);
        if let (Some(name), Some(severity), Some(when)) = (name, severity, when) {
            alarms.push(AlarmBit { name, severity, when });
        }
    }
    alarms
}

fn read_computed(report: &mut Report<'_>, mut table: Fields<'_>, names: &Names) -> Option<Computed> {
    let known = table.has("metric");
    let metric = read_metric(report, &mut table, None);
    if !known {
        table.require(report, "metric", metric);
    }
    let operation = table.word(report, "operation", OPERATIONS);
    let operation = table.require(report, "operation", operation);
    let from = table.texts(report, "from");
    let from = table.require(report, "from", from);
    let resolution = table.decimal(report, "resolution");
    let resolution = table.require(report, "resolution", resolution);
    let fallback = table.flag(report, "fallback").unwrap_or(false);
    let indices = indices(report, &table, "from", &from.unwrap_or_default(), names);
    let line = table.line;
    table.finish(report);
    Some(Computed { line, metric: metric?, operation: operation?, from: indices, resolution: resolution?, fallback })
}
