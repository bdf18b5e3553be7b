//! Clients that read too slowly: they cost the others nothing, get the newest in the end, or have to go.

use std::time::Duration;

use riverwatts_shared::batch::Item;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value as Measured};
use riverwatts_tests::batches::{announcement, batch, segment};
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::until;
use riverwatts_tests::watcher::Watcher;
use serde_json::Value;

use super::now;

/// Devices of the site, and metrics of each: a frame fills a good part of a connection's buffers.
const DEVICES: usize = 100;
const METRICS: usize = 20;
/// Frames that are told while the slow client reads one.
const SPEED: usize = 4;
/// All of it takes less.
const WITHIN: Duration = Duration::from_secs(120);
/// The power that says that it is over.
const LAST: i64 = 1_000_000_000_000;

fn key(number: usize) -> String {
    format!("turbine-{number}")
}

/// A batch with one large reading of each device.
fn readings(step: i64, power: i64) -> Vec<Item> {
    let time = now().plus_ms(-3_600_000 + step * 100);
    let name = |number: usize| format!("x_{number:0>40}");
    let mut values = vec![Measured::ok(Metric::POWER, power)];
    values.extend((0..METRICS).map(|number| Measured::ok(Metric::named(&name(number)).unwrap(), step)));
    (0..DEVICES).map(|number| segment(&key(number), &[Reading { time, values: values.clone() }])).collect()
}

#[tokio::test]
async fn who_reads_slowly_gets_the_newest_and_who_does_not_read_has_to_go() {
    let cloud = Cloud::start().await;
    let site_id = cloud.site("Tanana").await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    gateway.api.send_batch(&batch((0..DEVICES).map(|number| announcement(&key(number))).collect())).await.ok();
    let room = format!("site-{site_id}");
    let mut good = Watcher::enter(&cloud, &room, cloud.admin()).await;
    let mut slow = Watcher::enter_with_small_buffer(&cloud, &room, cloud.admin()).await;
    let mut dead = Watcher::enter_with_small_buffer(&cloud, &room, cloud.admin()).await;
    let mut seq = good.frame().await["seq"].as_u64().unwrap();
    slow.data("snapshot").await;
    let good = tokio::spawn(async move {
        loop {
            let frame = good.frame().await;
            if frame["type"] == "ping" {
                continue;
            }
            seq += 1;
            assert_eq!(frame["seq"].as_u64(), Some(seq), "nothing is left out for who keeps up");
            if frame["data"]["readings"][0]["power_output_kw"].as_i64() == Some(LAST / 1_000_000) {
                return;
            }
        }
    });

    let mut step = 0;
    let mut seen: Option<Value> = None;
    let mut coalesced: Option<Value> = None;
    let mut code = None;
    let is_closed = async || cloud.metrics().await.contains(r#"riverwatts_live_closed_total{code="4408"} 1"#);
    until(WITHIN, async || {
        for _ in 0..SPEED {
            step += 1;
            gateway.api.send_batch(&batch(readings(step, step))).await.ok();
        }
        if coalesced.is_none() {
            let frame = slow.frame().await;
            let number = |frame: &Value| frame["seq"].as_u64().unwrap();
            if seen.as_ref().is_some_and(|seen| number(&frame) > number(seen) + 1) {
                coalesced = Some(frame);
            } else {
                seen = Some(frame);
            }
        }
        // It learns the code when it reads in the seconds after.
        if code.is_none() && is_closed().await {
            code = Some(dead.closed().await);
        }
        if coalesced.is_some() && code.is_some() { Ok(()) } else { Err(format!("{step} steps, {code:?}")) }
    })
    .await;
    assert_eq!(code, Some(4408));
    let (seen, coalesced) = (seen.unwrap(), coalesced.unwrap());
    let newest = |frame: &Value| frame["data"]["readings"][0]["extra"][format!("x_{:0>40}", 1)].as_f64().unwrap();
    assert_eq!(coalesced["data"]["readings"].as_array().unwrap().len(), DEVICES);
    assert!(newest(&coalesced) > newest(&seen));
    gateway.api.send_batch(&batch(readings(step + 1, LAST))).await.ok();
    good.await.unwrap();
}
