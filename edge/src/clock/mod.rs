//! The gateway's time: which boot it is, when it is trusted, and what time a reading was taken.
//! A time that has left the gateway is final; until the clock is trusted, readings wait undated.

mod boot;
mod keeper;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riverwatts_shared::time::{Clock, UtcMs};

pub use self::boot::{BootClock, is_synchronised};
pub use self::keeper::{Anchor, Dated, JUMP_MIN_MS, Jump, News, SLEW_MAX_MS, Timekeeper, between, uncertainty_s};

/// Unix time at which the program was built, from the build script.
const BUILT_S: &str = env!("RIVERWATTS_BUILT_S");
/// How far the clock of the machine that built the program may have been ahead.
const BUILT_AHEAD_MS: i64 = 86_400_000;

/// A time that has passed for sure: no clock that is right says an earlier one.
pub fn has_passed() -> UtcMs {
    let built_s: i64 = BUILT_S.parse().expect("the build script writes a number");
    UtcMs(built_s * 1_000 - BUILT_AHEAD_MS)
}

/// The time of the site, shared by everything that gives or shows times; locked only to compute.
#[derive(Debug)]
pub struct SiteTime {
    clock: Arc<dyn Clock>,
    keeper: Mutex<Timekeeper>,
}

impl SiteTime {
    /// Time by this clock, as far as `keeper` trusts it.
    pub const fn new(clock: Arc<dyn Clock>, keeper: Timekeeper) -> Self {
        SiteTime { clock, keeper: Mutex::new(keeper) }
    }

    /// Time since the start of the machine.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// What the machine believes, trusted or not.
    pub fn wall(&self) -> UtcMs {
        self.clock.wall()
    }

    /// The time in UTC; `None` while the clock is not trusted.
    pub fn now(&self) -> Option<UtcMs> {
        self.date(self.monotonic()).map(|dated| dated.time)
    }

    /// The time of something read at `monotonic`; `None` while the clock is not trusted.
    pub fn date(&self, monotonic: Duration) -> Option<Dated> {
        self.keeper().date(monotonic)
    }

    /// Believes the wall clock; called while a time server keeps it.
    pub fn observe_synchronised(&self) {
        self.keeper().observe_synchronised(self.clock.wall(), self.clock.monotonic());
    }

    /// Takes the `Date` of an authenticated answer to a request that was sent at `sent`.
    pub fn observe_date(&self, date: UtcMs, sent: Duration) {
        self.keeper().observe_date(date, self.clock.wall(), sent, self.clock.monotonic());
    }

    /// The keeper itself, for its other answers.
    pub fn keeper(&self) -> MutexGuard<'_, Timekeeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
