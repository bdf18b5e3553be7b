//! Shapes of answers: single things with their version, created things with their place, lists.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use riverwatts_shared::time::UtcMs;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::page::Listed;

/// A single thing with its `ETag`, which is the time of its last update in ms.
pub fn single(version: UtcMs, body: &impl Serialize) -> Response {
    tagged(&version.0.to_string(), body)
}

/// A single thing with this `ETag`.
pub fn tagged(tag: &str, body: &impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// 201 with the place of the new thing below `/api/v1`.
pub fn created(location: &str, mut response: Response) -> Response {
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1{location}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// A page of a list under its noun.
pub fn listed<T: Serialize>(noun: &'static str, page: &Listed<T>) -> Json<Value> {
    Json(json!({noun: page.rows, "next_cursor": page.next.as_ref().map(Uuid::to_string)}))
}
