//! Gateways without a clock: readings wait for one, are dated once, and arrive with right times.

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::reading::{Point, assert_same, assert_true, missing_counts};
use riverwatts_tests::river::{River, TOLERANCE_MS, device};
use riverwatts_tests::wall_clock::WallClock;
use serde_json::json;

const HOUR_MS: i64 = 3_600_000;
/// Readings that are to gather while there is no clock.
const GATHERED: u64 = 20;

/// Waits until `count` readings wait at the gateway.
async fn gather(river: &River, count: u64) {
    until(SOON, async || {
        let waiting = river.gateway.backlog().await;
        if waiting >= count { Ok(()) } else { Err(format!("{waiting} readings wait")) }
    })
    .await;
}

/// Nothing has a time: not the gateway, not its history, not the last value; and nothing was sent.
async fn assert_undated(river: &River) {
    assert_eq!(river.gateway.panel("/api/site").await["time"], json!(null));
    let devices = river.gateway.panel("/api/devices").await;
    let device = &devices["devices"][0];
    assert_eq!((&device["timestamp"], &device["stale"]), (&json!(null), &json!(false)), "known, only not when");
    assert_eq!(river.at_gateway(1).await, []);
    assert_eq!(river.in_cloud(1).await, []);
}

#[tokio::test]
async fn readings_of_a_boot_in_1970_wait_and_arrive_with_right_times() {
    let mut river = River::new(&[1], "100ms").await;
    river.link.set(Mode::Refuse);
    river.gateway.set_wall_clock(&WallClock::of_1970());
    river.gateway.start().await;
    gather(&river, GATHERED).await;
    assert_undated(&river).await;
    // A power cut of the program alone: what it left belongs to the same boot.
    river.gateway.kill().await;
    river.gateway.start().await;
    gather(&river, 2 * GATHERED).await;
    assert_undated(&river).await;

    river.link.set(Mode::Pass);
    river.flows(2 * GATHERED as usize).await;
    // What was dated stays as it is while more arrives.
    let first = river.in_cloud(1).await;
    river.flows(first.len() + 10).await;
    river.run_dry().await;
    let all = river.assert_complete().await.remove(0);
    let moved: Vec<&Point> = first.iter().filter(|point| !all.contains(point)).collect();
    assert!(moved.is_empty(), "dated twice: {moved:#?}");
    assert!(all[0].count() <= 2, "the first readings are there");
    let device_id = river.cloud.device(&river.site_id, &device(1)).await;
    let gaps = river.cloud.gaps(&device_id).await;
    assert_eq!(gaps.iter().map(|(reason, ..)| reason.as_str()).collect::<Vec<_>>(), ["unclean_stop"]);
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_not_believed() {
    for shift_ms in [-HOUR_MS, HOUR_MS] {
        let mut river = River::new(&[1], "100ms").await;
        river.link.set(Mode::Refuse);
        river.gateway.set_wall_clock(&WallClock::shifted(shift_ms));
        river.gateway.start().await;
        gather(&river, GATHERED).await;
        assert_undated(&river).await;
        river.link.set(Mode::Pass);
        river.flows(GATHERED as usize + 10).await;
        river.run_dry().await;
        assert_eq!(missing_counts(&river.assert_complete().await[0]), 0);
        river.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_or_forth_moves_no_reading() {
    let mut river = River::new(&[1], "100ms").await;
    let clock = WallClock::shifted(0);
    river.gateway.set_wall_clock(&clock);
    river.gateway.start().await;
    river.flows(10).await;
    for shift_ms in [-HOUR_MS, 0, 2 * HOUR_MS, -10_000, 700, -700] {
        clock.set(shift_ms, false);
        let before = river.in_cloud(1).await.len();
        river.flows(before + 15).await;
    }
    river.run_dry().await;
    assert_eq!(missing_counts(&river.assert_complete().await[0]), 0);
    river.gateway.stop().await;

    // Off once more at the next start, with readings in the store that are newer than the clock.
    clock.set(-2 * HOUR_MS, false);
    river.server.silence(1, false).await;
    let before = river.in_cloud(1).await.len();
    river.gateway.start().await;
    river.flows(before + 15).await;
    river.run_dry().await;
    assert_eq!(missing_counts(&river.assert_complete().await[0]), 0);
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_clock_that_the_kernel_calls_synchronised_needs_no_cloud() {
    let mut river = River::new(&[1], "100ms").await;
    let clock = WallClock::shifted(0);
    clock.set(0, true);
    river.link.set(Mode::Refuse);
    river.gateway.set_wall_clock(&clock);
    river.gateway.start().await;
    gather(&river, GATHERED).await;
    assert_true(&river.at_gateway(1).await, &river.server.served(1).await, TOLERANCE_MS);
    assert!(river.at_gateway(1).await.len() >= GATHERED as usize);
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_time_server_that_sets_the_clock_back_lets_no_time_come_twice() {
    const BACK_MS: i64 = 3_000;
    let mut river = River::new(&[1], "100ms").await;
    let clock = WallClock::shifted(BACK_MS);
    clock.set(BACK_MS, true);
    river.gateway.set_wall_clock(&clock);
    river.gateway.start().await;
    river.flows(10).await;
    let before = river.in_cloud(1).await.len();
    clock.set(0, true);
    river.flows(before + 80).await;
    river.run_dry().await;
    let (gateway, cloud) = (river.at_gateway(1).await, river.in_cloud(1).await);
    assert_same(&gateway, &cloud);
    let served = river.server.served(1).await;
    assert_true(&cloud, &served, BACK_MS + TOLERANCE_MS);
    assert_eq!(missing_counts(&cloud), 0);
    // Nor does time stand still until the clock has caught up: it runs a little slower.
    for (points, served) in cloud.windows(10).zip(served.windows(10)) {
        let dated_ms = points[9].time.since_ms(points[0].time);
        let passed_ms = served[9].at.since_ms(served[0].at);
        assert!(dated_ms * 10 >= passed_ms * 7, "{passed_ms} ms became {dated_ms} ms: {points:#?}");
    }
    river.gateway.stop().await;
}
