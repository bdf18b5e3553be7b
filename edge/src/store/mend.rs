//! Reading rows, and giving up one whose bytes are not what was written: its readings are lost,
//! which a gap row tells, and everything else goes on.

use riverwatts_shared::segment::Segment;
use riverwatts_shared::words::GapReason;
use rusqlite::OptionalExtension;

use super::file::{Stamp, StoreFile};
use super::{StoreError, gaps, packed, settle};

/// Most broken rows given up for one request.
const ROWS_MAX: usize = 1_024;

impl StoreFile {
    /// The readings of a flush, of the devices that are `wanted`.
    pub(super) fn read_flush(
        &self,
        number: i64,
        wanted: impl Fn(i64) -> bool,
    ) -> Result<Vec<(i64, Segment)>, StoreError> {
        let mut found =
            self.connection.prepare_cached("select readings from flushes where slot = ?1 and number = ?2")?;
        let slot = self.journal[&number].slot;
        let readings =
            found.query_row([slot, number], |row| Ok(packed::unpack_flush(row.get_ref(0)?.as_blob()?, wanted)))?;
        readings.map_err(|_| StoreError::BrokenFlush(number))
    }

    /// A segment as it goes into a batch.
    pub(super) fn read_sealed(&self, number: i64) -> Result<Vec<u8>, StoreError> {
        let mut found = self.connection.prepare_cached("select readings from segments where number = ?1")?;
        let bytes =
            found.query_row([number], |row| Ok(packed::checked(row.get_ref(0)?.as_blob()?).map(<[u8]>::to_vec)))?;
        bytes.map_err(|_| StoreError::BrokenSegment(number))
    }

    /// The readings of a segment.
    pub(super) fn read_segment(&self, number: i64) -> Result<Segment, StoreError> {
        let mut found = self.connection.prepare_cached("select readings from segments where number = ?1")?;
        let readings = found.query_row([number], |row| Ok(packed::unpack(row.get_ref(0)?.as_blob()?)))?;
        readings.map_err(|_| StoreError::BrokenSegment(number))
    }

    /// Does `work`, giving up broken rows that it meets.
    pub(super) fn mending<T>(
        &mut self,
        mut work: impl FnMut(&mut StoreFile) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..ROWS_MAX {
            match work(self) {
                Err(StoreError::BrokenFlush(number)) => self.give_up_flush(number)?,
                Err(StoreError::BrokenSegment(number)) => self.give_up_segment(number)?,
                done => return done,
            }
        }
        Err(StoreError::Damaged(format!("more than {ROWS_MAX} rows are broken")))
    }

    /// Whose readings it had is not known, so each device of `edge.toml` gets a gap row.
    fn give_up_flush(&mut self, number: i64) -> Result<(), StoreError> {
        tracing::error!(flush = number, "a flush is broken and given up");
        let entry = self.journal.remove(&number);
        let tx = self.connection.transaction()?;
        settle::add_range(&tx, "sealed", number)?;
        self.free_slots.extend(entry.as_ref().map(|entry| entry.slot));
        if let Some(entry) = entry.filter(|entry| !entry.open.is_settled()) {
            let after = self.journal.range(number..).map(|(_, after)| after).find(|after| after.boot == entry.boot);
            let to_ms = after.map_or(entry.from_ms + 1, |after| after.from_ms.max(entry.from_ms + 1));
            let span = (Stamp { boot: entry.boot, ms: entry.from_ms }, Stamp { boot: entry.boot, ms: to_ms });
            for &device in &self.places {
                gaps::write(&tx, device, GapReason::StoreDamaged, span, None, &self.gaps_in_flight)?;
            }
            self.backlog = self.backlog.saturating_sub(entry.rows);
        }
        tx.commit()?;
        Ok(())
    }

    fn give_up_segment(&mut self, number: i64) -> Result<(), StoreError> {
        tracing::error!(segment = number, "a segment is broken and given up");
        let tx = self.connection.transaction()?;
        let unsettled = tx.execute("delete from unsettled where segment = ?1", [number])? > 0;
        let found = tx.query_row(
            "select device, boot, from_ms, to_ms, rows from segments where number = ?1",
            [number],
            |row| {
                let (boot, from_ms, to_ms): (Option<i64>, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
                let span = (Stamp { boot, ms: from_ms }, Stamp { boot, ms: to_ms + 1 });
                Ok((row.get::<_, i64>(0)?, span, row.get::<_, i64>(4)?.unsigned_abs()))
            },
        );
        if let Some((device, span, rows)) = found.optional()?.filter(|_| unsettled) {
            gaps::write(&tx, device, GapReason::StoreDamaged, span, Some(rows), &self.gaps_in_flight)?;
            self.backlog = self.backlog.saturating_sub(rows);
        }
        tx.execute("delete from segments where number = ?1", [number])?;
        tx.commit()?;
        Ok(())
    }
}
