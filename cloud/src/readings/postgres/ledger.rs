//! The ledger of batches.

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::super::{AnsweredBatch, FORGOTTEN_MAX, REMEMBERED_MS};

/// Puts a batch in; one that is there stays.
pub async fn keep(connection: &mut PgConnection, batch: &AnsweredBatch) -> sqlx::Result<()> {
    let highest = i64::try_from(batch.id.sequence).unwrap_or(i64::MAX);
    let query = sqlx::query(
        "with raised as (
            insert into batch_stores (store, sequence) values ($1, $6)
            on conflict (store) do update set sequence = greatest(batch_stores.sequence, excluded.sequence)
        )
        insert into batches (store, sequence, hash, receipt, answered_at) values ($1, $2, $3, $4, $5)
        on conflict (store, sequence) do nothing",
    );
    let query = query.bind(batch.id.store).bind(batch.id.sequence.cast_signed()).bind(batch.hash.as_slice());
    query.bind(batch.receipt.as_slice()).bind(batch.at.0).bind(highest).execute(connection).await?;
    Ok(())
}

/// The highest sequence of a store that was ever answered; 0 when there is none.
pub async fn last_sequence(connection: &mut PgConnection, store: Uuid) -> sqlx::Result<u64> {
    let query = sqlx::query_scalar("select sequence from batch_stores where store = $1").bind(store);
    let highest: Option<i64> = query.fetch_optional(connection).await?;
    // Numbers beyond the signed ones stand as the largest of these.
    Ok(highest.map_or(0, |highest| if highest == i64::MAX { u64::MAX } else { highest.cast_unsigned() }))
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
