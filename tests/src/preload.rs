//! C of the tests' own that is put before the C library by LD_PRELOAD, and the numbers in a file by
//! which a test tells it what to do while the program runs.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::{NamedTempFile, TempDir};

use crate::place::repository;

/// A compiled library.
#[derive(Debug)]
pub(crate) struct Library {
    path: PathBuf,
    _folder: TempDir,
}

impl Library {
    /// Of this source below `tests/`.
    pub(crate) fn compile(source: &str) -> Library {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preload.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&path);
        cc.arg(repository("tests").join(source));
        assert!(cc.status().is_ok_and(|status| status.success()), "cc makes no library of tests/{source}");
        Library { path, _folder: folder }
    }

    /// Has the program of `command` begin with it; `setting` is what the source calls by `variable`.
    pub(crate) fn apply(&self, command: &mut tokio::process::Command, variable: &str, setting: &Setting) {
        command.env("LD_PRELOAD", &self.path).env(variable, setting.0.path());
    }
}

/// Numbers that the library maps into memory.
#[derive(Debug)]
pub(crate) struct Setting(NamedTempFile);

impl Setting {
    pub(crate) fn new(numbers: &[i64]) -> Setting {
        let setting = Setting(NamedTempFile::new().unwrap());
        setting.set(numbers);
        setting
    }

    pub(crate) fn set(&self, numbers: &[i64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        self.0.as_file().write_all_at(&bytes, 0).unwrap();
    }
}
