//! Carrying out a permit on the wire: conditions, the old value, what unlocks, the write, and then
//! what shows. A write whose answer is missing is looked after, never sent again.

use riverwatts_shared::profile::{Key, Seen};

use super::permit::Permit;
use super::proposal::guard;
use crate::bus::frame::Request;
use crate::bus::wire::{Failure, Pace, Wire};

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The device shows the value.
    Done,
    /// Something forbids it; nothing was written.
    Refused(String),
    /// It was, or may have been, written, and the device does not show it.
    NotConfirmed(String),
    /// The device did not take it.
    Failed(String),
}

impl Outcome {
    /// Its word, in records and answers.
    pub const fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused(_) => "refused",
            Outcome::NotConfirmed(_) => "not_confirmed",
            Outcome::Failed(_) => "failed",
        }
    }

    /// Why, where there is a reason.
    pub fn words(&self) -> &str {
        match self {
            Outcome::Done => "",
            Outcome::Refused(words) | Outcome::NotConfirmed(words) | Outcome::Failed(words) => words,
        }
    }
}

/// What became of a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What showed before.
    pub old: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A write that is on its way to show.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What showed before.
    pub(crate) old: i64,
    /// Why it is not known whether the device took it.
    pub(crate) unclear: Option<Failure>,
}

/// Writes. Where nothing was written, says why.
pub(crate) async fn begin(permit: &Permit, wire: &mut Wire, pace: Pace) -> Result<Begun, Report> {
    let write = permit.write();
    let mut old = None;
    let ended = |outcome: Outcome, old: Option<i64>| Report { old: old.map(|shown| write.told(shown)), outcome };
    for condition in &write.allowed_when {
        let words = guard(condition);
        match number(permit, wire, pace, &condition.seen).await {
            Ok(number) if condition.test.passes(number.into()) => {}
            Ok(number) => return Err(ended(Outcome::Refused(format!("only while {words}, and it is {number}")), old)),
            Err(cause) => {
                let words = format!("only while {words}, and that cannot be read: {cause}");
                return Err(ended(Outcome::Refused(words), old));
            }
        }
    }
    match number(permit, wire, pace, &write.shows).await {
        Ok(shown) => old = Some(shown),
        Err(cause) => {
            let words =
                format!("{} cannot be read, so that nobody would see what was written: {cause}", write.shows.name);
            return Err(ended(Outcome::Failed(words), old));
        }
    }
    for (step, unlock) in write.unlock.iter().enumerate() {
        let copied = match &unlock.with {
            Key::Raw(_) => Ok(Vec::new()),
            Key::Copy(seen) => words(permit, wire, pace, seen).await,
        };
        let unlocked = match copied {
            Ok(copied) => match permit.unlock(step, &copied) {
                Some(command) => wire.write(&command, pace).await.map_err(|failure| failure.to_string()),
                None => Ok(()),
            },
            Err(cause) => Err(cause),
        };
        if let Err(cause) = unlocked {
            return Err(ended(Outcome::Failed(format!("step {} of unlocking it: {cause}", step + 1)), old));
        }
    }
    let unclear = match wire.write(&permit.command(), pace).await {
        Ok(()) => None,
        Err(refused @ Failure::Exception(_)) => {
            return Err(ended(Outcome::Failed(format!("the device refuses it: {refused}")), old));
        }
        Err(unclear) => Some(unclear),
    };
    Ok(Begun { old: old.unwrap_or_default(), unclear })
}

/// What shows now: nothing while the device shows another value than it was written.
pub(crate) async fn look(permit: &Permit, wire: &mut Wire, pace: Pace) -> Result<(), String> {
    let write = permit.write();
    match number(permit, wire, pace, &write.shows).await {
        Ok(shown) if shown == permit.accepted().reads => Ok(()),
        Ok(shown) => Err(format!("{} shows {}", write.shows.name, write.told(shown))),
        Err(cause) => Err(format!("{} cannot be read: {cause}", write.shows.name)),
    }
}

async fn number(permit: &Permit, wire: &mut Wire, pace: Pace, seen: &Seen) -> Result<i64, String> {
    let words = words(permit, wire, pace, seen).await?;
    seen.form.and_then(|form| form.number(&words)).ok_or_else(|| "it holds no number".to_owned())
}

async fn words(permit: &Permit, wire: &mut Wire, pace: Pace, seen: &Seen) -> Result<Vec<u16>, String> {
    let unit = permit.unit(seen.unit);
    let request = Request { unit, function: seen.function, start: seen.at, count: seen.count };
    wire.read(&request, pace).await.map_err(|failure| failure.to_string())?;
    Ok(wire.words().to_vec())
}
