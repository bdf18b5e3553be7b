//! The one-command demo: it prints where everything is, shows its five devices, tells its story, and ends by itself.

use std::path::Path;
use std::time::Duration;

use riverwatts_tests::api::{Api, http_client};
use riverwatts_tests::deadline::until;
use riverwatts_tests::place::program;
use riverwatts_tests::program::{Program, command};
use serde_json::{Value, json};

/// From nothing to readings of five devices in the cloud.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it then goes on by itself.
const LIFETIME: Duration = Duration::from_secs(8);

/// The story's first event begins within this time, and ends a minute later.
const TURN_WITHIN: Duration = Duration::from_secs(90);

const PASSWORD: &str = "demo-riverwatts";

/// The demo with these arguments, and its ready line.
async fn ready(folder: &Path, arguments: &[&str]) -> (Program, Value) {
    let mut demo = command(&program("riverwatts-demo"));
    demo.args(["run", "--seed", "7"]).args(arguments);
    demo.args(["--cloud-port", "0", "--panel-port", "0", "--modbus-port", "0", "--mqtt-port", "0"]);
    let mut demo = Program::start(demo, &folder.join("demo.log"));
    let ready = until(READY_WITHIN, async || {
        assert!(!demo.has_ended(), "the demo ended: {}", demo.log());
        let log = demo.log();
        let line = log.lines().find_map(|line| line.strip_prefix("ready ")).ok_or("no ready line")?;
        serde_json::from_str(line).map_err(|error| error.to_string())
    });
    let ready = ready.await;
    (demo, ready)
}

#[tokio::test]
async fn it_prints_the_ready_line_shows_five_devices_and_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, ready) = ready(folder.path(), &["--for", &format!("{}s", LIFETIME.as_secs())]).await;
    let (cloud, panel) = (ready["cloud"].as_str().unwrap(), ready["panel"].as_str().unwrap());
    assert_eq!((ready["devices"].as_array().unwrap().len(), &ready["mqtt"]), (5, &json!(null)));

    for page in [cloud, panel] {
        let answer = http_client().get(page).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let html = answer.text().await.unwrap();
        assert!(html.to_lowercase().starts_with("<!doctype html>"), "{page}: {html}");
    }
    for role in ["admin", "technician", "viewer", "customer"] {
        let api = Api::anonymous(cloud).signed_in(&format!("{role}@demo.riverwatts.example"), PASSWORD).await;
        let site = api.get("/sites").await.ok()["sites"][0].clone();
        assert_eq!(site["name"], "Demo River", "{role}");
        let devices = api.get("/devices").await.ok();
        let mut keys: Vec<&str> =
            devices["devices"].as_array().unwrap().iter().map(|device| device["key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["battery-1", "meter-1", "radar-1", "turbine-1", "vibration-1"], "{role}");
        for device in devices["devices"].as_array().unwrap() {
            let says = |field: &str| device[field].as_str().unwrap().to_lowercase().contains("virtual");
            assert!(says("device_name") && (says("manufacturer") || says("model")), "{device}");
        }
        let latest = api.get("/readings/latest").await.ok();
        let number = |metric: &str| {
            let readings = latest["readings"].as_array().unwrap().iter();
            readings.filter(|reading| reading[metric].is_number() || reading["extra"][metric].is_number()).count()
        };
        assert_eq!(latest["readings"].as_array().unwrap().len(), 5, "{role}");
        for metric in ["power_output_kw", "water_speed_mps", "vibration_level", "battery_level_percent", "energy_kwh"] {
            assert!(number(metric) > 0, "no {metric}: {latest}");
        }
    }
    let devices = http_client().get(format!("{panel}/api/devices")).send().await.unwrap();
    let devices: Value = devices.json().await.unwrap();
    for device in devices["devices"].as_array().unwrap() {
        assert_eq!(device["state"], "answers", "{device}");
    }
    assert_eq!(demo.ended(LIFETIME * 3).await, 0);
}

#[tokio::test]
async fn its_story_cuts_the_link_and_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, ready) = ready(folder.path(), &["--story", "link"]).await;
    let link = format!("{}/api/link", ready["panel"].as_str().unwrap());
    let state = async || {
        let answer = http_client().get(&link).send().await.unwrap();
        let link: Value = answer.json().await.unwrap();
        link["state"].as_str().unwrap().to_owned()
    };
    for (told, connected) in [("the link to the cloud is cut", false), ("the link is back", true)] {
        until(TURN_WITHIN, async || {
            let log = demo.log();
            log.lines().find(|line| line.starts_with("story ") && line.contains(told)).map(drop).ok_or(log.clone())
        })
        .await;
        until(TURN_WITHIN, async || match state().await {
            state if (state == "connected") == connected => Ok(()),
            state => Err(state),
        })
        .await;
    }
}
