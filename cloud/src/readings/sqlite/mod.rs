//! Readings in SQLite files, each with one writer: `readings/YYYY-MM.db` (rows and marks of what
//! roll-ups must learn of them) and `series.db` (roll-ups, ledger of batches). Reading goes by
//! connections of its own; nothing is attached.

mod dirty;
mod latest;
mod list;
mod month;
mod points;
mod read;
mod rollups;
mod series;
mod write;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use riverwatts_shared::metric::Metric;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;
use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::commits::commits;
use super::queue::Queue;
use super::{
    AnsweredBatch, Change, Commit, DirtyHour, ListQuery, ReadingsError, Rows, Side, StoredRow, Window, WrittenRows,
    failed,
};
use dirty::Dirty;
use latest::Latest;
use month::Months;
use read::Readers;
use series::Highest;

/// Name of the file of roll-ups and the ledger, in the data folder.
pub const SERIES_FILE: &str = "series.db";
/// Name of the folder of month files, in the data folder.
pub const MONTHS_FOLDER: &str = "readings";

/// The files in a data folder.
#[derive(Debug)]
pub struct Engine {
    rows: Queue<write::Job>,
    series: Queue<series::Job>,
    readers: Readers,
    dirty: Arc<Dirty>,
    latest: Arc<Latest>,
    highest: Arc<Highest>,
    commits: Mutex<Option<Receiver<Commit>>>,
}

impl Engine {
    /// Opens (and makes, when absent) the files in `folder` and starts their writers.
    pub fn open(folder: &Path) -> Result<Engine, ReadingsError> {
        let months_folder = folder.join(MONTHS_FOLDER);
        fs::create_dir_all(&months_folder).map_err(unavailable)?;
        let months = Arc::new(Months::open(&months_folder).map_err(unavailable)?);
        let series_file = folder.join(SERIES_FILE);
        if !series_file.exists() {
            dirty::mark_all(&months)?;
        }
        let dirty = Arc::new(Dirty::read(&months)?);
        let latest = Arc::new(Latest::default());
        let series = series::open(&series_file)?;
        let highest = Arc::new(Highest::default());
        let noted = Arc::clone(&highest);
        let readers = Readers::new(Arc::clone(&months), series_file);
        let (teller, commits) = commits();
        let writer = write::Writer::new(months, readers.clone(), Arc::clone(&dirty), Arc::clone(&latest), teller);
        Ok(Engine {
            rows: Queue::start("readings-rows", move |jobs| writer.run(jobs)).map_err(unavailable)?,
            series: Queue::start("readings-series", move |jobs| series::run(series, &noted, jobs))
                .map_err(unavailable)?,
            readers,
            dirty,
            latest,
            highest,
            commits: Mutex::new(Some(commits)),
        })
    }

    pub(super) async fn write(&self, rows: Vec<Rows>) -> Result<WrittenRows, ReadingsError> {
        let rows = rows.into_iter().map(Arc::new).collect();
        let (answer, answered) = oneshot::channel();
        self.rows.submit(write::Job::Write { rows, answer }).await?;
        answered.await.map_err(writer_died)?
    }

    pub(super) async fn touch(&self, device: i64, hours: Vec<i64>) -> Result<(), ReadingsError> {
        let (answer, answered) = oneshot::channel();
        self.rows.submit(write::Job::Touch { device, hours, answer }).await?;
        answered.await.map_err(writer_died)?
    }

    pub(super) fn take_commits(&self) -> Option<Receiver<Commit>> {
        self.commits.lock().expect("never poisoned: nothing panics inside").take()
    }

    pub(super) async fn find_batch(&self, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
        if self.highest.of(id.store).is_some_and(|highest| highest < id.sequence) {
            return Ok(None);
        }
        let highest = Arc::clone(&self.highest);
        let query = move |readers: &Readers| {
            let series = readers.series()?;
            highest.note(id.store, series::highest(&series, id.store)?, true);
            series::find_batch(&series, id)
        };
        self.readers.run(query).await
    }

    pub(super) async fn last_sequence(&self, store: Uuid) -> Result<u64, ReadingsError> {
        if let Some(highest) = self.highest.of(store) {
            return Ok(highest);
        }
        let highest = Arc::clone(&self.highest);
        let query = move |readers: &Readers| {
            let found = series::highest(&*readers.series()?, store)?;
            highest.note(store, found, true);
            Ok(found)
        };
        self.readers.run(query).await
    }

    pub(super) async fn keep_batch(&self, batch: AnsweredBatch) -> Result<(), ReadingsError> {
        let (answer, answered) = oneshot::channel();
        self.series.submit(series::Job::Keep { batch, answer }).await?;
        answered.await.map_err(writer_died)?
    }

    pub(super) async fn latest(&self, devices: Vec<i64>) -> Result<Vec<Arc<StoredRow>>, ReadingsError> {
        let missing = self.latest.missing(&devices);
        if !missing.is_empty() {
            let found = self.readers.run(move |readers| latest::find(readers, &missing)).await?;
            self.latest.learn(found);
        }
        Ok(self.latest.get(&devices))
    }

    pub(super) fn newest_in_memory(&self, device: i64) -> Option<UtcMs> {
        self.latest.get(&[device]).first().map(|row| row.time)
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<Vec<StoredRow>, ReadingsError> {
        self.readers.run(move |readers| list::list(readers, &query)).await
    }

    pub(super) async fn segment(&self, device: i64, from: UtcMs, to: UtcMs) -> Result<Segment, ReadingsError> {
        self.readers.run(move |readers| points::segment(readers, device, from, to)).await
    }

    pub(super) async fn nearest(
        &self,
        device: i64,
        metric: Metric,
        time: UtcMs,
        side: Side,
    ) -> Result<Option<Point>, ReadingsError> {
        self.readers.run(move |readers| points::nearest(readers, device, metric, time, side)).await
    }

    pub(super) fn dirty_hours(&self, device: i64) -> Vec<DirtyHour> {
        self.dirty.hours(|hour| hour.device == device)
    }

    pub(super) fn due_hours(&self, now: UtcMs, untouched_ms: u64, limit: usize) -> Vec<DirtyHour> {
        let mut hours = self.dirty.hours(|hour| hour.end() <= now && hour.untouched_ms >= untouched_ms);
        hours.sort_unstable_by_key(|hour| (hour.device, hour.hour));
        hours.truncate(limit);
        hours
    }

    pub(super) fn hours_waiting(&self, now: UtcMs) -> usize {
        self.dirty.hours(|hour| hour.end() <= now).len()
    }

    pub(super) fn untouched(&self, hours: &[DirtyHour]) -> Vec<DirtyHour> {
        let untouched = self.dirty.untouched(hours);
        let is_untouched =
            |hour: &&DirtyHour| untouched.iter().any(|((device, of), _)| (*device, *of) == (hour.device, hour.hour));
        hours.iter().filter(is_untouched).copied().collect()
    }

    pub(super) async fn windows(
        &self,
        device: i64,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<Window>, ReadingsError> {
        let query = move |readers: &Readers| rollups::windows(&*readers.series()?, device, resolution, from, to);
        self.readers.run(query).await
    }

    pub(super) async fn span(
        &self,
        device: i64,
        resolution: Resolution,
    ) -> Result<Option<(UtcMs, UtcMs)>, ReadingsError> {
        self.readers.run(move |readers| rollups::span(&*readers.series()?, device, resolution)).await
    }

    pub(super) async fn day_zones(&self, device: Option<i64>) -> Result<HashMap<i64, String>, ReadingsError> {
        self.readers.run(move |readers| rollups::day_zones(&*readers.series()?, device)).await
    }

    pub(super) async fn replace_windows(&self, changes: Vec<Change>) -> Result<(), ReadingsError> {
        let done: Vec<DirtyHour> = changes.iter().flat_map(|change| change.done.iter().copied()).collect();
        let (answer, answered) = oneshot::channel();
        self.series.submit(series::Job::Replace { changes, answer }).await?;
        answered.await.map_err(writer_died)??;
        if done.is_empty() {
            return Ok(());
        }
        match self.rows.submit(write::Job::Clean { done }).await {
            // As after a crash here: the marks stay, and the hours are computed once more.
            Err(ReadingsError::Busy) => Ok(()),
            submitted => submitted,
        }
    }

    pub(super) async fn ping(&self) -> Result<(), ReadingsError> {
        let (answer, answered) = oneshot::channel();
        self.rows.submit(write::Job::Ping { answer }).await?;
        answered.await.map_err(writer_died)?;
        let (answer, answered) = oneshot::channel();
        self.series.submit(series::Job::Ping { answer }).await?;
        answered.await.map_err(writer_died)
    }

    pub(super) async fn close(&self) {
        self.rows.close().await;
        self.series.close().await;
    }
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> ReadingsError {
    ReadingsError::Unavailable(Arc::new(error))
}

/// A writer ends without an answer only when it panicked, or at the end of the service.
fn writer_died(error: oneshot::error::RecvError) -> ReadingsError {
    ReadingsError::Unavailable(Arc::new(error))
}

impl From<rusqlite::Error> for ReadingsError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::OutOfMemory,
            ) => unavailable(error),
            _ => failed(error),
        }
    }
}

impl From<FromSqlError> for ReadingsError {
    fn from(error: FromSqlError) -> Self {
        failed(error)
    }
}
