//! Which unit ids answer, how fast, and who they say they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use riverwatts_shared::profile::{Function, Identity, Profile};
use serde::Serialize;

use super::guess::{Guess, Verdict, guess};
use super::identification::identify;
use super::look::{blocks, find};
use super::memory::Memory;
use super::said;
use super::session::{Answer, Ended, Margins, Session};
use crate::bus::wire::Failure;
use crate::plan::Layout;

/// How often a unit that answers is asked again, to see how fast it is.
const REPEATS: usize = 5;
/// How often a garbled answer is asked for again.
const GARBLED_MAX: usize = 2;
/// Units in a row that answer alike from which on a device counts as one that ignores unit ids.
pub const ALIKE_MIN: usize = 8;
/// Units that are told of once.
const PROGRESS_EVERY: usize = 16;

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scan {
    /// How many unit ids were asked.
    pub asked: usize,
    /// Those that answer.
    pub units: Vec<Unit>,
    /// Unit ids at which something came that was no answer.
    pub garbled: Vec<Garbled>,
    /// Whether all of them answer alike, so that they are one device.
    pub alike: bool,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A unit id that answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unit {
    /// The unit id.
    pub unit: u8,
    /// What it answered first: `words`, or its refusal.
    pub answer: String,
    /// How fast and how well it answers.
    pub margins: Margins,
    /// What it says about itself.
    pub identity: BTreeMap<Identity, String>,
    /// The profile that fits best.
    pub profile: Option<String>,
    /// How well; `null` when it was not looked into.
    pub verdict: Option<Verdict>,
    /// What that means.
    pub guess: Option<String>,
}

/// A unit id at which something came that was no answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Garbled {
    /// The unit id.
    pub unit: u8,
    /// What was wrong.
    pub error: String,
}

impl Scan {
    /// Nothing was asked yet.
    pub fn new() -> Scan {
        Scan { asked: 0, units: Vec::new(), garbled: Vec::new(), alike: false, notes: Vec::new() }
    }
}

impl Default for Scan {
    fn default() -> Self {
        Scan::new()
    }
}

/// Asks every one of `ids`; what was found so far is in `scan` also when it ends early.
///
/// # Errors
/// When there are to be no more requests.
pub async fn scan(session: &mut Session, ids: &[u8], profiles: &[Arc<Profile>], scan: &mut Scan) -> Result<(), Ended> {
    let mut answers = Vec::new();
    let mut silent = Vec::new();
    for &unit in ids {
        session.take_tally();
        let (answer, function) = knock(session, unit, scan).await?;
        scan.asked += 1;
        match told(&answer) {
            Some(words) => {
                for _ in 0..REPEATS {
                    let _ = session.read(unit, function, 0, 1).await?;
                }
                tracing::info!(unit, answer = words, "answers");
                let (identity, margins) = (BTreeMap::new(), session.take_tally().margins());
                let nothing = (None, None, None);
                let (profile, verdict, guess) = nothing;
                scan.units.push(Unit { unit, answer: words, margins, identity, profile, verdict, guess });
                answers.push(answer);
            }
            None => silent.push(unit),
        }
        if scan.asked.is_multiple_of(PROGRESS_EVERY) {
            tracing::info!(asked = scan.asked, of = ids.len(), answer = scan.units.len(), "asking units");
        }
        let alike = answers.len() >= ALIKE_MIN && answers.iter().all(|other| *other == answers[0] && other.is_ok());
        if alike && silent.is_empty() {
            scan.alike = true;
            let words =
                format!("units {} to {unit} answer alike: one device that does not look at the unit id", ids[0]);
            scan.notes.push(words);
            break;
        }
    }
    call_by_name(session, &silent, profiles, scan).await?;
    let known = if scan.alike { 1 } else { scan.units.len() };
    for index in 0..known {
        introduce(session, profiles, &mut scan.units[index]).await?;
    }
    note_garbled(scan);
    Ok(())
}

/// The first answer of a unit, and the function that it came to.
async fn knock(session: &mut Session, unit: u8, scan: &mut Scan) -> Result<(Answer, Function), Ended> {
    let mut answer = session.read(unit, Function::Holding, 0, 1).await?;
    for _ in 0..GARBLED_MAX {
        let Err(Failure::Bad(_)) = answer else { break };
        answer = session.read(unit, Function::Holding, 0, 1).await?;
    }
    if let Err(Failure::Bad(error)) = answer {
        scan.garbled.push(Garbled { unit, error: error.to_owned() });
    }
    if told(&answer).is_some() || matches!(answer, Err(Failure::Exception(_) | Failure::Lost(_))) {
        return Ok((answer, Function::Holding));
    }
    Ok((session.read(unit, Function::Input, 0, 1).await?, Function::Input))
}

/// The answer of somebody who is there, in words; with exceptions 10 and 11 a gateway answers for nobody.
fn told(answer: &Answer) -> Option<String> {
    match answer {
        Ok(_) => Some("words".to_owned()),
        Err(Failure::Exception(10 | 11)) => None,
        Err(failure @ Failure::Exception(_)) => Some(failure.to_string()),
        Err(_) => None,
    }
}

/// Some devices answer only where they have registers: silent units that are a profile's factory setting are asked
/// for the first block of that profile.
async fn call_by_name(
    session: &mut Session,
    silent: &[u8],
    profiles: &[Arc<Profile>],
    scan: &mut Scan,
) -> Result<(), Ended> {
    let mut asked = BTreeSet::new();
    for profile in profiles.iter().filter(|profile| profile.discovery.is_none()) {
        let Some(unit) = profile.link.unit.filter(|unit| silent.contains(unit)) else { continue };
        let Some(block) = blocks(&Layout::fixed(profile)).into_iter().next() else { continue };
        if scan.units.iter().any(|known| known.unit == unit) || !asked.insert((unit, block)) {
            continue;
        }
        session.take_tally();
        let answer = session.read(unit, block.function, block.start, block.count).await?;
        let Some(words) = told(&answer) else { continue };
        for _ in 0..REPEATS {
            let _ = session.read(unit, block.function, block.start, block.count).await?;
        }
        let margins = session.take_tally().margins();
        let answer = format!("{words} at {} ({})", block.start, profile.name);
        tracing::info!(unit, answer, "answers");
        let (identity, profile, verdict, guess) = (BTreeMap::new(), None, None, None);
        scan.units.push(Unit { unit, answer, margins, identity, profile, verdict, guess });
    }
    scan.units.sort_by_key(|unit| unit.unit);
    Ok(())
}

/// Who a unit says it is, and which profile fits.
async fn introduce(session: &mut Session, profiles: &[Arc<Profile>], unit: &mut Unit) -> Result<(), Ended> {
    let mut memory = Memory::default();
    unit.identity = identify(session, unit.unit).await?;
    let mut guessed = Guess::new(unit.unit);
    guess(session, &mut memory, unit.unit, profiles, &mut guessed).await?;
    let best = guessed.profiles.first().filter(|fit| fit.verdict != Verdict::No);
    unit.profile = guessed.best.clone();
    unit.verdict = Some(best.map_or(Verdict::No, |fit| fit.verdict));
    unit.guess = Some(guessed.verdict.clone());
    let Some(profile) = profiles.iter().find(|profile| guessed.best.as_ref() == Some(&profile.name)) else {
        return Ok(());
    };
    if let Ok(layout) = find(session, &mut memory, unit.unit, profile).await? {
        let look = super::look::look(session, &mut memory, unit.unit, layout, 0).await?;
        for (field, text) in look.decoded.identity {
            unit.identity.entry(field).or_insert(text);
        }
    }
    Ok(())
}

fn note_garbled(scan: &mut Scan) {
    if scan.garbled.is_empty() {
        return;
    }
    let units: Vec<_> = scan.garbled.iter().map(|garbled| garbled.unit.to_string()).collect();
    scan.notes.push(format!(
        "garbled answers at {}: two devices with one unit id, a wrong speed or parity, A and B crossed, or no terminator",
        units.join(", ")
    ));
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, answer) = (self.asked, self.units.len());
        writeln!(f, "{asked} unit ids asked, {answer} answer")?;
        if answer > 0 {
            writeln!(f, "\n  unit   median    worst  errors  profile")?;
        }
        let shown = if self.alike { 1 } else { answer };
        for Unit { unit, answer, margins, identity, profile, guess, .. } in self.units.iter().take(shown) {
            let ms = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time} ms"));
            let (median, worst) = (ms(margins.median_ms), ms(margins.worst_ms));
            let errors = margins.silent + margins.bad + margins.lost;
            let profile = profile.as_deref().unwrap_or("?");
            writeln!(f, "  {unit:>4} {median:>8} {worst:>8} {errors:>7}  {profile}")?;
            if answer != "words" {
                writeln!(f, "       answers by {answer}")?;
            }
            if !identity.is_empty() {
                writeln!(f, "       {}", said(identity))?;
            }
            if let Some(guess) = guess {
                writeln!(f, "       {guess}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "\nnote: {note}")?;
        }
        match answer {
            0 => f.write_str("\nnobody answers; check power, wiring (A and B), speed and parity, or try --sweep"),
            _ => f.write_str("\nnext: riverwatts-edge probe … device --unit N prints what belongs into edge.toml"),
        }
    }
}
