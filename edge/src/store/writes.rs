//! What was written to devices, or was to be: who, when, what, and how it ended. A row is there
//! before the first byte goes out, so that a write whose end nobody saw is known too.

use rusqlite::{Connection, Row, params};

use super::file::StoreFile;
use super::{History, StoreError};

/// How long rows stay.
const KEEP_MS: i64 = 400 * 86_400_000;
/// Most rows; beyond, the oldest go.
pub(super) const ROWS_MAX: i64 = 10_000;

/// Made beside the tables of the version: a program without it is not disturbed by it.
const TABLE: &str = "
-- `at_ms` is the monotonic time of the boot, `time_ms` UTC where the clock was trusted. `outcome` is
-- null while the end is not known.
create table if not exists writes (
    number integer primary key,
    boot integer not null,
    at_ms integer not null,
    time_ms integer,
    who text not null,
    device text not null,
    name text not null,
    old text,
    value text not null,
    outcome text,
    words text not null
) strict;
";

/// One attempt to write to a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteRow {
    /// Its number; `None` before it is stored.
    pub number: Option<i64>,
    /// Monotonic time of its boot, in ms.
    pub at_ms: i64,
    /// UTC, in ms; `None` where the clock was not trusted.
    pub time_ms: Option<i64>,
    /// Who asked for it.
    pub who: String,
    /// Key of the device.
    pub device: String,
    /// Name of the write.
    pub name: String,
    /// What showed before.
    pub old: Option<String>,
    /// What was to be written.
    pub value: String,
    /// `done`, `refused`, `not_confirmed` or `failed`; `None` while the end is not known.
    pub outcome: Option<String>,
    /// Why, where there is a reason.
    pub words: String,
}

/// Makes the table where it is missing.
pub(super) fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLE)
}

impl StoreFile {
    /// Stores an attempt, or how the one with its number ended. Gives its number.
    pub(super) fn record_write(&mut self, write: &WriteRow) -> Result<i64, StoreError> {
        let tx = self.connection.transaction()?;
        tx.execute(
            "insert or replace into writes (number, boot, at_ms, time_ms, who, device, name, old, value, outcome, words) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                write.number,
                self.boot,
                write.at_ms,
                write.time_ms,
                write.who,
                write.device,
                write.name,
                write.old,
                write.value,
                write.outcome,
                write.words
            ],
        )?;
        let number = tx.last_insert_rowid();
        tx.execute("delete from writes where number <= ?1", [number - ROWS_MAX])?;
        if let Some(now_ms) = write.time_ms {
            tx.execute("delete from writes where time_ms < ?1", [now_ms - KEEP_MS])?;
        }
        tx.commit()?;
        Ok(number)
    }
}

impl History {
    /// The newest attempts to write, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn writes(&self, limit: usize) -> rusqlite::Result<Vec<WriteRow>> {
        let connection = self.connect()?;
        let mut found = connection.prepare(
            "select number, at_ms, time_ms, who, device, name, old, value, outcome, words from writes \
             order by number desc limit ?1",
        )?;
        let rows = found.query_map([limit as i64], row)?;
        rows.collect()
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<WriteRow> {
    Ok(WriteRow {
        number: row.get(0)?,
        at_ms: row.get(1)?,
        time_ms: row.get(2)?,
        who: row.get(3)?,
        device: row.get(4)?,
        name: row.get(5)?,
        old: row.get(6)?,
        value: row.get(7)?,
        outcome: row.get(8)?,
        words: row.get(9)?,
    })
}
