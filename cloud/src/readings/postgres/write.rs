//! The writers of readings. Waiting requests share a transaction, their rows in order of device and time.
//! It holds the devices that it writes: so what is new is known before, goes in by one `COPY`, and only
//! rows in a span that has some already are compared with them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use riverwatts_shared::metric::CANONICAL;
use riverwatts_shared::segment::ABSENT;
use riverwatts_shared::time::UtcMs;
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;

use super::super::commits::{Commit, Teller};
use super::super::queue::Jobs;
use super::super::surroundings::Surroundings;
use super::super::{GROUP_ROWS_MAX, ReadingsError, Rows, Side, StoredRow, Written, WrittenRows};
use super::copy::{Copy, Fields};
use super::dirty::{self, DeviceHour};
use super::is_passing;
use super::latest::Latest;
use super::months::Months;
use super::read::{COLUMNS, around, nearest, read_row, with_columns};

/// Fields of a row.
const FIELDS: i16 = CANONICAL as i16 + 6;
/// How often a group is tried that others were in the way of.
const ATTEMPTS_MAX: u32 = 3;

/// Rows to store.
pub struct Job {
    /// The rows, per device.
    pub rows: Vec<Arc<Rows>>,
    /// Gets them back after the commit.
    pub answer: oneshot::Sender<Result<WrittenRows, ReadingsError>>,
}

/// What the writers share.
#[derive(Debug)]
pub struct Writers {
    pub pool: PgPool,
    pub months: Months,
    pub latest: Arc<Latest>,
    pub teller: Mutex<Teller>,
}

/// Rows of one device.
struct Part<'a> {
    request: usize,
    index: usize,
    rows: &'a Arc<Rows>,
}

/// Which rows of a part are stored now.
struct Change<'a> {
    part: &'a Part<'a>,
    around: Surroundings,
    which: Which,
}

enum Which {
    All,
    /// Some, ascending.
    Some(Vec<u32>),
}

impl Change<'_> {
    fn rows(&self) -> impl Iterator<Item = usize> {
        let (all, some) = match &self.which {
            Which::All => (0..self.part.rows.count(), [].as_slice()),
            Which::Some(some) => (0..0, some.as_slice()),
        };
        all.chain(some.iter().map(|&row| row as usize))
    }

    /// From the first to the last of them.
    fn span(&self) -> Range<usize> {
        match &self.which {
            Which::All => 0..self.part.rows.count(),
            Which::Some(some) => {
                some.first().map_or(0, |&row| row as usize)..some.last().map_or(0, |&row| row as usize + 1)
            }
        }
    }

    fn hours(&self) -> impl Iterator<Item = DeviceHour> {
        let rows = self.part.rows;
        self.around.hours(rows, self.span()).map(|hour| (rows.device, hour))
    }
}

/// Works off the queue.
pub async fn run(writers: Arc<Writers>, jobs: Arc<tokio::sync::Mutex<Jobs<Job>>>) {
    let weight = |job: &Job| job.rows.iter().map(|rows| rows.count()).sum();
    loop {
        let group = jobs.lock().await.group(GROUP_ROWS_MAX, weight).await;
        let Some(group) = group else { return };
        let (requests, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.rows, job.answer)).unzip();
        let results = writers.store_group(&requests).await;
        for ((rows, result), answer) in requests.into_iter().zip(results).zip(answers) {
            // Whoever asked may have gone.
            let _ = answer.send(result.map(|written| rows.into_iter().zip(written).collect()));
        }
    }
}

impl Writers {
    /// Stores requests together; when that fails, by halves, so that one cannot spoil the others.
    async fn store_group(&self, requests: &[Vec<Arc<Rows>>]) -> Vec<Result<Vec<Written>, ReadingsError>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = vec![requests];
        while let Some(group) = rest.pop() {
            metrics::counter!("riverwatts_ingest_groups_total").increment(1);
            match self.store(group).await {
                Ok(written) => results.extend(written.into_iter().map(Ok)),
                Err(ReadingsError::Failed(error)) if group.len() > 1 => {
                    tracing::warn!(%error, requests = group.len(), "a group of writes failed, storing its halves");
                    let (first, second) = group.split_at(group.len() / 2);
                    rest.extend([second, first]);
                }
                Err(error) => results.extend(group.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    async fn store(&self, requests: &[Vec<Arc<Rows>>]) -> Result<Vec<Vec<Written>>, ReadingsError> {
        let mut attempt = 1;
        loop {
            match self.try_to_store(requests, attempt > 1).await {
                Err(error) if is_passing(&error) && attempt < ATTEMPTS_MAX => attempt += 1,
                stored => return Ok(stored?),
            }
        }
    }

    /// One transaction. With `compare_all` also where nothing should stand yet.
    async fn try_to_store(&self, requests: &[Vec<Arc<Rows>>], compare_all: bool) -> sqlx::Result<Vec<Vec<Written>>> {
        let mut written: Vec<Vec<Written>> = requests.iter().map(|rows| vec![Written::default(); rows.len()]).collect();
        let numbered = requests
            .iter()
            .enumerate()
            .flat_map(|(request, all)| all.iter().enumerate().map(move |(index, rows)| Part { request, index, rows }));
        let mut parts: Vec<Part<'_>> = numbered.filter(|part| part.rows.count() > 0).collect();
        parts.sort_by_key(|part| (part.rows.device, part.rows.segment.times[0]));
        let mut devices: Vec<i64> = parts.iter().map(|part| part.rows.device).collect();
        devices.dedup();
        self.months.make_for(&self.pool, parts.iter().map(|part| &**part.rows)).await?;
        self.latest.make_for(&self.pool, &devices).await?;

        let mut tx = self.pool.begin().await?;
        let mut newest = self.latest.hold(&mut tx, &devices).await?;
        let mut changes: Vec<Change<'_>> = Vec::new();
        let mut copied = 0;
        for (index, part) in parts.iter().enumerate() {
            let rows = part.rows;
            let (first, last) = (rows.segment.times[0], rows.segment.times[rows.count() - 1]);
            let is_before = |other: &Part<'_>| other.rows.segment.times[other.rows.count() - 1] < first;
            let is_clear =
                parts[..index].iter().rev().take_while(|other| other.rows.device == rows.device).all(is_before);
            if !is_clear {
                copy(&mut tx, &changes[copied..]).await?;
                copied = changes.len();
            }
            let around = surroundings(&mut tx, rows, newest.get(&rows.device)).await?;
            let is_new = is_clear && !compare_all && around.after.is_none_or(|after| after.0 > last);
            let outcome = &mut written[part.request][part.index];
            let which = if is_new { Which::All } else { Which::Some(meet(&mut tx, rows, outcome).await?) };
            let change = Change { part, around, which };
            outcome.accepted = change.rows().count() as u64;
            if outcome.accepted > 0 {
                changes.push(change);
            }
        }
        copy(&mut tx, &changes[copied..]).await?;

        let mut touched: Vec<DeviceHour> = changes.iter().flat_map(Change::hours).collect();
        touched.sort_unstable();
        touched.dedup();
        let versions = dirty::touch(&mut tx, &touched).await?;
        let mut moved = HashMap::new();
        for change in &changes {
            let last = change.part.rows.row(change.span().end - 1);
            if newest.get(&last.device).is_none_or(|known| known.time <= last.time) {
                let last = Arc::new(last);
                newest.insert(last.device, Arc::clone(&last));
                moved.insert(last.device, last);
            }
        }
        Latest::name(&mut tx, &moved).await?;
        tx.commit().await?;
        moved.into_values().for_each(|row| self.latest.stored(row));
        self.tell(&changes, versions);
        Ok(written)
    }

    /// Marks hours of a device, which are in order, and ends what is added up of them in memory.
    pub async fn touch(&self, device: i64, hours: &[i64]) -> Result<(), ReadingsError> {
        let hours: Vec<DeviceHour> = hours.iter().map(|&hour| (device, hour)).collect();
        let mut tx = self.pool.begin().await?;
        let versions = dirty::touch(&mut tx, &hours).await?;
        tx.commit().await?;
        let hours = hours.iter().map(|hour| (hour.1, versions.get(hour).copied().unwrap_or(0))).collect();
        let mut teller = self.teller.lock().expect("never poisoned: nothing panics inside");
        teller.tell(Commit { number: 0, device, rows: None, before: None, after: None, hours });
        Ok(())
    }

    /// Tells of the changes in their order. The version of an hour's mark comes with the last change that
    /// touched it: before that one an hour is not known as a whole.
    fn tell(&self, changes: &[Change<'_>], mut versions: HashMap<DeviceHour, u64>) {
        let mut commits = Vec::with_capacity(changes.len());
        for change in changes.iter().rev() {
            let rows = change.part.rows;
            let is_whole = change.rows().count() == rows.count();
            commits.push(Commit {
                number: 0,
                device: rows.device,
                rows: is_whole.then(|| Arc::clone(rows)),
                before: change.around.before,
                after: change.around.after,
                hours: change.hours().map(|hour| (hour.1, versions.remove(&hour).unwrap_or(0))).collect(),
            });
        }
        let mut teller = self.teller.lock().expect("never poisoned: nothing panics inside");
        commits.into_iter().rev().for_each(|commit| teller.tell(commit));
    }
}

/// What stands around rows of a device that is held, whose newest reading is this.
async fn surroundings(
    connection: &mut PgConnection,
    rows: &Rows,
    newest: Option<&Arc<StoredRow>>,
) -> sqlx::Result<Surroundings> {
    let mut surroundings = Surroundings::default();
    let Some(newest) = newest else { return Ok(surroundings) };
    let (first, last) = (rows.segment.times[0], rows.segment.times[rows.count() - 1]);
    let found;
    let (before, next, after) = if newest.time.0 < first {
        (Some(&**newest), None, None)
    } else {
        found = around(connection, rows.device, first, last).await?;
        (found[0].as_ref(), found[1].as_ref(), found[2].as_ref())
    };
    surroundings.before = before.map(|row| row.time);
    surroundings.after = next.map(|row| row.time);
    for (side, time, beside) in [(Side::Before, first, before), (Side::After, last, after)] {
        for counter in surroundings.meet(rows, side, beside) {
            surroundings.note(nearest(connection, rows.device, counter, UtcMs(time), side).await?);
        }
    }
    Ok(surroundings)
}

/// Compares rows with those that stand in their spans; answers which are new, or replace others, which
/// are put aside here.
async fn meet(connection: &mut PgConnection, rows: &Rows, written: &mut Written) -> sqlx::Result<Vec<u32>> {
    let times = &rows.segment.times;
    let runs = times.chunk_by(|a, b| b - a <= rows.reach_ms.max(1));
    let (firsts, lasts): (Vec<i64>, Vec<i64>) = runs.map(|run| (run[0], run[run.len() - 1])).unzip();
    let sql = with_columns(
        "select found.* from unnest($2::bigint[], $3::bigint[]) as run (first, last),
        lateral (select {COLUMNS} from readings where device = $1 and time between first and last) as found",
    );
    let mut stands = HashMap::new();
    for row in sqlx::query(sql).bind(rows.device).bind(firsts).bind(lasts).fetch_all(&mut *connection).await? {
        let row = read_row(&row)?;
        stands.insert(row.time.0, row);
    }
    let (mut new, mut replaced) = (Vec::new(), Vec::new());
    for (row, time) in times.iter().enumerate() {
        match stands.get(time) {
            None => new.push(row as u32),
            Some(stored) if rows.is_same(row, stored) => written.duplicates += 1,
            Some(stored) if rows.revision <= stored.revision => written.conflicts.push(row as u32),
            Some(_) => {
                new.push(row as u32);
                replaced.push(*time);
            }
        }
    }
    if !replaced.is_empty() {
        let sql = with_columns(
            "with gone as (delete from readings where device = $1 and time = any($2) returning *)
            insert into readings_replaced ({COLUMNS}) select device, time, power_output_kw, voltage_v, current_a,
                frequency_hz, efficiency_percent, temperature_c, vibration_level, water_flow_rate,
                battery_level_percent, received_at, coalesce(revision, 0), extra, flags from gone",
        );
        sqlx::query(sql).bind(rows.device).bind(replaced).execute(connection).await?;
    }
    Ok(new)
}

async fn copy(connection: &mut PgConnection, changes: &[Change<'_>]) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut copy = Copy::begin(connection, &format!("readings ({COLUMNS})")).await?;
    for change in changes {
        for row in change.rows() {
            write_row(copy.row().await?, change.part.rows, row);
        }
    }
    copy.finish().await
}

fn write_row(fields: &mut Fields, rows: &Rows, row: usize) {
    fields.begin(FIELDS);
    fields.bigint(rows.device);
    fields.bigint(rows.segment.times[row]);
    for column in 0..CANONICAL {
        match rows.canonical(row, column) {
            ABSENT => fields.null(),
            value => fields.bigint(value),
        }
    }
    fields.bigint(rows.received_at.0);
    if rows.revision > 0 {
        fields.bigint(rows.revision.into())
    } else {
        fields.null()
    }
    for bytes in [rows.extra(row), rows.flags(row)] {
        if bytes.is_empty() { fields.null() } else { fields.bytes(bytes) }
    }
}
