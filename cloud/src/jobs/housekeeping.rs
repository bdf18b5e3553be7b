//! Takes away what ended long ago, so that tables stay as large as what is in use.

use serde::Serialize;

use super::{JobError, Means, object};
use crate::db::column::Object;
use crate::store::{gateways, idempotency, jobs, sessions};

/// Rows that are taken away in one transaction.
const ROWS_AT_ONCE: i64 = 500;

/// How many rows were taken away.
#[derive(Debug, Default, Serialize)]
struct Pruned {
    sessions: u64,
    idempotency_keys: u64,
    enrollment_codes: u64,
    jobs: u64,
}

/// Does it, some rows of each table after the other: others write in between.
pub async fn run(means: &Means) -> Result<Object, JobError> {
    let (db, now) = (&means.db, means.clock.wall());
    let mut total = Pruned::default();
    loop {
        let pruned = Pruned {
            sessions: sessions::prune(db, now, ROWS_AT_ONCE).await?,
            idempotency_keys: idempotency::prune(db, now, ROWS_AT_ONCE).await?,
            enrollment_codes: gateways::prune_codes(db, now, ROWS_AT_ONCE).await?,
            jobs: jobs::prune(db, now, ROWS_AT_ONCE).await?,
        };
        total.sessions += pruned.sessions;
        total.idempotency_keys += pruned.idempotency_keys;
        total.enrollment_codes += pruned.enrollment_codes;
        total.jobs += pruned.jobs;
        let most = pruned.sessions.max(pruned.idempotency_keys).max(pruned.enrollment_codes).max(pruned.jobs);
        if most < ROWS_AT_ONCE as u64 {
            return Ok(object(&total));
        }
    }
}
