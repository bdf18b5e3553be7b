//! Subscriptions: which customer sees and pays for which site. For now the link alone.

use jiff::civil::Date;
use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::{At, Word};
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, on, read, transact};

/// What a customer subscribes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the plan's words")]
pub enum SubscriptionType {
    #[default]
    Basic,
    Premium,
    Enterprise,
}

impl SubscriptionType {
    const fn word(self) -> &'static str {
        match self {
            SubscriptionType::Basic => "basic",
            SubscriptionType::Premium => "premium",
            SubscriptionType::Enterprise => "enterprise",
        }
    }
}

/// The link of a customer to a site.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the plan's columns")]
pub struct Subscription {
    pub id: Uuid,
    pub user_id: Uuid,
    pub site_id: Uuid,
    /// `basic`, `premium` or `enterprise`.
    pub subscription_type: String,
    pub start_date: Word<Date>,
    pub end_date: Option<Word<Date>>,
    /// Only an `active` one gives sight.
    pub status: String,
    pub created_at: At,
    pub updated_at: At,
}

/// A page of all subscriptions.
pub async fn list(db: &Db, page: &Page) -> Result<Listed<Subscription>, DbError> {
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Subscription>(page.sql("select * from customer_subscriptions where 1 = 1", "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |subscription| subscription.id))
}

/// A new, active subscription.
///
/// # Errors
/// [`DbError::Taken`] when the user has one for the site, [`DbError::MissingReference`] when there
/// is no such user or site.
pub async fn create(
    db: &Db,
    user_id: Uuid,
    site_id: Uuid,
    subscription_type: SubscriptionType,
    start_date: Word<Date>,
    now: UtcMs,
) -> Result<Subscription, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "insert into customer_subscriptions
                    (id, user_id, site_id, subscription_type, start_date, status, created_at, updated_at)
                values ($1, $2, $3, $4, $5, 'active', $6, $6) returning *",
            )
            .bind(Uuid::now_v7())
            .bind(user_id)
            .bind(site_id)
            .bind(subscription_type.word())
            .bind(start_date)
            .bind(At(now))
            .fetch_one(conn)
            .await
        })?)
    })
}

/// Ends a subscription; `false` when there is none.
pub async fn delete(db: &Db, id: Uuid) -> Result<bool, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query("delete from customer_subscriptions where id = $1")
                .bind(id)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() > 0)
        })?)
    })
}
