//! The one shape of every error answer (the plan's 16.1), made by small named constructors.
//!
//! A handler's `ApiError` travels inside the response; [`super::frame`] writes it out, because it
//! knows the request's id, and gives the framework's own refusals the same shape.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use riverwatts_shared::time::UtcMs;
use serde::Serialize;

use crate::auth::sign_in::SignInError;
use crate::auth::throttle::Throttled;
use crate::auth::token::TokenError;
use crate::db::DbError;

/// Seconds after which a caller may try again what failed for a passing reason.
const RETRY_AFTER_S: u32 = 5;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field, like `name` or `[3].timestamp`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl FieldError {
    /// A mistake in a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), message: message.into() }
    }
}

/// A refusal or a failure, as the caller sees it.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<FieldError>,
    retry_after_s: Option<u32>,
    /// Logged once, never shown.
    cause: Option<String>,
}

#[expect(missing_docs, reason = "named after what went wrong")]
impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), details: Vec::new(), retry_after_s: None, cause: None }
    }

    pub fn auth_required() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "AUTH_REQUIRED", "Authentication required")
    }

    pub fn auth_invalid() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "AUTH_INVALID", "Invalid authentication credentials")
    }

    pub fn auth_expired() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "AUTH_EXPIRED", "Authentication token expired")
    }

    pub fn permission_denied() -> ApiError {
        ApiError::forbidden("Insufficient permissions")
    }

    /// 403 with a reason of its own.
    pub fn forbidden(reason: &str) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", reason)
    }

    pub fn not_found() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "Requested resource not found")
    }

    /// 409.
    pub fn conflict(message: impl Into<String>, details: Vec<FieldError>) -> ApiError {
        ApiError { details, ..ApiError::new(StatusCode::CONFLICT, "RESOURCE_CONFLICT", message) }
    }

    /// 412: the `If-Match` names another version.
    pub fn stale() -> ApiError {
        ApiError::new(StatusCode::PRECONDITION_FAILED, "RESOURCE_CONFLICT", "Changed meanwhile; read it again")
    }

    /// 422.
    pub fn validation(details: Vec<FieldError>) -> ApiError {
        ApiError {
            details,
            ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", "Request validation failed")
        }
    }

    /// 422 for one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> ApiError {
        ApiError::validation(vec![FieldError::new(field, message)])
    }

    /// 400: the body is not what its media type says.
    pub fn malformed(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    /// The same with one more thing to know.
    pub fn with_detail(mut self, detail: FieldError) -> ApiError {
        self.details.push(detail);
        self
    }

    pub fn too_large(bytes_max: usize) -> ApiError {
        let message = format!("Body larger than {bytes_max} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "VALIDATION_ERROR", message)
    }

    pub fn media_type(expected: &str) -> ApiError {
        let message = format!("Content-Type must be {expected}");
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "VALIDATION_ERROR", message)
    }

    pub fn rate_limited(retry_after_s: u32) -> ApiError {
        ApiError {
            retry_after_s: Some(retry_after_s),
            ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
        }
    }

    /// 503: it may work later. The cause is logged, not shown.
    pub fn unavailable(cause: impl ToString) -> ApiError {
        ApiError {
            retry_after_s: Some(RETRY_AFTER_S),
            cause: Some(cause.to_string()),
            ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "INTERNAL_ERROR", "Service unavailable")
        }
    }

    /// 500. The cause is logged, not shown.
    pub fn internal(cause: impl ToString) -> ApiError {
        ApiError { cause: Some(cause.to_string()), ..ApiError::panicked() }
    }

    /// 500 without a cause: the panic hook has logged it.
    pub fn panicked() -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Internal server error")
    }

    /// The framework's own refusal with this status.
    pub fn of_status(status: StatusCode) -> ApiError {
        match status {
            StatusCode::NOT_FOUND => ApiError::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => ApiError::new(status, "VALIDATION_ERROR", "Method not allowed"),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => {
                ApiError::unavailable("the request took too long")
            }
            _ if status.is_server_error() => ApiError::internal(format!("answered {status} without an error")),
            _ => ApiError::new(status, "VALIDATION_ERROR", status.canonical_reason().unwrap_or("Request refused")),
        }
    }

    /// Says in the headers of an answer when to come again, and how to say who one is.
    pub fn put_headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }

    /// The same error about fields of the request.
    pub fn with_details(self, details: Vec<FieldError>) -> ApiError {
        ApiError { details, ..self }
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is logged, for failures.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The body of the answer.
    pub fn to_json(&self, request_id: &str, now: UtcMs) -> serde_json::Value {
        let details = if self.details.is_empty() { None } else { Some(&self.details) };
        serde_json::json!({"error": {
            "code": self.code,
            "message": self.message,
            "details": details,
            "timestamp": now,
            "request_id": request_id,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        self.put_headers(response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { field } => {
                ApiError::conflict("Another record has this value", vec![FieldError::new(field, "is taken")])
            }
            DbError::MissingReference => ApiError::conflict("Refers to a record that does not exist", Vec::new()),
            DbError::Stale => ApiError::stale(),
            DbError::Refused(reason) => ApiError::conflict(reason, Vec::new()),
            DbError::Contention(ref source) | DbError::Unavailable(ref source) => {
                ApiError::unavailable(format_args!("{error}: {source}"))
            }
            DbError::Failed(ref source) => ApiError::internal(format_args!("{error}: {source}")),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => ApiError::auth_invalid(),
            TokenError::Expired => ApiError::auth_expired(),
        }
    }
}

impl From<Throttled> for ApiError {
    fn from(error: Throttled) -> Self {
        ApiError::rate_limited(error.retry_after_s)
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => ApiError::auth_invalid(),
            SignInError::Token(error) => error.into(),
            SignInError::Throttled(error) => error.into(),
            SignInError::Db(error) => error.into(),
        }
    }
}
