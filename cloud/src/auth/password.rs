//! Passwords: Argon2id with 19 MiB, two passes, one lane (OWASP's first choice), at most one hash
//! per core at a time, on threads that may block.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Shortest and longest password, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;

const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Checked when there is no such user, so that it takes as long as for one who exists.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now("nobody has this password"));

/// Hashes and checks passwords; cheap to clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    cores: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Passwords { cores: Arc::new(Semaphore::new(cores)) }
    }
}

impl Passwords {
    /// The hash of a password, with its salt and parameters, as PHC text.
    pub async fn hash(&self, password: String) -> String {
        self.run(move || hash_now(&password)).await
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long and is `false`.
    pub async fn verify(&self, password: String, hash: Option<String>) -> bool {
        self.run(move || {
            let exists = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.clone());
            let fits =
                PasswordHash::new(&hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
            fits && exists
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.cores).acquire_owned().await.expect("the semaphore is never closed");
        let done = spawn_blocking(move || {
            let result = work();
            drop(permit); // only when the work is done, also when nobody waits for it any more
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &str) -> String {
    let salt = SaltString::encode_b64(&super::secret::random::<16>()).expect("16 bytes are a valid salt");
    argon2().hash_password(password.as_bytes(), &salt).expect("a bounded password and a valid salt").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_somebody_fits() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".to_owned()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await);
        assert!(!passwords.verify("battery staple".to_owned(), Some(hash)).await);
        assert!(!passwords.verify("nobody has this password".to_owned(), None).await);
    }
}
