//! The worker: brings the roll-ups of hours in order whose rows changed, and the days that they belong
//! to. Hours that were added up in memory it puts in at once; others it reads once they are over and
//! nothing has come for a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use riverwatts_shared::rollup::window::{window_edges, window_end, window_start};
use riverwatts_shared::time::{Clock, UtcMs};
use riverwatts_shared::words::Resolution;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::compute::change_of_points;
use super::live::Live;
use super::source::{Source, runs};
use crate::db::{Db, DbError};
use crate::readings::{Change, Commit, DirtyHour, Readings, ReadingsError};
use crate::store::devices::{self, NamedDevice};

/// How often it looks for hours that wait.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long nothing may have come for an hour.
const UNTOUCHED_MS: u64 = 300;
/// Hours that are put in together.
const HOURS_AT_ONCE: usize = 48;
/// Hours added up in memory that may wait to be put in.
const COMPLETE_MAX: usize = 256;
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
    let (give, mut complete) = channel(COMPLETE_MAX);
    let (ask, asked) = channel(1);
    match readings.take_commits() {
        // It ends with the writer of the commits, or with this worker.
        Some(commits) => drop(tokio::spawn(follow(commits, asked, give))),
        None => drop(asked),
    }
    let mut worker = Worker { db, readings, ask, named: HashMap::new(), zones: HashMap::new() };
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut zones_at: Option<Instant> = None;
    let mut changes = Vec::new();
    loop {
        let work = async {
            tokio::select! {
                biased;
                1.. = complete.recv_many(&mut changes, HOURS_AT_ONCE) => {
                    worker.put_in("memory", std::mem::take(&mut changes)).await
                }
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
                let _ = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await; // the loop sees the end
            }
        }
    }
}

/// A question for hours that the runs know.
type Asked = (Vec<DirtyHour>, oneshot::Sender<Vec<Change>>);

/// Follows the commits, gives away hours that are complete, and answers for those that are not yet.
async fn follow(mut commits: Receiver<Commit>, mut asked: Receiver<Asked>, give: Sender<Change>) {
    let mut live = Live::default();
    loop {
        tokio::select! {
            biased;
            commit = commits.recv() => {
                let Some(commit) = commit else { return };
                for change in live.take(&commit) {
                    let _ = give.try_send(change); // one too many stays marked and is read
                }
            }
            question = asked.recv() => {
                let Some((hours, answer)) = question else { return };
                let _ = answer.send(hours.iter().filter_map(|hour| live.look(hour)).collect()); // the worker may be gone
            }
        }
    }
}

struct Worker<'w> {
    db: &'w Db,
    readings: &'w Readings,
    ask: Sender<Asked>,
    /// Devices by number, as they were when last looked up.
    named: HashMap<i64, NamedDevice>,
    /// The zones whose days are stored.
    zones: HashMap<i64, String>,
}

impl Worker<'_> {
    /// Brings hours in order that are over at `now` and untouched for a moment.
    async fn roll_up_due(&mut self, now: UtcMs) -> Result<(), WorkError> {
        let mut hours = self.readings.due_hours(now, UNTOUCHED_MS, HOURS_AT_ONCE).await?;
        if hours.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        if self.ask.send((hours.clone(), answer)).await.is_ok() {
            // Nobody answers when nobody follows: then all are read.
            let known = answered.await.unwrap_or_default();
            hours.retain(|hour| !known.iter().any(|change| change.done.contains(hour)));
            self.put_in("memory", known).await?;
        }
        let mut changes = Vec::new();
        for of_device in hours.chunk_by(|a, b| a.device == b.device) {
            match self.device(of_device[0].device).await? {
                Some(device) => {
                    let (first, last) = (of_device[0], of_device[of_device.len() - 1]);
                    let source = Source::of(self.db, self.readings, &device, first.start(), last.end()).await?;
                    changes.extend(from_rows(&source, of_device).await?);
                }
                None => changes.push(nothing(of_device)),
            }
        }
        self.put_in("rows", changes).await
    }

    /// Puts in the windows of hours, then the days that these belong to; with that the hours are done.
    async fn put_in(&mut self, from: &'static str, mut changes: Vec<Change>) -> Result<(), WorkError> {
        // What was added up before somebody touched its hour again may come after what was read since.
        let hours: Vec<DirtyHour> = changes.iter().flat_map(|change| change.done.iter().copied()).collect();
        let untouched = self.readings.untouched(&hours).await?;
        changes.retain(|change| change.done.iter().all(|hour| untouched.contains(hour)));
        let mut done: BTreeMap<i64, Vec<DirtyHour>> = BTreeMap::new();
        for change in &mut changes {
            done.entry(change.device).or_default().append(&mut change.done);
        }
        if done.is_empty() {
            return Ok(());
        }
        self.readings.replace_windows(changes).await?;
        let mut days = Vec::new();
        for (number, hours) in done {
            count_hours(from, hours.len());
            match self.device(number).await? {
                Some(device) => days.push(self.days(&device, hours).await?),
                None => days.push(nothing(&hours)),
            }
        }
        Ok(self.readings.replace_windows(days).await?)
    }

    /// The days that hours belong to.
    async fn days(&mut self, device: &NamedDevice, hours: Vec<DirtyHour>) -> Result<Change, WorkError> {
        if self.zones.get(&device.number) != Some(&device.timezone) {
            self.all_days(device).await?;
        }
        let zone = zone_of(device);
        // An hour may touch two days.
        let touched = hours.iter().flat_map(|hour| [hour.start(), hour.end().plus_ms(-1)]);
        let starts: BTreeSet<UtcMs> = touched.map(|time| window_start(Resolution::Day, &zone, time)).collect();
        let mut change = Change { device: device.number, done: hours, ..Change::default() };
        for start in starts {
            let end = window_end(Resolution::Day, &zone, start);
            let source = Source::of(self.db, self.readings, device, start, end).await?;
            let day = source.days(&[start, end], &[]).await?;
            change.replaced.push((Resolution::Day, start, end));
            change.windows.extend(day.into_iter().map(|window| (Resolution::Day, window)));
        }
        Ok(change)
    }

    /// Makes all days of a device anew, as days of its site's zone.
    async fn all_days(&mut self, device: &NamedDevice) -> Result<(), WorkError> {
        let zone = zone_of(device);
        let all = (Resolution::Day, UtcMs(i64::MIN), UtcMs(i64::MAX));
        let day_zone = Some(device.timezone.clone());
        let mut change = Change { device: device.number, replaced: vec![all], day_zone, ..Change::default() };
        if let Some((first, last)) = self.readings.span(device.number, Resolution::Hour).await? {
            let edges = window_edges(Resolution::Day, &zone, first, last.plus_ms(1));
            let days: Vec<usize> = (0..edges.len() - 1).collect();
            for run in days.chunks(DAYS_AT_ONCE) {
                let edges = &edges[run[0]..=run[run.len() - 1] + 1];
                let source = Source::of(self.db, self.readings, device, edges[0], edges[edges.len() - 1]).await?;
                let days = source.days(edges, &[]).await?;
                change.windows.extend(days.into_iter().map(|window| (Resolution::Day, window)));
            }
        }
        self.readings.replace_windows(vec![change]).await?;
        self.zones.insert(device.number, device.timezone.clone());
        Ok(())
    }

    /// Makes the days of devices anew whose site has moved to another zone.
    async fn follow_zones(&mut self) -> Result<(), WorkError> {
        self.look_up().await?;
        self.zones = self.readings.day_zones(None).await?;
        let moved = |device: &&NamedDevice| self.zones.get(&device.number).is_some_and(|zone| *zone != device.timezone);
        let moved: Vec<NamedDevice> = self.named.values().filter(moved).cloned().collect();
        for device in moved {
            self.all_days(&device).await?;
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
}

/// New windows of hours of one device, in order, from their rows.
async fn from_rows(source: &Source<'_>, hours: &[DirtyHour]) -> Result<Vec<Change>, ReadingsError> {
    let mut changes = Vec::new();
    for run in runs(hours) {
        let (from, to) = (run[0].start(), run[run.len() - 1].end());
        let points = source.points(from, to).await?;
        let Source { device, max_gap_ms, cuts, .. } = source.clone();
        let computed =
            tokio::task::spawn_blocking(move || change_of_points(device, &points, max_gap_ms, &cuts, from, to));
        changes.push(Change { done: run.to_vec(), ..computed.await.expect("sums never panic") });
    }
    Ok(changes)
}

/// Hours of a device that was deleted: nobody can ask for its windows.
fn nothing(hours: &[DirtyHour]) -> Change {
    Change { device: hours[0].device, done: hours.to_vec(), ..Change::default() }
}

/// Counts hours by where their points came from.
fn count_hours(from: &'static str, hours: usize) {
    metrics::counter!("riverwatts_rollup_hours_total", "from" => from).increment(hours as u64);
}

fn zone_of(device: &NamedDevice) -> TimeZone {
    TimeZone::get(&device.timezone).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::segment::Segment;

    use super::*;
    use crate::db::migrate::migrate;
    use crate::readings::rollups::HOUR_MS;
    use crate::readings::{Rows, Window};

    #[tokio::test]
    async fn what_was_added_up_before_its_hour_was_touched_again_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(folder.path()).await.unwrap();
        migrate(&db).await.unwrap();
        let readings = Readings::open_sqlite(folder.path()).unwrap();
        let write = async |at| {
            let reading = Reading { time: UtcMs(at), values: vec![Value::ok(Metric::POWER, 1)] };
            let rows = Rows::new(Segment::from_readings(&[reading]), UtcMs(at), 0).of_device(1, 120_000);
            readings.write(vec![rows]).await.unwrap();
            readings.dirty_hours(1).await.unwrap()
        };
        let change = |done| Change {
            device: 1,
            windows: vec![(Resolution::Hour, Window::default())],
            done,
            ..Change::default()
        };
        let ask = channel(1).0;
        let mut worker = Worker { db: &db, readings: &readings, ask, named: HashMap::new(), zones: HashMap::new() };
        let (stale, now) = (write(0).await, write(1_000).await);
        for (done, stored) in [(stale, 0), (now, 1)] {
            worker.put_in("memory", vec![change(done)]).await.unwrap();
            let windows = readings.windows(1, Resolution::Hour, UtcMs(0), UtcMs(HOUR_MS)).await.unwrap();
            assert_eq!(windows.len(), stored);
        }
    }
}
