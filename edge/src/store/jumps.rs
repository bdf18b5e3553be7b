//! The ledger of the clock: by what a boot is dated, and each correction of its time. No gap comes of
//! a correction: the monotonic time tells that nothing is missing where the time stepped forward.

use rusqlite::{Row, Transaction, params};

use super::History;
use crate::clock::News;

/// Most rows of `jumps`; older ones go.
const ROWS_MAX: i64 = 1_000;

/// A correction of the clock, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpRow {
    /// Its number; later ones have greater ones.
    pub number: i64,
    /// The number of the boot in this store.
    pub boot: i64,
    /// Monotonic time at which it was found, in ms.
    pub at_ms: i64,
    /// The same in UTC, as far as the boot is dated.
    pub time_ms: Option<i64>,
    /// By how much: positive forward, in one step; negative backward, slewed.
    pub by_ms: i64,
    /// On whose word; an earlier version did not write that.
    pub source: Option<String>,
}

/// The anchor of the boot, its dating when it has none yet, and its jumps.
pub(super) fn write(tx: &Transaction<'_>, boot: i64, news: &News) -> rusqlite::Result<()> {
    let News { anchor, dating, jumps } = news;
    tx.execute(
        "update boots set anchor_ms = ?2, anchor_bound_ms = ?3, anchor_at_ms = ?4, anchor_source = ?5 where number = ?1",
        params![boot, anchor.offset_ms, anchor.bound_ms, anchor.at_ms, anchor.source.word()],
    )?;
    tx.execute(
        "update boots set dating_ms = ?2, dating_bound_ms = ?3, dating_at_ms = ?4 where number = ?1 and dating_ms is null",
        params![boot, dating.offset_ms, dating.bound_ms, dating.at_ms],
    )?;
    for jump in jumps {
        let at_ms = jump.at.as_millis() as i64;
        tx.execute(
            "insert into jumps (boot, at_ms, by_ms, source) values (?1, ?2, ?3, ?4)",
            params![boot, at_ms, jump.by_ms, jump.source.word()],
        )?;
    }
    tx.execute("delete from jumps where number <= (select max(number) from jumps) - ?1", [ROWS_MAX])?;
    Ok(())
}

impl History {
    /// The newest corrections of the clock, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn jumps(&self, limit: usize) -> rusqlite::Result<Vec<JumpRow>> {
        let connection = self.connect()?;
        let mut found = connection.prepare(
            "select jumps.number, boot, at_ms, at_ms + coalesce(anchor_ms, dating_ms), by_ms, source \
             from jumps left join boots on boots.number = boot order by jumps.number desc limit ?1",
        )?;
        let rows = found.query_map([limit as i64], row)?;
        rows.collect()
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<JumpRow> {
    Ok(JumpRow {
        number: row.get(0)?,
        boot: row.get(1)?,
        at_ms: row.get(2)?,
        time_ms: row.get(3)?,
        by_ms: row.get(4)?,
        source: row.get(5)?,
    })
}
