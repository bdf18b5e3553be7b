//! A gateway's `edge.toml` as it is sent to the cloud: its text without secrets, known by its version.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Longest text, in bytes.
pub const BYTES_MAX: usize = 256 << 10;
/// What stands in place of a secret.
pub const REMOVED: &str = "[removed]";

/// What names something that nobody else is to know, wherever it stands in the name of a key or in a comment.
const SECRETIVE: [&str; 9] =
    ["password", "passwd", "passphrase", "passwort", "secret", "token", "credential", "api_key", "private_key"];

/// The version of a text: the first half of its SHA-256.
pub fn version(text: &str) -> Uuid {
    let hash = Sha256::digest(text.as_bytes());
    let half = hash[..16].try_into().expect("SHA-256 has 32 bytes");
    Builder::from_custom_bytes(half).into_uuid()
}

/// The text without secrets: none in addresses (`scheme://user:password@`), no values of keys and no
/// comments that are named like one. No key of `edge.toml` holds any today; people write more than that.
pub fn without_secrets(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.split_at(line.trim_end_matches(['\r', '\n']).len());
        clean.push_str(&without_logins(&without_values(body)));
        clean.push_str(end);
    }
    clean
}

/// A line of which values and comments that are named like secrets are taken away.
fn without_values(line: &str) -> String {
    let (code, comment) = line.split_at(comment_at(line).unwrap_or(line.len()));
    let mut clean = match code.split_once('=') {
        Some((key, _)) if is_secretive(key) => format!("{key}= \"{REMOVED}\" "),
        _ => code.to_owned(),
    };
    clean.push_str(&if is_secretive(comment) { format!("# {REMOVED}") } else { comment.to_owned() });
    clean
}

fn is_secretive(text: &str) -> bool {
    let text = text.to_lowercase().replace(['-', ' '], "_");
    SECRETIVE.iter().any(|word| text.contains(word))
}

/// Where the comment of a line begins: at the first `#` outside of strings.
fn comment_at(line: &str) -> Option<usize> {
    let (mut open, mut escaped) = (None, false);
    for (at, c) in line.char_indices() {
        match open {
            None if c == '#' => return Some(at),
            None if matches!(c, '"' | '\'') => open = Some(c),
            Some('"') if c == '\\' && !escaped => {
                escaped = true;
                continue;
            }
            Some(quote) if c == quote && !escaped => open = None,
            _ => {}
        }
        escaped = false;
    }
    None
}

/// A line whose addresses name nobody.
fn without_logins(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#'));
        let authority = &after[..authority.unwrap_or(after.len())];
        rest = after;
        if let Some(login) = authority.rfind('@') {
            clean.push_str(REMOVED);
            rest = &after[login..];
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_behind_and_all_else_is_as_it_was() {
        for (text, clean) in [
            (
                "[site]\r\nname = \"Secret Creek # 1\" # token of love\r\n",
                "[site]\r\nname = \"Secret Creek # 1\" # [removed]\r\n",
            ),
            ("url = \"https://cloud.example/a@b\"\n", "url = \"https://cloud.example/a@b\"\n"),
            (
                "url = \"https://me:hush@cloud.example\" # or http://you@x",
                "url = \"https://[removed]@cloud.example\" # or http://[removed]@x",
            ),
            ("url = 'https://me:p@ss@cloud.example'", "url = 'https://[removed]@cloud.example'"),
            ("api-key = \"hush\"", "api-key = \"[removed]\" "),
            ("# the panel's Password is hush\nkey = \"a\"\n", "# [removed]\nkey = \"a\"\n"),
            ("name = \"a \\\" # b\" # c", "name = \"a \\\" # b\" # c"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(text), clean, "{text}");
            assert_eq!(without_secrets(clean), clean, "once is enough");
        }
    }

    #[test]
    fn versions_are_those_of_the_text() {
        assert_eq!(version("a").to_string(), "ca978112-ca1b-8dca-bac2-31b39a23dc4d");
        assert_ne!(version("a"), version("a\n"));
    }
}
