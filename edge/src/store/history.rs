//! Stored readings for the panel, through a connection of its own that only reads.

use std::ops::Range;
use std::path::{Path, PathBuf};

use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::Segment;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{open, packed, schema};

/// Reads beside the store's own thread. Blocks.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) path: PathBuf,
}

/// Cache of a reader, in KiB: it passes through the file once.
const CACHE_KIB: i32 = 128;

impl History {
    /// The store in this folder, which nobody need have opened.
    pub fn of(dir: &Path) -> Self {
        History { path: dir.join(open::FILE) }
    }

    /// Whether there is one.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether its tables are those of this version: starting the gateway sees to that.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_current(&self) -> rusqlite::Result<bool> {
        Ok(schema::version(&self.connect()?)? == schema::VERSION)
    }

    /// The newest dated readings of the device with this key, newest first.
    ///
    /// # Errors
    /// When the file cannot be read; a broken row is passed over.
    pub fn newest(&self, key: &str, limit: usize) -> rusqlite::Result<Vec<Reading>> {
        let mut readings = Vec::new();
        self.walk(key, i64::MIN..i64::MAX, |segment| {
            let room = limit - readings.len();
            readings.extend((0..segment.rows()).rev().take(room).map(|row| segment.reading(row)));
            readings.len() < limit
        })?;
        Ok(readings)
    }

    /// Shows the dated segments of a device that may have readings in a span of UTC ms, newest
    /// first, one at a time, until `see` has enough.
    ///
    /// # Errors
    /// When the file cannot be read; a broken row is passed over.
    pub fn walk(&self, key: &str, span: Range<i64>, mut see: impl FnMut(&Segment) -> bool) -> rusqlite::Result<()> {
        let connection = self.connect()?;
        let mut flushes = connection
            .prepare("select readings from journal where boot is null and from_ms < ?1 order by number desc")?;
        let device =
            connection.query_row("select number from devices where key = ?1", [key], |row| row.get::<_, i64>(0));
        let Some(number) = device.optional()? else { return Ok(()) };
        let mut rows = flushes.query([span.end])?;
        while let Some(row) = rows.next()? {
            let parts =
                packed::unpack_flush(row.get_ref(0)?.as_blob()?, |device: i64| device == number).unwrap_or_default();
            if !parts.iter().all(|(_, segment)| see(segment)) {
                return Ok(());
            }
        }
        let mut segments = connection.prepare(
            "select readings from segments
             where device = ?1 and boot is null and to_ms >= ?2 and from_ms < ?3 and first_flush > 0 order by to_ms desc",
        )?;
        let mut rows = segments.query((number, span.start, span.end))?;
        while let Some(row) = rows.next()? {
            let Ok(segment) = packed::unpack(row.get_ref(0)?.as_blob()?) else { continue };
            if !see(&segment) {
                break;
            }
        }
        Ok(())
    }

    /// A connection that sees all tables as of one moment: sealing moves readings from one to another.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.execute_batch("begin")?;
        Ok(connection)
    }
}
