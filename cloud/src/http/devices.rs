//! `/devices` and their gaps: read by sight, written by admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed, single};
use super::check::Check;
use super::error::ApiError;
use super::extract::{Admin, IfMatch, SignedIn};
use super::request::{Body, Params, PathId, checked_limit, checked_range, page};
use crate::db::DbError;
use crate::store::devices::{self, NewDevice, UpdateDevice};
use crate::store::gaps;

/// Query of `GET /devices`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicesQuery {
    /// Of this site.
    site_id: Option<Uuid>,
    /// Most rows.
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<Uuid>,
    /// Newest first (`-created_at`) or oldest first (`created_at`).
    sort: Option<String>,
}

/// Query of `GET /devices/{id}/gaps`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GapsQuery {
    /// That end after this time.
    from: Option<UtcMs>,
    /// That begin before this time.
    to: Option<UtcMs>,
    /// Most gaps.
    limit: Option<u32>,
    /// From `next_cursor`.
    #[schemars(regex(pattern = r"^-?[0-9]{1,15}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    cursor: Option<String>,
}

/// `GET /devices`.
pub async fn list_devices(
    person: SignedIn,
    State(app): State<AppState>,
    Params(query): Params<DevicesQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    Ok(listed("devices", &devices::list(&app.db, person.sight(), query.site_id, &page).await?))
}

/// `POST /devices`.
pub async fn create_device(
    _: Admin,
    State(app): State<AppState>,
    Body(new): Body<NewDevice>,
) -> Result<Response, ApiError> {
    let copy = new.clone();
    check(&UpdateDevice {
        key: Some(copy.key),
        device_name: Some(copy.device_name),
        serial_number: Some(copy.serial_number),
        model: Some(copy.model),
        manufacturer: Some(copy.manufacturer),
        capacity_kw: Some(copy.capacity_kw),
        firmware_version: Some(copy.firmware_version),
        hardware_version: Some(copy.hardware_version),
        metadata: Some(copy.metadata),
        ..UpdateDevice::default()
    })?;
    match devices::create(&app.db, &new, app.clock.wall()).await {
        Err(DbError::MissingReference) => Err(ApiError::invalid("site_id", "no such site")),
        done => {
            let device = done?;
            Ok(created(&format!("/devices/{}", device.id), single(device.updated_at.0, &device)))
        }
    }
}

/// `GET /devices/{id}`.
pub async fn get_device(
    person: SignedIn,
    State(app): State<AppState>,
    PathId(id): PathId,
) -> Result<Response, ApiError> {
    let device = devices::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    Ok(single(device.updated_at.0, &device))
}

/// `PUT /devices/{id}`.
pub async fn update_device(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
    Body(change): Body<UpdateDevice>,
) -> Result<Response, ApiError> {
    check(&change)?;
    match devices::update(&app.db, id, version, &change, app.clock.wall()).await {
        Err(DbError::MissingReference) => Err(ApiError::invalid("gateway_id", "no such gateway at the device's site")),
        done => {
            let device = done?.ok_or_else(ApiError::not_found)?;
            Ok(single(device.updated_at.0, &device))
        }
    }
}

/// `DELETE /devices/{id}`.
pub async fn delete_device(
    _: Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let deleted = devices::delete(&app.db, id, version).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// `GET /devices/{id}/gaps`: the latest first.
pub async fn list_gaps(
    person: SignedIn,
    State(app): State<AppState>,
    PathId(id): PathId,
    Params(query): Params<GapsQuery>,
) -> Result<Json<Value>, ApiError> {
    let limit = checked_limit(query.limit)?;
    let (from, to) = checked_range(query.from, query.to)?;
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    devices::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    let mut found = gaps::list(&app.db, id, from, to, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|gap| format!("{}.{}", gap.from.0.0, gap.id));
    Ok(Json(json!({"gaps": found, "next_cursor": next})))
}

/// Start and id of the last gap of the page before.
fn read_cursor(text: &str) -> Result<(UtcMs, Uuid), ApiError> {
    text.split_once('.')
        .and_then(|(from, id)| Some((UtcMs(from.parse().ok()?), id.parse().ok()?)))
        .ok_or_else(|| ApiError::invalid("cursor", "is no cursor of this list"))
}

/// Bounds of the plan's columns.
fn check(device: &UpdateDevice) -> Result<(), ApiError> {
    let mut check = Check::default();
    check.key(device.key.as_ref().and_then(Option::as_ref));
    check.text("device_name", device.device_name.as_ref(), 200);
    check.text("serial_number", device.serial_number.as_ref(), 100);
    check.text("model", device.model.as_ref(), 100);
    check.text("manufacturer", device.manufacturer.as_ref(), 100);
    check.capacity(device.capacity_kw);
    check.text("firmware_version", device.firmware_version.as_ref().and_then(Option::as_ref), 50);
    check.text("hardware_version", device.hardware_version.as_ref().and_then(Option::as_ref), 50);
    check.object("metadata", device.metadata.as_ref());
    check.done()
}
