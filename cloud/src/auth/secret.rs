//! Secrets that machines remember: credentials, enrollment codes, token ids. They are random, so a
//! plain hash of them is enough to store.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// How a gateway's credential begins, to tell it from an access token (and to find leaked ones).
pub const CREDENTIAL_PREFIX: &str = "rwg_";
/// Crockford's base 32: no letters that people mistake for each other.
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code: 80 bits.
const CODE_LENGTH: usize = 16;

/// `N` random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new credential of a gateway: 256 random bits.
pub fn new_credential() -> String {
    format!("{CREDENTIAL_PREFIX}{}", hex(&random::<32>()))
}

/// A new enrollment code, like `4F2K-9QXT-0B7M-ZZ31`.
pub fn new_code() -> String {
    let mut code = String::with_capacity(CODE_LENGTH + 3);
    for (i, byte) in random::<CODE_LENGTH>().into_iter().enumerate() {
        if i > 0 && i % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(CODE_ALPHABET[usize::from(byte % 32)]));
    }
    code
}

/// The hash of a code as typed: case, spaces and hyphens do not matter.
pub fn hash_code(typed: &str) -> String {
    let code: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
    hash(&code)
}

/// SHA-256 in hexadecimal.
pub fn hash(secret: &str) -> String {
    hash_bytes(secret.as_bytes())
}

/// SHA-256 of bytes in hexadecimal.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_holds_however_it_is_typed() {
        let code = new_code();
        assert_eq!(code.len(), 19);
        assert_eq!(hash_code(&code), hash_code(&format!(" {} ", code.to_lowercase().replace('-', " "))));
        assert_ne!(hash_code(&code), hash_code(&new_code()));
    }
}
