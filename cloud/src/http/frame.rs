//! What surrounds every request: its id, its one log line, its numbers, the shape of errors and the
//! headers that keep browsers safe.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::AppState;
use super::assets::ASSETS;
use super::error::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id of a request that is taken over from a proxy.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// Only what this service sends, and nothing inline but styles that were there when it was built.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' {}; img-src 'self' data: blob:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ASSETS.page.style_sources
    );
    HeaderValue::try_from(policy).expect("hashes are plain text")
});

tokio::task_local! {
    /// The request that the running task answers; the panic hook names it.
    pub static REQUEST: RequestContext;
}

/// A request's id and who sent it, once that is known.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Context>);

#[derive(Debug)]
struct Context {
    id: String,
    user_id: OnceLock<Uuid>,
}

impl RequestContext {
    /// Its id, also in the header `X-Request-Id` of the answer.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Notes who sent it.
    pub fn set_user(&self, user_id: Uuid) {
        let _ = self.0.user_id.set(user_id); // the first one stays
    }
}

/// The outermost layer.
pub async fn frame(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext(Arc::new(Context { id: request_id(request.headers()), user_id: OnceLock::new() }));
    request.extensions_mut().insert(context.clone());
    let method = request.method().clone();
    // The template, never the path: paths have ids.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();

    let mut response = REQUEST.scope(context.clone(), next.run(request)).await;

    let mut cause = None;
    if response.status().is_client_error() || response.status().is_server_error() {
        let error = response.extensions_mut().remove::<ApiError>();
        let error = error.unwrap_or_else(|| ApiError::of_status(response.status()));
        cause = error.cause().map(str::to_owned);
        response = write_error(response, &error, context.id(), &app);
    }
    set_headers(response.headers_mut(), context.id());

    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    let labels = [("method", method_label(&method)), ("route", route.clone()), ("status_code", status.to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(seconds);
    let user_id = context.0.user_id.get().map(tracing::field::display);
    let duration_ms = (seconds * 1_000_000.0).round() / 1_000.0;
    let request_id = context.id();
    let method = method.as_str();
    if let Some(cause) = cause {
        tracing::error!(request_id, user_id, method, route, status, duration_ms, cause, "request failed");
    } else {
        tracing::info!(request_id, user_id, method, route, status, duration_ms, "request");
    }
    response
}

/// The answer with the error as its body; headers like `Allow` and `Retry-After` stay.
fn write_error(response: Response, error: &ApiError, request_id: &str, app: &AppState) -> Response {
    let (mut parts, _) = response.into_parts();
    // (Layers answer with a status alone.)
    error.put_headers(&mut parts.headers);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    let body = Json(error.to_json(request_id, app.clock.wall())).into_response();
    let (body_parts, body) = body.into_parts();
    parts.status = error.status();
    parts.headers.extend(body_parts.headers);
    Response::from_parts(parts, Body::new(body))
}

fn set_headers(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The id that a proxy gave, when it is short and plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX)
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Methods are free text on the wire; metrics name the known ones only.
fn method_label(method: &axum::http::Method) -> String {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    }
}
