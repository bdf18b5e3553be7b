//! What gateways send: `POST /sync/batches` and `POST /readings`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use riverwatts_shared::batch;
use riverwatts_shared::bytes::Malformed;
use riverwatts_shared::receipt;

use super::AppState;
use super::error::{ApiError, FieldError};
use super::extract::GatewayCaller;
use super::request::{is_of_type, unreadable};
use crate::ingest::{IngestError, PostedAnswer};
use crate::readings::ReadingsError;

/// Largest body of what gateways send, in bytes.
pub const BODY_BYTES_MAX: usize = batch::BYTES_MAX;

/// `POST /sync/batches`: answered by a receipt, after the commit.
pub async fn take_batch(
    GatewayCaller(gateway): GatewayCaller,
    State(app): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let short = wants_short(&request);
    let body = body(request, batch::MEDIA_TYPE).await?;
    let name = batch::name(&body);
    let taken = app.ingest.take_batch(&gateway, body, app.clock.wall()).await;
    let receipt = taken.map_err(|error| {
        let error = ApiError::from(error);
        match (error.status(), name) {
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(name)) => {
                error.with_detail(FieldError::new("batch", name))
            }
            _ => error,
        }
    })?;
    let (receipt, media_type) = match short {
        true => (receipt.to_short(app.clock.wall()), receipt::MEDIA_TYPE),
        false => (serde_json::to_vec(&receipt).expect("a receipt is plain JSON"), "application/json"),
    };
    let mut response = receipt.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// `POST /readings`: each reading stands for itself.
pub async fn post_readings(
    GatewayCaller(gateway): GatewayCaller,
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<PostedAnswer>, ApiError> {
    let body = body(request, "application/json").await?;
    Ok(Json(app.ingest.take_posted(&gateway, body, app.clock.wall()).await?))
}

/// Whether the gateway understands the short form of a receipt.
fn wants_short(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.split(',').any(|media_type| media_type.trim() == receipt::MEDIA_TYPE))
}

async fn body(request: Request, media_type: &str) -> Result<Bytes, ApiError> {
    if !is_of_type(&request, media_type) {
        return Err(ApiError::media_type(media_type));
    }
    Bytes::from_request(request, &()).await.map_err(|rejection| unreadable(&rejection, BODY_BYTES_MAX))
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Malformed(version @ Malformed::Version { .. }) => {
                ApiError::invalid("version", version.to_string())
            }
            IngestError::Malformed(error) => ApiError::malformed(format!("Malformed batch: {error}")),
            IngestError::NoJson(error) => ApiError::malformed(format!("Malformed JSON: {error}")),
            IngestError::Unreadable(message) => ApiError::invalid("", message),
            IngestError::StoreForked => ApiError::conflict(
                "Another batch was stored under this identity",
                vec![FieldError::new("store", "store_forked")],
            ),
            IngestError::Busy => ApiError::unavailable(error),
            IngestError::Db(error) => error.into(),
            IngestError::Readings(error) => error.into(),
        }
    }
}

impl From<ReadingsError> for ApiError {
    fn from(error: ReadingsError) -> Self {
        match error {
            ReadingsError::Busy | ReadingsError::Unavailable(_) => ApiError::unavailable(error),
            ReadingsError::Failed(_) => ApiError::internal(error),
        }
    }
}
