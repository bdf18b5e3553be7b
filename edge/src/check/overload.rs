//! A bus that has no time for what it is asked, and what would give it the time.

use riverwatts_shared::problem::Problem;

use super::text::{every, percent};
use super::{BusReport, DeviceReport};

/// The share of a bus that a remedy aims at: answers that come late need the rest.
const ROOM: f64 = 0.9;
/// How many devices a message names.
const NAMED_MAX: usize = 3;

/// A line that needs more time than there is even when all devices answer at once.
pub(super) fn problem(bus: &BusReport, file: &str) -> Option<Problem> {
    let load = bus.least_load.filter(|load| *load > 1.0)?;
    let share = |device: &DeviceReport| device.least_load.unwrap_or_default();
    Some(Problem {
        file: file.to_owned(),
        line: None,
        key: format!("bus.{}", bus.id),
        message: format!("the line would need {load:.2} s of every second; {}", eaters(bus, share)),
        remedy: format!("{}, raise baud, or move devices to another line", slower(bus, load, share)),
    })
}

/// A bus that needs more time than there is when answers take as long as most do.
pub(super) fn note(bus: &BusReport) -> Option<String> {
    if bus.least_load.is_some_and(|load| load > 1.0) || bus.load <= 1.0 {
        return None;
    }
    let answer_ms = bus.answer_s * 1_000.0;
    let share = |device: &DeviceReport| device.load;
    Some(format!(
        "bus {} is too slow for its intervals if its devices take {answer_ms:.0} ms for an answer ({}): {}",
        bus.id,
        eaters(bus, share),
        slower(bus, bus.load, share)
    ))
}

/// The devices that take most of the time.
fn eaters(bus: &BusReport, share: impl Fn(&DeviceReport) -> f64) -> String {
    let mut devices: Vec<&DeviceReport> = bus.devices.iter().collect();
    devices.sort_by(|one, other| share(other).total_cmp(&share(one)));
    let named = devices.iter().take(NAMED_MAX).map(|device| format!("{} {}", device.id, percent(share(device))));
    let named: Vec<String> = named.collect();
    match devices.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        others => format!("{} and {others} more", named.join(", ")),
    }
}

/// The interval at which it would fit: of the greatest eater if that is enough, else of all.
fn slower(bus: &BusReport, load: f64, share: impl Fn(&DeviceReport) -> f64) -> String {
    let greatest = bus.devices.iter().rev().max_by(|one, other| share(one).total_cmp(&share(other)));
    let eater = greatest.expect("a bus without devices has no load");
    let left = ROOM - (load - share(eater));
    if left > 0.0 {
        return format!("poll {} {}", eater.id, every(rounded(eater.interval_s * share(eater) / left)));
    }
    let factor = load / ROOM;
    match bus.devices.iter().all(|device| device.interval_s == eater.interval_s) {
        true => format!("poll its devices {}", every(rounded(eater.interval_s * factor))),
        false => format!("poll its devices {:.1} times less often", (factor * 10.0).ceil() / 10.0),
    }
}

/// An interval of this length or a little more that a person would write.
fn rounded(interval_s: f64) -> f64 {
    let step_s = match interval_s {
        ..1.0 => 0.1,
        ..5.0 => 0.5,
        ..30.0 => 1.0,
        _ => 10.0,
    };
    (interval_s / step_s - 1e-9).ceil() * step_s
}
