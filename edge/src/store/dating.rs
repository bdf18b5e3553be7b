//! Dating: rows that were written before the clock was trusted get their times, once, a few at a
//! time. A boot that never got a trusted clock is placed between its neighbours when a later one has.

use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;
use rusqlite::{OptionalExtension, params};

use super::file::{Stamp, StoreFile};
use super::{StoreError, packed};
use crate::clock::{between, drift_ms, uncertainty_s};

/// Rows of one transaction.
const ROWS_AT_ONCE: usize = 32;

/// By what a boot's rows are dated.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Dating {
    offset_ms: i64,
    bound_ms: i64,
    /// The monotonic time for which the bound holds; `None` for a guess, whose bound holds for all.
    at_ms: Option<i64>,
}

impl Dating {
    fn apply(self, segment: &Segment) -> Segment {
        let first = segment.times.first().copied();
        let drifted_ms = self.at_ms.zip(first).map_or(0, |(at, first)| drift_ms(at - first));
        let uncertainty_s = uncertainty_s(self.bound_ms.saturating_add(drifted_ms));
        let quality = match (self.at_ms, uncertainty_s) {
            (None, _) => Quality::ClockUntrusted,
            (_, 0) => Quality::Ok,
            _ => Quality::Redated,
        };
        packed::dated(segment, self.offset_ms, uncertainty_s, quality)
    }
}

/// The undated rows of a boot: their first flush, and their first and last monotonic time.
#[derive(Debug, Clone, Copy)]
struct Span {
    first_flush: i64,
    from_ms: i64,
    to_ms: i64,
}

impl StoreFile {
    /// Dates some rows of the oldest boot that can be dated. Gives whether there may be more.
    pub(super) fn date_some(&mut self) -> Result<bool, StoreError> {
        for boot in self.undated.clone() {
            let dating = match self.dating_of(boot)? {
                Some(dating) => dating,
                None if boot != self.boot && self.dating_of(self.boot)?.is_some() => self.estimate(boot)?,
                None => continue,
            };
            if !self.date_segments(boot, dating)? && !self.date_flushes(boot, dating)? {
                self.date_ends(boot, dating)?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn dating_of(&self, boot: i64) -> Result<Option<Dating>, StoreError> {
        let mut found = self.connection.prepare_cached(
            "select dating_ms, dating_bound_ms, iif(estimated, null, coalesce(dating_at_ms, 0)) from boots \
             where number = ?1 and dating_ms is not null",
        )?;
        let dating = found
            .query_row([boot], |row| Ok(Dating { offset_ms: row.get(0)?, bound_ms: row.get(1)?, at_ms: row.get(2)? }));
        Ok(dating.optional()?)
    }

    fn date_segments(&mut self, boot: i64, dating: Dating) -> Result<bool, StoreError> {
        let numbers: Vec<i64> = {
            let mut undated = self.connection.prepare_cached("select number from segments where boot = ?1 limit ?2")?;
            let rows = undated.query_map([boot, ROWS_AT_ONCE as i64], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut dated = Vec::new();
        for &number in &numbers {
            dated.push((number, packed::pack(&dating.apply(&self.read_segment(number)?))));
        }
        let tx = self.connection.transaction()?;
        for (number, readings) in dated {
            tx.prepare_cached(
                "update segments set boot = null, from_ms = from_ms + ?2, to_ms = to_ms + ?2, readings = ?3 where number = ?1",
            )?
            .execute(params![number, dating.offset_ms, readings])?;
        }
        tx.commit()?;
        Ok(!numbers.is_empty())
    }

    fn date_flushes(&mut self, boot: i64, dating: Dating) -> Result<bool, StoreError> {
        let undated = self.journal.iter().filter(|(_, entry)| entry.boot == Some(boot));
        let numbers: Vec<i64> = undated.map(|(&number, _)| number).take(ROWS_AT_ONCE).collect();
        let mut dated = Vec::new();
        for &number in &numbers {
            let parts = self.read_flush(number, |_| true)?;
            let parts: Vec<(i64, Segment)> =
                parts.iter().map(|(device, segment)| (*device, dating.apply(segment))).collect();
            let parts: Vec<(i64, &Segment)> = parts.iter().map(|(device, segment)| (*device, segment)).collect();
            dated.push((number, packed::pack_flush(&parts)));
        }
        let tx = self.connection.transaction()?;
        for (number, readings) in &dated {
            tx.prepare_cached("update flushes set boot = null, from_ms = from_ms + ?2, readings = ?3 where slot = ?1")?
                .execute(params![self.journal[number].slot, dating.offset_ms, readings])?;
        }
        tx.commit()?;
        for (number, readings) in dated {
            if let Some(entry) = self.journal.get_mut(&number) {
                entry.boot = None;
                entry.from_ms += dating.offset_ms;
                entry.bytes = readings.len();
            }
        }
        Ok(!numbers.is_empty())
    }

    /// The ends of gaps and the devices' newest times: then nothing of the boot is undated.
    fn date_ends(&mut self, boot: i64, dating: Dating) -> Result<(), StoreError> {
        let tx = self.connection.transaction()?;
        for statement in [
            "update gaps set from_boot = null, from_ms = from_ms + ?2 where from_boot = ?1",
            "update gaps set to_boot = null, to_ms = to_ms + ?2 where to_boot = ?1",
            "update devices set last_boot = null, last_ms = last_ms + ?2 where last_boot = ?1",
        ] {
            tx.execute(statement, [boot, dating.offset_ms])?;
        }
        tx.commit()?;
        for device in self.devices.values_mut() {
            if let Some(last) = device.last.filter(|last| last.boot == Some(boot)) {
                device.last = Some(Stamp { boot: None, ms: last.ms + dating.offset_ms });
            }
        }
        self.undated.remove(&boot);
        Ok(())
    }

    /// Places a boot that never got a trusted clock, for good.
    fn estimate(&mut self, boot: i64) -> Result<Dating, StoreError> {
        let span = self.span_of(boot)?;
        let Some(now) = self.dating_of(self.boot)? else { return Err(StoreError::Stopped) };
        let start = self.span_of(self.boot)?.map_or(self.opened_ms, |own| own.from_ms);
        let mut upper = start + now.offset_ms;
        for &later in self.undated.range(boot + 1..).filter(|&&later| later != self.boot) {
            upper -= self.span_of(later)?.map_or(0, |later| later.to_ms - later.from_ms + 1);
        }
        let (offset_ms, bound_ms) = match span {
            Some(span) => {
                let lower = self.newest_before(span.first_flush)?;
                let (offset_ms, bound_ms) = between(lower, UtcMs(upper), span.from_ms, span.to_ms);
                let started_at = now.at_ms.map_or(0, |at| drift_ms(at - start));
                (offset_ms, bound_ms.saturating_add(now.bound_ms).saturating_add(started_at))
            }
            // Nothing is left of it.
            None => (upper - 1, 0),
        };
        self.connection.execute(
            "update boots set dating_ms = ?2, dating_bound_ms = ?3, estimated = 1 where number = ?1",
            [boot, offset_ms, bound_ms],
        )?;
        tracing::warn!(boot, bound_ms, "a boot without a trusted clock was placed between its neighbours");
        Ok(Dating { offset_ms, bound_ms, at_ms: None })
    }

    fn span_of(&self, boot: i64) -> Result<Option<Span>, StoreError> {
        let mut sealed = self.connection.prepare_cached(
            "select min(first_flush), min(from_ms), max(to_ms) from segments where boot = ?1 having count(*) > 0",
        )?;
        let sealed = sealed
            .query_row([boot], |row| Ok(Span { first_flush: row.get(0)?, from_ms: row.get(1)?, to_ms: row.get(2)? }));
        let mut span = sealed.optional()?;
        for (&number, entry) in self.journal.iter().filter(|(_, entry)| entry.boot == Some(boot)) {
            let to_ms = self.newest_of(number)?.unwrap_or(entry.from_ms);
            let own = Span { first_flush: number, from_ms: entry.from_ms, to_ms };
            span = Some(span.map_or(own, |span| Span {
                first_flush: span.first_flush.min(number),
                from_ms: span.from_ms.min(own.from_ms),
                to_ms: span.to_ms.max(own.to_ms),
            }));
        }
        match span {
            Some(span) => Ok(Some(span)),
            None => self.span_of_ends(boot),
        }
    }

    /// The same of a boot of which only ends of gaps are left.
    fn span_of_ends(&self, boot: i64) -> Result<Option<Span>, StoreError> {
        let (from_ms, to_ms): (Option<i64>, Option<i64>) = self.connection.query_row(
            "select min(ms), max(ms) from (select from_ms as ms from gaps where from_boot = ?1 \
             union all select to_ms from gaps where to_boot = ?1 \
             union all select last_ms from devices where last_boot = ?1)",
            [boot],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(from_ms.zip(to_ms).map(|(from_ms, to_ms)| Span { first_flush: 0, from_ms, to_ms }))
    }

    /// The newest UTC time of the flushes before this one, and how far off it may be, in ms.
    pub(super) fn newest_before(&self, flush: i64) -> Result<Option<(UtcMs, i64)>, StoreError> {
        let end = |segment: &Segment| {
            let doubt_ms = i64::from(segment.time_uncertainty_s) * 1_000;
            Some((UtcMs(*segment.times.last()?), doubt_ms))
        };
        let sealed: Option<i64> = self
            .connection
            .query_row(
                "select number from segments where boot is null and last_flush < ?1 order by to_ms desc limit 1",
                [flush],
                |row| row.get(0),
            )
            .optional()?;
        let mut newest = match sealed {
            Some(number) => end(&self.read_segment(number)?),
            None => None,
        };
        for (&number, _) in self.journal.range(..flush).filter(|(_, entry)| entry.boot.is_none()) {
            let parts = self.read_flush(number, |_| true)?;
            newest = newest.max(parts.iter().filter_map(|(_, segment)| end(segment)).max());
        }
        Ok(newest)
    }

    /// The newest time of a flush.
    fn newest_of(&self, flush: i64) -> Result<Option<i64>, StoreError> {
        let parts = self.read_flush(flush, |_| true)?;
        Ok(parts.iter().filter_map(|(_, segment)| segment.times.last().copied()).max())
    }

    /// The newest UTC time ever stored.
    pub(super) fn newest(&self) -> Result<Option<i64>, StoreError> {
        let mut newest = None;
        for (&number, device) in &self.devices {
            newest = newest.max(device.last.filter(|last| last.boot.is_none()).map(|last| last.ms));
            let mut sealed = self.connection.prepare_cached(
                "select to_ms from segments where device = ?1 and boot is null order by to_ms desc limit 1",
            )?;
            newest = newest.max(sealed.query_row([number], |row| row.get(0)).optional()?);
        }
        for (&number, _) in self.journal.iter().filter(|(_, entry)| entry.boot.is_none()) {
            newest = newest.max(self.newest_of(number)?);
        }
        // What is being dated has its times already.
        for &boot in &self.undated {
            if let (Some(dating), Some(span)) = (self.dating_of(boot)?, self.span_of(boot)?) {
                newest = newest.max(Some(span.to_ms + dating.offset_ms));
            }
        }
        Ok(newest)
    }

    /// The least offset of this boot that puts its undated rows, and what comes now, after
    /// everything that was stored before.
    pub(super) fn floor(&self) -> Result<Option<i64>, StoreError> {
        let Some(mut floor) = self.newest()? else { return Ok(None) };
        for &boot in self.undated.iter().filter(|&&boot| boot != self.boot) {
            if self.dating_of(boot)?.is_none() {
                floor += self.span_of(boot)?.map_or(0, |span| span.to_ms - span.from_ms + 2);
            }
        }
        let own = if self.dating_of(self.boot)?.is_none() { self.span_of(self.boot)? } else { None };
        let start = own.map_or(self.opened_ms, |own| own.from_ms);
        Ok(Some(floor + 1 - start))
    }
}
