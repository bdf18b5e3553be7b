//! A full store and what is read meanwhile, through a link that does everything wrong: both sides
//! end equal, by the independent count.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_edge::store::{Flush, Settings, start};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, ManualClock, SystemClock};
use riverwatts_tests::chance::{Chance, rounds};
use riverwatts_tests::count;
use riverwatts_tests::deadline::until;
use riverwatts_tests::edge_toml::EdgeToml;
use riverwatts_tests::faulty_link::{FAULTS, FaultyLink};
use riverwatts_tests::gateway::Gateway;
use riverwatts_tests::river::{River, TOLERANCE_MS, device};
use tempfile::NamedTempFile;
use uuid::Uuid;

/// How many links, each of another seed.
const LINKS: u64 = 1;
/// Of a hundred requests, so many meet a fault.
const PERCENT: u64 = 50;
/// How often each fault is met at least.
const EACH: u64 = 2;
/// Devices whose readings lie in the store already, and how many of each.
const STORED_DEVICES: u16 = 10;
const STORED_EACH: i64 = 10_000;
/// What one flush has of each.
const FLUSH_ROWS: i64 = 40;
/// Units that are read meanwhile.
const UNITS: [u8; 2] = [1, 2];
/// Time for everything to arrive.
const ARRIVED_WITHIN: Duration = Duration::from_secs(120);

fn stored(number: u16) -> String {
    format!("stored-{number}")
}

/// `value`, an integer, with so many digits behind the point.
fn decimal(value: i64, digits: usize) -> String {
    let text = format!("{:0width$}", value.abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    format!("{}{whole}.{part}", if value < 0 { "-" } else { "" })
}

/// Fills the store of a gateway that does not run; the record of what is in it.
async fn fill(gateway: &Gateway, keys: Vec<String>, chance: &mut Chance) -> NamedTempFile {
    let until = SystemClock::default().wall().plus_ms(-600_000);
    let begin = until.plus_ms(-1_000 * STORED_EACH);
    let settings = Settings { dir: gateway.store(), max_bytes: 1 << 30, keys, boot: Uuid::new_v4() };
    let (store, _) = start(settings, Arc::new(ManualClock::at(begin))).unwrap();
    let mut record = String::new();
    let (mut power, mut energy) = (0, 0);
    for first in (0..STORED_EACH).step_by(FLUSH_ROWS as usize) {
        let mut segments = Vec::new();
        for number in 1..=STORED_DEVICES {
            let mut readings = Vec::new();
            for row in first..first + FLUSH_ROWS {
                let time = begin.plus_ms(row * 1_000 + chance.below(900) as i64);
                power += chance.below(2_001) as i64 * 100 - 100_000;
                energy += chance.below(30) as i64;
                let values = vec![Value::ok(Metric::POWER, power), Value::ok(Metric::ENERGY, energy)];
                readings.push(Reading { time, values });
                let (key, power, energy) = (stored(number), decimal(power, 6), decimal(energy, 3));
                writeln!(record, "{key}\t{}\tpower_output_kw={power}\tenergy_kwh={energy}", time.0).unwrap();
            }
            segments.push((UNITS.len() as u16 + number - 1, Segment::from_readings(&readings)));
        }
        store.flush(Arc::new(Flush { dated: true, segments, ..Flush::default() })).await.unwrap();
    }
    store.close().await.unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), record).unwrap();
    file
}

#[tokio::test]
async fn a_hundred_thousand_readings_pass_a_faulty_link_each_once() {
    let first = rounds("SEED", 1);
    for seed in first..first + rounds("LINKS", LINKS) {
        pass(seed).await;
    }
}

async fn pass(seed: u64) {
    let mut river = River::new(&UNITS, "100ms").await;
    let link = FaultyLink::to(river.cloud.port(), PERCENT, seed).await;
    let mut toml = EdgeToml::new(link.url()).tcp("lan", river.server.address());
    for unit in UNITS {
        toml = toml.device(&device(unit), "lan", unit, "counter", "100ms");
    }
    toml = toml.tcp("gone", "127.0.0.1:1");
    for number in 1..=STORED_DEVICES {
        toml = toml.device(&stored(number), "gone", number as u8, "counter", "60s");
    }
    river.gateway.configure(&toml);
    let keys: Vec<String> = UNITS.map(device).into_iter().chain((1..=STORED_DEVICES).map(stored)).collect();
    let record = fill(&river.gateway, keys.clone(), &mut Chance::new(seed)).await;

    river.gateway.start().await;
    until(ARRIVED_WITHIN, async || {
        let (waiting, done) = (river.gateway.backlog().await, link.done());
        let is_tried = FAULTS.iter().all(|fault| done.0.get(fault) >= Some(&EACH));
        if waiting < 100 && is_tried { Ok(()) } else { Err(format!("{waiting} readings wait; {done:?}")) }
    })
    .await;
    river.run_dry().await;
    let (faults, requests) = link.done();
    eprintln!("seed {seed}: {requests} requests, {faults:?}");

    let mut cloud = count::in_cloud(&river.cloud, &river.site_id).await;
    assert_eq!(
        count::newest_in_cloud(&river.cloud, &river.site_id).await,
        count::in_panel(&river.gateway, &keys).await
    );
    let said = river.said().await;
    for (key, lost) in count::lost(&said, &river.cloud, &river.site_id).await {
        assert_eq!((lost.never_said, lost.doubled, lost.missing, lost.gaps), (0, 0, 0, 0), "{key}: {lost:?}");
        assert!(lost.off_ms <= TOLERANCE_MS as u64, "{key}: {lost:?}");
        assert_eq!(lost.number, said[&key].len() as u64, "{key}: what was said last is there, too");
        cloud.remove(&key);
    }
    assert_eq!(cloud, count::in_record(record.path()).await);
    let letters = river.gateway.metrics().await;
    assert_eq!(letters["riverwatts_edge_dead_letters"], 0.0);
    river.gateway.stop().await;
}
