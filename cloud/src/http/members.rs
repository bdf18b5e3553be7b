//! `/sites/{id}/members`: which technicians and viewers see a site. For admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::AppState;
use super::answer::listed;
use super::error::ApiError;
use super::extract::Admin;
use super::request::{Params, PathId, PathIds, page};
use super::users::ListQuery;
use crate::db::DbError;
use crate::store::members::{self, Member};
use crate::store::sites;

/// `GET /sites/{id}/members`.
pub async fn list_members(
    Admin(admin): Admin,
    State(app): State<AppState>,
    PathId(site_id): PathId,
    Params(query): Params<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    sites::find(&app.db, admin.sight(), site_id).await?.ok_or_else(ApiError::not_found)?;
    Ok(listed("members", &members::list(&app.db, site_id, &page).await?))
}

/// `PUT /sites/{id}/members/{user_id}`; the same again changes nothing.
pub async fn add_member(
    _: Admin,
    State(app): State<AppState>,
    PathIds(site_id, user_id): PathIds,
) -> Result<Json<Member>, ApiError> {
    match members::add(&app.db, site_id, user_id, app.clock.wall()).await {
        Err(DbError::MissingReference) => Err(ApiError::not_found()),
        done => Ok(Json(done?)),
    }
}

/// `DELETE /sites/{id}/members/{user_id}`.
pub async fn remove_member(
    _: Admin,
    State(app): State<AppState>,
    PathIds(site_id, user_id): PathIds,
) -> Result<StatusCode, ApiError> {
    let removed = members::remove(&app.db, site_id, user_id).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}
