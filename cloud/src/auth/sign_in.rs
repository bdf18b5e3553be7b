//! The sign-in of a person: from password to tokens, from token to token, to the end.

use riverwatts_shared::time::UtcMs;
use uuid::Uuid;

use super::throttle::Throttled;
use super::token::TokenError;
use super::{Auth, secret};
use crate::db::column::At;
use crate::db::{Db, DbError};
use crate::store::sessions::{self, NewToken, Refreshed};
use crate::store::users::{self, User};

/// Failures per e-mail address and caller in a quarter of an hour.
const FAILURES_PER_ACCOUNT_MAX: u32 = 10;
/// Failures per caller in a quarter of an hour, over all accounts.
const FAILURES_PER_CALLER_MAX: u32 = 100;

/// A signed-in user with new tokens.
#[derive(Debug)]
pub struct SignedInTokens {
    /// Who.
    pub user: User,
    /// For the header `Authorization`.
    pub access_token: String,
    /// For the next tokens.
    pub refresh_token: String,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown user, wrong password, deactivated: the caller does not learn which.
    #[error("invalid email or password")]
    WrongCredentials,
    /// The refresh token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Too many failures.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Signs in by password. `caller` is the network address, which the throttle counts by.
pub async fn sign_in(
    auth: &Auth,
    db: &Db,
    email: &str,
    password: String,
    caller: &str,
    now: UtcMs,
) -> Result<SignedInTokens, SignInError> {
    let email = email.trim().to_lowercase();
    let account = format!("{caller} {email}");
    auth.throttle.attempt(caller, FAILURES_PER_CALLER_MAX, now)?;
    auth.throttle.attempt(&account, FAILURES_PER_ACCOUNT_MAX, now)?;
    let (user, hash) = users::find_for_sign_in(db, &email).await?.unzip();
    let fits = auth.passwords.verify(password, hash).await;
    let user = user.filter(|user| fits && user.is_active).ok_or(SignInError::WrongCredentials)?;
    auth.throttle.succeed(caller);
    auth.throttle.succeed(&account);
    let (refresh_token, stored) = new_refresh_token(auth, user.id, now);
    let session_id = sessions::start(db, user.id, &stored, now).await?;
    let user = User { last_login: Some(At(now)), ..user };
    let access_token = auth.tokens.issue_access(&user, session_id, now);
    Ok(SignedInTokens { user, access_token, refresh_token })
}

/// Trades a refresh token for new tokens. A token that was used before ends the whole session.
pub async fn refresh(auth: &Auth, db: &Db, token: &str, now: UtcMs) -> Result<SignedInTokens, SignInError> {
    let payload = auth.tokens.read_refresh(token, now)?;
    let (refresh_token, stored) = new_refresh_token(auth, payload.user_id, now);
    match sessions::refresh(db, &secret::hash(&payload.token_id), &stored, now).await? {
        Refreshed::Renewed { user, session_id } => {
            let access_token = auth.tokens.issue_access(&user, session_id, now);
            Ok(SignedInTokens { user: *user, access_token, refresh_token })
        }
        Refreshed::Reused { session_id } => {
            tracing::warn!(user_id = %payload.user_id, "a refresh token was used again; its session ended");
            end_access(auth, &[session_id], now);
            Err(TokenError::Invalid.into())
        }
        Refreshed::Refused => Err(TokenError::Invalid.into()),
    }
}

/// Whose session a refresh token belongs to. Nothing changes by looking at it.
pub async fn recognise(auth: &Auth, db: &Db, token: &str, now: UtcMs) -> Result<Option<(User, Uuid)>, DbError> {
    let Ok(payload) = auth.tokens.read_refresh(token, now) else { return Ok(None) };
    sessions::find(db, &secret::hash(&payload.token_id), now).await
}

/// Ends a session.
pub async fn sign_out(auth: &Auth, db: &Db, session_id: Uuid, now: UtcMs) -> Result<(), DbError> {
    sessions::revoke(db, session_id, now).await?;
    end_access(auth, &[session_id], now);
    Ok(())
}

/// Ends the access tokens of sessions that ended in the database.
pub fn end_access(auth: &Auth, sessions: &[Uuid], now: UtcMs) {
    for &session_id in sessions {
        auth.revoked.end(session_id, now, auth.tokens.access_lives());
    }
}

fn new_refresh_token(auth: &Auth, user_id: Uuid, now: UtcMs) -> (String, NewToken) {
    let (token, payload) = auth.tokens.issue_refresh(user_id, now);
    (token, NewToken { hash: secret::hash(&payload.token_id), expires_at: UtcMs(payload.exp * 1_000) })
}
