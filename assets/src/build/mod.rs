//! For build scripts: from folders to a table of [`crate::Assets`]. The same files give the same
//! bytes, whatever the machine.

mod comments;
mod compress;
mod modules;
mod page;
mod table;
mod tree;

use std::path::{Path, PathBuf};

use modules::Modules;
use tree::Tree;

/// Most modules of a first view: each is a request, and browsers make six at a time.
pub const MODULES_MAX: usize = 10;
/// Deepest import of a first view below the module that the page names.
pub const DEPTH_MAX: usize = 2;

/// Where the files are, and which modules a page needs first.
#[derive(Debug)]
pub struct Sources<'s> {
    /// Their contents make one tree; `index.html` is the page, in any of them.
    pub folders: &'s [&'s str],
    /// The module that the page names.
    pub entry: &'s str,
    /// Route of a page, and the module that the entry imports for it when it runs.
    pub views: &'s [(&'s str, &'s str)],
}

/// Why there is no table: the files are not as they must be. Paths are those of the served tree.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BuildError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path} is in two folders; give one of them another name")]
    Twice { path: String },
    #[error("{path} is no UTF-8 text")]
    NoText { path: String },
    #[error("index.html lacks {place}, where the program puts something in")]
    Place { place: &'static str },
    #[error("index.html: {path} is not there")]
    NoStyle { path: String },
    #[error("{path} refers to {outside}; pages use nothing from elsewhere, so copy it in")]
    Outside { path: String, outside: String },
    #[error("{path} has {word}; names come from people, so set them as text")]
    Markup { path: String, word: &'static str },
    #[error("{path} imports {specifier}, which is not there")]
    NoModule { path: String, specifier: String },
    #[error("{path} imports {specifier}; write it as ./ or ../ and a file's name")]
    Specifier { path: String, specifier: String },
    #[error("first view of {view}: {count} modules are more than {MODULES_MAX}; import() some later: {names}")]
    Many { view: String, count: usize, names: String },
    #[error("first view of {view}: {path} is {depth} imports deep, {DEPTH_MAX} are allowed; import it further up")]
    Deep { view: String, path: String, depth: usize },
}

impl Sources<'_> {
    /// For `build.rs`: writes `assets.rs` to cargo's folder, runs again when a file changes, and
    /// fails the build with what is wrong.
    #[expect(clippy::print_stdout, reason = "cargo listens there")]
    pub fn embed(&self) {
        println!("cargo::rerun-if-changed=build.rs");
        for folder in self.folders {
            println!("cargo::rerun-if-changed={folder}");
        }
        let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo tells build scripts their folder"));
        if let Err(error) = self.write(&out) {
            println!("cargo::error={error}");
        }
    }

    /// Writes `assets.rs`, which defines `ASSETS`, with the files that it includes.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn write(&self, out: &Path) -> Result<(), BuildError> {
        let tree = Tree::read(self.folders)?;
        let modules = Modules::read(&tree)?;
        let mut views = vec![("*", modules.first(self.entry, &[self.entry])?)];
        for (route, module) in self.views {
            views.push((*route, modules.first(route, &[self.entry, module])?));
        }
        let page = page::cut(&tree, &views)?;
        table::write(&tree, &page, out)
    }
}

#[cfg(test)]
mod tests;
