//! The rooms of the cloud, looked at by a foreign client: what comes, who is let in, how it ends.

mod doors;
mod gateways;
mod slow;

use std::collections::BTreeSet;

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use riverwatts_shared::words::GapReason;
use riverwatts_tests::batches::{announcement, batch, reading, segment};
use riverwatts_tests::cloud::{Cloud, GatewayAccount};
use riverwatts_tests::watcher::Watcher;
use serde_json::{Value, json};

/// A site with one device.
struct Site {
    id: String,
    device_id: String,
    gateway: GatewayAccount,
}

impl Site {
    async fn new(cloud: &Cloud, name: &str) -> Site {
        let id = cloud.site(name).await;
        let gateway = cloud.enrolled_gateway(&id).await;
        gateway.api.send_batch(&batch(vec![announcement("turbine-1")])).await.ok();
        let device_id = cloud.device(&id, "turbine-1").await;
        Site { id, device_id, gateway }
    }

    fn room(&self) -> String {
        format!("site-{}", self.id)
    }

    async fn post(&self, time: UtcMs, power: f64) {
        let reading = json!({"device_id": self.device_id, "timestamp": time, "power_output_kw": power});
        assert_eq!(self.gateway.api.post("/readings", &reading).await.ok()["accepted"], 1);
    }
}

fn now() -> UtcMs {
    SystemClock::default().wall()
}

/// The powers in the data of a frame.
fn powers(data: &Value) -> Vec<f64> {
    let readings = data["readings"].as_array().unwrap_or_else(|| panic!("no readings: {data}"));
    readings.iter().map(|reading| reading["power_output_kw"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn a_snapshot_comes_first_and_then_what_changes_as_the_api_says_it() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let mut time = now().plus_ms(-60_000);
    site.post(time, 0.5).await;
    let latest = async || cloud.admin().get(&format!("/readings/latest?site_id={}", site.id)).await.ok();
    for room in [site.room(), format!("device-{}", site.device_id), "fleet".to_owned()] {
        let mut watcher = Watcher::enter(&cloud, &room, cloud.admin()).await;
        let snapshot = watcher.frame().await;
        assert_eq!((&snapshot["type"], &snapshot["room"]), (&json!("snapshot"), &json!(room)));
        assert_eq!(snapshot["data"]["readings"], latest().await["readings"]);
        let gateway = cloud.admin().get(&format!("/gateways/{}", site.gateway.id)).await.ok();
        let shown = ["id", "site_id", "link", "last_seen_at"].map(|key| (key.to_owned(), gateway[key].clone()));
        assert_eq!(snapshot["data"]["gateways"], json!([Value::from_iter(shown)]));
        let seq = snapshot["seq"].as_u64().unwrap();
        for step in 1..=3 {
            time = time.plus_ms(1_000);
            site.post(time, step as f64).await;
            let frame = watcher.frame().await;
            assert_eq!((&frame["type"], &frame["room"]), (&json!("reading"), &json!(room)));
            assert_eq!(frame["data"], json!({"readings": latest().await["readings"]}));
            assert_eq!(powers(&frame["data"]), [step as f64]);
            assert_eq!(frame["seq"].as_u64(), Some(seq + step));
            assert!(frame["timestamp"].as_str().unwrap().parse::<UtcMs>().is_ok());
        }
    }
    let mut alerts = Watcher::enter(&cloud, "alerts", cloud.admin()).await;
    assert_eq!(alerts.data("snapshot").await, json!({"alerts": []}));
}

#[tokio::test]
async fn late_readings_are_told_as_spans_and_gaps_as_the_api_lists_them() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let start = now().plus_ms(-600_000);
    site.post(start.plus_ms(300_000), 1.0).await;
    let mut watcher = Watcher::enter(&cloud, &site.room(), cloud.admin()).await;
    assert_eq!(powers(&watcher.data("snapshot").await), [1.0]);
    let late = [reading(start, 5), reading(start.plus_ms(1_000), 6)];
    site.gateway.api.send_batch(&batch(vec![segment("turbine-1", &late)])).await.ok();
    let (from, to) = (start, start.plus_ms(1_001));
    let span = json!({"device_id": site.device_id, "from": from, "to": to});
    assert_eq!(watcher.data("status").await, json!({"gateways": [], "backfilled": [span]}));

    let gap = riverwatts_shared::reading::Gap {
        device: "turbine-1".to_owned(),
        from: start.plus_ms(10_000),
        to: start.plus_ms(20_000),
        rows: Some(10),
        reason: GapReason::UncleanStop,
    };
    site.gateway.api.send_batch(&batch(vec![riverwatts_shared::batch::Item::Gap(gap)])).await.ok();
    let listed = cloud.admin().get(&format!("/devices/{}/gaps", site.device_id)).await.ok();
    assert_eq!(watcher.data("gap").await, json!({"gaps": listed["gaps"]}));
    assert_eq!(listed["gaps"].as_array().unwrap().len(), 1);
    site.post(start.plus_ms(301_000), 2.0).await;
    assert_eq!(powers(&watcher.data("reading").await), [2.0], "a late reading is none that is new");
}

#[tokio::test]
async fn what_was_missed_comes_once_after_a_cut() {
    let cloud = Cloud::start().await;
    let site = Site::new(&cloud, "Tanana").await;
    let start = now().plus_ms(-60_000);
    site.post(start, 0.0).await;
    let mut watcher = Watcher::enter(&cloud, &site.room(), cloud.admin()).await;
    watcher.data("snapshot").await;
    site.post(start.plus_ms(1_000), 1.0).await;
    let last = watcher.data("reading").await["readings"][0].clone();
    drop(watcher);
    for step in 2..=5 {
        site.post(start.plus_ms(step * 1_000), step as f64).await;
    }
    let mut watcher = Watcher::enter(&cloud, &site.room(), cloud.admin()).await;
    assert_eq!(powers(&watcher.data("snapshot").await), [5.0]);
    let after = json!({"type": "resume", "after": {(site.device_id.as_str()): last["timestamp"]}});
    watcher.say(&after).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.extend(powers(&watcher.data("reading").await));
    }
    site.post(start.plus_ms(6_000), 6.0).await;
    seen.extend(powers(&watcher.data("reading").await));
    assert_eq!(seen, [2.0, 3.0, 4.0, 5.0, 6.0]);
    // Of other devices nothing, of this one nothing that was there; what comes meanwhile comes once.
    let stranger = uuid::Uuid::from_u128(7).to_string();
    watcher
        .say(&json!({"type": "resume", "after": {(site.device_id.as_str()): start.plus_ms(6_000), (stranger.as_str()): start}}))
        .await;
    site.post(start.plus_ms(7_000), 7.0).await;
    assert_eq!(powers(&watcher.data("reading").await), [7.0]);
}

#[tokio::test]
async fn each_role_hears_of_its_own_sites_only_and_only_as_long_as_it_sees_them() {
    use riverwatts_shared::words::UserRole;
    let cloud = Cloud::start().await;
    let (own, other) = (Site::new(&cloud, "Own").await, Site::new(&cloud, "Other").await);
    let start = now().plus_ms(-60_000);
    let mut admin = Watcher::enter(&cloud, "fleet", cloud.admin()).await;
    admin.data("snapshot").await;
    let mut fleets = Vec::new();
    for role in [UserRole::Technician, UserRole::Viewer, UserRole::Customer] {
        let person = cloud.person(role).await;
        match role {
            UserRole::Customer => cloud.subscribe(&own.id, &person).await,
            _ => cloud.add_member(&own.id, &person).await,
        }
        for room in [other.room(), format!("device-{}", other.device_id)] {
            assert_eq!(Watcher::enter(&cloud, &room, &person.api).await.closed().await, 4404, "{role} in {room}");
        }
        let mut fleet = Watcher::enter(&cloud, "fleet", &person.api).await;
        let snapshot = fleet.data("snapshot").await;
        let gateways: Vec<&Value> = snapshot["gateways"].as_array().unwrap().iter().collect();
        assert_eq!(gateways.len(), 1, "{role}: {snapshot}");
        assert_eq!(gateways[0]["site_id"], json!(own.id), "{role}");
        Watcher::enter(&cloud, &own.room(), &person.api).await.data("snapshot").await;
        fleets.push((person, fleet));
    }
    other.post(start, 1.0).await;
    own.post(start, 2.0).await;
    let heard = [powers(&admin.data("reading").await), powers(&admin.data("reading").await)];
    assert_eq!(heard.concat(), [1.0, 2.0]);
    for (person, fleet) in &mut fleets {
        assert_eq!(powers(&fleet.data("reading").await), [2.0], "{}", person.id);
    }
    // One more site for the first, none any more for the second.
    let ((technician, first), (viewer, second)) = {
        let [first, second, _] = fleets.get_disjoint_mut([0, 1, 2]).unwrap();
        ((&first.0, &mut first.1), (&second.0, &mut second.1))
    };
    let mut room = Watcher::enter(&cloud, &own.room(), &viewer.api).await;
    room.data("snapshot").await;
    cloud.add_member(&other.id, technician).await;
    let now_seen = first.data("snapshot").await;
    assert_eq!(BTreeSet::from_iter(powers(&now_seen).into_iter().map(|power| power as i64)), BTreeSet::from([1, 2]));
    let removed = cloud.admin().delete(&format!("/sites/{}/members/{}", own.id, viewer.id)).await;
    assert_eq!(removed.status, 204);
    assert_eq!(second.data("snapshot").await, json!({"readings": [], "gateways": []}));
    assert_eq!(room.closed().await, 4404);
    own.post(start.plus_ms(1_000), 3.0).await;
    other.post(start.plus_ms(1_000), 4.0).await;
    assert_eq!([powers(&first.data("reading").await), powers(&first.data("reading").await)].concat(), [3.0, 4.0]);
}
