//! The cloud is back: how soon the full gateway polls, how fast it drains beside what the cloud takes
//! from a plain sender, and how late live values are meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::{SOON, over, until};
use riverwatts_tests::place::free_port;
use riverwatts_tests::program::Program;
use riverwatts_tests::virtual_devices::{Place, VirtualDevices};
use serde_json::Value;

use super::offline::{self, DAY_S};
use crate::devices::{self, DEVICES};
use crate::ingest::{Sender, shifted};
use crate::report::{Better, Report, median};
use crate::{edge, wire};

/// Starts of the full gateway.
const STARTS: usize = 5;
/// How long it drains while it is watched, and before that.
const WATCHED: Duration = Duration::from_secs(30);
const SETTLING: Duration = Duration::from_secs(5);
/// Rounds of the plain sender, before and after: four hours of ten devices in batches of ten minutes each.
const ROUNDS: i64 = 3;
const ROUND_S: usize = 14_400;
const BATCH_S: usize = 600;

/// Of the gateway whose store in `folder`/store is full.
pub async fn measure(report: &mut Report, folder: &Path) {
    let devices = VirtualDevices::start(&["--by", "port", "--count", &DEVICES.to_string()]).await;
    let plain: Vec<&Place> = devices.places().iter().filter(|place| place.id.starts_with("plain-")).collect();
    let cloud = Cloud::start().await;
    let mut sender = Sender::enroll(&cloud, 1).await;
    let mut limits = send(&mut sender, 0).await;

    let site = cloud.site("Tanana").await;
    let code = cloud.gateway(&site).await.1;
    let panel = free_port();
    let more = format!("[panel]\nlisten = \"127.0.0.1:{panel}\"\n[upload]\nevery = \"1s\"\n");
    let config = edge::enrolled(folder, &cloud.url(), &code, &plain, &more).await;
    let mut starts = Vec::new();
    let gateway = loop {
        let begun = Instant::now();
        let gateway = edge::run(&config, folder);
        until(SOON, async || has_polled(panel).await.then_some(()).ok_or_else(|| gateway.log())).await;
        starts.push(begun.elapsed().as_secs_f64());
        if starts.len() == STARTS {
            break gateway;
        }
        gateway.kill().await;
    };
    let figure = report.add("store.start_full_s", median(starts.iter().copied()), "s", Better::Lower);
    figure.target = Some(1.0);
    figure.runs = STARTS;

    let (rate, late_s) = watch(&cloud, &site, panel, &gateway).await;
    gateway.kill().await;
    limits.extend(send(&mut sender, ROUNDS).await);
    let limit = median(limits.iter().copied());
    let figure = report.add("store.drain_ratio", rate / limit, "ratio", Better::Higher);
    figure.target = Some(0.7);
    figure.runs = limits.len();
    let figure = report.add("store.drain_readings_per_s", rate, "readings/s", Better::Higher);
    figure.beside.insert("a plain sender", limit);
    let figure = report.add("store.live_delay_s", late_s, "s", Better::Lower);
    figure.target = Some(2.0);
}

/// Readings a second that leave the backlog, and by how much the latest live value came late.
async fn watch(cloud: &Cloud, site: &str, panel: u16, gateway: &Program) -> (f64, f64) {
    for number in 1..=DEVICES {
        cloud.device(site, &wire::key(number)).await;
    }
    over(SETTLING).await;
    let (begun, from, before) = (Instant::now(), UtcMs::from(Timestamp::now()), backlog(panel).await);
    over(WATCHED).await;
    let (to, after, span) = (UtcMs::from(Timestamp::now()), backlog(panel).await, begun.elapsed().as_secs_f64());
    assert!(after > 0.0, "the backlog ended: {}", gateway.log());
    let read = span * f64::from(DEVICES);
    let mut late_s: f64 = 0.0;
    for id in cloud.devices(site).await.into_values() {
        let query = format!("/readings?device_id={id}&from={}&to={}&limit=1000", from, to.plus_ms(-3_000));
        let readings = cloud.admin().list(&query, "readings").await;
        assert!(readings.len() > 20, "{} readings of {id} came while draining", readings.len());
        let time = |reading: &Value, key: &str| reading[key].as_str().unwrap().parse::<UtcMs>().unwrap();
        let late_ms = |reading: &Value| time(reading, "created_at").since_ms(time(reading, "timestamp"));
        late_s = readings.iter().map(|reading| late_ms(reading) as f64 / 1_000.0).fold(late_s, f64::max);
    }
    ((before - after + read) / span, late_s)
}

/// Rates of a plain sender of one gateway's readings, one batch after another.
async fn send(sender: &mut Sender, round: i64) -> Vec<f64> {
    let ago_ms = (offline::days() * DAY_S) as i64 * 1_000;
    let start = UtcMs(UtcMs::from(Timestamp::now()).0 / 3_600_000 * 3_600_000 - ago_ms);
    let readings = devices::readings(start, ROUND_S as u64);
    let mut rates = Vec::new();
    for round in round..round + ROUNDS {
        let bodies = sender.bodies(&shifted(&readings, round * ROUND_S as i64 * 1_000), BATCH_S);
        let begun = Instant::now();
        for body in bodies {
            let receipt = sender.api.send_batch_bytes(body).await.ok();
            assert_eq!(receipt["accepted"], BATCH_S * DEVICES as usize, "{receipt}");
        }
        rates.push((ROUND_S * DEVICES as usize) as f64 / begun.elapsed().as_secs_f64());
    }
    rates
}

async fn metrics(panel: u16) -> Option<String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{panel}/metrics")).await.ok()?;
    answer.text().await.ok()
}

async fn has_polled(panel: u16) -> bool {
    let metrics = metrics(panel).await.unwrap_or_default();
    let good = |line: &str| line.starts_with("riverwatts_edge_polls_total{") && line.contains("outcome=\"ok\"");
    metrics.lines().any(|line| good(line) && !line.ends_with(" 0"))
}

async fn backlog(panel: u16) -> f64 {
    let metrics = metrics(panel).await.unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("riverwatts_edge_backlog_readings "));
    line.unwrap().parse().unwrap()
}
