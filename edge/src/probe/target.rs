//! What is probed: a bus named by arguments or by `edge.toml`, and the devices that are known there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::{self, Profile};
use riverwatts_shared::time::parse_duration;

use super::ProbeError;
use super::section::quoted;
use crate::config::{self, Bus, Config, Device, Link, Overrides};

/// Pause before each request on a line, also behind a device server, where nobody knows yet what its devices need.
const QUIET_LINE: Duration = Duration::from_millis(20);
/// The same on a socket.
const QUIET_SOCKET: Duration = Duration::from_millis(5);
/// The configuration of an installed gateway.
const CONFIG: &str = "/etc/riverwatts/edge.toml";
/// Unit that is asked unless another is named.
const UNIT: u8 = 1;

/// Where to probe: one of `--tcp`, `--rtu`, `--rtu-tcp`, or a bus of a configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// A Modbus TCP device or gateway; the port is 502 unless given.
    #[arg(long, value_name = "HOST[:PORT]", global = true, help_heading = "Where")]
    pub tcp: Option<String>,
    /// A serial port, like /dev/ttyUSB0.
    #[arg(long, value_name = "PORT", global = true, help_heading = "Where")]
    pub rtu: Option<String>,
    /// RTU frames over a socket: a serial device server.
    #[arg(long, value_name = "HOST:PORT", global = true, help_heading = "Where")]
    pub rtu_tcp: Option<String>,
    /// Speed of the serial line, bit/s; 9600 unless given.
    #[arg(long, global = true, help_heading = "Where")]
    pub baud: Option<u32>,
    /// Parity of the serial line: none, even or odd.
    #[arg(long, global = true, help_heading = "Where")]
    pub parity: Option<String>,
    /// Stop bits of the serial line, 1 or 2.
    #[arg(long, global = true, help_heading = "Where")]
    pub stop_bits: Option<u8>,
    /// Take bus, devices and profiles from this configuration.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Where")]
    pub config: Option<PathBuf>,
    /// A bus of the configuration.
    #[arg(long, value_name = "ID", global = true, help_heading = "Where")]
    pub bus: Option<String>,
    /// A device of the configuration; its bus, unit and profile are used.
    #[arg(long, value_name = "ID", global = true, help_heading = "Where")]
    pub device: Option<String>,
    /// Modbus address of the device; 1 unless given.
    #[arg(long, short = 'u', global = true, help_heading = "Where")]
    pub unit: Option<u8>,
    /// How long an answer may take, like 500ms.
    #[arg(long, value_parser = duration, global = true, help_heading = "How")]
    pub timeout: Option<Duration>,
    /// Silence before each request, like 50ms.
    #[arg(long, value_parser = duration, global = true, help_heading = "How")]
    pub quiet: Option<Duration>,
}

/// A duration as settings write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// A bus to probe.
#[derive(Debug, Clone)]
pub struct Target {
    /// The configuration that the bus is part of; one of our own where none was named.
    pub config: Config,
    /// Index of the bus in it.
    pub bus: usize,
    /// The file, where one was named.
    pub file: Option<PathBuf>,
    /// The configured devices that are meant: the one that was named, or all of the bus.
    pub devices: Vec<Device>,
    /// The unit that is meant where it is one.
    pub unit: u8,
    /// Silence before each request.
    pub quiet: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The time-out that was asked for.
    pub asked_timeout: Option<Duration>,
}

impl Target {
    /// Finds the bus.
    ///
    /// # Errors
    /// When the arguments contradict each other, name nothing, or the configuration has mistakes.
    pub fn find(place: &Place, overrides: &Overrides) -> Result<Target, ProbeError> {
        let from_file = place.config.is_some() || place.bus.is_some() || place.device.is_some();
        let named = [place.tcp.is_some(), place.rtu.is_some(), place.rtu_tcp.is_some(), from_file];
        if named.iter().filter(|named| **named).count() != 1 {
            let remedy = "name one of --tcp HOST, --rtu PORT, --rtu-tcp HOST:PORT and --config FILE --bus ID";
            return Err(ProbeError::Usage(format!("where is the device? {remedy}")));
        }
        if place.rtu.is_none() && (place.baud.is_some() || place.parity.is_some() || place.stop_bits.is_some()) {
            return Err(ProbeError::Usage("--baud, --parity and --stop-bits go with --rtu".to_owned()));
        }
        let (config, bus) = if from_file { Self::of_file(place, overrides)? } else { (Self::of_arguments(place)?, 0) };
        let meant = |device: &&Device| match &place.device {
            Some(id) => device.id == *id,
            None => device.bus == bus,
        };
        let devices: Vec<Device> = config.devices.iter().filter(meant).cloned().collect();
        let one = devices.first().filter(|_| place.device.is_some());
        let least = if matches!(config.buses[bus].link, Link::Tcp { .. }) { QUIET_SOCKET } else { QUIET_LINE };
        let configured = one.map_or(config.buses[bus].quiet, |device| config.quiet(device));
        let timeout = one.map_or(config.buses[bus].timeout.unwrap_or(Bus::TIMEOUT), |device| config.timeout(device));
        Ok(Target {
            unit: place.unit.or(one.map(|device| device.unit)).unwrap_or(UNIT),
            quiet: place.quiet.unwrap_or(configured.max(least)),
            timeout: place.timeout.unwrap_or(timeout),
            asked_timeout: place.timeout,
            file: from_file.then(|| place.config.clone().unwrap_or_else(|| CONFIG.into())),
            config,
            bus,
            devices,
        })
    }

    fn of_file(place: &Place, overrides: &Overrides) -> Result<(Config, usize), ProbeError> {
        let file = place.config.clone().unwrap_or_else(|| CONFIG.into());
        let config = config::load(&file, overrides).map_err(ProbeError::Config)?;
        let known = |ids: Vec<&str>| if ids.is_empty() { "it has none".to_owned() } else { ids.join(", ") };
        let buses = || known(config.buses.iter().map(|bus| bus.id.as_str()).collect());
        if let Some(id) = &place.device {
            let devices = || known(config.devices.iter().map(|device| device.id.as_str()).collect());
            let device = config.devices.iter().find(|device| device.id == *id);
            let device = device.ok_or_else(|| {
                ProbeError::Usage(format!("{} has no device `{id}`; known: {}", file.display(), devices()))
            })?;
            if place.bus.as_ref().is_some_and(|bus| config.buses[device.bus].id != *bus) {
                let own = &config.buses[device.bus].id;
                return Err(ProbeError::Usage(format!("device `{id}` hangs on bus `{own}`; leave --bus out")));
            }
            let bus = device.bus;
            return Ok((config, bus));
        }
        let bus = match &place.bus {
            Some(id) => config.buses.iter().position(|bus| bus.id == *id),
            None if config.buses.len() == 1 => Some(0),
            None => return Err(ProbeError::Usage(format!("which bus? add --bus: {}", buses()))),
        };
        let missing = || {
            let id = place.bus.as_deref().unwrap_or_default();
            ProbeError::Usage(format!("{} has no bus `{id}`; known: {}", file.display(), buses()))
        };
        let bus = bus.ok_or_else(missing)?;
        Ok((config, bus))
    }

    /// A configuration with nothing but this bus, so that arguments are read as the file is.
    fn of_arguments(place: &Place) -> Result<Config, ProbeError> {
        let (kind, key, target) = match (&place.tcp, &place.rtu, &place.rtu_tcp) {
            (Some(address), ..) => ("tcp", "address", address),
            (_, Some(port), _) => ("rtu", "port", port),
            (.., address) => ("rtu-tcp", "address", address.as_ref().expect("one of them is there")),
        };
        let mut text = format!("[[bus]]\nid = \"{kind}-1\"\nkind = \"{kind}\"\n{key} = {}\n", quoted(target));
        let baud = place.baud.map(|baud| format!("baud = {baud}\n"));
        let parity = place.parity.as_ref().map(|parity| format!("parity = {}\n", quoted(parity)));
        let stop_bits = place.stop_bits.map(|bits| format!("stop_bits = {bits}\n"));
        text.extend([baud, parity, stop_bits].into_iter().flatten());
        config::parse(&text, "argument", Path::new(""), &Overrides::default()).map_err(|problems| {
            let told = |problem: &Problem| {
                let key = problem.key.rsplit('.').next().unwrap_or_default().replace('_', "-");
                let argument = if ["address", "port"].contains(&key.as_str()) { kind } else { &key };
                format!("--{argument}: {}; {}", problem.message, problem.remedy)
            };
            ProbeError::Usage(problems.iter().map(told).collect::<Vec<_>>().join("\n"))
        })
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.config.buses[self.bus]
    }

    /// The same place with another serial setting.
    pub fn with_bus(&self, bus: Bus) -> Target {
        let mut target = self.clone();
        target.config.buses[self.bus] = bus;
        target
    }

    /// Every profile that could be meant, those of the site first; faulty files are left to `check`.
    pub fn profiles(&self) -> Vec<Arc<Profile>> {
        let mut profiles: Vec<Arc<Profile>> = Vec::new();
        for folder in &self.config.profiles {
            for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !name.ends_with(".toml") || name.ends_with(".samples.toml") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).ok();
                profiles.extend(text.and_then(|text| profile::parse(name, &text).ok()).map(Arc::new));
            }
        }
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        for name in profile::builtin_names() {
            if profiles.iter().all(|known| known.name != name) {
                let text = profile::builtin(name).expect("it is built in");
                profiles.extend(profile::parse(&format!("{name}.toml"), text).ok().map(Arc::new));
            }
        }
        profiles
    }

    /// The profile with this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn profile(&self, name: &str) -> Result<Arc<Profile>, ProbeError> {
        let found = self.profiles().into_iter().find(|profile| profile.name == name);
        let near = || {
            let first = name.split('-').next().unwrap_or(name);
            let near = self.profiles().into_iter().filter(|profile| profile.name.contains(first));
            let near: Vec<_> = near.map(|profile| profile.name.clone()).collect();
            if near.is_empty() { "`guess` finds out which fits".to_owned() } else { near.join(", ") }
        };
        found.ok_or_else(|| ProbeError::Usage(format!("there is no profile `{name}`; known: {}", near())))
    }
}
