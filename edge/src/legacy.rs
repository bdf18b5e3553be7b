//! What a gateway leaves in the cloud to the box or card that takes its place: its `edge.toml`, and its
//! devices with the times of their newest readings. The new store begins behind these.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use riverwatts_shared::configuration::{REMOVED, without_secrets};
use riverwatts_shared::time::UtcMs;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::private_file;

/// Name of the devices' list in the store's folder, until the store has taken it in.
pub(crate) const FILE: &str = "taken-over.json";
/// Files beside an `edge.toml` that hold what the cloud had; further ones are refused.
const BESIDE_MAX: usize = 9;

/// What a gateway had in the cloud.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Legacy {
    /// The `edge.toml` that it sent last.
    #[serde(default)]
    pub configuration: Option<Text>,
    /// Its devices.
    #[serde(default)]
    pub devices: Vec<TakenOver>,
}

/// A version of `edge.toml`, without secrets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Text {
    /// Its version.
    pub version: Uuid,
    /// The text.
    pub text: String,
    /// When the gateway sent it.
    pub received_at: UtcMs,
}

/// A device that is taken over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakenOver {
    /// Key in `edge.toml`.
    pub key: String,
    /// Its id in the cloud.
    pub device_id: Uuid,
    /// The time of its newest reading there.
    pub newest: Option<UtcMs>,
}

/// What became of the cloud's `edge.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The cloud has none.
    None,
    /// It is what is here.
    Same,
    /// There was none here: it is written there, and so many lines lack a secret.
    Written(PathBuf, usize),
    /// There is another one here, which stays: the cloud's lies there, for comparison.
    Beside(PathBuf),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::None => f.write_str("the cloud has no edge.toml of this gateway"),
            Kept::Same => f.write_str("the cloud's edge.toml is the one that is here"),
            Kept::Written(path, 0) => write!(f, "the cloud's edge.toml is written to {}", path.display()),
            Kept::Written(path, lines) => {
                write!(
                    f,
                    "the cloud's edge.toml is written to {}; fill in what says {REMOVED} in {lines} of its lines",
                    path.display()
                )
            }
            Kept::Beside(path) => write!(
                f,
                "the cloud's edge.toml is another than the one here, which stays; it lies in {} for comparison",
                path.display()
            ),
        }
    }
}

impl Legacy {
    /// Keeps the list of devices for the store that is opened next in this folder.
    ///
    /// # Errors
    /// When the folder is not writable.
    pub fn save_devices(&self, dir: &Path) -> io::Result<()> {
        if self.devices.is_empty() {
            return Ok(());
        }
        private_file::save(dir, FILE, &serde_json::to_vec(&self.devices).expect("plain strings and numbers are JSON"))
    }

    /// Writes the `edge.toml` to `path`, where none is there; else, when it is another, beside it. What is
    /// there is never overwritten.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn keep_configuration(&self, path: &Path) -> io::Result<Kept> {
        let Some(Text { version, text, received_at }) = &self.configuration else { return Ok(Kept::None) };
        let lines = text.lines().filter(|line| line.contains(REMOVED)).count();
        let secrets = match lines {
            0 => String::new(),
            lines => format!("# Lines that were not to leave the box are marked as such; to be filled in: {lines}.\n"),
        };
        let head = format!("# As the gateway sent it to the cloud at {received_at} (version {version}).\n{secrets}\n");
        let whole = if text.starts_with("# As the gateway sent") { text.clone() } else { format!("{head}{text}") };
        match fs::read_to_string(path) {
            Ok(here) if without_secrets(&here) == *text => return Ok(Kept::Same),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, &whole)?;
                return Ok(Kept::Written(path.to_owned(), lines));
            }
            Err(error) => return Err(error),
        }
        for number in 1..=BESIDE_MAX {
            let end = if number == 1 { String::new() } else { format!("-{number}") };
            let beside = PathBuf::from(format!("{}.from-cloud{end}", path.display()));
            match create(&beside, &whole) {
                Ok(()) => return Ok(Kept::Beside(beside)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) if fs::read_to_string(&beside)? == whole => return Ok(Kept::Beside(beside)),
                Err(_) => {}
            }
        }
        Err(io::Error::other(format!(
            "{BESIDE_MAX} files from the cloud lie there already; remove those that are not needed"
        )))
    }
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The newest times that the store in this folder has to begin behind, by key.
pub(crate) fn newest(dir: &Path) -> BTreeMap<String, UtcMs> {
    let path = dir.join(FILE);
    let devices: Vec<TakenOver> = match fs::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(devices)) => devices,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        unreadable => {
            tracing::warn!(path = %path.display(), ?unreadable, "what the cloud knows of the devices cannot be read");
            Vec::new()
        }
    };
    devices.into_iter().filter_map(|device| Some((device.key, device.newest?))).collect()
}

/// The store knows those times now.
pub(crate) fn forget(dir: &Path) {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "{FILE} cannot be removed; it is read again at the next start");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legacy(text: &str) -> Legacy {
        let received_at = UtcMs(1_795_508_130_000);
        let configuration = Some(Text { version: Uuid::nil(), text: text.to_owned(), received_at });
        Legacy { configuration, devices: Vec::new() }
    }

    #[test]
    fn an_edge_toml_is_written_where_there_is_none_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(Legacy::default().keep_configuration(&path).unwrap(), Kept::None);
        let first = legacy("[site]\nkey = \"a\" # [removed]\n");
        assert_eq!(first.keep_configuration(&path).unwrap(), Kept::Written(path.clone(), 1));
        let written = read(&path);
        assert!(written.starts_with("# As the gateway sent it to the cloud at 2026-11-24T08:15:30.000Z"), "{written}");
        assert!(written.contains("to be filled in: 1.\n"));
        assert!(written.ends_with(&first.configuration.as_ref().unwrap().text));
        assert_eq!(legacy(&written).keep_configuration(&path).unwrap(), Kept::Same);

        let beside = |end: &str| folder.path().join(format!("edge.toml.from-cloud{end}"));
        let second = legacy("[site]\nkey = \"b\"\n");
        for _ in 0..2 {
            assert_eq!(second.keep_configuration(&path).unwrap(), Kept::Beside(beside("")));
        }
        assert_eq!(legacy("").keep_configuration(&path).unwrap(), Kept::Beside(beside("-2")));
        assert_eq!(read(&path), written);
        assert!(read(&beside("")).ends_with("key = \"b\"\n"));
    }

    #[test]
    fn a_file_here_that_differs_by_secrets_alone_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        fs::write(&path, "url = \"https://a:hush@b\"\n").unwrap();
        assert_eq!(legacy("url = \"https://[removed]@b\"\n").keep_configuration(&path).unwrap(), Kept::Same);
    }
}
