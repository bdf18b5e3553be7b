//! The `[[bus]]` and `[[device]]` of `edge.toml`, written so that `check` takes them as they are.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverwatts_shared::profile::{Parity, Profile};
use riverwatts_shared::words::DeviceType;

use crate::check::Report;
use crate::config::{self, Bus, Link, Overrides, Rts};

/// Intervals to choose from.
const INTERVALS: [u64; 7] = [1, 2, 5, 10, 30, 60, 300];
/// Share of the time that a device may take of its bus at the most.
const SHARE_MAX: f64 = 0.5;

/// A device to be written down.
#[derive(Debug, Clone)]
pub struct NewDevice<'a> {
    /// Its key.
    pub id: &'a str,
    /// Its Modbus address.
    pub unit: u8,
    /// Its profile.
    pub profile: &'a Profile,
    /// How long reading it once took.
    pub cycle: Duration,
    /// Line that a person reads above it.
    pub remark: &'a str,
}

/// The section, and the interval in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// TOML.
    pub text: String,
    /// How often the plan lets it be polled.
    pub interval: Duration,
    /// Share of the interval that reading it takes of the bus.
    pub load: f64,
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// The shortest usual interval at which the device takes at most half of its bus.
pub fn section(bus: &Bus, device: &NewDevice<'_>, folders: &[PathBuf]) -> Section {
    let with = |seconds: u64| {
        let text = written(bus, device, folders, seconds);
        let config = config::parse(&text, "probe", Path::new(""), &Overrides::default());
        let report = Report::new(config.as_ref().map_err(Vec::as_slice), "probe");
        let planned = report.buses.first().map_or(0.0, |bus| bus.load);
        let measured = device.cycle.as_secs_f64() / seconds as f64;
        let load = planned.max(measured);
        (report.problems.is_empty() && load <= SHARE_MAX, text, load)
    };
    let chosen = INTERVALS.into_iter().map(|seconds| (seconds, with(seconds))).find(|(_, (fits, ..))| *fits);
    let (seconds, (_, text, load)) = chosen.unwrap_or_else(|| {
        let longest = INTERVALS[INTERVALS.len() - 1];
        (longest, with(longest))
    });
    Section { text, interval: Duration::from_secs(seconds), load }
}

fn written(bus: &Bus, device: &NewDevice<'_>, folders: &[PathBuf], seconds: u64) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("a String takes everything");
    line(&format!("# {}", device.remark));
    let used: Vec<_> = folders.iter().filter(|folder| is_in(folder, device.profile)).collect();
    if let Some(folder) = used.first() {
        line(&format!("profiles = [{}]", quoted(&folder.display().to_string())));
    }
    line(&format!("[[bus]]\nid = {}\nkind = {}", quoted(&bus.id), quoted(bus.link.word())));
    match &bus.link {
        Link::Tcp { address } | Link::RtuTcp { address } => line(&format!("address = {}", quoted(address))),
        Link::Rtu(serial) => {
            line(&format!("port = {}", quoted(&serial.port)));
            let parity = match serial.parity {
                Parity::None => "none",
                Parity::Even => "even",
                Parity::Odd => "odd",
            };
            line(&format!("baud = {}\nparity = {}\nstop_bits = {}", serial.baud, quoted(parity), serial.stop_bits));
            match serial.rs485_rts {
                Rts::Unused => {}
                Rts::Talk => line("rs485_rts = true"),
                Rts::Inverted => line("rs485_rts = \"inverted\""),
            }
        }
    }
    let profile = device.profile;
    line(&format!("\n[[device]]\nid = {}\nbus = {}\nunit = {}", quoted(device.id), quoted(&bus.id), device.unit));
    line(&format!("profile = {} # {} confidence", quoted(&profile.name), profile.confidence.word()));
    line(&format!("interval = \"{seconds}s\""));
    for (key, example, meaning) in rated(profile.device) {
        line(&format!("# rated.{key} = {example} # {meaning}"));
    }
    text
}

/// What the plate of such a machine says, with numbers to be replaced.
const fn rated(device: DeviceType) -> &'static [(&'static str, &'static str, &'static str)] {
    const POWER: (&str, &str, &str) = ("power_w", "5000", "from the plate: rated power, W");
    const VOLTAGE: (&str, &str, &str) = ("voltage_v", "230", "from the plate: rated voltage, V");
    match device {
        DeviceType::Turbine => &[
            POWER,
            ("rpm", "120", "from the plate: rated speed, revolutions a minute"),
            VOLTAGE,
            ("cut_in_mps", "0.8", "from the data sheet: water speed at which it begins to turn, m/s"),
        ],
        _ => &[POWER, VOLTAGE],
    }
}

fn is_in(folder: &Path, profile: &Profile) -> bool {
    folder.join(format!("{}.toml", profile.name)).is_file()
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::profile::{builtin, builtin_names, parse};

    use super::*;
    use crate::config::Serial;

    fn bus(link: Link) -> Bus {
        Bus { id: "line".to_owned(), link, timeout: None, quiet: Duration::ZERO, gap: Duration::ZERO }
    }

    #[test]
    fn what_is_written_for_any_profile_passes_check_also_with_its_plate() {
        let rtu = Link::Rtu(Serial {
            port: "/dev/serial/by-id/usb-\"odd\" name".to_owned(),
            baud: 9_600,
            parity: Parity::Even,
            stop_bits: 1,
            rs485_rts: Rts::Inverted,
        });
        for link in [Link::Tcp { address: "10.0.0.7:502".to_owned() }, rtu] {
            for name in builtin_names() {
                let profile = parse(&format!("{name}.toml"), builtin(name).unwrap()).unwrap();
                let cycle = Duration::from_millis(100);
                let device = NewDevice { id: "turbine-1", unit: 17, profile: &profile, cycle, remark: "found" };
                let bus = bus(link.clone());
                let section = section(&bus, &device, &[]);
                for text in [section.text.clone(), section.text.replace("# rated.", "rated.")] {
                    let config = config::parse(&text, "f", Path::new(""), &Overrides::default());
                    let config = config.unwrap_or_else(|problems| panic!("{name}: {problems:#?}\n{text}"));
                    assert_eq!(config.buses[0].link, bus.link);
                    assert_eq!((config.devices[0].unit, &config.devices[0].profile.name), (17, &profile.name));
                    assert_eq!(config.devices[0].interval, section.interval);
                    assert_eq!(Report::new(Ok(&config), "f").problems, []);
                }
            }
        }
    }

    #[test]
    fn a_slow_device_gets_a_long_interval() {
        let profile = parse("eastron-sdm630.toml", builtin("eastron-sdm630").unwrap()).unwrap();
        for (cycle_ms, seconds) in [(10, 1), (600, 2), (2_000, 5), (400_000, 300)] {
            let cycle = Duration::from_millis(cycle_ms);
            let device = NewDevice { id: "meter-1", unit: 1, profile: &profile, cycle, remark: "" };
            let link = Link::Tcp { address: "10.0.0.7:502".to_owned() };
            assert_eq!(section(&bus(link), &device, &[]).interval.as_secs(), seconds, "{cycle_ms}");
        }
    }
}
