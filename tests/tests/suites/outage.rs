//! The cloud away for a while, then back; and a link that swallows everything.

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::reading::missing_counts;
use riverwatts_tests::river::{River, device};
use serde_json::Value;

/// How long the cloud is away.
const AWAY: Duration = Duration::from_secs(12);
/// A satellite's answers; more than half of the upload interval is a slow link to the gateway.
const SLOW: Mode = Mode::Slow(Duration::from_millis(600));

fn now() -> UtcMs {
    SystemClock::default().wall()
}

/// When a reading was measured, and when the cloud took it.
fn times(reading: &Value) -> (UtcMs, UtcMs) {
    let time = |key: &str| reading[key].as_str().unwrap().parse().unwrap();
    (time("timestamp"), time("created_at"))
}

#[tokio::test]
async fn after_an_outage_every_reading_is_there_once_the_newest_first_then_the_oldest() {
    let mut river = River::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "100ms").await;
    river.gateway.start().await;
    // Over a slow link the gateway learns to send little at once, so that a backlog is many batches.
    river.link.set(SLOW);
    river.flows(90).await;
    let gone = now();
    river.link.set(Mode::Refuse);
    river.cloud.stop().await;
    over(AWAY).await;
    let waiting = river.gateway.backlog().await;
    assert!(waiting > 100, "{waiting} readings wait");
    let back = now();
    river.cloud.start_again().await;
    river.link.set(SLOW);
    // The live lane goes first, whatever waits.
    let device_id = river.cloud.device(&river.site_id, &device(1)).await;
    until(SOON, async || {
        let newest = times(river.cloud.readings(&device_id).await.last().unwrap()).0;
        if newest > back { Ok(()) } else { Err(format!("the newest is of {newest}")) }
    })
    .await;
    river.run_dry().await;

    for points in river.assert_complete().await {
        assert_eq!(missing_counts(&points), 0, "polls that were answered and are not there");
    }
    // By when they came: the spans of what was measured.
    let mut arrivals: BTreeMap<UtcMs, Vec<UtcMs>> = BTreeMap::new();
    for (measured, created) in river.cloud.readings(&device_id).await.iter().map(times) {
        arrivals.entry(created).or_default().push(measured);
    }
    let arrivals: Vec<[UtcMs; 2]> =
        arrivals.range(back..).map(|(_, measured)| [measured[0], measured[measured.len() - 1]]).collect();
    let [first, newest] = arrivals[0];
    assert!(newest.since_ms(back) > -1_000, "what came first is not the newest: {arrivals:?}, {gone} to {back}");
    let backlog: Vec<UtcMs> = arrivals.iter().map(|[from, _]| *from).filter(|from| *from < first).collect();
    assert!(backlog.len() > 1, "the backlog came at once: {arrivals:?}");
    assert!(
        backlog[0].since_ms(gone) < 2_000,
        "the backlog does not begin with its oldest: {arrivals:?}, {gone} to {back}"
    );
    assert!(backlog.is_sorted(), "the backlog came as {arrivals:?}");
    assert_eq!(river.cloud.gaps(&device_id).await, [], "nothing was lost");
    river.gateway.stop().await;
}

#[tokio::test]
async fn polling_does_not_notice_a_link_that_swallows_everything() {
    let mut river = River::new(&[1, 2], "200ms").await;
    river.gateway.start().await;
    river.flows(1).await;
    river.link.set(Mode::BlackHole);
    let span = Duration::from_secs(10);
    let before = [river.gateway.unit("counter-1", "polls").await, river.gateway.unit("counter-2", "polls").await];
    over(span).await;
    for (unit, before) in ["counter-1", "counter-2"].into_iter().zip(before) {
        let polls = river.gateway.unit(unit, "polls").await - before;
        assert!((48..=55).contains(&polls), "{unit}: {polls} polls in {span:?} at 5 a second");
        for key in ["overruns", "dropped", "timeout", "lost"] {
            assert_eq!(river.gateway.unit(unit, key).await, 0, "{unit}: {key}");
        }
    }
    let site = river.gateway.panel("/api/site").await;
    assert!(site["unflushed_readings"].as_u64().unwrap() < 10, "storing waits for nobody: {site}");
    let link = river.gateway.panel("/api/link").await;
    assert!(link["backlog_readings"].as_u64().unwrap() > 70, "{link}");

    river.link.set(Mode::Pass);
    river.run_dry().await;
    for points in river.assert_complete().await {
        assert_eq!(missing_counts(&points), 0);
    }
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_link_that_breaks_in_the_midst_of_everything_costs_nothing() {
    let mut river = River::new(&[1, 2], "100ms").await;
    river.gateway.start().await;
    river.flows(1).await;
    for mode in [Mode::CutAfter(40), Mode::CutAfter(400), Mode::LoseAnswers, Mode::Refuse, Mode::CutAfter(900)] {
        river.link.set(mode);
        let link = until(SOON, async || {
            let link = river.gateway.panel("/api/link").await;
            if link["error"].is_string() { Ok(link) } else { Err(link.to_string()) }
        })
        .await;
        assert!(link["state"].as_str().unwrap().starts_with("not reached: "), "{link}");
        river.link.set(Mode::Pass);
        until(SOON, async || {
            let link = river.gateway.panel("/api/link").await;
            if link["error"].is_null() { Ok(()) } else { Err(link.to_string()) }
        })
        .await;
    }
    river.run_dry().await;
    for points in river.assert_complete().await {
        assert_eq!(missing_counts(&points), 0);
    }
    river.gateway.stop().await;
}
