//! The store of readings: a closed enum of engines, written for speed. It knows devices by their
//! number, keeps what it is given once, and has no rules of its own beyond the identity of a reading.

mod columns;
pub mod commits;
pub mod json;
pub mod list;
mod month;
pub mod parquet;
mod queue;
pub mod rollups;
pub mod rows;
pub mod sqlite;
mod surroundings;

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

pub use commits::Commit;
pub use list::ListQuery;
pub use rollups::{Change, DirtyHour, Side, Window};
pub use rows::{Packed, Rows, StoredRow};

/// Rows after which a group of requests that share a transaction is full.
const GROUP_ROWS_MAX: usize = 20_000;
/// Rows that are looked through for the nearest value of a metric.
const SCAN_ROWS_MAX: usize = 100_000;
/// How long a batch is remembered after its answer: 3 days, so that the receipts of a gateway that
/// uploads every 10 s stay within some 50 MB. One that sends it again later finds its readings as
/// duplicates.
const REMEMBERED_MS: i64 = 3 * 86_400_000;
/// Most batches that are forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 1_000;

/// Why an operation on readings was not done. A write that failed stored nothing of its rows, or
/// rows that a repeat finds as duplicates.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadingsError {
    /// More is waiting than may wait: try later.
    #[error("too many writes are waiting")]
    Busy,
    /// The files cannot be used now, or the service is stopping: try later.
    #[error("readings unavailable: {0}")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// A bug, or a damaged file.
    #[error("readings failed: {0}")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
}

/// What became of one [`Rows`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows stored now.
    pub accepted: u64,
    /// Rows that were there before, with the same values.
    pub duplicates: u64,
    /// Indices, ascending, of rows under whose identity other values are stored.
    pub conflicts: Vec<u32>,
}

/// Rows that were asked for to be stored, in the same order, each with what became of them.
pub type WrittenRows = Vec<(Arc<Rows>, Written)>;

/// A batch that was answered, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredBatch {
    /// Its identity.
    pub id: BatchId,
    /// Tells it from another one under the same identity.
    pub hash: [u8; 32],
    /// The receipt, byte for byte.
    pub receipt: Vec<u8>,
    /// When it was answered.
    pub at: UtcMs,
}

/// The engine in hand; cheap to clone.
#[derive(Clone, Debug)]
pub enum Readings {
    /// Files in the data folder.
    Sqlite(Arc<sqlite::Engine>),
}

impl Readings {
    /// Opens (and makes, when absent) the files in `folder`.
    pub fn open_sqlite(folder: &Path) -> Result<Readings, ReadingsError> {
        Ok(Readings::Sqlite(Arc::new(sqlite::Engine::open(folder)?)))
    }

    /// Stores rows and waits for the commit. The same rows again change nothing.
    pub async fn write(&self, rows: Vec<Rows>) -> Result<WrittenRows, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.write(rows).await,
        }
    }

    /// Marks hours (since 1970, in order) of a device whose windows change although no row does, and waits
    /// for the commit.
    pub async fn touch(&self, device: i64, hours: Vec<i64>) -> Result<(), ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.touch(device, hours).await,
        }
    }

    /// The commits from now on; for the one who asks first.
    pub fn take_commits(&self) -> Option<Receiver<Commit>> {
        match self {
            Readings::Sqlite(engine) => engine.take_commits(),
        }
    }

    /// What the ledger knows of a batch.
    pub async fn find_batch(&self, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.find_batch(id).await,
        }
    }

    /// The highest sequence of a store whose batch was ever kept, also once that is forgotten; 0 for none.
    pub async fn last_sequence(&self, store: Uuid) -> Result<u64, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.last_sequence(store).await,
        }
    }

    /// Puts an answered batch into the ledger and waits for the commit; one that is there stays.
    pub async fn keep_batch(&self, batch: AnsweredBatch) -> Result<(), ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.keep_batch(batch).await,
        }
    }

    /// The newest reading, by time, of each device that has one.
    pub async fn latest(&self, devices: Vec<i64>) -> Result<Vec<Arc<StoredRow>>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.latest(devices).await,
        }
    }

    /// The time of a device's newest reading, when it is in memory: of a device that was written it is.
    pub fn newest_in_memory(&self, device: i64) -> Option<UtcMs> {
        match self {
            Readings::Sqlite(engine) => engine.newest_in_memory(device),
        }
    }

    /// The readings that `query` asks for, in its order, at most its limit.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<StoredRow>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.list(query).await,
        }
    }

    /// The device's readings in `[from, to)` as columns.
    pub async fn segment(&self, device: i64, from: UtcMs, to: UtcMs) -> Result<Segment, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.segment(device, from, to).await,
        }
    }

    /// The value of a metric nearest to `time` on one side that may be summed; `time` itself is on neither.
    pub async fn nearest(
        &self,
        device: i64,
        metric: Metric,
        time: UtcMs,
        side: Side,
    ) -> Result<Option<Point>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.nearest(device, metric, time, side).await,
        }
    }

    /// The hours of a device whose roll-ups are not in order.
    pub async fn dirty_hours(&self, device: i64) -> Result<Vec<DirtyHour>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => Ok(engine.dirty_hours(device)),
        }
    }

    /// Dirty hours that are over at `now` and untouched for so long, the first of them by device and hour.
    pub async fn due_hours(
        &self,
        now: UtcMs,
        untouched_ms: u64,
        limit: usize,
    ) -> Result<Vec<DirtyHour>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => Ok(engine.due_hours(now, untouched_ms, limit)),
        }
    }

    /// How many dirty hours are over at `now`.
    pub async fn hours_waiting(&self, now: UtcMs) -> Result<usize, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => Ok(engine.hours_waiting(now)),
        }
    }

    /// Those of `hours` that are dirty as they were and no more.
    pub async fn untouched(&self, hours: &[DirtyHour]) -> Result<Vec<DirtyHour>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => Ok(engine.untouched(hours)),
        }
    }

    /// The stored windows of a device that begin in `[from, to)`, oldest first. Those of dirty hours,
    /// and of days that touch them, may be out of date.
    pub async fn windows(
        &self,
        device: i64,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<Window>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.windows(device, resolution, from, to).await,
        }
    }

    /// When the first and the last stored window of a resolution begin.
    pub async fn span(&self, device: i64, resolution: Resolution) -> Result<Option<(UtcMs, UtcMs)>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.span(device, resolution).await,
        }
    }

    /// The zone whose days a device's stored days are, for those that have any; of one device, or of all.
    pub async fn day_zones(&self, device: Option<i64>) -> Result<HashMap<i64, String>, ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.day_zones(device).await,
        }
    }

    /// Replaces roll-ups, all together, and waits for the commit.
    pub async fn replace_windows(&self, changes: Vec<Change>) -> Result<(), ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.replace_windows(changes).await,
        }
    }

    /// Whether the store answers and takes writes.
    pub async fn ping(&self) -> Result<(), ReadingsError> {
        match self {
            Readings::Sqlite(engine) => engine.ping().await,
        }
    }

    /// Ends the writers after what waits; later calls are [`ReadingsError::Unavailable`].
    pub async fn close(&self) {
        match self {
            Readings::Sqlite(engine) => engine.close().await,
        }
    }
}

impl From<serde_json::Error> for ReadingsError {
    fn from(error: serde_json::Error) -> Self {
        failed(error)
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> ReadingsError {
    ReadingsError::Failed(Arc::new(error))
}
