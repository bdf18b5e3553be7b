//! The gateway's time: which boot it is, when it is trusted, and what time a reading was taken.
//! A time that has left the gateway is final; until the clock is trusted, readings wait undated.

mod boot;
mod keeper;
mod source;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riverwatts_shared::time::{Clock, UtcMs};

pub use self::boot::{BootClock, is_synchronised};
pub use self::keeper::{Anchor, Dated, JUMP_MIN_MS, Jump, News, SLEW_MAX_MS, Timekeeper, between, uncertainty_s};
pub use self::source::{Distrust, Source, drift_ms};

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
        let (wall, now) = (self.clock.wall(), self.clock.monotonic());
        self.observe(|keeper| keeper.observe_synchronised(wall, now));
    }

    /// Takes the `Date` of an authenticated answer to a request that was sent at `sent`.
    pub fn observe_date(&self, date: UtcMs, sent: Duration) {
        let (wall, received) = (self.clock.wall(), self.clock.monotonic());
        self.observe(|keeper| keeper.observe_date(date, wall, sent, received));
    }

    /// Takes the time that a technician confirms.
    ///
    /// # Errors
    /// When it is not believed, and why.
    pub fn observe_confirmed(&self, said: UtcMs) -> Result<(), Distrust> {
        let now = self.clock.monotonic();
        self.observe(|keeper| keeper.observe_confirmed(said, now))
    }

    /// Takes what a device's clock said at `at`; it is no further off than `bound`.
    pub fn observe_device(&self, said: UtcMs, bound: Duration, at: Duration) {
        self.observe(|keeper| keeper.observe_device(said, bound, at));
    }

    /// Lets the keeper observe, and logs what begins and what ends by it.
    fn observe<T>(&self, observe: impl FnOnce(&mut Timekeeper) -> T) -> T {
        let mut keeper = self.keeper();
        let (source, distrust) = (keeper.source(), keeper.distrust());
        let observed = observe(&mut keeper);
        let (source_now, distrust_now) = (keeper.source(), keeper.distrust());
        drop(keeper);
        if let (None, Some(source)) = (source, source_now) {
            tracing::info!(source = source.word(), "the time is known");
        }
        match (distrust, distrust_now) {
            (Some((who, _)), Some((still, _))) if who == still => {}
            (_, Some((source, why))) => tracing::warn!(source = source.word(), %why, "a clock is not believed"),
            (Some((source, _)), None) => tracing::info!(source = source.word(), "a clock is believed again"),
            (None, None) => {}
        }
        observed
    }

    /// The keeper itself, for its other answers.
    pub fn keeper(&self) -> MutexGuard<'_, Timekeeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
