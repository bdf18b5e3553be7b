//! Access and refresh tokens: JWT with HS256, the plan's payloads. The two are signed by different
//! secrets, so that neither can pass as the other.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::UserRole;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::AuthSettings;
use crate::store::users::User;

/// Payload of an access token; times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the plan's names")]
pub struct AccessPayload {
    pub user_id: Uuid,
    pub email: String,
    pub role: UserRole,
    /// What the role may do, for clients that show or hide things; see [`permissions`].
    pub permissions: Vec<String>,
    /// The sign-in it belongs to; when that ends, the token counts no more.
    pub session_id: Uuid,
    pub iat: i64,
    pub exp: i64,
}

/// Payload of a refresh token; times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the plan's names")]
pub struct RefreshPayload {
    pub user_id: Uuid,
    /// Only its hash is stored.
    pub token_id: String,
    pub iat: i64,
    pub exp: i64,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Forged, damaged, or of another kind.
    #[error("token invalid")]
    Invalid,
    /// It was good once.
    #[error("token expired")]
    Expired,
}

/// Makes and reads tokens.
pub struct Tokens {
    access: Keys,
    refresh: Keys,
    validation: Validation,
    access_lives: Duration,
    refresh_lives: Duration,
}

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Keys {
    fn new(secret: &[u8]) -> Keys {
        Keys { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }

    fn sign(&self, payload: &impl Serialize) -> String {
        encode(&Header::new(Algorithm::HS256), payload, &self.encoding).expect("HMAC signs any bytes")
    }
}

impl Tokens {
    /// Tokens of these secrets and lifetimes.
    pub fn new(settings: &AuthSettings) -> Tokens {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked here, by the service's own clock.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Tokens {
            access: Keys::new(&settings.jwt_secret),
            refresh: Keys::new(&settings.jwt_refresh_secret),
            validation,
            access_lives: settings.access_lives,
            refresh_lives: settings.refresh_lives,
        }
    }

    /// Life of an access token.
    pub fn access_lives(&self) -> Duration {
        self.access_lives
    }

    /// Life of a refresh token.
    pub fn refresh_lives(&self) -> Duration {
        self.refresh_lives
    }

    /// An access token for this user's session.
    pub fn issue_access(&self, user: &User, session_id: Uuid, now: UtcMs) -> String {
        let iat = now.0.div_euclid(1_000);
        self.access.sign(&AccessPayload {
            user_id: user.id,
            email: user.email.clone(),
            role: user.role.0,
            permissions: permissions(user.role.0).iter().map(|&word| word.to_owned()).collect(),
            session_id,
            iat,
            exp: iat + self.access_lives.as_secs() as i64,
        })
    }

    /// A refresh token and its payload.
    pub fn issue_refresh(&self, user_id: Uuid, now: UtcMs) -> (String, RefreshPayload) {
        let iat = now.0.div_euclid(1_000);
        let payload = RefreshPayload {
            user_id,
            token_id: Uuid::new_v4().to_string(),
            iat,
            exp: iat + self.refresh_lives.as_secs() as i64,
        };
        (self.refresh.sign(&payload), payload)
    }

    /// The payload of an access token that is good at `now`.
    pub fn read_access(&self, token: &str, now: UtcMs) -> Result<AccessPayload, TokenError> {
        let payload: AccessPayload = self.read(token, &self.access)?;
        unexpired(payload.exp, now).map(|()| payload)
    }

    /// The payload of a refresh token that is good at `now`.
    pub fn read_refresh(&self, token: &str, now: UtcMs) -> Result<RefreshPayload, TokenError> {
        let payload: RefreshPayload = self.read(token, &self.refresh)?;
        unexpired(payload.exp, now).map(|()| payload)
    }

    fn read<T: DeserializeOwned>(&self, token: &str, keys: &Keys) -> Result<T, TokenError> {
        decode(token, &keys.decoding, &self.validation).map(|data| data.claims).map_err(|_| TokenError::Invalid)
    }
}

fn unexpired(exp: i64, now: UtcMs) -> Result<(), TokenError> {
    if exp.saturating_mul(1_000) > now.0 { Ok(()) } else { Err(TokenError::Expired) }
}

/// What a role may do beyond its own account, as words for clients. The server decides by role.
pub const fn permissions(role: UserRole) -> &'static [&'static str] {
    match role {
        UserRole::Admin => &["records:read", "records:write", "users:read", "users:write"],
        UserRole::Technician | UserRole::Viewer | UserRole::Customer => &["records:read"],
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::time::UtcMs;

    use super::*;
    use crate::db::column::{At, Object, Word};

    fn tokens() -> Tokens {
        Tokens::new(&AuthSettings {
            jwt_secret: vec![1; 32],
            jwt_refresh_secret: vec![2; 32],
            access_lives: Duration::from_secs(900),
            refresh_lives: Duration::from_secs(3_600),
        })
    }

    fn user() -> User {
        User {
            id: Uuid::from_u128(7),
            email: "a@b.example".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            role: Word(UserRole::Viewer),
            is_active: true,
            email_verified: false,
            last_login: None,
            created_at: At(UtcMs(0)),
            updated_at: At(UtcMs(0)),
            created_by: None,
            metadata: Word(Object::default()),
        }
    }

    #[test]
    fn a_token_is_good_until_its_second_and_only_as_what_it_is() {
        let tokens = tokens();
        let access = tokens.issue_access(&user(), Uuid::nil(), UtcMs(1_000_000));
        assert_eq!(tokens.read_access(&access, UtcMs(1_899_999)).map(|payload| payload.role), Ok(UserRole::Viewer));
        assert_eq!(tokens.read_access(&access, UtcMs(1_900_000)), Err(TokenError::Expired));
        assert_eq!(tokens.read_refresh(&access, UtcMs(1_000_000)), Err(TokenError::Invalid));
        let (refresh, _) = tokens.issue_refresh(Uuid::nil(), UtcMs(1_000_000));
        assert_eq!(tokens.read_access(&refresh, UtcMs(1_000_000)), Err(TokenError::Invalid));
    }

    #[test]
    fn an_unsigned_or_resigned_token_is_invalid() {
        let tokens = tokens();
        let payload = "eyJ1c2VyX2lkIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIn0";
        for forged in [format!("eyJhbGciOiJub25lIn0.{payload}."), format!("eyJhbGciOiJIUzI1NiJ9.{payload}.AAAA")] {
            assert_eq!(tokens.read_access(&forged, UtcMs(0)), Err(TokenError::Invalid));
        }
    }
}
