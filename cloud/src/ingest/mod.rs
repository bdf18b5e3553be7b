//! What gateways send becomes records and readings: decode, check, register, store, answer. The order
//! of writing is month files, gaps, ledger, answer; a crash in between ends in a repeat that heals.

mod batch;
mod carried;
mod check;
mod decode;
mod in_hand;
mod posted;

use std::sync::Arc;

use riverwatts_shared::bytes::Malformed;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::db::recent::{Asked, Recent};
use crate::db::{Db, DbError};
use crate::live::{Live, Stored};
use crate::readings::{Readings, ReadingsError, Rows, Written, WrittenRows};
use crate::store::devices::{self, NamedDevice};
use crate::store::meta;
use in_hand::InHand;

pub use carried::{Import, ImportError, Imported};
pub use posted::{PostedAnswer, PostedRejection, READINGS_MAX};

/// Requests that may be in hand at once; further ones are told to come later.
const REQUESTS_MAX: usize = 256;
/// Bodies that are unfolded at once: one per core that a gateway may keep busy.
const DECODES_MAX: usize = 2;
/// Bodies up to here are unfolded where they came in, in some 100 µs: to change threads takes as long.
const INLINE_BYTES_MAX: usize = 8 << 10;
/// Values (of 8 bytes) that may be unfolded and not yet stored; one batch may take half of it.
const VALUES_MAX: usize = 2 * riverwatts_shared::batch::VALUES_MAX;

/// Why what a gateway sent was not taken. It may send it again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The bytes are no batch that this version reads.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The bytes are no JSON.
    #[error("{0}")]
    NoJson(String),
    /// The JSON is no list of readings, or too long a one.
    #[error("{0}")]
    Unreadable(String),
    /// Another batch was answered under this identity.
    #[error("another batch was stored under this identity")]
    StoreForked,
    /// More is in hand than may be: try later.
    #[error("too much is in hand")]
    Busy,
    /// Of the records.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Of the readings.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
}

/// Takes what gateways send; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    readings: Readings,
    live: Live,
    epoch: Uuid,
    requests: Semaphore,
    decodes: Semaphore,
    values: Semaphore,
    in_hand: InHand,
    /// The devices of sites.
    devices: Recent<Uuid, Arc<Vec<NamedDevice>>>,
}

impl Ingest {
    /// Ready to take; reads the epoch, which holds until the service stops.
    pub async fn new(db: Db, readings: Readings, live: Live) -> Result<Ingest, DbError> {
        let epoch = meta::epoch(&db).await?;
        Ok(Ingest(Arc::new(Inner {
            db,
            readings,
            live,
            epoch,
            requests: Semaphore::new(REQUESTS_MAX),
            decodes: Semaphore::new(DECODES_MAX),
            values: Semaphore::new(VALUES_MAX),
            in_hand: InHand::default(),
            devices: Recent::default(),
        })))
    }
}

impl Inner {
    /// A place among the requests in hand.
    fn place(&self) -> Result<SemaphorePermit<'_>, IngestError> {
        self.requests.try_acquire().map_err(|_| IngestError::Busy)
    }

    /// The devices of a site.
    async fn devices_of(&self, site_id: Uuid) -> Result<Arc<Vec<NamedDevice>>, DbError> {
        if let Some(devices) = self.devices.get(&site_id) {
            return Ok(devices);
        }
        let asked = Asked::now();
        let devices = Arc::new(devices::of_site(&self.db, site_id).await?);
        self.devices.put(asked, site_id, Arc::clone(&devices));
        Ok(devices)
    }

    /// Runs `work`, which unfolds a body of this size, where it may block, and books the values that
    /// came of it.
    async fn unfold<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
        values: impl FnOnce(&T) -> usize,
    ) -> Result<(T, SemaphorePermit<'_>), IngestError> {
        let _decode = self.decodes.acquire().await.expect("never closed");
        let unfolded = if bytes <= INLINE_BYTES_MAX {
            work()?
        } else {
            tokio::task::spawn_blocking(work).await.expect("decoding never panics")?
        };
        let values = values(&unfolded).min(VALUES_MAX) as u32;
        let booked = self.values.acquire_many(values).await.expect("never closed");
        Ok((unfolded, booked))
    }

    /// Stores rows of devices of a site, tells them, and counts what became of them.
    async fn store(&self, site_id: Uuid, rows: Vec<(Uuid, Rows)>) -> Result<WrittenRows, IngestError> {
        let (devices, rows): (Vec<Uuid>, Vec<Rows>) = rows.into_iter().unzip();
        let written = if rows.is_empty() { Vec::new() } else { self.readings.write(rows).await? };
        let sum = |count: fn(&Written) -> u64| written.iter().map(|(_, written)| count(written)).sum();
        count_outcomes("accepted", sum(|written| written.accepted));
        count_outcomes("duplicate", sum(|written| written.duplicates));
        let new = devices.into_iter().zip(&written).filter(|(_, (_, written))| written.accepted > 0);
        let stored = |(device_id, (rows, _)): (_, &(Arc<Rows>, _))| {
            let newest = self.readings.newest_in_memory(rows.device)?;
            Some(Stored { device_id, rows: Arc::clone(rows), newest })
        };
        self.live.stored(site_id, new.filter_map(stored).collect());
        Ok(written)
    }
}

/// Counts readings by what became of them.
fn count_outcomes(outcome: &'static str, readings: u64) {
    metrics::counter!("riverwatts_ingest_readings_total", "outcome" => outcome).increment(readings);
}
