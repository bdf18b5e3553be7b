//! Keeping the store within its size. What the cloud has goes first, oldest first; only then
//! readings that it does not have, and those leave a gap row.

use riverwatts_shared::words::GapReason;
use rusqlite::{OptionalExtension, params};

use super::file::{Stamp, StoreFile};
use super::{StoreError, gaps, schema};

/// How long settled readings stay, for the panel and for reconciling, if there is room.
const KEEP_MS: i64 = 7 * 86_400_000;
/// Settled segments deleted in one transaction.
const ROWS_AT_ONCE: i64 = 64;
/// Unsettled ones: no more than need be.
const DROPPED_AT_ONCE: i64 = 8;
/// The log may grow to so much beside the file, and a commit needs room.
const RESERVE_BYTES: u64 = 2 << 20;

/// A segment that goes.
struct Leaving {
    number: i64,
    device: i64,
    boot: Option<i64>,
    from_ms: i64,
    to_ms: i64,
    rows: i64,
}

impl StoreFile {
    /// Deletes some of what is too old or too much. Gives whether there may be more.
    pub(super) fn retain_some(&mut self) -> Result<bool, StoreError> {
        if self.delete_old()? {
            return Ok(true);
        }
        Ok(self.is_full()? && (self.delete_settled()? || self.drop_unsettled()?))
    }

    /// Whether the file has reached its size.
    pub(super) fn is_full(&self) -> Result<bool, StoreError> {
        let limit = self.settings.max_bytes.saturating_sub(RESERVE_BYTES + self.set_aside_bytes);
        Ok(schema::used_bytes(&self.connection)? > limit)
    }

    fn delete_old(&mut self) -> Result<bool, StoreError> {
        let newest = self.devices.values().filter_map(|device| device.last).filter(|last| last.boot.is_none());
        let Some(newest) = newest.map(|last| last.ms).max() else { return Ok(false) };
        let before = newest - KEEP_MS;
        let mut gone = 0;
        for &device in self.devices.keys() {
            let mut old = self.connection.prepare_cached(
                "delete from segments where number in (select number from segments where device = ?1 \
                 and to_ms < ?2 and boot is null and number not in (select segment from unsettled) limit ?3)",
            )?;
            gone += old.execute([device, before, ROWS_AT_ONCE])?;
        }
        let gaps = self.connection.execute("delete from gaps where settled = 1 and to_ms < ?1", [before])?;
        Ok(gone + gaps > 0)
    }

    fn delete_settled(&mut self) -> Result<bool, StoreError> {
        let gone = self.connection.execute(
            "delete from segments where number in (select number from segments \
             where number not in (select segment from unsettled) order by number limit ?1)",
            [ROWS_AT_ONCE],
        )?;
        Ok(gone > 0)
    }

    /// Gives up the oldest readings that the cloud does not have.
    fn drop_unsettled(&mut self) -> Result<bool, StoreError> {
        let leaving = self.oldest_unsettled()?;
        let Some(first) = leaving.first() else { return Ok(false) };
        tracing::error!(
            from_ms = first.from_ms,
            "the store is full: the oldest readings that were not sent are given up"
        );
        let tx = self.connection.transaction()?;
        for &Leaving { number, device, boot, from_ms, to_ms, rows } in &leaving {
            tx.execute("delete from segments where number = ?1", [number])?;
            tx.execute("delete from unsettled where segment = ?1", [number])?;
            let next: Option<i64> = tx.query_row(
                "select min(from_ms) from segments where device = ?1 and to_ms > ?2 and boot is ?3",
                params![device, to_ms, boot],
                |row| row.get(0),
            )?;
            let journal = self.journal.values().find(|entry| entry.boot == boot).map(|entry| entry.from_ms);
            let next = next.or(journal).unwrap_or_default().max(to_ms + 1);
            let span = (Stamp { boot, ms: from_ms }, Stamp { boot, ms: next });
            let rows = Some(rows.unsigned_abs());
            gaps::write(&tx, device, GapReason::StoreFullDropped, span, rows, &self.gaps_in_flight)?;
        }
        tx.commit()?;
        let rows: i64 = leaving.iter().map(|segment| segment.rows).sum();
        self.backlog = self.backlog.saturating_sub(rows.unsigned_abs());
        Ok(true)
    }

    fn oldest_unsettled(&self) -> Result<Vec<Leaving>, StoreError> {
        let mut oldest = self.connection.prepare_cached(
            "select number, segments.device, boot, from_ms, to_ms, segments.rows from unsettled \
             join segments on number = segment order by segment limit ?1",
        )?;
        let rows = oldest.query_map([DROPPED_AT_ONCE + self.segments_in_flight.len() as i64], |row| {
            Ok(Leaving {
                number: row.get(0)?,
                device: row.get(1)?,
                boot: row.get(2)?,
                from_ms: row.get(3)?,
                to_ms: row.get(4)?,
                rows: row.get(5)?,
            })
        })?;
        let leaving: Vec<Leaving> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(leaving.into_iter().filter(|segment| !self.segments_in_flight.contains(&segment.number)).collect())
    }

    /// When the oldest reading was taken that the cloud does not have.
    pub(super) fn oldest_unsettled_at(&self) -> Result<Option<Stamp>, StoreError> {
        if self.backlog == 0 {
            return Ok(None);
        }
        let mut sealed = self.connection.prepare_cached(
            "select boot, from_ms from unsettled join segments on number = segment order by segment limit 1",
        )?;
        let sealed = sealed.query_row([], |row| Ok(Stamp { boot: row.get(0)?, ms: row.get(1)? })).optional()?;
        let journal = self.journal.values().find(|entry| !entry.open.is_settled());
        Ok(sealed.or(journal.map(|entry| Stamp { boot: entry.boot, ms: entry.from_ms })))
    }
}
