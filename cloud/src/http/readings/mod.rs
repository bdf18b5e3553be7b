//! Readings as people and programs ask for them, by sight.

mod aggregated;
mod export;
mod schema;

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::time::UtcMs;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::AppState;
use super::error::ApiError;
use super::extract::SignedIn;
use super::request::{Params, PathId, checked_limit, checked_range};
use crate::readings::{ListQuery, StoredRow, json};
use crate::store::devices::{self, NamedDevice};
use crate::store::sites;

use export::{Export, Format};

pub use aggregated::{AggregatedQuery, list_aggregated};
pub use schema::{Posted, Reading, Windows};

/// Most metrics that one query names.
const METRICS_MAX: usize = 64;
/// A cursor: time and device number, as [`read_cursor`] takes them.
const CURSOR: &str = r"^-?[0-9]{1,15}\.[0-9]{1,15}$";

/// Query of `GET /readings`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadingsQuery {
    /// Of this device.
    device_id: Option<Uuid>,
    /// Of the devices of this site.
    site_id: Option<Uuid>,
    /// Only these metrics, separated by commas.
    metric: Option<String>,
    /// Measured at this time or later.
    from: Option<UtcMs>,
    /// Measured before this time.
    to: Option<UtcMs>,
    /// Newest first (`desc`) or oldest first (`asc`).
    order: Option<String>,
    /// Most readings.
    limit: Option<u32>,
    /// From `next_cursor`.
    #[schemars(regex(pattern = CURSOR))]
    cursor: Option<String>,
}

/// Query of `GET /devices/{id}/readings`: the path names the device.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceReadingsQuery {
    /// Only these metrics, separated by commas.
    metric: Option<String>,
    /// Measured at this time or later.
    from: Option<UtcMs>,
    /// Measured before this time.
    to: Option<UtcMs>,
    /// Newest first (`desc`) or oldest first (`asc`).
    order: Option<String>,
    /// Most readings.
    limit: Option<u32>,
    /// From `next_cursor`.
    #[schemars(regex(pattern = CURSOR))]
    cursor: Option<String>,
}

/// Query of `GET /readings/latest`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatestQuery {
    /// Of the devices of this site.
    site_id: Option<Uuid>,
}

/// `GET /readings`: newest first.
pub async fn list_readings(
    person: SignedIn,
    State(app): State<AppState>,
    headers: HeaderMap,
    Params(query): Params<ReadingsQuery>,
) -> Result<Response, ApiError> {
    let ReadingsQuery { device_id, site_id, metric, from, to, order, limit, cursor } = query;
    let devices = match device_id {
        Some(id) => {
            let device = find_device(&app, person, id).await?;
            Vec::from_iter(site_id.is_none_or(|site_id| site_id == device.site_id).then_some(device))
        }
        None => devices_of(&app, person, site_id).await?,
    };
    let query = DeviceReadingsQuery { metric, from, to, order, limit, cursor };
    give(&app, devices, query, Format::wanted(&headers)).await
}

/// `GET /devices/{id}/readings`: the same for one device.
pub async fn list_device_readings(
    person: SignedIn,
    State(app): State<AppState>,
    PathId(id): PathId,
    headers: HeaderMap,
    Params(query): Params<DeviceReadingsQuery>,
) -> Result<Response, ApiError> {
    give(&app, vec![find_device(&app, person, id).await?], query, Format::wanted(&headers)).await
}

/// `GET /readings/latest`: the newest reading of every device in sight, by its time.
pub async fn list_latest(
    person: SignedIn,
    State(app): State<AppState>,
    Params(query): Params<LatestQuery>,
) -> Result<Response, ApiError> {
    let devices = devices_of(&app, person, query.site_id).await?;
    let latest = app.readings.latest(devices.iter().map(|device| device.number).collect()).await?;
    answer(&devices, latest.iter().map(AsRef::as_ref), &[], None)
}

async fn find_device(app: &AppState, person: SignedIn, id: Uuid) -> Result<NamedDevice, ApiError> {
    devices::find_named(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)
}

/// The devices in sight, of one site or of all.
async fn devices_of(app: &AppState, person: SignedIn, site_id: Option<Uuid>) -> Result<Vec<NamedDevice>, ApiError> {
    if let Some(id) = site_id {
        sites::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    }
    Ok(devices::in_sight(&app.db, person.sight(), site_id).await?)
}

/// A page as JSON, or everything in another format.
async fn give(
    app: &AppState,
    devices: Vec<NamedDevice>,
    query: DeviceReadingsQuery,
    format: Option<Format>,
) -> Result<Response, ApiError> {
    let limit = checked_limit(query.limit)? as usize;
    let (from, to) = checked_range(query.from, query.to)?;
    let shown = metrics(query.metric.as_deref())?;
    let descending = match query.order.as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(ApiError::invalid("order", "is `asc` or `desc`")),
    };
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let numbers = devices.iter().map(|device| device.number).collect();
    let list = ListQuery { devices: numbers, from, to, descending, after, limit: limit + 1 };
    if let Some(format) = format {
        for (field, given) in [("limit", query.limit.is_some()), ("cursor", query.cursor.is_some())] {
            if given {
                let media_type = format.media_type();
                return Err(ApiError::invalid(field, format!("is for JSON; {media_type} has the whole span")));
            }
        }
        let ids = devices.iter().map(|device| (device.number, device.id)).collect();
        let export = Export { readings: app.readings.clone(), query: list, ids, shown, format };
        return export.into_response().map_err(ApiError::internal);
    }
    let mut rows = app.readings.list(list).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.time.0, row.device));
    answer(&devices, rows.iter(), &shown, next.as_deref())
}

/// Metrics by name, separated by commas.
fn metrics(text: Option<&str>) -> Result<Vec<Metric>, ApiError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    if text.split(',').count() > METRICS_MAX {
        return Err(ApiError::invalid("metric", format!("names more than {METRICS_MAX} metrics")));
    }
    let named = text.split(',').map(Metric::asked).collect::<Result<_, _>>();
    named.map_err(|error| ApiError::invalid("metric", error.to_string()))
}

/// Time and device number of the last reading of the page before.
fn read_cursor(text: &str) -> Result<(UtcMs, i64), ApiError> {
    text.split_once('.')
        .and_then(|(time, device)| Some((UtcMs(time.parse().ok()?), device.parse().ok()?)))
        .ok_or_else(|| ApiError::invalid("cursor", "is no cursor of this list"))
}

fn answer<'r>(
    devices: &[NamedDevice],
    rows: impl Iterator<Item = &'r StoredRow>,
    shown: &json::Shown,
    next: Option<&str>,
) -> Result<Response, ApiError> {
    let ids: HashMap<i64, Uuid> = devices.iter().map(|device| (device.number, device.id)).collect();
    let mut out = br#"{"readings":["#.to_vec();
    for (place, row) in rows.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let id = ids.get(&row.device).copied().unwrap_or_default();
        json::write_reading(&mut out, id, row, shown).map_err(ApiError::internal)?;
    }
    out.extend_from_slice(br#"],"next_cursor":"#);
    match next {
        Some(next) => out.extend_from_slice(format!("\"{next}\"}}").as_bytes()),
        None => out.extend_from_slice(b"null}"),
    }
    Ok(of_json(out))
}

/// An answer of bytes that are JSON.
fn of_json(bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
