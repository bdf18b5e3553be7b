//! The HTTP side: every URL of the service stands on this page. No rules here: handlers read the
//! request, call the store or the work, and write the answer.

pub mod answer;
pub mod auth;
pub mod check;
pub mod devices;
pub mod error;
pub mod extract;
pub mod frame;
pub mod gateways;
pub mod health;
pub mod idempotency;
pub mod members;
pub mod page;
pub mod readings;
pub mod request;
pub mod sites;
pub mod subscriptions;
pub mod sync;
pub mod users;
pub mod ws;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use riverwatts_shared::time::Clock;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use crate::auth::Auth;
use crate::db::Db;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::readings::Readings;
use error::ApiError;
use ws::{Origins, Places};

/// Largest body of a request, in bytes; what takes more says so at its route.
pub const BODY_BYTES_MAX: usize = 256 << 10;
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
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Passwords, tokens, ended sessions.
    pub auth: Auth,
    /// How the HTTP side is set.
    pub settings: Arc<HttpSettings>,
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
        .route("/users", post(users::create_user).layer(once()).get(users::list_users))
        .route("/users/{id}", get(users::get_user).put(users::update_user).delete(users::delete_user))
        .route("/sites", post(sites::create_site).layer(once()).get(sites::list_sites))
        .route("/sites/{id}", get(sites::get_site).put(sites::update_site).delete(sites::delete_site))
        .route("/sites/{id}/members", post(members::add_member).layer(once()).get(members::list_members))
        .route("/sites/{id}/members/{user_id}", delete(members::remove_member))
        .route(
            "/subscriptions",
            post(subscriptions::create_subscription).layer(once()).get(subscriptions::list_subscriptions),
        )
        .route("/subscriptions/{id}", delete(subscriptions::delete_subscription))
        .route("/devices", post(devices::create_device).layer(once()).get(devices::list_devices))
        .route("/devices/{id}", get(devices::get_device).put(devices::update_device).delete(devices::delete_device))
        .route("/devices/{id}/gaps", get(devices::list_gaps))
        .route("/devices/{id}/readings", get(readings::list_device_readings))
        .route(
            "/readings",
            post(sync::post_readings).layer(DefaultBodyLimit::max(sync::BODY_BYTES_MAX)).get(readings::list_readings),
        )
        .route("/readings/latest", get(readings::list_latest))
        .route("/readings/aggregated", get(readings::list_aggregated))
        .route("/gateways", post(gateways::create_gateway).layer(once()).get(gateways::list_gateways))
        .route("/gateways/enroll", post(gateways::enroll_gateway))
        .route("/gateways/{id}", get(gateways::get_gateway))
        .route("/gateways/{id}/revoke", post(gateways::revoke_gateway))
        .route("/gateways/{id}/rotate", post(gateways::rotate_gateway))
        .route("/sync/batches", post(sync::take_batch).layer(DefaultBodyLimit::max(sync::BODY_BYTES_MAX)))
        .layer(option_layer(other_origins(&app.settings.origins)));

    Router::new()
        .nest("/api/v1", api)
        .route("/ws/{room_id}", get(ws::open_socket))
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { ApiError::not_found() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|_| -> Response { ApiError::panicked().into_response() }))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(from_fn_with_state(app.clone(), frame::frame))
        .with_state(app)
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
