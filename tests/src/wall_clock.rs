//! A wall clock for one program, by `wall_clock.c`: shifted, and set again while the program runs;
//! monotonic time and the time since the boot stay the machine's. Without it, a machine whose
//! kernel calls its clock synchronised would let no test be without a clock.

use std::sync::{Arc, LazyLock};

use crate::preload::{Library, Setting};

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::compile("wall_clock.c"));

/// A clock that runs on from where it was set last; copies are the same clock.
#[derive(Debug, Clone)]
pub struct WallClock(Arc<Setting>);

impl WallClock {
    /// A clock that nobody synchronises and that is off by `shift_ms`.
    pub fn shifted(shift_ms: i64) -> WallClock {
        WallClock(Arc::new(Setting::new(&[shift_ms, 0])))
    }

    /// A clock that begins in 1970, as after a boot without a battery.
    pub fn of_1970() -> WallClock {
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        WallClock::shifted(10_000 - since_1970)
    }

    /// Sets it, also while the program runs.
    pub fn set(&self, shift_ms: i64, synchronised: bool) {
        self.0.set(&[shift_ms, i64::from(synchronised)]);
    }

    pub(crate) fn apply(&self, command: &mut tokio::process::Command) {
        LIBRARY.apply(command, "WALL_CLOCK", &self.0);
    }
}
