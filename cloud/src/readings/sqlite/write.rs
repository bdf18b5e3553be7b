//! The writer of month files. Waiting requests share a transaction, their rows in order of device and
//! time; rows are inserted as if they were new, and those that are not are compared.

use std::ops::Range;
use std::sync::Arc;

use riverwatts_shared::metric::CANONICAL;
use riverwatts_shared::segment::ABSENT;
use riverwatts_shared::time::UtcMs;
use rusqlite::{CachedStatement, Connection, Statement, TransactionBehavior};
use tokio::sync::oneshot;

use super::super::commits::{Commit, Teller};
use super::super::month::Month;
use super::super::queue::Jobs;
use super::super::rollups::HOUR_MS;
use super::super::surroundings::Surroundings;
use super::super::{DirtyHour, GROUP_ROWS_MAX, ReadingsError, Rows, Side, Written, WrittenRows};
use super::dirty::{DeviceHour, Dirty};
use super::latest::{self, Latest};
use super::month::{COLUMNS, Ids, Months, read_row};
use super::points;
use super::read::Readers;

/// Month files that are open for writing.
const OPEN_MAX: usize = 4;

/// What the writer is asked for.
pub enum Job {
    /// To store rows.
    Write {
        /// The rows, per device.
        rows: Vec<Arc<Rows>>,
        /// Gets them back after the commit.
        answer: oneshot::Sender<Result<WrittenRows, ReadingsError>>,
    },
    /// To mark hours whose windows change although their rows do not.
    Touch {
        /// The device.
        device: i64,
        /// The hours, in order.
        hours: Vec<i64>,
        /// Gets an answer after the commit.
        answer: oneshot::Sender<Result<(), ReadingsError>>,
    },
    /// To take away the marks of hours whose roll-ups are in order.
    Clean {
        /// The hours, as they were when their rows were read.
        done: Vec<DirtyHour>,
    },
    /// To answer when what came before is done.
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
    teller: Teller,
    /// Open files, the one used last at the end.
    open: Vec<(Month, Connection)>,
}

/// Rows of one device in one month.
struct Part<'a> {
    request: usize,
    index: usize,
    rows: &'a Arc<Rows>,
    around: &'a Surroundings,
    range: Range<usize>,
}

impl Writer {
    pub fn new(
        months: Arc<Months>,
        readers: Readers,
        dirty: Arc<Dirty>,
        latest: Arc<Latest>,
        teller: Teller,
    ) -> Writer {
        Writer { months, readers, dirty, latest, teller, open: Vec::new() }
    }

    pub fn run(mut self, jobs: &mut Jobs<Job>) {
        let weight = |job: &Job| match job {
            Job::Write { rows, .. } => rows.iter().map(|rows| rows.count()).sum(),
            Job::Touch { .. } | Job::Clean { .. } | Job::Ping { .. } => 0,
        };
        while let Some(group) = jobs.next_group(GROUP_ROWS_MAX, weight) {
            let mut requests = Vec::new();
            let mut answers = Vec::new();
            let mut touched = Vec::new();
            let mut cleaned = Vec::new();
            let mut pings = Vec::new();
            for job in group {
                match job {
                    Job::Write { rows, answer } => {
                        requests.push(rows);
                        answers.push(answer);
                    }
                    Job::Touch { device, hours, answer } => touched.push((device, hours, answer)),
                    Job::Clean { done } => cleaned.extend(done),
                    Job::Ping { answer } => pings.push(answer),
                }
            }
            let results = self.store_group(&requests);
            for ((rows, result), answer) in requests.into_iter().zip(results).zip(answers) {
                // Whoever asked may have gone.
                let _ = answer.send(result.map(|written| rows.into_iter().zip(written).collect()));
            }
            for (device, hours, answer) in touched {
                let _ = answer.send(self.touch(device, &hours).map_err(ReadingsError::from)); // likewise
            }
            if let Err(error) = self.clean(&cleaned) {
                // They are computed once more.
                tracing::warn!(%error, "marks of hours stay although their roll-ups are in order");
            }
            for ping in pings {
                let _ = ping.send(()); // likewise
            }
        }
    }

    /// Stores requests together; when that fails, each by itself, so that one cannot spoil the others.
    fn store_group(&mut self, requests: &[Vec<Arc<Rows>>]) -> Vec<Result<Vec<Written>, ReadingsError>> {
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
    fn store(&mut self, requests: &[Vec<Arc<Rows>>]) -> Result<Vec<Vec<Written>>, ReadingsError> {
        let mut written: Vec<Vec<Written>> = requests.iter().map(|rows| vec![Written::default(); rows.len()]).collect();
        let around = self.look_around(requests)?;
        let mut parts: Vec<(Month, Part<'_>)> = Vec::new();
        for (request, all) in requests.iter().enumerate() {
            for (index, rows) in all.iter().enumerate() {
                let around = &around[request][index];
                split_by_month(rows, |month, range| parts.push((month, Part { request, index, rows, around, range })));
            }
        }
        parts.sort_by_key(|(month, part)| (*month, part.rows.device, part.rows.segment.times[part.range.start]));
        for of_month in parts.chunk_by(|a, b| a.0 == b.0) {
            self.store_month(of_month[0].0, of_month, &mut written)?;
        }
        Ok(written)
    }

    fn store_month(
        &mut self,
        month: Month,
        parts: &[(Month, Part<'_>)],
        written: &mut [Vec<Written>],
    ) -> rusqlite::Result<()> {
        let (dirty, latest) = (Arc::clone(&self.dirty), Arc::clone(&self.latest));
        let connection = self.connection(month)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // The changed rows of each part, with the hours that change with them.
        let mut changes: Vec<(&Part<'_>, Range<usize>, Vec<DeviceHour>)> = Vec::new();
        {
            let mut table = Table::prepare(&transaction, Ids::of(month))?;
            for (_, part) in parts {
                if let Some(changed) = table.put(part, &mut written[part.request][part.index])? {
                    let hours =
                        part.around.hours(part.rows, changed.clone()).map(|hour| (part.rows.device, hour)).collect();
                    changes.push((part, changed, hours));
                }
            }
        }
        let mut touched: Vec<DeviceHour> = changes.iter().flat_map(|(.., hours)| hours.iter().copied()).collect();
        touched.sort_unstable();
        touched.dedup();
        dirty.write(&transaction, month, &touched)?;
        transaction.commit()?;
        for (part, changed, hours) in changes {
            let is_whole = written[part.request][part.index].accepted == part.rows.count() as u64;
            self.teller.tell(Commit {
                number: 0,
                device: part.rows.device,
                rows: is_whole.then(|| Arc::clone(part.rows)),
                before: part.around.before,
                after: part.around.after,
                hours: dirty.touch(month, &hours),
            });
            latest.stored(part.rows.row(changed.end - 1));
        }
        Ok(())
    }

    /// What stands around the rows of all requests.
    fn look_around<'r>(&self, requests: &'r [Vec<Arc<Rows>>]) -> Result<Vec<Vec<Surroundings>>, ReadingsError> {
        let mut devices: Vec<i64> = requests.iter().flatten().map(|rows| rows.device).collect();
        devices.sort_unstable();
        devices.dedup();
        let missing = self.latest.missing(&devices);
        if !missing.is_empty() {
            self.latest.learn(latest::find(&self.readers, &missing)?);
        }
        let around = |rows: &'r Arc<Rows>| self.surroundings(rows);
        requests.iter().map(|all| all.iter().map(around).collect()).collect()
    }

    /// Marks hours, where there are months for them, and ends what is added up of them in memory.
    fn touch(&mut self, device: i64, hours: &[i64]) -> rusqlite::Result<()> {
        let month_of = |hour: &i64| Month::of(UtcMs(hour * HOUR_MS));
        for hours in hours.chunk_by(|a, b| month_of(a) == month_of(b)) {
            let month = month_of(&hours[0]);
            if self.months.within(month.start(), month.end()).is_empty() {
                continue;
            }
            let hours: Vec<DeviceHour> = hours.iter().map(|&hour| (device, hour)).collect();
            let dirty = Arc::clone(&self.dirty);
            let transaction = self.connection(month)?.transaction_with_behavior(TransactionBehavior::Immediate)?;
            dirty.write(&transaction, month, &hours)?;
            transaction.commit()?;
            let hours = dirty.touch(month, &hours);
            self.teller.tell(Commit { number: 0, device, rows: None, before: None, after: None, hours });
        }
        Ok(())
    }

    /// What stands around rows; their device's past is known.
    fn surroundings(&self, rows: &Rows) -> Result<Surroundings, ReadingsError> {
        let mut around = Surroundings::default();
        let times = &rows.segment.times;
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Ok(around) };
        let Some(newest) = self.latest.get(&[rows.device]).pop() else { return Ok(around) };
        let (before, next, after) = if newest.time.0 < first {
            (Some(newest), None, None)
        } else {
            let beside =
                |time, side| points::beside(&self.readers, rows.device, UtcMs(time), side).map(|row| row.map(Arc::new));
            let next = beside(first - 1, Side::After)?;
            let is_among = next.as_ref().is_some_and(|next| next.time.0 <= last);
            let after = if is_among { beside(last, Side::After)? } else { next.clone() };
            (beside(first, Side::Before)?, next, after)
        };
        around.before = before.as_ref().map(|row| row.time);
        around.after = next.as_ref().map(|row| row.time);
        for (side, time, beside) in [(Side::Before, first, before), (Side::After, last, after)] {
            for counter in around.meet(rows, side, beside.as_deref()) {
                around.note(points::nearest(&self.readers, rows.device, counter, UtcMs(time), side)?);
            }
        }
        Ok(around)
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
        if rows.is_same(row, &stored) {
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

#[cfg(test)]
mod tests {
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::segment::Segment;

    use super::*;
    use crate::readings::Readings;

    #[tokio::test]
    async fn what_a_correction_replaces_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let readings = Readings::open_sqlite(folder.path()).unwrap();
        for (revision, power) in [(0, 10), (1, 11), (3, 12)] {
            let reading = Reading { time: UtcMs(0), values: vec![Value::ok(Metric::POWER, power)] };
            let rows = Rows::new(Segment::from_readings(&[reading]), UtcMs(5), revision).of_device(1, 0);
            readings.write(vec![rows]).await.unwrap();
        }
        let month = Connection::open(folder.path().join("readings/1970-01.db")).unwrap();
        let mut select = month.prepare("select revision, power_output_kw from replaced order by revision").unwrap();
        let kept = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(kept.collect::<Result<Vec<(i64, i64)>, _>>().unwrap(), [(0, 10), (1, 11)]);
    }
}
