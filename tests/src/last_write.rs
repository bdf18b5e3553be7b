//! Lets a program die, by `last_write.c`, exactly before it writes to a file for the n-th time: in
//! the midst of a transaction, or between two files.

use std::sync::{Arc, LazyLock};

use crate::preload::{Library, Setting};

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::compile("last_write.c"));

/// What decides about the program's end; copies decide about the same program.
#[derive(Debug, Clone)]
pub struct LastWrite(Arc<Setting>);

impl Default for LastWrite {
    fn default() -> Self {
        LastWrite(Arc::new(Setting::new(&[0])))
    }
}

impl LastWrite {
    /// From now on, the program dies before its `write`-th write to a file.
    pub fn dies_before(&self, write: u32) {
        self.0.set(&[write.into()]);
    }

    /// The program lives on.
    pub fn lives(&self) {
        self.0.set(&[0]);
    }

    pub(crate) fn apply(&self, command: &mut tokio::process::Command) {
        LIBRARY.apply(command, "LAST_WRITE", &self.0);
    }
}
