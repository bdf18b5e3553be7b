//! Batches and readings that are wrong: cut, corrupt, of another version, too large, of somebody
//! else, of an impossible time. What is good in a batch of readable items is stored; of an unreadable
//! one, nothing.

use reqwest::Method;
use riverwatts_shared::batch::{BYTES_MAX, Batch, Item, MEDIA_TYPE};
use riverwatts_shared::bytes::{with_sum, without_sum};
use riverwatts_shared::metric::VALUE_MAX;
use riverwatts_shared::reading::{Gap, Reading};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::reading::Point;
use serde_json::{Value, json};

use super::rig::Rig;

const DAY_MS: i64 = 86_400_000;

/// A batch of every kind of item that would all be new.
fn whole() -> Batch {
    let readings: Vec<Reading> =
        (1..=50).map(|second| reading(recent().plus_ms(second * 1_000), 1_000 * second)).collect();
    let gap = Gap {
        device: "turbine-1".to_owned(),
        from: recent().plus_ms(-60_000),
        to: recent().plus_ms(-30_000),
        rows: Some(30),
        reason: GapReason::UncleanStop,
    };
    batch(vec![
        announcement("turbine-2"),
        segment("turbine-1", &readings),
        Item::Gap(gap),
        segment("turbine-2", &readings),
    ])
}

#[tokio::test]
async fn an_unreadable_batch_stores_nothing() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    let api = &rig.gateway.api;
    let good = whole().encode();
    let invalid = |status: u16| (status, "VALIDATION_ERROR".to_owned());

    for media_type in ["application/octet-stream", "application/json", ""] {
        let request = api.request(Method::POST, "/sync/batches").header("Content-Type", media_type).body(good.clone());
        assert_eq!(api.send(request).await.refusal(), invalid(415), "{media_type}");
    }
    for end in (0..good.len()).step_by(7).chain([good.len() - 1]) {
        assert_eq!(api.send_batch_bytes(good[..end].to_vec()).await.refusal(), invalid(400), "cut at {end}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, told) in [
        ([good.as_slice(), &[0]].concat(), "a byte too many"),
        (with(0, b'X'), "no magic"),
        (json!({"readings": []}).to_string().into_bytes(), "JSON"),
        (vec![0xff; 1_000], "noise"),
    ] {
        let answer = api.send_batch_bytes(bytes).await;
        assert_eq!(answer.refusal(), invalid(400), "{told}");
    }
    let later = with_sum(
        without_sum(&good).unwrap().iter().enumerate().map(|(at, &byte)| if at == 3 { 3 } else { byte }).collect(),
    );
    let future = api.send_batch_bytes(later).await;
    assert_eq!(future.refusal(), invalid(422));
    assert!(future.details()[0].starts_with("version: "), "{future:?}");
    assert_eq!(api.send_batch_bytes(vec![b'R'; BYTES_MAX + 1]).await.refusal(), invalid(413));
    // Small on the wire, and more readings than a batch may have.
    let many = Segment { times: (0..60_000).collect(), ..Segment::default() };
    let item = |device: &str| Item::Segment { device: device.to_owned(), segment: many.clone() };
    let unfolding = batch(vec![item("turbine-1"), item("turbine-2")]).encode();
    assert!(unfolding.len() < BYTES_MAX / 10);
    assert_eq!(api.send_batch_bytes(unfolding).await.refusal(), invalid(400));
    // Items of kinds that there are not, and keys that no device can have.
    let bad_key =
        Item::Segment { device: "Turbine 1".to_owned(), segment: Segment::from_readings(&[reading(recent(), 1)]) };
    assert_eq!(api.send_batch(&batch(vec![bad_key])).await.refusal(), invalid(400));
    Rig::assert_unchanged(&before, &rig.everything().await);
    // None of them took the number of the good one.
    assert_eq!(api.send_batch_bytes(good).await.ok()["accepted"], 100);
}

#[tokio::test]
async fn corrupt_bytes_are_refused_or_readable_and_never_a_failure() {
    let rig = Rig::new().await;
    let good = whole().encode();
    for at in 20..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        let answer = rig.gateway.api.send_batch_bytes(bytes).await;
        assert!([200, 400, 409, 422].contains(&answer.status), "byte {at}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_reading_concerns_that_reading_alone() {
    let rig = Rig::new().await;
    let api = &rig.gateway.api;
    let now = recent();
    let stored = Point::all(&rig.cloud.readings(&rig.device_id).await);
    let items = vec![
        segment(
            "turbine-1",
            &[
                reading(now.plus_ms(-500 * DAY_MS), 1),
                reading(now.plus_ms(1_000), 2_000_000),
                reading(now.plus_ms(2_000), VALUE_MAX + 1),
                reading(now.plus_ms(2 * DAY_MS), 3),
            ],
        ),
        segment("turbine-7", &[reading(now, 1)]),
    ];
    let receipt = api.send_batch(&batch(items)).await.ok();
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(1), &json!(0)), "{receipt}");
    let mut rejected: Vec<(String, String, Option<UtcMs>)> = receipt["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            assert!(!text("message").is_empty());
            (text("key"), text("code"), row["timestamp"].as_str().map(|time| time.parse().unwrap()))
        })
        .collect();
    rejected.sort();
    let of = |key: &str, code: &str, time| (key.to_owned(), code.to_owned(), time);
    assert_eq!(
        rejected,
        [
            of("turbine-1", "beyond_retention", Some(now.plus_ms(-500 * DAY_MS))),
            of("turbine-1", "out_of_range", Some(now.plus_ms(2_000))),
            of("turbine-1", "quarantined_time", Some(now.plus_ms(2 * DAY_MS))),
            of("turbine-7", "unknown_device", None),
        ]
    );
    let added = Point::all(&rig.cloud.readings(&rig.device_id).await);
    assert_eq!(added.len(), stored.len() + 1);
    assert_eq!(added.last().unwrap().numbers["power_output_kw"], 2.0);
    assert_eq!(rig.cloud.devices(&rig.site_id).await.len(), 1, "turbine-7 has not announced itself");
}

#[tokio::test]
async fn the_first_value_stays_and_a_forked_store_is_told_so() {
    let rig = Rig::new().await;
    let api = &rig.gateway.api;
    let time = recent().plus_ms(10_000);
    let first = batch(vec![segment("turbine-1", &[reading(time, 1_000_000)])]);
    let receipt = api.send_batch(&first).await;
    assert_eq!(receipt.ok()["accepted"], 1);
    let mut again = api.send_batch(&first).await.ok();
    assert_eq!(again["last_sequence"], first.id.sequence);
    again["last_sequence"] = receipt.ok()["last_sequence"].clone();
    assert_eq!(again, receipt.ok(), "the old receipt again");

    let forked = Batch { items: vec![segment("turbine-1", &[reading(time.plus_ms(1), 5)])], ..first.clone() };
    let answer = api.send_batch(&forked).await;
    assert_eq!(answer.refusal(), (409, "RESOURCE_CONFLICT".to_owned()));
    assert_eq!(answer.details(), ["store: store_forked"]);

    let again = batch(vec![segment("turbine-1", &[reading(time, 1_000_000), reading(time.plus_ms(1_000), 7)])]);
    let receipt = api.send_batch(&again).await.ok();
    assert_eq!(
        (&receipt["accepted"], &receipt["duplicates"], &receipt["rejected"]),
        (&json!(1), &json!(1), &json!([]))
    );
    let other = batch(vec![segment("turbine-1", &[reading(time, 9)])]);
    let receipt = api.send_batch(&other).await.ok();
    assert_eq!((&receipt["accepted"], &receipt["rejected"][0]["code"]), (&json!(0), &json!("conflict")));
    let stored = Point::all(&rig.cloud.readings(&rig.device_id).await);
    let numbers: Vec<f64> = stored.iter().map(|point| point.numbers["power_output_kw"]).collect();
    assert_eq!(numbers, [1.0, 1.0, 0.000_007]);
}

#[tokio::test]
async fn a_key_that_another_gateway_holds_waits_and_nothing_of_it_is_stored() {
    let rig = Rig::new().await;
    let before = Point::all(&rig.cloud.readings(&rig.device_id).await);
    let other = rig.cloud.enrolled_gateway(&rig.site_id).await;
    let items = vec![announcement("turbine-1"), segment("turbine-1", &[reading(recent().plus_ms(1_000), 5)])];
    let moved = batch(items);
    let receipt = other.api.send_batch(&moved).await.ok();
    assert_eq!(
        (&receipt["waiting"], &receipt["accepted"], &receipt["rejected"]),
        (&json!(["turbine-1"]), &json!(0), &json!([]))
    );
    assert_eq!(Point::all(&rig.cloud.readings(&rig.device_id).await), before);
    let device = rig.cloud.admin().get(&format!("/devices/{}", rig.device_id)).await.ok();
    assert_eq!(device["pending_gateway_id"], json!(other.id));

    rig.cloud.admin().put(&format!("/devices/{}", rig.device_id), &json!({"gateway_id": other.id})).await.ok();
    let repeat = Batch { id: batch(Vec::new()).id, ..moved };
    let receipt = other.api.send_batch(&repeat).await.ok();
    assert_eq!((&receipt["waiting"], &receipt["accepted"]), (&json!([]), &json!(1)));
}

#[tokio::test]
async fn posted_readings_are_taken_one_by_one_and_an_unreadable_body_not_at_all() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    let api = &rig.gateway.api;
    let good = json!({"device_id": rig.device_id, "timestamp": recent().plus_ms(5_000), "power_output_kw": 1.5});
    let with = |name: &str, value: Value| {
        let mut reading = good.clone();
        reading[name] = value;
        reading
    };
    let text = json!([good]).to_string();
    for (body, status) in [
        (text[..text.len() - 1].to_owned(), 400),
        (String::new(), 400),
        ("3".to_owned(), 422),
        ("\"text\"".to_owned(), 422),
        ("null".to_owned(), 422),
        (json!({"readings": good}).to_string(), 422),
        (json!({"readings": [good], "colour": "red"}).to_string(), 422),
        (text.clone() + &" ".repeat(BYTES_MAX), 413),
    ] {
        let request = api.request(Method::POST, "/readings").header("Content-Type", "application/json");
        let answer = api.send(request.body(body.clone())).await;
        assert_eq!(answer.refusal(), (status, "VALIDATION_ERROR".to_owned()), "{:.80}", body);
    }
    for media_type in ["text/plain", MEDIA_TYPE] {
        let request = api.request(Method::POST, "/readings").header("Content-Type", media_type).body(text.clone());
        assert_eq!(api.send(request).await.refusal(), (415, "VALIDATION_ERROR".to_owned()), "{media_type}");
    }
    Rig::assert_unchanged(&before, &rig.everything().await);

    let far = json!(recent().plus_ms(2 * DAY_MS));
    let items = [
        (with("power_output_kw", json!("1.5")), "invalid"),
        (with("timestamp", json!("yesterday")), "invalid"),
        (with("timestamp", json!(null)), "invalid"),
        (with("device_id", json!("here")), "invalid"),
        (with("colour", json!("red")), "invalid"),
        (with("extra", json!({"warp_factor": 9})), "invalid"),
        (with("quality", json!({"power_output_kw": "splendid"})), "invalid"),
        (json!(3), "invalid"),
        (with("power_output_kw", json!(1e300)), "out_of_range"),
        (with("timestamp", far), "quarantined_time"),
        (with("timestamp", json!("2020-01-01T00:00:00Z")), "beyond_retention"),
        (with("device_id", json!(uuid::Uuid::new_v4())), "unknown_device"),
    ];
    let mut body: Vec<Value> = items.iter().map(|(item, _)| item.clone()).collect();
    body.push(good.clone());
    body.push(good.clone());
    let answer = api.post("/readings", &json!({"readings": body})).await.ok();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)), "{answer}");
    let rejected: Vec<(usize, &str)> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_u64().unwrap() as usize, row["code"].as_str().unwrap()))
        .collect();
    let expected: Vec<(usize, &str)> = items.iter().map(|(_, code)| *code).enumerate().collect();
    assert_eq!(rejected, expected, "{answer}");
    assert_eq!(api.post("/readings", &good).await.ok()["duplicates"], 1, "one alone is taken, too");
    assert_eq!(rig.cloud.readings(&rig.device_id).await.len(), 2);
}
