//! Who asks, as a parameter of the handler: a handler that takes one cannot be called without it.
//! It stands first among the parameters, so that nothing is said to somebody who may not ask.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, IF_MATCH};
use axum::http::request::Parts;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::UserRole;
use uuid::Uuid;

use super::AppState;
use super::error::ApiError;
use super::frame::RequestContext;
use crate::auth::secret::{self, CREDENTIAL_PREFIX};
use crate::db::recent::Asked;
use crate::store::Sight;
use crate::store::gateways::{self, Gateway};

/// The other end of the connection; handlers see it as `ConnectInfo<Peer>`.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A signed-in person of any role.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// Who.
    pub user_id: Uuid,
    /// What they may do.
    pub role: UserRole,
    /// Their sign-in.
    pub session_id: Uuid,
}

impl SignedIn {
    /// The sites they see.
    pub fn sight(&self) -> Sight {
        Sight::of(self.user_id)
    }
}

/// A signed-in admin; others are answered 403.
#[derive(Clone, Copy, Debug)]
pub struct Admin(pub SignedIn);

/// A signed-in admin or technician; others are answered 403.
#[derive(Clone, Copy, Debug)]
pub struct Technical(pub SignedIn);

/// An enrolled gateway that was not revoked.
#[derive(Clone, Debug)]
pub struct GatewayCaller(pub Gateway);

/// Either of them.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Signed in with a password.
    Person(SignedIn),
    /// Identified by its credential.
    Gateway(Gateway),
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts)?;
        let now = app.clock.wall();
        if token.starts_with(CREDENTIAL_PREFIX) {
            let gateway = authenticate(app, secret::hash(token), now).await?;
            app.presence.hear(&gateway, now);
            return Ok(Caller::Gateway(gateway));
        }
        let payload = app.auth.read_access(token, now)?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            context.set_user(payload.user_id);
        }
        Ok(Caller::Person(SignedIn { user_id: payload.user_id, role: payload.role, session_id: payload.session_id }))
    }
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Person(person) => Ok(person),
            Caller::Gateway(_) => Err(ApiError::permission_denied()),
        }
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let person = SignedIn::from_request_parts(parts, app).await?;
        if person.role == UserRole::Admin { Ok(Admin(person)) } else { Err(ApiError::permission_denied()) }
    }
}

impl FromRequestParts<AppState> for Technical {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let person = SignedIn::from_request_parts(parts, app).await?;
        match person.role {
            UserRole::Admin | UserRole::Technician => Ok(Technical(person)),
            UserRole::Viewer | UserRole::Customer => Err(ApiError::permission_denied()),
        }
    }
}

impl FromRequestParts<AppState> for GatewayCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Gateway(gateway) => Ok(GatewayCaller(gateway)),
            Caller::Person(_) => Err(ApiError::permission_denied()),
        }
    }
}

/// The gateway that this credential belongs to.
async fn authenticate(app: &AppState, credential_hash: String, now: UtcMs) -> Result<Gateway, ApiError> {
    if let Some(gateway) = app.auth.gateways.get(&credential_hash) {
        return Ok(gateway);
    }
    let asked = Asked::now();
    let gateway = gateways::authenticate(&app.db, &credential_hash, now).await?.ok_or_else(ApiError::auth_invalid)?;
    app.auth.gateways.put(asked, credential_hash, gateway.clone());
    Ok(gateway)
}

fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let value = parts.headers.get(AUTHORIZATION).ok_or_else(ApiError::auth_required)?;
    let text = value.to_str().map_err(|_| ApiError::auth_invalid())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(ApiError::auth_invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(ApiError::auth_invalid()) }
}

/// The version that `If-Match` names; `None` when any will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<UtcMs>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(IfMatch(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(IfMatch(None));
        }
        let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        // A tag that we never gave matches nothing.
        Ok(IfMatch(Some(UtcMs(version.and_then(|version| version.parse().ok()).unwrap_or(i64::MIN)))))
    }
}
