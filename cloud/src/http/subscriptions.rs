//! `/subscriptions`: which customer sees which site. For admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed, single};
use super::error::ApiError;
use super::extract::Admin;
use super::request::{Body, Params, PathId, page};
use super::users::ListQuery;
use crate::db::DbError;
use crate::db::column::Word;
use crate::store::sites;
use crate::store::subscriptions::{self, SubscriptionType};

/// Body of `POST /subscriptions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    user_id: Uuid,
    site_id: Uuid,
    #[serde(default)]
    subscription_type: SubscriptionType,
    /// Today when absent.
    start_date: Option<Word<Date>>,
}

/// `GET /subscriptions`.
pub async fn list_subscriptions(
    _: Admin,
    State(app): State<AppState>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    Ok(listed("subscriptions", &subscriptions::list(&app.db, &page).await?))
}

/// `POST /subscriptions`.
pub async fn create_subscription(
    Admin(admin): Admin,
    State(app): State<AppState>,
    Body(new): Body<NewSubscription>,
) -> Result<Response, ApiError> {
    let now = app.clock.wall();
    let today = now.to_timestamp().to_zoned(TimeZone::UTC).date();
    let start_date = new.start_date.unwrap_or(Word(today));
    match subscriptions::create(&app.db, new.user_id, new.site_id, new.subscription_type, start_date, now).await {
        Err(DbError::MissingReference) => Err(match sites::find(&app.db, admin.sight(), new.site_id).await? {
            Some(_) => ApiError::invalid("user_id", "no such user"),
            None => ApiError::invalid("site_id", "no such site"),
        }),
        done => {
            let subscription = done?;
            let place = format!("/subscriptions/{}", subscription.id);
            Ok(created(&place, single(subscription.updated_at.0, &subscription)))
        }
    }
}

/// `DELETE /subscriptions/{id}`.
pub async fn delete_subscription(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let deleted = subscriptions::delete(&app.db, id).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}
