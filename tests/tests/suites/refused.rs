//! What the cloud refused, and the clock, through the panel of a running gateway.

use std::collections::BTreeSet;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::refusal::{at_rest, refuse};
use riverwatts_tests::river::{River, device};
use serde_json::{Value, json};

/// The numbers of the refused readings, newest first.
async fn numbers(river: &River) -> Vec<i64> {
    let body = river.gateway.panel("/api/dead-letters").await;
    let all: &Vec<Value> = body["dead_letters"].as_array().unwrap();
    all.iter().map(|letter| letter["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_sent_again_and_refused_again_comes_back_and_what_is_discarded_is_a_gap_in_the_cloud() {
    let mut river = River::new(&[1], "500ms").await;
    river.gateway.start().await;
    river.gateway.set_password().await;
    river.flows(2).await;
    let (key, id) = (device(1), river.cloud.device(&river.site_id, &device(1)).await);
    refuse(&river.gateway, &river.link, &river.cloud, (&key, &id), 4).await;
    let first = numbers(&river).await;

    let (status, body) = river.gateway.change("/api/dead-letters/resend", &json!({"code": "conflict"})).await;
    assert_eq!((status, &body["count"]), (200, &json!(4)));
    until(SOON, async || {
        let again = numbers(&river).await;
        if again.len() == 4 && again[3] > first[0] { Ok(()) } else { Err(format!("{first:?}, then {again:?}")) }
    })
    .await;
    river.gateway.kill().await;
    river.gateway.start().await;
    at_rest(&river.gateway, 4).await;

    let one = numbers(&river).await[0];
    let path = format!("/api/dead-letters/{one}/discard");
    assert_eq!(river.gateway.change(&path, &json!({})).await.0, 200);
    assert_eq!(river.gateway.change(&path, &json!({})).await.0, 404, "it has ended");
    assert_eq!(river.gateway.change("/api/dead-letters/discard", &json!({"device": key})).await.1["count"], 3);
    at_rest(&river.gateway, 0).await;
    until(SOON, async || {
        let gaps = river.cloud.gaps(&id).await;
        let discarded = gaps.iter().filter(|(reason, ..)| reason == "dead_letter_discarded").count();
        if discarded == 2 { Ok(()) } else { Err(format!("{gaps:?}")) }
    })
    .await;
    let shown = river.gateway.readings(&key).await;
    let times: BTreeSet<&str> = shown.iter().filter_map(|reading| reading["timestamp"].as_str()).collect();
    assert_eq!(times.len(), shown.len(), "a reading is shown twice");
}

#[tokio::test]
async fn the_panel_changes_nothing_without_the_password_and_hears_a_phone_with_it() {
    let mut river = River::new(&[1], "1s").await;
    river.gateway.start().await;
    let now = json!({"time": jiff::Timestamp::now().to_string()});
    assert_eq!(river.gateway.change("/api/clock", &now).await.0, 403, "no password is set");
    river.gateway.set_password().await;
    river.flows(1).await;
    let (status, clock) = river.gateway.change("/api/clock", &now).await;
    assert_eq!((status, &clock["trusted"]), (200, &json!(true)), "{clock}");
    let (status, refused) = river.gateway.change("/api/clock", &json!({"time": "1999-01-01T00:00:00Z"})).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("RESOURCE_CONFLICT")), "{refused}");
}
