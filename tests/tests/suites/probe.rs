//! The technician's `probe` on virtual devices, with no gateway running and beside one that runs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::place::program;
use riverwatts_tests::program::{Program, command, errand};
use riverwatts_tests::virtual_devices::VirtualDevices;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Function codes that only read.
const READING: [&str; 5] = ["01", "02", "03", "04", "2b"];
/// Wrong arguments.
const USAGE: i32 = 64;
/// A needed thing is missing.
const UNAVAILABLE: i32 = 69;

async fn probe(arguments: &[&str]) -> Output {
    let mut probe = command(&program("riverwatts-edge"));
    probe.arg("probe").args(arguments);
    errand(probe, "").await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The one document on stdout.
async fn json_of(arguments: &[&str]) -> Value {
    let output = probe(&[arguments, &["--json"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where a virtual device is, as arguments.
fn place(devices: &VirtualDevices, id: &str) -> [String; 2] {
    let place = devices.places().iter().find(|place| place.id == id).unwrap();
    [place.address.clone(), place.unit.to_string()]
}

#[tokio::test]
async fn a_site_is_probed_from_its_units_to_lines_that_check_takes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    let devices = VirtualDevices::start(&["--log", log.to_str().unwrap()]).await;
    for (id, profile) in
        [("turbine-1", "sunspec-inverter"), ("meter-1", "eastron-sdm630"), ("vibration-1", "banner-qm42vt2")]
    {
        let [address, unit] = &place(&devices, id);
        let scan = json_of(&["--tcp", address, "units", "--to", "2"]).await;
        let found = &scan["units"][0];
        assert_eq!((&found["unit"].to_string(), &found["profile"]), (unit, &json!(profile)), "{scan:#}");
        assert_eq!(
            (&scan["command"], &scan["ended"], &scan["bus"]["kind"]),
            (&json!("units"), &json!("complete"), &json!("tcp"))
        );

        let printed = probe(&["--tcp", address, "--unit", unit, "device", "--id", id]).await;
        assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
        let file = folder.path().join(format!("{id}.toml"));
        std::fs::write(&file, &printed.stdout).unwrap();
        let mut check = command(&program("riverwatts-edge"));
        check.args(["check", "--json", "--config"]).arg(&file);
        let checked = errand(check, "").await;
        assert_eq!(checked.status.code(), Some(0), "{}\n{}", text(&checked.stdout), text(&printed.stdout));
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(checked["buses"][0]["devices"][0]["profile"], profile);
    }
    let asked = std::fs::read_to_string(&log).unwrap();
    let asked: BTreeSet<String> = asked
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["request"].as_str().unwrap()[..2].to_owned())
        .collect();
    assert!(asked.len() > 2 && asked.is_subset(&READING.map(str::to_owned).into()), "{asked:?}");
}

#[tokio::test]
async fn models_and_registers_are_told_as_the_device_has_them() {
    let devices = VirtualDevices::start(&[]).await;
    let [turbine, _] = &place(&devices, "turbine-1");
    let chain = json_of(&["--tcp", turbine, "sunspec"]).await;
    let ids: Vec<_> = chain["models"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!((ids, &chain["complete"]), (vec![json!(1), json!(103)], &json!(true)), "{chain:#}");
    assert_eq!(chain["identity"]["manufacturer"], "RiverWatts");

    let marker = json_of(&["--tcp", turbine, "read", "40000+2"]).await;
    assert_eq!(marker["text"], "SunS");
    let [meter, _] = &place(&devices, "meter-1");
    let table = json_of(&["--tcp", meter, "read", "0..79", "--function", "input"]).await;
    let best = table["columns"].as_array().unwrap().iter().find(|column| column["type"] == "f32").unwrap();
    assert_eq!((&best["order"], &best["from"]), (&json!("abcd"), &json!(0)), "{best}");
    let hertz = table["registers"][70]["f32"]["abcd"].as_f64().unwrap();
    assert!((45.0..65.0).contains(&hertz), "{hertz}");
}

#[tokio::test]
async fn a_serial_port_is_probed_recorded_and_left_to_the_gateway_that_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let line = folder.path().join("ttyUSB0");
    let port = line.to_str().unwrap();
    let meter = ["--line", port, "--profile", "eastron-sdm630", "--value", "power_output_kw=2.7"];
    let phases = ["--value", "power_l1_kw=0.9", "--value", "power_l2_kw=0.9", "--value", "power_l3_kw=0.9"];
    let _devices = VirtualDevices::start(&[&meter[..], &phases].concat()).await;
    let scan = json_of(&["--rtu", port, "--baud", "115200", "units", "--to", "2"]).await;
    assert_eq!((&scan["units"][0]["unit"], &scan["bus"]["baud"]), (&json!(1), &json!(115_200)), "{scan:#}");
    let swept = json_of(&["--rtu", port, "units", "--to", "1", "--sweep"]).await;
    assert_eq!(swept["bus"]["baud"], 9_600, "the first that is tried: {swept:#}");

    let record = folder.path().join("meter-1.json");
    let arguments =
        ["--rtu", port, "device", "--record", record.to_str().unwrap(), "--by", "Ada", "--meter", "frequency_hz=50"];
    assert_eq!(probe(&arguments).await.status.code(), Some(0));
    let read: Value = serde_json::from_str(&std::fs::read_to_string(&record).unwrap()).unwrap();
    let [own] = &read["devices"].as_array().unwrap()[..] else { panic!("one device: {read:#}") };
    assert_eq!(
        (&own["id"], &own["profile"], &read["by"]),
        (&json!("meter-1"), &json!("eastron-sdm630"), &json!("Ada"))
    );
    assert!(own["phases"].as_array().unwrap().iter().all(|check| check["verdict"] == "ok"), "{:#}", own["phases"]);
    assert!(std::fs::read_to_string(record.with_extension("md")).unwrap().contains("| by | Ada |"));
    let again = probe(&arguments).await;
    assert_eq!(again.status.code(), Some(USAGE));
    assert!(text(&again.stderr).contains("never overwritten"), "{}", text(&again.stderr));

    let toml = EdgeToml::new("").rtu("wire", Path::new(port)).device("meter-1", "wire", 1, "eastron-sdm630", "200ms");
    let mut gateway = Gateway::new(&toml);
    gateway.start().await;
    let polled = async || if gateway.unit("meter-1", "ok").await > 0 { Ok(()) } else { Err("not yet".to_owned()) };
    until(SOON, polled).await;
    let refused = probe(&["--rtu", port, "units"]).await;
    assert_eq!(refused.status.code(), Some(UNAVAILABLE));
    let words = text(&refused.stderr);
    for part in ["riverwatts-edge (process ", "another program holds it, perhaps the gateway", "stop it, probe"] {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(text(&refused.stdout), "");
    gateway.stop().await;
    assert_eq!(probe(&["--rtu", port, "read", "0+2", "-f", "input"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_dead_line_ends_with_69_and_one_document_and_a_signal_with_0() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let _kept = tokio::spawn(async move {
        let mut clients = Vec::new();
        while let Ok(client) = silent.accept().await {
            clients.push(client);
        }
    });
    let dead = probe(&["--tcp", &address, "--timeout", "20ms", "--json", "units", "--to", "3"]).await;
    assert_eq!(dead.status.code(), Some(UNAVAILABLE));
    let document: Value = serde_json::from_slice(&dead.stdout).unwrap();
    assert_eq!((&document["asked"], &document["units"]), (&json!(3), &json!([])));
    assert_eq!(probe(&["units"]).await.status.code(), Some(USAGE));
    assert_eq!(probe(&["--tcp", &address, "read", "70000"]).await.status.code(), Some(USAGE));

    let folder = tempfile::tempdir().unwrap();
    let mut scan = command(&program("riverwatts-edge"));
    scan.args(["probe", "--tcp", &address, "--timeout", "50ms", "units"]);
    let log = folder.path().join("probe.log");
    let scan = Program::start(scan, &log);
    let begun = async || if scan.log().contains("asking units") { Ok(()) } else { Err(scan.log()) };
    until(Duration::from_secs(30), begun).await;
    scan.stop().await;
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains("not complete: it was stopped"), "{told}");
}
