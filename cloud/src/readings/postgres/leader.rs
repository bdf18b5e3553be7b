//! The one connection that writes roll-ups. Several instances may serve one database, but windows made of
//! windows come out right only where one at a time writes them: whoever holds the lock of this session.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::super::ReadingsError;

/// Held by the session that writes roll-ups; the number is this project's own.
const LOCK: i64 = 0x7269_7665_7202;

/// The way to that connection.
#[derive(Debug)]
pub struct Leader {
    options: PgConnectOptions,
    connection: Mutex<Option<PgConnection>>,
}

/// The connection, for as long as it is used.
pub type Leading<'l> = MutexGuard<'l, Option<PgConnection>>;

impl Leader {
    pub fn new(options: PgConnectOptions) -> Leader {
        Leader { options, connection: Mutex::new(None) }
    }

    /// The connection when this instance leads, or can from now on.
    pub async fn lead(&self) -> Result<Option<Leading<'_>>, ReadingsError> {
        let mut leading = self.connection.lock().await;
        if let Some(connection) = leading.as_mut() {
            if connection.ping().await.is_ok() {
                return Ok(Some(leading));
            }
            // The lock went with the session.
            *leading = None;
        }
        let mut connection = self.options.connect().await?;
        let query = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK);
        if query.fetch_one(&mut connection).await? {
            *leading = Some(connection);
            return Ok(Some(leading));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Lets another instance lead.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            let _ = connection.close().await; // one that is broken has ended already
        }
    }
}
