//! Readings that the cloud refuses: it has others already under the same device and time.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::deadline::{SOON, until};
use crate::gateway::Gateway;
use crate::link::{Link, Mode};

/// Readings that are left alone between the cut and those that are refused: they may have arrived by it.
const APART: usize = 3;

/// Lets the cloud refuse the next readings of a device; then they rest at the gateway. The device is
/// named by its key and by its id in the cloud.
pub async fn refuse(gateway: &Gateway, link: &Link, cloud: &Cloud, (key, id): (&str, &str), count: usize) {
    link.set(Mode::Refuse);
    let before = gateway.readings(key).await.len();
    let mut waiting = Vec::new();
    until(SOON, async || {
        waiting = gateway.readings(key).await;
        if waiting.len() >= before + APART + count { Ok(()) } else { Err(format!("{} readings", waiting.len())) }
    })
    .await;
    let last = &waiting[waiting.len() - count..];
    let other: Vec<Value> = last
        .iter()
        .map(|reading| json!({"device_id": id, "timestamp": reading["timestamp"], "power_output_kw": 7.25}))
        .collect();
    let credential: Value =
        serde_json::from_slice(&std::fs::read(gateway.store().join("credential.json")).unwrap()).unwrap();
    let as_gateway = cloud.anonymous().with_token(credential["credential"].as_str().unwrap());
    let answer = as_gateway.post("/readings", &json!({"readings": other})).await.ok();
    assert_eq!(answer["accepted"], count, "{answer}");
    link.set(Mode::Pass);
    at_rest(gateway, count).await;
}

/// Waits until so many refused readings rest at the gateway.
pub async fn at_rest(gateway: &Gateway, count: usize) {
    until(SOON, async || match gateway.panel("/api/site").await["dead_letters"].clone() {
        rest if rest == count => Ok(()),
        rest => Err(format!("{rest} refused readings")),
    })
    .await;
}
