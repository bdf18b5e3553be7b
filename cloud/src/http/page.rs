//! The page at `/`: static files inside the program, which use the public API only.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

type File = ([(HeaderName, &'static str); 2], &'static str);

const fn file(media_type: &'static str, text: &'static str) -> File {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], text)
}

/// `GET /`.
pub async fn index() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("../../web/index.html"))
}

/// `GET /app.js`.
pub async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("../../web/app.js"))
}

/// `GET /style.css`.
pub async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("../../web/style.css"))
}

/// `GET /icon.svg`.
pub async fn icon() -> impl IntoResponse {
    file("image/svg+xml", include_str!("../../web/icon.svg"))
}
