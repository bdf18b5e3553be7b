//! What gateways have to do with it: they send each second while somebody looks, and their links show.

use std::time::{Duration, Instant};

use riverwatts_tests::batches::{announcement, batch};
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::modbus::ModbusServer;
use riverwatts_tests::watcher::Watcher;
use serde_json::{Value, json};

use super::Site;

/// No upload in this time: the gateway is back at its own pace.
const PAUSE: Duration = Duration::from_secs(4);

/// How many batches the cloud stored.
async fn batches(cloud: &Cloud) -> u64 {
    let metrics = cloud.metrics().await;
    let stored = metrics.lines().find(|line| line.starts_with("riverwatts_ingest_batches_total{outcome=\"stored\"}"));
    stored.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[tokio::test]
async fn while_somebody_looks_at_a_site_its_gateway_sends_each_second_and_then_no_more() {
    let cloud = Cloud::start().await;
    let site_id = cloud.site("Tanana").await;
    let server = ModbusServer::tcp(&[7]).await;
    server.count(7).await;
    let toml = EdgeToml::new(&cloud.url()).upload_every("10s").tcp("lan", server.address());
    let toml = toml.device("turbine-1", "lan", 7, "counter", "200ms");
    let mut gateway = Gateway::new(&toml);
    gateway.enroll(&cloud.url(), &cloud.gateway(&site_id).await.1).await;
    gateway.start().await;
    let device_id = cloud.device(&site_id, "turbine-1").await;
    let mut fleet = Watcher::enter(&cloud, "fleet", cloud.admin()).await;
    fleet.data("snapshot").await;
    let mut watcher = Watcher::enter(&cloud, &format!("device-{device_id}"), cloud.admin()).await;
    watcher.data("snapshot").await;
    // The first upload from now on learns it; those after it come each second.
    watcher.data("reading").await;
    watcher.data("reading").await;
    let started = Instant::now();
    let mut times = Vec::new();
    for _ in 0..4 {
        let data = watcher.data("reading").await;
        assert_eq!(data["readings"][0]["device_id"], json!(device_id));
        times.push(data["readings"][0]["timestamp"].as_str().unwrap().to_owned());
    }
    assert!(started.elapsed() < Duration::from_secs(8), "4 uploads took {:?}", started.elapsed());
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    drop(watcher);
    // The fleet is no reason to hurry.
    let mut last = (batches(&cloud).await, Instant::now());
    until(SOON, async || {
        let count = batches(&cloud).await;
        if count != last.0 {
            last = (count, Instant::now());
        }
        if last.1.elapsed() >= PAUSE { Ok(()) } else { Err(format!("{count} batches")) }
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn also_the_receipt_of_a_repeat_says_how_often_to_send_now() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let sent = batch(vec![announcement("turbine-1")]);
    let answered = async || site.gateway.api.send_batch(&sent).await.ok();
    let first = answered().await;
    assert_eq!(first["upload_every_s"], Value::Null);
    let mut watcher = Watcher::enter(&cloud, &site.room(), cloud.admin()).await;
    watcher.data("snapshot").await;
    let watched = answered().await;
    assert_eq!(watched["upload_every_s"], 1);
    assert_eq!(watched["devices"], first["devices"]);
    drop(watcher);
    until(SOON, async || {
        let again = answered().await;
        if again["upload_every_s"].is_null() { Ok(()) } else { Err(again.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn a_link_that_changes_shows_in_every_room_of_its_site() {
    let cloud = Cloud::start().await;
    let (site, other) = (Site::new(&cloud, "Tanana").await, Site::new(&cloud, "Yukon").await);
    let new = cloud.enrolled_gateway(&site.id).await;
    let mut watchers = Vec::new();
    for room in [site.room(), format!("device-{}", site.device_id), "fleet".to_owned()] {
        let mut watcher = Watcher::enter(&cloud, &room, cloud.admin()).await;
        let snapshot = watcher.data("snapshot").await;
        let shown = snapshot["gateways"].as_array().unwrap().clone();
        let link = |id: &str| shown.iter().find(|gateway| gateway["id"] == id).map(|gateway| gateway["link"].clone());
        assert_eq!(link(&new.id), Some(json!("never")), "{room}");
        assert_eq!(link(&site.gateway.id), Some(json!("connected")), "{room}");
        assert_eq!(link(&other.gateway.id).is_some(), room == "fleet");
        watchers.push(watcher);
    }
    let mut elsewhere = Watcher::enter(&cloud, &other.room(), cloud.admin()).await;
    elsewhere.data("snapshot").await;
    new.api.send_batch(&batch(Vec::new())).await.ok();
    for watcher in &mut watchers {
        let status = watcher.data("status").await;
        let gateway = &status["gateways"][0];
        assert_eq!([&gateway["id"], &gateway["link"]], [&json!(new.id), &json!("connected")], "{status}");
        assert_eq!(gateway["site_id"], json!(site.id));
        assert!(gateway["last_seen_at"].is_string() && status["backfilled"] == json!([]), "{status}");
    }
    cloud.admin().post(&format!("/gateways/{}/revoke", new.id), &Value::Null).await.ok();
    for watcher in &mut watchers {
        let status = watcher.data("status").await;
        assert_eq!(status["gateways"][0]["link"], "lost", "{status}");
    }
    other.post(super::now(), 1.0).await;
    elsewhere.data("reading").await;
}
