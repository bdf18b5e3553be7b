//! Gateways: the boxes at the sites, their enrollment and their credentials.

use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::Sight;
use crate::db::column::At;
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, on, read, transact};

/// How long an enrollment code holds, and how long an old credential beside its successor: 24 h.
pub const HOLDS_MS: i64 = 24 * 3_600_000;
/// Most gateways that one query of [`active`] and the like answers.
pub const GATEWAYS_MAX: i64 = 10_000;

/// A box at a site.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct Gateway {
    pub id: Uuid,
    pub site_id: Uuid,
    pub name: String,
    /// When it traded its code for a credential.
    pub enrolled_at: Option<At>,
    pub revoked_at: Option<At>,
    /// When it was last heard, as far as that was written down.
    pub last_seen_at: Option<At>,
    pub created_at: At,
    pub updated_at: At,
    /// Version of the `edge.toml` that it sent last.
    pub config_version: Option<Uuid>,
}

const SEEN: &str = "select * from gateways where site_id in (select site_id from sight where user_id = $3)";

/// A page of the gateways of the sites in sight.
pub async fn list(db: &Db, sight: Sight, page: &Page) -> Result<Listed<Gateway>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Gateway>(page.sql(SEEN, "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .bind(sight.user_id())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |gateway| gateway.id))
}

/// The gateway, when its site is in sight.
pub async fn find(db: &Db, sight: Sight, id: Uuid) -> Result<Option<Gateway>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select * from gateways where id = $1 and site_id in (select site_id from sight where user_id = $2)",
        )
        .bind(id)
        .bind(sight.user_id())
        .fetch_optional(conn)
        .await
    })?)
}

/// The gateway, for a program that nobody is signed in to.
pub async fn by_id(db: &Db, id: Uuid) -> Result<Option<Gateway>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as("select * from gateways where id = $1").bind(id).fetch_optional(conn).await
    })?)
}

/// The gateways of the sites in sight that were not revoked; at most [`GATEWAYS_MAX`].
pub async fn active(db: &Db, sight: Sight) -> Result<Vec<Gateway>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select * from gateways
            where revoked_at is null and site_id in (select site_id from sight where user_id = $1)
            order by id limit $2",
        )
        .bind(sight.user_id())
        .bind(GATEWAYS_MAX)
        .fetch_all(conn)
        .await
    })?)
}

/// When a gateway was last heard, and whether it still was when that was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Heard {
    /// The gateway.
    pub id: Uuid,
    /// Its site.
    pub site_id: Uuid,
    /// When.
    pub last_seen_at: At,
    /// Whether it was not lost since.
    pub is_connected: bool,
}

/// Of all sites, the gateways that were connected when it was written down, were heard since then, and
/// were not revoked; at most [`GATEWAYS_MAX`].
pub async fn connected_since(db: &Db, since: UtcMs) -> Result<Vec<Heard>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select id, site_id, last_seen_at, is_connected from gateways
            where is_connected and last_seen_at >= $1 and revoked_at is null
            order by last_seen_at desc, id limit $2",
        )
        .bind(At(since))
        .bind(GATEWAYS_MAX)
        .fetch_all(conn)
        .await
    })?)
}

/// Writes down when gateways were last heard, which is no new version of them.
pub async fn note_heard(db: &Db, heard: &[Heard]) -> Result<(), DbError> {
    transact!(db, |tx| {
        for Heard { id, last_seen_at, is_connected, .. } in heard {
            on!(tx, |conn| {
                sqlx::query("update gateways set last_seen_at = $1, is_connected = $2 where id = $3")
                    .bind(last_seen_at)
                    .bind(is_connected)
                    .bind(id)
                    .execute(conn)
                    .await
                    .map(|_| ())
            })?;
        }
        Ok(())
    })
}

/// A new gateway that waits for its enrollment until `now` + 24 h.
///
/// # Errors
/// [`DbError::MissingReference`] when there is no such site.
pub async fn create(db: &Db, site_id: Uuid, name: &str, code_hash: &str, now: UtcMs) -> Result<Gateway, DbError> {
    let id = Uuid::now_v7();
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "insert into gateways (id, site_id, name, enrollment_code_hash, enrollment_expires_at, created_at,
                    updated_at)
                values ($1, $2, $3, $4, $5, $6, $6) returning *",
            )
            .bind(id)
            .bind(site_id)
            .bind(name)
            .bind(code_hash)
            .bind(At(now.plus_ms(HOLDS_MS)))
            .bind(At(now))
            .fetch_one(conn)
            .await
        })?)
    })
}

/// Gives a gateway a code: whoever enrolls with it becomes this gateway. `None` when the gateway is unknown
/// or revoked. A code that was not used is replaced.
pub async fn replace(db: &Db, id: Uuid, code_hash: &str, now: UtcMs) -> Result<Option<Gateway>, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "update gateways set enrollment_code_hash = $1, enrollment_expires_at = $2, updated_at = $3
                where id = $4 and revoked_at is null returning *",
            )
            .bind(code_hash)
            .bind(At(now.plus_ms(HOLDS_MS)))
            .bind(At(now))
            .bind(id)
            .fetch_optional(conn)
            .await
        })?)
    })
}

/// Trades an enrollment code, once, for a credential; `None` when the code is not good (any more). A
/// credential that the gateway had holds until the new one is first used, at most 24 h.
pub async fn enroll(db: &Db, code_hash: &str, credential_hash: &str, now: UtcMs) -> Result<Option<Gateway>, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "update gateways set enrollment_code_hash = null, enrollment_expires_at = null,
                    previous_credential_hash = case
                        when previous_credential_hash is not null and previous_until > $2 then previous_credential_hash
                        else credential_hash end,
                    previous_until = $4, credential_hash = $1, enrolled_at = $2, updated_at = $2
                where enrollment_code_hash = $3 and enrollment_expires_at > $2 and revoked_at is null returning *",
            )
            .bind(credential_hash)
            .bind(At(now))
            .bind(code_hash)
            .bind(At(now.plus_ms(HOLDS_MS)))
            .fetch_optional(conn)
            .await
        })?)
    })
}

/// Ends a gateway's access for good; `None` when there is none. The same again changes nothing.
pub async fn revoke(db: &Db, id: Uuid, now: UtcMs) -> Result<Option<Gateway>, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "update gateways set revoked_at = coalesce(revoked_at, $1),
                    updated_at = case when revoked_at is null then $1 else updated_at end, credential_hash = null,
                    previous_credential_hash = null, previous_until = null, enrollment_code_hash = null,
                    enrollment_expires_at = null
                where id = $2 returning *",
            )
            .bind(At(now))
            .bind(id)
            .fetch_optional(conn)
            .await
        })?)
    })
}

/// Gives an enrolled gateway a new credential; the one before holds until the new one is first
/// used, at most 24 h. `None` when the gateway is unknown, revoked or not enrolled.
///
/// When the new one was never used, it is replaced and the one in use stays.
pub async fn rotate(db: &Db, id: Uuid, credential_hash: &str, now: UtcMs) -> Result<Option<Gateway>, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "update gateways set
                    previous_credential_hash = case
                        when previous_credential_hash is not null and previous_until > $2 then previous_credential_hash
                        else credential_hash end,
                    previous_until = $3, credential_hash = $1, updated_at = $2
                where id = $4 and revoked_at is null and credential_hash is not null returning *",
            )
            .bind(credential_hash)
            .bind(At(now))
            .bind(At(now.plus_ms(HOLDS_MS)))
            .bind(id)
            .fetch_optional(conn)
            .await
        })?)
    })
}

/// The gateway that this credential belongs to; `None` when it is not good (any more). The first
/// use of a rotated credential ends the one before.
pub async fn authenticate(db: &Db, credential_hash: &str, now: UtcMs) -> Result<Option<Gateway>, DbError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        gateway: Gateway,
        ends_previous: bool,
    }
    let row: Option<Row> = read!(db, |conn| {
        sqlx::query_as(
            "select gateways.*, coalesce(credential_hash = $1 and previous_credential_hash is not null, false)
                as ends_previous
            from gateways
            where revoked_at is null
                and (credential_hash = $1 or (previous_credential_hash = $1 and previous_until > $2))",
        )
        .bind(credential_hash)
        .bind(At(now))
        .fetch_optional(conn)
        .await
    })?;
    let Some(Row { gateway, ends_previous }) = row else { return Ok(None) };
    if ends_previous {
        transact!(db, |tx| {
            on!(tx, |conn| {
                sqlx::query(
                    "update gateways set previous_credential_hash = null, previous_until = null
                    where credential_hash = $1",
                )
                .bind(credential_hash)
                .execute(conn)
                .await
                .map(|_| ())
            })?;
            Ok(())
        })?;
    }
    Ok(Some(gateway))
}

/// Takes the codes of at most `limit` gateways away that hold no longer; answers how many.
pub async fn prune_codes(db: &Db, now: UtcMs, limit: i64) -> Result<u64, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query(
                "update gateways set enrollment_code_hash = null, enrollment_expires_at = null where id in (
                    select id from gateways where enrollment_expires_at <= $1 limit $2
                )",
            )
            .bind(At(now))
            .bind(limit)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?)
    })
}
