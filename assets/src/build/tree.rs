//! The merged files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{BuildError, comments};

/// Bytes of the hash in the address: enough that no two trees of one program share it.
const HASH_BYTES: usize = 8;
/// What is served, by its ending; types, tests and licences stay at home.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("webmanifest", "application/manifest+json"),
];
/// How an address starts where something is fetched from: a bare one in a comment harms nobody.
const OUTSIDE: &[&str] = &["\"", "'", "`", "=", "url("];
/// What makes markup of text; libraries have it for others, so they are left out.
const MARKUP: &[&str] = &["innerHTML", "outerHTML", "InnerHTML", "insertAdjacentHTML", "document.write"];
/// Where libraries stand.
const VENDOR: &str = "vendor/";
/// Names of vocabularies, which nobody fetches.
const NAMESPACES: &str = "http://www.w3.org/";

/// Files by path, `/` between the parts.
#[derive(Debug)]
pub(super) struct Tree {
    /// What is served, with its media type.
    pub(super) files: BTreeMap<String, (&'static str, Vec<u8>)>,
    /// The page.
    pub(super) index: String,
}

impl Tree {
    pub(super) fn read(folders: &[&str]) -> Result<Tree, BuildError> {
        let mut tree = Tree { files: BTreeMap::new(), index: String::new() };
        for folder in folders {
            tree.add(Path::new(folder), "")?;
        }
        for (path, (_, bytes)) in &tree.files {
            if !path.ends_with(".png") {
                check(path, text(path, bytes)?)?;
            }
        }
        check("index.html", &tree.index)?;
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, below: &str) -> Result<(), BuildError> {
        let failed = |source| BuildError::Io { path: folder.display().to_string(), source };
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(failed)?.is_dir() {
                self.add(&entry.path(), &format!("{path}/"))?;
                continue;
            }
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            let media_type = MEDIA_TYPES.iter().find(|(of, _)| *of == ending).map(|(_, media_type)| *media_type);
            if path == "index.html" {
                let bytes = fs::read(entry.path()).map_err(failed)?;
                self.index = text(&path, &bytes)?.to_owned();
            } else if let Some(media_type) = media_type {
                let mut bytes = fs::read(entry.path()).map_err(failed)?;
                if matches!(ending, "css" | "js") && !path.starts_with(VENDOR) {
                    bytes = comments::left_out(text(&path, &bytes)?).into_bytes();
                }
                if self.files.insert(path.clone(), (media_type, bytes)).is_some() {
                    return Err(BuildError::Twice { path });
                }
            }
        }
        Ok(())
    }

    /// The text of a served file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|(_, bytes)| std::str::from_utf8(bytes).ok())
    }

    /// Of every path and every byte.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (path, (_, bytes)) in &self.files {
            for part in [path.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize()[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn text<'b>(path: &str, bytes: &'b [u8]) -> Result<&'b str, BuildError> {
    std::str::from_utf8(bytes).map_err(|_| BuildError::NoText { path: path.to_owned() })
}

/// Refuses addresses of other hosts, and markup that is made of text.
fn check(path: &str, text: &str) -> Result<(), BuildError> {
    if let Some(word) = MARKUP.iter().find(|word| text.contains(**word) && !path.starts_with(VENDOR)) {
        return Err(BuildError::Markup { path: path.to_owned(), word });
    }
    for scheme in ["http://", "https://", "ws://", "wss://"] {
        for (at, _) in text.match_indices(scheme) {
            let address =
                text[at..].split(|c: char| c.is_whitespace() || "\"'`)>".contains(c)).next().unwrap_or(scheme);
            let fetched = OUTSIDE.iter().any(|start| text[..at].ends_with(start));
            // Behind the scheme of `wss://${host}` is no host.
            let named = address[scheme.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '[');
            if fetched && named && !address.starts_with(NAMESPACES) {
                return Err(BuildError::Outside { path: path.to_owned(), outside: address.to_owned() });
            }
        }
    }
    // Without a scheme: only where nothing else can be meant.
    for start in ["src=\"//", "href=\"//", "url(//", "from \"//", "import(\"//"] {
        if let Some((_, rest)) = text.split_once(start) {
            let host = rest.split(['"', ')']).next().unwrap_or_default();
            return Err(BuildError::Outside { path: path.to_owned(), outside: format!("//{host}") });
        }
    }
    Ok(())
}
