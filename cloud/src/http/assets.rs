//! The pages' files, which are inside the program.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// `GET /assets/{hash}/{*path}`.
pub async fn show(Path((hash, path)): Path<(String, String)>, asked: HeaderMap) -> Result<Response, ApiError> {
    let said = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answer = ASSETS.answer(&hash, &path, said(header::ACCEPT_ENCODING), said(header::IF_NONE_MATCH));
    let answer = answer.ok_or_else(ApiError::not_found)?;
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let status = if answer.body.is_some() { StatusCode::OK } else { StatusCode::NOT_MODIFIED };
    let body = answer.body.map_or_else(Body::empty, Body::from);
    Ok((status, HeaderMap::from_iter(headers), body).into_response())
}
