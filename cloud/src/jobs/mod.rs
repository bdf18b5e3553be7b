//! Work that is done once although the service ends meanwhile: a closed set of kinds, run from the queue
//! in the records by a worker of each instance.

pub mod housekeeping;
pub mod rollup_repair;
pub mod schedule;
mod worker;

use std::sync::Arc;

use riverwatts_shared::time::Clock;
use riverwatts_shared::words::JobKind;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::db::column::Object;
use crate::db::{Db, DbError};
use crate::readings::{Readings, ReadingsError};
use crate::store::jobs::Leased;

pub use worker::{LEASE, Waker, keep_working};

/// Why a job did not go well.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may go well later.
    #[error("{0}")]
    Passing(String),
    /// It never will.
    #[error("{0}")]
    Hopeless(String),
}

impl From<DbError> for JobError {
    fn from(error: DbError) -> Self {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        JobError::Passing(format!("{error}{cause}"))
    }
}

impl From<ReadingsError> for JobError {
    fn from(error: ReadingsError) -> Self {
        JobError::Passing(error.to_string())
    }
}

/// What jobs work with; cheap to clone.
#[derive(Clone, Debug)]
pub struct Means {
    /// People, sites, devices, gateways.
    pub db: Db,
    /// What devices measured.
    pub readings: Readings,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Means {
    /// Does a job; answers what it came to. It may be cut at any point, and then begins anew.
    async fn run(self, job: Leased) -> Result<Object, JobError> {
        match job.kind.0 {
            JobKind::Housekeeping => housekeeping::run(&self).await,
            JobKind::RollupRepair => rollup_repair::run(&self, job.payload.0).await,
        }
    }
}

/// Runs jobs and keeps the schedules until `stop`.
pub async fn keep_jobs(means: &Means, waker: &Waker, stop: CancellationToken) {
    let run = {
        let means = means.clone();
        move |job| means.clone().run(job)
    };
    tokio::join!(
        schedule::keep_schedules(&means.db, means.clock.as_ref(), waker, stop.clone()),
        keep_working(&means.db, &means.clock, waker, run, stop)
    );
}

/// A struct as it stands in a column.
fn object(of: &impl Serialize) -> Object {
    match serde_json::to_value(of) {
        Ok(Value::Object(map)) => Object(map),
        other => unreachable!("only structs of plain fields are given: {other:?}"),
    }
}
