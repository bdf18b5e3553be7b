//! The open file, and what is kept in memory of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use riverwatts_shared::receipt::BatchId;
use rusqlite::Connection;
use uuid::Uuid;

use super::gaps::OpenGap;
use super::journal::Entry;
use super::room::Full;
use super::settle::Receipt;
use super::traffic::Traffic;
use super::wear::Wear;
use super::{Lost, Settings, StoreError};

/// Sequence numbers are reserved by so many, so that a number costs no commit.
const SEQUENCE_BLOCK: u64 = 1_024;

/// The database and what is remembered of it. All of it is derived from the file, except what is
/// on its way to the cloud.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub(super) connection: Connection,
    pub(super) settings: Settings,
    /// Held, so that no second program opens the store.
    pub(super) lock: File,
    pub(super) id: Uuid,
    pub(super) epoch: Option<Uuid>,
    /// The highest sequence that a receipt came for.
    pub(super) receipted: u64,
    /// Number of this boot.
    pub(super) boot: i64,
    /// Every device ever stored, by number.
    pub(super) devices: BTreeMap<i64, Device>,
    /// Numbers of the devices of `edge.toml`, in its order.
    pub(super) places: Vec<i64>,
    /// What is not sealed yet, by number of the flush.
    pub(super) journal: BTreeMap<i64, Entry>,
    /// Rows of the journal that wait to be used again.
    pub(super) free_slots: BTreeSet<i64>,
    pub(super) next_flush: i64,
    /// Boots that have undated rows.
    pub(super) undated: BTreeSet<i64>,
    /// Gaps that wait for the device's next reading.
    pub(super) open_gaps: Vec<OpenGap>,
    /// Segments and gaps on their way to the cloud; flushes say so themselves.
    pub(super) segments_in_flight: BTreeSet<i64>,
    pub(super) gaps_in_flight: BTreeSet<i64>,
    /// Devices that the cloud does not take yet.
    pub(super) waiting: BTreeSet<i64>,
    /// Receipts that go with the next commit; what they settle is settled in memory.
    pub(super) receipts: Vec<Receipt>,
    pub(super) first_receipt_at: Option<Duration>,
    pub(super) sequence: std::ops::Range<u64>,
    /// The newest flush when the live lane was last taken.
    pub(super) live_until: i64,
    pub(super) sealed_at: Duration,
    /// Monotonic time at which this run opened the store.
    pub(super) opened_ms: i64,
    /// Bytes of damaged files beside this one.
    pub(super) set_aside_bytes: u64,
    /// Whether something may have to be deleted.
    pub(super) retaining: bool,
    /// Segments up to this one are thinned, or cannot be.
    pub(super) thinned_until: i64,
    /// What was given up since the start.
    pub(super) lost: Lost,
    /// That the store is full, and what it gives up; and whether it did since it was last sealed.
    pub(super) full: Option<Full>,
    pub(super) fills_up: bool,
    /// Readings that the cloud has not settled.
    pub(super) backlog: u64,
    pub(super) dead_letters: u64,
    pub(super) commits: u64,
    pub(super) wear: Wear,
    pub(super) traffic: Traffic,
}

/// A device as the store knows it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) key: String,
    /// Its newest reading.
    pub(super) last: Option<Stamp>,
}

/// A time: UTC, or monotonic of an undated boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) boot: Option<i64>,
    pub(super) ms: i64,
}

impl StoreFile {
    /// The identity of the next batch: a number never used before, also not by a run that was killed.
    pub(super) fn next_id(&mut self) -> Result<BatchId, StoreError> {
        if self.sequence.is_empty() {
            let end = self.sequence.end + SEQUENCE_BLOCK;
            self.connection.execute("update store set sequence_end = ?1", [end.cast_signed()])?;
            self.sequence.end = end;
        }
        let sequence = self.sequence.next().expect("just filled");
        Ok(BatchId { store: self.id, sequence })
    }

    /// Another store sends, or sent, under this one's id (a copied card, or one put back to an earlier
    /// state): takes a new id. All that is here is sent again under it, also what is on its way: what was
    /// settled may have been lost by a cloud of which only the other one heard that it was restored.
    pub(super) fn fork(&mut self) -> Result<(), StoreError> {
        self.commit(None)?;
        let id = Uuid::new_v4();
        self.connection
            .execute("update store set id = ?1, sequence_end = 1, receipted = 0", [id.as_bytes().as_slice()])?;
        self.id = id;
        self.receipted = 0;
        self.sequence = 1..1;
        self.journal.values_mut().for_each(|entry| entry.in_flight = false);
        self.segments_in_flight.clear();
        self.gaps_in_flight.clear();
        self.unsettle_after(0)
    }

    /// The number of the device with this key.
    pub(super) fn number_of(&self, key: &str) -> Option<i64> {
        self.devices.iter().find(|(_, device)| device.key == key).map(|(&number, _)| number)
    }

    /// Ends cleanly: the next start finds nothing missing.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.traffic.end();
        self.commit(None)?;
        self.book_written()?;
        self.connection.execute("update store set running = 0", [])?;
        // Leaves one file behind; when it cannot, the log is read at the next start.
        self.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
        Ok(())
    }
}
