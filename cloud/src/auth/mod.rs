//! Who is asking: passwords, tokens, sessions and their end, gateways' credentials.
//! What they may see is [`crate::store::Sight`].

pub mod password;
pub mod revoked;
pub mod secret;
pub mod sign_in;
pub mod throttle;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::time::UtcMs;

use crate::db::recent::Recent;
use crate::store::gateways::Gateway;
use password::Passwords;
use revoked::Revoked;
use throttle::Throttle;
use token::{AccessPayload, TokenError, Tokens};

/// Everything that sign-in needs besides the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Makes and reads access and refresh tokens.
    pub tokens: Arc<Tokens>,
    /// Sessions whose access tokens count no more.
    pub revoked: Arc<Revoked>,
    /// Slows down guessing of passwords and codes.
    pub throttle: Arc<Throttle>,
    /// Gateways by the hash of the credential that they showed a moment ago.
    pub gateways: Arc<Recent<String, Gateway>>,
}

/// Secrets and lifetimes of tokens.
#[derive(Clone)]
pub struct AuthSettings {
    /// Signs access tokens.
    pub jwt_secret: Vec<u8>,
    /// Signs refresh tokens; never equal to `jwt_secret`.
    pub jwt_refresh_secret: Vec<u8>,
    /// Life of an access token.
    pub access_lives: Duration,
    /// Life of a refresh token.
    pub refresh_lives: Duration,
}

impl std::fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthSettings")
            .field("access_lives", &self.access_lives)
            .field("refresh_lives", &self.refresh_lives)
            .finish_non_exhaustive()
    }
}

impl Auth {
    /// Sign-in with these secrets.
    pub fn new(settings: &AuthSettings) -> Auth {
        Auth {
            passwords: Passwords::default(),
            tokens: Arc::new(Tokens::new(settings)),
            revoked: Arc::default(),
            throttle: Arc::default(),
            gateways: Arc::default(),
        }
    }

    /// The payload of an access token that is good at `now` and whose session goes on.
    pub fn read_access(&self, token: &str, now: UtcMs) -> Result<AccessPayload, TokenError> {
        let payload = self.tokens.read_access(token, now)?;
        if self.revoked.contains(payload.session_id) { Err(TokenError::Invalid) } else { Ok(payload) }
    }
}
