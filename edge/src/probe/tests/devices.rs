//! Guesses, sections and records.

use std::path::Path;

use serde_json::json as value;

use super::*;
use crate::check::Report;
use crate::config;

#[tokio::test]
async fn the_right_profile_is_guessed_with_what_speaks_for_it() {
    let device = meter([0.99, 0.98, 1.0]);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    let document = probe(&format!("{} guess", at(&server))).await;
    let found = json(&document);
    assert_eq!(found["best"], "eastron-sdm630", "{document}");
    let best = &found["profiles"][0];
    assert_eq!((&best["verdict"], &best["confidence"]), (&value!("likely"), &value!("high")));
    assert!(best["for"].to_string().contains("frequency 50 Hz"), "{best}");
    assert_eq!(found["profiles"].as_array().unwrap().len(), riverwatts_shared::profile::builtin_names().count());
    assert!(server.asked() < 200, "{} requests", server.asked());
}

#[tokio::test]
async fn where_nothing_fits_that_is_said() {
    let device = words(0, (0..2_000u16).map(|at| at.wrapping_mul(40_503) ^ 0xA5A5));
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    let document = probe(&format!("{} guess", at(&server))).await;
    let found = json(&document);
    assert_eq!(found["best"], Value::Null, "{document}");
    assert!(found["verdict"].as_str().unwrap().starts_with("no profile fits"), "{document}");
}

#[tokio::test]
async fn what_is_printed_for_a_device_is_a_configuration_that_check_takes() {
    let device = meter([0.99, 0.98, 1.0]);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    for arguments in ["device", "device --profile eastron-sdm630 --id meter-7 --unit 7"] {
        let document = probe(&format!("{} {arguments}", at(&server))).await;
        let text = document.to_string();
        let config = config::parse(&text, "edge.toml", Path::new(""), &Overrides::default());
        let config = config.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        assert_eq!(Report::new(Ok(&config), "edge.toml").problems, []);
        let own = &config.devices[0];
        let expected = if arguments == "device" { ("meter-1", 1) } else { ("meter-7", 7) };
        assert_eq!((own.id.as_str(), own.unit, own.profile.name.as_str()), (expected.0, expected.1, "eastron-sdm630"));
        assert!(text.contains("voltage_l1_v") && text.contains("[0: 4366 0000]"), "{text}");
    }
}

#[tokio::test]
async fn each_value_is_told_with_its_words_and_whether_it_is_usual() {
    let mut device = meter([0.99, 0.98, 1.0]);
    device.extend(words(70, float(80.0)));
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    let found = json(&probe(&format!("{} device --profile eastron-sdm630", at(&server))).await);
    let values = found["devices"][0]["values"].as_array().unwrap();
    let value_of = |name: &str| values.iter().find(|value| value["metric"] == name).unwrap();
    let volts = value_of("voltage_l1_v");
    assert_eq!((&volts["value"], &volts["usual"], &volts["quality"]), (&value!(230.0), &value!(true), &value!("ok")));
    assert_eq!(volts["registers"], value!([{"name": "voltage_l1", "address": 0, "words": "4366 0000"}]));
    assert_eq!(value_of("frequency_hz")["usual"], false);
    assert_eq!(value_of("voltage_v")["registers"].as_array().unwrap().len(), 3, "what it was computed from");
}

#[tokio::test]
async fn a_wrong_profile_gives_no_section() {
    let mut device = words(11, [1_234]);
    device.extend(words(0, [0; 11]));
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(3, &device, pdu)).await;
    let document = probe(&format!("{} device --profile carlo-gavazzi-em24-e1", at(&server))).await;
    let own = &json(&document)["devices"][0];
    assert_eq!((&own["section"], &own["unexpected"]), (&Value::Null, &value!("id")), "{document}");
    assert!(document.to_string().contains("is another device"), "{document}");

    let document = probe(&format!("{} device --profile sunspec-inverter", at(&server))).await;
    assert!(!document.has_answers());
    let own = &json(&document)["devices"][0];
    assert!(own["error"].as_str().unwrap().starts_with("no SunSpec marker found"), "{own}");
}

#[tokio::test]
async fn a_register_that_the_device_refuses_is_told_and_the_rest_goes_on() {
    let mut device = meter([0.99, 0.98, 1.0]);
    device.remove(&52);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    let document = probe(&format!("{} device --profile eastron-sdm630", at(&server))).await;
    let own = &json(&document)["devices"][0];
    let error = "exception 2: illegal address";
    assert_eq!(own["refused"], value!([{"address": 52, "count": 2, "error": error}]), "{document}");
    assert_eq!(own["values"].as_array().unwrap().len(), 19);
    assert!(own["section"].is_string());
}

#[tokio::test]
async fn a_record_has_everything_beside_the_meter_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let device = meter([0.99, -0.98, 1.0]);
    let server = Server::start(Frames::Tcp, move |_, pdu| registers(4, &device, pdu)).await;
    let file = folder.path().join("meter-1.md");
    let readings = folder.path().join("readings.txt");
    std::fs::write(&readings, "voltage_l1_v = 231.2 # by hand\npower_output_kw = 5\nwater_speed_mps = 1\n").unwrap();
    let arguments = format!(
        "--tcp {} --timeout 500ms device --profile eastron-sdm630 --record {} --by Ada --meter-file {} --meter \
         voltage_l2_v=231 --tolerance 1%",
        server.address,
        file.display(),
        readings.display()
    );
    let document = probe(&arguments).await;
    let json_file = folder.path().join("meter-1.json");
    let record: Value = serde_json::from_str(&std::fs::read_to_string(&json_file).unwrap()).unwrap();
    assert_eq!((&record["by"], &record["complete"]), (&value!("Ada"), &value!(true)));
    assert_eq!(record["plan"]["devices"][0]["id"], "meter-1");
    let own = &record["devices"][0];
    assert_eq!((&own["profile"], &own["confidence"]), (&value!("eastron-sdm630"), &value!("high")));
    assert_eq!((&own["margins"]["requests"], &own["margins"]["errors_per_1000"]), (&value!(100), &value!(0.0)));
    let verdicts: Vec<_> =
        own["compared"].as_array().unwrap().iter().map(|one| (&one["metric"], &one["verdict"])).collect();
    let expected = value!([
        ["power_output_kw", "differs"],
        ["voltage_l1_v", "agrees"],
        ["voltage_l2_v", "agrees"],
        ["water_speed_mps", "no_value"]
    ]);
    assert_eq!(value!(verdicts), expected);
    let clamps =
        own["phases"].as_array().unwrap().iter().find(|check| check["check"] == "current transformers").unwrap();
    assert_eq!(clamps["verdict"], "wrong");
    assert!(clamps["message"].as_str().unwrap().starts_with("that of L2 is turned round"), "{clamps}");

    let paper = std::fs::read_to_string(&file).unwrap();
    for part in ["| by | Ada |", "**WRONG**", "230 V | 231.2 V | -1.2 V (-0.52 %) | agrees", "NO VALUE", "signature"] {
        assert!(paper.contains(part), "{part} is missing in\n{paper}");
    }
    assert!(document.to_string().contains("# record: "), "{document}");

    let asked = server.asked();
    let error = refused(&arguments).await;
    assert!(error.to_string().contains("never overwritten"), "{error}");
    assert_eq!(server.asked(), asked, "nothing is measured in vain");
}

#[tokio::test]
async fn devices_of_a_configuration_are_taken_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let device = meter([0.99, 0.98, 1.0]);
    let server = Server::start(Frames::Tcp, move |unit, pdu| match unit {
        5 | 6 => registers(4, &device, pdu),
        _ => Answer::Nothing,
    })
    .await;
    let file = folder.path().join("edge.toml");
    let device = |id: &str, unit: u8| {
        format!("[[device]]\nid = \"{id}\"\nbus = \"lan\"\nunit = {unit}\nprofile = \"eastron-sdm630\"\n")
    };
    let bus = format!("[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"{}\"\ntimeout = \"200ms\"\n", server.address);
    let site = "[site]\nkey = \"mill\"\n";
    std::fs::write(&file, format!("{site}{bus}{}{}", device("grid", 5), device("house", 6))).unwrap();
    let config = format!("--config {}", file.display());

    let found = json(&probe(&format!("{config} --bus lan device")).await);
    let ids: Vec<_> = found["devices"].as_array().unwrap().iter().map(|device| device["id"].clone()).collect();
    assert_eq!(ids, ["grid", "house"]);
    let found = json(&probe(&format!("{config} --device house read 0+2 -f input")).await);
    assert_eq!((&found["unit"], &found["registers"][0]["f32"]["abcd"]), (&value!(6), &value!(230.0)));

    let record = folder.path().join("all");
    let meters = "--meter grid.voltage_l1_v=230 --meter house.voltage_l1_v=100";
    probe(&format!("{config} --bus lan device --record {} {meters}", record.display())).await;
    let record: Value = serde_json::from_str(&std::fs::read_to_string(record.with_extension("json")).unwrap()).unwrap();
    assert_eq!(record["site"], "mill");
    let verdicts: Vec<_> = (0..2).map(|at| record["devices"][at]["compared"][0]["verdict"].clone()).collect();
    assert_eq!(verdicts, ["agrees", "differs"]);
    assert_eq!(record["plan"]["devices"].as_array().unwrap().len(), 2);
    let error = refused(&format!("{config} --device mill device")).await;
    assert!(error.to_string().contains("no device `mill`; known: grid, house"), "{error}");
}
