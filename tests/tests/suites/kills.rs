//! Gateway and cloud killed at bad moments: nothing doubled, nothing that was journalled missing.

use std::time::Duration;

use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::reading::Point;
use riverwatts_tests::river::{River, device};

/// Kills of the gateway.
const KILLS: usize = 20;
/// Kills of the cloud at any instant.
const CLOUD_KILLS: usize = 8;

/// Instants, from a fixed seed (xorshift of Marsaglia, 2003).
struct Chance(u64);

impl Chance {
    /// A span below `most`.
    fn span(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % most.as_micros() as u64)
    }
}

async fn newest(river: &River, unit: u8) -> Option<u64> {
    river.at_gateway(unit).await.last().map(Point::count)
}

#[tokio::test]
async fn a_gateway_killed_while_it_uploads_loses_and_doubles_nothing() {
    let units = [1, 2];
    let mut river = River::new(&units, "100ms").await;
    let mut chance = Chance(20_261_124);
    let mut journalled: Vec<Vec<Point>> = vec![Vec::new(); units.len()];
    river.gateway.start().await;
    river.flows(1).await;
    for round in 0..KILLS {
        // An upload of this run has begun; each device has a reading of it.
        let carried = river.link.to_cloud_bytes();
        let served = [river.server.served(1).await.len() as u64, river.server.served(2).await.len() as u64];
        until(SOON, async || {
            let newest = [newest(&river, 1).await, newest(&river, 2).await];
            let read = newest.iter().zip(served).all(|(newest, served)| newest.is_some_and(|count| count > served));
            let sends = river.link.to_cloud_bytes() > carried;
            if read && sends { Ok(()) } else { Err(format!("round {round}: read {read}, sends {sends}")) }
        })
        .await;
        for (unit, seen) in units.into_iter().zip(&mut journalled) {
            let points = river.at_gateway(unit).await;
            seen.extend(
                points
                    .into_iter()
                    .filter(|point| seen.last().is_none_or(|last| point.time > last.time))
                    .collect::<Vec<_>>(),
            );
        }
        over(chance.span(Duration::from_millis(300))).await;
        river.gateway.kill().await;
        // At times the answer is lost, too.
        river.link.set(if round % 4 == 3 { Mode::LoseAnswers } else { Mode::Pass });
        river.gateway.start().await;
        if round % 4 == 3 {
            let lost = river.link.answers_lost();
            until(SOON, async || if river.link.answers_lost() > lost { Ok(()) } else { Err("no answer".into()) }).await;
            river.link.set(Mode::Pass);
        }
    }
    for &unit in &units {
        let served = river.server.served(unit).await.len() as u64;
        until(SOON, async || {
            let newest = newest(&river, unit).await;
            if newest > Some(served) { Ok(()) } else { Err(format!("{newest:?} is the newest of unit {unit}")) }
        })
        .await;
    }
    river.run_dry().await;
    let complete = river.assert_complete().await;
    for ((unit, points), seen) in units.into_iter().zip(complete).zip(journalled) {
        let missing: Vec<&Point> = seen.iter().filter(|point| !points.contains(point)).collect();
        assert!(missing.is_empty(), "was journalled, and is not in the cloud: {missing:#?}");
        let device_id = river.cloud.device(&river.site_id, &device(unit)).await;
        let gaps = river.cloud.gaps(&device_id).await;
        assert!(gaps.iter().all(|(reason, ..)| reason == "unclean_stop"), "{gaps:#?}");
        assert_eq!(gaps.len(), KILLS, "one gap for each kill: {gaps:#?}");
        for (_, from, to) in &gaps {
            let inside = points.iter().find(|point| *from < point.time && point.time < *to);
            assert!(inside.is_none(), "the gap from {from} to {to} has {inside:#?}");
            for end in [from, to] {
                assert!(points.iter().any(|point| point.time == *end), "no reading at the end {end} of a gap");
            }
        }
    }
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_cloud_killed_between_commit_and_answer_heals_by_the_repeat() {
    let mut river = River::new(&[1, 2], "100ms").await;
    river.gateway.start().await;
    river.flows(1).await;
    for _ in 0..4 {
        let lost = river.link.answers_lost();
        river.link.set(Mode::LoseAnswers);
        until(SOON, async || if river.link.answers_lost() > lost { Ok(()) } else { Err("no answer".to_owned()) }).await;
        river.cloud.kill().await;
        river.link.set(Mode::Pass);
        river.cloud.start_again().await;
        let waiting = river.gateway.backlog().await;
        assert!(waiting > 0, "what was not answered is not settled");
    }
    river.run_dry().await;
    river.assert_complete().await;
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_cloud_killed_at_any_instant_heals_by_the_repeat() {
    let mut river = River::new(&[1, 2], "100ms").await;
    let mut chance = Chance(7);
    river.gateway.start().await;
    river.flows(1).await;
    for _ in 0..CLOUD_KILLS {
        let carried = river.link.to_cloud_bytes();
        until(
            SOON,
            async || {
                if river.link.to_cloud_bytes() > carried { Ok(()) } else { Err("nothing is sent".to_owned()) }
            },
        )
        .await;
        over(chance.span(Duration::from_millis(25))).await;
        river.cloud.kill().await;
        river.cloud.start_again().await;
    }
    river.run_dry().await;
    river.assert_complete().await;
    river.gateway.stop().await;
}
