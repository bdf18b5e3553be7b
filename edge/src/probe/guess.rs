//! Which profiles fit a device, with what speaks for and against each.

use std::fmt;
use std::sync::Arc;

use riverwatts_shared::profile::{Confidence, Profile};
use serde::Serialize;

use super::evidence::Evidence;
use super::look::{find, look};
use super::memory::Memory;
use super::session::{Ended, Session};

/// Most requests spent on what one profile's device would not refuse.
const EXTRA_MAX: usize = 6;
/// Weight from which a profile is likely.
const LIKELY: f64 = 10.0;
/// Weight from which it is possible.
const POSSIBLE: f64 = 1.0;
/// Share of the whole weight that speaks for a likely profile, and for a possible one.
const SHARES: [f64; 2] = [0.85, 0.6];
/// Profiles whose weights differ by less than this share cannot be told apart.
const TIE: f64 = 0.1;
/// Most profiles that are told with their arguments.
const TOLD_MAX: usize = 5;

/// How well a profile fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A register that tells devices apart says so.
    Fits,
    /// Its values make sense together.
    Likely,
    /// Little speaks for it, less against it.
    Possible,
    /// It does not fit.
    No,
}

/// A profile and how it fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// Its name.
    pub profile: String,
    /// How it fits.
    pub verdict: Verdict,
    /// How sure the profile is of its registers.
    pub confidence: Confidence,
    /// What speaks for it.
    #[serde(rename = "for")]
    pub pro: Vec<String>,
    /// What speaks against it.
    pub against: Vec<String>,
    /// Weight of what speaks for it, without what speaks against it.
    pub weight: f64,
}

/// Every profile, best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guess {
    /// Modbus address of the device.
    pub unit: u8,
    /// The profile that fits best; `null` where none does, or several do alike.
    pub best: Option<String>,
    /// What that means.
    pub verdict: String,
    /// Whether the unit answered anything.
    pub answered: bool,
    /// Every profile that was tried, best first.
    pub profiles: Vec<Fit>,
}

impl Verdict {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Fits => "fits",
            Verdict::Likely => "likely",
            Verdict::Possible => "possible",
            Verdict::No => "no",
        }
    }

    /// What evidence comes to.
    pub fn of(evidence: &Evidence) -> Verdict {
        let Evidence { weight, counterweight, proven, refuted, .. } = *evidence;
        let share = weight / (weight + counterweight).max(f64::MIN_POSITIVE);
        match () {
            () if refuted || share < SHARES[1] => Verdict::No,
            () if proven => Verdict::Fits,
            () if weight >= LIKELY && share >= SHARES[0] => Verdict::Likely,
            () if weight >= POSSIBLE => Verdict::Possible,
            () => Verdict::No,
        }
    }
}

/// Tries every profile on a unit. What was found so far is in `guess` also when it ends early.
///
/// # Errors
/// When there are to be no more requests.
pub async fn guess(
    session: &mut Session,
    memory: &mut Memory,
    unit: u8,
    profiles: &[Arc<Profile>],
    guess: &mut Guess,
) -> Result<(), Ended> {
    guess.unit = unit;
    for (number, profile) in profiles.iter().enumerate() {
        if number % 10 == 9 {
            tracing::info!(unit, tried = number + 1, of = profiles.len(), "trying profiles");
        }
        let evidence = match find(session, memory, unit, profile).await? {
            Ok(layout) => Evidence::of_look(profile, &look(session, memory, unit, layout, EXTRA_MAX).await?),
            Err(reason) => Evidence::of_no_look(&reason),
        };
        guess.add(profile, evidence);
    }
    Ok(())
}

impl Guess {
    /// Nothing was tried yet.
    pub fn new(unit: u8) -> Guess {
        Guess { unit, best: None, verdict: "nothing was tried".to_owned(), answered: false, profiles: Vec::new() }
    }

    /// Takes in a profile and weighs anew.
    pub fn add(&mut self, profile: &Profile, evidence: Evidence) {
        let verdict = Verdict::of(&evidence);
        let weight = ((evidence.weight - evidence.counterweight) * 10.0).round() / 10.0;
        let (pro, against) = (evidence.pro, evidence.contra);
        let name = profile.name.clone();
        self.profiles.push(Fit { profile: name, verdict, confidence: profile.confidence, pro, against, weight });
        self.profiles.sort_by(|a, b| {
            a.verdict.cmp(&b.verdict).then(b.weight.total_cmp(&a.weight)).then(a.profile.cmp(&b.profile))
        });
        self.weigh();
    }

    /// Nothing more is tried; `answered`: whether the unit said anything.
    pub fn close(&mut self, answered: bool) {
        self.answered = answered;
        if !answered {
            self.verdict = "it does not answer; look for its unit id by `units`, and check wiring and speed".to_owned();
        }
    }

    fn weigh(&mut self) {
        let Some(first) = self.profiles.first().filter(|first| first.verdict != Verdict::No) else {
            self.best = None;
            self.verdict = "no profile fits; write one (docs/device-profiles.md), or ask at another unit id".to_owned();
            return;
        };
        let alike = |fit: &&Fit| fit.verdict == first.verdict && fit.weight >= first.weight * (1.0 - TIE);
        let names: Vec<&str> = self.profiles.iter().filter(alike).map(|fit| fit.profile.as_str()).collect();
        let best = (names.len() == 1).then(|| first.profile.clone());
        self.verdict = match (first.verdict, &best) {
            (_, None) => format!("{} fit alike; read the plate of the device", names.join(", ")),
            (Verdict::Fits, Some(name)) => format!("{name} fits"),
            (Verdict::Likely, Some(name)) => format!("{name} is likely; compare its values with the device's display"),
            (_, Some(name)) => match self.profiles.get(1).is_none_or(|second| second.verdict == Verdict::No) {
                true => format!("{name} is the only one that fits; compare its values with the device's display"),
                false => format!("{name} is possible, others are as well; read the plate of the device"),
            },
        };
        self.best = best;
    }
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "unit {}: {}", self.unit, self.verdict)?;
        let fitting = self.profiles.iter().filter(|fit| fit.verdict != Verdict::No).count();
        for fit in self.profiles.iter().take(fitting.clamp(3, TOLD_MAX)) {
            let (profile, verdict, confidence) = (&fit.profile, fit.verdict.word(), fit.confidence.word());
            writeln!(f, "\n  {profile:26} {verdict:9} weight {:6.1}   ({confidence} confidence)", fit.weight)?;
            for words in &fit.pro {
                writeln!(f, "    + {words}")?;
            }
            for words in &fit.against {
                writeln!(f, "    - {words}")?;
            }
        }
        let rest = self.profiles.len().saturating_sub(fitting.clamp(3, TOLD_MAX));
        write!(f, "\n  {rest} more were tried and fit less; --json lists all of them")
    }
}
