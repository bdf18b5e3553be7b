//! The technician's page and the API under it, on the site's network. Whoever is there may look; whoever
//! has the password may change something.
//!
//! Fed from memory; only history comes from the store. Every address is in [`router`].

mod bodies;
mod body;
mod changes;
mod clock;
mod conditions;
mod dead_letters;
mod error;
mod figures;
mod first;
mod listener;
mod metrics;
mod origin;
mod set_clock;
mod sign_in;
mod traffic;
mod web;
mod windows;
mod words;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use riverwatts_shared::time::{Clock, UtcMs};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bus::status::Status;
use crate::config::Config;
use crate::health::{Finding, Health};

use listener::Caller;
use windows::{Asked, Windows};

pub use changes::Changes;
pub use clock::ClockState;
pub use error::PanelError;
pub use figures::{Figures, Latest, LinkState, StoreState};
pub use sign_in::Gate;
pub use words::life;

/// Readings of one answer, unless asked for fewer or more.
const HISTORY_DEFAULT: usize = 50;
/// Most readings of one answer.
const HISTORY_MAX: usize = 1_000;
/// Most requests that read the store at once: its disk is the recorder's first.
const READS_MAX: usize = 2;
/// How long open answers may take once the panel is to end.
const GRACE: Duration = Duration::from_secs(2);

/// What the panel shows, and what it can change.
#[derive(Debug)]
pub struct Panel {
    /// What runs.
    pub config: Arc<Config>,
    /// By bus of [`Config::buses`].
    pub buses: Vec<Arc<Status>>,
    /// Recorder, store and uploader.
    pub figures: Arc<dyn Figures>,
    /// Clock and store, for whoever is signed in.
    pub changes: Arc<dyn Changes>,
    /// Who is.
    pub gate: Gate,
    /// Whether polling and storing make progress.
    pub health: Health,
    /// The clock that readings are taken by.
    pub clock: Arc<dyn Clock>,
}

/// Serves until `stop`; answers in the making get a moment.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(panel: Arc<Panel>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let ended = stop.clone();
    let listener = listener::Bounded::new(listener);
    let server = axum::serve(listener, router(panel).into_make_service_with_connect_info::<Caller>())
        .with_graceful_shutdown(async move { ended.cancelled().await });
    tokio::select! {
        served = server => served,
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Every address of the panel.
pub fn router(panel: Arc<Panel>) -> Router {
    Router::new()
        .route("/", get(web::page))
        .route("/devices", get(web::page))
        .route("/devices/{id}", get(web::page))
        .route("/buses", get(web::page))
        .route("/link", get(web::page))
        .route("/clock", get(web::page))
        .route("/dead-letters", get(web::page))
        .route("/assets/{hash}/{*path}", get(web::asset))
        .route("/api/site", get(show_site))
        .route("/api/devices", get(list_devices))
        .route("/api/devices/{id}/readings", get(list_readings))
        .route("/api/devices/{id}/readings/aggregated", get(list_windows))
        .route("/api/buses", get(list_buses))
        .route("/api/link", get(show_link))
        .route("/api/clock", get(clock::show_clock).post(set_clock::set_clock))
        .route("/api/writes", get(list_writes))
        .route("/api/config", get(show_config))
        .route("/api/session", get(sign_in::show_session))
        .route("/api/sign-in", post(sign_in::sign_in))
        .route("/api/sign-out", post(sign_in::sign_out))
        .route("/api/dead-letters", get(dead_letters::list_dead_letters))
        .route("/api/dead-letters/groups", get(dead_letters::list_dead_letter_groups))
        .route("/api/dead-letters/resend", post(dead_letters::resend_dead_letters))
        .route("/api/dead-letters/discard", post(dead_letters::discard_dead_letters))
        .route("/api/dead-letters/{id}/resend", post(dead_letters::resend_dead_letter))
        .route("/api/dead-letters/{id}/discard", post(dead_letters::discard_dead_letter))
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(show_health))
        .fallback(async || PanelError::NotFound)
        .method_not_allowed_fallback(async || PanelError::Method)
        .layer(body::bound())
        .layer(from_fn_with_state(Arc::clone(&panel), origin::guard))
        .with_state(panel)
}

type Site = State<Arc<Panel>>;

async fn show_site(State(panel): Site) -> Json<Value> {
    Json(bodies::site(&panel))
}

async fn list_devices(State(panel): Site) -> Json<Value> {
    Json(bodies::devices(&panel))
}

async fn list_buses(State(panel): Site) -> Json<Value> {
    Json(bodies::buses(&panel))
}

async fn show_link(State(panel): Site) -> Json<Value> {
    Json(bodies::link(&panel))
}

async fn show_config(State(panel): Site) -> Json<Value> {
    Json(bodies::config(&panel.config))
}

async fn list_readings(
    State(panel): Site,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, PanelError> {
    let limit = limit(query.as_deref().unwrap_or(""))?;
    let number = panel.number(&id)?;
    let readings = read(&panel, move |figures| figures.history(number, limit)).await?;
    Ok(Json(json!({"readings": readings.iter().map(bodies::reading).collect::<Vec<_>>(), "next_cursor": null})))
}

async fn list_writes(State(panel): Site, RawQuery(query): RawQuery) -> Result<Json<Value>, PanelError> {
    let limit = limit(query.as_deref().unwrap_or(""))?;
    let writes = read(&panel, move |figures| figures.writes(limit)).await?;
    Ok(Json(json!({"writes": writes.iter().map(bodies::write).collect::<Vec<_>>(), "next_cursor": null})))
}

async fn list_windows(
    State(panel): Site,
    Path(id): Path<String>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, PanelError> {
    let Query(asked) = query.map_err(|error| PanelError::Parameter("query", error.body_text()))?;
    let number = panel.number(&id)?;
    let device = &panel.config.devices[usize::from(number)];
    let now = panel.figures.now().unwrap_or_else(|| UtcMs::from(jiff::Timestamp::now()));
    let mut windows = Windows::of(asked, device.interval, bodies::stale_after(device), now)?;
    let body = read(&panel, move |figures| {
        figures.walk(number, windows.span(), &mut |segment| windows.add(segment))?;
        Ok(windows.body())
    });
    Ok(Json(body.await?))
}

/// What reading from the store gives; few do it at once.
async fn read<T: Send + 'static>(
    panel: &Panel,
    work: impl FnOnce(&dyn Figures) -> Result<T, String> + Send + 'static,
) -> Result<T, PanelError> {
    static PLACES: Semaphore = Semaphore::const_new(READS_MAX);
    let place = PLACES.acquire().await;
    let figures = Arc::clone(&panel.figures);
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work(&*figures)
    });
    done.await.map_err(|error| error.to_string()).flatten().map_err(PanelError::Internal)
}

/// The parameter `limit`, the only one there is.
fn limit(query: &str) -> Result<usize, PanelError> {
    let mut limit = HISTORY_DEFAULT;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let number = pair
            .strip_prefix("limit=")
            .ok_or_else(|| PanelError::Parameter("query", "the only parameter is limit".to_owned()))?;
        limit =
            number.parse().ok().filter(|limit| (1..=HISTORY_MAX).contains(limit)).ok_or_else(|| {
                PanelError::Parameter("limit", format!("write a whole number from 1 to {HISTORY_MAX}"))
            })?;
    }
    Ok(limit)
}

async fn show_metrics(State(panel): Site) -> Response {
    let body = metrics::render(&panel);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}

async fn show_health(State(panel): Site) -> Response {
    let finding = panel.find();
    let status = if finding.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"status": if finding.is_well() { "ok" } else { "stuck" }, "polling": finding.polling, "storing": finding.storing}))).into_response()
}

impl Panel {
    /// The place of the device with this id in `edge.toml`.
    fn number(&self, id: &str) -> Result<u16, PanelError> {
        let place = self.config.devices.iter().position(|device| device.id == id).ok_or(PanelError::NotFound)?;
        Ok(place as u16)
    }

    /// Whether polling and storing make progress.
    pub fn find(&self) -> Finding {
        let polls = self.buses.iter().map(|bus| bus.progress()).sum();
        let store = self.figures.store();
        self.health.observe(polls, store.flushes, store.unflushed_readings > 0, self.clock.monotonic())
    }
}

#[cfg(test)]
mod tests;
