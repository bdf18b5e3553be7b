//! A pseudo-terminal that looks like a serial port with a device on it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use crate::modbus::rtu;
use crate::modbus::station::Station;

/// A pseudo-terminal under a name of our choice; the name goes when it is dropped.
#[derive(Debug)]
pub struct SerialLine {
    path: PathBuf,
    device_end: SerialStream,
    /// Kept open, so that the line survives a master that comes and goes.
    _master_end: SerialStream,
}

impl SerialLine {
    /// Opens a pseudo-terminal in raw mode and links it as `path`, replacing a link that an earlier run left.
    pub fn open(path: &Path) -> io::Result<SerialLine> {
        let (device_end, master_end) = SerialStream::pair()?;
        let name = master_end.name().ok_or_else(|| io::Error::other("a pseudo-terminal without a name"))?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(name, path)?,
        }
        Ok(SerialLine { path: path.to_owned(), device_end, _master_end: master_end })
    }

    /// Where a master finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers for `station` until `stop`.
    pub async fn serve(mut self, station: Arc<Station>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            ended = rtu::serve(&mut self.device_end, &station) => {
                tracing::warn!(path = %self.path.display(), ?ended, "virtual serial line ended");
            }
        }
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // the folder may be gone already
    }
}
