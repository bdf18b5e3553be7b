//! Trust in the wall clock, and the dating that follows from it: pure, with time as parameters.
//!
//! A boot is dated by its *offset*: UTC of its monotonic zero, in ms. The keeper begins without
//! one. A source gives it; from then on monotonic time carries it, and sources only correct it:
//! forward in a step, backward by running slower, so that no time comes twice.

use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::source::{Claim, Claims, Distrust, Source};

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
/// How far off a clock is that the kernel calls kept by a time server.
const TIME_SERVER_MS: i64 = 500;
/// How far off a phone's clock is, and the finger that confirms it.
const PERSON_MS: i64 = 2_000;
/// A time server or a device that moves time ahead by more than this is not believed alone: once the
/// time is known, and at a start.
const FAR_MS: i64 = 86_400_000;
const FAR_AT_START_MS: i64 = 366 * FAR_MS;
/// So long a start waits for a second source, and a source is named after its last word.
const HOUR_MS: i64 = 3_600_000;

/// A boot's offset, how far off it may be, and on whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// UTC of monotonic zero, in ms.
    pub offset_ms: i64,
    /// How far off at `at_ms`, in ms.
    pub bound_ms: i64,
    /// Monotonic time at which it was so, in ms: the bound grows with the distance from it.
    pub at_ms: i64,
    /// Who said so.
    pub source: Source,
}

/// A correction of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// Monotonic time at which it was found.
    pub at: Duration,
    /// By how much: positive forward, in one step; negative backward, slewed.
    pub by_ms: i64,
    /// On whose word.
    pub source: Source,
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
    claims: Claims,
    distrust: [Option<Distrust>; Source::ALL.len()],
    /// Since when a start waits for a second source.
    alone_since_ms: Option<i64>,
    jumps: Vec<Jump>,
    /// The offset that the store knows.
    told_ms: Option<i64>,
    news: bool,
}

/// An offset in force, on its way back to another.
#[derive(Debug, Clone, Copy)]
struct Running {
    since_ms: i64,
    offset_ms: i64,
    /// Where it goes.
    target: Claim,
    source: Source,
}

impl Running {
    fn offset_at(&self, monotonic_ms: i64) -> i64 {
        let slewed = (monotonic_ms - self.since_ms).max(0) / SLEW_PARTS;
        self.target.offset_ms.max(self.offset_ms - slewed)
    }
}

impl Timekeeper {
    /// `known`: the anchor that an earlier run of this boot had. `floor_ms`: the least offset that
    /// puts everything from now on after everything stored.
    pub fn new(known: Option<Anchor>, floor_ms: Option<i64>, now: Duration) -> Self {
        let mut keeper = Timekeeper { floor_ms, ..Timekeeper::default() };
        if let Some(Anchor { offset_ms, bound_ms, at_ms, source }) = known {
            let target = Claim { offset_ms, bound_ms, at_ms };
            let offset_ms = offset_ms.max(floor_ms.unwrap_or(offset_ms));
            keeper.running = Some(Running { since_ms: ms(now), offset_ms, target, source });
            keeper.claims.note(source, target);
            keeper.told_ms = Some(target.offset_ms);
        }
        keeper
    }

    /// The wall clock, kept by a time server.
    pub fn observe_synchronised(&mut self, wall: UtcMs, now: Duration) {
        let claim = Claim { offset_ms: wall.0 - ms(now), bound_ms: TIME_SERVER_MS, at_ms: ms(now) };
        // Told by `distrust`.
        let _ = self.observe(Source::TimeServer, claim, claim.offset_ms);
    }

    /// The `Date` of an authenticated answer: true somewhere between the request's start and the
    /// answer's end, to the second. When the wall clock agrees with it, the wall clock is believed.
    pub fn observe_date(&mut self, date: UtcMs, wall: UtcMs, sent: Duration, received: Duration) {
        let (least, most) = (date.0 - ms(received), date.0 + 1_000 - ms(sent));
        let claim = Claim { offset_ms: least.midpoint(most), bound_ms: (most - least + 1) / 2, at_ms: ms(received) };
        let system = wall.0 - ms(received);
        let best = if (least..=most).contains(&system) { system } else { claim.offset_ms };
        // Told by `distrust`.
        let _ = self.observe(Source::Cloud, claim, best);
    }

    /// A time that a technician has confirmed.
    ///
    /// # Errors
    /// When it is not believed.
    pub fn observe_confirmed(&mut self, said: UtcMs, now: Duration) -> Result<(), Distrust> {
        let claim = Claim { offset_ms: said.0 - ms(now), bound_ms: PERSON_MS, at_ms: ms(now) };
        self.observe(Source::Person, claim, claim.offset_ms)
    }

    /// The clock of a device, read at `at`, which is no further off than `bound`.
    pub fn observe_device(&mut self, said: UtcMs, bound: Duration, at: Duration) {
        let claim = Claim { offset_ms: said.0 - ms(at), bound_ms: ms(bound), at_ms: ms(at) };
        // Told by `distrust`.
        let _ = self.observe(Source::Device, claim, claim.offset_ms);
    }

    /// Takes a source's word, of which `best` is the likeliest offset.
    fn observe(&mut self, source: Source, claim: Claim, best: i64) -> Result<(), Distrust> {
        let target = self.target(source, claim, best);
        let judged = self.judge(source, claim, target.offset_ms);
        self.claims.note(source, claim);
        self.distrust[source as usize] = judged.err();
        judged?;
        self.alone_since_ms = None;
        self.go_to(source, target);
        Ok(())
    }

    /// Where this word leads, should it be believed: the time server's as it is, others' as far as
    /// they say more than is known.
    fn target(&self, source: Source, claim: Claim, best: i64) -> Claim {
        if source == Source::TimeServer {
            return claim;
        }
        let Some(running) = self.running else {
            let offset_ms = self.floor_ms.map_or(best, |floor| best.max(floor.min(claim.offset_ms + claim.bound_ms)));
            let bound_ms = claim.bound_ms + (offset_ms - claim.offset_ms).abs();
            return Claim { offset_ms, bound_ms, ..claim };
        };
        let (known, bound_ms) = (running.target, running.target.bound_at(claim.at_ms));
        let least = (claim.offset_ms - claim.bound_ms).max(known.offset_ms - bound_ms);
        let most = (claim.offset_ms + claim.bound_ms).min(known.offset_ms + bound_ms);
        if least > most {
            return claim;
        }
        let inside = (least..=most).contains(&known.offset_ms);
        let offset_ms = if inside { known.offset_ms } else { least.midpoint(most) };
        Claim { offset_ms, bound_ms: (offset_ms - least).max(most - offset_ms), at_ms: claim.at_ms }
    }

    /// Whether time may go to `target_ms` on this word.
    fn judge(&mut self, source: Source, claim: Claim, target_ms: i64) -> Result<(), Distrust> {
        let current = self.running.map(|running| running.offset_at(claim.at_ms));
        let Some(known) = current.or(self.floor_ms) else { return Ok(()) };
        if known - target_ms > SLEW_MAX_MS {
            return Err(Distrust::Behind { by_ms: known - target_ms });
        }
        if let Some(distrust) = self.claims.against(source, &claim) {
            return Err(distrust);
        }
        let by_ms = target_ms - known;
        let most = if current.is_some() { FAR_MS } else { FAR_AT_START_MS };
        let may_be_wild = matches!(source, Source::TimeServer | Source::Device);
        if may_be_wild && by_ms > most && !self.claims.is_confirmed(source, &claim) {
            let since = *self.alone_since_ms.get_or_insert(claim.at_ms);
            if current.is_some() || claim.at_ms - since < HOUR_MS {
                return Err(Distrust::FarAhead { by_ms });
            }
        }
        Ok(())
    }

    /// Goes there: at once, or slewing.
    fn go_to(&mut self, source: Source, target: Claim) {
        let current = self.running.map(|running| running.offset_at(target.at_ms));
        let least = current.or(self.floor_ms).unwrap_or(target.offset_ms);
        let back = least - target.offset_ms;
        let settled = self.running.filter(|running| running.target.offset_ms == target.offset_ms);
        let jumped = settled.is_none() && current.map_or(back.max(0), |_| back.abs()) >= JUMP_MIN_MS;
        if jumped && self.jumps.len() < JUMPS_MAX {
            self.jumps.push(Jump { at: Duration::from_millis(target.at_ms.unsigned_abs()), by_ms: -back, source });
        }
        let moved = self.told_ms.is_none_or(|told| (told - target.offset_ms).abs() >= JUMP_MIN_MS);
        self.news |= jumped || moved;
        let better = settled.map(|running| running.source).filter(|better| {
            *better < source && self.claims.age_ms(*better, target.at_ms).is_some_and(|age| age < HOUR_MS)
        });
        let (since_ms, offset_ms) = (target.at_ms, target.offset_ms.max(least));
        self.running = Some(Running { since_ms, offset_ms, target, source: better.unwrap_or(source) });
    }

    /// Whether times can be given.
    pub const fn is_trusted(&self) -> bool {
        self.running.is_some()
    }

    /// On whose word times are given.
    pub fn source(&self) -> Option<Source> {
        self.running.map(|running| running.source)
    }

    /// Why a source is not believed, of the one whose word counts most.
    pub fn distrust(&self) -> Option<(Source, Distrust)> {
        Source::ALL.into_iter().find_map(|source| Some((source, self.distrust[source as usize]?)))
    }

    /// The time of something read at `monotonic`; `None` while the clock is not trusted.
    pub fn date(&self, monotonic: Duration) -> Option<Dated> {
        let running = self.running?;
        let offset = running.offset_at(ms(monotonic));
        let off_ms = offset - running.target.offset_ms;
        let quality = if off_ms > EXACT_MS { Quality::ClockUntrusted } else { Quality::Ok };
        let uncertainty_s = uncertainty_s(off_ms + running.target.bound_at(ms(monotonic)));
        Some(Dated { time: UtcMs(ms(monotonic) + offset), uncertainty_s, quality })
    }

    /// By how much times are still ahead of where they go, in ms.
    pub fn slewing_ms(&self, now: Duration) -> i64 {
        self.running.map_or(0, |running| running.offset_at(ms(now)) - running.target.offset_ms)
    }

    /// What the store has to know since the last call: something when the clock is newly trusted,
    /// jumped, or has drifted away from what was told last.
    pub fn take_news(&mut self) -> Option<News> {
        let running = self.running.filter(|_| std::mem::take(&mut self.news))?;
        let Running { offset_ms, target, source, .. } = running;
        self.told_ms = Some(target.offset_ms);
        let anchor = Anchor { offset_ms: target.offset_ms, bound_ms: target.bound_ms, at_ms: target.at_ms, source };
        let dating = Anchor { offset_ms, bound_ms: target.bound_ms + offset_ms - target.offset_ms, ..anchor };
        Some(News { anchor, dating, jumps: std::mem::take(&mut self.jumps) })
    }
}

/// A bound in ms as the whole seconds that a segment carries.
pub fn uncertainty_s(bound_ms: i64) -> u32 {
    if bound_ms <= EXACT_MS { 0 } else { u32::try_from(bound_ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX) }
}

/// Where a boot that never got a trusted clock has to lie: after `lower`, the newest time before it,
/// which may be early by `doubt_ms`, and before `upper`, the start of what came after it. `first` and
/// `last` are its monotonic times. In the middle of what is possible; without a lower neighbour as
/// late as possible. Gives its offset, and how far off that may be.
pub fn between(lower: Option<(UtcMs, i64)>, upper: UtcMs, first_ms: i64, last_ms: i64) -> (i64, i64) {
    let most = upper.0 - 1 - last_ms;
    match lower {
        Some((lower, doubt_ms)) => {
            let least = lower.0 + 1 - first_ms;
            let offset_ms = least.max(least.midpoint(most));
            (offset_ms, (offset_ms - least).saturating_add(doubt_ms).max(most - offset_ms))
        }
        None => (most, i64::from(u32::MAX) * 1_000),
    }
}

fn ms(duration: Duration) -> i64 {
    duration.as_millis() as i64
}
