//! First answers to POST requests that carry an `Idempotency-Key`.

use riverwatts_shared::time::UtcMs;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::At;
use crate::db::{Db, DbError, on, read, transact};

/// How long an answer is remembered: 24 h.
pub const REMEMBERED_MS: i64 = 24 * 3_600_000;

/// The first answer to a request.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Answer {
    /// SHA-256 of method, path and body, in hexadecimal.
    pub request_hash: String,
    /// HTTP status.
    pub status: i64,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// The remembered answer to this user's request with this key.
pub async fn find(db: &Db, user_id: Uuid, key: &str, now: UtcMs) -> Result<Option<Answer>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select request_hash, status, location, body from idempotency_keys
            where user_id = $1 and key = $2 and created_at > $3",
        )
        .bind(user_id)
        .bind(key)
        .bind(At(now.plus_ms(-REMEMBERED_MS)))
        .fetch_optional(conn)
        .await
    })?)
}

/// Remembers an answer and forgets those of more than 24 h ago.
pub async fn remember(db: &Db, user_id: Uuid, key: &str, answer: &Answer, now: UtcMs) -> Result<(), DbError> {
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query("delete from idempotency_keys where created_at <= $1")
                .bind(At(now.plus_ms(-REMEMBERED_MS)))
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        on!(tx, |conn| {
            sqlx::query(
                "insert into idempotency_keys (user_id, key, request_hash, status, location, body, created_at)
                values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            )
            .bind(user_id)
            .bind(key)
            .bind(&answer.request_hash)
            .bind(answer.status)
            .bind(&answer.location)
            .bind(&answer.body)
            .bind(At(now))
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        Ok(())
    })
}
