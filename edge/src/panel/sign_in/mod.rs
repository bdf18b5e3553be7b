//! Who may change something: whoever knows the password that `riverwatts-edge passwd` set. A handler that
//! changes something has [`SignedIn`] as a parameter, so that it cannot be called without.

mod sessions;
mod throttle;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::body::Body;
use super::listener::Caller;
use super::{Panel, PanelError, Site};
use crate::passwd::{self, Hash};
use sessions::Sessions;
use throttle::Throttle;

/// Not readable by scripts, and sent by our own pages only; without `Secure`, as there is no TLS on the
/// site's network.
const COOKIE: &str = "riverwatts_panel";

/// The way in.
#[derive(Debug)]
pub struct Gate {
    /// Where the password's hash is.
    dir: PathBuf,
    sessions: Sessions,
    throttle: Mutex<Throttle>,
    /// A hash takes 19 MiB: one at a time.
    hashing: Arc<Semaphore>,
}

/// Whoever asks is signed in.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedIn;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    password: String,
}

/// `POST /api/sign-in`
pub(super) async fn sign_in(
    State(panel): Site,
    ConnectInfo(Caller(address)): ConnectInfo<Caller>,
    Body(Credentials { password }): Body<Credentials>,
) -> Result<impl IntoResponse, PanelError> {
    let token = panel.gate.begin(address, password, panel.clock.monotonic()).await?;
    Ok((set_cookie(&token, sessions::LASTS), Json(json!({"signed_in": true, "password_set": true}))))
}

/// `POST /api/sign-out`
pub(super) async fn sign_out(State(panel): Site, headers: HeaderMap) -> impl IntoResponse {
    if let Some(token) = token(&headers) {
        panel.gate.sessions.end(token);
    }
    (StatusCode::NO_CONTENT, set_cookie("", Duration::ZERO))
}

/// `GET /api/session`
pub(super) async fn show_session(State(panel): Site, headers: HeaderMap) -> Result<Json<Value>, PanelError> {
    let hash = panel.gate.password().await?;
    let signed_in = hash.as_ref().is_some_and(|hash| panel.gate.knows(&headers, hash, panel.clock.monotonic()));
    Ok(Json(json!({"signed_in": signed_in, "password_set": hash.is_some()})))
}

impl FromRequestParts<Arc<Panel>> for SignedIn {
    type Rejection = PanelError;

    async fn from_request_parts(parts: &mut Parts, panel: &Arc<Panel>) -> Result<Self, PanelError> {
        let hash = panel.gate.password().await?.ok_or(PanelError::NoPassword)?;
        let signed_in = panel.gate.knows(&parts.headers, &hash, panel.clock.monotonic());
        if signed_in { Ok(SignedIn) } else { Err(PanelError::SignInFirst) }
    }
}

impl Gate {
    /// A way in by the password whose hash is in this folder.
    pub fn new(dir: PathBuf) -> Self {
        let hashing = Arc::new(Semaphore::new(1));
        Gate { dir, sessions: Sessions::default(), throttle: Mutex::default(), hashing }
    }

    /// The password as it is now.
    async fn password(&self) -> Result<Option<Hash>, PanelError> {
        let dir = self.dir.clone();
        let loaded = spawn_blocking(move || passwd::load(&dir).map_err(|error| error.to_string())).await;
        loaded.map_err(|error| error.to_string()).flatten().map_err(PanelError::Internal)
    }

    fn knows(&self, headers: &HeaderMap, hash: &Hash, now: Duration) -> bool {
        token(headers).is_some_and(|token| self.sessions.is_open(token, hash.fingerprint(), now))
    }

    async fn begin(&self, address: IpAddr, password: String, now: Duration) -> Result<String, PanelError> {
        let hash = self.password().await?.ok_or(PanelError::NoPassword)?;
        let throttle = || self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle().attempt(address, now).map_err(PanelError::TooMany)?;
        let place = Arc::clone(&self.hashing).acquire_owned().await.expect("the semaphore is never closed");
        let fingerprint = hash.fingerprint();
        let fits = spawn_blocking(move || {
            let _place = place;
            hash.fits(&password)
        });
        if !fits.await.map_err(|error| PanelError::Internal(error.to_string()))? {
            tracing::warn!("a sign-in at the panel was refused: another password");
            return Err(PanelError::WrongPassword);
        }
        throttle().succeed(address);
        tracing::info!("somebody signed in at the panel");
        Ok(self.sessions.begin(fingerprint, now))
    }
}

/// The token that a request brings.
fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token)
}

fn set_cookie(token: &str, lasts: Duration) -> [(HeaderName, HeaderValue); 1] {
    let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", lasts.as_secs());
    [(header::SET_COOKIE, HeaderValue::try_from(cookie).expect("a token is hexadecimal"))]
}
