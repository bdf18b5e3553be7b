//! `/ws/{room_id}`: the handshake. Who may not be here learns it by a code of the close frame, since
//! browsers do not show scripts the answer to a refused handshake.

mod session;

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use tokio::sync::Semaphore;

use super::AppState;
use super::error::ApiError;

/// Sockets at once; further ones are told to come later. The rest of the connections is for requests.
const SOCKETS_MAX: usize = 1_536;
/// Largest message from a client, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// What is read at once from a client, in bytes: messages are short, sockets many.
const READ_BYTES: usize = 4 << 10;
/// The protocol that is spoken.
const PROTOCOL: &str = "riverwatts";
/// How a subprotocol begins that is no protocol but an access token: scripts of pages can send no header.
const TOKEN_PREFIX: &str = "bearer.";

/// Places for sockets.
#[derive(Clone, Debug)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Places(Arc::new(Semaphore::new(SOCKETS_MAX)))
    }
}

/// `GET /ws/{room_id}`.
pub async fn open_socket(
    State(app): State<AppState>,
    Path(room): Path<String>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let mut upgrade = upgrade.map_err(|refused| ApiError::of_status(refused.status()))?;
    if !app.settings.origins.may_open_sockets(headers.get(header::ORIGIN), headers.get(header::HOST)) {
        return Err(ApiError::forbidden("This origin may not open sockets; see CORS_ORIGIN"));
    }
    let place = Arc::clone(&app.places.0).try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable("as many sockets are open as may be"))?;
    let offered =
        |fits: fn(&str) -> bool| upgrade.requested_protocols().find(|name| name.to_str().is_ok_and(fits)).cloned();
    let by_token = offered(|name| name.starts_with(TOKEN_PREFIX));
    let token = by_token.as_ref().and_then(|name| name.to_str().ok()?.strip_prefix(TOKEN_PREFIX)).map(str::to_owned);
    // A page that offers protocols must be answered one of them.
    if let Some(protocol) = offered(|name| name == PROTOCOL).or(by_token) {
        upgrade.set_selected_protocol(protocol);
    }
    let upgrade = upgrade.read_buffer_size(READ_BYTES).max_message_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.max_frame_size(MESSAGE_BYTES_MAX).on_upgrade(async move |socket| {
        session::run(&app, socket, &room, token).await;
        drop(place);
    }))
}

/// Which other origins' pages may use the service.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Where people reach the service, when it is told.
    pub own: Option<String>,
    /// Those that are listed.
    pub listed: Vec<String>,
}

impl Origins {
    /// Whether a page of this origin may open sockets here; a program has none.
    fn may_open_sockets(&self, origin: Option<&HeaderValue>, host: Option<&HeaderValue>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let is = |other: &str| other.eq_ignore_ascii_case(origin);
        // The scheme may be that of a proxy.
        authority.is_some_and(|authority| {
            host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
        }) || self.own.as_deref().is_some_and(is)
            || self.listed.iter().any(|listed| is(listed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_host_and_of_listed_origins_open_sockets() {
        let origins =
            Origins { own: Some("https://river.example".to_owned()), listed: vec!["http://localhost:3000".to_owned()] };
        for (origin, may) in [
            (None, true),
            (Some("http://127.0.0.1:8000"), true),
            (Some("https://127.0.0.1:8000"), true),
            (Some("https://River.example"), true),
            (Some("http://localhost:3000"), true),
            (Some("http://localhost:3001"), false),
            (Some("https://localhost:3000"), false),
            (Some("http://127.0.0.1"), false),
            (Some("http://evil.example/?http://localhost:3000"), false),
            (Some("127.0.0.1:8000"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            let value = origin.map(HeaderValue::from_static);
            let host = HeaderValue::from_static("127.0.0.1:8000");
            assert_eq!(origins.may_open_sockets(value.as_ref(), Some(&host)), may, "{origin:?}");
        }
    }
}
