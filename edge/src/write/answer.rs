//! What the command says, to people and to programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::perform::Outcome;
use super::proposal::Proposal;

/// What would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Key of the device.
    pub device: String,
    /// Name of the write.
    pub write: String,
    /// The value.
    pub value: String,
    /// What must hold then.
    pub conditions: Vec<String>,
    /// How soon the device falls back by itself.
    pub refresh: Option<Duration>,
    /// What else it does.
    pub warns: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Key of the device.
    pub device: String,
    /// Name of the write.
    pub write: String,
    /// What showed before; `None` where it was not looked at.
    pub old: Option<String>,
    /// What was to be written.
    pub value: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked for it.
    pub who: String,
}

impl Proposed {
    /// What a proposal comes to.
    pub fn of(proposal: &Proposal<'_>) -> Self {
        Proposed {
            device: proposal.device().id.clone(),
            write: proposal.write().name.clone(),
            value: proposal.value().to_owned(),
            conditions: proposal.conditions(),
            refresh: proposal.write().refresh,
            warns: proposal.write().warns.clone(),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let Proposed { device, write, value, conditions, refresh, warns } = self;
        json!({
            "device": device, "write": write, "value": value,
            "conditions": conditions, "refresh_s": refresh.map(|every| every.as_secs()), "warns": warns,
            "outcome": "proposed",
        })
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proposed { device, write, value, .. } = self;
        writeln!(f, "would write {value} to {write} of {device}")?;
        self.conditions.iter().try_for_each(|condition| writeln!(f, "  only while {condition}"))?;
        let every = self.refresh.map(|every| every.as_secs());
        every.iter().try_for_each(|every| writeln!(f, "  falls back by itself after {every} s"))?;
        self.warns.iter().try_for_each(|warns| writeln!(f, "  note: {warns}"))?;
        f.write_str("nothing was written; add --yes to write it")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { device, write, value, .. } = self;
        match &self.outcome {
            Outcome::Done => {
                let old = self.old.as_deref().unwrap_or("unknown");
                write!(f, "{write} of {device} is {value}; it was {old}")
            }
            other => write!(f, "{write} of {device}: {}: {}", other.word().replace('_', " "), other.words()),
        }
    }
}

impl Answer {
    /// For programs.
    pub fn json(&self) -> Value {
        let Answer { device, write, old, value, outcome, who } = self;
        json!({
            "device": device, "write": write, "old": old, "value": value,
            "outcome": outcome.word(), "reason": outcome.words(), "who": who,
        })
    }
}
