//! `/metrics` in Prometheus' text format, written straight from the counters.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Panel;
use crate::bus::status::{BusState, Outcome, UnitState};

pub(super) fn render(panel: &Panel) -> String {
    let mut text = String::with_capacity(4_096);
    buses(panel, &mut text);

    let store = panel.figures.store();
    let single = |value: String| vec![(String::new(), value)];
    let backlog = single(store.backlog_readings.to_string());
    family(&mut text, "backlog_readings", "gauge", "Stored readings that the cloud has not settled", backlog);
    let oldest = single(format!("{:.3}", store.oldest_unsent.unwrap_or_default().as_secs_f64()));
    family(&mut text, "oldest_unsent_seconds", "gauge", "Age of the oldest of them", oldest);
    let dead = single(store.dead_letters.to_string());
    family(&mut text, "dead_letters", "gauge", "Readings that the cloud refused", dead);
    let failing = single(u8::from(store.error.is_some()).to_string());
    family(&mut text, "store_failing", "gauge", "Whether readings wait in memory since the disk refuses", failing);
    let full = single(u8::from(store.full.is_some()).to_string());
    family(&mut text, "store_full", "gauge", "Whether the full store gives readings up", full);
    let lost = store.lost;
    let by =
        [("store_full_thinned", lost.thinned), ("store_full_dropped", lost.dropped), ("disk_error", lost.in_memory)];
    let lost = by.map(|(reason, count)| (format!("reason=\"{reason}\""), count.to_string())).to_vec();
    family(&mut text, "lost_readings_total", "counter", "Readings given up, as their gap rows say why", lost);
    let written = single(store.written.this_run.to_string());
    family(
        &mut text,
        "bytes_written_total",
        "counter",
        "Bytes that the gateway, mostly its store, wrote to the disk",
        written,
    );
    let today = single(store.written.today.to_string());
    family(&mut text, "bytes_written_today", "gauge", "The same since midnight UTC, of all runs", today);
    if let Some(days) = store.card_life_days() {
        let life = single(days.to_string());
        family(&mut text, "card_life_days", "gauge", "How long a new card bears days like these", life);
    }
    let link = panel.figures.link();
    let carried = [("sent", link.carried.sent), ("received", link.carried.received)];
    let carried = carried.map(|(direction, bytes)| (format!("direction=\"{direction}\""), bytes.to_string()));
    family(&mut text, "link_bytes_total", "counter", "Bytes that uploads carried, headers included", carried.into());
    if let Some(plan) = link.plan {
        let used = single(format!("{:.4}", plan.used_bytes as f64 / plan.limit_bytes as f64));
        family(&mut text, "plan_used_ratio", "gauge", "Share of the data plan that its month has used", used);
    }
    let trusted = single(u8::from(panel.figures.now().is_some()).to_string());
    family(&mut text, "clock_trusted", "gauge", "Whether readings can be dated", trusted);
    text
}

/// What is counted of a bus.
type Count = fn(&BusState) -> u64;

fn buses(panel: &Panel, text: &mut String) {
    let states: Vec<(String, BusState)> =
        panel.config.buses.iter().zip(&panel.buses).map(|(bus, status)| (bus.id.clone(), status.get())).collect();
    let mut polls = BTreeMap::new();
    let mut retries = BTreeMap::new();
    for (bus, state) in &states {
        for unit in &state.units {
            *retries.entry((bus, unit.unit)).or_insert(0) += unit.retries;
            for outcome in Outcome::ALL {
                *polls.entry((bus, unit.unit, outcome.word())).or_insert(0) += unit.count(outcome);
            }
        }
    }
    let polls = polls.into_iter().map(|((bus, unit, outcome), count): (_, u64)| {
        (format!("bus=\"{bus}\",unit=\"{unit}\",outcome=\"{outcome}\""), count.to_string())
    });
    family(text, "polls_total", "counter", "Polls of devices by how they ended", polls.collect());
    let retries = retries
        .into_iter()
        .map(|((bus, unit), count): (_, u64)| (format!("bus=\"{bus}\",unit=\"{unit}\""), count.to_string()));
    family(text, "retries_total", "counter", "Requests that were asked again within a poll", retries.collect());

    let each = |value: &dyn Fn(&BusState) -> String| {
        states.iter().map(|(bus, state)| (format!("bus=\"{bus}\""), value(state))).collect::<Vec<_>>()
    };
    let sum = |count: fn(&UnitState) -> u64| each(&|state| state.units.iter().map(count).sum::<u64>().to_string());
    let connected = each(&|state| u8::from(state.connected).to_string());
    family(text, "bus_connected", "gauge", "Whether the socket or port is open", connected);
    let load = each(&|state| format!("{:.4}", state.load));
    family(text, "bus_load_ratio", "gauge", "Share of the time that requests take", load);
    let planned = each(&|state| format!("{:.4}", state.planned_load));
    family(text, "bus_planned_load_ratio", "gauge", "Share of the time that the plan takes", planned);
    let overruns = sum(|unit| unit.overruns);
    family(text, "overruns_total", "counter", "Polls given up since the bus was busy", overruns);
    let dropped = sum(|unit| unit.dropped);
    family(text, "dropped_readings_total", "counter", "Readings lost since the recorder was behind", dropped);
    let by = |label: &str, words: [(&str, Count); 2]| {
        let line = |(bus, state): &(String, BusState)| {
            words.map(|(word, count)| (format!("bus=\"{bus}\",{label}=\"{word}\""), count(state).to_string()))
        };
        states.iter().flat_map(line).collect::<Vec<_>>()
    };
    let opened = by("outcome", [("opened", |state| state.connections), ("refused", |state| state.refused_connections)]);
    family(text, "connections_total", "counter", "Attempts to open the socket or port", opened);
    let strays = by("kind", [("late", |state| state.strays.late), ("foreign", |state| state.strays.foreign)]);
    family(text, "stray_answers_total", "counter", "Frames that answered no request of their time", strays);
    let bytes = each(&|state| state.strays.bytes.to_string());
    family(text, "stray_bytes_total", "counter", "Bytes that were no frame", bytes);
}

/// One family of metrics with its lines.
fn family(text: &mut String, name: &str, kind: &str, help: &str, lines: Vec<(String, String)>) {
    let name = format!("riverwatts_edge_{name}");
    let mut written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in lines {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        written = written.and_then(|()| writeln!(text, "{name}{labels} {value}"));
    }
    written.expect("a String takes everything");
}
