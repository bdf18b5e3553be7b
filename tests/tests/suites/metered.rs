//! A link that costs money, on the real programs: the backlog keeps to its hours and to the data plan.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::river::River;
use riverwatts_tests::wall_clock::WallClock;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

/// Readings that are to gather while there is no link.
const GATHERED: u64 = 30;
/// What waits in passing while all is well.
const IN_PASSING: u64 = 15;
const MINUTE_MS: i64 = 60_000;

/// How far a clock is off that says this now.
fn shift_ms(says: &Zoned) -> i64 {
    says.timestamp().as_millisecond() - Timestamp::now().as_millisecond()
}

/// Waits until the link is as it should be.
async fn link(river: &River, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(SOON, async || {
        let link = river.gateway.panel("/api/link").await;
        if is_so(&link) { Ok(link) } else { Err(format!("not {what}: {link}")) }
    })
    .await
}

fn backlog(link: &Value) -> u64 {
    link["backlog_readings"].as_u64().unwrap()
}

/// Gateway and cloud go by this clock, with a further line of `[upload]`.
async fn go_by(river: &mut River, clock: &WallClock, upload: &str) {
    river.cloud.stop().await;
    river.cloud.set_wall_clock(clock);
    river.cloud.start_again().await;
    river.gateway.configure(&river.toml.clone().upload(upload));
    river.gateway.set_wall_clock(clock);
}

#[tokio::test]
async fn the_backlog_waits_for_its_hours_of_the_site_while_new_readings_go() {
    let mut river = River::new(&[1], "100ms").await;
    let noon = Timestamp::now().to_zoned(TimeZone::UTC).with().time(Time::midnight()).hour(12).build().unwrap();
    let shift = shift_ms(&noon.tomorrow().unwrap());
    let clock = WallClock::shifted(shift);
    clock.set(shift, true);
    go_by(&mut river, &clock, "backlog_hours = [\"22:00-06:00\"]").await;
    river.link.set(Mode::Refuse);
    river.gateway.start().await;
    link(&river, "gathered", |link| backlog(link) >= GATHERED).await;
    // What an earlier run left is nothing new.
    river.gateway.stop().await;
    river.link.set(Mode::Pass);
    river.gateway.start().await;
    let waits = link(&river, "connected", |link| link["condition"] == "ok").await;
    assert_eq!(waits["backlog_waits"]["reason"], "hours");
    assert!(waits["next"].as_str().unwrap().ends_with("the backlog waits until 22:00"), "{waits}");
    over(Duration::from_secs(4)).await;
    let still = link(&river, "settled but for the backlog", |link| backlog(link) < GATHERED + 2 * IN_PASSING).await;
    assert!(backlog(&still) >= GATHERED, "it went: {still}");
    assert!(still["last_receipt_age_s"].as_f64().unwrap() < 3.0, "new readings go: {still}");
    clock.set(shift + 10 * 60 * MINUTE_MS, true);
    let night = link(&river, "settled", |link| backlog(link) < IN_PASSING).await;
    assert_eq!(night["backlog_waits"], json!(null));
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_plan_that_is_nearly_used_keeps_the_backlog_until_its_new_month() {
    let mut river = River::new(&[1], "100ms").await;
    let month = Timestamp::now().to_zoned(TimeZone::UTC).with().time(Time::midnight()).build().unwrap();
    let next = month.checked_add(1.month()).unwrap().first_of_month().unwrap();
    let eve = next.checked_sub(5.minutes()).unwrap();
    let shift = shift_ms(&eve);
    let clock = WallClock::shifted(shift);
    clock.set(shift, true);
    go_by(&mut river, &clock, "plan_mb = 1").await;
    river.link.set(Mode::Refuse);
    river.gateway.start().await;
    link(&river, "gathered", |link| backlog(link) >= GATHERED).await;
    river.gateway.stop().await;
    let store = Connection::open(river.gateway.store().join("store.db")).unwrap();
    let today = eve.timestamp().as_second() / 86_400;
    store.execute("insert or replace into traffic values (?1, ?2, ?3)", params![today, 950_000, 10_000]).unwrap();
    drop(store);
    river.link.set(Mode::Pass);
    river.gateway.start().await;
    let saves = link(&river, "connected", |link| link["condition"] == "ok").await;
    let plan = &saves["plan"];
    assert_eq!((&plan["state"], &plan["limit_bytes"]), (&json!("saving"), &json!(1_000_000)));
    assert_eq!(plan["period_end"].as_str().unwrap(), format!("{:.3}", next.timestamp()));
    assert!((960_000..990_000).contains(&plan["used_bytes"].as_u64().unwrap()), "{plan}");
    assert_eq!(saves["backlog_waits"]["reason"], "plan");
    let metrics = river.gateway.metrics().await;
    assert!(metrics["riverwatts_edge_plan_used_ratio"] >= 0.96, "{metrics:?}");
    assert!(metrics["riverwatts_edge_link_bytes_total{direction=\"sent\"}"] > 300.0, "{metrics:?}");
    let status = river.gateway.run(&["status"]).await;
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("\nplan: 96 % of the data plan is used: until 1 "), "{status}");
    over(Duration::from_secs(4)).await;
    assert!(river.gateway.backlog().await > GATHERED, "the backlog went");
    clock.set(shift + 6 * MINUTE_MS, true);
    let after = link(&river, "settled", |link| backlog(link) < IN_PASSING).await;
    assert_ne!(after["plan"]["state"], "saving", "{after}");
    assert_eq!(after["backlog_waits"], json!(null));
    river.gateway.stop().await;
}
