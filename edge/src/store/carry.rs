//! What the cloud does not have yet, for a file that is carried to it: read beside the store's own
//! thread, and not settled by being read. What arrives twice, by file and by link, counts once.

use std::collections::BTreeMap;

use riverwatts_shared::batch::Item;
use riverwatts_shared::reading::Gap;
use riverwatts_shared::segment::Segment;
use rusqlite::Connection;

use super::file::Device;
use super::{History, gaps, open, packed};

/// What cannot be carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Readings that wait for a clock that can be trusted.
    pub undated: u64,
    /// Rows whose bytes are not what was written.
    pub broken: u64,
}

impl History {
    /// The announcements that the cloud has taken: key, and the announcement as JSON.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn announced(&self) -> rusqlite::Result<BTreeMap<String, String>> {
        let connection = self.connect()?;
        let mut announced = connection.prepare("select key, announced from devices where announced is not null")?;
        let rows = announced.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Shows what the cloud has not settled, oldest first, and with `settled` also what it has.
    ///
    /// # Errors
    /// When the file cannot be read, and those of `see`. A broken row is passed over and counted.
    pub fn walk_all<E: From<rusqlite::Error>>(
        &self,
        settled: bool,
        mut see: impl FnMut(Item) -> Result<(), E>,
    ) -> Result<LeftBehind, E> {
        let connection = self.connect()?;
        let devices = open::devices(&connection)?;
        for gap in gaps_of(&connection, &devices, settled)? {
            see(Item::Gap(gap))?;
        }
        let mut left = LeftBehind { undated: undated(&connection)?, broken: 0 };
        let mut show = |device: i64, segment: Segment| match devices.get(&device) {
            Some(device) => see(Item::Segment { device: device.key.clone(), segment }),
            None => Ok(()),
        };
        let sql = match settled {
            true => {
                "select device, readings from segments where boot is null
                 and (first_flush > 0 or number in (select segment from unsettled)) order by number"
            }
            false => {
                "select segments.device, readings from unsettled join segments on number = segment
                 where boot is null order by segment"
            }
        };
        let mut segments = connection.prepare(sql)?;
        let mut rows = segments.query([])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
            match packed::unpack(bytes) {
                Ok(segment) => show(row.get(0)?, segment)?,
                Err(_) => left.broken += 1,
            }
        }
        let entries = open::journal(&connection)?;
        let mut journal =
            connection.prepare("select number, readings from journal where boot is null order by number")?;
        let mut rows = journal.query([])?;
        let mut joined: BTreeMap<i64, Segment> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let wanted = |device| settled || entries.get(&number).is_some_and(|entry| entry.open.has(device));
            let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
            let Ok(parts) = packed::unpack_flush(bytes, wanted) else {
                left.broken += 1;
                continue;
            };
            for (device, segment) in parts {
                let rest = match joined.get_mut(&device) {
                    Some(before) => packed::join(before, segment),
                    None => Some(segment),
                };
                if let Some(segment) = rest
                    && let Some(full) = joined.insert(device, segment)
                {
                    show(device, full)?;
                }
            }
        }
        for (device, segment) in joined {
            show(device, segment)?;
        }
        Ok(left)
    }
}

fn undated(connection: &Connection) -> rusqlite::Result<u64> {
    let sum = "select coalesce((select sum(rows) from journal where boot is not null), 0)
        + coalesce((select sum(rows) from segments where boot is not null), 0)";
    connection.query_row(sum, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

fn gaps_of(connection: &Connection, devices: &BTreeMap<i64, Device>, settled: bool) -> rusqlite::Result<Vec<Gap>> {
    let mut finished = connection.prepare(
        "select number, device, from_ms, to_ms, rows, reason from gaps where (settled = 0 or ?1)
         and to_ms is not null and from_boot is null and to_boot is null order by number",
    )?;
    let mut rows = finished.query([settled])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(device) = devices.get(&row.get(1)?) {
            found.push(gaps::told(row, &device.key)?);
        }
    }
    Ok(found)
}
