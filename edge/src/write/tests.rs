//! Each gate alone keeps a write shut, and says so.

use std::path::Path;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Function, WriteFunction};
use riverwatts_shared::reading::Value;
use riverwatts_shared::words::Quality;

use super::*;
use crate::config::{Config, Overrides, parse};

const SITE: &str = r#"
[[bus]]
id = "lan"
kind = "tcp"
address = "10.0.0.1"
[[bus]]
id = "wire"
kind = "rtu"
port = "/dev/ttyUSB0"
[[device]]
id = "turbine-1"
bus = "lan"
profile = "deepsea-gencomm"
interval = "2s"
[[device]]
id = "relay-1"
bus = "wire"
profile = "waveshare-relay-8ch"
writes = ["relay_1", "relay_2", "pulse_1"]
[[device.interlock]]
writes = ["relay_1", "pulse_1"]
device = "turbine-1"
metric = "rotor_rpm"
at_most = 5
[[device.interlock]]
writes = ["relay_1"]
device = "turbine-1"
metric = "frequency_hz"
at_least = -1
at_most = 2.5
[[device.interlock]]
writes = ["relay_2"]
always = true
"#;
const NOW: Duration = Duration::from_secs(1_000);

fn site(text: &str) -> Config {
    parse(text, "edge.toml", Path::new(""), &Overrides::default()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn metric(name: &str) -> Metric {
    Metric::named(name).unwrap()
}

/// A turbine at so many revolutions and hertz, of a quality and an age.
fn latest(rpm: f64, hertz: f64, quality: Quality, age_s: u64) -> impl Fn(u16, Metric) -> Option<(Value, Duration)> {
    move |device, asked| {
        let number = if asked == metric("rotor_rpm") { rpm } else { hertz };
        let value = Value { metric: asked, value: asked.from_unit(number), quality };
        (device == 0).then_some((value, Duration::from_secs(age_s)))
    }
}

#[test]
fn with_all_gates_open_there_is_a_permit_for_that_value_and_a_short_time() {
    let config = site(SITE);
    let proposal = Proposal::new(&config, "relay-1", "relay_1", "on").unwrap();
    let permit = proposal.permit(latest(5.0, 2.5, Quality::Ok, 6), NOW).unwrap();
    assert_eq!((permit.device(), permit.accepted().words.as_slice(), permit.accepted().reads), (1, &[0xFF00][..], 1));
    assert!(permit.holds(NOW + HOLDS) && !permit.holds(NOW + HOLDS + Duration::from_millis(1)));
    let command = permit.command(&[]).unwrap();
    assert_eq!(command.target(), (1, WriteFunction::Coil, 0));
    let always = Proposal::new(&config, "relay-1", "relay_2", "off").unwrap();
    assert!(always.permit(|_, _| None, NOW).is_ok());
}

#[test]
fn each_gate_alone_refuses_and_names_itself() {
    let config = site(SITE);
    for (device, name, value, expected) in [
        ("relay-9", "relay_1", "on", "there is no device `relay-9`; `check` lists them"),
        ("turbine-1", "speed", "1", "has no write `speed`"),
        ("relay-1", "relay_9", "on", "profile waveshare-relay-8ch of relay-1 has no write `relay_9`; it has relay_1, "),
        ("relay-1", "relay_3", "on", "relay_3 of relay-1 is not open: add it to `writes` of the device in edge.toml"),
        ("relay-1", "relay_1", "toggle", "`toggle` is no value of relay_1; write one of off, on"),
        ("relay-1", "pulse_1", "61", "61 is outside what pulse_1 takes, 0.5 to 60"),
    ] {
        let refusal = Proposal::new(&config, device, name, value).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
    let proposal = Proposal::new(&config, "relay-1", "relay_1", "on").unwrap();
    let rpm = "only while rotor_rpm of turbine-1 is at most 5";
    for (latest, expected) in [
        (latest(5.1, 0.0, Quality::Ok, 0), format!("{rpm}, and it is 5.1: wait until it is")),
        (
            latest(0.0, 0.0, Quality::Ok, 7),
            format!("{rpm}, and what is known of that is 7 s old: look after the device"),
        ),
        (latest(0.0, 0.0, Quality::Stuck, 0), format!("{rpm}, and that is not known now")),
        (latest(f64::NAN, 0.0, Quality::Ok, 0), format!("{rpm}, and that is not known now")),
        (
            latest(0.0, 2.6, Quality::Ok, 0),
            "only while frequency_hz of turbine-1 is from -1 to 2.5, and it is 2.6".to_owned(),
        ),
    ] {
        let refusal = proposal.permit(latest, NOW).unwrap_err().to_string();
        assert!(refusal.contains(&expected), "{refusal}");
    }
    let refusal = proposal.permit(|_, _| None, NOW).unwrap_err();
    assert_eq!(refusal, Refusal::Unknown { interlock: "rotor_rpm of turbine-1 is at most 5".to_owned() });
}

#[test]
fn a_write_without_any_interlock_stays_shut_even_if_the_configuration_let_it_through() {
    let mut config = site(SITE);
    for opened in &mut config.devices[1].writes {
        opened.interlocks.clear();
    }
    let refusal = Proposal::new(&config, "relay-1", "relay_1", "on").unwrap_err();
    assert!(matches!(refusal, Refusal::NoInterlock { .. }), "{refusal}");
}

#[test]
fn what_is_open_is_told_in_a_sentence() {
    let told = told(&site(SITE));
    assert_eq!(
        told[0],
        "relay_1 of relay-1 can be written (off, on) only while rotor_rpm of turbine-1 is at most 5 and \
         frequency_hz of turbine-1 is from -1 to 2.5; stays as it is when the gateway stops or the line breaks"
    );
    assert!(told[1].starts_with("relay_2 of relay-1 can be written (off, on) at any time; "), "{}", told[1]);
    assert_eq!(told.len(), 3);
}

#[test]
fn only_what_the_write_needs_is_asked_and_often() {
    let config = site(&SITE.replace("interval = \"2s\"", "interval = \"30s\""));
    let pulse = Proposal::new(&config, "relay-1", "pulse_1", "1.5").unwrap();
    let narrowed = narrow::narrow(&config, &pulse);
    let devices: Vec<_> =
        narrowed.devices.iter().map(|device| (device.id.as_str(), device.interval.as_secs())).collect();
    assert_eq!(devices, [("relay-1", 1), ("turbine-1", 1)]);
    let again = Proposal::new(&narrowed, "relay-1", "pulse_1", "1.5").unwrap();
    assert_eq!(again.conditions(), pulse.conditions());
    assert!(Proposal::new(&narrowed, "relay-1", "relay_1", "on").is_err());
}

/// With the documents of `Permit` and `Command`, which do not compile, all that could write.
#[test]
fn a_read_can_name_no_function_that_writes() {
    for function in [Function::Holding, Function::Input, Function::Coil, Function::Discrete] {
        assert!((1..=4).contains(&function.code()));
    }
    let writing = [WriteFunction::Coil, WriteFunction::Coils, WriteFunction::Register, WriteFunction::Registers];
    assert_eq!(writing.map(WriteFunction::code), [5, 15, 6, 16]);
}
