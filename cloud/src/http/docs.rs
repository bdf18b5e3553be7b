//! The page that shows the document of the API, to browse it and to try operations.

use std::sync::LazyLock;

use axum::response::Html;

use super::assets::ASSETS;

static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("../../web/docs/docs.html").replace("{{assets}}", &format!("/assets/{}", ASSETS.hash))
});

/// `GET /docs`.
pub async fn show() -> Html<&'static str> {
    Html(&PAGE)
}
