//! What `check` says of a configuration without mistakes: which requests each device costs, how
//! often, how long they take, and whether its bus has the time for them.

mod overload;
#[cfg(test)]
mod tests;
mod text;

use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Confidence, Function, Profile};
use serde::Serialize;

use crate::config::{Bus, Config, Device, Link, Priority};
use crate::plan::wire::Line;
use crate::plan::{Block, Cadence, Cycle, Layout, ROUND_TRIP, THINKING};
use crate::write;

/// Where the models of a SunSpec device are taken to stand while nobody has asked it.
const MODELS_FROM: u16 = 40_002;
/// How long each of them is taken to be, in registers.
const MODEL_LENGTH: u16 = 200;

/// The outcome of `check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What must be mended before the gateway starts.
    pub problems: Vec<Problem>,
    /// What it would do.
    pub buses: Vec<BusReport>,
    /// What is worth knowing, and wrong with nothing.
    pub notes: Vec<String>,
}

/// What a bus has to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BusReport {
    /// Its id.
    pub id: String,
    /// `tcp`, `rtu-tcp` or `rtu`.
    pub kind: &'static str,
    /// Speed, parity and stop bits of a serial line, such as `9600 8N1`.
    pub line: Option<String>,
    /// Requests a second.
    pub requests_per_s: f64,
    /// How long each device is taken to need for an answer; on a socket that is the whole request.
    pub answer_s: f64,
    /// Share of the time that the bus is busy if they do.
    pub load: f64,
    /// Share of the time that the serial line is busy if they answer at once; `null` on a socket,
    /// where the time of a request is the device's own.
    pub least_load: Option<f64>,
    /// How long a device waits for its turn.
    pub wait: Wait,
    /// What silence costs.
    pub silence: Silence,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
}

/// The longest that a device of the highest priority waits while all others answer: for the others
/// of that priority, and for a poll of lower priority that has begun.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    /// That priority; `null` without devices.
    pub priority: Option<&'static str>,
    /// How long.
    pub longest_s: f64,
}

/// How long devices that give no answer keep their bus waiting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Silence {
    /// One of them each time it is asked, at the most: its time-out, again with each retry.
    pub one_s: f64,
    /// All of them one after another, the first time.
    pub all_s: f64,
}

/// What a device asks of its bus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceReport {
    /// Its id.
    pub id: String,
    /// Modbus address.
    pub unit: u8,
    /// Its profile.
    pub profile: String,
    /// How sure the profile is of its registers.
    pub confidence: Confidence,
    /// Whether the addresses are only known once the device was asked; those below are assumed.
    pub discovered: bool,
    /// How often it is polled, in seconds.
    pub interval_s: f64,
    /// Whether it goes first where several are due.
    pub priority: &'static str,
    /// Its share of the bus, as [`BusReport::load`].
    pub load: f64,
    /// Its share of the line, as [`BusReport::least_load`].
    pub least_load: Option<f64>,
    /// Its requests, the most frequent first.
    pub cycles: Vec<CycleReport>,
}

/// Requests that are made together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CycleReport {
    /// How often, in seconds; `null`: once, when the device is reached.
    pub every_s: Option<f64>,
    /// How long they take if the device needs [`BusReport::answer_s`] for each.
    pub likely_s: f64,
    /// How long they occupy the serial line at the least; `null` on a socket.
    pub least_s: Option<f64>,
    /// The share of the bus, as [`BusReport::load`].
    pub load: f64,
    /// The share of the line, as [`BusReport::least_load`].
    pub least_load: Option<f64>,
    /// The requests.
    pub blocks: Vec<BlockReport>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockReport {
    /// Which registers.
    pub function: Function,
    /// Unit id where it is not the device's own.
    pub unit: Option<u8>,
    /// PDU address of the first.
    pub start: u16,
    /// PDU address of the last.
    pub end: u16,
    /// How many.
    pub registers: u16,
    /// How many of them are read over.
    pub unused: u32,
    /// How long it occupies the serial line at the least; `null` on a socket.
    pub least_s: Option<f64>,
}

impl Report {
    /// The report on a configuration, or on the mistakes in it.
    pub fn new(config: Result<&Config, &[Problem]>, file: &str) -> Self {
        let config = match config {
            Ok(config) => config,
            Err(problems) => return Report { problems: problems.to_vec(), buses: Vec::new(), notes: Vec::new() },
        };
        let buses: Vec<_> =
            config.buses.iter().enumerate().map(|(index, bus)| BusReport::new(config, index, bus)).collect();
        let problems = buses.iter().filter_map(|bus| overload::problem(bus, file)).collect();
        let mut notes: Vec<String> = buses.iter().filter_map(overload::note).collect();
        if config.mqtt.listen.is_some() {
            notes.push("mqtt.listen is set, but this version has no broker yet".to_owned());
        }
        notes.extend(write::told(config));
        if config.devices.is_empty() {
            notes.push("there is no [[device]]: the gateway will run and poll nothing".to_owned());
        }
        Report { problems, buses, notes }
    }
}

impl BusReport {
    fn new(config: &Config, index: usize, bus: &Bus) -> Self {
        let own: Vec<&Device> = config.devices.iter().filter(|device| device.bus == index).collect();
        let devices: Vec<_> = own.iter().map(|device| DeviceReport::new(config, device)).collect();
        let cycles = || devices.iter().flat_map(|device| &device.cycles);
        let silence = |device: &&Device| config.timeout(device) * (1 + u32::from(config.retries(device)));
        let silences: Vec<f64> = own.iter().map(|device| silence(device).as_secs_f64()).collect();
        let serial = bus.link.serial();
        let answer = if matches!(bus.link, Link::Tcp { .. }) { ROUND_TRIP } else { THINKING };
        BusReport {
            id: bus.id.clone(),
            kind: bus.link.word(),
            line: serial.map(text::serial),
            requests_per_s: sum(cycles().filter_map(|cycle| Some(cycle.blocks.len() as f64 / cycle.every_s?))),
            answer_s: answer.as_secs_f64(),
            load: sum(devices.iter().map(|device| device.load)),
            least_load: serial.map(|_| sum(devices.iter().filter_map(|device| device.least_load))),
            wait: Wait::new(own.iter().map(|device| device.priority).min(), &devices),
            silence: Silence { one_s: silences.iter().copied().fold(0.0, f64::max), all_s: sum(silences) },
            devices,
        }
    }
}

impl Wait {
    fn new(highest: Option<Priority>, devices: &[DeviceReport]) -> Self {
        let priority = highest.map(Priority::word);
        let (first, others): (Vec<_>, Vec<_>) = devices.iter().partition(|device| Some(device.priority) == priority);
        let polls =
            |devices: &[&DeviceReport]| -> Vec<f64> { devices.iter().map(|device| device.longest_poll_s()).collect() };
        let shortest = polls(&first).into_iter().reduce(f64::min).unwrap_or(0.0);
        let begun = polls(&others).into_iter().fold(0.0, f64::max);
        Wait { priority, longest_s: sum(polls(&first).into_iter().chain([begun, -shortest])) }
    }
}

impl DeviceReport {
    fn new(config: &Config, device: &Device) -> Self {
        let layout = assumed_layout(&device.profile);
        let line = Line::of(config, device);
        let cycles = Cycle::all(config, device, &layout);
        let cycles: Vec<_> = cycles.into_iter().map(|cycle| CycleReport::new(cycle, &layout, line.as_ref())).collect();
        DeviceReport {
            id: device.id.clone(),
            unit: device.unit,
            profile: device.profile.name.clone(),
            confidence: device.profile.confidence,
            discovered: device.profile.discovery.is_some(),
            interval_s: device.interval.as_secs_f64(),
            priority: device.priority.word(),
            load: sum(cycles.iter().map(|cycle| cycle.load)),
            least_load: line.map(|_| sum(cycles.iter().filter_map(|cycle| cycle.least_load))),
            cycles,
        }
    }

    /// How long a poll takes at which everything is due.
    fn longest_poll_s(&self) -> f64 {
        sum(self.cycles.iter().map(|cycle| cycle.likely_s))
    }
}

impl CycleReport {
    fn new(cycle: Cycle, layout: &Layout, line: Option<&Line>) -> Self {
        let block = |block: &Block| BlockReport::new(block, cycle.cadence, layout, line);
        CycleReport {
            every_s: cycle.every.map(|every| every.as_secs_f64()),
            likely_s: cycle.likely.as_secs_f64(),
            least_s: cycle.least.map(|least| least.as_secs_f64()),
            load: cycle.load(),
            least_load: cycle.least_load(),
            blocks: cycle.blocks.iter().map(block).collect(),
        }
    }
}

impl BlockReport {
    fn new(block: &Block, cadence: Cadence, layout: &Layout, line: Option<&Line>) -> Self {
        BlockReport {
            function: block.function,
            unit: block.unit,
            start: block.start,
            end: (block.end() - 1) as u16,
            registers: block.count,
            unused: layout.unused(block, cadence),
            least_s: line.map(|line| line.request(block.function, block.count).as_secs_f64()),
        }
    }
}

/// A sum to the millionth: it ends as people write it.
fn sum(parts: impl IntoIterator<Item = f64>) -> f64 {
    (parts.into_iter().sum::<f64>() * 1e6).round() / 1e6
}

/// The layout of a device that has the first of the models in each area.
fn assumed_layout(profile: &Profile) -> Layout {
    if profile.discovery.is_none() {
        return Layout::fixed(profile);
    }
    let first = profile.areas.iter().filter_map(|area| area.models.first().copied());
    let starts = (0..).map(|place: u16| MODELS_FROM.saturating_add(place.saturating_mul(MODEL_LENGTH + 2)));
    let models: Vec<Model> = first.zip(starts).map(|(id, start)| Model { id, start, length: MODEL_LENGTH }).collect();
    Layout::discovered(profile, &models)
}
