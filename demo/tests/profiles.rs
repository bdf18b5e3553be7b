//! Every profile of `firmware-configs/` as a virtual device, read by the gateway's own plan and decoder.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report; clippy.toml does not reach helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_demo::devices::Device;
use riverwatts_demo::modbus::pdu;
use riverwatts_demo::profiled::{EncodeError, ProfileError, Profiled, Script, load, names};
use riverwatts_edge::decode::{Decoded, Image, decode};
use riverwatts_edge::plan::{Cost, Layout};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::sunspec::{Discovery, NoAnswer};
use riverwatts_shared::profile::{Feeds, Identity, Operation, Profile, Register, parse};
use riverwatts_shared::time::{ManualClock, UtcMs};
use riverwatts_shared::words::Quality;

/// The profiles of the folder, also those that nobody has built in yet.
fn profiles() -> Vec<Profile> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../firmware-configs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let profiles: Vec<_> = files
        .filter(|file| file.ends_with(".toml") && !file.ends_with(".samples.toml"))
        .map(|file| load(&file).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    assert!(profiles.len() >= 5);
    profiles
}

fn device(profile: &Profile, given: &[String]) -> Result<Profiled, ProfileError> {
    let script = Script::read(given, None, &names(profile)?)?;
    Profiled::new(profile, 1, &script, 1.0, Arc::new(ManualClock::at(UtcMs(0))))
}

/// What the gateway understands, asking as it plans to.
fn read(profile: &Profile, device: Profiled) -> Decoded {
    let own = device.units()[0];
    let device = Device::of_profile(Arc::new(device));
    let ask = |unit: u8, function: u8, start: u16, count: u16| -> Option<Vec<u16>> {
        let [a, b, c, d] = [start.to_be_bytes(), count.to_be_bytes()].concat().try_into().unwrap();
        let answer = pdu::answer(&device, unit, &[function, a, b, c, d]).unwrap();
        let bit = |at: u16| u16::from(answer[2 + usize::from(at / 8)] >> (at % 8) & 1);
        let words = || answer[2..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let all = || if function <= 2 { (0..count).map(bit).collect() } else { words().collect() };
        (answer[0] == function).then(all)
    };
    let layout = match &profile.discovery {
        None => Layout::fixed(profile),
        Some(discover) => {
            let mut walk = Discovery::new(discover);
            while let Some((start, count)) = walk.request() {
                let words = ask(own, discover.function.code(), start, count);
                walk.answer(words.as_deref().ok_or(NoAnswer::Refused));
            }
            Layout::discovered(profile, &walk.finish().unwrap())
        }
    };
    assert!(!layout.is_empty(), "{}", profile.name);
    let mut image = Image::new();
    for block in layout.blocks(None, &Cost::FEWEST) {
        let words = ask(block.unit.unwrap_or(own), block.function.code(), block.start, block.count);
        image.put(&block, &words.unwrap_or_else(|| panic!("{}: {block:?} is refused", profile.name)));
    }
    decode(&layout, &image)
}

fn numbers(name: &str, decoded: &Decoded) -> BTreeMap<Metric, f64> {
    let number = |value: &riverwatts_shared::reading::Value| {
        assert_eq!(value.quality, Quality::Ok, "{name}: {value:?}");
        (value.metric, value.metric.to_unit(value.value.unwrap()))
    };
    decoded.values.iter().map(number).collect()
}

/// How far a value may be rounded: half a step of the coarsest register that can show it, or of all
/// that a sum is made of.
fn tolerance(profile: &Profile, metric: Metric, value: f64) -> f64 {
    let step = |register: &Register| {
        let resolution = register.resolution.map_or(0.0, |resolution| resolution.as_f64());
        let scaled = if register.scale_from.is_some() || !register.times.is_empty() {
            0.005 * value.abs()
        } else {
            register.scale.as_f64().abs()
        };
        let own = if register.kind.is_float() { 0.0 } else { scaled };
        own.max(resolution)
    };
    let feeds = |register: &&Register| matches!(register.feeds, Feeds::Metric { metric: fed, .. } if fed == metric);
    let measured = profile.areas.iter().flat_map(|area| area.registers.iter().filter(feeds).map(step));
    let computed = profile.areas.iter().flat_map(|area| {
        area.computed.iter().filter(|computed| computed.metric == metric).map(|computed| {
            let steps = computed.from.iter().map(|&index| step(&area.registers[index]));
            let steps = if computed.operation == Operation::Sum { steps.sum() } else { steps.fold(0.0, f64::max) };
            steps.max(computed.resolution.as_f64())
        })
    });
    measured.chain(computed).fold(0.0, f64::max) / 2.0 + 1e-6
}

#[test]
fn every_profile_is_served_whole_and_says_that_it_is_virtual() {
    for profile in profiles() {
        let name = &profile.name;
        let decoded = read(&profile, device(&profile, &[]).unwrap());
        let shown = numbers(name, &decoded);
        let missing: Vec<_> =
            names(&profile).unwrap().metrics.into_iter().filter(|metric| !shown.contains_key(metric)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        assert!(decoded.alarms.iter().all(|alarm| !alarm.active), "{name}: {:?}", decoded.alarms);
        for (field, text) in &decoded.identity {
            let virtual_field = matches!(field, Identity::Manufacturer | Identity::Model | Identity::SerialNumber);
            let says_so = text.to_lowercase().starts_with("virtual") || text == "1";
            assert!(!virtual_field || says_so, "{name}: {field:?} is {text}");
        }
    }
}

/// Gives each of these metrics a number of its own, leaving out what does not fit, and reads all back.
fn read_back(profile: &Profile, metrics: &[Metric]) {
    let name = &profile.name;
    let rest = numbers(name, &read(profile, device(profile, &[]).unwrap()));
    let mut given: BTreeMap<Metric, f64> = metrics
        .iter()
        .enumerate()
        .map(|(place, &metric)| (metric, (rest[&metric] * (0.5 + place as f64 / 64.0) * 100.0).round() / 100.0))
        .collect();
    let texts = |given: &BTreeMap<Metric, f64>| -> Vec<_> {
        given.iter().map(|(metric, number)| format!("{metric}={number}")).collect()
    };
    let device = loop {
        match device(profile, &texts(&given)) {
            Ok(device) => break device,
            Err(ProfileError::Value {
                cause: EncodeError::DoesNotFit { metric, .. } | EncodeError::MeansNothing { metric, .. },
                ..
            }) => drop(given.remove(&metric).unwrap()),
            // Two metrics of one register.
            Err(ProfileError::Value { cause: EncodeError::Taken { register }, .. }) => {
                let registers = profile.areas.iter().flat_map(|area| &area.registers);
                let fed = registers.filter(|other| other.name == register).filter_map(|other| match other.feeds {
                    Feeds::Metric { metric, .. } => Some(metric),
                    _ => None,
                });
                assert!(fed.filter_map(|metric| given.remove(&metric)).count() > 0, "{name}: {register}");
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(given.len() * 2 > metrics.len(), "{name}: only {given:?} fit");
    let shown = numbers(name, &read(profile, device));
    for (&metric, &number) in &given {
        let off = (shown[&metric] - number).abs();
        assert!(off <= tolerance(profile, metric, number), "{name}: {metric} is {}, not {number}", shown[&metric]);
    }
}

#[test]
fn the_gateway_reads_back_the_values_that_were_given() {
    for profile in profiles() {
        let all = names(&profile).unwrap().metrics;
        let own = |metric: &Metric| {
            !profile.areas.iter().flat_map(|area| &area.computed).any(|computed| computed.metric == *metric)
        };
        read_back(&profile, &all.into_iter().filter(own).collect::<Vec<_>>());
        for computed in apart(&profile) {
            read_back(&profile, &computed);
        }
    }
}

/// The computed metrics in rounds within which no two are made from one register, so that each of a
/// round can be given.
fn apart(profile: &Profile) -> Vec<Vec<Metric>> {
    let mut parts: BTreeMap<Metric, BTreeSet<(&str, usize)>> = BTreeMap::new();
    for area in &profile.areas {
        for computed in &area.computed {
            let from = computed.from.iter().map(|&index| (area.name.as_str(), index));
            parts.entry(computed.metric).or_default().extend(from);
        }
    }
    let mut rounds: Vec<Vec<Metric>> = Vec::new();
    for (metric, from) in &parts {
        let free = |round: &&mut Vec<Metric>| round.iter().all(|other| parts[other].is_disjoint(from));
        match rounds.iter_mut().find(free) {
            Some(round) => round.push(*metric),
            None => rounds.push(vec![*metric]),
        }
    }
    rounds
}

#[test]
fn every_alarm_can_be_switched_on_alone() {
    for profile in profiles() {
        for alarm in names(&profile).unwrap().alarms {
            let decoded = read(&profile, device(&profile, &[format!("{alarm}=1")]).unwrap());
            let active = decoded.alarms.iter().filter(|alarm| alarm.active).map(|alarm| alarm.name.as_str());
            assert_eq!(active.collect::<Vec<_>>(), [alarm], "{}", profile.name);
        }
    }
}

/// A made-up device in which registers lean on each other in every way that the format has.
const INTERTWINED: &str = r#"
format = 1
manufacturer = "Example"
model = "Knot"
device = "sensor"
confidence = "low"
sources = ["made up"]
[[area]]
name = "main"
function = "input"
registers_max = 12
gap_max = 3
forbidden = [{ from = 13, to = 13 }]
registers = [
  { name = "unit",       at = 0,  type = "u8_high" },
  { name = "direction",  at = 0,  type = "u8_low" },
  { name = "speed",      at = 1,  type = "u16", scale = 0.001, metric = "water_speed_mps", sign_from = { register = "direction", negative = [0, 7] }, valid_when = { register = "unit", is = [4] } },
  { name = "speed_fps",  at = 1,  type = "u16", scale = 0.0003048, resolution = 0.001, metric = "water_speed_mps", fallback = true, valid_when = { register = "unit", is = [5] } },
  { name = "temperature", at = 4, type = "u16", scale = 0.1, offset = -40, metric = "temperature_c", sentinels = [{ raw = 0xFFFF, reason = "sensor_fault" }] },
  { name = "whole",      at = 5,  type = "u16", scale = 1000, metric = "x_whole_m3" },
  { name = "fraction",   at = 6,  type = "u16", scale = 0.1, metric = "x_fraction_m3" },
  { name = "level",      at = 8,  type = "f32", word_order = "low_first", scale = 0.01, resolution = 0.001, metric = "water_level_m" },
  { name = "factor",     at = 10, type = "i16" },
  { name = "power",      at = 11, type = "i16", scale = -0.001, scale_from = "factor", metric = "power_output_kw" },
  { name = "state",      at = 12, type = "u16", alarms = [{ is = 0, name = "stopped", severity = "low" }, { is = 3, name = "jammed", severity = "high" }] },
  { name = "mode",       at = 14, type = "u16" },
  { name = "flow",       at = 16, type = "u16", scale_from = "flow_factor", metric = "x_flow", sentinels = [{ raw = 0xFFFF, reason = "not_implemented" }] },
  { name = "flow_factor", at = 17, type = "i16" },
  { name = "spare",      at = 15, type = "u16", metric = "x_spare", valid_when = { register = "mode", not = [0, 1] } },
]
computed = [{ metric = "x_volume_m3", operation = "sum", from = ["whole", "fraction"], resolution = 0.1 }]
"#;

#[test]
fn registers_that_lean_on_each_other_are_read_back() {
    let profile = parse("example-knot.toml", INTERTWINED).unwrap();
    let check = |given: &[&str], expected: &[(&str, f64)]| {
        let given: Vec<_> = given.iter().map(|&text| text.to_owned()).collect();
        let shown = numbers("knot", &read(&profile, device(&profile, &given).unwrap()));
        for &(metric, number) in expected {
            let metric = Metric::named(metric).unwrap();
            assert!((shown[&metric] - number).abs() < 1e-9, "{given:?}: {metric} is {}", shown[&metric]);
        }
    };
    check(&["water_speed_mps=1.234"], &[("water_speed_mps", 1.234), ("x_spare", 1.0)]);
    check(&["water_speed_mps=-1.234"], &[("water_speed_mps", -1.234)]);
    check(&["temperature_c=-12.3", "water_level_m=2.345"], &[("temperature_c", -12.3), ("water_level_m", 2.345)]);
    check(&["x_volume_m3=12345.6"], &[("x_volume_m3", 12_345.6), ("x_whole_m3", 12_000.0), ("x_fraction_m3", 345.6)]);
    check(&["x_whole_m3=3000", "x_fraction_m3=0.4"], &[("x_volume_m3", 3_000.4)]);
    check(&["power_output_kw=12.3"], &[("power_output_kw", 12.3)]);
    check(&["power_output_kw=-4000"], &[("power_output_kw", -4_000.0)]);
    // With a factor of 0.1, 6553.5 would be the sentinel.
    check(&["x_flow=6553.4"], &[("x_flow", 6_553.4)]);
    check(&["x_flow=6553.5"], &[("x_flow", 6_554.0)]);
}

#[test]
fn a_table_plays_at_its_speed_with_one_scale_factor_throughout() {
    let profile = load("sunspec-inverter").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("day.csv");
    std::fs::write(&table, "seconds,power_output_kw,ground_fault\n0,0.5,0\n60,30.5,1\n").unwrap();
    let script = Script::read(&["frequency_hz=60".to_owned()], Some(&table), &names(&profile).unwrap()).unwrap();
    let shown_after = |seconds: u64| {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        clock.advance(Duration::from_secs(seconds));
        let decoded = read(&profile, Profiled::new(&profile, 1, &script, 10.0, clock).unwrap());
        let shown = numbers("sunspec-inverter", &decoded);
        let factor = device_words(&profile, &script);
        assert_eq!(factor, 0, "30,500 W fits an i16 in whole watts, and so does 500");
        let fault = decoded.alarms.iter().any(|alarm| alarm.active && alarm.name == "ground_fault");
        (shown[&Metric::POWER], shown[&Metric::named("frequency_hz").unwrap()], fault)
    };
    assert_eq!(shown_after(5), (0.5, 60.0, false));
    assert_eq!(shown_after(6), (30.5, 60.0, true));
    assert_eq!(shown_after(12), (0.5, 60.0, false));
}

/// The scale factor of the power: model 1 takes 66 registers here, offset 15 of model 103.
fn device_words(profile: &Profile, script: &Script) -> u16 {
    let device = Profiled::new(profile, 1, script, 1.0, Arc::new(ManualClock::at(UtcMs(0)))).unwrap();
    let image = device.registers(1, 3).unwrap();
    assert_eq!(image.read(40_002, 2).unwrap(), [1, 64]);
    assert_eq!(image.read(40_068, 1).unwrap(), [103]);
    image.read(40_068 + 15, 1).unwrap()[0]
}

#[test]
fn values_that_cannot_be_shown_are_named_with_what_to_do() {
    let profile = parse("example-knot.toml", INTERTWINED).unwrap();
    for (given, expected) in [
        (
            &["temperature_c=9000"][..],
            "temperature_c = 9000 does not fit register `temperature`; it holds -40 to 6513.5",
        ),
        (&["temperature_c=6513.5"], "means \"no value\""),
        (&["x_volume_m3=5", "x_whole_m3=1000"], "x_volume_m3 is computed from x_whole_m3"),
        (&["stopped=1", "jammed=1"], "register `state` cannot show these alarms together"),
        (&["water_speed=1"], "they have power_output_kw, temperature_c"),
    ] {
        let given: Vec<_> = given.iter().map(|&text| text.to_owned()).collect();
        let message = device(&profile, &given).unwrap_err().to_string();
        assert!(message.contains(expected), "{given:?}: {message}");
    }
}
