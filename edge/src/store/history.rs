//! Stored readings for the panel, through a connection of its own that only reads.

use std::path::PathBuf;

use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::Segment;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::packed;

/// Reads beside the store's own thread. Blocks.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) path: PathBuf,
}

/// Newest first, up to so many.
struct Newest {
    readings: Vec<Reading>,
    limit: usize,
}

impl Newest {
    fn add(&mut self, segment: &Segment) -> bool {
        let room = self.limit - self.readings.len();
        self.readings.extend((0..segment.rows()).rev().take(room).map(|row| segment.reading(row)));
        self.readings.len() < self.limit
    }
}

impl History {
    /// The newest dated readings of the device with this key, newest first.
    ///
    /// # Errors
    /// When the file cannot be read; a broken row is passed over.
    pub fn newest(&self, key: &str, limit: usize) -> rusqlite::Result<Vec<Reading>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        let mut newest = Newest { readings: Vec::new(), limit };
        // Both tables as of one moment: sealing moves readings from one to the other.
        connection.execute_batch("begin")?;
        let mut flushes = connection.prepare("select readings from flushes where boot is null order by number desc")?;
        let device =
            connection.query_row("select number from devices where key = ?1", [key], |row| row.get::<_, i64>(0));
        let Some(number) = device.optional()? else { return Ok(Vec::new()) };
        let mut rows = flushes.query([])?;
        while let Some(row) = rows.next()? {
            let parts =
                packed::unpack_flush(row.get_ref(0)?.as_blob()?, |device: i64| device == number).unwrap_or_default();
            if !parts.iter().all(|(_, segment)| newest.add(segment)) {
                return Ok(newest.readings);
            }
        }
        let mut segments = connection
            .prepare("select readings from segments where device = ?1 and boot is null order by to_ms desc")?;
        let mut rows = segments.query([number])?;
        while let Some(row) = rows.next()? {
            let Ok(segment) = packed::unpack(row.get_ref(0)?.as_blob()?) else { continue };
            if !newest.add(&segment) {
                break;
            }
        }
        Ok(newest.readings)
    }
}
