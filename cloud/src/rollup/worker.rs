//! The worker: brings the roll-ups of hours in order whose rows changed, once the hours are over and
//! nothing has come for a moment, and the days that they belong to.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use riverwatts_shared::rollup::window::{window_edges, window_end, window_start};
use riverwatts_shared::time::{Clock, UtcMs};
use riverwatts_shared::words::Resolution;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::compute::change_of_points;
use super::live::Live;
use super::max_gap_ms;
use super::source::{Source, runs};
use crate::db::{Db, DbError};
use crate::readings::{Change, Commit, DirtyHour, Readings, ReadingsError};
use crate::store::devices::{self, NamedDevice};

/// How often it looks for hours that wait.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long nothing may have come for an hour.
const UNTOUCHED_MS: u64 = 300;
/// Hours that are read before it looks again.
const HOURS_AT_ONCE: usize = 500;
/// Hours added up in memory that may wait to be put in.
const CHANGES_MAX: usize = 256;
/// Wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);
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
    let mut worker = Worker { db, readings, named: HashMap::new() };
    let (give, mut complete) = channel(CHANGES_MAX);
    if let Some(commits) = readings.take_commits() {
        // It ends with the writer, or when nobody takes what it gives.
        tokio::task::spawn_blocking(move || add_up(commits, &give));
    }
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut zones_at: Option<Instant> = None;
    loop {
        let work = async {
            tokio::select! {
                Some(change) = complete.recv() => worker.replace(change).await,
                _ = look.tick() => {
                    if zones_at.is_none_or(|at| at.elapsed() >= ZONES_EVERY) {
                        worker.follow_zones().await?;
                        zones_at = Some(Instant::now());
                    }
                    worker.roll_up_due(clock.wall()).await
                }
            }
        };
        match stop.run_until_cancelled(work).await {
            None => return, // what was not finished is still marked
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::error!(%error, "roll-ups are not in order");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Follows the commits and gives away the hours that are complete.
fn add_up(mut commits: Receiver<Commit>, give: &Sender<Change>) {
    let mut live = Live::default();
    while let Some(commit) = commits.blocking_recv() {
        for change in live.take(&commit) {
            if give.blocking_send(change).is_err() {
                return;
            }
        }
    }
}

struct Worker<'w> {
    db: &'w Db,
    readings: &'w Readings,
    /// Devices by number, as they were when last looked up.
    named: HashMap<i64, NamedDevice>,
}

impl Worker<'_> {
    /// Puts in an hour that was added up in memory.
    async fn replace(&mut self, mut change: Change) -> Result<(), WorkError> {
        let hours = std::mem::take(&mut change.done);
        count_hours("memory", hours.len());
        let Some(device) = self.device(change.device).await? else { return Ok(()) };
        self.readings.replace_windows(change).await?;
        let source = self.source(&device);
        Ok(roll_up_days(&source, &device, &hours).await?)
    }

    /// Brings all hours in order that are over at `now` and untouched for a moment.
    async fn roll_up_due(&mut self, now: UtcMs) -> Result<(), WorkError> {
        let mut hours = self.readings.dirty_hours(None);
        hours.retain(|hour| hour.end() <= now);
        hours.retain(|hour| hour.untouched_ms >= UNTOUCHED_MS);
        hours.sort_unstable_by_key(|hour| (hour.device, hour.hour));
        hours.truncate(HOURS_AT_ONCE);
        for of_device in hours.chunk_by(|a, b| a.device == b.device) {
            let number = of_device[0].device;
            match self.device(number).await? {
                Some(device) => {
                    roll_up_hours(&self.source(&device), &device, of_device).await?;
                    count_hours("rows", of_device.len());
                }
                None => {
                    // The device was deleted: nobody can ask for its windows.
                    let done = of_device.to_vec();
                    self.readings.replace_windows(Change { device: number, done, ..Change::default() }).await?;
                }
            }
        }
        Ok(())
    }

    /// Makes the days of devices anew whose site has moved to another zone.
    async fn follow_zones(&mut self) -> Result<(), WorkError> {
        self.look_up().await?;
        let stored = self.readings.day_zones(None).await?;
        for device in self.named.values() {
            if stored.get(&device.number).is_some_and(|zone| *zone != device.timezone) {
                all_days(&self.source(device), device).await?;
            }
        }
        Ok(())
    }

    async fn device(&mut self, number: i64) -> Result<Option<NamedDevice>, DbError> {
        if !self.named.contains_key(&number) {
            self.look_up().await?;
        }
        Ok(self.named.get(&number).cloned())
    }

    async fn look_up(&mut self) -> Result<(), DbError> {
        self.named.clear();
        let mut after = 0;
        loop {
            let page = devices::all_named(self.db, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.number;
            self.named.extend(page.into_iter().map(|device| (device.number, device)));
        }
    }

    fn source(&self, device: &NamedDevice) -> Source<'_> {
        Source { readings: self.readings, device: device.number, max_gap_ms: max_gap_ms(device.interval_ms) }
    }
}

/// Hours of one device, in order.
async fn roll_up_hours(source: &Source<'_>, device: &NamedDevice, hours: &[DirtyHour]) -> Result<(), ReadingsError> {
    for run in runs(hours) {
        let (from, to) = (run[0].start(), run[run.len() - 1].end());
        let points = source.points(from, to).await?;
        let (device, max_gap_ms) = (source.device, source.max_gap_ms);
        let computed = tokio::task::spawn_blocking(move || change_of_points(device, &points, max_gap_ms, from, to));
        source.readings.replace_windows(computed.await.expect("sums never panic")).await?;
    }
    roll_up_days(source, device, hours).await
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

/// Counts hours by where their points came from.
fn count_hours(from: &'static str, hours: usize) {
    metrics::counter!("riverwatts_rollup_hours_total", "from" => from).increment(hours as u64);
}

fn zone_of(device: &NamedDevice) -> TimeZone {
    TimeZone::get(&device.timezone).unwrap_or(TimeZone::UTC)
}
