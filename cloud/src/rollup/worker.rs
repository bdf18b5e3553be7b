//! The worker: brings the roll-ups of hours in order whose rows changed, once the hours are over and
//! nothing has come for a moment, and the days that they belong to.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use riverwatts_shared::rollup::window::{window_edges, window_end, window_start};
use riverwatts_shared::time::{Clock, UtcMs};
use riverwatts_shared::words::Resolution;
use tokio_util::sync::CancellationToken;

use super::source::{Source, runs};
use super::{compute, max_gap_ms};
use crate::db::{Db, DbError};
use crate::readings::{Change, DirtyHour, Readings, ReadingsError};
use crate::store::devices::{self, NamedDevice};

/// How often it looks for work.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long nothing may have come for an hour.
const UNTOUCHED_MS: u64 = 1_000;
/// How often it looks whether sites have moved to another zone.
const ZONES_EVERY: Duration = Duration::from_secs(60);
/// Days that are computed at once when all of a device's are.
const DAYS_AT_ONCE: usize = 31;

/// Why some work was not done; it is tried again.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Readings(#[from] ReadingsError),
}

/// Works until `stop`.
pub async fn keep_rolling_up(db: &Db, readings: &Readings, clock: &dyn Clock, stop: CancellationToken) {
    let mut zones_at: Option<Instant> = None;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let check_zones = zones_at.is_none_or(|at| at.elapsed() >= ZONES_EVERY);
        let work = async {
            roll_up_due(db, readings, clock.wall()).await?;
            if check_zones { follow_zones(db, readings).await } else { Ok(()) }
        };
        match stop.run_until_cancelled(work).await {
            None => return, // what was not finished is still marked
            Some(Ok(())) if check_zones => zones_at = Some(Instant::now()),
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "roll-ups are not in order"),
        }
    }
}

/// Brings all hours in order that are over at `now` and untouched for a moment.
async fn roll_up_due(db: &Db, readings: &Readings, now: UtcMs) -> Result<(), WorkError> {
    let mut hours = readings.dirty_hours(None);
    hours.retain(|hour| hour.end() <= now);
    metrics::gauge!("riverwatts_rollup_hours_waiting").set(hours.len() as f64);
    hours.retain(|hour| hour.untouched_ms >= UNTOUCHED_MS);
    if hours.is_empty() {
        return Ok(());
    }
    hours.sort_unstable_by_key(|hour| (hour.device, hour.hour));
    let named = all_named(db).await?;
    for of_device in hours.chunk_by(|a, b| a.device == b.device) {
        match named.get(&of_device[0].device) {
            Some(device) => roll_up_hours(readings, device, of_device).await?,
            None => {
                // The device was deleted: nobody can ask for its windows.
                let done = of_device.to_vec();
                readings.replace_windows(Change { device: of_device[0].device, done, ..Change::default() }).await?;
            }
        }
    }
    Ok(())
}

/// Hours of one device, in order.
async fn roll_up_hours(readings: &Readings, device: &NamedDevice, hours: &[DirtyHour]) -> Result<(), ReadingsError> {
    let source = Source { readings, device: device.number, max_gap_ms: max_gap_ms(device.interval_ms) };
    for run in runs(hours) {
        let (from, to) = (run[0].start(), run[run.len() - 1].end());
        let points = source.points(from, to).await?;
        let max_gap_ms = source.max_gap_ms;
        let computed = tokio::task::spawn_blocking(move || compute::hours(&points, max_gap_ms, from, to));
        let windows = computed.await.expect("sums never panic");
        let replaced = [Resolution::Minute, Resolution::Quarter, Resolution::Hour].map(|it| (it, from, to)).to_vec();
        readings.replace_windows(Change { device: device.number, replaced, windows, ..Change::default() }).await?;
    }
    roll_up_days(&source, device, hours).await
}

/// The days that hours belong to; with it the hours are done.
async fn roll_up_days(source: &Source<'_>, device: &NamedDevice, hours: &[DirtyHour]) -> Result<(), ReadingsError> {
    let zone = zone_of(device);
    let stored = source.readings.day_zones(Some(device.number)).await?;
    if stored.get(&device.number) != Some(&device.timezone) {
        all_days(source, device).await?;
    }
    let mut change = Change { device: device.number, done: hours.to_vec(), ..Change::default() };
    // An hour may touch two days.
    let touched = hours.iter().flat_map(|hour| [hour.start(), hour.end().plus_ms(-1)]);
    let starts: BTreeSet<UtcMs> = touched.map(|time| window_start(Resolution::Day, &zone, time)).collect();
    for start in starts {
        let end = window_end(Resolution::Day, &zone, start);
        let day = source.days(&[start, end], &[]).await?;
        change.replaced.push((Resolution::Day, start, end));
        change.windows.extend(day.into_iter().map(|window| (Resolution::Day, window)));
    }
    source.readings.replace_windows(change).await
}

/// Makes all days of a device anew, as days of its site's zone.
async fn all_days(source: &Source<'_>, device: &NamedDevice) -> Result<(), ReadingsError> {
    let zone = zone_of(device);
    let all = (UtcMs(i64::MIN), UtcMs(i64::MAX));
    let mut change = Change {
        device: device.number,
        replaced: vec![(Resolution::Day, all.0, all.1)],
        day_zone: Some(device.timezone.clone()),
        ..Change::default()
    };
    if let Some((first, last)) = source.readings.span(device.number, Resolution::Hour).await? {
        let edges = window_edges(Resolution::Day, &zone, first, last.plus_ms(1));
        for chunk in (0..edges.len() - 1).collect::<Vec<_>>().chunks(DAYS_AT_ONCE) {
            let days = source.days(&edges[chunk[0]..=chunk[chunk.len() - 1] + 1], &[]).await?;
            change.windows.extend(days.into_iter().map(|window| (Resolution::Day, window)));
        }
    }
    source.readings.replace_windows(change).await
}

/// Makes the days of devices anew whose site has moved to another zone.
async fn follow_zones(db: &Db, readings: &Readings) -> Result<(), WorkError> {
    let stored = readings.day_zones(None).await?;
    for device in all_named(db).await?.values() {
        if stored.get(&device.number).is_some_and(|zone| *zone != device.timezone) {
            let source = Source { readings, device: device.number, max_gap_ms: max_gap_ms(device.interval_ms) };
            all_days(&source, device).await?;
        }
    }
    Ok(())
}

fn zone_of(device: &NamedDevice) -> TimeZone {
    TimeZone::get(&device.timezone).unwrap_or(TimeZone::UTC)
}

async fn all_named(db: &Db) -> Result<HashMap<i64, NamedDevice>, DbError> {
    let mut named = HashMap::new();
    let mut after = 0;
    loop {
        let page = devices::all_named(db, after).await?;
        let Some(last) = page.last() else { return Ok(named) };
        after = last.number;
        named.extend(page.into_iter().map(|device| (device.number, device)));
    }
}
