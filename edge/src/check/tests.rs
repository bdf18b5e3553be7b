//! The report says what the planner plans, and what to do when a bus has no time for it.

use std::path::Path;

use super::*;
use crate::config::{Overrides, parse};

/// A line with so many meters.
fn line_with(meters: usize, interval: &str, baud: u32) -> String {
    let mut text = format!("[[bus]]\nid = \"wire\"\nkind = \"rtu\"\nport = \"/dev/ttyUSB0\"\nbaud = {baud}\n");
    for number in 1..=meters {
        text += &format!(
            "[[device]]\nid = \"meter-{number}\"\nbus = \"wire\"\nunit = {number}\nprofile = \"eastron-sdm630\"\ninterval = \"{interval}\"\n"
        );
    }
    text
}

fn parsed(text: &str) -> Config {
    parse(text, "edge.toml", Path::new(""), &Overrides::default()).unwrap()
}

/// The report on a line with so many meters, and on a bus in the network.
fn report(meters: usize, interval: &str, baud: u32) -> Report {
    let lan = r#"
[mqtt]
listen = "127.0.0.1:1883"
[[bus]]
id = "lan"
kind = "tcp"
address = "10.0.0.1"
[[device]]
id = "turbine-1"
bus = "lan"
profile = "sunspec-inverter"
unit = 1
[[device]]
id = "relays"
bus = "lan"
profile = "waveshare-relay-8ch"
unit = 2
"#;
    Report::new(Ok(&parsed(&(line_with(meters, interval, baud) + lan))), "edge.toml")
}

#[test]
fn a_line_is_measured_against_its_intervals() {
    let report = report(1, "1s", 9_600);
    let [wire, lan] = &report.buses[..] else { panic!("two buses") };
    let [meter] = &wire.devices[..] else { panic!("one device") };
    let [fast] = &meter.cycles[..] else { panic!("{:?}", meter.cycles) };
    // At 9,600 8N1 a character takes 1.04 ms; a request is 13 of them and 7 of silence, a register two.
    let characters: u32 = fast.blocks.iter().map(|block| 20 + 2 * u32::from(block.registers)).sum();
    let least_s = f64::from(characters) * 10.0 / 9_600.0;
    let near = |value: Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 1e-3);
    assert!(near(fast.least_s, least_s) && near(meter.least_load, least_s), "{meter:?}");
    assert!(near(wire.least_load, least_s), "{wire:?}");
    let answers_s = fast.blocks.len() as f64 * wire.answer_s;
    assert!(near(Some(wire.load), least_s + answers_s), "{wire:?}");
    assert_eq!((wire.line.as_deref(), wire.kind, lan.kind, &lan.line), (Some("9600 8N1"), "rtu", "tcp", &None));
    assert_eq!(report.problems, []);
}

#[test]
fn a_socket_is_measured_in_requests() {
    let report = report(0, "1s", 9_600);
    let [wire, lan] = &report.buses[..] else { panic!("two buses") };
    assert_eq!(
        (wire.load, &wire.wait, wire.silence.all_s),
        (0.0, &Wait { priority: None, longest_s: 0.0 }, 0.0),
        "nothing hangs on it"
    );
    let [turbine, relays] = &lan.devices[..] else { panic!("two devices") };
    assert!(turbine.discovered && turbine.cycles[0].blocks[0].registers > 10, "SunSpec models are taken to be there");
    assert_eq!((lan.least_load, turbine.least_load), (None, None));
    let each_s: f64 = lan.devices.iter().flat_map(|device| &device.cycles).filter_map(|cycle| cycle.every_s).sum();
    assert_eq!((each_s, lan.requests_per_s), (2.0, 2.0), "one request of each a second");
    assert!((lan.load - 2.0 * lan.answer_s).abs() < 1e-3, "{}", lan.load);
    let coils = &relays.cycles[0].blocks[0];
    assert_eq!((coils.function, coils.start, coils.end, coils.registers), (Function::Coil, 0, 7, 8));
}

#[test]
fn the_first_wait_for_their_like_and_for_a_poll_that_has_begun() {
    let poll_s = report(1, "1s", 9_600).buses[0].devices[0].longest_poll_s();
    let mut text = line_with(3, "1s", 9_600);
    let wait = |text: &str| Report::new(Ok(&parsed(text)), "edge.toml").buses[0].wait.clone();
    let near = |one: f64, other: f64| (one - other).abs() < 1e-5;
    let all = wait(&text);
    assert!(all.priority == Some("normal") && near(all.longest_s, 2.0 * poll_s), "{all:?}");
    text = text.replacen("profile = \"eastron", "priority = \"high\"\nprofile = \"eastron", 1);
    let one = wait(&text);
    assert!(one.priority == Some("high") && near(one.longest_s, poll_s), "{one:?}");
    text = text.replacen("unit = 2\n", "unit = 2\npriority = \"high\"\n", 1);
    let two = wait(&text);
    assert!(near(two.longest_s, 2.0 * poll_s), "the other one and a meter: {two:?}");
}

#[test]
fn silence_costs_the_time_out_again_with_each_retry() {
    let text = line_with(2, "1s", 9_600).replacen("unit = 1\n", "unit = 1\ntimeout = \"400ms\"\nretries = 2\n", 1);
    let report = Report::new(Ok(&parsed(&text)), "edge.toml");
    assert_eq!(report.buses[0].silence, Silence { one_s: 1.2, all_s: 2.2 });
}

#[test]
fn registers_that_are_read_over_are_counted() {
    let report = report(1, "1s", 115_200);
    let block = &report.buses[0].devices[0].cycles[0].blocks[0];
    let meter = Layout::fixed(&crate::decode::samples::profile("eastron-sdm630"));
    let used: u16 = meter.areas()[0].area.registers.iter().map(|register| register.width()).sum();
    assert_eq!((block.registers, block.unused), (80, u32::from(80 - used)), "one request on a fast line");
}

#[test]
fn a_line_without_time_is_a_problem_with_its_remedy() {
    for (meters, interval, baud, load, eaters, remedy) in [
        (2, "1s", 2_400, "1.10 s", "meter-1 55 %, meter-2 55 %", "poll meter-1 every 2s, raise baud"),
        (5, "1s", 2_400, "2.75 s", "meter-3 55 % and 2 more", "poll its devices every 3.5s, raise baud"),
    ] {
        let report = report(meters, interval, baud);
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        assert_eq!(problem.key, "bus.wire");
        assert!(problem.message.contains(load) && problem.message.ends_with(eaters), "{problem}");
        assert!(problem.remedy.starts_with(remedy), "{problem}");
        assert!(report.to_string().ends_with("1 problem"));
    }
}

#[test]
fn a_line_without_time_for_slow_answers_is_worth_a_note() {
    let report = report(1, "150ms", 9_600);
    assert_eq!(report.problems, []);
    assert!(report.notes[0].starts_with("bus wire is too slow for its intervals if"), "{:?}", report.notes);
    assert!(report.notes[1].contains("no broker yet"));
}

#[test]
fn the_text_keeps_to_80_columns_and_the_document_to_its_names() {
    let report = report(3, "450ms", 9_600);
    let text = report.to_string();
    assert!(report.notes.iter().any(|note| note.len() > 100), "a note takes several lines: {:?}", report.notes);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("eastron-sdm630 (high confidence)") && text.ends_with("no problems"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    let meter = &json["buses"][0]["devices"][0];
    assert_eq!((&meter["confidence"], &meter["cycles"][0]["blocks"][0]["function"]), (&"high".into(), &"input".into()));
}
