//! The journal: one row and one commit a flush.

use std::borrow::Cow;
use std::collections::BTreeSet;

use riverwatts_shared::segment::Segment;
use riverwatts_shared::words::{GapReason, Quality};
use rusqlite::{Transaction, params};

use super::file::{Stamp, StoreFile};
use super::gaps::{self, OpenGap};
use super::{Flush, StoreError, jumps, packed, settle};

/// What is remembered of a flush.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Where its row is.
    pub(super) slot: i64,
    /// The boot whose time it tells; `None` once dated.
    pub(super) boot: Option<i64>,
    pub(super) from_ms: i64,
    pub(super) rows: u64,
    pub(super) bytes: usize,
    pub(super) open: Open,
    pub(super) in_flight: bool,
}

/// Whose readings of a flush the cloud does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Open {
    /// Everybody's.
    All,
    /// Those of these devices; nobody's when empty.
    Only(BTreeSet<i64>),
}

impl Open {
    pub(super) fn has(&self, device: i64) -> bool {
        match self {
            Open::All => true,
            Open::Only(devices) => devices.contains(&device),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Open::Only(devices) if devices.is_empty())
    }
}

impl StoreFile {
    /// Commits the flush, if there is one, and the receipts that wait. Nothing is changed when it fails.
    pub(super) fn commit(&mut self, flush: Option<&Flush>) -> Result<(), StoreError> {
        let flush = flush.filter(|flush| !flush.is_empty());
        if flush.is_none() && self.receipts.is_empty() && !self.traffic.is_due() {
            return Ok(());
        }
        let flush = flush.map(|flush| self.after_stored(flush));
        let flush = flush.as_deref();
        let unused = || self.journal.values().map(|entry| entry.slot).max().unwrap_or(0) + 1;
        let slot = self.free_slots.first().copied().unwrap_or_else(unused);
        let tx = self.connection.transaction()?;
        let buried = settle::write(&tx, &self.journal, &self.receipts, |key| {
            self.devices.iter().find(|(_, device)| device.key == key).map(|(&number, _)| number)
        })?;
        let mut written = None;
        if let Some(flush) = flush {
            written = Some(Written::write(&tx, (self.next_flush, slot), self.boot, &self.places, flush)?);
        }
        let mut opened = Vec::new();
        for &(place, rows) in flush.iter().flat_map(|flush| &flush.lost) {
            let device = self.places[usize::from(place)];
            let waits = |gap: &&OpenGap| gap.device == device && gap.reason == GapReason::DiskError;
            match self.open_gaps.iter().find(waits) {
                Some(gap) => gaps::widen(&tx, gap, rows)?,
                None => {
                    let from = self.devices[&device].last;
                    opened.push(gaps::open(&tx, device, GapReason::DiskError, from, Some(rows))?);
                }
            }
        }
        let mut closed = BTreeSet::new();
        if let Some(written) = &written {
            let waiting = self.open_gaps.iter().chain(&opened);
            closed = gaps::close(&tx, waiting, &self.places, written)?;
        }
        self.traffic.write(&tx)?;
        tx.commit()?;

        self.commits += 1;
        self.lost.in_memory += flush.iter().flat_map(|flush| &flush.lost).map(|(_, rows)| rows).sum::<u64>();
        self.traffic.written();
        self.dead_letters = self.dead_letters.saturating_add_signed(buried);
        self.forget_receipts();
        self.open_gaps.extend(opened);
        self.open_gaps.retain(|gap| !closed.contains(&gap.number));
        if let Some(Written { entry: Some(entry), stamps, .. }) = written {
            if let Some(boot) = entry.boot {
                self.undated.insert(boot);
            }
            self.free_slots.remove(&entry.slot);
            self.backlog += entry.rows;
            self.journal.insert(self.next_flush, entry);
            self.next_flush += 1;
            for (device, _, last) in stamps {
                if let Some(known) = self.devices.get_mut(&device) {
                    known.last = Some(last);
                }
            }
        }
        Ok(())
    }
}

impl StoreFile {
    /// The flush with its times after those that are stored: a store that could not be read when the
    /// gateway started may have later ones than its clock gave.
    fn after_stored<'a>(&self, flush: &'a Flush) -> Cow<'a, Flush> {
        let boot = (!flush.dated).then_some(self.boot);
        let last = |place: u16| {
            let last = self.devices[&self.places[usize::from(place)]].last.filter(|last| last.boot == boot);
            last.map_or(i64::MIN, |last| last.ms)
        };
        if flush.segments.iter().all(|(place, segment)| segment.times.first().is_none_or(|&first| first > last(*place)))
        {
            return Cow::Borrowed(flush);
        }
        let mut moved = flush.clone();
        for (place, segment) in &mut moved.segments {
            packed::begin_after(segment, last(*place), Quality::ClockUntrusted);
        }
        Cow::Owned(moved)
    }
}

/// A flush in the open transaction.
pub(super) struct Written {
    /// Its row; `None` when it has no readings.
    entry: Option<Entry>,
    /// Number, first and last time of each device in it.
    pub(super) stamps: Vec<(i64, Stamp, Stamp)>,
}

impl Written {
    fn write(
        tx: &Transaction<'_>,
        (number, slot): (i64, i64),
        boot: i64,
        places: &[i64],
        flush: &Flush,
    ) -> rusqlite::Result<Self> {
        if let Some(news) = &flush.news {
            jumps::write(tx, boot, news)?;
        }
        let undated = (!flush.dated).then_some(boot);
        let stamp = |ms: i64| Stamp { boot: undated, ms };
        let parts = || flush.segments.iter().map(|(place, segment)| (places[usize::from(*place)], segment));
        let stamps: Vec<_> = parts().filter_map(|(device, segment)| ends(device, segment, stamp)).collect();
        let Some(from_ms) = stamps.iter().map(|(_, first, _)| first.ms).min() else {
            return Ok(Written { entry: None, stamps });
        };
        let bytes = packed::pack_flush(&parts().collect::<Vec<_>>());
        let rows = flush.rows();
        let row = params![slot, number, undated, from_ms, rows.cast_signed(), bytes];
        // Naming the old number makes SQLite look at the row, and write in place one of the same size.
        let used_again = tx
            .prepare_cached(
                "update flushes set number = ?2, boot = ?3, from_ms = ?4, rows = ?5, readings = ?6 \
                 where slot = ?1 and number < ?2",
            )?
            .execute(row)?;
        if used_again == 0 {
            tx.prepare_cached(
                "insert into flushes (slot, number, boot, from_ms, rows, readings) values (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(row)?;
        }
        let entry = Entry { slot, boot: undated, from_ms, rows, bytes: bytes.len(), open: Open::All, in_flight: false };
        Ok(Written { entry: Some(entry), stamps })
    }
}

fn ends(device: i64, segment: &Segment, stamp: impl Fn(i64) -> Stamp) -> Option<(i64, Stamp, Stamp)> {
    let (first, last) = (segment.times.first()?, segment.times.last()?);
    Some((device, stamp(*first), stamp(*last)))
}
