//! How fast the cloud takes what gateways send: batches of a backlog over HTTP, answered after the
//! commit, roll-ups kept, beside plain inserts of the same rows in the same run, in turns.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::reading::Reading;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use riverwatts_tests::api::Api;
use riverwatts_tests::cloud::Cloud;
use riverwatts_tests::deadline::until;
use rusqlite::{Connection, ToSql};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::devices::{self, DEVICES};
use crate::process::Process;
use crate::report::{Better, Report, median};
use crate::wire;

/// Gateways that come back at the same time, each sending one batch after another.
const GATEWAYS: u128 = 8;
/// What one batch of a backlog holds of each device.
const BATCH_S: usize = 600;
/// What one round adds to each device.
const ROUND_S: usize = 14_400;
/// The first, in which files are made, does not count.
const ROUNDS: usize = 6;
/// Rows of one transaction of the plain inserts.
const PLAIN_ROWS: usize = 5_000;
/// The readings are of the past: their windows are over.
const AGO_MS: i64 = 30 * 86_400_000;
/// Roll-ups follow within this time.
const ROLLED_UP_WITHIN: Duration = Duration::from_secs(300);

/// What one side did in one round.
struct Effort {
    readings_per_s: f64,
    cpu_us_per_reading: f64,
}

/// The ratio, the rate that it stands for, and the processor time, which other programs on the
/// machine change least.
pub async fn measure(report: &mut Report) {
    let start = UtcMs::from(Timestamp::now()).plus_ms(-AGO_MS);
    let start = start.plus_ms(-start.0.rem_euclid(3_600_000));
    let readings = devices::readings(start, ROUND_S as u64);
    let cloud = Cloud::start().await;
    let mut gateways = Vec::new();
    for number in 1..=GATEWAYS {
        gateways.push(Sender::enroll(&cloud, number).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut plain = open_plain(&folder.path().join("plain.db"));
    let (mut plainly, mut by_cloud) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as i64 {
        let shifted = shifted(&readings, round * ROUND_S as i64 * 1_000);
        let bodies: Vec<Vec<Vec<u8>>> = gateways.iter_mut().map(|gateway| gateway.bodies(&shifted, BATCH_S)).collect();
        plainly.push(insert_plainly(&mut plain, &shifted));
        by_cloud.push(send(&cloud, &gateways, bodies).await);
    }
    assert_rolled_up(&cloud, &gateways[0], start).await;
    let (plainly, by_cloud) = (&plainly[1..], &by_cloud[1..]);
    let rate = |effort: &Effort| effort.readings_per_s;
    let cpu = |effort: &Effort| effort.cpu_us_per_reading;
    let ratio = median(by_cloud.iter().zip(plainly).map(|(cloud, plain)| rate(cloud) / rate(plain)));
    for (name, unit, better, value, plain) in [
        ("ingest.sqlite_ratio", "ratio", Better::Higher, ratio, None),
        (
            "ingest.sqlite_readings_per_s",
            "readings/s",
            Better::Higher,
            middle(by_cloud, rate),
            Some(middle(plainly, rate)),
        ),
        ("ingest.sqlite_cpu_us_per_reading", "µs", Better::Lower, middle(by_cloud, cpu), Some(middle(plainly, cpu))),
    ] {
        let figure = report.add(name, value, unit, better);
        figure.runs = by_cloud.len();
        figure.target = plain.is_none().then_some(0.5);
        figure.beside.extend(plain.map(|plain| ("plain inserts", plain)));
    }
}

/// Every reading of a device stands in its roll-ups, once.
async fn assert_rolled_up(cloud: &Cloud, gateway: &Sender, start: UtcMs) {
    let device_id = cloud.device(&gateway.site_id, &wire::key(1)).await;
    let to = start.plus_ms((ROUNDS * ROUND_S) as i64 * 1_000);
    let query = format!("device_id={device_id}&metric=power_output_kw&from={start}&to={to}&resolution=1h");
    let answer = cloud.admin().get(&format!("/readings/aggregated?{query}")).await.ok();
    let hours = answer["buckets"].as_array().unwrap();
    let counted: u64 = hours.iter().map(|hour| hour["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, (ROUNDS * ROUND_S) as u64, "readings in the hours of one device");
}

fn middle(efforts: &[Effort], of: impl Fn(&Effort) -> f64) -> f64 {
    median(efforts.iter().map(of))
}

/// The same values later.
pub fn shifted(readings: &[Vec<Reading>], by_ms: i64) -> Vec<Vec<Reading>> {
    let later = |reading: &Reading| Reading { time: reading.time.plus_ms(by_ms), values: reading.values.clone() };
    readings.iter().map(|device| device.iter().map(later).collect()).collect()
}

/// The readings of all devices, cut into batches.
fn batches(readings: &[Vec<Reading>], batch_s: usize) -> impl Iterator<Item = Vec<&[Reading]>> {
    let batch = move |from| readings.iter().map(|device| &device[from..from + batch_s]).collect();
    (0..readings[0].len()).step_by(batch_s).map(batch)
}

/// An enrolled gateway without the box.
pub struct Sender {
    /// The cloud as it sees it.
    pub api: Api,
    /// Its site.
    pub site_id: String,
    store: Uuid,
    sequence: usize,
}

impl Sender {
    /// The gateway of a new site, its devices announced.
    pub async fn enroll(cloud: &Cloud, number: u128) -> Sender {
        let site_id = cloud.site(&format!("River {number}")).await;
        let api = cloud.enrolled_gateway(&site_id).await.api;
        let sender = Sender { api, site_id, store: Uuid::from_u128(number), sequence: 1 };
        let announcement = |number| {
            Item::Announcement(Announcement {
                key: wire::key(number),
                profile: "plain".into(),
                interval_ms: Some(1_000),
                ..Announcement::default()
            })
        };
        let id = BatchId { store: sender.store, sequence: sender.sequence as u64 };
        let items = (1..=DEVICES).map(announcement).collect();
        sender.api.send_batch(&Batch { id, revision: 0, items }).await.ok();
        sender
    }

    /// Batches with so many seconds each.
    pub fn bodies(&mut self, readings: &[Vec<Reading>], batch_s: usize) -> Vec<Vec<u8>> {
        let encode = |upload: Vec<&[Reading]>| {
            self.sequence += 1;
            let mut batch = wire::batch(self.sequence, &upload);
            batch.id.store = self.store;
            batch.encode()
        };
        batches(readings, batch_s).map(encode).collect()
    }
}

/// Sends everything and waits until no window is behind.
async fn send(cloud: &Cloud, gateways: &[Sender], bodies: Vec<Vec<Vec<u8>>>) -> Effort {
    let watch = Watch::start(Process(cloud.id()));
    let mut sending = JoinSet::new();
    for (gateway, bodies) in gateways.iter().zip(bodies) {
        let api = gateway.api.clone();
        sending.spawn(async move {
            for body in bodies {
                let receipt = api.send_batch_bytes(body).await.ok();
                assert_eq!(receipt["accepted"], BATCH_S * DEVICES as usize, "{receipt}");
            }
        });
    }
    sending.join_all().await;
    rolled_up(cloud).await;
    watch.stop()
}

/// Waits until no window is behind.
pub async fn rolled_up(cloud: &Cloud) {
    until(ROLLED_UP_WITHIN, async || {
        let metrics = cloud.metrics().await;
        match metrics.lines().find_map(|line| line.strip_prefix("riverwatts_rollup_hours_waiting ")) {
            Some("0") => Ok(()),
            waiting => Err(format!("{waiting:?} hours wait for their roll-ups")),
        }
    })
    .await;
}

/// Measures a round of one process.
struct Watch {
    process: Process,
    started: Instant,
    cpu_before_s: f64,
}

impl Watch {
    fn start(process: Process) -> Watch {
        Watch { process, started: Instant::now(), cpu_before_s: process.cpu_s() }
    }

    fn stop(self) -> Effort {
        let readings = (GATEWAYS as usize * DEVICES as usize * ROUND_S) as f64;
        Effort {
            readings_per_s: readings / self.started.elapsed().as_secs_f64(),
            cpu_us_per_reading: 1e6 * (self.process.cpu_s() - self.cpu_before_s) / readings,
        }
    }
}

/// A table of the same rows: device, time and ten integers, as durable as the cloud's.
fn open_plain(path: &std::path::Path) -> Connection {
    let plain = Connection::open(path).unwrap();
    let mut columns = String::new();
    (1..=10).for_each(|column| write!(columns, "v{column} integer, ").unwrap());
    plain
        .execute_batch(&format!(
            "pragma journal_mode = wal; pragma synchronous = full;
             create table readings (device integer not null, time integer not null, {columns}
                 primary key (device, time)) without rowid, strict;"
        ))
        .unwrap();
    plain
}

/// Inserts the rows of every gateway in the order in which the batches bring them.
fn insert_plainly(plain: &mut Connection, readings: &[Vec<Reading>]) -> Effort {
    let rows: Vec<[i64; 12]> = batches(readings, BATCH_S)
        .flat_map(|upload| (0..GATEWAYS as i64).map(move |gateway| (gateway, upload.clone())))
        .flat_map(|(gateway, upload)| {
            (1..).zip(upload).flat_map(move |(device, readings)| {
                readings.iter().map(move |reading| row(gateway * i64::from(DEVICES) + device, reading))
            })
        })
        .collect();
    let watch = Watch::start(Process::own());
    for rows in rows.chunks(PLAIN_ROWS) {
        let transaction = plain.transaction().unwrap();
        let mut insert =
            transaction.prepare_cached("insert into readings values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").unwrap();
        for row in rows {
            insert.execute(row.each_ref().map(|number| number as &dyn ToSql)).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    watch.stop()
}

fn row(device: i64, reading: &Reading) -> [i64; 12] {
    let mut row = [0; 12];
    (row[0], row[1]) = (device, reading.time.0);
    for (column, value) in row[2..].iter_mut().zip(&reading.values) {
        *column = value.value.expect("plain devices have every value");
    }
    row
}
