//! Readings in SQLite files, each with one writer: `readings/YYYY-MM.db` (rows and marks of what
//! roll-ups must learn of them) and `series.db` (roll-ups, ledger of batches). Reading goes by
//! connections of its own; nothing is attached.

mod dirty;
mod latest;
mod list;
mod month;
mod queue;
mod read;
mod series;
mod write;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use riverwatts_shared::receipt::BatchId;
use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::{AnsweredBatch, ListQuery, ReadingsError, Rows, StoredRow, Written};
use dirty::Dirty;
use latest::Latest;
use month::Months;
use queue::Queue;
use read::Readers;

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
    latest: Arc<Latest>,
}

impl Engine {
    /// Opens (and makes, when absent) the files in `folder` and starts their writers.
    pub fn open(folder: &Path) -> Result<Engine, ReadingsError> {
        let months_folder = folder.join(MONTHS_FOLDER);
        fs::create_dir_all(&months_folder).map_err(unavailable)?;
        let months = Arc::new(Months::open(&months_folder).map_err(unavailable)?);
        let dirty = Arc::new(Dirty::read(&months)?);
        let latest = Arc::new(Latest::default());
        let series_file = folder.join(SERIES_FILE);
        let series = series::open(&series_file)?;
        let rows_writer = write::Writer::new(Arc::clone(&months), Arc::clone(&dirty), Arc::clone(&latest));
        Ok(Engine {
            rows: Queue::start("readings-rows", move |jobs| rows_writer.run(jobs)).map_err(unavailable)?,
            series: Queue::start("readings-series", move |jobs| series::run(series, jobs)).map_err(unavailable)?,
            readers: Readers::new(months, series_file),
            latest,
        })
    }

    pub(super) async fn write(&self, rows: Vec<Rows>) -> Result<Vec<(Rows, Written)>, ReadingsError> {
        let (answer, answered) = oneshot::channel();
        self.rows.submit(write::Job::Write { rows, answer }).await?;
        answered.await.map_err(writer_died)?
    }

    pub(super) async fn find_batch(&self, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
        self.readers.run(move |readers| series::find_batch(&*readers.series()?, id)).await
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

    pub(super) async fn list(&self, query: ListQuery) -> Result<Vec<StoredRow>, ReadingsError> {
        self.readers.run(move |readers| list::list(readers, &query)).await
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

fn failed(error: impl Error + Send + Sync + 'static) -> ReadingsError {
    ReadingsError::Failed(Arc::new(error))
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
