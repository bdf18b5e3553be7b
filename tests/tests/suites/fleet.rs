//! The fleet at a glance: which gateways are heard, and what every site gave today.

use std::time::Duration;

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use riverwatts_shared::words::UserRole;
use riverwatts_tests::api::Api;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::river::River;
use serde_json::{Value, json};

/// Half a minute of silence makes a link lost, or the longest pause between two attempts; and some.
const HALF_A_MINUTE: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;

/// The one gateway and the one summary that an admin sees.
async fn shown(cloud: &Cloud) -> (Value, Value) {
    let mut gateways = cloud.admin().get("/gateways").await.ok();
    let gateway = gateways["gateways"][0].take();
    let id = gateway["id"].as_str().unwrap();
    let alone = cloud.admin().get(&format!("/gateways/{id}")).await.ok();
    assert_eq!(alone["id"], gateway["id"]);
    let mut summaries = summaries(cloud.admin()).await;
    assert_eq!(summaries.len(), 1);
    (alone, summaries.remove(0))
}

async fn summaries(api: &Api) -> Vec<Value> {
    let mut found = api.get("/sites/summaries").await.ok();
    assert_eq!(found["next_cursor"], Value::Null);
    std::mem::take(found["summaries"].as_array_mut().unwrap())
}

/// Waits until gateway and site are shown with this link; when the gateway was last heard.
async fn link_is(cloud: &Cloud, link: &str) -> UtcMs {
    until(HALF_A_MINUTE, async || {
        let (gateway, summary) = shown(cloud).await;
        if gateway["link"] != link || summary["link"] != link {
            return Err(format!("{gateway} {summary}"));
        }
        Ok(last_seen_at(&gateway).unwrap_or_default())
    })
    .await
}

fn last_seen_at(gateway: &Value) -> Option<UtcMs> {
    gateway["last_seen_at"].as_str().map(|time| time.parse().unwrap())
}

#[tokio::test]
async fn a_link_is_connected_lost_and_connected_again_and_known_after_a_restart() {
    let mut river = River::new(&[1], "500ms").await;
    let (gateway, summary) = shown(&river.cloud).await;
    assert_eq!((&gateway["link"], &gateway["last_seen_at"]), (&json!("never"), &Value::Null));
    assert_eq!((&summary["link"], &summary["last_seen_at"]), (&json!("never"), &Value::Null));

    river.gateway.start().await;
    link_is(&river.cloud, "connected").await;
    river.flows(1).await;
    // Without a word from its devices it is heard all the same.
    river.run_dry().await;
    let last = link_is(&river.cloud, "connected").await;
    until(HALF_A_MINUTE, async || {
        let (gateway, _) = shown(&river.cloud).await;
        assert_eq!(gateway["link"], "connected");
        if last_seen_at(&gateway) > Some(last) { Ok(()) } else { Err(gateway.to_string()) }
    })
    .await;

    river.link.set(Mode::Refuse);
    let lost = link_is(&river.cloud, "lost").await;
    river.cloud.stop().await;
    river.cloud.start_again().await;
    assert_eq!(link_of(&river.cloud).await, Some(lost), "when it was last heard outlives a restart");
    river.link.set(Mode::Pass);
    let again = link_is(&river.cloud, "connected").await;
    assert!(again > lost);
    river.cloud.stop().await;
    river.cloud.start_again().await;
    let (gateway, summary) = shown(&river.cloud).await;
    assert_eq!((&gateway["link"], &summary["link"]), (&json!("connected"), &json!("connected")));
    assert!(last_seen_at(&gateway) >= Some(again));

    let id = gateway["id"].as_str().unwrap();
    river.cloud.admin().post(&format!("/gateways/{id}/revoke"), &json!({})).await.ok();
    let (gateway, summary) = shown(&river.cloud).await;
    assert_eq!((&gateway["link"], &summary["link"]), (&json!("lost"), &json!("none")));
}

async fn link_of(cloud: &Cloud) -> Option<UtcMs> {
    last_seen_at(&shown(cloud).await.0)
}

/// A site where it is noon; so its day is long enough on both sides.
async fn site_at_noon(cloud: &Cloud, name: &str, now: UtcMs) -> String {
    let hour = now.0 / HOUR_MS % 24;
    // The signs of these zones are the other way round: Etc/GMT+2 is two hours behind.
    let timezone = format!("Etc/GMT{:+}", hour - 12);
    let site = json!({
        "name": name, "region": "Alaska", "river_name": "Tanana", "latitude": 64.5, "longitude": -149.1,
        "capacity_kw": 25.0, "timezone": timezone, "currency": "USD",
    });
    cloud.admin().post("/sites", &site).await.ok()["id"].as_str().unwrap().to_owned()
}

/// A device that a person made; its id.
async fn device(cloud: &Cloud, site_id: &str, device_type: &str, serial_number: &str) -> String {
    let device = json!({
        "site_id": site_id, "device_name": "One", "device_type": device_type, "serial_number": serial_number,
        "model": "25 kW", "manufacturer": "River Works", "capacity_kw": 25.0, "installation_date": "2026-06-01",
    });
    cloud.admin().post("/devices", &device).await.ok()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn energy_and_power_are_what_the_posted_readings_come_to() {
    let cloud = Cloud::start().await;
    let now = SystemClock::default().wall();
    let site_id = site_at_noon(&cloud, "Tanana", now).await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    let with_power = device(&cloud, &site_id, "turbine", "T-1").await;
    let with_counter = device(&cloud, &site_id, "turbine", "T-2").await;
    let meter = device(&cloud, &site_id, "sensor", "M-1").await;
    let times: Vec<UtcMs> = (0..=120).map(|minute| now.plus_ms((minute - 120) * 60_000)).collect();
    let power = |minute: usize| f64::from(minute as u32 * 7 % 50) / 4.0;
    let counter = |minute: usize| 100.0 + minute as f64 * 0.125;
    let mut posted = Vec::new();
    for (minute, time) in times.iter().enumerate() {
        posted.push(json!({"device_id": with_power, "timestamp": time, "power_output_kw": power(minute)}));
        posted.push(json!({"device_id": with_counter, "timestamp": time, "power_output_kw": 1.5,
            "extra": {"energy_kwh": counter(minute)}}));
        posted.push(json!({"device_id": meter, "timestamp": time, "power_output_kw": 99.0}));
    }
    let written = gateway.api.post("/readings", &json!(posted)).await.ok();
    assert_eq!(written["accepted"], posted.len());

    let trapezia: f64 = (1..=120).map(|minute| (power(minute - 1) + power(minute)) / 2.0 / 60.0).sum();
    let expected = trapezia + 120.0 * 0.125;
    let summary = summaries(cloud.admin()).await.remove(0);
    let energy = summary["energy_today_kwh"].as_f64().unwrap();
    assert!((energy - expected).abs() < 0.002, "{energy} kWh, not {expected}");
    assert_eq!(summary["power_kw"], json!(power(120) + 1.5));
    assert_eq!(summary["newest_at"], json!(now));
    assert_eq!((&summary["devices"], &summary["devices_fresh"]), (&json!(3), &json!(3)));
    let coverage = summary["coverage_today"].as_f64().unwrap();
    assert!((0.1..0.2).contains(&coverage), "two hours of some twelve and a half: {coverage}");
    assert_eq!((&summary["link"], &summary["site_id"]), (&json!("connected"), &json!(site_id)));
}

#[tokio::test]
async fn each_role_is_shown_its_own_sites_only() {
    let cloud = Cloud::start().await;
    let (own, other) = (cloud.site("Own").await, cloud.site("Other").await);
    let sites = async |api: &Api| -> Vec<Value> {
        summaries(api).await.into_iter().map(|mut summary| summary["site_id"].take()).collect()
    };
    assert_eq!(sites(cloud.admin()).await, [json!(own), json!(other)]);
    for role in [UserRole::Technician, UserRole::Viewer, UserRole::Customer] {
        let person = cloud.person(role).await;
        assert_eq!(sites(&person.api).await, Vec::<Value>::new(), "{role}");
        if role == UserRole::Customer {
            cloud.subscribe(&own, &person).await;
        } else {
            cloud.add_member(&own, &person).await;
        }
        assert_eq!(sites(&person.api).await, [json!(own)], "{role}");
    }
    let gateway = cloud.enrolled_gateway(&own).await;
    assert_eq!(gateway.api.get("/sites/summaries").await.refusal(), (403, "PERMISSION_DENIED".to_owned()));
    until(SOON, async || {
        let link = summaries(cloud.admin()).await[0]["link"].clone();
        if link == "connected" { Ok(()) } else { Err(link.to_string()) }
    })
    .await;
}
