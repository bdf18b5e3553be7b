//! The body of a request that changes something: JSON, bounded, without unknown fields.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Json, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::PanelError;

/// Most bytes of it.
const BYTES_MAX: usize = 4 << 10;

/// A body of JSON. Another media type is refused: a form of a foreign page cannot send this one.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = PanelError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PanelError> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Body(body)).map_err(|rejection| match rejection {
            JsonRejection::MissingJsonContentType(_) => PanelError::MediaType,
            JsonRejection::JsonSyntaxError(error) => PanelError::Malformed(error.body_text()),
            JsonRejection::JsonDataError(error) => PanelError::Parameter("body", error.body_text()),
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => PanelError::TooLarge,
            other => PanelError::Malformed(other.body_text()),
        })
    }
}

/// The bound on every body.
pub(super) fn bound() -> DefaultBodyLimit {
    DefaultBodyLimit::max(BYTES_MAX)
}
