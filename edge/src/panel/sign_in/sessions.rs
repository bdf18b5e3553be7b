//! Who is signed in: random tokens, of which memory has hashes only. They end after a time, with the
//! password that they began with, and with the program.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How long a session lasts: a day at the site.
pub(super) const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// Most sessions at once; the one that began first gives way.
const SESSIONS_MAX: usize = 16;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The open sessions, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Vec<Session>>);

#[derive(Debug)]
struct Session {
    token: [u8; 32],
    /// Fingerprint of the password's hash.
    password: [u8; 32],
    ends: Duration,
}

impl Sessions {
    /// Begins a session; gives its token.
    pub(super) fn begin(&self, password: [u8; 32], now: Duration) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let session = Session { token: hashed(&token), password, ends: now + LASTS };
        self.change(|sessions| {
            sessions.retain(|session| session.ends > now);
            if sessions.len() >= SESSIONS_MAX {
                sessions.remove(0);
            }
            sessions.push(session);
        });
        token
    }

    /// Whether the session of this token goes on, under this password.
    pub(super) fn is_open(&self, token: &str, password: [u8; 32], now: Duration) -> bool {
        let token = hashed(token);
        self.change(|sessions| {
            sessions.retain(|session| session.ends > now && session.password == password);
            sessions.iter().any(|session| session.token == token)
        })
    }

    /// Ends the session of this token.
    pub(super) fn end(&self, token: &str) {
        let token = hashed(token);
        self.change(|sessions| sessions.retain(|session| session.token != token));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Session>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn hashed(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: [u8; 32] = [1; 32];

    #[test]
    fn a_session_ends_with_its_time_its_password_and_its_sign_out() {
        let sessions = Sessions::default();
        let token = sessions.begin(PASSWORD, Duration::ZERO);
        assert_eq!(token.len(), 64);
        assert_ne!(token, sessions.begin(PASSWORD, Duration::ZERO));
        let last = LASTS - Duration::from_millis(1);
        assert!(sessions.is_open(&token, PASSWORD, last));
        assert!(!sessions.is_open(&token[1..], PASSWORD, last) && !sessions.is_open("", PASSWORD, last));
        assert!(!sessions.is_open(&token, PASSWORD, LASTS));
        let token = sessions.begin(PASSWORD, Duration::ZERO);
        sessions.end(&token);
        assert!(!sessions.is_open(&token, PASSWORD, Duration::ZERO));
        let token = sessions.begin(PASSWORD, Duration::ZERO);
        assert!(!sessions.is_open(&token, [2; 32], Duration::ZERO), "the password is another one");
        assert!(!sessions.is_open(&token, PASSWORD, Duration::ZERO), "and does not come back");
    }

    #[test]
    fn the_oldest_session_gives_way() {
        let sessions = Sessions::default();
        let tokens: Vec<String> = (0..=SESSIONS_MAX).map(|_| sessions.begin(PASSWORD, Duration::ZERO)).collect();
        let open = tokens.iter().filter(|token| sessions.is_open(token, PASSWORD, Duration::ZERO));
        assert_eq!(open.collect::<Vec<_>>(), tokens[1..].iter().collect::<Vec<_>>());
    }
}
