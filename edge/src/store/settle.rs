//! Settling: what a receipt names need not be sent again. Receipts are written with the next flush,
//! so that they cost no commit of their own. One that is lost in a power cut only makes the cloud
//! see a reading twice, and it knows it by its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Transaction, params};

use super::file::StoreFile;
use super::journal::{Entry, Open};
use super::take::Cargo;
use super::{Flush, Settlement, StoreError, dead_letters, reconcile};

/// How long a receipt may wait for a flush to go with.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// How long it lets flushes pass that it could go with: with each flush of a second a receipt would
/// change a page more.
const WRITE_AFTER: Duration = Duration::from_secs(20);
/// Most receipts that wait.
const RECEIPTS_MAX: usize = 64;

/// A receipt that waits for its commit.
#[derive(Debug)]
pub(super) struct Receipt {
    cargo: Cargo,
    /// Devices whose readings stay.
    kept: BTreeSet<i64>,
    settlement: Settlement,
    /// The highest sequence with a receipt, this one included.
    receipted: u64,
}

/// Writes the receipts. Gives by how many there are more dead letters.
pub(super) fn write(
    tx: &Transaction<'_>,
    journal: &BTreeMap<i64, Entry>,
    receipts: &[Receipt],
    number_of: impl Fn(&str) -> Option<i64>,
) -> rusqlite::Result<i64> {
    let mut buried = 0;
    for Receipt { cargo, kept, settlement, receipted } in receipts {
        for flush in &cargo.flushes {
            if let Some(Entry { open: Open::Only(devices), .. }) = journal.get(flush) {
                add_range(tx, "settled", *flush)?;
                hold(tx, *flush, devices)?;
            }
        }
        let drained =
            || cargo.segments.iter().filter(|(_, device, _)| !kept.contains(device)).map(|(number, ..)| number);
        for segment in drained() {
            tx.prepare_cached("delete from unsettled where segment = ?1")?.execute([segment])?;
        }
        if let Some((&first, &last)) = drained().min().zip(drained().max()) {
            reconcile::note_drained(tx, first, last, *receipted)?;
        }
        for (gap, _) in cargo.gaps.iter().filter(|(_, device)| !kept.contains(device)) {
            tx.prepare_cached("update gaps set settled = 1 where number = ?1")?.execute([gap])?;
        }
        for named in &settlement.named {
            tx.prepare_cached("update devices set cloud_id = ?2 where key = ?1 and cloud_id is not ?2")?
                .execute(params![named.key, named.device_id.as_bytes().as_slice()])?;
        }
        for (key, announcement) in &settlement.announced {
            tx.execute("update devices set announced = ?2 where key = ?1", params![key, announcement])?;
        }
        for letter in &settlement.dead_letters {
            if let Some(device) = number_of(&letter.key) {
                buried += dead_letters::bury(tx, device, letter)?;
            }
        }
        if let Some(epoch) = settlement.epoch {
            let epoch = epoch.as_bytes().as_slice();
            tx.prepare_cached("update store set epoch = ?1 where epoch is not ?1")?.execute([epoch])?;
        }
    }
    if let Some(Receipt { receipted, .. }) = receipts.last() {
        tx.prepare_cached("update store set receipted = ?1 where receipted <> ?1")?
            .execute([receipted.cast_signed()])?;
    }
    Ok(buried)
}

/// Writes whose readings of a settled flush the cloud does not have.
fn hold(tx: &Transaction<'_>, flush: i64, devices: &BTreeSet<i64>) -> rusqlite::Result<()> {
    tx.prepare_cached("delete from held where flush = ?1")?.execute([flush])?;
    for device in devices {
        tx.prepare_cached("insert into held (flush, device) values (?1, ?2)")?.execute([flush, *device])?;
    }
    Ok(())
}

/// Adds a flush to the ranges of this table, which stay disjoint and apart.
pub(super) fn add_range(tx: &Transaction<'_>, table: &str, flush: i64) -> rusqlite::Result<()> {
    let around = format!("select first, last from {table} where first <= ?1 + 1 and last >= ?1 - 1");
    let mut around = tx.prepare_cached(&around)?;
    let ranges = around.query_map([flush], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let ranges: Vec<(i64, i64)> = ranges.collect::<rusqlite::Result<_>>()?;
    let first = ranges.iter().map(|range| range.0).fold(flush, i64::min);
    let last = ranges.iter().map(|range| range.1).fold(flush, i64::max);
    if ranges != [(first, last)] {
        tx.prepare_cached(&format!("delete from {table} where first between ?1 and ?2"))?.execute([first, last])?;
        tx.prepare_cached(&format!("insert into {table} (first, last) values (?1, ?2)"))?.execute([first, last])?;
    }
    Ok(())
}

impl StoreFile {
    /// Takes a receipt. Gives whether this side or the cloud was put back to an earlier state: then what
    /// the cloud may lack and is still here is sent again.
    pub(super) fn settle(&mut self, cargo: Cargo, settlement: Settlement, now: Duration) -> Result<bool, StoreError> {
        let restored = self.reconcile(&settlement)?;
        // A file that was set aside meanwhile has taken its rows with it; under a new id they go again, since no
        // receipt for it would tell that the cloud has lost them.
        let cargo = if cargo.store == self.id { cargo } else { Cargo::default() };
        let kept: BTreeSet<i64> = settlement.kept.iter().filter_map(|key| self.number_of(key)).collect();
        for named in &settlement.named {
            if let Some(number) = self.number_of(&named.key) {
                self.waiting.remove(&number);
            }
        }
        self.waiting.extend(&kept);
        self.epoch = settlement.epoch.or(self.epoch);
        let settled_rows = cargo.rows_except(&kept);
        self.backlog = self.backlog.saturating_sub(settled_rows);
        let stays: BTreeSet<i64> = cargo.withheld.union(&kept).copied().collect();
        for number in &cargo.flushes {
            if let Some(entry) = self.journal.get_mut(number) {
                entry.in_flight = false;
                entry.open = Open::Only(match &entry.open {
                    Open::All => stays.clone(),
                    Open::Only(devices) => devices.intersection(&stays).copied().collect(),
                });
            }
        }
        self.first_receipt_at.get_or_insert(now);
        self.receipts.push(Receipt { cargo, kept, settlement, receipted: self.receipted });
        Ok(restored)
    }

    /// Commits the flush, with the receipts once they have waited for some, or when one tells more than
    /// what is settled.
    pub(super) fn commit_flush(&mut self, flush: &Flush, now: Duration) -> Result<(), StoreError> {
        let since = self.first_receipt_at.filter(|&since| now.saturating_sub(since) < WRITE_AFTER);
        let tells_more = |settlement: &Settlement| {
            let Settlement { kept, announced, dead_letters, .. } = settlement;
            !kept.is_empty() || !announced.is_empty() || !dead_letters.is_empty()
        };
        let more = self.receipts.iter().any(|receipt| tells_more(&receipt.settlement));
        if since.is_none() || more || self.receipts.len() >= RECEIPTS_MAX {
            return self.commit(Some(flush));
        }
        let receipts = std::mem::take(&mut self.receipts);
        let done = self.commit(Some(flush));
        (self.receipts, self.first_receipt_at) = (receipts, since);
        done
    }

    /// Whether receipts have waited long enough for a commit of their own.
    pub(super) fn receipts_due(&self, now: Duration) -> bool {
        self.first_receipt_at.is_some_and(|since| now.saturating_sub(since) >= WRITE_WITHIN)
    }

    /// The receipts are written.
    pub(super) fn forget_receipts(&mut self) {
        for Receipt { cargo, .. } in std::mem::take(&mut self.receipts) {
            cargo.segments.iter().for_each(|(number, ..)| {
                self.segments_in_flight.remove(number);
            });
            cargo.gaps.iter().for_each(|(number, _)| {
                self.gaps_in_flight.remove(number);
            });
        }
        self.first_receipt_at = None;
    }

    /// How many readings the cloud has not settled, from the file itself.
    pub(super) fn count_backlog(&self) -> Result<u64, StoreError> {
        let sealed: i64 =
            self.connection.query_row("select coalesce(sum(rows), 0) from unsettled", [], |row| row.get(0))?;
        let mut rows = sealed.unsigned_abs();
        for (&number, entry) in &self.journal {
            rows += match &entry.open {
                Open::All => entry.rows,
                Open::Only(devices) if devices.is_empty() => 0,
                Open::Only(_) => {
                    let parts = self.read_flush(number, |device| entry.open.has(device))?;
                    parts.iter().map(|(_, segment)| segment.rows() as u64).sum()
                }
            };
        }
        Ok(rows)
    }
}
