//! Gateway and cloud killed at bad moments: nothing doubled, nothing that was journalled missing.

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::batch::Item;
use riverwatts_shared::reading::Gap;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::chance::{Chance, rounds};
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::count;
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::last_write::LastWrite;
use riverwatts_tests::link::Mode;
use riverwatts_tests::reading::Point;
use riverwatts_tests::river::{River, TOLERANCE_MS, device};
use serde_json::json;

/// Kills of the gateway; of the cloud a third of that.
const KILLS: u64 = 25;
/// A gateway is killed so long after it was ready, at most: before its first flush, in the midst of an
/// upload, between two.
const KILLED_WITHIN: Duration = Duration::from_millis(1_200);
/// What a kill may cost of one device, on average: a flush (200 ms, so two readings), the reading that is on
/// the wire, and the one that was read while the last flush was committed.
const LOST_MAX: u64 = 4;
/// Of the cloud's writes for one batch, every so many-th is its last once.
const WRITES_APART: u32 = 2;
/// The gateway's last write is one of so many: about two seconds of work.
const GATEWAY_WRITES: u32 = 40;
/// How often the gateway dies at a write.
const GATEWAY_DEATHS: u32 = 15;

async fn newest(river: &River, unit: u8) -> Option<u64> {
    river.at_gateway(unit).await.last().map(Point::count)
}

/// By the devices' own record: what is in the cloud was said and is there once, what is missing lies in gaps
/// and is no more than `missing_max` of a device; and the panel has what the cloud has.
async fn assert_counted(river: &River, missing_max: u64) {
    let said = river.said().await;
    let lost = count::lost(&said, &river.cloud, &river.site_id).await;
    assert_eq!(lost.keys().collect::<Vec<_>>(), said.keys().collect::<Vec<_>>());
    for (key, lost) in lost {
        eprintln!("{key}: {lost:?}");
        assert_eq!((lost.never_said, lost.doubled, lost.untold), (0, 0, 0), "{key}: {lost:?}");
        assert!(lost.missing <= missing_max && lost.off_ms <= TOLERANCE_MS as u64, "{key}: {lost:?}");
    }
    let keys: Vec<String> = said.into_keys().collect();
    let newest = count::newest_in_cloud(&river.cloud, &river.site_id).await;
    assert_eq!(count::in_panel(&river.gateway, &keys).await, newest);
}

#[tokio::test]
async fn a_gateway_killed_at_any_instant_loses_at_most_a_flush_and_doubles_nothing() {
    let units = [1, 2];
    let kills = rounds("KILLS", KILLS);
    let mut river = River::new(&units, "100ms").await;
    let mut chance = Chance::new(rounds("SEED", 20_261_124));
    let mut stored: Vec<BTreeMap<u64, UtcMs>> = vec![BTreeMap::new(); units.len()];
    river.gateway.start().await;
    river.flows(1).await;
    for _ in 0..kills {
        // At times no answer comes, or it comes late.
        river.link.set(match chance.below(4) {
            0 => Mode::LoseAnswers,
            1 => Mode::Slow(Duration::from_millis(150)),
            _ => Mode::Pass,
        });
        over(chance.span_below(KILLED_WITHIN)).await;
        for (&unit, stored) in units.iter().zip(&mut stored) {
            stored.extend(river.at_gateway(unit).await.iter().map(|point| (point.count(), point.time)));
        }
        river.gateway.kill().await;
        river.gateway.start().await;
    }
    river.link.set(Mode::Pass);
    for &unit in &units {
        let served = river.server.served(unit).await.len() as u64;
        until(SOON, async || {
            let newest = newest(&river, unit).await;
            if newest > Some(served) { Ok(()) } else { Err(format!("{newest:?} is the newest of unit {unit}")) }
        })
        .await;
    }
    river.run_dry().await;
    assert_counted(&river, kills * LOST_MAX).await;
    for (unit, stored) in units.into_iter().zip(stored) {
        let points = river.in_cloud(unit).await;
        let arrived: BTreeMap<u64, UtcMs> = points.iter().map(|point| (point.count(), point.time)).collect();
        let missing: Vec<_> = stored.iter().filter(|&(count, time)| arrived.get(count) != Some(time)).collect();
        assert!(missing.is_empty(), "was stored, and is not in the cloud: {missing:?}");
        let device_id = river.cloud.device(&river.site_id, &device(unit)).await;
        let gaps = river.cloud.gaps(&device_id).await;
        assert!(gaps.iter().all(|(reason, ..)| reason == "unclean_stop"), "{gaps:#?}");
        assert!(gaps.len() as u64 <= kills && gaps.len() as u64 > kills / 2, "{kills} kills: {gaps:#?}");
        for (_, from, to) in &gaps {
            let inside = points.iter().find(|point| *from < point.time && point.time < *to);
            assert!(inside.is_none(), "the gap from {from} to {to} has {inside:#?}");
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
    let mut chance = Chance::new(rounds("SEED", 7));
    river.gateway.start().await;
    river.flows(1).await;
    for _ in 0..rounds("KILLS", KILLS) / 3 {
        let carried = river.link.to_cloud_bytes();
        until(
            SOON,
            async || {
                if river.link.to_cloud_bytes() > carried { Ok(()) } else { Err("nothing is sent".to_owned()) }
            },
        )
        .await;
        over(chance.span_below(Duration::from_millis(25))).await;
        river.cloud.kill().await;
        river.cloud.start_again().await;
    }
    river.run_dry().await;
    assert_counted(&river, 0).await;
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_cloud_that_dies_at_any_of_its_writes_heals_by_the_repeat() {
    let mut cloud = Cloud::start().await;
    let last_write = LastWrite::default();
    cloud.set_last_write(&last_write);
    cloud.stop().await;
    cloud.start_again().await;
    let site_id = cloud.site("Tanana").await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    let mut deaths = 0;
    loop {
        // Two months, so two files; a device that is new; a gap.
        let key = format!("turbine-{deaths}");
        let times = [recent().plus_ms(-40 * 86_400_000), recent(), recent().plus_ms(1_000)];
        let readings = times.map(|time| reading(time, time.0 % 1_000_000_000));
        let (from, to) = (times[0], times[1]);
        let gap = Gap { device: key.clone(), from, to, rows: None, reason: GapReason::UncleanStop };
        let bytes = batch(vec![announcement(&key), segment(&key, &readings), Item::Gap(gap)]).encode();

        last_write.dies_before(1 + deaths * WRITES_APART);
        let answered = gateway.api.try_send(gateway.api.batch(bytes.clone())).await;
        last_write.lives();
        if let Ok(answer) = answered {
            assert_eq!(answer.ok()["accepted"], 3);
            break;
        }
        cloud.died().await;
        cloud.start_again().await;
        let receipt = gateway.api.send_batch_bytes(bytes).await.ok();
        let taken = [&receipt["accepted"], &receipt["duplicates"]].map(|count| count.as_u64().unwrap());
        assert_eq!((taken[0] + taken[1], &receipt["rejected"]), (3, &json!([])), "{receipt}");
        assert_eq!(receipt["stored"][0]["count"], 3, "{receipt}");
        let device_id = cloud.device(&site_id, &key).await;
        let stored = Point::all(&cloud.readings(&device_id).await);
        assert_eq!(stored.iter().map(|point| point.time).collect::<Vec<_>>(), times);
        assert_eq!(cloud.gaps(&device_id).await, [("unclean_stop".to_owned(), from, to)]);
        let latest = cloud.admin().get(&format!("/readings/latest?site_id={site_id}")).await.ok();
        let latest = latest["readings"].as_array().unwrap().iter().find(|row| row["device_id"] == json!(device_id));
        assert_eq!(Point::of(latest.expect("a latest reading")).time, times[2]);
        deaths += 1;
    }
    assert!(deaths > 5, "{deaths} deaths: the last write of a batch came too soon");
    cloud.stop().await;
}

#[tokio::test]
async fn a_gateway_that_dies_at_any_of_its_writes_loses_and_doubles_nothing() {
    let mut river = River::new(&[1, 2], "100ms").await;
    let mut chance = Chance::new(1_871);
    let last_write = LastWrite::default();
    river.gateway.set_last_write(&last_write);
    for _ in 0..GATEWAY_DEATHS {
        last_write.lives();
        river.gateway.start().await;
        last_write.dies_before(1 + chance.below(GATEWAY_WRITES.into()) as u32);
        river.gateway.died().await;
    }
    last_write.lives();
    river.gateway.start().await;
    let served = river.server.served(1).await.len() as u64;
    until(SOON, async || if newest(&river, 1).await > Some(served) { Ok(()) } else { Err("no reading".into()) }).await;
    river.run_dry().await;
    for (unit, points) in [1, 2].into_iter().zip(river.assert_complete().await) {
        let device_id = river.cloud.device(&river.site_id, &device(unit)).await;
        let gaps = river.cloud.gaps(&device_id).await;
        assert!(gaps.iter().all(|(reason, ..)| reason == "unclean_stop"), "{gaps:#?}");
        assert!(gaps.len() <= GATEWAY_DEATHS as usize, "more gaps than deaths: {gaps:#?}");
        // What is missing of what was served lies in a gap.
        for pair in points.windows(2).filter(|pair| pair[1].count() > pair[0].count() + 1) {
            let told = gaps.iter().any(|(_, from, to)| *from == pair[0].time && *to == pair[1].time);
            assert!(told, "no gap tells of what is missing between {pair:#?}; there are {gaps:#?}");
        }
    }
    river.gateway.stop().await;
}
