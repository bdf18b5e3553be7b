//! Sealing: the flushes of some minutes become one segment per device, columns that are small on
//! the card and on the wire. Flushes that are on their way stay, and settled ones never join
//! unsettled ones, so that a receipt always settles whole rows.

use std::collections::BTreeMap;
use std::time::Duration;

use riverwatts_shared::segment::Segment;
use rusqlite::{Transaction, params};

use super::file::StoreFile;
use super::{SEAL_EVERY, StoreError, packed, settle};

/// The newest flushes stay in the journal, for the live lane.
const NEWEST_STAY: i64 = 2;
/// So many devices are unpacked at once: memory for a pass over the journal.
const DEVICES_AT_ONCE: usize = 4;
/// With so many flushes the journal is sealed early: a start reads all of it.
const FLUSHES_MAX: usize = 1_024;

/// Readings of one device that become one segment.
struct Run {
    boot: Option<i64>,
    settled: bool,
    first_flush: i64,
    last_flush: i64,
    segment: Segment,
}

impl StoreFile {
    /// Whether the journal is old or long enough.
    pub(super) fn seal_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.sealed_at) >= SEAL_EVERY || self.journal.len() >= FLUSHES_MAX
    }

    /// Seals what may be sealed.
    pub(super) fn seal(&mut self, now: Duration) -> Result<(), StoreError> {
        self.commit(None)?;
        self.sealed_at = now;
        let newest = self.next_flush - NEWEST_STAY;
        let sealed: Vec<i64> =
            self.journal.range(..newest).filter(|(_, entry)| !entry.in_flight).map(|(&number, _)| number).collect();
        if sealed.is_empty() {
            return Ok(());
        }
        let devices: Vec<i64> = self.devices.keys().copied().collect();
        let mut runs = Vec::new();
        for group in devices.chunks(DEVICES_AT_ONCE) {
            runs.push(self.encoded_runs(&sealed, group)?);
        }
        let tx = self.connection.transaction()?;
        // Numbers count up with time, so that the lowest unsettled one is the oldest.
        let mut runs: Vec<Encoded> = runs.into_iter().flatten().collect();
        runs.sort_by_key(|run| (run.first_flush, run.device));
        for run in &runs {
            run.write(&tx, self.receipted)?;
        }
        for number in &sealed {
            settle::add_range(&tx, "sealed", *number)?;
            tx.prepare_cached("delete from held where flush = ?1")?.execute([number])?;
        }
        let oldest_left = self.journal.keys().find(|number| !sealed.contains(number)).copied();
        tx.execute("delete from settled where last < ?1", [oldest_left.unwrap_or(self.next_flush)])?;
        for (number, device) in &self.devices {
            if let Some(last) = device.last {
                tx.prepare_cached(
                    "update devices set last_boot = ?2, last_ms = ?3 \
                     where number = ?1 and (last_boot is not ?2 or last_ms is not ?3)",
                )?
                .execute(params![number, last.boot, last.ms])?;
            }
        }
        tx.commit()?;
        for number in &sealed {
            self.free_slots.extend(self.journal.remove(number).map(|entry| entry.slot));
        }
        Ok(())
    }

    /// The runs of these devices through these flushes.
    fn encoded_runs(&self, sealed: &[i64], devices: &[i64]) -> Result<Vec<Encoded>, StoreError> {
        let mut current: BTreeMap<i64, Run> = BTreeMap::new();
        let mut runs = Vec::new();
        let mut before = None;
        for &number in sealed {
            let entry = &self.journal[&number];
            // What is on its way will be sealed later, and lies between.
            if before.is_some_and(|before| self.journal.range(before + 1..number).next().is_some()) {
                runs.extend(std::mem::take(&mut current).into_iter().map(|(device, run)| Encoded::new(device, run)));
            }
            before = Some(number);
            for (device, segment) in self.read_flush(number, |device| devices.contains(&device))? {
                let settled = !entry.open.has(device);
                let mut rest = Some(segment);
                if let Some(run) = current.get_mut(&device)
                    && run.boot == entry.boot
                    && run.settled == settled
                {
                    rest = rest.and_then(|segment| packed::join(&mut run.segment, segment));
                    run.last_flush = number;
                }
                let Some(segment) = rest else { continue };
                let run = Run { boot: entry.boot, settled, first_flush: number, last_flush: number, segment };
                if let Some(done) = current.insert(device, run) {
                    runs.push(Encoded::new(device, done));
                }
            }
        }
        runs.extend(current.into_iter().map(|(device, run)| Encoded::new(device, run)));
        Ok(runs)
    }
}

/// A run as it is written.
struct Encoded {
    device: i64,
    boot: Option<i64>,
    settled: bool,
    first_flush: i64,
    last_flush: i64,
    from_ms: i64,
    to_ms: i64,
    rows: usize,
    readings: Vec<u8>,
}

impl Encoded {
    fn new(device: i64, run: Run) -> Self {
        let Run { boot, settled, first_flush, last_flush, segment } = run;
        let ends = segment.times.first().zip(segment.times.last());
        let (&from_ms, &to_ms) = ends.expect("a flush has no device without readings");
        let (rows, readings) = (segment.rows(), packed::pack(&segment));
        Encoded { device, boot, settled, first_flush, last_flush, from_ms, to_ms, rows, readings }
    }

    /// `receipted`: the store's at this moment.
    fn write(&self, tx: &Transaction<'_>, receipted: u64) -> rusqlite::Result<()> {
        let Encoded { device, boot, settled, first_flush, last_flush, from_ms, to_ms, rows, readings } = self;
        tx.prepare_cached(
            "insert into segments (device, boot, first_flush, last_flush, from_ms, to_ms, rows, readings, receipted) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            device,
            boot,
            first_flush,
            last_flush,
            from_ms,
            to_ms,
            *rows as i64,
            readings,
            settled.then_some(receipted.cast_signed())
        ])?;
        if !settled {
            let segment = tx.last_insert_rowid();
            tx.prepare_cached("insert into unsettled (segment, device, rows) values (?1, ?2, ?3)")?.execute([
                segment,
                *device,
                *rows as i64,
            ])?;
        }
        Ok(())
    }
}
