//! How devices, buses and the link are: a word for programs and a sentence for people.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::LinkState;
use crate::bus::status::{BusState, Outcome, UnitState};

/// `ok`, `stale` (late, nothing is known to be wrong), `silent`, `never` (reached) or `waiting` (for
/// its first poll).
pub(super) fn of_device(unit: &UnitState, age: Option<Duration>, stale: bool) -> (&'static str, String) {
    match (age, stale, &unit.last_error) {
        (Some(_), false, _) => ("ok", "answers".to_owned()),
        (Some(_), true, Some(error)) => ("silent", format!("silent: {error}")),
        (Some(_), true, None) => ("stale", "silent".to_owned()),
        (None, _, Some(error)) => ("never", format!("never reached: {error}")),
        (None, _, None) => ("waiting", "not asked yet".to_owned()),
    }
}

/// `ok`, `partly` (some devices answer), `silent` (none does), `lost` (no connection), `waiting` (for
/// the first one) or `empty`.
pub(super) fn of_bus(state: &BusState) -> (&'static str, String) {
    let ill = state.units.iter().filter(|unit| unit.failures > 0).count();
    match (state.connected, state.units.len(), ill) {
        (_, 0, _) => ("empty", "no devices".to_owned()),
        (false, ..) if state.connections == 0 => match &state.last_error {
            Some(error) => ("lost", format!("not connected: {error}")),
            None => ("waiting", "connecting".to_owned()),
        },
        (false, ..) if ill == 0 => ("ok", "between two connections".to_owned()),
        (false, ..) => {
            let cause = state.last_error.as_deref().unwrap_or("no device answers");
            ("lost", format!("not connected: {cause}"))
        }
        (true, _, 0) => ("ok", "all devices answer".to_owned()),
        (true, all, ill) if all == ill => ("silent", "no device answers".to_owned()),
        (true, all, ill) => ("partly", format!("{ill} of {all} devices silent")),
    }
}

/// `ok`, `held` (by another gateway), `lost`, `waiting` (for the first answer) or `unenrolled`.
pub(super) fn of_link(link: &LinkState) -> (&'static str, String) {
    match (&link.error, link.enrolled, link.last_receipt_at) {
        (_, false, _) => ("unenrolled", "not enrolled: readings stay here".to_owned()),
        (Some(error), ..) => ("lost", format!("not reached: {error}")),
        (None, true, None) => ("waiting", "not tried yet".to_owned()),
        (None, true, Some(_)) if link.waiting.is_empty() => ("ok", "connected".to_owned()),
        (None, true, Some(_)) => {
            let keys: Vec<&str> = link.waiting.iter().map(String::as_str).collect();
            ("held", format!("connected, but readings of {} wait: another gateway holds them", keys.join(", ")))
        }
    }
}

/// How polls of a device failed, how often since the start, and what to do about it.
pub(super) fn errors(unit: &UnitState) -> Vec<Json> {
    let failed = Outcome::ALL.into_iter().filter_map(|outcome| Some((outcome, unit.count(outcome), words(outcome)?)));
    failed
        .filter(|(_, count, _)| *count > 0)
        .map(|(outcome, count, (meaning, remedy))| {
            json!({"outcome": outcome.word(), "count": count, "meaning": meaning, "remedy": remedy})
        })
        .collect()
}

const fn words(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    match outcome {
        Outcome::Ok => None,
        Outcome::Exception => {
            Some(("refused by the device", "check that the profile fits the device and its firmware"))
        }
        Outcome::Timeout => {
            Some(("no answer", "check power, unit number, baud rate and parity, and the A and B wires"))
        }
        Outcome::BadFrame => Some((
            "an answer that is none",
            "check for two devices with one unit number, and the line's termination, shield and length",
        )),
        Outcome::Lost => Some(("no connection", "check network cable, address and port, or the serial adapter")),
    }
}
