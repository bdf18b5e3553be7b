//! A wall clock for one program, by `wall_clock.c`: shifted, and set again while the program runs;
//! monotonic time and the time since the boot stay the machine's. Without it, a machine whose
//! kernel calls its clock synchronised would let no test be without a clock.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::{NamedTempFile, TempDir};

use crate::place::repository;

static LIBRARY: LazyLock<(TempDir, PathBuf)> = LazyLock::new(compile);

/// A clock that runs on from where it was set last; copies are the same clock.
#[derive(Debug, Clone)]
pub struct WallClock(Arc<NamedTempFile>);

impl WallClock {
    /// A clock that nobody synchronises and that is off by `shift_s` seconds.
    pub fn shifted(shift_s: i64) -> WallClock {
        let clock = WallClock(Arc::new(NamedTempFile::new().unwrap()));
        clock.set(shift_s, false);
        clock
    }

    /// A clock that begins in 1970, as after a boot without a battery.
    pub fn of_1970() -> WallClock {
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        WallClock::shifted(10 - since_1970.cast_signed())
    }

    /// Sets it, also while the program runs.
    pub fn set(&self, shift_s: i64, synchronised: bool) {
        let setting = [shift_s.to_ne_bytes(), i64::from(synchronised).to_ne_bytes()].concat();
        self.0.as_file().write_all_at(&setting, 0).unwrap();
    }

    pub(crate) fn apply(&self, command: &mut tokio::process::Command) {
        command.env("LD_PRELOAD", &LIBRARY.1).env("WALL_CLOCK", self.0.path());
    }
}

fn compile() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("wall_clock.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(repository("tests/wall_clock.c"));
    assert!(cc.status().is_ok_and(|status| status.success()), "cc makes no library of tests/wall_clock.c");
    (folder, library)
}
