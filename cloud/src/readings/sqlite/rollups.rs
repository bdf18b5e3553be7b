//! The roll-ups in `series.db`.

use std::collections::HashMap;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;
use rusqlite::{Connection, params};

use super::super::rollups::{Change, Window};
use super::super::{ReadingsError, failed};

/// The tables.
pub const SCHEMA: &str = "
    create table rollups (
        device integer not null,
        -- 0 minute, 1 quarter of an hour, 2 hour, 3 day.
        resolution integer not null check (resolution between 0 and 3),
        -- UTC, in ms.
        start integer not null,
        energy_wh integer,
        covered_ms integer not null,
        metrics blob not null,
        primary key (device, resolution, start)
    ) without rowid, strict;
    -- The IANA zone whose days the windows of a device's days are.
    create table day_zones (
        device integer not null primary key,
        zone text not null
    ) strict;";

/// Replaces roll-ups, in the caller's transaction.
pub fn replace(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let mut remove = connection
        .prepare_cached("delete from rollups where device = ?1 and resolution = ?2 and start >= ?3 and start < ?4")?;
    for (resolution, from, to) in &change.replaced {
        remove.execute(params![change.device, resolution.number(), from.0, to.0])?;
    }
    let mut insert = connection.prepare_cached(
        "insert into rollups (device, resolution, start, energy_wh, covered_ms, metrics) values (?, ?, ?, ?, ?, ?)",
    )?;
    for (resolution, window) in &change.windows {
        insert.execute(params![
            change.device,
            resolution.number(),
            window.start.0,
            window.energy_wh(),
            window.covered_ms(),
            window.pack()
        ])?;
    }
    if let Some(zone) = &change.day_zone {
        let mut zones = connection.prepare_cached("insert or replace into day_zones (device, zone) values (?1, ?2)")?;
        zones.execute(params![change.device, zone])?;
    }
    Ok(())
}

/// The windows of a device that begin in `[from, to)`, oldest first.
pub fn windows(
    connection: &Connection,
    device: i64,
    resolution: Resolution,
    from: UtcMs,
    to: UtcMs,
) -> Result<Vec<Window>, ReadingsError> {
    let mut select = connection.prepare_cached(
        "select start, metrics from rollups where device = ?1 and resolution = ?2 and start >= ?3 and start < ?4
        order by start",
    )?;
    let mut rows = select.query(params![device, resolution.number(), from.0, to.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let metrics = row.get_ref(1)?.as_blob()?;
        found.push(Window::unpack(UtcMs(row.get(0)?), metrics).map_err(failed)?);
    }
    Ok(found)
}

/// When the first and the last window of a resolution begin.
pub fn span(
    connection: &Connection,
    device: i64,
    resolution: Resolution,
) -> Result<Option<(UtcMs, UtcMs)>, ReadingsError> {
    let mut select = connection
        .prepare_cached("select min(start), max(start) from rollups where device = ?1 and resolution = ?2")?;
    let found = select.query_row(params![device, resolution.number()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (first, last): (Option<i64>, Option<i64>) = found;
    Ok(first.zip(last).map(|(first, last)| (UtcMs(first), UtcMs(last))))
}

/// The zone whose days the stored days are, of one device or of all.
pub fn day_zones(connection: &Connection, device: Option<i64>) -> Result<HashMap<i64, String>, ReadingsError> {
    let mut select = connection.prepare_cached("select device, zone from day_zones where ?1 is null or device = ?1")?;
    let found = select.query_map([device], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}
