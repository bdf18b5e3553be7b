//! What `check` says of a configuration without mistakes: how many requests each device costs, and
//! whether a serial line has the time for them.

use std::fmt;
use std::time::Duration;

use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Confidence, Profile};
use serde::Serialize;

use crate::bus::SLOW_EVERY;
use crate::config::{Bus, Config, Device};
use crate::plan::wire::Line;
use crate::plan::{Block, Cadence, Cost, Layout};
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
    /// Share of the time that the serial line is occupied at the least; `null` on a socket, where
    /// the time of a request is the device's own.
    pub load: Option<f64>,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
}

/// What a poll of a device costs.
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
    /// How often it is polled, in seconds.
    pub interval_s: f64,
    /// Requests of a poll.
    pub blocks: usize,
    /// Registers that they read.
    pub registers: u32,
    /// How long they occupy the serial line at the least, in seconds; `null` on a socket.
    pub wire_s: Option<f64>,
    /// That time as a share of the interval.
    pub share: Option<f64>,
    /// Whether the addresses are only known once the device was asked.
    pub discovered: bool,
}

impl Report {
    /// The report on a configuration, or on the mistakes in it.
    pub fn new(config: Result<&Config, &[Problem]>, file: &str) -> Self {
        let config = match config {
            Ok(config) => config,
            Err(problems) => return Report { problems: problems.to_vec(), buses: Vec::new(), notes: Vec::new() },
        };
        let buses: Vec<_> =
            config.buses.iter().enumerate().map(|(index, bus)| bus_report(config, index, bus)).collect();
        let problems = buses.iter().filter_map(|bus| overload(bus, file)).collect();
        let mut notes = Vec::new();
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

fn bus_report(config: &Config, index: usize, bus: &Bus) -> BusReport {
    let own = config.devices.iter().filter(|device| device.bus == index);
    let reports: Vec<(DeviceReport, Option<f64>)> = own.map(|device| device_report(config, bus, device)).collect();
    let load = bus.link.serial().map(|_| reports.iter().filter_map(|(_, load)| *load).sum());
    let devices = reports.into_iter().map(|(report, _)| report).collect();
    BusReport { id: bus.id.clone(), kind: bus.link.word(), load, devices }
}

/// The report on a device, and the load that it is to a serial line, slow registers included.
fn device_report(config: &Config, bus: &Bus, device: &Device) -> (DeviceReport, Option<f64>) {
    let layout = assumed_layout(&device.profile);
    let cost = Cost::of(config, device);
    let fast = layout.blocks(Cadence::Fast, &cost);
    let line = bus.link.serial().map(|serial| Line::new(serial, config.quiet(device).max(bus.gap)));
    let share =
        |blocks: &[Block], every: Duration| line.map(|line| line.cycle(blocks).as_secs_f64() / every.as_secs_f64());
    let slow = layout.blocks(Cadence::Slow, &cost);
    let fast_share = share(&fast, device.interval);
    let load = fast_share.zip(share(&slow, SLOW_EVERY.max(device.interval))).map(|(fast, slow)| fast + slow);
    let report = DeviceReport {
        id: device.id.clone(),
        unit: device.unit,
        profile: device.profile.name.clone(),
        confidence: device.profile.confidence,
        interval_s: device.interval.as_secs_f64(),
        blocks: fast.len(),
        registers: fast.iter().map(|block| u32::from(block.count)).sum(),
        wire_s: line.map(|line| line.cycle(&fast).as_secs_f64()),
        share: fast_share,
        discovered: device.profile.discovery.is_some(),
    };
    (report, load)
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

/// A line that needs more time than there is.
fn overload(bus: &BusReport, file: &str) -> Option<Problem> {
    let load = bus.load.filter(|load| *load > 1.0)?;
    Some(Problem {
        file: file.to_owned(),
        line: None,
        key: format!("bus.{}", bus.id),
        message: format!("the line would need {load:.2} s of every second"),
        remedy: "poll less often, raise baud, or move devices to another line".to_owned(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for bus in &self.buses {
            let load = bus.load.map(|load| format!(", at least {:.0} % busy", load * 100.0)).unwrap_or_default();
            writeln!(f, "bus {} ({}): {}{load}", bus.id, bus.kind, count(bus.devices.len() as u32, "device"))?;
            for device in &bus.devices {
                let DeviceReport { id, unit, profile, confidence, interval_s, blocks, registers, .. } = device;
                write!(
                    f,
                    "  {id} unit {unit}, {profile} ({} confidence): {registers} registers in {blocks} requests every {interval_s} s",
                    confidence.word()
                )?;
                if let (Some(wire_s), Some(share)) = (device.wire_s, device.share) {
                    write!(f, ", {:.0} ms on the wire ({:.0} %)", wire_s * 1_000.0, share * 100.0)?;
                }
                f.write_str(if device.discovered { ", addresses found when it is reached\n" } else { "\n" })?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        match self.problems.len() {
            0 => f.write_str("no problems"),
            problems => f.write_str(&count(problems as u32, "problem")),
        }
    }
}

/// `1 device`, `2 devices`.
fn count(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Overrides, parse};

    fn report(interval: &str, baud: u32) -> Report {
        let text = format!(
            r#"
[mqtt]
listen = "127.0.0.1:1883"
[[bus]]
id = "wire"
kind = "rtu"
port = "/dev/ttyUSB0"
baud = {baud}
[[bus]]
id = "lan"
kind = "tcp"
address = "10.0.0.1"
[[device]]
id = "meter-1"
bus = "wire"
profile = "eastron-sdm630"
interval = "{interval}"
[[device]]
id = "turbine-1"
bus = "lan"
profile = "sunspec-inverter"
unit = 1
"#
        );
        let config = parse(&text, "edge.toml", Path::new(""), &Overrides::default()).unwrap();
        Report::new(Ok(&config), "edge.toml")
    }

    #[test]
    fn a_line_is_measured_against_its_intervals() {
        let report = report("1s", 9_600);
        let [wire, lan] = &report.buses[..] else { panic!("two buses") };
        let meter = &wire.devices[0];
        // At 9,600 8N1 a character takes 1.04 ms; the meter's 80 registers in one request would be 165 + 8
        // of them and 7 of silence, but a request less than that reads fewer unused ones.
        let wire_s = meter.wire_s.unwrap();
        assert!((0.1..0.17).contains(&wire_s), "{wire_s}");
        assert_eq!((meter.share, meter.registers > 30), (Some(wire_s), true));
        assert!(wire.load.unwrap() >= wire_s);
        assert_eq!((lan.load, lan.devices[0].wire_s, lan.devices[0].discovered), (None, None, true));
        assert!(lan.devices[0].registers > 10, "SunSpec models are taken to be there");
        assert_eq!(report.problems, []);
        assert!(report.notes[0].contains("no broker yet"));
        let text = report.to_string();
        assert!(text.contains("eastron-sdm630 (high confidence)") && text.ends_with("no problems"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["buses"][0]["devices"][0]["confidence"], "high");
    }

    #[test]
    fn a_line_without_time_is_a_problem() {
        let report = report("200ms", 1_200);
        assert_eq!(report.problems.len(), 1);
        assert_eq!(report.problems[0].key, "bus.wire");
        assert!(report.to_string().ends_with("1 problem"));
    }
}
