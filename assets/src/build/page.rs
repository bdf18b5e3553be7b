//! `index.html`: its styles put in, its addresses written out, cut at the places of the program.

use sha2::{Digest, Sha256};

use super::BuildError;
use super::compress::base64;
use super::tree::Tree;

/// Becomes the prefix of the files' addresses.
const PREFIX: &str = "{{assets}}";
/// Becomes the modules to fetch ahead.
const PRELOAD: &str = "<!--preload-->";
/// Becomes the first values.
const FIRST: &str = "<!--first-->";
/// `<!--style a.css b.css-->` becomes a style element with these files.
const STYLE: &str = "<!--style ";

/// The parts of [`crate::Page`], and the hash that its addresses have.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) hash: String,
    pub(super) head: String,
    pub(super) middle: String,
    pub(super) tail: String,
    pub(super) preloads: Vec<(String, String)>,
    pub(super) style_sources: String,
}

/// `views` are routes with the modules of their first view.
pub(super) fn cut(tree: &Tree, views: &[(&str, Vec<&str>)]) -> Result<Cut, BuildError> {
    let hash = tree.hash();
    let prefix = format!("/assets/{hash}");
    let (html, style_sources) = put_styles_in(tree, &tree.index)?;
    let html = html.replace(PREFIX, &prefix);
    let (head, rest) = html.split_once(PRELOAD).ok_or(BuildError::Place { place: PRELOAD })?;
    let (middle, tail) = rest.split_once(FIRST).ok_or(BuildError::Place { place: FIRST })?;
    let link = |path: &&str| format!("<link rel=\"modulepreload\" href=\"{prefix}/{path}\">");
    let links = |paths: &[&str]| paths.iter().map(link).collect::<Vec<_>>().join("\n");
    Ok(Cut {
        hash,
        head: head.to_owned(),
        middle: middle.to_owned(),
        tail: tail.to_owned(),
        preloads: views.iter().map(|(route, paths)| ((*route).to_owned(), links(paths))).collect(),
        style_sources,
    })
}

/// The page with its style elements, and their hashes for the content policy.
fn put_styles_in(tree: &Tree, html: &str) -> Result<(String, String), BuildError> {
    let mut parts = html.split(STYLE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut sources = Vec::new();
    for part in parts {
        let (paths, rest) = part.split_once("-->").ok_or(BuildError::Place { place: "the end of <!--style" })?;
        let mut style = String::new();
        for path in paths.split_whitespace() {
            style.push_str(tree.text(path).ok_or_else(|| BuildError::NoStyle { path: path.to_owned() })?);
        }
        sources.push(format!("'sha256-{}'", base64(&Sha256::digest(&style))));
        out.push_str(&format!("<style>{style}</style>{rest}"));
    }
    Ok((out, sources.join(" ")))
}
