//! Gap rows: from when to when a device's readings will never come, and why. A gap whose end is
//! not known yet waits, in the file, for the device's next reading.

use std::collections::{BTreeMap, BTreeSet};

use riverwatts_shared::reading::Gap;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::GapReason;
use rusqlite::{Row, Transaction, params};

use super::file::{Device, Stamp};
use super::journal::Written;

/// A gap without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenGap {
    pub(super) number: i64,
    pub(super) device: i64,
    pub(super) reason: GapReason,
}

/// Begins a gap at the device's last reading; without one, at its next.
pub(super) fn open(
    tx: &Transaction<'_>,
    device: i64,
    reason: GapReason,
    from: Option<Stamp>,
    rows: Option<u64>,
) -> rusqlite::Result<OpenGap> {
    tx.execute(
        "insert into gaps (device, reason, rows, from_boot, from_ms) values (?1, ?2, ?3, ?4, ?5)",
        params![
            device,
            reason.number(),
            rows.map(u64::cast_signed),
            from.and_then(|stamp| stamp.boot),
            from.map(|stamp| stamp.ms)
        ],
    )?;
    Ok(OpenGap { number: tx.last_insert_rowid(), device, reason })
}

/// The gap of a row that begins with number, device, from, to, rows and reason.
pub(super) fn told(row: &Row<'_>, key: &str) -> rusqlite::Result<Gap> {
    let (from, to): (i64, i64) = (row.get(2)?, row.get(3)?);
    Ok(Gap {
        device: key.to_owned(),
        from: UtcMs(from.min(to)),
        to: UtcMs(to),
        rows: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        reason: reason(row.get(5)?),
    })
}

/// Adds readings to a gap that has not ended.
pub(super) fn widen(tx: &Transaction<'_>, gap: &OpenGap, rows: u64) -> rusqlite::Result<()> {
    tx.execute("update gaps set rows = rows + ?2 where number = ?1", [gap.number, rows.cast_signed()])?;
    Ok(())
}

/// Ends the gaps of the devices that have readings in the flush, and of those that `edge.toml` does
/// not name any more. Gives the numbers of the ended.
pub(super) fn close<'a>(
    tx: &Transaction<'_>,
    waiting: impl Iterator<Item = &'a OpenGap>,
    places: &[i64],
    written: &Written,
) -> rusqlite::Result<BTreeSet<i64>> {
    let Some(earliest) = written.stamps.iter().map(|(_, first, _)| *first).min_by_key(|stamp| stamp.ms) else {
        return Ok(BTreeSet::new());
    };
    let mut closed = BTreeSet::new();
    for gap in waiting {
        let own = written.stamps.iter().find(|(device, ..)| *device == gap.device).map(|(_, first, _)| *first);
        let gone = (!places.contains(&gap.device)).then_some(earliest);
        let Some(to) = own.or(gone) else { continue };
        tx.execute(
            "update gaps set to_boot = ?2, to_ms = ?3, \
             from_boot = iif(from_ms is null, ?2, from_boot), from_ms = coalesce(from_ms, ?3) where number = ?1",
            params![gap.number, to.boot, to.ms],
        )?;
        closed.insert(gap.number);
    }
    Ok(closed)
}

/// A finished gap; one that follows right on the last one of the same reason that still waits here
/// makes that one longer.
pub(super) fn write(
    tx: &Transaction<'_>,
    device: i64,
    reason: GapReason,
    (from, to): (Stamp, Stamp),
    rows: Option<u64>,
    in_flight: &BTreeSet<i64>,
) -> rusqlite::Result<()> {
    let rows = rows.map(u64::cast_signed);
    let before: Option<i64> = tx
        .prepare_cached(
            "select max(number) from gaps where device = ?1 and reason = ?2 and settled = 0 \
             and to_boot is ?3 and to_ms = ?4",
        )?
        .query_row(params![device, reason.number(), from.boot, from.ms], |row| row.get(0))?;
    match before.filter(|number| !in_flight.contains(number)) {
        Some(number) => tx
            .prepare_cached("update gaps set to_boot = ?2, to_ms = ?3, rows = rows + ?4 where number = ?1")?
            .execute(params![number, to.boot, to.ms, rows])?,
        None => tx
            .prepare_cached(
                "insert into gaps (device, reason, rows, from_boot, from_ms, to_boot, to_ms) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![device, reason.number(), rows, from.boot, from.ms, to.boot, to.ms])?,
    };
    Ok(())
}

/// Begins a gap for every device that has readings and no such gap yet: however often a start is
/// cut short, one gap tells of it.
pub(super) fn stopped_uncleanly(
    tx: &Transaction<'_>,
    devices: &BTreeMap<i64, Device>,
    waiting: &[OpenGap],
) -> rusqlite::Result<Vec<OpenGap>> {
    let mut opened = Vec::new();
    for (&device, known) in devices {
        let waits = |gap: &OpenGap| gap.device == device && gap.reason == GapReason::UncleanStop;
        if known.last.is_some() && !waiting.iter().any(waits) {
            opened.push(open(tx, device, GapReason::UncleanStop, known.last, None)?);
        }
    }
    Ok(opened)
}

/// The reason with this number in the file.
pub(super) fn reason(number: u8) -> GapReason {
    GapReason::from_number(number).unwrap_or(GapReason::StoreDamaged)
}
