//! Carrying out a permit on the wire: conditions, the old value, what unlocks, the write, and then
//! what shows. A write whose answer is missing is looked after, never sent again.

use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Key, Seen, address};

use super::permit::Permit;
use super::proposal::guard;
use crate::bus::frame::Request;
use crate::bus::wire::{Failure, Pace, Wire};

/// A device without what the profile writes to.
const NO_MODEL: &str = "the device does not have its SunSpec model";

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

/// The device as it is reached.
#[derive(Debug)]
pub(crate) struct Reached<'a> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) pace: Pace,
    /// Its SunSpec models.
    pub(crate) models: &'a [Model],
}

/// Writes. Where nothing was written, says why.
pub(crate) async fn begin(permit: &Permit, device: &mut Reached<'_>) -> Result<Begun, Report> {
    let write = permit.write();
    let mut old = None;
    let ended = |outcome: Outcome, old: Option<i64>| Report { old: old.map(|shown| write.told(shown)), outcome };
    for condition in &write.allowed_when {
        let words = guard(condition);
        match device.number(permit, &condition.seen).await {
            Ok(number) if condition.test.passes(number.into()) => {}
            Ok(number) => return Err(ended(Outcome::Refused(format!("only while {words}, and it is {number}")), old)),
            Err(cause) => {
                let words = format!("only while {words}, and that cannot be read: {cause}");
                return Err(ended(Outcome::Refused(words), old));
            }
        }
    }
    match device.number(permit, &write.shows).await {
        Ok(shown) => old = Some(shown),
        Err(cause) => {
            let name = &write.shows.name;
            let words = format!("{name} cannot be read, so that nobody would see what was written: {cause}");
            return Err(ended(Outcome::Failed(words), old));
        }
    }
    for step in 0..write.unlock.len() {
        if let Err(cause) = device.unlock(permit, step).await {
            return Err(ended(Outcome::Failed(format!("step {} of unlocking it: {cause}", step + 1)), old));
        }
    }
    let Some(command) = permit.command(device.models) else {
        return Err(ended(Outcome::Failed(NO_MODEL.to_owned()), old));
    };
    let unclear = match device.wire.write(&command, device.pace).await {
        Ok(()) => None,
        Err(refused @ Failure::Exception(_)) => {
            return Err(ended(Outcome::Failed(format!("the device refuses it: {refused}")), old));
        }
        Err(unclear) => Some(unclear),
    };
    Ok(Begun { old: old.unwrap_or_default(), unclear })
}

/// Whether what was written shows; else what does.
pub(crate) async fn look(permit: &Permit, device: &mut Reached<'_>) -> Result<(), String> {
    let write = permit.write();
    match device.number(permit, &write.shows).await {
        Ok(shown) if shown == permit.accepted().reads => Ok(()),
        Ok(shown) => Err(format!("{} shows {}", write.shows.name, write.told(shown))),
        Err(cause) => Err(format!("{} cannot be read: {cause}", write.shows.name)),
    }
}

impl Reached<'_> {
    async fn unlock(&mut self, permit: &Permit, step: usize) -> Result<(), String> {
        let copied = match &permit.write().unlock[step].with {
            Key::Raw(_) => Vec::new(),
            Key::Copy(seen) => self.words(permit, seen).await?,
        };
        let command = permit.unlock(step, &copied);
        self.wire.write(&command, self.pace).await.map_err(|failure| failure.to_string())
    }

    async fn number(&mut self, permit: &Permit, seen: &Seen) -> Result<i64, String> {
        let words = self.words(permit, seen).await?;
        seen.form.and_then(|form| form.number(&words)).ok_or_else(|| "it holds no number".to_owned())
    }

    async fn words(&mut self, permit: &Permit, seen: &Seen) -> Result<Vec<u16>, String> {
        let start = address(&seen.models, seen.at, seen.count, self.models).ok_or(NO_MODEL)?;
        let request = Request { unit: permit.unit(seen.unit), function: seen.function, start, count: seen.count };
        self.wire.read(&request, self.pace).await.map_err(|failure| failure.to_string())?;
        Ok(self.wire.words().to_vec())
    }
}
