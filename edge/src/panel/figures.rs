//! What the panel needs to know of recorder, store and uploader.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;

use super::ClockState;
use crate::store::{Carried, Chosen, Days, DeadLetterGroup, DeadLetterRow, JumpRow, Lost, WriteRow, Written};
use crate::upload::{BacklogWait, Usage};

/// Answered from memory, except for those that may block.
pub trait Figures: Send + Sync + fmt::Debug {
    /// The newest reading of a device.
    fn latest(&self, device: u16) -> Option<Latest>;
    /// Its stored readings, newest first, dated ones only. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn history(&self, device: u16, limit: usize) -> Result<Vec<Reading>, String>;
    /// Shows its dated readings around a span of UTC ms, some of them at a time, in no order. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn walk(&self, device: u16, span: Range<i64>, see: &mut dyn FnMut(&Segment)) -> Result<(), String>;
    /// The newest attempts to write to devices, newest first. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn writes(&self, limit: usize) -> Result<Vec<WriteRow>, String>;
    /// Dead letters of a choice before this number, newest first. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn dead_letters(&self, chosen: &Chosen, before: Option<i64>, limit: usize) -> Result<Vec<DeadLetterRow>, String>;
    /// All of them by device and word. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn dead_letter_groups(&self) -> Result<Vec<DeadLetterGroup>, String>;
    /// The newest corrections of the clock, newest first. May block.
    ///
    /// # Errors
    /// The cause, for the log.
    fn jumps(&self, limit: usize) -> Result<Vec<JumpRow>, String>;
    /// The store.
    fn store(&self) -> StoreState;
    /// The link to the cloud.
    fn link(&self) -> LinkState;
    /// Whether the time is known, and by whom.
    fn clock(&self) -> ClockState;
    /// The time in UTC; `None` while the clock is not trusted.
    fn now(&self) -> Option<UtcMs>;
}

/// The newest reading of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Monotonic time of the answer.
    pub monotonic: Duration,
    /// Its time in UTC; `None` while the clock is not trusted.
    pub time: Option<UtcMs>,
    /// What the device said.
    pub values: Vec<Value>,
}

/// The store at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreState {
    /// Readings in memory, to be committed with the next flush.
    pub unflushed_readings: u64,
    /// Commits since the start.
    pub flushes: u64,
    /// Committed readings that the cloud has not settled.
    pub backlog_readings: u64,
    /// Age of the oldest of them.
    pub oldest_unsent: Option<Duration>,
    /// Readings that the cloud refused and that rest here.
    pub dead_letters: u64,
    /// Bytes that were given to the disk.
    pub written: Written,
    /// Bytes that went over the link, by day of the site's calendar.
    pub traffic: Arc<Days>,
    /// Bytes that the card bears.
    pub card_endurance: u64,
    /// Readings that were given up since the start.
    pub lost: Lost,
    /// That the store is full, and what becomes of readings therefore, while it is.
    pub full: Option<String>,
    /// What keeps the store from committing, while it does.
    pub error: Option<String>,
}

impl StoreState {
    /// How long a new card bears days like these, in days.
    pub fn card_life_days(&self) -> Option<u64> {
        self.written.a_day.and_then(|bytes| self.card_endurance.checked_div(bytes))
    }
}

/// The link to the cloud at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    /// Whether the gateway has a credential.
    pub enrolled: bool,
    /// Where it sends.
    pub url: Option<String>,
    /// Monotonic time of the last receipt.
    pub last_receipt_at: Option<Duration>,
    /// What went wrong last, while it is wrong.
    pub error: Option<String>,
    /// Keys of devices whose readings the cloud does not take yet.
    pub waiting: BTreeSet<String>,
    /// Bytes that the link has carried since the start.
    pub carried: Carried,
    /// How the data plan stands, where there is one and the time is known.
    pub plan: Option<Usage>,
    /// Until when the backlog waits, and why.
    pub backlog_waits: Option<BacklogWait>,
}
