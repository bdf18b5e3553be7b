//! The seam to the two databases: an enum of two pools, an enum of two transactions and three
//! macros. Every query has one SQL text and one body, run on the engine in hand.
//!
//! - [`read!`] runs a body on a connection for reading;
//! - [`transact!`] runs a body in a write transaction and repeats it when the database asks for that;
//! - [`on!`] dispatches one query of such a body to the engine in hand.

pub mod column;
pub mod error;
pub mod migrate;
pub mod page;
pub mod recent;

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

pub use error::DbError;

/// Name of the SQLite file in the data folder.
pub const RECORDS_FILE: &str = "records.db";
/// Connections for reading on SQLite; its writer is always one.
const SQLITE_READERS_MAX: u32 = 4;
/// Connections on PostgreSQL.
const POSTGRES_CONNECTIONS_MAX: u32 = 16;
/// How long a request waits for a connection before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a write transaction runs before contention is reported.
const ATTEMPTS_MAX: u32 = 10;

/// The database of records; cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file; one connection writes, some read.
    Sqlite {
        /// Connections that only read.
        read: SqlitePool,
        /// The one connection that writes.
        write: SqlitePool,
    },
    /// A PostgreSQL database.
    Postgres(PgPool),
}

/// An open write transaction; rolled back when dropped.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite, begun with `begin immediate`.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL, serializable.
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// Opens (and makes, when absent) `records.db` in `folder`; does not migrate.
    pub async fn open_sqlite(folder: &Path) -> Result<Db, DbError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(RECORDS_FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Money and identities: a commit that was answered survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let read = pool().max_connections(SQLITE_READERS_MAX).connect_with(options.pragma("query_only", "on")).await?;
        Ok(Db::Sqlite { read, write })
    }

    /// Connects to the PostgreSQL database at `url`; does not migrate.
    pub async fn open_postgres(url: &str) -> Result<Db, DbError> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        Ok(Db::Postgres(pool))
    }

    /// Begins a write transaction; bodies use [`transact!`], which also repeats.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        Ok(match self {
            Db::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("begin immediate").await?),
            Db::Postgres(pool) => Tx::Postgres(pool.begin_with("begin isolation level serializable").await?),
        })
    }

    /// Ends all connections; waits for those in use.
    pub async fn close(&self) {
        match self {
            Db::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        read!(self, |conn| sqlx::query_scalar::<_, i64>("select cast(1 as bigint)").fetch_one(conn).await)?;
        Ok(())
    }
}

impl Tx {
    /// Makes it durable.
    pub async fn commit(self) -> Result<(), DbError> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await?,
            Tx::Postgres(tx) => tx.commit().await?,
        }
        recent::note_commit();
        Ok(())
    }

    /// Takes it back, now rather than when the connection is next used.
    pub async fn rollback(self) {
        // A connection that cannot roll back is broken and leaves the pool by itself.
        let _ = match self {
            Tx::Sqlite(tx) => tx.rollback().await,
            Tx::Postgres(tx) => tx.rollback().await,
        };
    }
}

/// Waits before write attempt number `attempt + 1`; `false` when there were enough.
pub async fn pause_before_retry(attempt: u32) -> bool {
    if attempt >= ATTEMPTS_MAX {
        return false;
    }
    // Spread by chance: two that collided must not meet again.
    let ceiling_ms = 4u64 << attempt.min(7);
    let chance = u64::from(getrandom::u32().unwrap_or(attempt));
    tokio::time::sleep(Duration::from_millis(1 + chance % ceiling_ms)).await;
    true
}

/// Runs `$body` with `$conn`, a connection of the engine in hand, out of a transaction `$tx: &mut Tx`.
#[macro_export]
macro_rules! on {
    ($tx:expr, |$conn:ident| $body:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::db::Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// Runs `$body` with `$conn`, a connection for reading of the engine in hand. Must stand in a
/// function that returns `Result<_, E>` with `E: From<DbError>`.
#[macro_export]
macro_rules! read {
    ($db:expr, |$conn:ident| $body:expr) => {
        match $db {
            $crate::db::Db::Sqlite { read, .. } => {
                let mut conn = read.acquire().await.map_err($crate::db::DbError::from)?;
                let $conn = &mut *conn;
                $body
            }
            $crate::db::Db::Postgres(pool) => {
                let mut conn = pool.acquire().await.map_err($crate::db::DbError::from)?;
                let $conn = &mut *conn;
                $body
            }
        }
    };
}

/// Runs `$body` with `$tx: &mut Tx` in a write transaction and commits when it is `Ok`; the value is
/// a `Result<_, DbError>`. On contention the body runs again, at most ten times: it must have no
/// side effects beyond the transaction.
#[macro_export]
macro_rules! transact {
    ($db:expr, |$tx:ident| $body:block) => {{
        let db: &$crate::db::Db = $db;
        let mut attempt = 0;
        loop {
            let mut transaction = match db.begin().await {
                Ok(transaction) => transaction,
                Err(error) => break Err(error),
            };
            let result: Result<_, $crate::db::DbError> = {
                let $tx = &mut transaction;
                async { $body }.await
            };
            let result = match result {
                Ok(value) => transaction.commit().await.map(|()| value),
                Err(error) => {
                    transaction.rollback().await;
                    Err(error)
                }
            };
            match result {
                Err($crate::db::DbError::Contention(_)) if $crate::db::pause_before_retry(attempt).await => {
                    attempt += 1
                }
                done => break done,
            }
        }
    }};
}

pub use crate::{on, read, transact};
