//! The table as Rust code, beside the files that it includes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::BuildError;
use super::compress::{brotli, gzip};
use super::page::Cut;
use super::tree::Tree;

pub(super) fn write(tree: &Tree, page: &Cut, out: &Path) -> Result<(), BuildError> {
    let mut files = String::new();
    for (number, (path, (media_type, plain))) in tree.files.iter().enumerate() {
        let include = |kind: &str, bytes: &[u8]| -> Result<String, BuildError> {
            let name = format!("asset{number}.{kind}");
            put(&out.join(&name), bytes)?;
            Ok(format!("include_bytes!({name:?})"))
        };
        let smaller = |kind: &str, bytes: Option<Vec<u8>>| match bytes {
            Some(bytes) => include(kind, &bytes).map(|include| format!("Some({include})")),
            None => Ok("None".to_owned()),
        };
        let (plain, brotli, gzip) =
            (include("plain", plain)?, smaller("br", brotli(plain))?, smaller("gz", gzip(plain))?);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            files,
            "riverwatts_assets::Asset {{ path: {path:?}, media_type: {media_type:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},"
        );
    }
    let Cut { hash, head, middle, tail, preloads, style_sources } = page;
    let code = format!(
        "/// The pages' files, as they were when the program was built.\npub static ASSETS: riverwatts_assets::Assets = \
         riverwatts_assets::Assets {{ hash: {hash:?}, etag: {etag:?}, files: &[\n{files}], page: riverwatts_assets::Page {{ \
         head: {head:?}, middle: {middle:?}, tail: {tail:?}, preloads: &{preloads:?}, style_sources: {style_sources:?} }} }};\n",
        etag = format!("W/\"{}\"", hash),
    );
    put(&out.join("assets.rs"), code.as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    fs::write(path, bytes).map_err(|source| BuildError::Io { path: path.display().to_string(), source })
}
