//! The one shape of an error, the same as the cloud's: `{"error": {code, message, details,
//! timestamp, request_id}}`. A panel on a site's network has no request ids of its own: they are
//! random, to find the line in the log.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
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
    #[error("Method not allowed; the header Allow names those that are")]
    Method,
    /// A parameter or a field is wrong: its name, and what would be right.
    #[error("Request validation failed")]
    Parameter(&'static str, String),
    /// The body is no JSON.
    #[error("The body cannot be read: {0}")]
    Malformed(String),
    /// The body is said to be something else.
    #[error("Send the body as application/json")]
    MediaType,
    /// The body is longer than any that makes sense.
    #[error("The body is too large")]
    TooLarge,
    /// The request is addressed to somebody else.
    #[error(
        "This name is not known to be this panel's: open it by its address, or list the name in panel.hosts of edge.toml"
    )]
    Host,
    /// A page of somebody else sends it.
    #[error("Insufficient permissions: only this panel's own pages may do that")]
    Origin,
    /// Nobody can sign in.
    #[error("Insufficient permissions: no password is set; run riverwatts-edge passwd at the gateway")]
    NoPassword,
    /// Nobody is signed in here.
    #[error("Authentication required: sign in with the password of this panel")]
    SignInFirst,
    /// It is another password.
    #[error("Wrong password")]
    WrongPassword,
    /// Too many passwords were tried; how long to wait.
    #[error("Too many attempts; try again in {} s", seconds(.0))]
    TooMany(Duration),
    /// What is there speaks against it: what, and what to do.
    #[error("{0}")]
    Conflict(String),
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
            PanelError::Malformed(_) => (StatusCode::BAD_REQUEST, "VALIDATION_ERROR"),
            PanelError::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "VALIDATION_ERROR"),
            PanelError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "VALIDATION_ERROR"),
            PanelError::Host | PanelError::Origin | PanelError::NoPassword => {
                (StatusCode::FORBIDDEN, "PERMISSION_DENIED")
            }
            PanelError::SignInFirst => (StatusCode::UNAUTHORIZED, "AUTH_REQUIRED"),
            PanelError::WrongPassword => (StatusCode::UNAUTHORIZED, "AUTH_INVALID"),
            PanelError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED"),
            PanelError::Conflict(_) => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
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
        if let PanelError::TooMany(wait) = &self {
            response.headers_mut().insert(header::RETRY_AFTER, seconds(wait).into());
        }
        response
    }
}

/// Whole seconds, never too few.
fn seconds(wait: &Duration) -> u64 {
    wait.as_millis().div_ceil(1_000) as u64
}
