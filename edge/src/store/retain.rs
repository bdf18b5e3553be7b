//! Keeping the store within its size. What the cloud has goes first, oldest first; then readings that
//! it does not have are thinned, and only then dropped: those leave gap rows.

use std::collections::BTreeMap;

use riverwatts_shared::words::GapReason;
use rusqlite::{OptionalExtension, Transaction, params};

use super::file::{Stamp, StoreFile};
use super::journal::Entry;
use super::room::{self, Full, Limit};
use super::{StoreError, gaps, schema};

/// How long settled readings stay, for the panel and for reconciling, if there is room.
const KEEP_MS: i64 = 7 * 86_400_000;
/// Settled segments deleted in one transaction.
const ROWS_AT_ONCE: i64 = 64;
/// Unsettled ones: no more than need be.
const DROPPED_AT_ONCE: usize = 8;
/// The log may grow to so much beside the file, and a commit needs room.
const RESERVE_BYTES: u64 = 2 << 20;

/// A segment that goes, or that others go from.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) number: i64,
    pub(super) device: i64,
    pub(super) boot: Option<i64>,
    pub(super) from_ms: i64,
    to_ms: i64,
    pub(super) rows: i64,
}

impl Leaving {
    /// Its first reading.
    pub(super) const fn first(&self) -> Stamp {
        Stamp { boot: self.boot, ms: self.from_ms }
    }
}

/// When the device's next reading was taken that is still here, as far as that is known.
pub(super) fn next_after(
    tx: &Transaction<'_>,
    journal: &BTreeMap<i64, Entry>,
    &Leaving { device, boot, to_ms, .. }: &Leaving,
) -> rusqlite::Result<Stamp> {
    let next: Option<i64> = tx.query_row(
        "select min(from_ms) from segments where device = ?1 and to_ms > ?2 and boot is ?3",
        params![device, to_ms, boot],
        |row| row.get(0),
    )?;
    let journal = journal.values().find(|entry| entry.boot == boot).map(|entry| entry.from_ms);
    Ok(Stamp { boot, ms: next.or(journal).unwrap_or_default().max(to_ms + 1) })
}

impl StoreFile {
    /// Deletes some of what is too old or too much. Gives whether there may be more.
    pub(super) fn retain_some(&mut self) -> Result<bool, StoreError> {
        if self.delete_old()? {
            return Ok(true);
        }
        let Some(limit) = self.limit_reached()? else { return Ok(false) };
        if self.delete_settled()? {
            return Ok(true);
        }
        let (thinned, dropped) = (self.lost.thinned, self.lost.dropped);
        let went = self.thin_unsettled()? || self.drop_unsettled()?;
        if self.lost.dropped > dropped || self.lost.thinned > thinned {
            self.tell_full(limit, self.lost.dropped > dropped);
        }
        Ok(went)
    }

    /// Which limit the file has reached.
    pub(super) fn limit_reached(&self) -> Result<Option<Limit>, StoreError> {
        let most = self.settings.max_bytes.saturating_sub(RESERVE_BYTES + self.set_aside_bytes);
        let (used, whole) = schema::bytes(&self.connection)?;
        if used > most {
            return Ok(Some(Limit::MaxBytes(self.settings.max_bytes)));
        }
        Ok(room::limit(&self.settings.dir, self.settings.keep_free, used, whole))
    }

    /// Says what becomes of readings that the cloud does not have, when that changes.
    fn tell_full(&mut self, limit: Limit, drops: bool) {
        let full = Full { limit, drops: drops || self.full.is_some_and(|full| full.drops) };
        if self.full != Some(full) {
            tracing::error!(full = %full, "the store is full");
            self.full = Some(full);
        }
        self.fills_up = true;
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
        let leaving = self.unsettled(0, DROPPED_AT_ONCE)?;
        if leaving.is_empty() {
            return Ok(false);
        }
        let tx = self.connection.transaction()?;
        for segment in &leaving {
            tx.execute("delete from segments where number = ?1", [segment.number])?;
            tx.execute("delete from unsettled where segment = ?1", [segment.number])?;
            let span = (segment.first(), next_after(&tx, &self.journal, segment)?);
            let rows = Some(segment.rows.unsigned_abs());
            gaps::write(&tx, segment.device, GapReason::StoreFullDropped, span, rows, &self.gaps_in_flight)?;
        }
        tx.commit()?;
        let rows: i64 = leaving.iter().map(|segment| segment.rows).sum();
        self.backlog = self.backlog.saturating_sub(rows.unsigned_abs());
        self.lost.dropped += rows.unsigned_abs();
        Ok(true)
    }

    /// The oldest that the cloud does not have, of those after this one, and that are not on their way.
    pub(super) fn unsettled(&self, after: i64, limit: usize) -> Result<Vec<Leaving>, StoreError> {
        let mut oldest = self.connection.prepare_cached(
            "select number, segments.device, boot, from_ms, to_ms, segments.rows from unsettled \
             join segments on number = segment where segment > ?1 order by segment limit ?2",
        )?;
        let most = (limit + self.segments_in_flight.len()) as i64;
        let rows = oldest.query_map([after, most], |row| {
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
        let is_here = |segment: &Leaving| !self.segments_in_flight.contains(&segment.number);
        Ok(leaving.into_iter().filter(is_here).take(limit).collect())
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
