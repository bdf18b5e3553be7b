//! A copied store and an emptied one: no new reading is taken for a repeat of an old one.

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::gateway::{Gateway, empty_store};
use riverwatts_tests::reading::{Point, assert_same, assert_true, missing_counts};
use riverwatts_tests::river::{River, TOLERANCE_MS, device};

/// Waits until this gateway has sent at least `count` further readings of unit 1.
async fn sends(river: &River, count: usize) {
    let before = river.in_cloud(1).await.len();
    until(SOON, async || {
        let sent = river.in_cloud(1).await.len() - before;
        if sent >= count { Ok(()) } else { Err(format!("{sent} further readings in the cloud")) }
    })
    .await;
}

/// Of both gateways, everything is in the cloud, each once.
async fn assert_both(river: &River, other: &Gateway) {
    let own = river.at_gateway(1).await;
    let others = Point::all(&other.readings(&device(1)).await);
    let mut both = own;
    both.extend(others.into_iter().filter(|point| !both.contains(point)).collect::<Vec<_>>());
    both.sort_by_key(|point| point.time);
    let cloud = river.in_cloud(1).await;
    assert_same(&both, &cloud);
    assert_true(&cloud, &river.server.served(1).await, TOLERANCE_MS);
    assert_eq!(missing_counts(&cloud), 0, "readings of both");
}

#[tokio::test]
async fn a_cloned_card_sends_its_own_readings() {
    let mut river = River::new(&[1], "100ms").await;
    river.gateway.start().await;
    sends(&river, 5).await;
    river.gateway.stop().await;
    let mut clone = river.gateway.cloned(&river.toml);

    // Both go on from the same store; what they send next has the same numbers and is not the same.
    river.gateway.start().await;
    sends(&river, 15).await;
    river.gateway.stop().await;
    clone.start().await;
    sends(&river, 15).await;
    clone.stop().await;

    // And both once more, now each with a store of its own.
    river.gateway.start().await;
    sends(&river, 5).await;
    clone.start().await;
    river.run_dry().await;
    until(SOON, async || match clone.backlog().await {
        0 => Ok(()),
        left => Err(format!("{left} readings wait at the clone: {}", clone.panel("/api/link").await)),
    })
    .await;
    assert_both(&river, &clone).await;
    river.gateway.stop().await;
    clone.stop().await;
}

#[tokio::test]
async fn an_emptied_store_begins_anew_and_nothing_of_it_is_a_repeat() {
    let mut river = River::new(&[1], "100ms").await;
    river.gateway.start().await;
    sends(&river, 10).await;
    river.gateway.stop().await;
    let before = river.in_cloud(1).await;

    empty_store(&river.gateway.store());
    river.gateway.start().await;
    sends(&river, 10).await;
    river.run_dry().await;
    let all = river.in_cloud(1).await;
    assert_eq!(all[..before.len()], before[..], "what was there stays");
    assert_same(&river.at_gateway(1).await, &all[before.len()..]);
    assert_true(&all, &river.server.served(1).await, TOLERANCE_MS);
    assert_eq!(missing_counts(&all), 0);
    river.gateway.stop().await;
}
