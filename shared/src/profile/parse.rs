//! Reads a profile file: its head, link, discovery and areas.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml_edit::Document;

use super::check::check;
use super::fields::{Fields, Report, is_name};
use super::model::*;
use super::register::{self, KINDS, Sentinels};
use super::write::read_writes;
use crate::problem::{Problem, line_at};
use crate::words::DeviceType;

pub(super) const CONFIDENCES: &[(&str, Confidence)] =
    &[("high", Confidence::High), ("medium", Confidence::Medium), ("low", Confidence::Low)];
pub(super) const PARITIES: &[(&str, Parity)] = &[("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("holding", Function::Holding),
    ("input", Function::Input),
    ("coil", Function::Coil),
    ("discrete", Function::Discrete),
];
pub(super) const POLLS: &[(&str, Poll)] =
    &[("fast", Poll::Fast), ("slow", Poll::Slow), ("once", Poll::Once), ("demand", Poll::Demand)];

/// How often registers are read: their class, and a pace of their own.
pub(super) type Cadence = (Poll, Option<Duration>);

impl Function {
    /// The function that a profile calls so.
    pub fn named(word: &str) -> Option<Function> {
        FUNCTIONS.iter().find(|(known, _)| *known == word).map(|&(_, function)| function)
    }
}

/// Reads and checks a profile. Its name is that of the file, without folder and ending.
///
/// # Errors
/// All mistakes of the file, in order of line.
pub fn parse(file_name: &str, text: &str) -> Result<Profile, Vec<Problem>> {
    let document = Document::parse(text).map_err(|error| {
        vec![Problem {
            file: file_name.to_owned(),
            line: error.span().map(|span| line_at(text, span.start)),
            key: String::new(),
            message: format!("is no TOML: {}", error.message()),
            remedy: "correct the line; https://toml.io shows the syntax".to_owned(),
        }]
    })?;
    let mut report = Report::new(file_name, text);
    let mut top = Fields::new(document.as_table(), String::new(), 1);
    let profile = read_profile(&mut report, file_name, &mut top);
    top.finish(&mut report);
    match profile {
        Some(profile) => {
            check(&profile, &mut report);
            if report.is_clean() { Ok(profile) } else { Err(report.finish()) }
        }
        None => Err(report.finish()),
    }
}

/// The profile, with its mistakes reported; `None` where they leave nothing to check further.
fn read_profile(report: &mut Report<'_>, file_name: &str, top: &mut Fields<'_>) -> Option<Profile> {
    let name = Path::new(file_name).file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_name(stem));
    if name.is_none() {
        report.add(1, "", "the file's name is no profile name", "name it like maker-model.toml, in lower case");
    }
    let format: Option<i64> = top.integer(report, "format", FORMAT..=FORMAT);
    top.require(report, "format", format);
    let manufacturer = top.text(report, "manufacturer");
    let model = top.text(report, "model");
    let types: Vec<_> = DeviceType::ALL.iter().map(|&device| (device.word(), device)).collect();
    let device = top.word(report, "device", &types);
    let kind = top.name(report, "kind");
    let confidence = top.word(report, "confidence", CONFIDENCES);
    let sources = top.texts(report, "sources");
    let link = top.table(report, "link").map(|table| read_link(report, table)).unwrap_or_default();
    let discovery = match top.table(report, "discovery") {
        Some(table) => read_discovery(report, table),
        None => None,
    };
    let sentinels = match top.table(report, "sentinels") {
        Some(table) => read_sentinels(report, table),
        None => Sentinels::new(),
    };
    let areas = read_areas(report, top, &sentinels);
    let writes = read_writes(report, top, &areas, discovery.is_some());
    Some(Profile {
        name: name?.to_owned(),
        manufacturer: top.require(report, "manufacturer", manufacturer).unwrap_or_default(),
        model: top.require(report, "model", model).unwrap_or_default(),
        device: top.require(report, "device", device).unwrap_or(DeviceType::Sensor),
        kind,
        confidence: top.require(report, "confidence", confidence).unwrap_or(Confidence::Low),
        sources: top.require(report, "sources", sources).unwrap_or_default(),
        link,
        discovery,
        areas,
        writes,
    })
}

fn read_link(report: &mut Report<'_>, mut table: Fields<'_>) -> Link {
    let link = Link {
        unit: table.integer(report, "unit", 0..=255),
        baud: table.integer(report, "baud", 300..=1_000_000),
        parity: table.word(report, "parity", PARITIES),
        stop_bits: table.integer(report, "stop_bits", 1..=2),
        quiet: table.duration(report, "quiet", Duration::ZERO..=QUIET_MAX),
        timeout: table.duration(report, "timeout", TIMEOUT),
        retries: table.integer(report, "retries", 0..=RETRIES_MAX.into()),
        one_request: table.flag(report, "one_request").unwrap_or(false),
    };
    table.finish(report);
    link
}

fn read_discovery(report: &mut Report<'_>, mut table: Fields<'_>) -> Option<Discover> {
    let kind = table.word(report, "kind", &[("sunspec", ())]);
    table.require(report, "kind", kind);
    let bases = table.integers(report, "bases");
    let bases = table.require(report, "bases", bases).map(|bases| {
        let addresses: Vec<u16> = bases.iter().filter_map(|&base| u16::try_from(base).ok()).collect();
        if addresses.len() != bases.len() {
            table.wrong(report, "bases", "holds a number that is no address", "write PDU addresses from 0 to 65535");
        }
        addresses
    });
    let function = table.word(report, "function", FUNCTIONS);
    let function = table.require(report, "function", function);
    table.finish(report);
    Some(Discover { bases: bases?, function: function? })
}

/// The sentinels of the whole device, by type.
fn read_sentinels(report: &mut Report<'_>, mut table: Fields<'_>) -> Sentinels {
    let mut sentinels = Sentinels::new();
    for &(word, kind) in KINDS {
        if !kind.is_text() && table.has(word) {
            sentinels.insert(word, register::read_sentinel_list(report, &mut table, word, kind));
        }
    }
    table.finish(report);
    sentinels
}

fn read_areas(report: &mut Report<'_>, top: &mut Fields<'_>, sentinels: &Sentinels) -> Vec<Area> {
    let tables = top.tables(report, "area");
    if tables.is_empty() {
        top.wrong(report, "area", "is missing or empty", "add an [[area]] with its registers");
    } else if tables.len() > AREAS_MAX {
        let message = format!("has {} entries", tables.len());
        top.wrong(report, "area", message, format!("keep to {AREAS_MAX} areas"));
        return Vec::new();
    }
    let mut lines = HashMap::new();
    let mut areas = Vec::with_capacity(tables.len());
    for mut table in tables {
        let area = read_area(report, &mut table, sentinels);
        if let Some(first) = lines.insert(area.name.clone(), table.line) {
            table.wrong(report, "name", format!("is also the name of the area in line {first}"), "choose another name");
        }
        table.finish(report);
        areas.push(area);
    }
    areas
}

fn read_area(report: &mut Report<'_>, table: &mut Fields<'_>, sentinels: &Sentinels) -> Area {
    let name = table.name(report, "name");
    let name = table.require(report, "name", name).unwrap_or_else(|| table.path.clone());
    let (function, other_function) = read_functions(report, table);
    let unit = table.integer(report, "unit", 0..=255);
    let models = match table.integers(report, "models") {
        Some(models) => read_models(report, table, &models),
        None => Vec::new(),
    };
    let one_of = table.name(report, "one_of");
    let most = i64::from(REGISTERS_PER_REQUEST_MAX);
    let registers_max = table.integer(report, "registers_max", 1..=most).unwrap_or(REGISTERS_PER_REQUEST_MAX);
    let gap_max = table.integer(report, "gap_max", 0..=most).unwrap_or(0);
    let stride: u16 = table.integer(report, "stride", 1..=16).unwrap_or(1);
    let alone = table.flag(report, "alone").unwrap_or(false) || stride != 1;
    let forbidden = read_ranges(report, table);
    let cadence = read_cadence(report, table).unwrap_or((Poll::Fast, None));
    let (registers, computed) = register::read_registers(report, table, cadence, sentinels);
    Area {
        name,
        function,
        other_function,
        unit,
        models,
        one_of,
        registers_max,
        gap_max,
        alone,
        forbidden,
        registers,
        computed,
    }
}

/// The function to read with, and the one for devices that do not know it.
fn read_functions(report: &mut Report<'_>, table: &mut Fields<'_>) -> (Function, Option<Function>) {
    let functions = table.words(report, "function", FUNCTIONS);
    match table.require(report, "function", functions).as_deref() {
        None => (Function::Holding, None),
        Some(&[function]) => (function, None),
        Some(&[first, other]) if first != other && first.reads_bits() == other.reads_bits() => (first, Some(other)),
        Some(_) => {
            let remedy = "write one function, [\"input\", \"holding\"] or [\"discrete\", \"coil\"]";
            table.wrong(report, "function", "is no choice between two functions that read alike", remedy);
            (Function::Holding, None)
        }
    }
}

/// How often registers are read, where the table says so.
pub(super) fn read_cadence(report: &mut Report<'_>, table: &mut Fields<'_>) -> Option<Cadence> {
    let poll = table.word(report, "poll", POLLS);
    let every = table.duration(report, "every", EVERY);
    if poll.is_some() && every.is_some() {
        table.wrong(report, "every", "stands beside `poll`", "keep `every` for a pace of its own, or `poll`");
    }
    every.map(|every| (Poll::Slow, Some(every))).or(poll.map(|poll| (poll, None)))
}

pub(super) fn read_models(report: &mut Report<'_>, table: &Fields<'_>, numbers: &[i64]) -> Vec<u16> {
    let models: Vec<u16> =
        numbers.iter().filter_map(|&id| u16::try_from(id).ok()).filter(|&id| id != super::sunspec::END).collect();
    if models.len() != numbers.len() {
        table.wrong(report, "models", "holds a number that is no model", "write SunSpec model ids from 0 to 65534");
    }
    models
}

fn read_ranges(report: &mut Report<'_>, table: &mut Fields<'_>) -> Vec<RangeInclusive<u16>> {
    let mut ranges = Vec::new();
    for mut range in table.tables(report, "forbidden") {
        let from: Option<u16> = range.integer(report, "from", 0..=65_535);
        let to: Option<u16> = range.integer(report, "to", 0..=65_535);
        let from = range.require(report, "from", from);
        let to = range.require(report, "to", to);
        if let (Some(from), Some(to)) = (from, to) {
            if from > to {
                range.wrong(report, "to", "lies before `from`", "write the first address, then the last");
            }
            ranges.push(from..=to);
        }
        range.finish(report);
    }
    ranges
}
