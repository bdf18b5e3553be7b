//! A disk that fails while a program uses it, by `broken_disk.c`, and is mended again.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::preload::{Library, Setting};

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::compile("broken_disk.c"));

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No file can grow.
    Full,
    /// Nothing can be written.
    ReadOnly,
    /// Nothing can be read or written.
    Broken,
    /// Each sync takes so long.
    Slow(Duration),
}

/// The disk under a store; copies are the same disk.
#[derive(Debug, Clone)]
pub struct BrokenDisk(Arc<Setting>);

impl Default for BrokenDisk {
    fn default() -> Self {
        BrokenDisk(Arc::new(Setting::new(&[0, 0])))
    }
}

impl BrokenDisk {
    /// From now on it fails.
    pub fn fails(&self, fault: Fault) {
        self.0.set(&match fault {
            Fault::Full => [libc::ENOSPC.into(), 0],
            Fault::ReadOnly => [libc::EROFS.into(), 0],
            Fault::Broken => [libc::EIO.into(), 0],
            Fault::Slow(by) => [0, by.as_millis() as i64],
        });
    }

    /// It works again.
    pub fn is_mended(&self) {
        self.0.set(&[0, 0]);
    }

    pub(crate) fn apply(&self, command: &mut tokio::process::Command) {
        LIBRARY.apply(command, "BROKEN_DISK", &self.0);
    }
}
