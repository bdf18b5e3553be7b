//! Reads the registers and computed values of one area.

use std::collections::HashMap;

use super::decimal::Decimal;
use super::fields::{Fields, Report};
use super::kind::{Kind, Order};
use super::model::*;
use super::parse::POLLS;
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
    ("f32", Kind::F32),
    ("f64", Kind::F64),
    ("bits16", Kind::Bits16),
    ("bits32", Kind::Bits32),
    ("text", Kind::Text(1)),
];

const ORDERS: &[(&str, Order)] = &[("high_first", Order::HighFirst), ("low_first", Order::LowFirst)];
const REASONS: &[(&str, Reason)] = &[
    ("not_implemented", Reason::NotImplemented),
    ("unavailable", Reason::Unavailable),
    ("over_range", Reason::OverRange),
    ("under_range", Reason::UnderRange),
    ("sensor_fault", Reason::SensorFault),
];
const IDENTITIES: &[(&str, Identity)] = &[
    ("manufacturer", Identity::Manufacturer),
    ("model", Identity::Model),
    ("serial_number", Identity::SerialNumber),
    ("firmware_version", Identity::FirmwareVersion),
    ("hardware_version", Identity::HardwareVersion),
];
const OPERATIONS: &[(&str, Operation)] =
    &[("sum", Operation::Sum), ("mean", Operation::Mean), ("max", Operation::Max), ("min", Operation::Min)];

/// The registers of an area by name, so that references become indices.
type Names = HashMap<String, usize>;

/// The registers and computed values of an area, references resolved.
pub(super) fn read_registers(
    report: &mut Report<'_>,
    area: &mut Fields<'_>,
    poll: Poll,
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
    for (index, table) in tables.iter_mut().enumerate() {
        let name = table.name(report, "name");
        let Some(name) = table.require(report, "name", name) else { continue };
        if let Some(first) = names.insert(name, index) {
            table.wrong(report, "name", format!("is also register {first} of this area"), "choose another name");
        }
    }
    let registers = tables.into_iter().map(|table| read_register(report, table, &names, poll, sentinels)).collect();
    let computed = computed.into_iter().filter_map(|table| read_computed(report, table, &names)).collect();
    (registers, computed)
}

fn read_register(
    report: &mut Report<'_>,
    mut table: Fields<'_>,
    names: &Names,
    poll: Poll,
    sentinels: &Sentinels,
) -> Register {
    let name = table.name(report, "name").unwrap_or_default();
    let at = table.integer(report, "at", 0..=65_535);
    let at = table.require(report, "at", at).unwrap_or(0);
    let words: Vec<_> = KINDS.iter().map(|&(word, kind)| (word, (word, kind))).collect();
    let kind = table.word(report, "type", &words);
    let (word, mut kind) = table.require(report, "type", kind).unwrap_or(("u16", Kind::U16));
    if kind.is_text() {
        let length = table.integer(report, "length", 1..=i64::from(STRING_REGISTERS_MAX));
        kind = Kind::Text(table.require(report, "length", length).unwrap_or(1));
    }
    let own = table.has("sentinels").then(|| read_sentinel_list(report, &mut table, "sentinels", kind));
    let register = Register {
        name,
        line: table.line,
        at,
        kind,
        word_order: table.word(report, "word_order", ORDERS).unwrap_or(Order::HighFirst),
        byte_order: table.word(report, "byte_order", ORDERS).unwrap_or(Order::HighFirst),
        poll: table.word(report, "poll", POLLS).unwrap_or(poll),
        scale: table.decimal(report, "scale").unwrap_or(Decimal::ONE),
        offset: table.decimal(report, "offset").unwrap_or(Decimal::ZERO),
        scale_from: reference(report, &mut table, "scale_from", names),
        sign_from: read_sign(report, &mut table, names),
        resolution: table.decimal(report, "resolution"),
        sentinels: own.unwrap_or_else(|| sentinels.get(word).cloned().unwrap_or_default()),
        valid_when: read_condition(report, &mut table, names),
        plausible: table.decimals(report, "plausible"),
        modulus: table.integer(report, "modulus", 2..=i64::MAX),
        optional: table.flag(report, "optional").unwrap_or(false),
        feeds: read_feeds(report, &mut table),
    };
    table.finish(report);
    register
}

/// The index of the register that a key names.
fn reference(report: &mut Report<'_>, table: &mut Fields<'_>, key: &'static str, names: &Names) -> Option<usize> {
    let name = table.name(report, key)?;
    let index = names.get(&name).copied();
    if index.is_none() {
        table.wrong(
            report,
            key,
            format!("names `{name}`, which is no register of this area"),
            "name a register of this area",
        );
    }
    index
}

fn read_sign(report: &mut Report<'_>, table: &mut Fields<'_>, names: &Names) -> Option<SignFrom> {
    let mut sign = table.table(report, "sign_from")?;
    let register = reference(report, &mut sign, "register", names);
    let register = sign.require(report, "register", register);
    let negative = sign.integers(report, "negative");
    let negative = sign.require(report, "negative", negative);
    sign.finish(report);
    Some(SignFrom { register: register?, negative: negative? })
}

fn read_condition(report: &mut Report<'_>, table: &mut Fields<'_>, names: &Names) -> Option<Condition> {
    let mut condition = table.table(report, "valid_when")?;
    let register = reference(report, &mut condition, "register", names);
    let register = condition.require(report, "register", register);
    let test = match (condition.integers(report, "is"), condition.integers(report, "not")) {
        (Some(numbers), None) => Some(Test::Is(numbers)),
        (None, Some(numbers)) => Some(Test::Not(numbers)),
        _ => {
            condition.wrong(report, "is", "needs one of `is` and `not`", "write `is = [1]` or `not = [0]`");
            None
        }
    };
    condition.finish(report);
    Some(Condition { register: register?, test: test? })
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

fn read_feeds(report: &mut Report<'_>, table: &mut Fields<'_>) -> Feeds {
    let metric = read_metric(report, table);
    let fallback = table.flag(report, "fallback").unwrap_or(false);
    let identity = table.word(report, "identity", IDENTITIES);
    let alarms = table.has("alarms").then(|| read_alarms(report, table));
    let count = usize::from(metric.is_some()) + usize::from(identity.is_some()) + usize::from(alarms.is_some());
    if count > 1 {
        let line = table.line;
        let remedy = "keep one of `metric`, `identity` and `alarms`; list the address twice for two uses";
        report.add(line, &table.path, "feeds more than one thing", remedy);
    }
    if fallback && metric.is_none() {
        table.wrong(report, "fallback", "is of no use without `metric`", "remove it");
    }
    match (metric, identity, alarms) {
        (Some(metric), ..) => Feeds::Metric { metric, fallback },
        (_, Some(identity), _) => Feeds::Identity(identity),
        (_, _, Some(alarms)) => Feeds::Alarms(alarms),
        _ => Feeds::Others,
    }
}

fn read_metric(report: &mut Report<'_>, table: &mut Fields<'_>) -> Option<Metric> {
    let name = table.text(report, "metric")?;
    Metric::named(&name)
        .map_err(|error| table.wrong(report, "metric", error.to_string(), "docs/device-profiles.md lists the metrics"))
        .ok()
}

fn read_alarms(report: &mut Report<'_>, table: &mut Fields<'_>) -> Vec<AlarmBit> {
    let severities: Vec<_> = Severity::ALL.iter().map(|&severity| (severity.word(), severity)).collect();
    let mut alarms = Vec::new();
    for mut alarm in table.tables(report, "alarms") {
        let name = alarm.name(report, "name");
        let name = alarm.require(report, "name", name);
        let severity = alarm.word(report, "severity", &severities);
        let severity = alarm.require(report, "severity", severity);
        let bit: Option<u32> = alarm.integer(report, "bit", 0..=31);
        let is: Option<i64> = alarm.integer(report, "is", i64::MIN..=i64::MAX);
        let when = match (bit, is) {
            (Some(bit), None) => Some(AlarmWhen::Bit(bit)),
            (None, Some(number)) => Some(AlarmWhen::Is(number)),
            _ => {
                alarm.wrong(report, "bit", "needs one of `bit` and `is`", "write `bit = 0` or `is = 7`");
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
    let metric = read_metric(report, &mut table);
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
    let mut indices = Vec::new();
    for name in from.unwrap_or_default() {
        match names.get(&name) {
            Some(&index) => indices.push(index),
            None => table.wrong(
                report,
                "from",
                format!("names `{name}`, which is no register of this area"),
                "name registers of this area",
            ),
        }
    }
    let line = table.line;
    table.finish(report);
    Some(Computed { line, metric: metric?, operation: operation?, from: indices, resolution: resolution?, fallback })
}
