//! Trust in the wall clock, and the dating that follows from it: pure, with time as parameters.
//!
//! A boot is dated by its *offset*: UTC of its monotonic zero, in ms. The keeper begins without
//! one. A source gives it; from then on monotonic time carries it, and sources only correct it:
//! forward in a step, backward by running slower, so that no time comes twice.

use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

/// While a backward correction lasts, time runs slower by one part in so many.
const SLEW_PARTS: i64 = 10;
/// Largest backward correction, in ms; further back a clock is not believed.
pub const SLEW_MAX_MS: i64 = 600_000;
/// Corrections from here on are jumps, and get a row.
pub const JUMP_MIN_MS: i64 = 500;
/// Errors up to here count as a trusted clock: a `Date` has whole seconds, and an answer takes its time.
const EXACT_MS: i64 = 1_500;
/// Most jumps that wait for their row.
const JUMPS_MAX: usize = 64;

/// A boot's offset and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// UTC of monotonic zero, in ms.
    pub offset_ms: i64,
    /// How far off, in ms.
    pub bound_ms: i64,
}

/// A correction of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// Monotonic time at which it was found.
    pub at: Duration,
    /// By how much: positive forward, in one step; negative backward, slewed.
    pub by_ms: i64,
}

/// What the store has to know of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Where the clock goes: an anchor for the next run of this boot.
    pub anchor: Anchor,
    /// By what to date readings from before the clock was trusted.
    pub dating: Anchor,
    /// Corrections since the last news.
    pub jumps: Vec<Jump>,
}

/// A time that was given to a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// The time.
    pub time: UtcMs,
    /// How far off it may be, in seconds; 0 from a trusted clock.
    pub uncertainty_s: u32,
    /// What this says about values that nothing else speaks against.
    pub quality: Quality,
}

/// Decides whether the time is known, and what it is.
#[derive(Debug, Clone, Default)]
pub struct Timekeeper {
    /// The least offset that comes after everything stored.
    floor_ms: Option<i64>,
    running: Option<Running>,
    jumps: Vec<Jump>,
    news: bool,
    distrust_ms: Option<i64>,
}

/// An offset in force, on its way back to another.
#[derive(Debug, Clone, Copy)]
struct Running {
    since_ms: i64,
    offset_ms: i64,
    target_ms: i64,
    bound_ms: i64,
}

impl Running {
    fn offset_at(&self, monotonic_ms: i64) -> i64 {
        let slewed = (monotonic_ms - self.since_ms).max(0) / SLEW_PARTS;
        self.target_ms.max(self.offset_ms - slewed)
    }
}

impl Timekeeper {
    /// `known`: the anchor that an earlier run of this boot had. `floor_ms`: the least offset that
    /// puts everything from now on after everything stored.
    pub fn new(known: Option<Anchor>, floor_ms: Option<i64>, now: Duration) -> Self {
        let mut keeper = Timekeeper { floor_ms, ..Timekeeper::default() };
        if let Some(Anchor { offset_ms, bound_ms }) = known {
            let offset = offset_ms.max(floor_ms.unwrap_or(offset_ms));
            keeper.running = Some(Running { since_ms: ms(now), offset_ms: offset, target_ms: offset_ms, bound_ms });
        }
        keeper
    }

    /// The wall clock, kept by a time server.
    pub fn observe_synchronised(&mut self, wall: UtcMs, now: Duration) {
        self.observe(wall.0 - ms(now), 0, now);
    }

    /// The `Date` of an authenticated answer: true somewhere between the request's start and the
    /// answer's end, to the second. When the wall clock agrees with it, the wall clock is believed.
    pub fn observe_date(&mut self, date: UtcMs, wall: UtcMs, sent: Duration, received: Duration) {
        let (least, most) = (date.0 - ms(received), date.0 + 1_000 - ms(sent));
        let system = wall.0 - ms(received);
        if (least..=most).contains(&system) {
            return self.observe(system, 0, received);
        }
        let bound = (most - least) / 2;
        match &mut self.running {
            Some(running) => {
                let offset = running.offset_at(ms(received));
                if (least..=most).contains(&offset) {
                    // A quick answer says more than a slow one did.
                    running.bound_ms = running.bound_ms.min((offset - least).max(most - offset));
                    self.distrust_ms = None;
                } else {
                    self.observe(offset.clamp(least, most), bound, received);
                }
            }
            None => self.observe(least.midpoint(most), bound, received),
        }
    }

    /// Takes an offset from a source.
    fn observe(&mut self, offset_ms: i64, bound_ms: i64, now: Duration) {
        let current = self.running.map(|running| running.offset_at(ms(now)));
        let least = current.or(self.floor_ms).unwrap_or(offset_ms);
        let back = least - offset_ms;
        if back > SLEW_MAX_MS {
            self.distrust_ms = Some(back);
            return;
        }
        self.distrust_ms = None;
        let jumped = current.map_or(back.max(0), |current| (current - offset_ms).abs()) >= JUMP_MIN_MS;
        self.news |= jumped || current.is_none();
        if jumped && self.jumps.len() < JUMPS_MAX {
            self.jumps.push(Jump { at: now, by_ms: -back });
        }
        let offset = if back > 0 { least } else { offset_ms };
        self.running = Some(Running { since_ms: ms(now), offset_ms: offset, target_ms: offset_ms, bound_ms });
    }

    /// Whether times can be given.
    pub const fn is_trusted(&self) -> bool {
        self.running.is_some()
    }

    /// By how much the last source was too far back to be believed, in ms.
    pub const fn distrust_ms(&self) -> Option<i64> {
        self.distrust_ms
    }

    /// The time of something read at `monotonic`; `None` while the clock is not trusted.
    pub fn date(&self, monotonic: Duration) -> Option<Dated> {
        let running = self.running?;
        let offset = running.offset_at(ms(monotonic));
        let off_ms = offset - running.target_ms;
        let quality = if off_ms > EXACT_MS { Quality::ClockUntrusted } else { Quality::Ok };
        let uncertainty_s = uncertainty_s(off_ms + running.bound_ms);
        Some(Dated { time: UtcMs(ms(monotonic) + offset), uncertainty_s, quality })
    }

    /// What the store has to know since the last call: something when the clock is newly trusted or jumped.
    pub fn take_news(&mut self) -> Option<News> {
        let running = self.running.filter(|_| std::mem::take(&mut self.news))?;
        let Running { offset_ms, target_ms, bound_ms, .. } = running;
        Some(News {
            anchor: Anchor { offset_ms: target_ms, bound_ms },
            dating: Anchor { offset_ms, bound_ms: bound_ms + offset_ms - target_ms },
            jumps: std::mem::take(&mut self.jumps),
        })
    }
}

/// A bound in ms as the whole seconds that a segment carries.
pub fn uncertainty_s(bound_ms: i64) -> u32 {
    if bound_ms <= EXACT_MS { 0 } else { u32::try_from(bound_ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX) }
}

/// Where a boot that never got a trusted clock has to lie: after `lower`, the newest time before it,
/// and before `upper`, the start of what came after it. `first` and `last` are its monotonic times.
/// In the middle of what is possible; without a lower neighbour as late as possible.
pub fn between(lower: Option<UtcMs>, upper: UtcMs, first_ms: i64, last_ms: i64) -> Anchor {
    let most = upper.0 - 1 - last_ms;
    match lower {
        Some(lower) => {
            let least = lower.0 + 1 - first_ms;
            Anchor { offset_ms: least.max(least.midpoint(most)), bound_ms: ((most - least).max(0) + 1) / 2 }
        }
        None => Anchor { offset_ms: most, bound_ms: i64::from(u32::MAX) * 1_000 },
    }
}

fn ms(duration: Duration) -> i64 {
    duration.as_millis() as i64
}
