//! Reconciling: what was settled is sent again when the cloud turns out to have lost it, since it was
//! restored from a backup. Its receipts say so by themselves: each tells the highest sequence of this
//! store that the cloud knew before. A lower one than was receipted here means that the cloud is older
//! than this store; a higher one than was ever used here, that this store is an older copy.

use riverwatts_shared::receipt::BatchId;
use rusqlite::Transaction;

use super::file::StoreFile;
use super::journal::Open;
use super::{Ledger, Settlement, StoreError};

/// How many batches the cloud may know beyond the last receipt that was written down: those whose receipts
/// wait for a commit, or did not arrive. Beyond, another copy of this store sent them.
const UNKNOWN_MAX: u64 = 80;
/// Most ranges of segments that were settled after they were sealed; beyond, the two oldest become one.
const DRAINED_MAX: i64 = 1_024;

impl Ledger {
    /// What a receipt for this batch says, whose ledger reached to `last_sequence` before it.
    pub fn of(batch: BatchId, last_sequence: u64, is_kept: bool) -> Self {
        let with = if is_kept { last_sequence.max(batch.sequence) } else { last_sequence };
        Ledger { store: batch.store, before: last_sequence, with }
    }
}

/// Notes which segments were settled, and what was receipted with that.
pub(super) fn note_drained(tx: &Transaction<'_>, first: i64, last: i64, receipted: u64) -> rusqlite::Result<()> {
    tx.prepare_cached("insert into drained (first, last, receipted) values (?1, ?2, ?3)")?.execute([
        first,
        last,
        receipted.cast_signed(),
    ])?;
    tx.prepare_cached("delete from drained where last < (select min(number) from segments)")?.execute([])?;
    let count: i64 = tx.prepare_cached("select count(*) from drained")?.query_row([], |row| row.get(0))?;
    if count > DRAINED_MAX {
        tx.execute_batch(
            "insert into drained (number, first, last, receipted) \
                select min(number) - 1, min(first), max(last), max(receipted) \
                from (select * from drained order by number limit 2); \
             delete from drained where number in (select number from drained order by number limit 2 offset 1);",
        )?;
    }
    Ok(())
}

impl StoreFile {
    /// Has sent again what the cloud may have lost, if it was restored; gives whether it was. A copy
    /// gets an id of its own.
    pub(super) fn reconcile(&mut self, settlement: &Settlement) -> Result<bool, StoreError> {
        let ledger = settlement.ledger.filter(|ledger| ledger.store == self.id);
        if ledger.is_some_and(|ledger| self.is_copy(ledger)) {
            tracing::warn!(
                "this store was put back to an earlier state: it takes a new id, and what is here is sent again"
            );
            self.fork()?;
            return Ok(true);
        }
        let another_epoch = matches!((self.epoch, settlement.epoch), (Some(known), Some(said)) if known != said);
        let restored = another_epoch || ledger.is_some_and(|ledger| ledger.before < self.receipted);
        if restored {
            tracing::warn!("the cloud was restored from a backup: what is still here is sent again");
            self.commit(None)?;
            let kept = ledger.filter(|_| !another_epoch).map_or(0, |ledger| ledger.before);
            self.unsettle_after(kept)?;
        }
        if let Some(ledger) = ledger {
            self.receipted = ledger.with;
        }
        Ok(restored)
    }

    /// Whether the cloud had more of this store than was sent from here.
    fn is_copy(&self, ledger: Ledger) -> bool {
        ledger.before >= self.sequence.start || ledger.before > self.receipted + UNKNOWN_MAX
    }

    /// Unsettles what was settled by later receipts than that for this sequence, or may have been: all of
    /// the journal, and of the segments those that are not known to have been settled by then.
    pub(super) fn unsettle_after(&mut self, sequence: u64) -> Result<(), StoreError> {
        let tx = self.connection.transaction()?;
        // Sequences begin at 1 with each id: at 0 the cloud has nothing of this one, and nothing is known
        // of what was settled under an earlier one.
        tx.prepare(
            "insert or ignore into unsettled (segment, device, rows) \
             select number, device, rows from (select number, device, rows, max(coalesce(receipted, 0), coalesce( \
                (select max(receipted) from drained where segments.number between first and last), 0)) as settled_by \
                from segments) where ?1 = 0 or settled_by = 0 or settled_by > ?1",
        )?
        .execute([sequence.cast_signed()])?;
        tx.execute_batch(
            "delete from settled; delete from held; update gaps set settled = 0; update devices set announced = null",
        )?;
        tx.commit()?;
        for entry in self.journal.values_mut() {
            entry.open = Open::All;
        }
        self.thinned_until = 0;
        self.backlog = self.count_backlog()?;
        Ok(())
    }
}
