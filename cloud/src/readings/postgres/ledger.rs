//! The ledger of batches.

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use sqlx::{PgConnection, Row as _};

use super::super::{AnsweredBatch, FORGOTTEN_MAX, REMEMBERED_MS};

/// Puts a batch in; one that is there stays.
pub async fn keep(connection: &mut PgConnection, batch: &AnsweredBatch) -> sqlx::Result<()> {
    let query = sqlx::query(
        "insert into batches (store, sequence, hash, receipt, answered_at) values ($1, $2, $3, $4, $5)
        on conflict (store, sequence) do nothing",
    );
    let query = query.bind(batch.id.store).bind(batch.id.sequence as i64).bind(batch.hash.as_slice());
    query.bind(batch.receipt.as_slice()).bind(batch.at.0).execute(connection).await?;
    Ok(())
}

/// Forgets some of those that were answered long before `now`.
pub async fn forget(connection: &mut PgConnection, now: UtcMs) -> sqlx::Result<()> {
    let query = sqlx::query(
        "delete from batches where (store, sequence) in (select store, sequence from batches where answered_at < $1
            order by answered_at limit $2 for update skip locked)",
    );
    query.bind(now.plus_ms(-REMEMBERED_MS).0).bind(FORGOTTEN_MAX).execute(connection).await?;
    Ok(())
}

/// What it knows of a batch.
pub async fn find(connection: &mut PgConnection, id: BatchId) -> sqlx::Result<Option<AnsweredBatch>> {
    let query = sqlx::query("select hash, receipt, answered_at from batches where store = $1 and sequence = $2");
    let Some(row) = query.bind(id.store).bind(id.sequence as i64).fetch_optional(connection).await? else {
        return Ok(None);
    };
    let hash = row.try_get::<&[u8], _>(0)?.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Some(AnsweredBatch { id, hash, receipt: row.try_get(1)?, at: UtcMs(row.try_get(2)?) }))
}
