//! The rooms of the cloud, looked at by a foreign client.

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use riverwatts_tests::batches::{announcement, batch};
use riverwatts_tests::cloud::{Cloud, GatewayAccount};
use riverwatts_tests::watcher::Watcher;
use serde_json::json;

/// A site with one device: ids of the site and the device, and the gateway.
async fn site(cloud: &Cloud, name: &str) -> (String, String, GatewayAccount) {
    let site_id = cloud.site(name).await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    gateway.api.send_batch(&batch(vec![announcement("turbine-1")])).await.ok();
    let device_id = cloud.device(&site_id, "turbine-1").await;
    (site_id, device_id, gateway)
}

fn now() -> UtcMs {
    SystemClock::default().wall()
}

async fn post(gateway: &GatewayAccount, device_id: &str, time: UtcMs, power: f64) {
    let reading = json!({"device_id": device_id, "timestamp": time, "power_output_kw": power});
    assert_eq!(gateway.api.post("/readings", &reading).await.ok()["accepted"], 1);
}

#[tokio::test]
async fn a_snapshot_comes_first_and_then_what_changes_as_the_api_says_it() {
    let cloud = Cloud::start().await;
    let (site_id, device_id, gateway) = site(&cloud, "Tanana").await;
    let start = now().plus_ms(-60_000);
    post(&gateway, &device_id, start, 0.5).await;
    for room in [format!("site-{site_id}"), format!("device-{device_id}"), "fleet".to_owned()] {
        let mut watcher = Watcher::enter(&cloud, &room, cloud.admin()).await;
        let snapshot = watcher.frame().await;
        let latest = cloud.admin().get(&format!("/readings/latest?site_id={site_id}")).await.ok();
        assert_eq!((&snapshot["type"], &snapshot["room"]), (&json!("snapshot"), &json!(room)));
        assert_eq!(snapshot["data"]["readings"], latest["readings"]);
        let mut seq = snapshot["seq"].as_u64().unwrap();
        let known: UtcMs = latest["readings"][0]["timestamp"].as_str().unwrap().parse().unwrap();
        for step in 1..=3 {
            post(&gateway, &device_id, known.plus_ms(step * 1_000), step as f64).await;
            let frame = watcher.frame().await;
            let latest = cloud.admin().get(&format!("/readings/latest?site_id={site_id}")).await.ok();
            assert_eq!((&frame["type"], &frame["room"]), (&json!("reading"), &json!(room)));
            assert_eq!(frame["data"], json!({"readings": latest["readings"]}));
            assert_eq!(frame["data"]["readings"][0]["power_output_kw"].as_f64(), Some(step as f64));
            assert_eq!(frame["seq"].as_u64(), Some(seq + 1));
            assert!(frame["timestamp"].as_str().unwrap().parse::<UtcMs>().is_ok());
            seq += 1;
        }
    }
    let mut alerts = Watcher::enter(&cloud, "alerts", cloud.admin()).await;
    assert_eq!(alerts.data("snapshot").await, json!({"alerts": []}));
}
