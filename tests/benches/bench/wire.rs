//! Bytes a reading: the batch of ten devices, beside the same readings as JSON.

use riverwatts_shared::batch::{Batch, Item};
use riverwatts_shared::reading::{Reading, reading_id};
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::devices;
use crate::report::{Better, Report};

/// How long the site is watched; each upload interval fits in a whole number of times.
const WATCHED_S: u64 = 3_600;
/// 2026-11-24T08:00:00Z.
const START: UtcMs = UtcMs(1_795_507_200_000);

/// One number for each upload interval.
pub fn measure(report: &mut Report) {
    let devices = devices::readings(START, WATCHED_S);
    for (name, interval_s, target) in
        [("wire.bytes_per_reading_60s", 60, 8.4), ("wire.bytes_per_reading_600s", 600, 6.6)]
    {
        let uploads: Vec<Vec<&[Reading]>> = (0..WATCHED_S as usize / interval_s)
            .map(|upload| devices.iter().map(|readings| &readings[upload * interval_s..][..interval_s]).collect())
            .collect();
        let count = devices.iter().map(Vec::len).sum::<usize>() as f64;
        let per_reading = |bytes: &dyn Fn(usize, &[&[Reading]]) -> usize| {
            uploads.iter().enumerate().map(|(sequence, upload)| bytes(sequence, upload)).sum::<usize>() as f64 / count
        };
        let value = per_reading(&|sequence, upload| batch(sequence, upload).encode().len());
        let figure = report.add(name, value, "B/reading", Better::Lower);
        figure.target = Some(target);
        figure.runs = uploads.len();
        figure.beside.insert("JSON", per_reading(&|_, upload| json(upload).len()));
        figure.beside.insert("JSON + zstd-3", per_reading(&|_, upload| zstd(&json(upload)).len()));
    }
}

/// The batch that a gateway makes of one interval.
pub fn batch(sequence: usize, upload: &[&[Reading]]) -> Batch {
    let items = upload
        .iter()
        .zip(1..)
        .map(|(readings, number)| Item::Segment { device: key(number), segment: Segment::from_readings(readings) });
    let store = reading_id(Uuid::nil(), START); // any id will do, and always the same
    Batch { id: BatchId { store, sequence: sequence as u64 + 1 }, revision: 0, items: items.collect() }
}

/// Key of a device in `edge.toml`.
pub fn key(number: u32) -> String {
    format!("plain-{number}")
}

/// The body of `POST /readings` for the same.
fn json(upload: &[&[Reading]]) -> Vec<u8> {
    let readings = upload.iter().zip(1u128..).flat_map(|(readings, number)| {
        let device_id = reading_id(Uuid::from_u128(number), START).to_string();
        readings.iter().map(move |reading| {
            let mut body = Map::from_iter([
                ("device_id".to_owned(), Json::from(device_id.clone())),
                ("timestamp".to_owned(), Json::from(reading.time.to_string())),
            ]);
            let mut extra = Map::new();
            for value in &reading.values {
                let number = value.value.map(|number| value.metric.to_unit(number));
                let of = if value.metric.canonical_column().is_some() { &mut body } else { &mut extra };
                of.insert(value.metric.name().to_owned(), Json::from(number));
            }
            body.insert("extra".to_owned(), Json::from(extra));
            Json::from(body)
        })
    });
    serde_json::to_vec(&readings.collect::<Vec<_>>()).expect("strings and numbers are JSON")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).expect("in memory")
}
