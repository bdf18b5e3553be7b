//! Devices and readings as each of the four roles: of their own sites, of others', of none.

use riverwatts_shared::time::{Clock, SystemClock};
use riverwatts_shared::words::UserRole;
use riverwatts_tests::api::Api;
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::cloud::{Cloud, GatewayAccount};
use serde_json::json;

/// A site with one device that has one reading: ids of the site, the device, the gateway.
async fn site(cloud: &Cloud, name: &str) -> (String, String, GatewayAccount) {
    let site_id = cloud.site(name).await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    let batch = batch(vec![announcement("turbine-1"), segment("turbine-1", &[reading(recent(), 1_000_000)])]);
    assert_eq!(gateway.api.send_batch(&batch).await.ok()["accepted"], 1);
    let device_id = cloud.device(&site_id, "turbine-1").await;
    (site_id, device_id, gateway)
}

/// The sites, the devices, and the devices with readings that somebody sees.
async fn seen(api: &Api) -> [Vec<String>; 3] {
    let ids = |noun: &'static str, key: &'static str, path: &'static str| async move {
        let listed = api.get(path).await.ok();
        let rows = listed[noun].as_array().unwrap();
        let mut ids: Vec<String> = rows.iter().map(|row| row[key].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    [
        ids("sites", "id", "/sites").await,
        ids("devices", "id", "/devices").await,
        ids("readings", "device_id", "/readings/latest").await,
    ]
}

/// Every question about one device or its site is answered so.
async fn assert_all(api: &Api, site_id: &str, device_id: &str, sees: bool, who: &str) {
    for path in [
        format!("/sites/{site_id}"),
        format!("/devices/{device_id}"),
        format!("/devices/{device_id}/readings"),
        format!("/devices/{device_id}/gaps"),
        format!("/readings?device_id={device_id}"),
        format!(
            "/readings/aggregated?device_id={device_id}&metric=power_output_kw&resolution=1h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
        ),
    ] {
        let answer = api.get(&path).await;
        if sees {
            assert_eq!(answer.status, 200, "{who}: {path}: {answer:?}");
        } else {
            assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()), "{who}: {path}");
        }
    }
    let of_site = api.get(&format!("/devices?site_id={site_id}")).await.ok();
    assert_eq!(of_site["devices"].as_array().unwrap().len(), usize::from(sees), "{who}");
}

#[tokio::test]
async fn each_role_sees_its_own_sites_and_no_others() {
    let cloud = Cloud::start().await;
    let (own, own_device, _) = site(&cloud, "Own").await;
    let (other, other_device, _) = site(&cloud, "Other").await;
    let mut both = [own.clone(), other.clone()];
    both.sort();
    let mut both_devices = [own_device.clone(), other_device.clone()];
    both_devices.sort();
    assert_eq!(seen(cloud.admin()).await, [both.to_vec(), both_devices.to_vec(), both_devices.to_vec()]);
    for (site_id, device_id) in [(&own, &own_device), (&other, &other_device)] {
        assert_all(cloud.admin(), site_id, device_id, true, "admin").await;
    }

    for role in [UserRole::Technician, UserRole::Viewer, UserRole::Customer] {
        let person = cloud.person(role).await;
        let who = role.word();
        assert_eq!(seen(&person.api).await, [const { Vec::<String>::new() }; 3], "{who} of no site");
        assert_all(&person.api, &own, &own_device, false, who).await;
        if role == UserRole::Customer {
            cloud.subscribe(&own, &person).await;
        } else {
            cloud.add_member(&own, &person).await;
        }
        assert_eq!(
            seen(&person.api).await,
            [vec![own.clone()], vec![own_device.clone()], vec![own_device.clone()]],
            "{who}"
        );
        assert_all(&person.api, &own, &own_device, true, who).await;
        assert_all(&person.api, &other, &other_device, false, who).await;
        // Role first, then sight: what is not theirs to do is refused, whether they see it or not.
        for device_id in [&own_device, &other_device] {
            let refused = person.api.put(&format!("/devices/{device_id}"), &json!({"device_name": "Mine"})).await;
            assert_eq!(refused.refusal(), (403, "PERMISSION_DENIED".to_owned()), "{who}");
        }
    }
}

#[tokio::test]
async fn what_somebody_may_see_ends_with_the_link_to_the_site() {
    let cloud = Cloud::start().await;
    let (own, own_device, _) = site(&cloud, "Own").await;
    let technician = cloud.person(UserRole::Technician).await;
    cloud.add_member(&own, &technician).await;
    assert_all(&technician.api, &own, &own_device, true, "technician").await;
    let removed = cloud.admin().delete(&format!("/sites/{own}/members/{}", technician.id)).await;
    assert_eq!(removed.status, 204);
    assert_all(&technician.api, &own, &own_device, false, "technician").await;

    let customer = cloud.person(UserRole::Customer).await;
    cloud.subscribe(&own, &customer).await;
    assert_all(&customer.api, &own, &own_device, true, "customer").await;
    let subscription = cloud.admin().get("/subscriptions").await.ok()["subscriptions"][0]["id"].clone();
    let removed = cloud.admin().delete(&format!("/subscriptions/{}", subscription.as_str().unwrap())).await;
    assert_eq!(removed.status, 204);
    assert_all(&customer.api, &own, &own_device, false, "customer").await;
}

#[tokio::test]
async fn another_role_s_kind_of_link_gives_no_sight() {
    let cloud = Cloud::start().await;
    let (own, own_device, _) = site(&cloud, "Own").await;
    let customer = cloud.person(UserRole::Customer).await;
    cloud.add_member(&own, &customer).await;
    let technician = cloud.person(UserRole::Technician).await;
    cloud.subscribe(&own, &technician).await;
    for person in [&customer, &technician] {
        assert_eq!(seen(&person.api).await, [const { Vec::<String>::new() }; 3]);
        assert_all(&person.api, &own, &own_device, false, "by the wrong link").await;
    }
}

#[tokio::test]
async fn a_gateway_writes_its_own_site_and_reads_nothing() {
    let cloud = Cloud::start().await;
    let (_, own_device, gateway) = site(&cloud, "Own").await;
    let (_, other_device, _) = site(&cloud, "Other").await;
    for path in ["/sites", "/devices", "/readings/latest", "/gateways"] {
        assert_eq!(gateway.api.get(path).await.refusal(), (403, "PERMISSION_DENIED".to_owned()), "{path}");
    }
    let now = SystemClock::default().wall();
    let reading = |device_id: &str| json!({"device_id": device_id, "timestamp": now, "power_output_kw": 1.5});
    let written = gateway.api.post("/readings", &json!([reading(&own_device), reading(&other_device)])).await.ok();
    assert_eq!((&written["accepted"], &written["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&written["rejected"][0]["index"], &written["rejected"][0]["code"]),
        (&json!(1), &json!("unknown_device"))
    );
    assert_eq!(cloud.readings(&other_device).await.len(), 1);
}
