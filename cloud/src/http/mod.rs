//! The HTTP side: every URL of the service stands on this page. No rules here: handlers read the
//! request, call the store or the work, and write the answer.

pub mod answer;
pub mod assets;
pub mod auth;
pub mod carried;
pub mod check;
pub mod devices;
pub mod docs;
pub mod error;
pub mod extract;
pub mod frame;
pub mod gateways;
pub mod health;
pub mod idempotency;
pub mod jobs;
pub mod members;
pub mod openapi;
pub mod page;
pub mod readings;
pub mod request;
pub mod sites;
pub mod subscriptions;
pub mod sync;
pub mod users;
pub mod ws;

use std::any::Any;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use riverwatts_shared::time::Clock;
use tower::util::option_layer;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use crate::auth::Auth;
use crate::db::Db;
use crate::ingest::Ingest;
use crate::jobs::Waker;
use crate::live::Live;
use crate::presence::Presence;
use crate::readings::Readings;
use error::ApiError;
use ws::{Origins, Places};

/// Largest body of a request, in bytes; what takes more says so at its route.
pub const BODY_BYTES_MAX: usize = 256 << 10;
/// Answers longer than this are compressed, in bytes: shorter ones fit a packet as they are.
const COMPRESS_FROM_BYTES: u64 = 1 << 10;
/// How long a request may take, reading its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long browsers may remember what other origins may do.
const PREFLIGHT_HOLDS: Duration = Duration::from_secs(3_600);

/// What handlers work with; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// People, sites, devices, gateways.
    pub db: Db,
    /// What devices measured.
    pub readings: Readings,
    /// Takes what gateways send.
    pub ingest: Ingest,
    /// Tells those who look.
    pub live: Live,
    /// Places for sockets.
    pub places: Places,
    /// Knows which gateways are heard.
    pub presence: Presence,
    /// Wakes who does the jobs.
    pub waker: Waker,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Passwords, tokens, ended sessions.
    pub auth: Auth,
    /// How the HTTP side is set.
    pub settings: Arc<HttpSettings>,
    /// Held, so that no second program works on the folder.
    pub lock: Arc<File>,
}

/// How the HTTP side is set.
#[derive(Clone, Default)]
pub struct HttpSettings {
    /// Whether anybody may register as a customer.
    pub registration: bool,
    /// Whether the site is served by HTTPS, so that cookies are sent by it only.
    pub secure_cookies: bool,
    /// Other origins whose pages may use the service.
    pub origins: Origins,
    /// Lets callers read `/metrics` from elsewhere than this machine.
    pub metrics_token: Option<String>,
}

impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSettings")
            .field("registration", &self.registration)
            .field("secure_cookies", &self.secure_cookies)
            .finish_non_exhaustive()
    }
}

/// The whole service.
pub fn router(app: AppState) -> Router {
    let once = || from_fn_with_state(app.clone(), idempotency::once);
    let api = Router::new()
        .route("/auth/login", post(auth::login))
        .route("/auth/refresh", post(auth::refresh))
        .route("/auth/logout", post(auth::logout))
        .route("/auth/register", post(auth::register))
        .route("/users", post(users::create_user).route_layer(once()).get(users::list_users))
        .route("/users/{id}", get(users::get_user).put(users::update_user).delete(users::delete_user))
        .route("/sites", post(sites::create_site).route_layer(once()).get(sites::list_sites))
        .route("/sites/summaries", get(sites::list_summaries))
        .route("/sites/{id}", get(sites::get_site).put(sites::update_site).delete(sites::delete_site))
        .route("/sites/{id}/members", post(members::add_member).route_layer(once()).get(members::list_members))
        .route("/sites/{id}/members/{user_id}", delete(members::remove_member))
        .route(
            "/subscriptions",
            post(subscriptions::create_subscription).route_layer(once()).get(subscriptions::list_subscriptions),
        )
        .route("/subscriptions/{id}", delete(subscriptions::delete_subscription))
        .route("/devices", post(devices::create_device).route_layer(once()).get(devices::list_devices))
        .route("/devices/{id}", get(devices::get_device).put(devices::update_device).delete(devices::delete_device))
        .route("/devices/{id}/gaps", get(devices::list_gaps))
        .route("/devices/{id}/readings", get(readings::list_device_readings))
        .route(
            "/readings",
            post(sync::post_readings).layer(DefaultBodyLimit::max(sync::BODY_BYTES_MAX)).get(readings::list_readings),
        )
        .route("/readings/latest", get(readings::list_latest))
        .route("/readings/aggregated", get(readings::list_aggregated))
        .route("/gateways", post(gateways::create_gateway).route_layer(once()).get(gateways::list_gateways))
        .route("/gateways/enroll", post(gateways::enroll_gateway))
        .route("/gateways/{id}", get(gateways::get_gateway))
        .route("/gateways/{id}/revoke", post(gateways::revoke_gateway))
        .route("/gateways/{id}/rotate", post(gateways::rotate_gateway))
        .route("/gateways/{id}/replace", post(gateways::replace_gateway))
        .route("/gateways/{id}/configurations", get(gateways::list_configurations))
        .route("/gateways/{id}/configurations/{version}", get(gateways::get_configuration))
        .route("/jobs", post(jobs::create_job).route_layer(once()).get(jobs::list_jobs))
        .route("/jobs/{id}", get(jobs::get_job))
        .route("/jobs/{id}/retry", post(jobs::retry_job))
        .route("/jobs/{id}/cancel", post(jobs::cancel_job))
        .route("/openapi.json", get(openapi::get_document))
        // Answers may be long: what takes least of the processor still saves most of the bytes.
        .layer(compressed(CompressionLevel::Fastest))
        .route("/sync/batches", post(sync::take_batch).layer(DefaultBodyLimit::max(sync::BODY_BYTES_MAX)))
        .layer(option_layer(other_origins(&app.settings.origins)));

    // A large file over a small line takes its time.
    let long = Router::new()
        .route("/gateways/{id}/import", post(carried::import_readings))
        .layer(option_layer(other_origins(&app.settings.origins)))
        .layer(CatchPanicLayer::custom(panicked));

    let inside = page::Api(api.clone().with_state(app.clone()));
    let pages = Router::new()
        .route("/", get(page::show))
        .route("/sites/{id}", get(page::show))
        .route("/devices/{id}", get(page::show))
        .route("/gateways", get(page::show))
        .route("/sign-in", get(page::show))
        .route("/styleguide", get(page::show))
        .layer(Extension(inside))
        .layer(compressed(CompressionLevel::Default));

    Router::new()
        .nest("/api/v1", api)
        .route("/ws/{room_id}", get(ws::open_socket))
        .merge(pages)
        .route("/docs", get(docs::show))
        .route("/assets/{hash}/{*path}", get(assets::show))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { ApiError::not_found() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .nest("/api/v1", long)
        .layer(from_fn_with_state(app.clone(), frame::frame))
        .with_state(app)
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::panicked().into_response()
}

/// What lets pages of the listed origins use the API; `None` without any.
fn other_origins(origins: &Origins) -> Option<CorsLayer> {
    if origins.listed.is_empty() {
        return None;
    }
    let listed = origins.listed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect::<Vec<_>>();
    let cors = CorsLayer::new().allow_origin(listed).allow_credentials(true).max_age(PREFLIGHT_HOLDS);
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let headers = ["authorization", "content-type", "idempotency-key", "if-match"].map(HeaderName::from_static);
    let exposed = [header::ETAG, header::LOCATION, header::RETRY_AFTER, header::DATE];
    Some(cors.allow_methods(methods).allow_headers(headers).expose_headers(exposed))
}

/// Compresses what is long.
fn compressed(quality: CompressionLevel) -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().quality(quality).compress_when(SizeAbove::new(COMPRESS_FROM_BYTES))
}
