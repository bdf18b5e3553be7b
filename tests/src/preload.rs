//! C of the tests' own that is put before the C library by LD_PRELOAD, and the numbers in a file by
//! which a test tells it what to do while the program runs.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::NamedTempFile;

use crate::place::{profile_folder, repository};

/// A compiled library.
#[derive(Debug)]
pub(crate) struct Library(PathBuf);

impl Library {
    /// Of this source below `tests/`, in the target folder.
    pub(crate) fn compile(source: &str) -> Library {
        let path = profile_folder().join(source).with_extension("so");
        let made = NamedTempFile::new_in(profile_folder()).unwrap().into_temp_path();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&made);
        cc.arg(repository("tests").join(source));
        assert!(cc.status().is_ok_and(|status| status.success()), "cc makes no library of tests/{source}");
        // In one step: another run may be using the one before.
        made.persist(&path).unwrap();
        Library(path)
    }

    /// Has the program of `command` begin with it; `setting` is what the source calls by `variable`.
    pub(crate) fn apply(&self, command: &mut tokio::process::Command, variable: &str, setting: &Setting) {
        command.env("LD_PRELOAD", &self.0).env(variable, setting.0.path());
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
