//! From a request to the file, in the smallest form that the caller takes (RFC 9110, 12.5.3 and
//! 13.1.2).

use crate::{Asset, Assets};

/// The address has the hash of all files, so what it gives never changes.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Names in small letters.
    pub headers: Vec<(&'static str, &'static str)>,
    /// `None` when the caller has it (304).
    pub body: Option<&'static [u8]>,
}

impl Assets {
    /// The file at `/assets/<hash>/<path>`, for a caller with these headers `Accept-Encoding` and
    /// `If-None-Match`. `None`: there is no such file, or the hash is another program's.
    pub fn answer(&self, hash: &str, path: &str, accept_encoding: &str, if_none_match: &str) -> Option<Answer> {
        let at = self.files.binary_search_by(|file| file.path.cmp(path)).ok().filter(|_| hash == self.hash)?;
        let mut headers = vec![("etag", self.etag), ("cache-control", CACHE_CONTROL), ("vary", "accept-encoding")];
        if self.is_known(if_none_match) {
            return Some(Answer { headers, body: None });
        }
        let (encoding, bytes) = self.files[at].encoded(accept_encoding);
        headers.push(("content-type", self.files[at].media_type));
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
        Some(Answer { headers, body: Some(bytes) })
    }

    /// Whether one of these tags is that of all files; weak or strong makes no difference here.
    fn is_known(&self, tags: &str) -> bool {
        let strong = |tag: &'static str| tag.strip_prefix("W/").unwrap_or(tag);
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == strong(self.etag))
    }
}

impl Asset {
    /// Name of the encoding, unless it is the file as it is, and its bytes.
    fn encoded(&self, accept_encoding: &str) -> (Option<&'static str>, &'static [u8]) {
        for (name, bytes) in [("br", self.brotli), ("gzip", self.gzip)] {
            if let Some(bytes) = bytes.filter(|_| takes(accept_encoding, name)) {
                return (Some(name), bytes);
            }
        }
        (None, self.plain)
    }
}

/// Whether a header `Accept-Encoding` takes this encoding. What it does not name counts by its `*`.
pub fn takes(accept_encoding: &str, encoding: &str) -> bool {
    let mut others = false;
    for part in accept_encoding.split(',') {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
        match name.trim() {
            name if name.eq_ignore_ascii_case(encoding) => return weight > 0.0,
            "*" => others = weight > 0.0,
            _ => {}
        }
    }
    others
}
