//! Files of the store's folder that are for the gateway's eyes only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Writes a file of this folder with mode 0600; a power cut leaves the old one or the new. It belongs to
/// whoever the folder belongs to, also when root writes it.
///
/// # Errors
/// When the folder is not writable.
pub fn save(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    let new = dir.join(format!("{name}.new"));
    // One that a power cut left may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let (owner, own) = (fs::metadata(dir)?, file.metadata()?);
    if owner.uid() != own.uid() {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Removes a file of this folder; gives whether there was one.
///
/// # Errors
/// When the folder is not writable.
pub fn remove(dir: &Path, name: &str) -> io::Result<bool> {
    match fs::remove_file(dir.join(name)) {
        Ok(()) => File::open(dir)?.sync_all().map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a file of at most so many bytes; of a longer one, its beginning.
///
/// # Errors
/// When it is not there or cannot be read.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
