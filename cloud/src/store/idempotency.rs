//! POST requests that carry an `Idempotency-Key`: run once, answered alike. The key is taken before
//! the work and gets its answer after it; a crash between the two leaves the key taken, so that the
//! work is at worst reported as unfinished, never done twice.

use riverwatts_shared::time::UtcMs;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::At;
use crate::db::{Db, DbError, on, transact};

/// How long a key is remembered: 24 h.
pub const REMEMBERED_MS: i64 = 24 * 3_600_000;
/// Stands for the status while the request runs.
const RUNNING: i64 = 0;

/// What is known of a key.
#[derive(Debug)]
pub enum Begun {
    /// It is new and now taken: run the request, then [`finish`] or [`forget`].
    First,
    /// The first request with it has not finished (or died with the service).
    Running,
    /// It belongs to another request.
    OtherRequest,
    /// The request was answered.
    Answered(Answer),
}

/// The first answer to a request.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Answer {
    /// HTTP status.
    pub status: i64,
    /// The header `Location`.
    pub location: Option<String>,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The body.
    pub body: String,
}

/// Takes the key for this user's request (by its hash), or tells what became of it before.
pub async fn begin(db: &Db, user_id: Uuid, key: &str, request_hash: &str, now: UtcMs) -> Result<Begun, DbError> {
    #[derive(FromRow)]
    struct Row {
        request_hash: String,
        #[sqlx(flatten)]
        answer: Answer,
    }
    transact!(db, |tx| {
        let inserted = on!(tx, |conn| {
            sqlx::query(
                "insert into idempotency_keys (user_id, key, request_hash, status, body, created_at)
                values ($1, $2, $3, $4, '', $5)
                on conflict (user_id, key) do update set request_hash = excluded.request_hash,
                    status = excluded.status, location = null, etag = null, body = '', created_at = excluded.created_at
                where idempotency_keys.created_at < $6",
            )
            .bind(user_id)
            .bind(key)
            .bind(request_hash)
            .bind(RUNNING)
            .bind(At(now))
            .bind(At(now.plus_ms(-REMEMBERED_MS)))
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?;
        if inserted == 1 {
            return Ok(Begun::First);
        }
        let row: Row = on!(tx, |conn| {
            sqlx::query_as("select * from idempotency_keys where user_id = $1 and key = $2")
                .bind(user_id)
                .bind(key)
                .fetch_one(conn)
                .await
        })?;
        Ok(match row {
            row if row.request_hash != request_hash => Begun::OtherRequest,
            row if row.answer.status == RUNNING => Begun::Running,
            row => Begun::Answered(row.answer),
        })
    })
}

/// Keeps the answer of a request that was done.
pub async fn finish(db: &Db, user_id: Uuid, key: &str, answer: &Answer) -> Result<(), DbError> {
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query(
                "update idempotency_keys set status = $1, location = $2, etag = $3, body = $4
                where user_id = $5 and key = $6",
            )
            .bind(answer.status)
            .bind(&answer.location)
            .bind(&answer.etag)
            .bind(&answer.body)
            .bind(user_id)
            .bind(key)
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        Ok(())
    })
}

/// Gives the key back after a request that did nothing.
pub async fn forget(db: &Db, user_id: Uuid, key: &str) -> Result<(), DbError> {
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query("delete from idempotency_keys where user_id = $1 and key = $2 and status = 0")
                .bind(user_id)
                .bind(key)
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        Ok(())
    })
}

/// Takes at most `limit` keys away that are remembered no longer; answers how many.
pub async fn prune(db: &Db, now: UtcMs, limit: i64) -> Result<u64, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query(
                "delete from idempotency_keys where (user_id, key) in (
                    select user_id, key from idempotency_keys where created_at < $1 limit $2
                )",
            )
            .bind(At(now.plus_ms(-REMEMBERED_MS)))
            .bind(limit)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?)
    })
}
