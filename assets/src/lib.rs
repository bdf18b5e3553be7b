//! The pages' files as part of a program. With the feature `build`, [`build`] merges, checks,
//! hashes and compresses them and writes a table; without it, this is what that table is made of.

mod answer;
#[cfg(any(feature = "build", test))]
pub mod build;
mod html;

pub use answer::{Answer, takes};
pub use html::{escape, first_values};

/// Everything that one program serves.
#[derive(Debug)]
pub struct Assets {
    /// Of all files, for their address: `/assets/<hash>/<path>` never changes.
    pub hash: &'static str,
    /// For the header `ETag` of every file: weak, because the encodings of a file share it.
    pub etag: &'static str,
    /// In order of path.
    pub files: &'static [Asset],
    /// What every address of a page answers.
    pub page: Page,
}

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// Below `/assets/<hash>/`.
    pub path: &'static str,
    /// For `Content-Type`.
    pub media_type: &'static str,
    /// As it is.
    pub plain: &'static [u8],
    /// Where that is smaller.
    pub brotli: Option<&'static [u8]>,
    /// Where that is smaller.
    pub gzip: Option<&'static [u8]>,
}

/// `index.html`, cut where something is put in.
#[derive(Debug)]
pub struct Page {
    /// Up to the modules to fetch ahead.
    pub head: &'static str,
    /// From there to the first values.
    pub middle: &'static str,
    /// From there to the end.
    pub tail: &'static str,
    /// Route of a page, and its `<link rel="modulepreload">`; the first one is for all others.
    pub preloads: &'static [(&'static str, &'static str)],
    /// For `style-src` of a content policy: hashes of what stands inline.
    pub style_sources: &'static str,
}

impl Page {
    /// The page at a route, with its first values, which are HTML.
    pub fn write(&self, route: &str, first: &str) -> String {
        let preload = self.preloads.iter().find(|(of, _)| *of == route).or(self.preloads.first());
        [self.head, preload.map_or("", |(_, links)| links), self.middle, first, self.tail].concat()
    }
}

#[cfg(test)]
mod tests;
