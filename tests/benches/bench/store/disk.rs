//! What reaches the disk for one reading: the store's thread commits each flush, takes receipts and
//! seals, as fast as it can while the site's clock is moved.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_edge::store::{Lane, Limits, Settings, Settlement, Store, start};
use riverwatts_shared::time::{ManualClock, UtcMs};
use uuid::Uuid;

use super::feed::Feed;
use crate::devices::DEVICES;
use crate::report::{Better, Report};
use crate::wire;

/// Everything at once.
const ALL: Limits = Limits { units: 4_096, readings: 100_000, bytes: 1 << 20 };
/// What may rest.
const BYTES_MAX: u64 = 1 << 30;

/// A store in this folder, and the clock that it goes by.
pub fn open(dir: &Path, at: UtcMs) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(at));
    let keys = (1..=DEVICES).map(wire::key).collect();
    let settings =
        Settings { dir: dir.to_owned(), max_bytes: BYTES_MAX, keep_free: Some(0), keys, boot: Uuid::from_u128(1) };
    (start(settings, clock.clone()).unwrap().0, clock)
}

/// One number for each interval of flushes.
pub async fn measure(report: &mut Report, at: UtcMs) {
    for (name, flush_s, seconds, target) in [
        ("store.disk_bytes_per_reading_1s", 1, 3_600, 650.0),
        ("store.disk_bytes_per_reading_10s", 10, 36_000, 125.0),
        ("store.disk_bytes_per_reading_60s", 60, 216_000, 60.0),
    ] {
        let value = write(&Feed::new(at, flush_s), seconds).await;
        let figure = report.add(name, value, "B/reading", Better::Lower);
        figure.target = Some(target);
        figure.runs = (seconds / flush_s) as usize;
    }
}

/// Feeds `seconds`, each flush with its receipt; gives bytes a reading.
async fn write(feed: &Feed, seconds: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = open(folder.path(), feed.start());
    // The first answer comes when the thread has counted.
    store.next_id().await.unwrap();
    let before = store.figures().written.this_run;
    for flush in feed.flushes(seconds) {
        clock.advance(Duration::from_secs(feed.flush_s()));
        store.flush(flush).await.unwrap();
        let outgoing = store.take(Lane::Live, ALL).await.unwrap().unwrap();
        store.settle(outgoing.cargo, Settlement::default()).await.unwrap();
    }
    let written = store.figures().written.this_run - before;
    store.close().await.unwrap();
    written as f64 / (seconds * u64::from(DEVICES)) as f64
}
