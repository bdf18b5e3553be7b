//! What went over the link, in bytes by day of the site's calendar, so that the days of a billing
//! month add up to it. Written with a flush now and then; a commit of its own it never has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction};

/// Days that are remembered: two billing months.
const DAYS_MAX: i64 = 62;
/// How long, and up to how many bytes, a count waits for its flush: what a crash may make forgotten.
const WRITE_AFTER: Duration = Duration::from_secs(300);
const WRITE_AFTER_BYTES: u64 = 64 << 10;

/// Bytes in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the gateway.
    pub sent: u64,
    /// To the gateway.
    pub received: u64,
}

impl Carried {
    /// Both directions together.
    pub const fn total(self) -> u64 {
        self.sent + self.received
    }

    /// What came on top of an earlier count.
    pub const fn since(self, earlier: Carried) -> Carried {
        Carried {
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
        }
    }
}

/// Bytes by day: days since 1 January 1970 of the site's calendar.
pub type Days = BTreeMap<i64, Carried>;

/// The days, and what of them is not written yet.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) days: Arc<Days>,
    changed: BTreeSet<i64>,
    unwritten: u64,
    since: Option<Duration>,
    is_due: bool,
}

impl Traffic {
    /// What earlier runs noted.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut found = connection.prepare("select day, sent, received from traffic")?;
        let bytes = |row: &rusqlite::Row<'_>, place| Ok::<_, rusqlite::Error>(row.get::<_, i64>(place)?.unsigned_abs());
        let days =
            found.query_map([], |row| Ok((row.get(0)?, Carried { sent: bytes(row, 1)?, received: bytes(row, 2)? })))?;
        Ok(Traffic { days: Arc::new(days.collect::<rusqlite::Result<_>>()?), ..Traffic::default() })
    }

    /// Counts what went over the link on this day.
    pub(super) fn count(&mut self, day: i64, more: Carried, now: Duration) {
        let days = Arc::make_mut(&mut self.days);
        let counted = days.entry(day).or_default();
        *counted = Carried { sent: counted.sent + more.sent, received: counted.received + more.received };
        days.retain(|&kept, _| kept > day - DAYS_MAX);
        self.changed.insert(day);
        self.unwritten += more.total();
        let since = *self.since.get_or_insert(now);
        self.is_due |= self.unwritten >= WRITE_AFTER_BYTES || now.saturating_sub(since) >= WRITE_AFTER;
    }

    /// The same for a file that knows none of it.
    pub(super) fn anew(&self) -> Self {
        let changed: BTreeSet<i64> = self.days.keys().copied().collect();
        Traffic { days: Arc::clone(&self.days), is_due: !changed.is_empty(), changed, ..Traffic::default() }
    }

    /// The gateway ends: what is not written goes with the last commit.
    pub(super) fn end(&mut self) {
        self.is_due = !self.changed.is_empty();
    }

    /// Whether the next commit takes the counts with it.
    pub(super) const fn is_due(&self) -> bool {
        self.is_due
    }

    /// Writes the counts, if they are due.
    pub(super) fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for day in self.changed.iter().filter(|_| self.is_due) {
            let Carried { sent, received } = self.days.get(day).copied().unwrap_or_default();
            tx.prepare_cached("insert or replace into traffic (day, sent, received) values (?1, ?2, ?3)")?
                .execute([*day, sent.cast_signed(), received.cast_signed()])?;
            tx.prepare_cached("delete from traffic where day <= ?1")?.execute([day - DAYS_MAX])?;
        }
        Ok(())
    }

    /// They are committed.
    pub(super) fn written(&mut self) {
        if self.is_due {
            *self = Traffic { days: Arc::clone(&self.days), ..Traffic::default() };
        }
    }
}
