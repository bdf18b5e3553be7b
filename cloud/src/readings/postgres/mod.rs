//! Readings in PostgreSQL, in the database of the records. What one instance wrote all others see: nothing
//! that an answer depends on is in memory alone.

mod copy;
mod dirty;
mod latest;
mod leader;
mod ledger;
mod months;
mod read;
mod rollups;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock as _, SystemClock, UtcMs};
use riverwatts_shared::words::Resolution;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Postgres};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::commits::commits;
use super::month::Month;
use super::queue::Queue;
use super::{
    AnsweredBatch, Change, Commit, DirtyHour, ListQuery, ReadingsError, Rows, Side, StoredRow, Window, WrittenRows,
    failed,
};
use latest::Latest;
use leader::Leader;
use months::Months;
use write::Writers;

/// Groups that are stored at once: while one is committed, another goes over the line.
const WRITERS: u32 = 2;
/// Connections that read and keep the ledger.
const READERS_MAX: u32 = 8;
/// How long a request waits for a connection before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches are looked through for old ones this often.
const FORGET_EVERY_MS: i64 = 60_000;

/// The tables in a database.
#[derive(Debug)]
pub struct Engine {
    rows: Queue<write::Job>,
    writers: Arc<Writers>,
    pool: PgPool,
    leader: Leader,
    latest: Arc<Latest>,
    commits: Mutex<Option<Receiver<Commit>>>,
    /// When old batches were last looked for, in ms.
    forgotten_at: AtomicI64,
}

impl Engine {
    /// Works on the database of this pool, which has the tables of this version.
    pub async fn open(records: &PgPool) -> Result<Engine, ReadingsError> {
        let options = PgConnectOptions::clone(&records.connect_options());
        // A session that hangs must not keep others from its devices.
        let options = options.options([("idle_in_transaction_session_timeout", "30s"), ("lock_timeout", "10s")]);
        // Roll-ups and their marks are lost together, and a receipt that a power cut takes back costs a
        // repeat: neither need wait for the disk.
        let unhurried = options.clone().options([("synchronous_commit", "off")]);
        let pool = |most| PgPoolOptions::new().max_connections(most).acquire_timeout(ACQUIRE_TIMEOUT);
        let latest = Arc::new(Latest::default());
        let (teller, commits) = commits();
        let writers = Arc::new(Writers {
            pool: pool(WRITERS).connect_lazy_with(options),
            months: Months::default(),
            latest: Arc::clone(&latest),
            teller: Mutex::new(teller),
        });
        writers.months.make(&writers.pool, Month::of(SystemClock::default().wall())).await?;
        let (rows, jobs) = Queue::new();
        let jobs = Arc::new(tokio::sync::Mutex::new(jobs));
        for _ in 0..WRITERS {
            // They end with the queue.
            tokio::spawn(write::run(Arc::clone(&writers), Arc::clone(&jobs)));
        }
        Ok(Engine {
            rows,
            writers,
            pool: pool(READERS_MAX).connect_lazy_with(unhurried.clone()),
            leader: Leader::new(unhurried),
            latest,
            commits: Mutex::new(Some(commits)),
            forgotten_at: AtomicI64::new(i64::MIN),
        })
    }

    pub(super) async fn write(&self, rows: Vec<Rows>) -> Result<WrittenRows, ReadingsError> {
        let rows = rows.into_iter().map(Arc::new).collect();
        let (answer, answered) = oneshot::channel();
        self.rows.submit(write::Job { rows, answer }).await?;
        // Without an answer a writer ends only when it panicked, or at the end of the service.
        answered.await.map_err(|error| ReadingsError::Unavailable(Arc::new(error)))?
    }

    pub(super) async fn touch(&self, device: i64, hours: Vec<i64>) -> Result<(), ReadingsError> {
        self.writers.touch(device, &hours).await
    }

    pub(super) fn take_commits(&self) -> Option<Receiver<Commit>> {
        self.commits.lock().expect("never poisoned: nothing panics inside").take()
    }

    pub(super) async fn find_batch(&self, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
        Ok(ledger::find(&mut *self.connection().await?, id).await?)
    }

    pub(super) async fn last_sequence(&self, store: Uuid) -> Result<u64, ReadingsError> {
        Ok(ledger::last_sequence(&mut *self.connection().await?, store).await?)
    }

    pub(super) async fn keep_batch(&self, batch: AnsweredBatch) -> Result<(), ReadingsError> {
        let mut connection = self.connection().await?;
        ledger::keep(&mut connection, &batch).await?;
        let due = |before: i64| (batch.at.0.saturating_sub(before) >= FORGET_EVERY_MS).then_some(batch.at.0);
        if self.forgotten_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            ledger::forget(&mut connection, batch.at).await?;
        }
        Ok(())
    }

    pub(super) async fn latest(&self, devices: Vec<i64>) -> Result<Vec<Arc<StoredRow>>, ReadingsError> {
        Ok(self.latest.find(&mut *self.connection().await?, &devices).await?)
    }

    pub(super) fn newest_in_memory(&self, device: i64) -> Option<UtcMs> {
        self.latest.get(device).map(|row| row.time)
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<Vec<StoredRow>, ReadingsError> {
        Ok(read::list(&mut *self.connection().await?, &query).await?)
    }

    pub(super) async fn segment(&self, device: i64, from: UtcMs, to: UtcMs) -> Result<Segment, ReadingsError> {
        read::segment(&mut *self.connection().await?, device, from, to).await
    }

    pub(super) async fn nearest(
        &self,
        device: i64,
        metric: Metric,
        time: UtcMs,
        side: Side,
    ) -> Result<Option<Point>, ReadingsError> {
        Ok(read::nearest(&mut *self.connection().await?, device, metric, time, side).await?)
    }

    pub(super) async fn dirty_hours(&self, device: i64) -> Result<Vec<DirtyHour>, ReadingsError> {
        Ok(dirty::of_device(&mut *self.connection().await?, device).await?)
    }

    pub(super) async fn due_hours(
        &self,
        now: UtcMs,
        untouched_ms: u64,
        limit: usize,
    ) -> Result<Vec<DirtyHour>, ReadingsError> {
        Ok(dirty::due(&mut *self.connection().await?, now, untouched_ms, limit).await?)
    }

    pub(super) async fn hours_waiting(&self, now: UtcMs) -> Result<usize, ReadingsError> {
        Ok(dirty::waiting(&mut *self.connection().await?, now).await?)
    }

    pub(super) async fn untouched(&self, hours: &[DirtyHour]) -> Result<Vec<DirtyHour>, ReadingsError> {
        Ok(dirty::untouched(&mut *self.connection().await?, hours).await?)
    }

    pub(super) async fn leads(&self) -> Result<bool, ReadingsError> {
        Ok(self.leader.lead().await?.is_some())
    }

    pub(super) async fn windows(
        &self,
        device: i64,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<Window>, ReadingsError> {
        rollups::windows(&mut *self.connection().await?, device, resolution, from, to).await
    }

    pub(super) async fn span(
        &self,
        device: i64,
        resolution: Resolution,
    ) -> Result<Option<(UtcMs, UtcMs)>, ReadingsError> {
        Ok(rollups::span(&mut *self.connection().await?, device, resolution).await?)
    }

    pub(super) async fn day_zones(&self, device: Option<i64>) -> Result<HashMap<i64, String>, ReadingsError> {
        Ok(rollups::day_zones(&mut *self.connection().await?, device).await?)
    }

    pub(super) async fn replace_windows(&self, changes: Vec<Change>) -> Result<(), ReadingsError> {
        let mut leading = self.leader.lead().await?.ok_or(ReadingsError::Busy)?;
        let mut tx = leading.begin().await?;
        rollups::replace(&mut tx, &changes).await?;
        let done: Vec<DirtyHour> = changes.into_iter().flat_map(|change| change.done).collect();
        if !done.is_empty() {
            dirty::clean(&mut tx, &done).await?;
        }
        Ok(tx.commit().await?)
    }

    pub(super) async fn ping(&self) -> Result<(), ReadingsError> {
        Ok(self.connection().await?.ping().await?)
    }

    pub(super) async fn close(&self) {
        self.rows.close().await;
        self.leader.close().await;
        self.writers.pool.close().await;
        self.pool.close().await;
    }

    async fn connection(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        self.pool.acquire().await
    }
}

/// Whether the same may go well when it is tried again at once: others were in the way.
fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // A row of the same identity, a serialization failure, a deadlock.
    matches!(code.as_deref(), Some("23505" | "40001" | "40P01"))
}

impl From<sqlx::Error> for ReadingsError {
    fn from(error: sqlx::Error) -> Self {
        let is_of_now = match &error {
            sqlx::Error::Database(database) => database.code().is_some_and(|code| {
                // Connection lost, too few resources or a full disk, stopping, a lock that was not to be had,
                // a session that hung, a server that only reads.
                ["08", "53", "57", "55P03", "25P03", "25006", "40"].iter().any(|class| code.starts_with(class))
            }),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            _ => false,
        };
        if is_of_now { ReadingsError::Unavailable(Arc::new(error)) } else { failed(error) }
    }
}
