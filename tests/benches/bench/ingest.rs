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
use crate::report::{Better, Report, median};
use crate::wire;

/// Gateways that come back at the same time, each sending one batch after another.
const GATEWAYS: u128 = 8;
/// What one batch of a backlog holds of each device.
const BATCH_S: usize = 600;
/// What one round adds to each device.
const ROUND_S: usize = 14_400;
/// Odd, for the median; the first, in which files are made, does not count.
const ROUNDS: usize = 7;
/// Rows of one transaction of the plain inserts.
const PLAIN_ROWS: usize = 5_000;
/// The readings are of the past: their windows are over.
const AGO_MS: i64 = 30 * 86_400_000;
/// Roll-ups follow within this time.
const ROLLED_UP_WITHIN: Duration = Duration::from_secs(300);

/// One round's speeds, in readings a second.
struct Round {
    plain: f64,
    cloud: f64,
}

/// The ratio, and the rate that it stands for.
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
    let mut rounds = Vec::new();
    for round in 0..ROUNDS as i64 {
        let shifted = shifted(&readings, round * ROUND_S as i64 * 1_000);
        let bodies: Vec<Vec<Vec<u8>>> = gateways.iter_mut().map(|gateway| gateway.bodies(&shifted)).collect();
        rounds
            .push(Round { plain: insert_plainly(&mut plain, &shifted), cloud: send(&cloud, &gateways, bodies).await });
    }
    let counted = &rounds[1..];
    let ratio = median(counted.iter().map(|round| round.cloud / round.plain));
    let figure = report.add("ingest.sqlite_ratio", ratio, "ratio", Better::Higher);
    figure.target = Some(0.5);
    figure.runs = counted.len();
    let rate = median(counted.iter().map(|round| round.cloud));
    let figure = report.add("ingest.sqlite_readings_per_s", rate, "readings/s", Better::Higher);
    figure.runs = counted.len();
    figure.beside.insert("plain inserts", median(counted.iter().map(|round| round.plain)));
}

/// The same values later.
fn shifted(readings: &[Vec<Reading>], by_ms: i64) -> Vec<Vec<Reading>> {
    let later = |reading: &Reading| Reading { time: reading.time.plus_ms(by_ms), values: reading.values.clone() };
    readings.iter().map(|device| device.iter().map(later).collect()).collect()
}

/// The readings of all gateways, as they come.
fn batches(readings: &[Vec<Reading>]) -> impl Iterator<Item = Vec<&[Reading]>> {
    (0..ROUND_S / BATCH_S).map(|batch| readings.iter().map(|device| &device[batch * BATCH_S..][..BATCH_S]).collect())
}

/// An enrolled gateway without the box.
struct Sender {
    api: Api,
    store: Uuid,
    sequence: usize,
}

impl Sender {
    async fn enroll(cloud: &Cloud, number: u128) -> Sender {
        let site = cloud.site(&format!("River {number}")).await;
        let api = cloud.enrolled_gateway(&site).await.api;
        let sender = Sender { api, store: Uuid::from_u128(number), sequence: 1 };
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

    fn bodies(&mut self, readings: &[Vec<Reading>]) -> Vec<Vec<u8>> {
        let encode = |upload: Vec<&[Reading]>| {
            self.sequence += 1;
            let mut batch = wire::batch(self.sequence, &upload);
            batch.id.store = self.store;
            batch.encode()
        };
        batches(readings).map(encode).collect()
    }
}

/// Sends everything and waits until no window is behind; readings a second.
async fn send(cloud: &Cloud, gateways: &[Sender], bodies: Vec<Vec<Vec<u8>>>) -> f64 {
    let started = Instant::now();
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
    until(ROLLED_UP_WITHIN, async || {
        let metrics = cloud.metrics().await;
        match metrics.lines().find_map(|line| line.strip_prefix("riverwatts_rollup_hours_waiting ")) {
            Some("0") => Ok(()),
            waiting => Err(format!("{waiting:?} hours wait for their roll-ups")),
        }
    })
    .await;
    rate(gateways.len(), started)
}

fn rate(gateways: usize, started: Instant) -> f64 {
    (gateways * DEVICES as usize * ROUND_S) as f64 / started.elapsed().as_secs_f64()
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

/// Inserts the rows of every gateway in the order in which the batches bring them; readings a second.
fn insert_plainly(plain: &mut Connection, readings: &[Vec<Reading>]) -> f64 {
    let rows: Vec<[i64; 12]> = batches(readings)
        .flat_map(|upload| (0..GATEWAYS as i64).map(move |gateway| (gateway, upload.clone())))
        .flat_map(|(gateway, upload)| {
            (1..).zip(upload).flat_map(move |(device, readings)| {
                readings.iter().map(move |reading| row(gateway * i64::from(DEVICES) + device, reading))
            })
        })
        .collect();
    let started = Instant::now();
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
    rate(GATEWAYS as usize, started)
}

fn row(device: i64, reading: &Reading) -> [i64; 12] {
    let mut row = [0; 12];
    (row[0], row[1]) = (device, reading.time.0);
    for (column, value) in row[2..].iter_mut().zip(&reading.values) {
        *column = value.value.expect("plain devices have every value");
    }
    row
}
