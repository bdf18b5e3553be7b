//! How devices, buses and the link are: a word for programs and a sentence for people.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::words::{bytes, counted, duration, life};
use super::{LinkState, StoreState, traffic};
use crate::bus::status::{BusState, Outcome, Strays, UnitState};
use crate::health::Finding;
use crate::upload::{BacklogWait, PlanState};

/// A card that lasts less than three years is worth a word.
const CARD_LIFE_DAYS_MIN: u64 = 1_095;

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

/// Whether a device brings nothing: a lost connection is no silence of its own.
fn is_ill(unit: &UnitState, connected: bool) -> bool {
    unit.failures > 0 || (!connected && unit.last_error_at > unit.last_ok_at)
}

/// `ok`, `silent`, `lost` (no connection), `failing` (it answers, but nothing that can be read) or
/// `waiting` (for its first poll).
pub(super) fn of_unit(unit: &UnitState, connected: bool, now: Duration) -> (&'static str, String) {
    match unit.failures {
        _ if unit.polls() == 0 => ("waiting", "not asked yet".to_owned()),
        0 if is_ill(unit, connected) => ("lost", "no connection".to_owned()),
        0 if unit.last_ok_at.is_none() => ("failing", "no reading yet".to_owned()),
        0 => ("ok", "answers".to_owned()),
        failures => {
            let next = unit.next_at.map(|at| at.saturating_sub(now).as_secs_f64());
            let next = next.map(|left| format!(", asked again in {}", duration(left.max(1.0))));
            ("silent", counted(u64::from(failures), "silence") + " in a row" + &next.unwrap_or_default())
        }
    }
}

/// `ok`, `partly` (some devices answer), `silent` (none does), `lost` (no connection), `waiting` (for
/// the first one) or `empty`.
pub(super) fn of_bus(state: &BusState) -> (&'static str, String) {
    let ill = state.units.iter().filter(|unit| is_ill(unit, state.connected)).count();
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

/// What becomes of the readings, and what a person can do.
pub(super) fn next_of_link(condition: &str, waits: Option<BacklogWait>, zone: &str) -> String {
    let next = match condition {
        "ok" if matches!(waits, Some(BacklogWait::Plan(_))) => "the newest values go up now and then",
        "ok" if waits.is_some() => "new readings go up as they are stored",
        "ok" => "readings go up as they are stored, the newest first",
        "held" => {
            "the gateway offers them again and again; an administrator moves the devices to this gateway, or ends the other one"
        }
        "lost" => {
            "the gateway goes on polling and storing, and tries again by itself, mostly within 30 seconds; then the newest readings go first, and after them all that waits"
        }
        "waiting" => "the gateway asks the cloud as soon as it has readings",
        _ => "an administrator makes an enrollment code in the cloud; then run riverwatts-edge enroll here",
    };
    match waits {
        Some(wait) if condition == "ok" => format!("{next}; the backlog waits {}", traffic::until(wait, zone)),
        _ => next.to_owned(),
    }
}

/// One part of the gateway's work: `ok`, `warning` (something waits or is missing) or `failure`
/// (readings are being lost, or would be), in words, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) condition: &'static str,
    pub(super) state: String,
    pub(super) remedy: &'static str,
}

const fn part(name: &'static str, condition: &'static str, state: String, remedy: &'static str) -> Part {
    Part { name, condition, state, remedy }
}

/// Whether the devices are asked and answer; `ill` are the keys of those that do not.
pub(super) fn of_polling(finding: Finding, devices: usize, ill: &[&str]) -> Part {
    let told = |condition, state, remedy| part("devices", condition, state, remedy);
    match (finding.polling, ill) {
        (false, _) => told("failure", "polling stands still".to_owned(), "restart the gateway, and keep its log"),
        (true, []) if devices == 0 => told("warning", "no devices".to_owned(), "name them in edge.toml"),
        (true, []) => told("ok", format!("{devices} of {devices} answer"), ""),
        (true, [one]) => told("warning", format!("{one} does not answer"), "look at its bus"),
        (true, _) => told(
            "warning",
            format!("{} of {devices} do not answer: {}", ill.len(), ill.join(", ")),
            "look at the buses",
        ),
    }
}

/// Whether readings reach the disk.
pub(super) fn of_store(finding: Finding, store: &StoreState) -> Part {
    let told = |condition, state, remedy| part("store", condition, state, remedy);
    match &store.error {
        Some(error) => {
            let memory = counted(store.unflushed_readings, "reading");
            let remedy = "they are lost if the gateway stops now: make room on the disk, or replace it";
            told("failure", format!("not stored: {error}; {memory} in memory only"), remedy)
        }
        None if !finding.storing => {
            told("failure", "storing stands still".to_owned(), "restart the gateway, and keep its log")
        }
        None if store.full.is_some() => {
            let words = format!("full: {}", store.full.as_deref().unwrap_or_default());
            told("failure", words, "mend the link to the cloud, make room on the disk, or raise store.max_bytes")
        }
        None if store.dead_letters > 0 => {
            let refused = counted(store.dead_letters, "reading");
            let remedy = "look at them: send them again, or discard them";
            told("warning", format!("storing; {refused} refused by the cloud rest here"), remedy)
        }
        None => {
            let today = format!("{} written today", bytes(store.written.today));
            match store.card_life_days() {
                None => told("ok", today, ""),
                Some(days) if days < CARD_LIFE_DAYS_MIN => {
                    let remedy = "raise store.flush and upload.every, or take a card that bears more";
                    told("warning", format!("{today}: the card lasts {} at this rate", life(days)), remedy)
                }
                Some(days) => told("ok", format!("{today}; a card lasts {} at this rate", life(days)), ""),
            }
        }
    }
}

/// Whether readings leave the site, where that is `wanted`.
pub(super) fn of_cloud(wanted: bool, link: &LinkState, store: &StoreState, zone: &str) -> Part {
    if !wanted {
        return part("cloud", "ok", "none: readings stay here".to_owned(), "");
    }
    let (condition, words) = of_link(link);
    let oldest = store.oldest_unsent.map(|age| format!(", the oldest for {}", duration(age.as_secs_f64())));
    let waits = match store.backlog_readings {
        0 => String::new(),
        count => format!("; {} wait here{}", counted(count, "reading"), oldest.unwrap_or_default()),
    };
    let condition = if matches!(condition, "ok" | "waiting") { "ok" } else { "warning" };
    match link.plan.filter(|plan| plan.state != PlanState::Ok) {
        None => part("cloud", condition, words + &waits, ""),
        Some(plan) => {
            let state = words + &waits + "; " + &traffic::meaning(&plan, zone);
            part("cloud", "warning", state, traffic::remedy(plan.state))
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

/// `7 bytes of noise`: the first word is what is counted.
fn several(count: u64, noun: &str) -> String {
    let (word, rest) = noun.split_once(' ').unwrap_or((noun, ""));
    format!("{} {rest}", counted(count, word)).trim_end().to_owned()
}

/// What is wrong with the wire of a bus rather than with one device, and what to do about it; the
/// counts are since the start.
pub(super) fn troubles(state: &BusState) -> Vec<Json> {
    let Strays { late, foreign, bytes } = state.strays;
    let counts = [
        (
            "late",
            late,
            "answer that came late",
            "raise the time-out of the devices that are slow: they answer when nobody waits any more",
        ),
        (
            "foreign",
            foreign,
            "answer of another unit",
            "check that no two devices have one unit number, and that no other master is on the line",
        ),
        ("noise", bytes, "byte of noise", "check termination, bias and shield of the line, and baud rate and parity"),
        (
            "refused_connections",
            state.refused_connections,
            "attempt without connection",
            "check cable, address and port; some devices let one client in at a time",
        ),
    ];
    let counted = counts.into_iter().filter(|(_, count, ..)| *count > 0).map(|(kind, count, noun, remedy)| {
        json!({"kind": kind, "count": count, "meaning": several(count, noun), "remedy": remedy})
    });
    let overload = (state.planned_load > 1.0).then(|| {
        let meaning = format!("its plan needs {:.2} s of every second", state.planned_load);
        let remedy = "poll less often, raise the baud rate, or move devices to another line";
        json!({"kind": "overload", "count": null, "meaning": meaning, "remedy": remedy})
    });
    overload.into_iter().chain(counted).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that failed like this.
    fn unit(outcomes: [u64; 5], failures: u32, last_error: Option<&str>) -> UnitState {
        UnitState { outcomes, failures, last_error: last_error.map(str::to_owned), ..UnitState::default() }
    }

    #[test]
    fn a_device_is_late_silent_or_never_reached() {
        let (well, ill) = (unit([1, 0, 0, 0, 0], 0, None), unit([0, 0, 1, 0, 0], 1, Some("no answer")));
        let second = Some(Duration::from_secs(1));
        for (unit, age, stale, condition, words) in [
            (&well, second, false, "ok", "answers"),
            (&ill, second, false, "ok", "answers"),
            (&well, second, true, "stale", "silent"),
            (&ill, second, true, "silent", "silent: no answer"),
            (&ill, None, true, "never", "never reached: no answer"),
            (&well, None, true, "waiting", "not asked yet"),
        ] {
            assert_eq!(of_device(unit, age, stale), (condition, words.to_owned()));
        }
    }

    #[test]
    fn a_bus_tells_how_many_of_its_devices_answer() {
        let well = || unit([1, 0, 0, 0, 0], 0, None);
        let ill = || unit([0, 0, 1, 0, 0], 1, None);
        let bus = |connected, connections, last_error: Option<&str>, units| BusState {
            connected,
            connections,
            units,
            last_error: last_error.map(str::to_owned),
            ..BusState::default()
        };
        for (state, condition, words) in [
            (bus(true, 1, None, vec![]), "empty", "no devices"),
            (bus(true, 1, None, vec![well(), well()]), "ok", "all devices answer"),
            (bus(true, 1, None, vec![well(), ill()]), "partly", "1 of 2 devices silent"),
            (bus(true, 1, None, vec![ill(), ill()]), "silent", "no device answers"),
            (bus(false, 0, None, vec![well()]), "waiting", "connecting"),
            (bus(false, 0, Some("refused"), vec![well()]), "lost", "not connected: refused"),
            (bus(false, 2, None, vec![well()]), "ok", "between two connections"),
            (bus(false, 2, Some("reset"), vec![ill()]), "lost", "not connected: reset"),
        ] {
            assert_eq!(of_bus(&state), (condition, words.to_owned()));
        }
    }

    #[test]
    fn a_connection_that_was_lost_is_no_silence_and_not_well_either() {
        let second = |second| Some(Duration::from_secs(second));
        let lost =
            UnitState { last_ok_at: second(1), last_error_at: second(2), ..unit([9, 0, 0, 0, 4], 0, Some("refused")) };
        let back = UnitState { last_ok_at: second(3), ..lost.clone() };
        let fresh = UnitState { last_error_at: second(2), ..unit([0, 3, 0, 0, 0], 0, Some("exception 2")) };
        for (unit, connected, condition) in [
            (&lost, false, "lost"),
            (&lost, true, "ok"),
            (&back, false, "ok"),
            (&fresh, true, "failing"),
            (&unit([0; 5], 0, None), true, "waiting"),
            (&unit([9, 0, 2, 0, 0], 2, None), true, "silent"),
        ] {
            assert_eq!(of_unit(unit, connected, Duration::ZERO).0, condition, "{unit:?}");
        }
        let bus = BusState {
            connections: 2,
            units: vec![lost],
            last_error: Some("refused".to_owned()),
            ..BusState::default()
        };
        assert_eq!(of_bus(&bus), ("lost", "not connected: refused".to_owned()));
    }

    #[test]
    fn the_link_tells_why_readings_stay_here() {
        let link = |enrolled, error: Option<&str>, heard: bool, waiting: &[&str]| LinkState {
            enrolled,
            error: error.map(str::to_owned),
            last_receipt_at: heard.then_some(Duration::from_secs(1)),
            waiting: waiting.iter().map(|key| (*key).to_owned()).collect(),
            ..LinkState::default()
        };
        for (state, condition) in [
            (link(false, None, false, &[]), "unenrolled"),
            (link(true, None, false, &[]), "waiting"),
            (link(true, Some("timed out"), true, &[]), "lost"),
            (link(true, None, true, &[]), "ok"),
            (link(true, None, true, &["turbine-1"]), "held"),
        ] {
            assert_eq!(of_link(&state).0, condition, "{state:?}");
        }
    }

    #[test]
    fn failed_polls_are_counted_with_what_to_do_and_good_ones_are_none() {
        let told = errors(&unit([90, 0, 7, 2, 0], 0, None));
        let counts: Vec<_> = told.iter().map(|error| (error["outcome"].as_str(), error["count"].as_u64())).collect();
        assert_eq!(counts, [(Some("timeout"), Some(7)), (Some("bad_frame"), Some(2))]);
        assert_eq!(told[0]["meaning"], "no answer");
        assert!(told.iter().all(|error| error["remedy"].as_str().is_some_and(|text| text.starts_with("check"))));
    }

    #[test]
    fn a_silent_device_says_when_it_is_asked_again() {
        let now = Duration::from_secs(100);
        let silent = unit([9, 0, 5, 0, 0], 5, None);
        let backed_off = UnitState { next_at: Some(Duration::from_millis(140_300)), ..silent.clone() };
        for (unit, words) in [(silent, "5 silences in a row"), (backed_off, "5 silences in a row, asked again in 40 s")]
        {
            assert_eq!(of_unit(&unit, true, now), ("silent", words.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_with_the_wire_is_told_with_its_count_and_what_to_do() {
        let strays = Strays { late: 1, foreign: 0, bytes: 7 };
        let told = troubles(&BusState { strays, planned_load: 1.3, refused_connections: 2, ..BusState::default() });
        let meanings: Vec<_> = told.iter().filter_map(|trouble| trouble["meaning"].as_str()).collect();
        let expected = [
            "its plan needs 1.30 s of every second",
            "1 answer that came late",
            "7 bytes of noise",
            "2 attempts without connection",
        ];
        assert_eq!(meanings, expected);
        assert!(troubles(&BusState { planned_load: 0.9, ..BusState::default() }).is_empty());
    }
}
