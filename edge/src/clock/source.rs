//! Who says the time, what each said last, and whose word counts when they disagree: pure.
//!
//! A word is an interval: an offset and how far off it may be, which grows with the drift of the
//! machine's own oscillator. Two words that overlap agree.

use std::fmt;

/// How far the machine's oscillator may be off: one part in so many (100 ppm; a Raspberry Pi's stays
/// within 50 over its range of temperature).
pub const DRIFT_PARTS: i64 = 10_000;
/// A disagreement from here on is gross, in ms: the cloud would refuse times that far ahead of its own.
const GROSS_MS: i64 = 600_000;
/// A word that is so much ahead of another's needs a third that agrees, in ms.
const FAR_MS: i64 = 86_400_000;

/// A clock that can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A time server, which keeps the machine's clock.
    TimeServer,
    /// The `Date` of an authenticated answer of the cloud.
    Cloud,
    /// A technician, who confirmed the clock of a phone.
    Person,
    /// A device on a bus, named in `edge.toml`.
    Device,
}

impl Source {
    /// All of them, the most exact first.
    pub const ALL: [Source; 4] = [Source::TimeServer, Source::Cloud, Source::Person, Source::Device];

    /// Its spelling.
    pub const fn word(self) -> &'static str {
        match self {
            Source::TimeServer => "time_server",
            Source::Cloud => "cloud",
            Source::Person => "person",
            Source::Device => "device",
        }
    }

    /// The source of this spelling.
    pub fn of_word(word: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.word() == word)
    }

    /// Whose word counts, less being more. About seconds a time server knows best; about more than
    /// that the cloud, since only its answers are authenticated, and since it refuses what lies ahead.
    const fn rank(self, gross: bool) -> u8 {
        match (self, gross) {
            (Source::Cloud, true) => 0,
            (Source::TimeServer, _) => 1,
            (Source::Cloud, false) => 2,
            (Source::Person, _) => 3,
            (Source::Device, _) => 4,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::TimeServer => "time server",
            Source::Cloud => "cloud",
            Source::Person => "person",
            Source::Device => "device",
        })
    }
}

/// Why a source is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Times would go back.
    #[error("the clock is {} s behind the newest stored reading, or the making of this program", .by_ms / 1_000)]
    Behind {
        /// By how much.
        by_ms: i64,
    },
    /// Another source, whose word counts more, says something else.
    #[error("the {by} says a time that is {} s {}", .ahead_ms.abs() / 1_000, if *.ahead_ms > 0 { "earlier" } else { "later" })]
    Contradicted {
        /// Which.
        by: Source,
        /// How far the distrusted one is ahead of it.
        ahead_ms: i64,
    },
    /// So far ahead of what is known that another source has to say the same.
    #[error("the clock is {} days ahead of what is known, and no other source says so", .by_ms / FAR_MS)]
    FarAhead {
        /// By how much.
        by_ms: i64,
    },
}

impl Distrust {
    /// By how much the clock differs from what is believed: behind it is negative.
    pub const fn ms(self) -> i64 {
        match self {
            Distrust::Behind { by_ms } => -by_ms,
            Distrust::Contradicted { ahead_ms, .. } => ahead_ms,
            Distrust::FarAhead { by_ms } => by_ms,
        }
    }
}

/// What a source said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// UTC of monotonic zero, in ms.
    pub(super) offset_ms: i64,
    /// How far off, in ms, at the time at which it was said.
    pub(super) bound_ms: i64,
    /// Monotonic time at which it was said, in ms.
    pub(super) at_ms: i64,
}

impl Claim {
    /// How far off it is for what happens at `ms`.
    pub(super) const fn bound_at(&self, ms: i64) -> i64 {
        self.bound_ms.saturating_add(drift_ms(ms - self.at_ms))
    }

    /// Whether both can be right.
    const fn agrees(&self, other: &Claim, now_ms: i64) -> bool {
        (self.offset_ms - other.offset_ms).abs() <= self.bound_at(now_ms).saturating_add(other.bound_at(now_ms))
    }
}

/// The last word of each source.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims([Option<Claim>; Source::ALL.len()]);

impl Claims {
    pub(super) fn note(&mut self, source: Source, claim: Claim) {
        self.0[source as usize] = Some(claim);
    }

    /// How long ago a source said something.
    pub(super) fn age_ms(&self, source: Source, now_ms: i64) -> Option<i64> {
        self.0[source as usize].map(|claim| now_ms - claim.at_ms)
    }

    fn others(&self, source: Source) -> impl Iterator<Item = (Source, &Claim)> {
        let all = Source::ALL.into_iter().filter_map(|other| Some((other, self.0[other as usize].as_ref()?)));
        all.filter(move |(other, _)| *other != source)
    }

    /// Whether another source says the same.
    pub(super) fn is_confirmed(&self, source: Source, claim: &Claim) -> bool {
        self.others(source).any(|(_, other)| other.agrees(claim, claim.at_ms))
    }

    /// Who speaks against this word, and by how much it is ahead. A device alone does not speak
    /// against more than its own rank: nobody keeps its clock.
    pub(super) fn against(&self, source: Source, claim: &Claim) -> Option<Distrust> {
        let confirmed = self.is_confirmed(source, claim);
        let mut against = self.others(source).filter_map(|(by, other)| {
            let ahead_ms = claim.offset_ms - other.offset_ms;
            let gross = ahead_ms.abs() > GROSS_MS;
            let outranked = by.rank(gross) < source.rank(gross);
            let far = ahead_ms > FAR_MS && by != Source::Device && !confirmed;
            let speaks = !other.agrees(claim, claim.at_ms) && (outranked || far);
            speaks.then_some(Distrust::Contradicted { by, ahead_ms })
        });
        against.next()
    }
}

/// How far the machine's oscillator may go wrong in this time, in ms.
pub const fn drift_ms(passed_ms: i64) -> i64 {
    passed_ms.abs() / DRIFT_PARTS
}
