//! A bad configuration: `run` tells every mistake, with file, line and key, and starts nothing.

use std::net::TcpListener;

use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::modbus::ModbusServer;

/// A device profile with two mistakes, in lines 11 and 12.
const PROFILE: &str = r#"format = 1
manufacturer = "RiverWatts"
model = "Bad"
device = "turbine"
confidence = "high"
sources = ["bad_configuration.rs"]
[[area]]
name = "main"
function = "holding"
registers = [
  { name = "power", at = 0, type = "i16", scale = 0.001, metric = "power_output_kw", unit = "kW" },
  { name = "speed", at = 1, type = "f32", metric = "water_speed_mps" },
]
"#;

#[tokio::test]
async fn every_mistake_is_told_with_its_place_and_nothing_is_started() {
    let server = ModbusServer::tcp(&[1]).await;
    let gateway = Gateway::new(&EdgeToml::new(""));
    let (store, panel_port) = (gateway.store(), gateway.panel_port());
    let config = gateway.config();
    let profile = config.with_file_name("profiles").join("bad.toml");
    std::fs::create_dir(profile.parent().unwrap()).unwrap();
    std::fs::write(&profile, PROFILE).unwrap();
    let text = format!(
        r#"profiles = ["profiles"]
[site]
timezone = "Alaska"
[store]
dir = {store:?}
flush = "soon"
[panel]
listen = "127.0.0.1:{panel_port}"
[upload]
evry = "10s"
[[bus]]
id = "lan"
kind = "tcp"
address = "{}"
[[device]]
id = "good-1"
bus = "lan"
unit = 1
profile = "eastron-sdm630"
[[device]]
id = "bad-1"
bus = "lam"
unit = 300
profile = "bad"
"#,
        server.address()
    );
    std::fs::write(&config, text).unwrap();
    let ended = gateway.run(&["run", "--set", "panel.lisen=x", "--set", "upload.every=0s"]).await;
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(78), &b""[..]), "{told}");

    let (file, profile) = (config.display(), profile.display());
    for place in [
        "arguments: --set upload.every: ".to_owned(),
        "arguments: --set panel.lisen: ".to_owned(),
        format!("{file}:3: site.timezone: "),
        format!("{file}:6: store.flush: "),
        format!("{file}:10: upload.evry: "),
        format!("{file}:22: device.bad-1.bus: "),
        format!("{file}:23: device.bad-1.unit: "),
        format!("{profile}:11: "),
        format!("{profile}:12: "),
    ] {
        let lines: Vec<&str> = told.lines().filter(|line| line.starts_with(&place)).collect();
        assert!(matches!(lines[..], [line] if line.contains("; ")), "not once, with a remedy: {place} in\n{told}");
    }
    assert!(told.ends_with("9 mistakes to mend; nothing was started\n"), "{told}");

    assert!(!store.exists(), "a store was made");
    assert_eq!(server.requests(1).await, 0, "a device was asked");
    assert!(TcpListener::bind(("127.0.0.1", panel_port)).is_ok(), "the panel is there");
}
