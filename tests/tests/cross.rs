//! The gateway as built for a Raspberry Pi, run by emulation of its processor, with a cloud of this one.

use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::reading::missing_counts;
use riverwatts_tests::river::River;

#[tokio::test]
#[ignore = "needs the gateway for aarch64: make cross"]
async fn a_gateway_for_aarch64_polls_keeps_and_uploads_like_any_other() {
    let mut river = River::with(&[1, 2], "200ms", Gateway::emulated).await;
    river.gateway.start().await;
    river.flows(10).await;
    river.run_dry().await;
    let before = river.assert_complete().await;
    for points in &before {
        assert_eq!(missing_counts(points), 0, "polls that were answered and are not there");
    }
    river.gateway.stop().await;

    // Its store is there again, and goes on.
    river.gateway.start().await;
    assert_eq!(river.assert_complete().await, before);
    for unit in [1, 2] {
        river.server.silence(unit, false).await;
    }
    river.flows(before[0].len().max(before[1].len()) + 10).await;
    river.run_dry().await;
    river.assert_complete().await;
    river.gateway.stop().await;
}
