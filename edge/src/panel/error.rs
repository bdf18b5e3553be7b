//! The one shape of an error, the same as the cloud's: `{"error": {code, message, details,
//! timestamp, request_id}}`. A panel on a site's network has no request ids of its own: they are
//! random, to find the line in the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use riverwatts_shared::time::UtcMs;
use serde_json::json;
use uuid::Uuid;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PanelError {
    /// There is no such thing.
    #[error("Requested resource not found")]
    NotFound,
    /// The path knows other methods.
    #[error("Method not allowed; this panel answers GET")]
    Method,
    /// A parameter is wrong: its name, and what would be right.
    #[error("Request validation failed")]
    Parameter(&'static str, String),
    /// The cause is logged and not shown.
    #[error("Internal server error")]
    Internal(String),
}

impl IntoResponse for PanelError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            PanelError::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND"),
            PanelError::Method => (StatusCode::METHOD_NOT_ALLOWED, "VALIDATION_ERROR"),
            PanelError::Parameter(..) => (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR"),
            PanelError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        };
        let request_id = Uuid::new_v4();
        let details = match &self {
            PanelError::Parameter(field, message) => json!([{"field": field, "message": message}]),
            _ => serde_json::Value::Null,
        };
        if let PanelError::Internal(cause) = &self {
            tracing::error!(%request_id, cause, "a request to the panel failed");
        }
        let body = json!({"error": {
            "code": code,
            "message": self.to_string(),
            "details": details,
            "timestamp": UtcMs::from(jiff::Timestamp::now()),
            "request_id": request_id,
        }});
        let mut response = (status, Json(body)).into_response();
        if self == PanelError::Method {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
