//! `/sites/{id}/members`: which technicians and viewers see a site. For admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed, single};
use super::error::ApiError;
use super::extract::Admin;
use super::request::{Body, Params, PathId, PathIds, page};
use super::users::ListQuery;
use crate::db::DbError;
use crate::store::members;
use crate::store::sites;

/// Body of `POST /sites/{id}/members`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    user_id: Uuid,
}

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

/// `POST /sites/{id}/members`.
pub async fn add_member(
    Admin(admin): Admin,
    State(app): State<AppState>,
    PathId(site_id): PathId,
    Body(NewMember { user_id }): Body<NewMember>,
) -> Result<Response, ApiError> {
    sites::find(&app.db, admin.sight(), site_id).await?.ok_or_else(ApiError::not_found)?;
    match members::add(&app.db, site_id, user_id, app.clock.wall()).await {
        Err(DbError::MissingReference) => Err(ApiError::invalid("user_id", "no such user")),
        done => {
            let member = done?;
            Ok(created(&format!("/sites/{site_id}/members/{user_id}"), single(member.created_at.0, &member)))
        }
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
