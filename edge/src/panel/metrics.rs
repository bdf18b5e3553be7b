//! `/metrics` in Prometheus' text format, written straight from the counters.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Panel;
use crate::bus::status::Outcome;

pub(super) fn render(panel: &Panel) -> String {
    let mut text = String::with_capacity(4_096);
    let mut polls = BTreeMap::new();
    let mut lines: [Vec<(String, String)>; 4] = Default::default();
    let [connected, load, overruns, dropped] = &mut lines;
    for (bus, status) in panel.config.buses.iter().zip(&panel.buses) {
        let state = status.get();
        let label = format!("bus=\"{}\"", bus.id);
        connected.push((label.clone(), u8::from(state.connected).to_string()));
        load.push((label.clone(), format!("{:.4}", state.load)));
        overruns.push((label.clone(), state.units.iter().map(|unit| unit.overruns).sum::<u64>().to_string()));
        dropped.push((label, state.units.iter().map(|unit| unit.dropped).sum::<u64>().to_string()));
        for unit in &state.units {
            for outcome in Outcome::ALL {
                *polls.entry((bus.id.as_str(), unit.unit, outcome.word())).or_insert(0) += unit.count(outcome);
            }
        }
    }
    let polls = polls.into_iter().map(|((bus, unit, outcome), count): (_, u64)| {
        (format!("bus=\"{bus}\",unit=\"{unit}\",outcome=\"{outcome}\""), count.to_string())
    });
    family(&mut text, "polls_total", "counter", "Polls of devices by how they ended", polls.collect());
    let [connected, load, overruns, dropped] = lines;
    family(&mut text, "bus_connected", "gauge", "Whether the socket or port is open", connected);
    family(&mut text, "bus_load_ratio", "gauge", "Share of the time that requests take", load);
    family(&mut text, "overruns_total", "counter", "Polls given up since the bus was busy", overruns);
    family(&mut text, "dropped_readings_total", "counter", "Readings lost since the recorder was behind", dropped);

    let store = panel.figures.store();
    let single = |value: String| vec![(String::new(), value)];
    let backlog = single(store.backlog_readings.to_string());
    family(&mut text, "backlog_readings", "gauge", "Stored readings that the cloud has not settled", backlog);
    let oldest = single(format!("{:.3}", store.oldest_unsent.unwrap_or_default().as_secs_f64()));
    family(&mut text, "oldest_unsent_seconds", "gauge", "Age of the oldest of them", oldest);
    let dead = single(store.dead_letters.to_string());
    family(&mut text, "dead_letters", "gauge", "Readings that the cloud refused", dead);
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
    let trusted = single(u8::from(panel.figures.now().is_some()).to_string());
    family(&mut text, "clock_trusted", "gauge", "Whether readings can be dated", trusted);
    text
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
