//! Roll-ups against one pass over all points: whatever came late, whatever the worker has done yet.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/site.rs"]
mod site;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::readings::{DirtyHour, Readings, Rows};
use riverwatts_cloud::rollup::{BucketsQuery, RollupError, buckets, finest, keep_rolling_up};
use riverwatts_cloud::store::devices::{self, NamedDevice};
use riverwatts_cloud::store::sites::{self, UpdateSite};
use riverwatts_shared::batch::Announcement;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::rollup::counter::Counter;
use riverwatts_shared::rollup::sum::roll_up;
use riverwatts_shared::rollup::window::window_edges;
use riverwatts_shared::rollup::{Point, Rollup};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, ManualClock, UtcMs};
use riverwatts_shared::words::{Quality, Resolution};
use site::{NOW, gateway, new_site};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const HOUR_MS: i64 = 3_600_000;
/// Half an hour before midnight in Anchorage, a day before everything was made.
const START: UtcMs = UtcMs(1_795_422_600_000);
const GAP_MS: i64 = 120_000;

/// A store with one device, and all readings that were stored.
struct River {
    folder: tempfile::TempDir,
    db: Db,
    readings: Readings,
    device: NamedDevice,
    stored: Vec<Reading>,
}

impl River {
    async fn new() -> River {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(folder.path()).await.unwrap();
        migrate(&db).await.unwrap();
        let site = sites::create(&db, &new_site(), NOW).await.unwrap();
        let gateway = gateway(&db, site.id, "first").await;
        let announcement =
            Announcement { key: "turbine-1".to_owned(), interval_ms: Some(1_000), ..Announcement::default() };
        let device = devices::announce(&db, &gateway, &[announcement], NOW).await.unwrap().devices.remove(0);
        let readings = Readings::open_sqlite(folder.path()).unwrap();
        River { folder, db, readings, device, stored: Vec::new() }
    }

    async fn write(&mut self, readings: &[Reading]) {
        self.write_as(readings, 0).await;
    }

    async fn write_as(&mut self, readings: &[Reading], revision: u32) {
        let rows = Rows::new(Segment::from_readings(readings), NOW, revision).of_device(self.device.number, GAP_MS);
        let written = self.readings.write(vec![rows]).await.unwrap().remove(0).1;
        assert_eq!(written.accepted, readings.len() as u64);
        self.stored.retain(|stored| readings.iter().all(|new| new.time != stored.time));
        self.stored.extend_from_slice(readings);
        self.stored.sort_by_key(|reading| reading.time);
    }

    /// Lets the worker work until nothing is left for it at `now`.
    async fn roll_up(&self, now: UtcMs) {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
        let stop = CancellationToken::new();
        let worker = tokio::spawn({
            let (db, readings, stop) = (self.db.clone(), self.readings.clone(), stop.clone());
            async move { keep_rolling_up(&db, &readings, clock.as_ref(), stop).await }
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.readings.hours_waiting(now).await.unwrap() > 0 {
            assert!(Instant::now() < deadline, "{:?}", self.dirty_hours().await);
            sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        worker.await.unwrap();
    }

    async fn ask(&self, resolution: Resolution, timezone: &str, from: UtcMs, to: UtcMs) -> Vec<(Metric, Vec<Rollup>)> {
        let query = BucketsQuery {
            device: self.device.clone(),
            metrics: vec![Metric::POWER, Metric::ENERGY],
            from,
            to,
            resolution,
            timezone: timezone.to_owned(),
            zone: TimeZone::get(timezone).unwrap(),
        };
        let found = buckets(&self.db, &self.readings, &query).await.unwrap();
        assert_eq!(found.edges, window_edges(resolution, &query.zone, from, to));
        found.series.into_iter().map(|series| (series.metric, series.rollups)).collect()
    }

    async fn dirty_hours(&self) -> Vec<DirtyHour> {
        self.readings.dirty_hours(self.device.number).await.unwrap()
    }

    /// Asks for windows of every width around what is stored and compares with one pass over all points.
    async fn check(&self, when: &str) {
        let (from, to) = (self.stored[0].time.plus_ms(-HOUR_MS), self.stored.last().unwrap().time.plus_ms(HOUR_MS));
        for timezone in ["America/Anchorage", "Asia/Kathmandu"] {
            for &resolution in Resolution::ALL {
                let edges = window_edges(resolution, &TimeZone::get(timezone).unwrap(), from, to);
                for (metric, found) in self.ask(resolution, timezone, from, to).await {
                    let expected = roll_up(&self.points(metric), GAP_MS, Counter::of(metric, None), &edges);
                    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        assert_eq!(found, expected, "{when}: {metric} {resolution} {timezone} {}", edges[index]);
                    }
                }
            }
        }
    }

    fn points(&self, metric: Metric) -> Vec<Point> {
        let point = |reading: &Reading| {
            let value = reading.values.iter().find(|value| value.metric == metric)?;
            let summed = value.value.filter(|_| !value.quality.kept_out_of_rollups())?;
            Some(Point { time: reading.time, value: summed })
        };
        self.stored.iter().filter_map(point).collect()
    }
}

/// `count` readings from `from` on: power goes up and down, the counter with the time.
fn series(from: UtcMs, count: i64, step_ms: i64) -> Vec<Reading> {
    let reading = |i: i64| {
        let time = from.plus_ms(i * step_ms);
        let power = 10_000_000 + (time.0 / 1_000 % 977) * 3_001;
        let mut power = Value::ok(Metric::POWER, power);
        if i % 50 == 7 {
            power.quality = Quality::Range;
        }
        let energy = time.since_ms(START) / 997 + 1_000_000;
        Reading { time, values: vec![power, Value::ok(Metric::ENERGY, energy)] }
    };
    (0..count).map(reading).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_exact_at_once_and_after_the_worker_whatever_comes_late() {
    let mut river = River::new().await;
    let hours = |hours: i64| START.plus_ms(hours * HOUR_MS);
    river.write(&series(hours(0), 600, 10_000)).await;
    river.check("fresh").await;
    river.roll_up(NOW).await;
    river.check("rolled up").await;

    // After an outage: first what is now, then the backlog.
    river.write(&series(hours(9), 300, 10_000)).await;
    river.check("with a hole").await;
    river.roll_up(NOW).await;
    river.check("with a hole, rolled up").await;
    river.write(&series(hours(4).plus_ms(-5_000), 200, 7_000)).await;
    river.check("backlog").await;
    river.write(&series(hours(2).plus_ms(3), 50, 1_000)).await;
    river.write(&series(hours(2).plus_ms(60_003), 400, 1_000)).await;
    river.check("more of it").await;
    river.roll_up(NOW).await;
    river.check("all of it").await;
    // Between what is there.
    river.write(&series(hours(0).plus_ms(5_005), 30, 10_000)).await;
    river.check("late between").await;
    river.roll_up(NOW).await;
    river.check("late between, rolled up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_between_others_over_whole_hours_do_not_hide_them() {
    let mut river = River::new().await;
    // The worker takes both as they were committed, from memory.
    river.write(&series(START, 1_440, 10_000)).await;
    river.write(&series(START.plus_ms(5_005), 1_440, 10_000)).await;
    river.roll_up(NOW).await;
    river.check("between, rolled up").await;
}

/// Both sides of an edge are stored apart, in either order, with complete readings beside it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_across_an_hours_edge_opens_the_hour_on_the_other_side() {
    let edge = START.plus_ms(HOUR_MS / 2);
    // The seam between the two is at the edge, or readings without power stand between it and the edge.
    for (is_late, shift, without_power) in
        [(false, 0, 0), (true, 0, 0), (false, 0, 1), (true, 0, 1), (false, 2, 3), (true, -2, 3)]
    {
        let mut river = River::new().await;
        let seam = edge.plus_ms(5_000 + shift * 10_000);
        let mut sides = [series(seam.plus_ms(-900_000), 90, 10_000), series(seam, 90, 10_000)];
        let beside_the_seam =
            if is_late { &mut sides[1][..without_power] } else { &mut sides[0][90 - without_power..] };
        for reading in beside_the_seam {
            reading.values.remove(0);
        }
        if is_late {
            sides.reverse();
        }
        for side in sides {
            river.write(&side).await;
            river.roll_up(NOW).await;
        }
        river.check(&format!("late {is_late}, shifted by {shift}, {without_power} without power")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_that_wait_are_known_after_a_restart() {
    let mut river = River::new().await;
    river.write(&series(START, 1_000, 10_000)).await;
    river.readings.close().await;
    river.readings = Readings::open_sqlite(river.folder.path()).unwrap();
    assert_eq!(river.dirty_hours().await.len(), 4);
    river.check("restarted").await;
    river.roll_up(NOW).await;
    river.readings.close().await;
    river.readings = Readings::open_sqlite(river.folder.path()).unwrap();
    assert_eq!(river.dirty_hours().await, []);
    river.check("restarted, rolled up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roll_ups_that_were_lost_with_their_file_are_computed_anew() {
    let mut river = River::new().await;
    river.write(&series(START, 1_000, 10_000)).await;
    river.roll_up(NOW).await;
    river.readings.close().await;
    for file in ["series.db", "series.db-wal", "series.db-shm"] {
        let path = river.folder.path().join(file);
        assert!(!path.exists() || std::fs::remove_file(path).is_ok());
    }
    river.readings = Readings::open_sqlite(river.folder.path()).unwrap();
    river.check("without the file").await;
    river.roll_up(NOW).await;
    river.check("computed anew").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hour_that_goes_on_is_never_out_of_date() {
    let mut river = River::new().await;
    let mut now = START;
    for _ in 0..3 {
        river.write(&series(now, 100, 1_000)).await;
        now = now.plus_ms(100_000);
        river.roll_up(now).await;
        river.check("open").await;
    }
    assert!(!river.dirty_hours().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_opens_its_windows_again() {
    let mut river = River::new().await;
    let mut sent = series(START, 1_000, 10_000);
    river.write(&sent).await;
    river.roll_up(NOW).await;
    for reading in &mut sent {
        reading.values[0].value = Some(1_000_000);
    }
    river.write_as(&sent[300..310], 1).await;
    river.check("corrected").await;
    river.roll_up(NOW).await;
    river.check("corrected, rolled up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_follow_the_zone_of_their_site() {
    let mut river = River::new().await;
    river.write(&series(START, 3 * 1_440, 60_000)).await;
    river.roll_up(START.plus_ms(80 * HOUR_MS)).await;
    let moved = UpdateSite { timezone: Some("Asia/Kathmandu".to_owned()), ..UpdateSite::default() };
    sites::update(&river.db, river.device.site_id, None, &moved, NOW).await.unwrap();
    river.device = devices::of_site(&river.db, river.device.site_id).await.unwrap().remove(0);
    river.check("moved").await;

    let stop = CancellationToken::new();
    let worker = tokio::spawn({
        let (db, readings, stop) = (river.db.clone(), river.readings.clone(), stop.clone());
        async move { keep_rolling_up(&db, &readings, &ManualClock::at(START), stop).await }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let zone = async || river.readings.day_zones(None).await.unwrap().remove(&river.device.number);
    while zone().await.as_deref() != Some("Asia/Kathmandu") {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    worker.await.unwrap();
    river.check("moved, days made anew").await;
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let river = River::new().await;
    let query = BucketsQuery {
        device: river.device.clone(),
        metrics: vec![Metric::POWER],
        from: UtcMs(i64::MIN),
        to: UtcMs(i64::MAX),
        resolution: Resolution::Day,
        timezone: "UTC".to_owned(),
        zone: TimeZone::UTC,
    };
    assert!(matches!(buckets(&river.db, &river.readings, &query).await, Err(RollupError::TooMany)));
    let empty = buckets(&river.db, &river.readings, &BucketsQuery { from: START, to: NOW, ..query }).await.unwrap();
    assert!(empty.series[0].rollups.iter().all(|rollup| *rollup == Rollup::default()));

    for (span_ms, points, resolution) in [
        (HOUR_MS, 100, Resolution::Minute),
        (HOUR_MS, 60, Resolution::Quarter),
        (24 * HOUR_MS, 100, Resolution::Quarter),
        (24 * HOUR_MS, 26, Resolution::Hour),
        (24 * HOUR_MS, 3, Resolution::Day),
    ] {
        assert_eq!(finest(START, START.plus_ms(span_ms), points), resolution, "{span_ms} {points}");
    }
}
