//! One dead device does not stop the others on its bus.

use std::time::Duration;

use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::modbus::ModbusServer;
use riverwatts_tests::serial_line::SerialLine;

/// The devices are polled five times a second.
const INTERVAL: &str = "200ms";
const POLLS_PER_S: u64 = 5;
/// How long their polls are counted.
const SPAN: Duration = Duration::from_secs(12);

/// Silences unit 2 of three, counts the polls of the others, and lets it answer again.
async fn check(server: ModbusServer, bus: EdgeToml) {
    let toml = [1, 2, 3].into_iter().fold(bus.timeout("300ms"), device);
    for unit in [1, 2, 3] {
        server.count(unit).await;
    }
    let mut gateway = Gateway::new(&toml);
    gateway.start().await;
    let answers = async |unit: u8| gateway.unit(&format!("device-{unit}"), "ok").await;
    for unit in [1, 2, 3] {
        until(SOON, async || if answers(unit).await > 2 { Ok(()) } else { Err(format!("unit {unit}")) }).await;
    }

    server.silence(2, true).await;
    let before = [answers(1).await, answers(3).await];
    over(SPAN).await;
    let expected = SPAN.as_secs() * POLLS_PER_S;
    for (unit, before) in [1, 3].into_iter().zip(before) {
        let polls = answers(unit).await - before;
        assert!(polls * 10 >= expected * 9, "unit {unit}: {polls} of {expected} polls beside a dead device");
    }
    let asked = gateway.unit("device-2", "timeout").await;
    assert!((2..=8).contains(&asked), "the dead device was asked {asked} times: ever less often");
    let devices = gateway.panel("/api/devices").await;
    let state = devices["devices"][1]["state"].as_str().unwrap();
    assert!(state.starts_with("silent: no answer within"), "{state}");

    server.silence(2, false).await;
    let before = answers(2).await;
    until(SOON, async || if answers(2).await > before + 5 { Ok(()) } else { Err("still silent".to_owned()) }).await;
    gateway.stop().await;
}

fn device(toml: EdgeToml, unit: u8) -> EdgeToml {
    toml.device(&format!("device-{unit}"), "bus", unit, "counter", INTERVAL)
}

#[tokio::test]
async fn on_a_tcp_bus() {
    let server = ModbusServer::tcp(&[1, 2, 3]).await;
    let bus = EdgeToml::new("").tcp("bus", server.address());
    check(server, bus).await;
}

#[tokio::test]
async fn on_a_serial_bus() {
    let line = SerialLine::open();
    let server = ModbusServer::rtu(line.far(), &[1, 2, 3]).await;
    check(server, EdgeToml::new("").rtu("bus", line.near())).await;
}
