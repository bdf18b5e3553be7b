//! Members of a site: the technicians and viewers who see it.

use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::At;
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, on, read, transact};

/// A person who belongs to a site.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct Member {
    pub site_id: Uuid,
    pub user_id: Uuid,
    pub created_at: At,
}

/// A page of the members of a site, by user.
pub async fn list(db: &Db, site_id: Uuid, page: &Page) -> Result<Listed<Member>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Member>(page.sql("select * from site_members where site_id = $3", "user_id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .bind(site_id)
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |member| member.user_id))
}

/// Makes the user a member.
///
/// # Errors
/// [`DbError::Taken`] when they are one, [`DbError::MissingReference`] when there is no such site or
/// user.
pub async fn add(db: &Db, site_id: Uuid, user_id: Uuid, now: UtcMs) -> Result<Member, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as("insert into site_members (site_id, user_id, created_at) values ($1, $2, $3) returning *")
                .bind(site_id)
                .bind(user_id)
                .bind(At(now))
                .fetch_one(conn)
                .await
        })?)
    })
}

/// Ends the membership; `false` when there was none.
pub async fn remove(db: &Db, site_id: Uuid, user_id: Uuid) -> Result<bool, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query("delete from site_members where site_id = $1 and user_id = $2")
                .bind(site_id)
                .bind(user_id)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
        })?)
    })
}
