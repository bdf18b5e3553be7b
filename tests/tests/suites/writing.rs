//! Writing to devices by the command line: to a foreign server, which tells what came, and to the
//! virtual relay. Each gate alone keeps everything shut.

use std::path::Path;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::modbus::{ModbusServer, Table};
use riverwatts_tests::serial_line::SerialLine;
use riverwatts_tests::virtual_devices::VirtualDevices;
use serde_json::{Value, json};

const REFUSED: i32 = 77;

/// A relay, a turbine that locks it, and a controller, each behind the bus `bus`.
fn site(bus: EdgeToml) -> EdgeToml {
    bus.device("turbine-1", "bus", 7, "counter", "200ms")
        .device("relay-1", "bus", 1, "waveshare-relay-8ch", "200ms")
        .lines(
            "writes = [\"relay_1\", \"relay_2\"]\n\
             [[device.interlock]]\nwrites = [\"relay_1\"]\ndevice = \"turbine-1\"\nmetric = \"water_speed_mps\"\nat_most = 2\n\
             [[device.interlock]]\nwrites = [\"relay_2\"]\nalways = true",
        )
        .device("controller-1", "bus", 3, "writable", "200ms")
        .lines(
            "writes = [\"limit\", \"total\", \"key\"]\n[[device.interlock]]\nwrites = [\"total\", \"key\"]\nalways = true",
        )
}

/// Writes by the command line: the exit code, and what it says.
async fn write(gateway: &Gateway, device: &str, name: &str, value: &str) -> (i32, Value) {
    let output = gateway.run(&["write", "--yes", "--json", device, name, value]).await;
    let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), said)
}

#[track_caller]
fn assert_said(said: &Value, outcome: &str, reason: &str) {
    assert_eq!(said["outcome"], outcome, "{said}");
    assert!(said["reason"].as_str().unwrap().contains(reason), "{said}");
}

async fn server_with_all_open(server: &ModbusServer) {
    server.set(7, Table::Holding, 3, &[1_850]).await;
    for unit in [1, 3, 7] {
        server.open(unit).await;
    }
}

/// Every frame that the standard has for it arrives as it was meant, once.
async fn check_all_functions(server: ModbusServer, toml: EdgeToml) {
    server_with_all_open(&server).await;
    server.set(3, Table::Holding, 0, &[1]).await;
    let gateway = Gateway::new(&site(toml));
    for (device, name, value, old) in [
        ("relay-1", "relay_1", "on", "off"),
        ("relay-1", "relay_1", "off", "on"),
        ("relay-1", "relay_2", "on", "off"),
        ("controller-1", "limit", "-2.5", "0"),
        ("controller-1", "limit", "10", "-2.5"),
        ("controller-1", "total", "4000000000", "0"),
        ("controller-1", "key", "stop", "0"),
    ] {
        let (code, said) = write(&gateway, device, name, value).await;
        assert_eq!((code, &said["outcome"], &said["old"]), (0, &json!("done"), &json!(old)), "{name} {value}: {said}");
    }
    assert_eq!(server.written(1).await, [(5, 0, vec![1]), (5, 0, vec![0]), (5, 1, vec![1])]);
    let (high, low) = ((4_000_000_000_u32 >> 16) as u16, 4_000_000_000_u32 as u16);
    let minus = (-25_i16).cast_unsigned();
    let expected = [(6, 1, vec![minus]), (6, 1, vec![100]), (16, 10, vec![low, high]), (16, 2, vec![35_700, 29_835])];
    assert_eq!(server.written(3).await, expected);
    assert_eq!(server.written(7).await, []);
}

#[tokio::test]
async fn what_is_permitted_arrives_at_a_foreign_server_once_and_is_read_back() {
    let server = ModbusServer::tcp(&[1, 3, 7]).await;
    let toml = EdgeToml::new("").tcp("bus", server.address());
    check_all_functions(server, toml).await;
}

#[tokio::test]
async fn and_on_a_serial_line() {
    let line = SerialLine::open();
    let server = ModbusServer::rtu(line.far(), &[1, 3, 7]).await;
    let toml = EdgeToml::new("").rtu("bus", line.near());
    check_all_functions(server, toml).await;
}

#[tokio::test]
async fn each_gate_alone_keeps_everything_shut() {
    let server = ModbusServer::tcp(&[1, 3, 7]).await;
    server_with_all_open(&server).await;
    let bus = || EdgeToml::new("").tcp("bus", server.address()).timeout("300ms");
    let mut gateway = Gateway::new(&site(bus()));

    let proposed = gateway.run(&["write", "--json", "relay-1", "relay_1", "on"]).await;
    assert_eq!(proposed.status.code(), Some(0));
    let proposed: Value = serde_json::from_slice(&proposed.stdout).unwrap();
    assert_eq!(proposed["outcome"], "proposed");
    assert_eq!(proposed["conditions"], json!(["water_speed_mps of turbine-1 is at most 2"]));

    for (device, name, value, reason) in [
        ("relay-1", "relay_9", "on", "has no write `relay_9`"),
        ("relay-1", "relay_3", "on", "relay_3 of relay-1 is not open"),
        ("relay-1", "relay_1", "toggle", "`toggle` is no value of relay_1"),
        ("controller-1", "limit", "10.1", "10.1 is outside what limit takes"),
        ("controller-1", "limit", "1", "only while its main.mode is 1, and it is 0"),
        ("turbine-1", "count", "1", "has no write `count`; it has none"),
    ] {
        let (code, said) = write(&gateway, device, name, value).await;
        assert_eq!(code, REFUSED, "{name}: {said}");
        assert_said(&said, "refused", reason);
    }
    server.set(7, Table::Holding, 3, &[2_001]).await;
    let (code, said) = write(&gateway, "relay-1", "relay_1", "on").await;
    assert_eq!(code, REFUSED);
    assert_said(&said, "refused", "only while water_speed_mps of turbine-1 is at most 2, and it is 2.001");
    server.set(7, Table::Holding, 3, &[0x8000]).await;
    let (code, said) = write(&gateway, "relay-1", "relay_1", "on").await;
    assert_eq!(code, REFUSED);
    assert_said(&said, "refused", "and that is not known now");
    server.silence(7, true).await;
    let (code, said) = write(&gateway, "relay-1", "relay_1", "on").await;
    assert_eq!(code, REFUSED);
    assert_said(&said, "refused", "and that is not known now");
    server.silence(7, false).await;

    server.silence(1, true).await;
    let (code, said) = write(&gateway, "relay-1", "relay_2", "on").await;
    assert_eq!(code, REFUSED);
    assert_said(&said, "refused", "relay-1 cannot be reached, or is not the device of its profile: no answer within");
    server.silence(1, false).await;

    // A running gateway reads, and lets nobody else at the wires.
    server.set(7, Table::Holding, 3, &[1_850]).await;
    gateway.start().await;
    let output = gateway.run(&["write", "--yes", "relay-1", "relay_2", "on"]).await;
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a gateway runs with this store"));
    until(SOON, async || match gateway.unit("relay-1", "ok").await {
        0..10 => Err("not polled yet".to_owned()),
        _ => Ok(()),
    })
    .await;
    gateway.stop().await;

    // Without an interlock there is no configuration at all.
    let open = bus().device("relay-1", "bus", 1, "waveshare-relay-8ch", "200ms").lines("writes = [\"relay_1\"]");
    let output = Gateway::new(&open).run(&["write", "--yes", "relay-1", "relay_1", "on"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`relay_1` has no interlock"));

    for unit in [1, 3, 7] {
        assert_eq!(server.written(unit).await, [], "unit {unit}");
    }
}

#[tokio::test]
async fn a_device_that_says_yes_and_does_nothing_is_not_believed() {
    let server = ModbusServer::tcp(&[1, 3, 7]).await;
    server_with_all_open(&server).await;
    let gateway = Gateway::new(&site(EdgeToml::new("").tcp("bus", server.address())));
    let (code, said) = write(&gateway, "controller-1", "key", "lie").await;
    assert_eq!(code, 76, "{said}");
    assert_said(&said, "not_confirmed", "main.key shows 35701 1 s after the write");
    assert_eq!(server.written(3).await, [(16, 2, vec![35_701, 29_834])]);
    // A server that takes no writes says so itself.
    let shut = ModbusServer::tcp(&[1, 3, 7]).await;
    let gateway = Gateway::new(&site(EdgeToml::new("").tcp("bus", shut.address())));
    let (code, said) = write(&gateway, "controller-1", "total", "1").await;
    assert_eq!(code, 69, "{said}");
    assert_said(&said, "failed", "the device refuses it: exception 1: illegal function");
    assert_eq!(shut.written(3).await.len(), 1);
}

#[tokio::test]
async fn a_virtual_relay_is_switched_and_every_attempt_can_be_read_afterwards() {
    let profiles = ["--profile", "waveshare-relay-8ch", "--profile", "deepsea-gencomm"];
    let values = ["--value", "rotor_rpm=0", "--value", "x_relay_3=0"];
    let devices = VirtualDevices::start(&[&profiles[..], &values].concat()).await;
    let [relay, genset] = devices.places() else { panic!("two devices") };
    let toml = EdgeToml::new("")
        .tcp("relays", &relay.address)
        .tcp("genset", &genset.address)
        .device("genset-1", "genset", genset.unit, "deepsea-gencomm", "200ms")
        .lines("writes = [\"mode\"]")
        .device("relay-1", "relays", relay.unit, "waveshare-relay-8ch", "200ms")
        .lines(
            "writes = [\"relay_3\", \"pulse_4\"]\n[[device.interlock]]\nwrites = [\"relay_3\", \"pulse_4\"]\n\
             device = \"genset-1\"\nmetric = \"rotor_rpm\"\nat_most = 5",
        );
    let mut gateway = Gateway::new(&toml);
    let check = gateway.run(&["check"]).await;
    // Lines are as long as a terminal is wide.
    let told = String::from_utf8(check.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("relay_3 of relay-1 can be written (off, on) only while rotor_rpm of genset-1 is at most 5; ")
            && told
                .contains("mode of genset-1 can be written (stop, auto, manual) only while its control.supported is 7"),
        "{told}"
    );
    for (device, name, value, code, outcome) in [
        ("relay-1", "relay_3", "on", 0, "done"),
        ("relay-1", "pulse_4", "2.5", 0, "done"),
        ("relay-1", "pulse_4", "0.1", REFUSED, "refused"),
        ("genset-1", "mode", "auto", REFUSED, "refused"),
    ] {
        let (ended, said) = write(&gateway, device, name, value).await;
        assert_eq!((ended, &said["outcome"]), (code, &json!(outcome)), "{said}");
    }
    gateway.start().await;
    let shown = |devices: &Value| {
        let values = devices["devices"][1]["values"].as_array().unwrap().clone();
        values.iter().find(|value| value["metric"] == "x_relay_3").map(|value| value["value"].clone())
    };
    until(SOON, async || {
        let devices = gateway.panel("/api/devices").await;
        if shown(&devices) == Some(json!(1)) { Ok(()) } else { Err(devices.to_string()) }
    })
    .await;
    let writes = gateway.panel("/api/writes").await["writes"].clone();
    let row = |place: usize| ["device", "write", "old", "value", "outcome"].map(|key| writes[place][key].clone());
    assert_eq!(row(3), ["relay-1", "relay_3", "off", "on", "done"].map(Value::from));
    assert_eq!(row(2)[3..], ["2.5", "done"].map(Value::from));
    assert_eq!(row(0), [json!("genset-1"), json!("mode"), json!(null), json!("auto"), json!("refused")]);
    assert!(!writes[3]["who"].as_str().unwrap().is_empty());
    // No door of the panel writes.
    for path in ["/api/writes", "/api/devices/relay-1", "/api/devices/relay-1/write"] {
        let address = format!("http://127.0.0.1:{}{path}", gateway.panel_port());
        let answer = riverwatts_tests::api::http_client().post(address).json(&json!({"value": "off"})).send().await;
        assert!(matches!(answer.unwrap().status().as_u16(), 404 | 405), "{path}");
    }
    gateway.stop().await;
    assert!(Path::new(&gateway.store()).join("store.db").is_file());
}
