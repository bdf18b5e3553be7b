//! `/jobs`: what the service does in the background, and what an admin may have it do.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{JobKind, JobState};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::AppState;
use super::answer::{created, listed};
use super::check::Check;
use super::error::{ApiError, FieldError};
use super::extract::Admin;
use super::request::{Body, Params, PathId, page};
use crate::db::transact;
use crate::jobs::rollup_repair::{RollupRepair, SPAN_MAX_MS};
use crate::store::devices;
use crate::store::jobs::{self, Job};

/// Query of `GET /jobs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobsQuery {
    /// Only those in this state.
    state: Option<JobState>,
    /// Only those of this kind.
    kind: Option<JobKind>,
    /// Most rows.
    limit: Option<u32>,
    /// From `next_cursor`.
    cursor: Option<Uuid>,
    /// Newest first (`-created_at`) or oldest first (`created_at`).
    sort: Option<String>,
}

/// What an admin may have done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Wanted {
    /// The roll-ups of a span are computed again.
    RollupRepair,
}

/// Body of `POST /jobs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    kind: Wanted,
    device_id: Uuid,
    from: UtcMs,
    to: UtcMs,
}

/// `GET /jobs`.
pub async fn list_jobs(
    _: Admin,
    State(app): State<AppState>,
    Params(query): Params<JobsQuery>,
) -> Result<Json<Value>, ApiError> {
    let page = page(query.limit, query.cursor, query.sort.as_deref())?;
    Ok(listed("jobs", &jobs::list(&app.db, query.state, query.kind, &page).await?))
}

/// `POST /jobs`.
pub async fn create_job(
    Admin(admin): Admin,
    State(app): State<AppState>,
    Body(new): Body<NewJob>,
) -> Result<Response, ApiError> {
    let NewJob { kind: Wanted::RollupRepair, device_id, from, to } = new;
    let mut check = Check::default();
    if from >= to {
        check.mistake("to", "is later than `from`");
    } else if to.since_ms(from) > SPAN_MAX_MS {
        check.mistake("to", "is at most 31 days later than `from`");
    }
    if devices::find_named(&app.db, admin.sight(), device_id).await?.is_none() {
        check.mistake("device_id", "no such device");
    }
    check.done()?;
    let now = app.clock.wall();
    let new = RollupRepair { device_id, from, to }.job(now);
    let job: Option<Job> = transact!(&app.db, |tx| { jobs::enqueue(tx, &new, now).await })?;
    let job = job.ok_or_else(|| {
        let taken = FieldError::new("device_id", "its roll-ups are being repaired already");
        ApiError::conflict("Such a job waits or runs already", vec![taken])
    })?;
    app.waker.wake();
    Ok(created(&format!("/jobs/{}", job.id), Json(job).into_response()))
}

/// `GET /jobs/{id}`.
pub async fn get_job(_: Admin, State(app): State<AppState>, PathId(id): PathId) -> Result<Json<Job>, ApiError> {
    Ok(Json(jobs::find(&app.db, id).await?.ok_or_else(ApiError::not_found)?))
}

/// `POST /jobs/{id}/retry`: a dead one begins anew, one that waits runs now.
pub async fn retry_job(_: Admin, State(app): State<AppState>, PathId(id): PathId) -> Result<Json<Job>, ApiError> {
    let job = jobs::retry(&app.db, id, app.clock.wall()).await?.ok_or_else(ApiError::not_found)?;
    app.waker.wake();
    Ok(Json(job))
}

/// `POST /jobs/{id}/cancel`: it is dead, and is cut where it runs.
pub async fn cancel_job(_: Admin, State(app): State<AppState>, PathId(id): PathId) -> Result<Json<Job>, ApiError> {
    let job = jobs::cancel(&app.db, id, app.clock.wall()).await?.ok_or_else(ApiError::not_found)?;
    app.waker.wake();
    Ok(Json(job))
}
