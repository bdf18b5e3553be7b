//! The demo's folder: data of gateway and cloud, logs, and the story so far.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

const STORY: &str = "demo.json";

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("demo folder {} cannot be used; choose another one with --data", path.display())]
pub struct FolderError {
    path: PathBuf,
    source: io::Error,
}

/// What a later run in the same folder goes on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// When the site began.
    pub began: UtcMs,
    pub seed: u64,
    pub speed: f64,
    /// The gateway has its credential.
    pub enrolled: bool,
}

/// Where everything of one demo is kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    story: Story,
    age: Duration,
    /// Removes itself when dropped.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Opens `data`, or a temporary folder. Another seed or speed than last time begins the site anew.
    pub fn open(data: Option<&Path>, seed: Option<u64>, speed: Option<f64>) -> Result<Folder, FolderError> {
        let (path, temporary) = match data {
            Some(path) => (std::path::absolute(path).map_err(at(path))?, None),
            None => {
                let folder = tempfile::Builder::new().prefix("riverwatts-demo-").tempdir();
                let folder = folder.map_err(at(&std::env::temp_dir()))?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        fs::create_dir_all(path.join("logs")).map_err(at(&path))?;
        let now = SystemClock::default().wall();
        let past = read_story(&path).map_err(at(&path))?;
        let story = past.clone().unwrap_or(Story { began: now, seed: 1, speed: 1.0, enrolled: false });
        let (seed, speed) = (seed.unwrap_or(story.seed), speed.unwrap_or(story.speed));
        let began = if (seed, speed) == (story.seed, story.speed) { story.began } else { now };
        let age = Duration::from_millis(now.since_ms(began).max(0).cast_unsigned());
        let folder = Folder { path, story: Story { began, seed, speed, ..story }, age, _temporary: temporary };
        folder.write_story(&folder.story)?;
        Ok(folder)
    }

    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What this run goes on with.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// How long ago the site began.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Where the output of a program goes.
    pub fn log(&self, program: &str) -> PathBuf {
        self.path.join("logs").join(format!("{program}.log"))
    }

    /// Remembers that the gateway has its credential.
    pub fn remember_enrolled(&self) -> Result<(), FolderError> {
        self.write_story(&Story { enrolled: true, ..self.story.clone() })
    }

    /// Replaces a file in one step; its folder is made.
    pub fn write(&self, name: &str, content: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        let new = path.with_extension("new");
        let folder = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&new, content))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(at(&path))
    }

    fn write_story(&self, story: &Story) -> Result<(), FolderError> {
        let text = serde_json::to_string(story).expect("numbers, a flag and a time become JSON");
        self.write(STORY, &text)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError { path: path.clone(), source }
}

fn read_story(path: &Path) -> io::Result<Option<Story>> {
    match fs::read_to_string(path.join(STORY)) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_folder_continues_and_another_seed_begins_anew() {
        let data = tempfile::tempdir().unwrap();
        let first = Folder::open(Some(data.path()), Some(5), Some(60.0)).unwrap();
        first.remember_enrolled().unwrap();
        let began = UtcMs(first.story().began.0 - 3_600_000);
        first.write_story(&Story { began, enrolled: true, ..first.story().clone() }).unwrap();

        let second = Folder::open(Some(data.path()), None, None).unwrap();
        assert_eq!(second.story(), &Story { began, seed: 5, speed: 60.0, enrolled: true });
        assert!(second.age() >= Duration::from_secs(3_600));

        let third = Folder::open(Some(data.path()), Some(6), None).unwrap();
        assert!(third.story().began > began && third.story().enrolled);
        assert!(third.age() < Duration::from_secs(3_600));
    }

    #[test]
    fn a_temporary_folder_goes_with_the_demo() {
        let folder = Folder::open(None, None, None).unwrap();
        let path = folder.path().to_owned();
        assert!(path.join("logs").is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
