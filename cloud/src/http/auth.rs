//! `/auth`: sign-in of people. The refresh token is given in the body, for programs, and as a cookie
//! that scripts cannot read, for the page.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use riverwatts_shared::words::UserRole;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{created, single};
use super::check::Check;
use super::error::ApiError;
use super::extract::{Peer, SignedIn};
use super::request::{Body, parse_object, unreadable};
use super::{AppState, BODY_BYTES_MAX};
use crate::auth::sign_in::{self, SignedInTokens};
use crate::db::column::Object;
use crate::store::users::{self, NewUser, User};

/// Name of the cookie. Pages are written with the first values of its session.
const COOKIE: &str = "riverwatts_refresh";
/// Longest password that is looked at.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Registrations per caller in a quarter of an hour.
const REGISTRATIONS_MAX: u32 = 20;

/// Body of `POST /auth/login`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    email: String,
    password: String,
}

/// Body of `POST /auth/refresh`; empty when the cookie is there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

/// Body of `POST /auth/register`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    email: String,
    password: String,
    first_name: String,
    last_name: String,
}

/// Answer to a sign-in.
#[derive(Serialize, JsonSchema)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    /// Life of the access token in seconds.
    expires_in: u64,
    refresh_token: String,
    user: User,
}

/// Where a request comes from, for the throttle; unknown when there is no socket.
#[derive(Debug)]
pub struct CallerAddress(String);

impl<S: Sync> FromRequestParts<S> for CallerAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address = parts.extensions.get::<ConnectInfo<Peer>>();
        Ok(CallerAddress(address.map_or_else(String::new, |ConnectInfo(Peer(address))| address.ip().to_string())))
    }
}

impl CallerAddress {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `POST /auth/login`.
pub async fn login(
    State(app): State<AppState>,
    caller: CallerAddress,
    Body(Login { email, password }): Body<Login>,
) -> Result<Response, ApiError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(ApiError::auth_invalid());
    }
    let now = app.clock.wall();
    let tokens = sign_in::sign_in(&app.auth, &app.db, &email, password, caller.as_str(), now).await?;
    Ok(give(&app, tokens))
}

/// `POST /auth/refresh`.
pub async fn refresh(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|rejection| unreadable(&rejection, BODY_BYTES_MAX))?;
    let token = if body.is_empty() {
        cookie(&headers).ok_or_else(ApiError::auth_required)?.to_owned()
    } else {
        parse_object::<Refresh>(&body)?.refresh_token
    };
    let tokens = sign_in::refresh(&app.auth, &app.db, &token, app.clock.wall()).await?;
    Ok(give(&app, tokens))
}

/// `POST /auth/logout`.
pub async fn logout(person: SignedIn, State(app): State<AppState>) -> Result<Response, ApiError> {
    sign_in::sign_out(&app.auth, &app.db, person.session_id, app.clock.wall()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&app, &mut response, "", 0);
    Ok(response)
}

/// `POST /auth/register`: makes a customer, where that is switched on.
pub async fn register(
    State(app): State<AppState>,
    caller: CallerAddress,
    Body(body): Body<Register>,
) -> Result<Response, ApiError> {
    if !app.settings.registration {
        return Err(ApiError::forbidden("Registration is switched off; ask an administrator for an account"));
    }
    let mut check = Check::default();
    check.email(Some(&body.email));
    check.password("password", Some(&body.password));
    check.text("first_name", Some(&body.first_name), 100);
    check.text("last_name", Some(&body.last_name), 100);
    check.done()?;
    let now = app.clock.wall();
    app.auth.throttle.attempt(&format!("register {}", caller.as_str()), REGISTRATIONS_MAX, now)?;
    let new = NewUser {
        email: body.email.to_lowercase(),
        password_hash: app.auth.passwords.hash(body.password).await,
        first_name: body.first_name,
        last_name: body.last_name,
        role: UserRole::Customer,
        is_active: true,
        email_verified: false,
        created_by: None,
        metadata: Object::default(),
    };
    let user = users::create(&app.db, &new, now).await?;
    Ok(created(&format!("/users/{}", user.id), single(user.updated_at.0, &user)))
}

fn give(app: &AppState, tokens: SignedInTokens) -> Response {
    let lives = app.auth.tokens.refresh_lives().as_secs();
    let refresh_token = tokens.refresh_token.clone();
    let mut response = Json(Tokens {
        access_token: tokens.access_token,
        token_type: "Bearer",
        expires_in: app.auth.tokens.access_lives().as_secs(),
        refresh_token: tokens.refresh_token,
        user: tokens.user,
    })
    .into_response();
    set_cookie(app, &mut response, &refresh_token, lives);
    response
}

/// Not readable by scripts, never sent from other sites.
fn set_cookie(app: &AppState, response: &mut Response, token: &str, lives_s: u64) {
    let secure = if app.settings.secure_cookies { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; Max-Age={lives_s}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// The refresh token that a browser sends.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").finish_non_exhaustive()
    }
}
