//! From what a gateway sends to what is stored and answered: each thing once, whatever breaks in between.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/site.rs"]
mod site;

use std::sync::Arc;

use jiff::tz::TimeZone;
use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::ingest::{Ingest, IngestError};
use riverwatts_cloud::live::Live;
use riverwatts_cloud::presence::Presence;
use riverwatts_cloud::readings::{Change, ListQuery, Readings, Rows};
use riverwatts_cloud::rollup::{BucketsQuery, buckets};
use riverwatts_cloud::store::devices::{self, NamedDevice, UpdateDevice};
use riverwatts_cloud::store::gaps::{self, NewGap};
use riverwatts_cloud::store::gateways::{self, Gateway};
use riverwatts_cloud::store::sites;
use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::metric::{Metric, VALUE_MAX};
use riverwatts_shared::reading::{Gap, Reading, Value};
use riverwatts_shared::receipt::{BatchId, Receipt, Rejected, StoredSpan};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{SystemClock, UtcMs};
use riverwatts_shared::words::{GapReason, RejectCode, Resolution};
use riverwatts_shared::{carry, configuration};
use serde_json::json;
use site::{NOW, gateway, new_site};
use uuid::Uuid;

/// A cloud without its HTTP side, with one site and one gateway.
struct Cloud {
    folder: tempfile::TempDir,
    db: Db,
    readings: Readings,
    ingest: Ingest,
    gateway: Gateway,
}

async fn new_ingest(db: &Db, readings: &Readings) -> Ingest {
    let presence = Presence::open(db, NOW).await.unwrap();
    let live = Live::new(db.clone(), readings.clone(), presence, Arc::new(SystemClock::default()));
    Ingest::new(db.clone(), readings.clone(), live).await.unwrap()
}

impl Cloud {
    async fn new() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(folder.path()).await.unwrap();
        migrate(&db).await.unwrap();
        let site = sites::create(&db, &new_site(), NOW).await.unwrap();
        let gateway = gateway(&db, site.id, "first").await;
        let readings = Readings::open_sqlite(folder.path()).unwrap();
        let ingest = new_ingest(&db, &readings).await;
        Cloud { folder, db, readings, ingest, gateway }
    }

    /// Stops in the middle of whatever it did, and starts again.
    async fn restart(self) -> Cloud {
        self.readings.close().await;
        self.db.close().await;
        let db = Db::open_sqlite(self.folder.path()).await.unwrap();
        let readings = Readings::open_sqlite(self.folder.path()).unwrap();
        let ingest = new_ingest(&db, &readings).await;
        Cloud { db, readings, ingest, ..self }
    }

    async fn send(&self, batch: &Batch) -> Receipt {
        self.ingest.take_batch(&self.gateway, batch.encode(), NOW).await.unwrap()
    }

    async fn post(&self, body: serde_json::Value) -> serde_json::Value {
        let answer = self.ingest.take_posted(&self.gateway, body.to_string(), NOW).await.unwrap();
        serde_json::to_value(answer).unwrap()
    }

    async fn device(&self, key: &str) -> NamedDevice {
        let devices = devices::of_site(&self.db, self.gateway.site_id).await.unwrap();
        devices.into_iter().find(|device| device.key.as_deref() == Some(key)).unwrap()
    }

    /// The times of all stored readings of a device.
    async fn times(&self, key: &str) -> Vec<UtcMs> {
        let query = ListQuery {
            devices: vec![self.device(key).await.number],
            from: UtcMs(i64::MIN),
            to: UtcMs(i64::MAX),
            descending: false,
            after: None,
            limit: 1_000,
        };
        self.readings.list(query).await.unwrap().iter().map(|row| row.time).collect()
    }

    async fn gaps(&self, key: &str) -> Vec<gaps::Gap> {
        let device = self.device(key).await.id;
        gaps::list(&self.db, device, UtcMs(i64::MIN), UtcMs(i64::MAX), None, 100).await.unwrap()
    }
}

fn announcement(key: &str) -> Item {
    Item::Announcement(Announcement {
        key: key.to_owned(),
        profile: "ott-svr100".to_owned(),
        interval_ms: Some(1_000),
        ..Announcement::default()
    })
}

fn reading(time: UtcMs, power: i64) -> Reading {
    Reading { time, values: vec![Value::ok(Metric::POWER, power)] }
}

fn ten(from: UtcMs) -> Vec<Reading> {
    (0..10).map(|i| reading(from.plus_ms(i * 1_000), 1_000_000 + i)).collect()
}

fn segment(key: &str, readings: &[Reading]) -> Item {
    Item::Segment { device: key.to_owned(), segment: Segment::from_readings(readings) }
}

fn gap(key: &str) -> Gap {
    let (from, to) = (NOW.plus_ms(-90_000), NOW.plus_ms(-60_000));
    Gap { device: key.to_owned(), from, to, rows: Some(30), reason: GapReason::UncleanStop }
}

fn batch(sequence: u64, items: Vec<Item>) -> Batch {
    Batch { id: BatchId { store: Uuid::from_u128(5), sequence }, revision: 0, items }
}

/// Two devices with ten readings each, and a gap.
fn full_batch() -> Batch {
    let start = NOW.plus_ms(-60_000);
    batch(
        1,
        vec![
            announcement("radar-1"),
            announcement("turbine-1"),
            segment("turbine-1", &ten(start)),
            segment("radar-1", &ten(start)),
            Item::Gap(gap("radar-1")),
        ],
    )
}

#[tokio::test]
async fn an_empty_batch_is_answered_and_leaves_nothing_in_the_ledger() {
    let cloud = Cloud::new().await;
    let empty = batch(1, Vec::new());
    for _ in 0..2 {
        assert_eq!(cloud.send(&empty).await.batch, empty.id);
    }
    assert_eq!(cloud.readings.find_batch(empty.id).await.unwrap(), None);
    let full = Batch { id: BatchId { sequence: 2, ..empty.id }, ..full_batch() };
    cloud.send(&full).await;
    assert!(cloud.readings.find_batch(full.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_batch_is_stored_once_and_answered_alike() {
    let cloud = Cloud::new().await;
    let bytes = full_batch().encode();
    let answer = cloud.ingest.take_batch(&cloud.gateway, bytes.clone(), NOW).await.unwrap();
    let (radar, turbine) = (cloud.device("radar-1").await, cloud.device("turbine-1").await);
    assert_eq!(turbine.interval_ms, Some(1_000));
    let named: Vec<_> = answer.devices.iter().map(|device| (device.key.as_str(), device.device_id)).collect();
    assert_eq!(named, [("radar-1", radar.id), ("turbine-1", turbine.id)]);
    let span = |device_id| StoredSpan { device_id, from: NOW.plus_ms(-60_000), to: NOW.plus_ms(-51_000), count: 10 };
    assert_eq!(answer.stored, [span(turbine.id), span(radar.id)]);
    assert_eq!((answer.accepted, answer.duplicates), (20, 0));
    assert!(answer.rejected.is_empty() && answer.waiting.is_empty(), "{answer:?}");

    let again = cloud.ingest.take_batch(&cloud.gateway, bytes, NOW.plus_ms(5_000)).await.unwrap();
    assert_eq!(again, Receipt { last_sequence: 1, ..answer });
    assert_eq!((cloud.times("radar-1").await.len(), cloud.gaps("radar-1").await.len()), (10, 1));
}

#[tokio::test]
async fn a_receipt_tells_how_far_the_cloud_knew_this_store_also_after_a_restart() {
    let mut cloud = Cloud::new().await;
    let numbered = |sequence| Batch { id: BatchId { sequence, ..full_batch().id }, ..full_batch() };
    for (sequence, last) in [(3, 0), (9, 3), (7, 9), (9, 9), (10, 9)] {
        assert_eq!(cloud.send(&numbered(sequence)).await.last_sequence, last, "before {sequence}");
    }
    assert_eq!(cloud.send(&batch(50, Vec::new())).await.last_sequence, 10, "an empty batch is not kept");
    let other = Batch { id: BatchId { store: Uuid::from_u128(6), sequence: 1 }, ..full_batch() };
    assert_eq!(cloud.send(&other).await.last_sequence, 0, "each store has its own");
    cloud = cloud.restart().await;
    assert_eq!(cloud.send(&numbered(10)).await.last_sequence, 10);
    assert_eq!(cloud.send(&numbered(51)).await.last_sequence, 10);
}

#[tokio::test]
async fn a_carried_file_does_not_change_how_far_the_cloud_knows_a_store() {
    let cloud = Cloud::new().await;
    cloud.send(&Batch { id: BatchId { sequence: 900, ..full_batch().id }, ..full_batch() }).await;
    let old = NOW.plus_ms(-86_400_000);
    let carried = Batch {
        id: BatchId { store: Uuid::from_u128(77), sequence: 5_000 },
        revision: 0,
        items: vec![segment("turbine-1", &ten(old))],
    };
    let file = [carry::head(Some(cloud.gateway.id)), carry::frame(&carried.encode()), carry::end(1)].concat();
    let mut import = cloud.ingest.import(&cloud.gateway);
    import.feed(&file, NOW).await.unwrap();
    assert_eq!(import.finish().unwrap().accepted, 10);
    let next = Batch { id: BatchId { sequence: 901, ..full_batch().id }, ..full_batch() };
    assert_eq!(cloud.send(&next).await.last_sequence, 900);
}

#[tokio::test]
async fn a_gap_is_told_whatever_its_times_and_cuts_the_line_also_when_it_comes_late() {
    let cloud = Cloud::new().await;
    let start = NOW.plus_ms(-3_600_000);
    let sparse: Vec<Reading> = (0..4).map(|i| reading(start.plus_ms(i * 2_000), 1_000_000)).collect();
    cloud.send(&batch(1, vec![announcement("turbine-1"), segment("turbine-1", &sparse)])).await;
    let device = cloud.device("turbine-1").await;
    let covered = async || {
        let (from, to, resolution) = (start, start.plus_ms(60_000), Resolution::Minute);
        let (device, metrics, zone) = (device.clone(), vec![Metric::POWER], TimeZone::UTC);
        let query = BucketsQuery { device, metrics, from, to, resolution, timezone: "UTC".to_owned(), zone };
        let found = buckets(&cloud.db, &cloud.readings, &query).await.unwrap();
        found.series[0].rollups.iter().map(|rollup| rollup.covered_ms).sum::<i64>()
    };
    assert_eq!(covered().await, 6_000);
    // The worker has been here.
    let done = cloud.readings.dirty_hours(device.number).await.unwrap();
    cloud.readings.replace_windows(vec![Change { device: device.number, done, ..Change::default() }]).await.unwrap();
    cloud.readings.ping().await.unwrap();
    assert_eq!(cloud.readings.dirty_hours(device.number).await.unwrap(), []);

    let (from, to) = (start.plus_ms(2_000), start.plus_ms(4_000));
    let late = Gap { device: "turbine-1".to_owned(), from, to, rows: None, reason: GapReason::UncleanStop };
    let ahead = Gap { from: NOW.plus_ms(86_400_000), to: UtcMs(i64::MAX), ..late.clone() };
    let before = Gap { from: UtcMs(i64::MIN), to: UtcMs(-1), ..late.clone() };
    let receipt = cloud.send(&batch(2, [late, ahead, before].map(Item::Gap).into())).await;
    assert_eq!(receipt.rejected, []);
    assert_eq!(cloud.gaps("turbine-1").await.len(), 3);
    assert!(!cloud.readings.dirty_hours(device.number).await.unwrap().is_empty(), "its hours are computed again");
    assert_eq!(covered().await, 4_000);
}

#[tokio::test]
async fn a_receipt_names_the_configuration_that_came_last() {
    let mut cloud = Cloud::new().await;
    assert_eq!(cloud.send(&batch(1, vec![announcement("radar-1")])).await.config_version, None);
    let sent = batch(2, vec![Item::Configuration("[site]\n".to_owned())]);
    let version = configuration::version("[site]\n").to_string();
    assert_eq!(cloud.send(&sent).await.config_version.as_ref(), Some(&version));
    cloud.gateway = gateways::by_id(&cloud.db, cloud.gateway.id).await.unwrap().unwrap();
    assert_eq!(cloud.send(&batch(3, Vec::new())).await.config_version, Some(version));
}

#[tokio::test]
async fn another_batch_under_the_same_identity_stores_nothing() {
    let cloud = Cloud::new().await;
    cloud.send(&full_batch()).await;
    let fork = batch(1, vec![segment("radar-1", &ten(NOW))]);
    let refused = cloud.ingest.take_batch(&cloud.gateway, fork.encode(), NOW).await;
    assert!(matches!(refused, Err(IngestError::StoreForked)), "{refused:?}");
    assert_eq!(cloud.times("radar-1").await.len(), 10);

    // A card that was copied to another site.
    let elsewhere = sites::create(&cloud.db, &new_site(), NOW).await.unwrap();
    let copy = gateway(&cloud.db, elsewhere.id, "copy").await;
    let refused = cloud.ingest.take_batch(&copy, full_batch().encode(), NOW).await;
    assert!(matches!(refused, Err(IngestError::StoreForked)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_batch_many_times_at_once_gets_one_answer() {
    let cloud = Cloud::new().await;
    let bytes = full_batch().encode();
    let sent = (0..20).map(|_| {
        let (ingest, gateway, bytes) = (cloud.ingest.clone(), cloud.gateway.clone(), bytes.clone());
        tokio::spawn(async move { ingest.take_batch(&gateway, bytes, NOW).await.unwrap() })
    });
    let mut receipts = Vec::new();
    for sent in sent.collect::<Vec<_>>() {
        receipts.push(sent.await.unwrap());
    }
    receipts.iter_mut().for_each(|receipt| receipt.last_sequence = 0);
    receipts.dedup();
    let [receipt] = &receipts[..] else { panic!("{receipts:?}") };
    assert_eq!((receipt.accepted, receipt.duplicates), (20, 0));
}

/// The cloud dies behind each step of storing a batch; the same batch then finds what is there and adds the rest.
#[tokio::test]
async fn a_batch_that_was_torn_between_the_files_is_whole_after_a_repeat() {
    for steps_done in 0..=3 {
        let mut cloud = Cloud::new().await;
        let torn = full_batch();
        if steps_done >= 1 {
            let announcements = torn.items.iter().filter_map(|item| match item {
                Item::Announcement(announcement) => Some(announcement.clone()),
                _ => None,
            });
            let announcements: Vec<Announcement> = announcements.collect();
            devices::announce(&cloud.db, &cloud.gateway, &announcements, NOW).await.unwrap();
        }
        if steps_done >= 2 {
            let number = cloud.device("turbine-1").await.number;
            let rows = Rows::new(Segment::from_readings(&ten(NOW.plus_ms(-60_000))), NOW, 0);
            cloud.readings.write(vec![rows.of_device(number, 120_000)]).await.unwrap();
        }
        if steps_done >= 3 {
            let number = cloud.device("radar-1").await.number;
            let rows = Rows::new(Segment::from_readings(&ten(NOW.plus_ms(-60_000))), NOW, 0);
            cloud.readings.write(vec![rows.of_device(number, 120_000)]).await.unwrap();
            let Gap { from, to, rows, reason, .. } = gap("radar-1");
            let device_id = cloud.device("radar-1").await.id;
            gaps::insert(&cloud.db, &[NewGap { device_id, from, to, rows, reason }], NOW).await.unwrap();
        }
        cloud = cloud.restart().await;
        let receipt = cloud.send(&torn).await;
        let duplicates = [0, 0, 10, 20][steps_done];
        assert_eq!((receipt.accepted, receipt.duplicates), (20 - duplicates, duplicates), "{steps_done}");
        assert_eq!(receipt.stored.iter().map(|span| span.count).sum::<u64>(), 20);
        for key in ["radar-1", "turbine-1"] {
            assert_eq!(cloud.times(key).await.len(), 10, "{key} {steps_done}");
        }
        assert_eq!(cloud.gaps("radar-1").await.len(), 1);
        // The answer got lost too: the next repeat hears the same.
        cloud = cloud.restart().await;
        assert_eq!(cloud.send(&torn).await, Receipt { last_sequence: 1, ..receipt });
    }
}

#[tokio::test]
async fn what_may_not_be_stored_is_named_and_does_not_keep_out_the_rest() {
    let cloud = Cloud::new().await;
    let too_late = NOW.plus_ms(600_001);
    let too_early = NOW.plus_ms(-401 * 86_400_000);
    let sent = [reading(too_early, 1), reading(NOW.plus_ms(-1), VALUE_MAX + 1), reading(NOW, 2), reading(too_late, 3)];
    let items = vec![announcement("radar-1"), segment("radar-1", &sent), segment("ghost", &ten(NOW))];
    let receipt = cloud.send(&batch(1, items)).await;
    let id = cloud.device("radar-1").await.id;
    let named = |rejected: &Rejected| (rejected.device_id, rejected.timestamp, rejected.code);
    assert_eq!(
        receipt.rejected.iter().map(named).collect::<Vec<_>>(),
        [
            (Some(id), Some(too_early), RejectCode::BeyondRetention),
            (Some(id), Some(NOW.plus_ms(-1)), RejectCode::OutOfRange),
            (Some(id), Some(too_late), RejectCode::QuarantinedTime),
            (None, None, RejectCode::UnknownDevice),
        ]
    );
    assert_eq!((receipt.accepted, cloud.times("radar-1").await), (1, vec![NOW]));
    let months: Vec<_> = std::fs::read_dir(cloud.folder.path().join("readings")).unwrap().collect();
    assert!(months.iter().all(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("2026-11.db")));

    let other = [reading(NOW, 99), reading(NOW.plus_ms(1_000), 5)];
    let receipt = cloud.send(&batch(2, vec![segment("radar-1", &other)])).await;
    assert_eq!(receipt.rejected.iter().map(named).collect::<Vec<_>>(), [(Some(id), Some(NOW), RejectCode::Conflict)]);
    let span = StoredSpan { device_id: id, from: NOW.plus_ms(1_000), to: NOW.plus_ms(1_000), count: 1 };
    assert_eq!((receipt.accepted, receipt.stored), (1, vec![span]));
}

#[tokio::test]
async fn readings_under_a_key_of_another_gateway_wait_until_an_admin_moves_it() {
    let mut cloud = Cloud::new().await;
    cloud.send(&full_batch()).await;
    cloud.gateway = gateway(&cloud.db, cloud.gateway.site_id, "second").await;
    let later = ten(NOW);
    let announced = batch(2, vec![announcement("radar-1"), segment("radar-1", &later), Item::Gap(gap("radar-1"))]);
    let silent = batch(3, vec![segment("radar-1", &later)]);
    for sent in [&announced, &silent] {
        let receipt = cloud.send(sent).await;
        assert_eq!((receipt.waiting, receipt.accepted, receipt.rejected), (vec!["radar-1".to_owned()], 0, vec![]));
    }
    assert_eq!(cloud.times("radar-1").await.len(), 10);

    let change = UpdateDevice { gateway_id: Some(Some(cloud.gateway.id)), ..UpdateDevice::default() };
    devices::update(&cloud.db, cloud.device("radar-1").await.id, None, &change, NOW).await.unwrap();
    let receipt = cloud.send(&Batch { id: BatchId { sequence: 4, ..silent.id }, ..silent }).await;
    assert_eq!((receipt.waiting, receipt.accepted), (vec![], 10));
}

#[tokio::test]
async fn readings_in_json_stand_each_for_itself() {
    let cloud = Cloud::new().await;
    cloud.send(&full_batch()).await;
    let id = cloud.device("radar-1").await.id;
    let at = |ms: i64, power: f64| json!({"device_id": id, "timestamp": NOW.plus_ms(ms), "power_output_kw": power});
    let body = json!([
        at(0, 1.5),
        {"device_id": Uuid::nil(), "timestamp": NOW},
        at(-60_000, 1.0),
        at(1_000, 1.25),
        at(0, 1.5),
        at(-59_000, 7.0),
        at(0, 2.5),
        3,
    ]);
    let answer = cloud.post(body.clone()).await;
    let codes: Vec<_> = answer["rejected"].as_array().unwrap().iter().map(|it| (&it["index"], &it["code"])).collect();
    let expected = json!([[1, "unknown_device"], [5, "conflict"], [6, "conflict"], [7, "invalid"]]);
    assert_eq!(json!(codes), expected);
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(2)));
    let again = cloud.post(body).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(4)));
    assert_eq!(cloud.times("radar-1").await.len(), 12);
}
