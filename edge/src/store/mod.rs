//! Where readings rest until the cloud has them, and some days longer: one SQLite file with one
//! owner, a thread of its own. Nothing that polls ever waits for it.
//!
//! What happens to a reading here, in order: it is committed with its flush ([`journal`]), taken
//! for upload ([`take`]), settled by a receipt ([`settle`]; until [`reconcile`] finds that the cloud lost it),
//! sealed with its neighbours ([`seal`]) and at last deleted ([`retain`]). What will never come is told by a gap
//! row ([`gaps`]); what the cloud refused waits for a person ([`dead_letters`]); what a link cannot take is
//! carried out in a file ([`carry`]).

mod carry;
mod damage;
mod dating;
mod dead_letters;
mod file;
mod gaps;
mod history;
mod journal;
mod jumps;
mod keep;
mod mend;
mod open;
mod packed;
mod reconcile;
mod retain;
mod room;
mod schema;
mod seal;
mod settle;
mod take;
#[cfg(test)]
mod tests;
mod thin;
mod thread;
mod traffic;
mod trouble;
mod wear;
mod writes;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use riverwatts_shared::reading::Reading;
use riverwatts_shared::receipt::NamedDevice;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::words::RejectCode;
use uuid::Uuid;

use crate::clock::{Anchor, News};

pub use carry::LeftBehind;
pub use dead_letters::{Chosen, DeadLetterGroup, DeadLetterRow, Fate};
pub use history::History;
pub use jumps::JumpRow;
pub use open::OpenError;
pub use take::{Cargo, Lane, Limits, Outgoing};
pub use thread::{Figures, Oldest, Store, start, start_anyway};
pub use traffic::{Carried, Days};
pub use wear::Written;
pub use writes::WriteRow;

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder.
    pub dir: PathBuf,
    /// Most bytes that the file may take.
    pub max_bytes: u64,
    /// Bytes of the partition that are left free; `None`: 256 MiB, or a twentieth of a small one.
    pub keep_free: Option<u64>,
    /// Keys of the devices, in the order of `edge.toml`.
    pub keys: Vec<String>,
    /// Which boot this is.
    pub boot: Uuid,
}

/// What is committed together: all devices' readings since the last flush, either all dated (UTC)
/// or none (monotonic ms).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flush {
    /// Whether times are UTC.
    pub dated: bool,
    /// By place of the device in `edge.toml`.
    pub segments: Vec<(u16, Segment)>,
    /// Readings that were given up before they could be committed: the device's place, and how many.
    pub lost: Vec<(u16, u64)>,
    /// What is new about the clock.
    pub news: Option<News>,
}

impl Flush {
    /// How many readings it has.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|(_, segment)| segment.rows() as u64).sum()
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.lost.is_empty() && self.news.is_none()
    }
}

/// Readings that were given up since the start, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Thinned to minutes, since the store is full.
    pub thinned: u64,
    /// Dropped from the full store.
    pub dropped: u64,
    /// Given up in memory, since the disk refuses or the gateway is too busy.
    pub in_memory: u64,
}

/// What a receipt means for what was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    /// The cloud's epoch.
    pub epoch: Option<Uuid>,
    /// How far the cloud's ledger of this store reaches.
    pub ledger: Option<Ledger>,
    /// Keys whose readings stay here, unsettled and unsent, until a receipt names them.
    pub kept: BTreeSet<String>,
    /// Keys that the cloud knows.
    pub named: Vec<NamedDevice>,
    /// Announcements that were taken: key, and the announcement as JSON.
    pub announced: Vec<(String, String)>,
    /// Readings that the cloud will never take.
    pub dead_letters: Vec<DeadLetter>,
}

/// How far the cloud's ledger of a store reaches, as a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// The store that sent the batch.
    pub store: Uuid,
    /// Highest sequence before the batch.
    pub before: u64,
    /// Highest sequence with it.
    pub with: u64,
}

/// A reading that the cloud refused.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Key of the device.
    pub key: String,
    /// The reading.
    pub reading: Reading,
    /// The cloud's word.
    pub code: RejectCode,
    /// The cloud's sentence.
    pub message: String,
}

/// What an earlier run left, for those who go on with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Left {
    /// The anchor of this boot, if it had a trusted clock already.
    pub anchor: Option<Anchor>,
    /// The newest time ever stored.
    pub newest_ms: Option<i64>,
    /// The least offset that puts what comes now after everything stored.
    pub floor_ms: Option<i64>,
    /// Newest times of each device, in the order of `edge.toml`: UTC, and monotonic of this boot.
    pub last: Vec<(Option<i64>, Option<i64>)>,
    /// Announcements that the cloud has taken: key, and the announcement as JSON.
    pub announced: Vec<(String, String)>,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is no database any more; it is set aside.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A later version wrote the file.
    #[error("the file has version {0}")]
    Newer(i64),
    /// The bytes of this flush are not what was written.
    #[error("flush {0} is broken")]
    BrokenFlush(i64),
    /// The bytes of this segment are not what was written.
    #[error("segment {0} is broken")]
    BrokenSegment(i64),
    /// The disk is full, read-only or broken; may pass.
    #[error("the disk refuses: {0}")]
    Disk(#[source] rusqlite::Error),
    /// The file cannot be read as a whole, so whether it is damaged is not known.
    #[error("the disk refuses: {0}")]
    Unreadable(#[source] std::io::Error),
    /// It refused a moment ago, and is not tried again yet.
    #[error("{0}")]
    Waiting(String),
    /// The store has stopped.
    #[error("the store has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged(error.to_string()),
            _ => StoreError::Disk(error),
        }
    }
}

/// How long flushes stay in the journal before they are sealed.
pub const SEAL_EVERY: Duration = Duration::from_secs(600);
