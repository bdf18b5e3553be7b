//! For machines that look after the service: is it there, is it ready, what are its numbers.

use std::sync::LazyLock;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use riverwatts_shared::words::{JobKind, JobState};
use schemars::JsonSchema;
use serde::Serialize;

use super::AppState;
use super::error::ApiError;
use super::extract::Peer;
use crate::auth::secret;
use crate::store::jobs;

/// Upper bounds of the buckets of request durations, in seconds.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// The numbers of this process; made when first asked for, so call it before the first request.
pub static NUMBERS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    PrometheusBuilder::new()
        .set_buckets(&DURATION_BUCKETS)
        .expect("there are buckets")
        .install_recorder()
        .expect("nothing else in this program records numbers")
});

/// How the service is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /readyz`: records and readings answer too.
pub async fn readyz(State(app): State<AppState>) -> Result<Json<Health>, ApiError> {
    app.db.ping().await.map_err(ApiError::unavailable)?;
    app.readings.ping().await.map_err(ApiError::unavailable)?;
    Ok(Json(Health { status: "ready" }))
}

/// `GET /metrics`: for callers on this machine, or with the token.
pub async fn metrics(
    State(app): State<AppState>,
    caller: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let local = caller.is_some_and(|Extension(ConnectInfo(Peer(address)))| address.ip().to_canonical().is_loopback())
        // Behind a proxy on this machine every caller seems local.
        && !headers.contains_key("x-forwarded-for")
        && !headers.contains_key(header::FORWARDED);
    if !local {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(ApiError::auth_required)?;
        let token = app.settings.metrics_token.as_deref().ok_or_else(ApiError::auth_invalid)?;
        // By their hashes: the time of the comparison says nothing about the token.
        if secret::hash(given) != secret::hash(token) {
            return Err(ApiError::auth_invalid());
        }
    }
    // Counted when asked for, so that 0 means that nothing is behind now; the other numbers need no database.
    if let Ok(waiting) = app.readings.hours_waiting(app.clock.wall()).await {
        metrics::gauge!("riverwatts_rollup_hours_waiting").set(waiting as f64);
    }
    count_jobs(&app).await;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], NUMBERS.render()))
}

/// Counted when asked for, too: other instances put jobs in and take them.
async fn count_jobs(app: &AppState) {
    let Ok(counted) = jobs::count(&app.db).await else { return };
    for &kind in JobKind::ALL {
        let of = |state| {
            let found = counted.iter().find(|counted| counted.kind.0 == kind && counted.state.0 == state);
            found.map_or(0.0, |counted| counted.count as f64)
        };
        metrics::gauge!("riverwatts_jobs_waiting", "kind" => kind.word()).set(of(JobState::Waiting));
        metrics::gauge!("riverwatts_jobs_running", "kind" => kind.word()).set(of(JobState::Running));
        metrics::gauge!("riverwatts_jobs_dead", "kind" => kind.word()).set(of(JobState::Dead));
    }
}
