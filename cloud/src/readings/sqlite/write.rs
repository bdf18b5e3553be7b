//! The writer of month files. Waiting requests share a transaction, their rows in order of device and
//! time; rows are inserted as if they were new, and those that are not are compared.

use std::ops::Range;
use std::sync::Arc;

use riverwatts_shared::metric::CANONICAL;
use riverwatts_shared::segment::ABSENT;
use riverwatts_shared::time::UtcMs;
use rusqlite::{CachedStatement, Connection, Statement, TransactionBehavior};
use tokio::sync::oneshot;

use super::super::rollups::HOUR_MS;
use super::super::{DirtyHour, ReadingsError, Rows, Side, StoredRow, Written};
use super::dirty::{DeviceHour, Dirty};
use super::latest::{self, Latest};
use super::month::{COLUMNS, Ids, Month, Months, read_row};
use super::points;
use super::queue::Jobs;
use super::read::Readers;

/// Rows after which a group is full.
const GROUP_ROWS_MAX: usize = 20_000;
/// Month files that are open for writing.
const OPEN_MAX: usize = 4;

/// What the writer is asked for.
pub enum Job {
    /// To store rows.
    Write {
        /// The rows, per device.
        rows: Vec<Rows>,
        /// Gets them back after the commit.
        answer: oneshot::Sender<Result<Vec<(Rows, Written)>, ReadingsError>>,
    },
    /// To take away the marks of hours whose roll-ups are in order.
    Clean {
        /// The hours, as they were when their rows were read.
        done: Vec<DirtyHour>,
    },
    /// To answer.
    Ping {
        /// Gets the answer.
        answer: oneshot::Sender<()>,
    },
}

/// Owns the month files.
pub struct Writer {
    months: Arc<Months>,
    readers: Readers,
    dirty: Arc<Dirty>,
    latest: Arc<Latest>,
    /// Open files, the one used last at the end.
    open: Vec<(Month, Connection)>,
}

/// Rows of one device in one month.
struct Part<'a> {
    request: usize,
    index: usize,
    rows: &'a Rows,
    range: Range<usize>,
}

impl Writer {
    pub fn new(months: Arc<Months>, readers: Readers, dirty: Arc<Dirty>, latest: Arc<Latest>) -> Writer {
        Writer { months, readers, dirty, latest, open: Vec::new() }
    }

    pub fn run(mut self, jobs: &mut Jobs<Job>) {
        let weight = |job: &Job| match job {
            Job::Write { rows, .. } => rows.iter().map(Rows::count).sum(),
            Job::Clean { .. } | Job::Ping { .. } => 0,
        };
        while let Some(group) = jobs.next_group(GROUP_ROWS_MAX, weight) {
            let mut requests = Vec::new();
            let mut answers = Vec::new();
            let mut cleaned = Vec::new();
            for job in group {
                match job {
                    Job::Write { rows, answer } => {
                        requests.push(rows);
                        answers.push(answer);
                    }
                    Job::Clean { done } => cleaned.extend(done),
                    Job::Ping { answer } => {
                        let _ = answer.send(()); // whoever asked may have gone
                    }
                }
            }
            let results = self.store_group(&requests);
            for ((rows, result), answer) in requests.into_iter().zip(results).zip(answers) {
                let _ = answer.send(result.map(|written| rows.into_iter().zip(written).collect())); // likewise
            }
            if let Err(error) = self.clean(&cleaned) {
                // They are computed once more.
                tracing::warn!(%error, "marks of hours stay although their roll-ups are in order");
            }
        }
    }

    /// Stores requests together; when that fails, each by itself, so that one cannot spoil the others.
    fn store_group(&mut self, requests: &[Vec<Rows>]) -> Vec<Result<Vec<Written>, ReadingsError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        metrics::counter!("riverwatts_ingest_groups_total").increment(1);
        match self.store(requests) {
            Ok(written) => written.into_iter().map(Ok).collect(),
            Err(error) if requests.len() == 1 => vec![Err(error)],
            Err(error) => {
                tracing::warn!(%error, requests = requests.len(), "a group of writes failed, storing one by one");
                let alone = |request| Ok(self.store(std::slice::from_ref(request))?.pop().unwrap_or_default());
                requests.iter().map(alone).collect()
            }
        }
    }

    /// One transaction per month that has rows.
    fn store(&mut self, requests: &[Vec<Rows>]) -> Result<Vec<Vec<Written>>, ReadingsError> {
        let mut written: Vec<Vec<Written>> = requests.iter().map(|rows| vec![Written::default(); rows.len()]).collect();
        let beyond = self.beyond_reach(requests)?;
        let mut parts: Vec<(Month, Part<'_>)> = Vec::new();
        for (request, all) in requests.iter().enumerate() {
            for (index, rows) in all.iter().enumerate() {
                split_by_month(rows, |month, range| parts.push((month, Part { request, index, rows, range })));
            }
        }
        parts.sort_by_key(|(month, part)| (*month, part.rows.device, part.rows.segment.times[part.range.start]));
        for of_month in parts.chunk_by(|a, b| a.0 == b.0) {
            self.store_month(of_month[0].0, of_month, &beyond, &mut written)?;
        }
        Ok(written)
    }

    fn store_month(
        &mut self,
        month: Month,
        parts: &[(Month, Part<'_>)],
        beyond: &[DeviceHour],
        written: &mut [Vec<Written>],
    ) -> rusqlite::Result<()> {
        let (dirty, latest) = (Arc::clone(&self.dirty), Arc::clone(&self.latest));
        let connection = self.connection(month)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut touched: Vec<DeviceHour> = Vec::new();
        let mut devices: Vec<i64> = Vec::new();
        let mut newest: Vec<StoredRow> = Vec::new();
        {
            let mut table = Table::prepare(&transaction, Ids::of(month))?;
            for (_, part) in parts {
                let changed = table.put(part, &mut written[part.request][part.index])?;
                if let Some(Range { start, end }) = changed {
                    let (from, to) = (part.rows.segment.times[start], part.rows.segment.times[end - 1]);
                    let reach = part.rows.reach_ms;
                    let hours = (from - reach).div_euclid(HOUR_MS)..=(to + reach).div_euclid(HOUR_MS);
                    touched.extend(hours.map(|hour| (part.rows.device, hour)));
                    devices.push(part.rows.device);
                    newest.push(part.rows.row(end - 1));
                }
            }
        }
        touched.extend(beyond.iter().filter(|(device, _)| devices.contains(device)));
        touched.sort_unstable();
        touched.dedup();
        dirty.write(&transaction, month, &touched)?;
        transaction.commit()?;
        dirty.touch(month, &touched);
        latest.stored(newest);
        Ok(())
    }

    /// A counter's step changes the windows at both its ends, however far apart they are: the hours of
    /// the counters' neighbours that are further away than rows reach.
    fn beyond_reach(&self, requests: &[Vec<Rows>]) -> Result<Vec<DeviceHour>, ReadingsError> {
        let mut devices: Vec<i64> = requests.iter().flatten().map(|rows| rows.device).collect();
        devices.sort_unstable();
        devices.dedup();
        let missing = self.latest.missing(&devices);
        if !missing.is_empty() {
            self.latest.learn(latest::find(&self.readers, &missing)?);
        }
        let mut hours = Vec::new();
        for rows in requests.iter().flatten() {
            let (Some(&first), Some(&last)) = (rows.segment.times.first(), rows.segment.times.last()) else { continue };
            let (first, last) = (UtcMs(first), UtcMs(last));
            let counters = rows.counters();
            let Some(newest) = self.latest.get(&[rows.device]).pop().filter(|_| !counters.is_empty()) else { continue };
            let follows = newest.time < first && first.since_ms(newest.time) <= rows.reach_ms;
            if follows && counters.iter().all(|&counter| newest.summed(counter).is_some()) {
                continue;
            }
            let sides = [(first, Side::Before), (last, Side::After)];
            let sides = if newest.time > last { &sides[..] } else { &sides[..1] };
            for &counter in &counters {
                for &(time, side) in sides {
                    let point = points::nearest(&self.readers, rows.device, counter, time, side)?;
                    hours.extend(point.map(|point| (rows.device, point.time.0.div_euclid(HOUR_MS))));
                }
            }
        }
        Ok(hours)
    }

    /// Takes the marks of hours away that nobody touched since.
    fn clean(&mut self, done: &[DirtyHour]) -> rusqlite::Result<()> {
        let untouched = self.dirty.untouched(done);
        let mut months: Vec<Month> = untouched.iter().flat_map(|(_, months)| months.iter().copied()).collect();
        months.sort_unstable();
        months.dedup();
        for month in months {
            let transaction = self.connection(month)?.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut remove = transaction.prepare_cached("delete from dirty where device = ?1 and hour = ?2")?;
            for ((device, hour), _) in untouched.iter().filter(|(_, months)| months.contains(&month)) {
                remove.execute([device, hour])?;
            }
            drop(remove);
            transaction.commit()?;
            self.dirty.cleaned(month, untouched.iter().map(|(hour, _)| *hour));
        }
        Ok(())
    }

    fn connection(&mut self, month: Month) -> rusqlite::Result<&mut Connection> {
        match self.open.iter().position(|(open, _)| *open == month) {
            Some(index) => {
                let used = self.open.remove(index);
                self.open.push(used);
            }
            None => {
                let connection = self.months.open_to_write(month)?;
                if self.open.len() == OPEN_MAX {
                    self.open.remove(0);
                }
                self.open.push((month, connection));
            }
        }
        Ok(&mut self.open.last_mut().expect("it was just put there").1)
    }
}

/// The rows of each month as a range.
fn split_by_month(rows: &Rows, mut take: impl FnMut(Month, Range<usize>)) {
    let times = &rows.segment.times;
    let mut start = 0;
    while start < times.len() {
        let month = Month::of(UtcMs(times[start]));
        let end = month.end().0;
        let count = times[start..].partition_point(|&time| time < end);
        take(month, start..start + count);
        start += count;
    }
}

/// The table of readings in a transaction.
struct Table<'t> {
    connection: &'t Connection,
    ids: Ids,
    insert: CachedStatement<'t>,
}

impl<'t> Table<'t> {
    fn prepare(connection: &'t Connection, ids: Ids) -> rusqlite::Result<Table<'t>> {
        let insert = connection.prepare_cached(&format!(
            "insert or ignore into readings ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ))?;
        Ok(Table { connection, ids, insert })
    }

    /// Stores rows; answers which of them, from the first to the last, are new or replaced others.
    fn put(&mut self, part: &Part<'_>, written: &mut Written) -> rusqlite::Result<Option<Range<usize>>> {
        let rows = part.rows;
        let mut changed: Option<Range<usize>> = None;
        for row in part.range.clone() {
            bind(&mut self.insert, rows, row, self.ids)?;
            if self.insert.raw_execute()? == 0 && !self.meet(rows, row, written)? {
                continue;
            }
            written.accepted += 1;
            changed = Some(changed.map_or(row, |range| range.start)..row + 1);
        }
        Ok(changed)
    }

    /// A row whose identity is taken: whether it replaces what stands there.
    fn meet(&self, rows: &Rows, row: usize, written: &mut Written) -> rusqlite::Result<bool> {
        let id = self.ids.at(rows.device, UtcMs(rows.segment.times[row]));
        let mut find = self.connection.prepare_cached(&format!("select {COLUMNS} from readings where id = ?1"))?;
        let stored = find.query_row([id], |row| read_row(row, self.ids))?;
        if is_same(&stored, rows, row) {
            written.duplicates += 1;
            return Ok(false);
        }
        if rows.revision <= stored.revision {
            written.conflicts.push(row as u32);
            return Ok(false);
        }
        self.connection
            .prepare_cached(
                "insert or replace into replaced select id, coalesce(revision, 0), power_output_kw, voltage_v, \
                 current_a, frequency_hz, efficiency_percent, temperature_c, vibration_level, water_flow_rate, \
                 battery_level_percent, extra, flags, received_at from readings where id = ?1",
            )?
            .execute([id])?;
        let mut replace = self.connection.prepare_cached(&format!(
            "insert or replace into readings ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ))?;
        bind(&mut replace, rows, row, self.ids)?;
        replace.raw_execute()?;
        Ok(true)
    }
}

fn bind(statement: &mut Statement<'_>, rows: &Rows, row: usize, ids: Ids) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, ids.at(rows.device, UtcMs(rows.segment.times[row])))?;
    for column in 0..CANONICAL {
        let value = rows.canonical(row, column);
        statement.raw_bind_parameter(2 + column, (value != ABSENT).then_some(value))?;
    }
    let bytes = |bytes| if <[u8]>::is_empty(bytes) { None } else { Some(bytes) };
    statement.raw_bind_parameter(CANONICAL + 2, bytes(rows.extra(row)))?;
    statement.raw_bind_parameter(CANONICAL + 3, bytes(rows.flags(row)))?;
    statement.raw_bind_parameter(CANONICAL + 4, rows.received_at.0)?;
    statement.raw_bind_parameter(CANONICAL + 5, (rows.revision > 0).then_some(rows.revision))?;
    Ok(())
}

fn is_same(stored: &StoredRow, rows: &Rows, row: usize) -> bool {
    (0..CANONICAL).all(|column| stored.canonical[column] == rows.canonical(row, column))
        && stored.extra == rows.extra(row)
        && stored.flags == rows.flags(row)
}
