//! `[[device]]`: what hangs on the buses.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use riverwatts_shared::profile::{EVERY, Parity, QUIET_MAX, RETRIES_MAX, TIMEOUT};

use super::bus::Draft;
use super::profiles::{Library, NoProfile};
use super::read::{Raw, Section, Wrong, did_you_mean, duration, id, integer, positive, up_to, word, wrong};
use super::{Bus, DEVICES_MAX, Device, Link, Priority, Rated, writes};

/// How often a device is polled unless the file says otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often its slow registers are read unless the file says otherwise.
const SLOW_INTERVAL: Duration = Duration::from_secs(10);
/// The words of `priority`.
pub(super) const PRIORITIES: &[(&str, Priority)] =
    &[("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)];
/// Names that topics need for something else.
const RESERVED: [&str; 2] = ["alert", "status"];
/// Serial speed where neither the bus nor a profile says.
const BAUD: u32 = 9_600;

/// Every device without a mistake, and the buses with their serial settings complete.
pub(super) fn read(root: &mut Section<'_>, mut buses: Vec<Draft<'_>>, folders: &[PathBuf]) -> (Vec<Bus>, Vec<Device>) {
    let mut library = Library::new(folders);
    let mut ids = HashSet::new();
    let mut units = HashSet::new();
    let mut devices = Vec::new();
    let mut drafts = Vec::new();
    for mut section in root.sections("device", DEVICES_MAX) {
        let (device, draft) = device(&mut section, &buses, &mut library);
        if let Some(device) = &device {
            if !ids.insert(device.id.clone()) {
                section.problem("id", wrong(format!("device `{}` is there twice", device.id), "give each its own id"));
            }
            if !units.insert((device.bus, device.unit, device.profile.name.clone())) {
                let message = format!("unit {} of bus `{}` is there twice", device.unit, buses[device.bus].bus.id);
                section.problem("unit", wrong(message, "give each device its own Modbus address"));
            }
        }
        if let Some(device) = device {
            devices.push(device);
            drafts.push((section, draft));
        } else {
            draft.finish();
            section.finish();
        }
    }
    writes::resolve(&mut devices, drafts);
    for (index, draft) in buses.iter_mut().enumerate() {
        complete(draft, devices.iter().filter(|device| device.bus == index));
    }
    let finish = |draft: Draft<'_>| {
        draft.section.finish();
        draft.bus
    };
    (buses.into_iter().map(finish).collect(), devices)
}

fn device<'r>(
    section: &mut Section<'r>,
    buses: &[Draft<'_>],
    library: &mut Library<'_>,
) -> (Option<Device>, writes::Draft<'r>) {
    let name = section.required("id", "name the device, like id = \"turbine-1\"", id);
    if let Some(name) = name.as_deref().filter(|name| RESERVED.contains(name)) {
        section.problem("id", wrong(format!("`{name}` is no device id"), "topics need the name; take another"));
    }
    let bus = section.required("bus", "name the bus that it hangs on", |raw| {
        let name = id(raw)?;
        let known = || did_you_mean(&name, buses.iter().map(|draft| draft.bus.id.as_str()));
        let index = buses.iter().position(|draft| draft.bus.id == name);
        index.ok_or_else(|| wrong(format!("there is no bus `{name}`"), known()))
    });
    let profile = section.required("profile", "name what its registers mean, like profile = \"eastron-sdm630\"", id);
    let profile = profile.and_then(|name| match library.find(&name) {
        Ok(profile) => Some(profile),
        Err(NoProfile::Unknown(wrong)) => {
            section.problem("profile", wrong);
            None
        }
        Err(NoProfile::Faulty(problems)) => {
            section.reader.extend(problems);
            None
        }
    });
    let serial = bus.is_some_and(|index| !matches!(buses[index].bus.link, Link::Tcp { .. }));
    let range = if serial { 1..=247 } else { 0..=255 };
    let unit = match profile.as_ref().and_then(|profile| profile.link.unit).filter(|_| !section.has("unit")) {
        Some(factory) => {
            section.take("unit", |raw| integer(raw, range));
            Some(factory)
        }
        // What a profile that cannot be read says of it is not known.
        None if profile.is_none() && section.has("profile") => {
            section.take("unit", |raw| integer(raw, range)).map(|unit| unit as u8)
        }
        None => section
            .required("unit", "write the device's Modbus address", |raw| integer(raw, range))
            .map(|unit| unit as u8),
    };
    let interval = section.take("interval", |raw| duration(raw, EVERY)).unwrap_or(INTERVAL);
    let slow_interval = section.take("slow_interval", |raw| duration(raw, interval..=*EVERY.end()));
    let priority = section.take("priority", priority).unwrap_or(Priority::Normal);
    let timeout = section.take("timeout", |raw| duration(raw, TIMEOUT));
    let retries = section.take("retries", |raw| integer(raw, 0..=RETRIES_MAX.into())).map(|retries| retries as u8);
    let quiet = section.take("quiet", |raw| up_to(raw, QUIET_MAX));
    let rated = rated(section.section("rated"));
    let draft = writes::read(section, profile.as_deref());
    let (Some(id), Some(bus), Some(unit), Some(profile)) = (name, bus, unit, profile) else { return (None, draft) };
    let device = Device {
        id,
        bus,
        unit,
        profile,
        interval,
        slow_interval: slow_interval.unwrap_or(SLOW_INTERVAL.max(interval)),
        priority,
        timeout,
        retries,
        quiet,
        rated,
        writes: Vec::new(),
    };
    (Some(device), draft)
}

fn priority(raw: Raw<'_>) -> Result<Priority, Wrong> {
    word(raw, "priority", PRIORITIES)
}

fn rated(mut section: Section<'_>) -> Rated {
    let rated = Rated {
        power_w: section.take("power_w", |raw| integer(raw, 1..=1_000_000_000)).map(i64::cast_unsigned),
        rpm: section.take("rpm", positive),
        voltage_v: section.take("voltage_v", positive),
        cut_in_mps: section.take("cut_in_mps", positive),
    };
    section.finish();
    rated
}

/// Takes the serial settings that the bus leaves open from the profiles of its devices.
fn complete<'d>(draft: &mut Draft<'_>, devices: impl Iterator<Item = &'d Device> + Clone) {
    let baud = agreed(draft, "baud", draft.baud, devices.clone().map(|device| device.profile.link.baud));
    let parity = agreed(draft, "parity", draft.parity, devices.clone().map(|device| device.profile.link.parity));
    let stop_bits = agreed(draft, "stop_bits", draft.stop_bits, devices.map(|device| device.profile.link.stop_bits));
    if let Link::Rtu(serial) = &mut draft.bus.link {
        serial.baud = baud.unwrap_or(BAUD);
        serial.parity = parity.unwrap_or(Parity::None);
        serial.stop_bits = stop_bits.unwrap_or(1);
    }
}

/// What the bus says, or what the profiles say in one voice.
fn agreed<T: PartialEq + Copy>(
    draft: &Draft<'_>,
    key: &str,
    own: Option<T>,
    devices: impl Iterator<Item = Option<T>>,
) -> Option<T> {
    if own.is_some() || draft.bus.link.serial().is_none() {
        return own;
    }
    let mut said = devices.flatten();
    let first = said.next()?;
    if said.any(|other| other != first) {
        let message = "its devices leave the factory with different ones";
        draft.section.problem(key, wrong(message, format!("set them alike, and write {key} here")));
    }
    Some(first)
}
