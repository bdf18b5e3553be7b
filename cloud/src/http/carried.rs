//! `POST /gateways/{id}/import`: a file of readings that was carried here.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use futures_util::StreamExt as _;
use riverwatts_shared::carry;

use super::AppState;
use super::error::ApiError;
use super::extract::Admin;
use super::request::{PathId, is_of_type};
use crate::ingest::{ImportError, Imported};
use crate::store::gateways;

/// How long the next piece of the file may keep us waiting. The whole may take hours.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// `POST /gateways/{id}/import`: takes the file batch by batch while it comes.
pub async fn import_readings(
    Admin(person): Admin,
    State(app): State<AppState>,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Imported>, ApiError> {
    let gateway = gateways::find(&app.db, person.sight(), id).await?.ok_or_else(ApiError::not_found)?;
    if !is_of_type(&request, carry::MEDIA_TYPE) {
        return Err(ApiError::media_type(carry::MEDIA_TYPE));
    }
    let mut import = app.ingest.import(&gateway);
    let mut pieces = request.into_body().into_data_stream();
    loop {
        let piece = tokio::time::timeout(PIECE_WITHIN, pieces.next()).await;
        let piece = piece.map_err(|_| ApiError::malformed("The file did not come to its end".to_owned()))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| ApiError::malformed("The file did not come to its end".to_owned()))?;
        import.feed(&piece, app.clock.wall()).await?;
    }
    Ok(Json(import.finish()?))
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::OtherGateway(id) => {
                ApiError::invalid("gateway_id", format!("the file is of gateway {id}; import it there"))
            }
            ImportError::Unreadable(error) => ApiError::malformed(format!(
                "The file cannot be read further: {error}. What came before is stored; import a whole copy"
            )),
            ImportError::Ingest(error) => error.into(),
        }
    }
}
