//! Finds device profiles by name: in the folders of the site first, then among the built-in ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riverwatts_shared::problem::Problem;
use riverwatts_shared::profile::{self, Profile};

use super::read::{Wrong, did_you_mean, wrong};

/// The profiles that were asked for so far; each is read once.
pub(super) struct Library<'a> {
    folders: &'a [PathBuf],
    read: HashMap<String, Option<Arc<Profile>>>,
}

/// Why there is no profile.
pub(super) enum NoProfile {
    /// There is none by that name, or it cannot be read.
    Unknown(Wrong),
    /// It has mistakes of its own; empty when they were told before.
    Faulty(Vec<Problem>),
}

impl<'a> Library<'a> {
    pub(super) fn new(folders: &'a [PathBuf]) -> Self {
        Library { folders, read: HashMap::new() }
    }

    pub(super) fn find(&mut self, name: &str) -> Result<Arc<Profile>, NoProfile> {
        if let Some(known) = self.read.get(name) {
            return known.clone().ok_or(NoProfile::Faulty(Vec::new()));
        }
        let found = self.load(name)?;
        self.read.insert(name.to_owned(), found.as_ref().ok().cloned());
        found.map_err(NoProfile::Faulty)
    }

    fn load(&self, name: &str) -> Result<Result<Arc<Profile>, Vec<Problem>>, NoProfile> {
        let path = self.folders.iter().map(|folder| file(folder, name)).find(|path| path.is_file());
        if let Some(path) = path {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("profile {} cannot be read: {error}", path.display());
                NoProfile::Unknown(wrong(message, "give the gateway the right to read it"))
            })?;
            return Ok(profile::parse(&path.display().to_string(), &text).map(Arc::new));
        }
        if let Some(text) = profile::builtin(name) {
            return Ok(profile::parse(&format!("built-in/{name}.toml"), text).map(Arc::new));
        }
        let known = self.names();
        let remedy = did_you_mean(name, known.iter().map(String::as_str));
        Err(NoProfile::Unknown(wrong(format!("there is no profile `{name}`"), remedy)))
    }

    fn names(&self) -> Vec<String> {
        let files = self.folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        let own = files.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()));
        let own = own.filter(|name| !name.ends_with(".samples"));
        own.chain(profile::builtin_names().map(str::to_owned)).collect()
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.toml"))
}
