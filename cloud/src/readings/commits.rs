//! What was committed, in order, for those who compute from memory instead of reading it again. The
//! way is bounded and lossy: the numbers tell that something is missing.

use std::sync::Arc;

use riverwatts_shared::time::UtcMs;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Rows;

/// Commits that may wait.
const COMMITS_MAX: usize = 256;
/// Most rows of one commit that are sent along.
const ROWS_MAX: usize = 4_096;

/// New rows of one device.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Counts the commits of this process, also those that did not get here.
    pub number: u64,
    /// Number of the device.
    pub device: i64,
    /// The rows, when all of them are new and they are not too many.
    pub rows: Option<Arc<Rows>>,
    /// The nearest reading that stood before the first of the rows, earlier than it.
    pub before: Option<UtcMs>,
    /// The first reading that stood there at the time of the first row or later.
    pub after: Option<UtcMs>,
    /// The hours that were marked, each with the version that its mark now has.
    pub hours: Vec<(i64, u64)>,
}

/// The writer's end.
#[derive(Debug)]
pub struct Teller {
    sender: Sender<Commit>,
    number: u64,
}

/// A way for commits.
pub fn commits() -> (Teller, Receiver<Commit>) {
    let (sender, receiver) = channel(COMMITS_MAX);
    (Teller { sender, number: 0 }, receiver)
}

impl Teller {
    /// Tells of a commit, when somebody listens and keeps up.
    pub fn tell(&mut self, commit: Commit) {
        self.number += 1;
        let rows = commit.rows.filter(|rows| rows.count() <= ROWS_MAX);
        let _ = self.sender.try_send(Commit { number: self.number, rows, ..commit }); // a hole in the numbers tells
    }
}
