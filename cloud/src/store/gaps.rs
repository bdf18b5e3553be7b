//! Gaps: spans whose readings will never come, and why.

use riverwatts_shared::rollup::Cut;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::{At, Word};
use crate::db::{Db, DbError, on, read, transact};

/// Most gaps of one device that one computation of windows looks at.
const CUTS_MAX: i64 = 10_000;

/// A span `[from, to)` of one device whose readings will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGap {
    /// The device.
    pub device_id: Uuid,
    /// The last instant that was kept.
    pub from: UtcMs,
    /// The first instant that is kept again; not before `from`.
    pub to: UtcMs,
    /// How many readings are missing, where that is known.
    pub rows: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// A stored gap.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "as in NewGap")]
pub struct Gap {
    #[serde(skip)]
    pub id: Uuid,
    pub device_id: Uuid,
    #[sqlx(rename = "from_ms")]
    pub from: At,
    #[sqlx(rename = "to_ms")]
    pub to: At,
    #[sqlx(rename = "row_count")]
    pub rows: Option<i64>,
    pub reason: Word<GapReason>,
}

/// Stores gaps; those already there (same device, span and reason) stay as they are, so a repeat
/// is safe. Those whose device is gone are left out. Returns how many were new.
pub async fn insert(db: &Db, gaps: &[NewGap], now: UtcMs) -> Result<u64, DbError> {
    transact!(db, |tx| {
        let mut inserted = 0;
        for gap in gaps {
            inserted += on!(tx, |conn| {
                sqlx::query(
                    "insert into gaps (id, device_id, from_ms, to_ms, row_count, reason, created_at)
                    select $1, id, $3, $4, $5, $6, $7 from devices where id = $2
                    on conflict (device_id, from_ms, to_ms, reason) do nothing",
                )
                .bind(Uuid::now_v7())
                .bind(gap.device_id)
                .bind(At(gap.from))
                .bind(At(gap.to))
                .bind(gap.rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)))
                .bind(Word(gap.reason))
                .bind(At(now))
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
            })?;
        }
        Ok(inserted)
    })
}

/// The gaps of a device that touch `[from, to)`, the latest first, behind `after` (start and id of
/// the last one of the page before). At most `limit`.
pub async fn list(
    db: &Db,
    device_id: Uuid,
    from: UtcMs,
    to: UtcMs,
    after: Option<(UtcMs, Uuid)>,
    limit: u32,
) -> Result<Vec<Gap>, DbError> {
    let (after_from, after_id) = after.unwrap_or((UtcMs(i64::MAX), Uuid::max()));
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select id, device_id, from_ms, to_ms, row_count, reason from gaps
            where device_id = $1 and to_ms > $2 and from_ms < $3 and (from_ms, id) < ($4, $5)
            order by from_ms desc, id desc limit $6",
        )
        .bind(device_id)
        .bind(At(from))
        .bind(At(to))
        .bind(At(after_from))
        .bind(after_id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await
    })?)
}

/// What is missing of a device in `[from, to)`, for lines that must not go over it; the latest, at most
/// [`CUTS_MAX`]. Where readings were thinned, others stand for them.
pub async fn cuts(db: &Db, device_id: Uuid, from: UtcMs, to: UtcMs) -> Result<Vec<Cut>, DbError> {
    let rows: Vec<(At, At)> = read!(db, |conn| {
        sqlx::query_as(
            "select from_ms, to_ms from gaps
            where device_id = $1 and to_ms >= $2 and from_ms < $3 and reason <> $4
            order by from_ms desc limit $5",
        )
        .bind(device_id)
        .bind(At(from))
        .bind(At(to))
        .bind(Word(GapReason::StoreFullThinned))
        .bind(CUTS_MAX)
        .fetch_all(conn)
        .await
    })?;
    Ok(rows.into_iter().map(|(from, to)| Cut { from: from.0, to: to.0 }).collect())
}
