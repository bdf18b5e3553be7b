//! Facts about the database itself.

use uuid::Uuid;

use crate::db::{Db, DbError, read};

/// Changes when the cloud was restored from a backup; gateways reconcile then.
pub async fn epoch(db: &Db) -> Result<Uuid, DbError> {
    let text: String =
        read!(db, |conn| sqlx::query_scalar("select value from meta where name = 'epoch'").fetch_one(conn).await)?;
    text.parse().map_err(|error| DbError::Failed(sqlx::Error::Decode(Box::new(error))))
}
