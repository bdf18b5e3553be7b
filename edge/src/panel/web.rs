//! The page at each of its addresses, and its files, which are part of the program; nothing comes
//! from elsewhere.

use std::io::{self, Write as _};
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{MatchedPath, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use riverwatts_assets::takes;

use super::{Panel, PanelError, first};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Only what this server sends may run or be shown, and no style but those that it was built with.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'self' {}; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ASSETS.page.style_sources
    );
    HeaderValue::try_from(policy).expect("hashes are plain text")
});

/// `GET` of any page.
pub(super) async fn page(
    State(panel): State<Arc<Panel>>,
    route: MatchedPath,
    uri: Uri,
    asked: HeaderMap,
) -> Result<Response, PanelError> {
    let zipped = takes(said(&asked, header::ACCEPT_ENCODING), "gzip");
    let own = first::own(&panel, route.as_str()).await;
    let written = tokio::task::spawn_blocking(move || {
        let html =
            ASSETS.page.write(route.as_str(), &first::write(&panel, route.as_str(), uri.path(), own)).into_bytes();
        if zipped { gzip(&html) } else { Ok(html) }
    });
    let body = written.await.map_err(io::Error::from).and_then(|body| body);
    let body = body.map_err(|error| PanelError::Internal(error.to_string()))?;
    let mut response = (StatusCode::OK, guards(), body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if zipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// `GET /assets/{hash}/{*path}`.
pub(super) async fn asset(
    Path((hash, path)): Path<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, PanelError> {
    let (encodings, tags) = (said(&asked, header::ACCEPT_ENCODING), said(&asked, header::IF_NONE_MATCH));
    let answer = ASSETS.answer(&hash, &path, encodings, tags).ok_or(PanelError::NotFound)?;
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let status = if answer.body.is_some() { StatusCode::OK } else { StatusCode::NOT_MODIFIED };
    let body = answer.body.map_or_else(Body::empty, Body::from);
    Ok((status, guards(), HeaderMap::from_iter(headers), body).into_response())
}

/// What keeps browsers safe.
fn guards() -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}

fn said(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
