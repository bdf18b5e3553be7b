//! The texts of `edge.toml` that a gateway sent, by version.

use riverwatts_shared::configuration;
use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::At;
use crate::db::{Db, DbError, on, read, transact};

/// Most versions that are kept of a gateway; older ones go.
pub const VERSIONS_MAX: i64 = 100;

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, JsonSchema)]
pub struct Configuration {
    /// The first half of the text's SHA-256.
    pub version: Uuid,
    /// When the gateway last sent it.
    pub received_at: At,
}

/// A version with its text.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, JsonSchema)]
pub struct ConfigurationText {
    /// The first half of the text's SHA-256.
    pub version: Uuid,
    /// When the gateway last sent it.
    pub received_at: At,
    /// The `edge.toml`, without secrets.
    pub text: String,
}

/// Stores what a gateway sent at `now` as its newest. Gives its version.
pub async fn keep(db: &Db, gateway_id: Uuid, text: &str, now: UtcMs) -> Result<Uuid, DbError> {
    let version = configuration::version(text);
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query(
                "insert into configurations (gateway_id, version, text, received_at) values ($1, $2, $3, $4)
                on conflict (gateway_id, version) do update set received_at = excluded.received_at",
            )
            .bind(gateway_id)
            .bind(version)
            .bind(text)
            .bind(At(now))
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        on!(tx, |conn| {
            sqlx::query("update gateways set config_version = $1 where id = $2")
                .bind(version)
                .bind(gateway_id)
                .execute(conn)
                .await
                .map(|_| ())
        })?;
        on!(tx, |conn| {
            sqlx::query(
                "delete from configurations where gateway_id = $1 and version not in
                    (select version from configurations where gateway_id = $1
                    order by received_at desc, version limit $2)",
            )
            .bind(gateway_id)
            .bind(VERSIONS_MAX)
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        Ok(())
    })?;
    Ok(version)
}

/// The versions of a gateway, the newest first; at most [`VERSIONS_MAX`].
pub async fn list(db: &Db, gateway_id: Uuid) -> Result<Vec<Configuration>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select version, received_at from configurations where gateway_id = $1
            order by received_at desc, version limit $2",
        )
        .bind(gateway_id)
        .bind(VERSIONS_MAX)
        .fetch_all(conn)
        .await
    })?)
}

/// One version with its text.
pub async fn find(db: &Db, gateway_id: Uuid, version: Uuid) -> Result<Option<ConfigurationText>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as("select version, received_at, text from configurations where gateway_id = $1 and version = $2")
            .bind(gateway_id)
            .bind(version)
            .fetch_optional(conn)
            .await
    })?)
}
