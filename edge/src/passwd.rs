//! The password of the panel: what lets a technician change something. Kept as a hash of Argon2id with
//! 19 MiB, two passes and one lane, beside the store; read at each use, so that a new one holds at once.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};

use crate::private_file;

/// Shortest and longest password, in characters.
pub const LENGTH: RangeInclusive<usize> = 10..=128;
/// Name of the hash in the store's folder.
const FILE: &str = "panel.password";
/// Most bytes of it: a hash as text has about a hundred.
const FILE_BYTES_MAX: u64 = 1_024;

const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of a password, as text with its salt and parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

/// Why there is no password, or no new one.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// Too short or too long.
    #[error("a password has {} to {} characters, this one has {found}", LENGTH.start(), LENGTH.end())]
    Length {
        /// How many it has.
        found: usize,
    },
    /// The file cannot be read or written.
    #[error("the password cannot be kept in {}: {cause}; make store.dir writable for whoever runs this", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{} is no hash of a password; set a new one: riverwatts-edge passwd", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
}

/// Keeps the hash of a password in the store's folder.
///
/// # Errors
/// When it is too short or too long, or the folder is not writable.
pub fn set(dir: &Path, password: &str) -> Result<(), PasswdError> {
    let found = password.chars().count();
    if !LENGTH.contains(&found) {
        return Err(PasswdError::Length { found });
    }
    private_file::save(dir, FILE, Hash::of(password).0.as_bytes()).map_err(file(dir))
}

/// Removes the password; gives whether there was one.
///
/// # Errors
/// When the folder is not writable.
pub fn remove(dir: &Path) -> Result<bool, PasswdError> {
    private_file::remove(dir, FILE).map_err(file(dir))
}

/// The hash in the store's folder, if a password was set.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn load(dir: &Path) -> Result<Option<Hash>, PasswdError> {
    let path = dir.join(FILE);
    let text = match private_file::read(&path, FILE_BYTES_MAX) {
        Ok(bytes) => String::from_utf8(bytes).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(PasswdError::File { path, cause }),
    };
    match text.filter(|text| PasswordHash::new(text).is_ok()) {
        Some(text) => Ok(Some(Hash(text))),
        None => Err(PasswdError::Broken { path }),
    }
}

fn file(dir: &Path) -> impl FnOnce(io::Error) -> PasswdError {
    let path = dir.join(FILE);
    move |cause| PasswdError::File { path, cause }
}

impl Hash {
    fn of(password: &str) -> Self {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the operating system gives random bytes");
        let salt = SaltString::encode_b64(&salt).expect("16 bytes are a valid salt");
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's limits");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Hash(argon2.hash_password(password.as_bytes(), &salt).expect("a bounded password and a valid salt").to_string())
    }

    /// Whether the password belongs to it. Takes a good part of a second and 19 MiB.
    pub fn fits(&self, password: &str) -> bool {
        let hash = PasswordHash::new(&self.0);
        hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// Tells this hash from every other one.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_password_that_was_set_last_fits_and_the_file_is_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        assert_eq!(load(&dir).unwrap(), None);
        let mut seen = Vec::new();
        for password in ["correct horse", "battery staple"] {
            set(&dir, password).unwrap();
            let hash = load(&dir).unwrap().unwrap();
            assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
            let fits = ["correct horse", "battery staple", ""].map(|tried| hash.fits(tried));
            assert_eq!(fits, [password == "correct horse", password == "battery staple", false]);
            seen.push(hash.fingerprint());
        }
        assert_ne!(seen[0], seen[1]);
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert_eq!((remove(&dir).unwrap(), remove(&dir).unwrap(), load(&dir).unwrap()), (true, false, None));
    }

    #[test]
    fn a_password_has_ten_to_128_characters_and_a_file_that_is_no_hash_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (length, well) in [(9, false), (10, true), (128, true), (129, false)] {
            assert_eq!(set(folder.path(), &"ä".repeat(length)).is_ok(), well, "{length}");
        }
        for broken in [b"".as_slice(), b"correct horse", &[0xFF; 40], &[b'$'; 2_000]] {
            fs::write(folder.path().join(FILE), broken).unwrap();
            assert!(matches!(load(folder.path()), Err(PasswdError::Broken { .. })));
        }
    }
}
