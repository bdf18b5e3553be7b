//! Thinning: where there is no room for all that the cloud does not have, the oldest of it becomes
//! what [`thinned`] keeps of each minute, once. The gap row says how many readings that cost.

use riverwatts_shared::segment::thinned;
use riverwatts_shared::words::GapReason;
use rusqlite::params;

use super::file::StoreFile;
use super::retain::{Leaving, next_after};
use super::{StoreError, gaps, packed};

/// Segments thinned in one transaction.
const THINNED_AT_ONCE: usize = 8;

impl StoreFile {
    /// Thins the oldest readings that are dated, unsettled and not on their way. Gives whether there
    /// were any that had not been looked at.
    pub(super) fn thin_unsettled(&mut self) -> Result<bool, StoreError> {
        let oldest = self.unsettled(self.thinned_until, THINNED_AT_ONCE)?;
        let Some(newest) = oldest.last().map(|segment| segment.number) else { return Ok(false) };
        let mut thin = Vec::new();
        for segment in oldest.into_iter().filter(|segment| segment.boot.is_none()) {
            thin.extend(thinned::thin(&self.read_segment(segment.number)?).map(|thin| (segment, thin)));
        }
        let tx = self.connection.transaction()?;
        let mut given_up = 0;
        for (segment, thin) in &thin {
            let Leaving { number, device, .. } = *segment;
            let rows = thin.rows() as i64;
            tx.prepare_cached("update segments set rows = ?2, readings = ?3 where number = ?1")?.execute(params![
                number,
                rows,
                packed::pack(thin)
            ])?;
            tx.prepare_cached("update unsettled set rows = ?2 where segment = ?1")?.execute([number, rows])?;
            let span = (segment.first(), next_after(&tx, &self.journal, segment)?);
            let fewer = (segment.rows - rows).unsigned_abs();
            given_up += fewer;
            gaps::write(&tx, device, GapReason::StoreFullThinned, span, Some(fewer), &self.gaps_in_flight)?;
        }
        tx.commit()?;
        self.thinned_until = newest;
        self.backlog = self.backlog.saturating_sub(given_up);
        self.lost.thinned += given_up;
        Ok(true)
    }
}
