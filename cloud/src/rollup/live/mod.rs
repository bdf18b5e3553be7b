//! Roll-ups from memory: as long as a device's readings come one after the other, nothing needs to be
//! read again. A run follows such readings, adds them up minute by minute, and gives away each hour
//! once the next one has begun. Whatever does not fit ends the run, and the worker reads that hour.

use std::collections::{BTreeMap, HashMap, VecDeque};

use riverwatts_shared::metric::Metric;
use riverwatts_shared::rollup::counter::Counter;
use riverwatts_shared::rollup::sum::roll_up;
use riverwatts_shared::rollup::{Point, Rollup};
use riverwatts_shared::time::UtcMs;

use super::compute::{Points, change_of_minutes, points};
use crate::readings::rollups::HOUR_MS;
use crate::readings::{Change, Commit, DirtyHour, Rows};

/// Runs at once; the one that was fed least recently makes room.
const RUNS_MAX: usize = 512;
/// Runs of one device: one that is live, one of a backlog.
const RUNS_OF_DEVICE_MAX: usize = 2;
/// Metrics of a device that is followed.
const METRICS_MAX: usize = 32;
/// Widest step between two readings that a run follows.
const STEP_MAX_MS: i64 = HOUR_MS;
const MINUTE_MS: i64 = 60_000;
const MINUTES: usize = 60;

/// All runs.
#[derive(Debug, Default)]
pub struct Live {
    devices: HashMap<i64, Vec<Run>>,
    runs: usize,
    /// Number of the last commit.
    number: u64,
}

/// Readings of one device, one after the other, with no others stored between them.
#[derive(Debug)]
struct Run {
    max_gap_ms: i64,
    /// The first hour whose readings are all in the run.
    first_hour: i64,
    /// The first hour that is not given away.
    open_hour: i64,
    last: UtcMs,
    /// Whether nothing later stood there when it was last fed; what came since would have touched it.
    is_newest: bool,
    metrics: BTreeMap<Metric, Series>,
    /// What the marks of its hours said when the run last touched them.
    versions: BTreeMap<i64, u64>,
    /// Number of the commit that fed it last.
    fed: u64,
}

/// One metric of a run.
#[derive(Debug)]
struct Series {
    counter: Option<Counter>,
    /// The last point: everything before it is added up.
    last: Point,
    /// The minutes from `open_hour` on.
    hours: VecDeque<Box<[Rollup; MINUTES]>>,
}

/// The run met something that it cannot follow.
struct Ended;

impl Live {
    /// Takes a commit; answers the hours that are complete with it.
    pub fn take(&mut self, commit: &Commit) -> Vec<Change> {
        if commit.number != self.number + 1 {
            *self = Live::default();
        }
        self.number = commit.number;
        let mut runs = self.devices.remove(&commit.device).unwrap_or_default();
        self.runs -= runs.len();
        let following = runs.iter().position(|run| run.is_followed_by(commit)).map(|index| runs.remove(index));
        // A run that does not follow but whose hours are touched no longer knows all of them.
        runs.retain(|run| !commit.hours.iter().any(|(hour, _)| run.is_open(*hour)));
        let mut complete = Vec::new();
        if let Some(rows) = &commit.rows {
            let points = points(&rows.segment);
            let run = match following {
                Some(mut run) => run.follow(commit, rows, &points).map(|()| run),
                None => Run::begin(commit, rows, &points),
            };
            if let Ok(mut run) = run
                && run.give(commit.device, &mut complete).is_ok()
            {
                if runs.len() == RUNS_OF_DEVICE_MAX {
                    runs.remove(0);
                }
                runs.push(run);
            }
        }
        self.runs += runs.len();
        if !runs.is_empty() {
            self.devices.insert(commit.device, runs);
        }
        if self.runs > RUNS_MAX {
            self.make_room();
        }
        complete
    }

    /// An hour as it is now, when a run knows all of it and nobody else has touched it.
    pub fn look(&self, hour: &DirtyHour) -> Option<Change> {
        let runs = self.devices.get(&hour.device)?;
        let run = runs.iter().find(|run| run.versions.get(&hour.hour) == Some(&hour.version))?;
        (run.is_newest && run.first_hour <= hour.hour).then(|| run.look(hour))
    }

    fn make_room(&mut self) {
        let fed = |(&device, runs): (&i64, &Vec<Run>)| runs.first().map(|run| (run.fed, device));
        let Some((_, device)) = self.devices.iter().filter_map(fed).min() else { return };
        if let Some(runs) = self.devices.get_mut(&device) {
            runs.remove(0);
            self.runs -= 1;
            if runs.is_empty() {
                self.devices.remove(&device);
            }
        }
    }
}

impl Run {
    /// A run that begins with the commit, if nothing stands between its readings.
    fn begin(commit: &Commit, rows: &Rows, points: &Points) -> Result<Run, Ended> {
        let (first, last) = span(rows).ok_or(Ended)?;
        if points.is_empty() || points.len() > METRICS_MAX || commit.after.is_some_and(|after| after <= last) {
            return Err(Ended);
        }
        let hour = hour_of(first);
        // What stood before reaches into the first hour, unless nothing stood there.
        let first_hour = if commit.before.is_none() { hour } else { hour + 1 };
        let begin = |(&metric, points): (&Metric, &Vec<Point>)| {
            let counter = Counter::of(metric, None);
            (metric, Series { counter, last: points[0], hours: VecDeque::new() })
        };
        let mut run = Run {
            max_gap_ms: rows.reach_ms,
            first_hour,
            open_hour: hour,
            last: first,
            is_newest: true,
            metrics: points.iter().map(begin).collect(),
            versions: BTreeMap::new(),
            fed: 0,
        };
        run.follow(commit, rows, points)?;
        Ok(run)
    }

    fn is_followed_by(&self, commit: &Commit) -> bool {
        let Some((first, last)) = commit.rows.as_deref().and_then(span) else { return false };
        self.last < first
            && first.since_ms(self.last) <= STEP_MAX_MS
            && commit.rows.as_ref().is_some_and(|rows| rows.reach_ms == self.max_gap_ms)
            && commit.before.is_none_or(|before| before <= self.last)
            && commit.after.is_none_or(|after| after > last)
    }

    fn is_open(&self, hour: i64) -> bool {
        (self.open_hour..=hour_of(self.last)).contains(&hour)
    }

    /// Adds up the commit's points.
    fn follow(&mut self, commit: &Commit, rows: &Rows, points: &Points) -> Result<(), Ended> {
        for (&metric, points) in points {
            // One that was not there at the beginning may have had points before it.
            let series = self.metrics.get_mut(&metric).ok_or(Ended)?;
            series.add(points, self.max_gap_ms, self.open_hour);
        }
        self.versions.extend(commit.hours.iter().copied().filter(|(hour, _)| *hour >= self.open_hour));
        self.last = span(rows).ok_or(Ended)?.1;
        self.is_newest = commit.after.is_none();
        self.fed = commit.number;
        Ok(())
    }

    /// Gives away the hours that no later reading changes.
    fn give(&mut self, device: i64, complete: &mut Vec<Change>) -> Result<(), Ended> {
        loop {
            let hour = self.open_hour;
            let end = UtcMs((hour + 1) * HOUR_MS);
            if self.metrics.values().any(|series| series.last.time < end) {
                // A metric that fell silent would hold the hour open.
                return if self.last > end.plus_ms(self.max_gap_ms) { Err(Ended) } else { Ok(()) };
            }
            if let Some(version) = self.versions.remove(&hour)
                && hour >= self.first_hour
            {
                complete.push(self.look(&DirtyHour { device, hour, version, untouched_ms: 0 }));
            }
            self.open_hour += 1;
            for series in self.metrics.values_mut() {
                series.hours.pop_front();
            }
        }
    }

    /// One of the open hours.
    fn look(&self, hour: &DirtyHour) -> Change {
        let index = (hour.hour - self.open_hour) as usize;
        let minutes = |(&metric, series): (&Metric, &Series)| (metric, series.minutes(index, hour.start()));
        let minutes = self.metrics.iter().map(minutes).collect();
        Change { done: vec![*hour], ..change_of_minutes(hour.device, minutes, hour.start(), hour.end()) }
    }
}

impl Series {
    /// The minutes of an open hour that begins at `start`, with the last point, which nothing follows yet.
    fn minutes(&self, index: usize, start: UtcMs) -> Vec<Rollup> {
        let mut minutes = self.hours.get(index).map_or_else(|| vec![Rollup::default(); MINUTES], |hour| hour.to_vec());
        let minute = self.last.time.since_ms(start).div_euclid(MINUTE_MS);
        if let Ok(minute @ 0..MINUTES) = usize::try_from(minute) {
            let edges = [self.last.time, self.last.time.plus_ms(1)];
            minutes[minute].merge(&roll_up(&[self.last], 0, self.counter, &edges)[0]);
        }
        minutes
    }

    /// Adds what lies between the last point and the last of `points` to the minutes.
    fn add(&mut self, points: &[Point], max_gap_ms: i64, open_hour: i64) {
        let new = &points[points.partition_point(|point| point.time <= self.last.time)..];
        let Some(&last) = new.last() else { return };
        let mut line = Vec::with_capacity(new.len() + 1);
        line.push(self.last);
        line.extend_from_slice(new);
        let (from, to) = (self.last.time.0, last.time.0);
        let first_minute = from.div_euclid(MINUTE_MS);
        let inner = (first_minute + 1..).map(|minute| minute * MINUTE_MS).take_while(|&edge| edge < to);
        let edges: Vec<UtcMs> = std::iter::once(from).chain(inner).chain([to]).map(UtcMs).collect();
        let parts = roll_up(&line, max_gap_ms, self.counter, &edges);
        for (minute, part) in (first_minute..).zip(&parts) {
            let index = (minute - open_hour * MINUTES as i64) as usize;
            while self.hours.len() <= index / MINUTES {
                self.hours.push_back(Box::new([Rollup::default(); MINUTES]));
            }
            self.hours[index / MINUTES][index % MINUTES].merge(part);
        }
        self.last = last;
    }
}

fn span(rows: &Rows) -> Option<(UtcMs, UtcMs)> {
    let times = &rows.segment.times;
    Some((UtcMs(*times.first()?), UtcMs(*times.last()?)))
}

fn hour_of(time: UtcMs) -> i64 {
    time.0.div_euclid(HOUR_MS)
}

#[cfg(test)]
mod tests;
