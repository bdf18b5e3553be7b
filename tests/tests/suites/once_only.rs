//! `Idempotency-Key`: who is not sure whether a request was done asks again, and it is done once.

use reqwest::Method;
use riverwatts_tests::api::{Answer, Api};
use riverwatts_tests::cloud::Cloud;
use serde_json::{Value, json};

fn site(name: &str) -> Value {
    json!({
        "name": name, "region": "Alaska", "river_name": "Tanana", "latitude": 64.5, "longitude": -149.1,
        "capacity_kw": 25, "timezone": "America/Anchorage", "currency": "USD",
    })
}

async fn create(api: &Api, key: &str, path: &str, body: &Value) -> Answer {
    api.send(api.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_key_creates_once_whoever_asks_again() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin();
    let first = create(admin, "a", "/sites", &site("Nenana")).await;
    let nenana = site("Nenana");
    let (again, beside) = tokio::join!(create(admin, "a", "/sites", &nenana), create(admin, "b", "/sites", &nenana));
    assert_eq!((first.status, first.json()["capacity_kw"].clone()), (201, json!(25)));
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_ne!(beside.ok()["id"], first.ok()["id"]);
    assert_eq!(admin.list("/sites?limit=50", "sites").await.len(), 2);

    let other = create(admin, "a", "/sites", &site("Tolovana")).await;
    assert_eq!(other.refusal(), (409, "RESOURCE_CONFLICT".to_owned()));
    assert_eq!(other.details(), ["Idempotency-Key: was used for another request"]);
    let elsewhere = create(admin, "a", "/devices", &site("Nenana")).await;
    assert_eq!(elsewhere.refusal().0, 409);
    let site_id = first.ok()["id"].clone();
    let gateway = json!({"site_id": site_id, "name": "Box"});
    let made = create(admin, "box", "/gateways", &gateway).await.ok();
    assert_eq!(create(admin, "box", "/gateways", &gateway).await.ok()["enrollment_code"], made["enrollment_code"]);
}

#[tokio::test]
async fn a_refused_request_frees_its_key_and_a_bad_key_is_named() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin();
    assert_eq!(create(admin, "a", "/sites", &json!({"name": "x"})).await.refusal().0, 422);
    create(admin, "a", "/sites", &site("Nenana")).await.ok();
    let bad = create(admin, &"k".repeat(256), "/sites", &site("Tolovana")).await;
    assert_eq!(bad.refusal(), (422, "VALIDATION_ERROR".to_owned()));
    assert_eq!(bad.details(), ["Idempotency-Key: is 1 to 255 printable ASCII characters"]);
    assert_eq!(create(&cloud.anonymous(), "a", "/sites", &site("x")).await.refusal().0, 401);
}
