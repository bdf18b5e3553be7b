//! Month files: one SQLite file for the readings of each calendar month (UTC). A row's id is the
//! device's number and, in the lower 32 bits, the milliseconds since the month began. Measured against
//! a table without rowid under (device, time), one integer key takes 15 % less time to insert and 6 %
//! less space.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use riverwatts_shared::metric::CANONICAL;
use riverwatts_shared::segment::ABSENT;
use riverwatts_shared::time::UtcMs;
use rusqlite::{Connection, OpenFlags, Row};

use super::super::StoredRow;
use super::super::month::Month;

/// Largest number of a device: it stands in 31 bits of a row's id.
const DEVICE_MAX: i64 = (1 << 31) - 1;
/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 16;
/// Size of a page: a small commit writes one page per device, larger pages only help large commits.
const PAGE_BYTES: u32 = 4_096;
/// Pages in the log after which they are moved into the file, in the thread that writes.
const CHECKPOINT_PAGES: u32 = 8_000;
/// What the log's file is cut to after that.
const LOG_BYTES_MAX: u32 = 64 << 20;
/// How long a connection waits for another one's lock, in ms.
const BUSY_MS: u32 = 5_000;

const SCHEMA: &str = "
    create table readings (
        -- Device number << 32 | milliseconds since the month began.
        id integer primary key,
        power_output_kw integer, voltage_v integer, current_a integer, frequency_hz integer,
        efficiency_percent integer, temperature_c integer, vibration_level integer,
        water_flow_rate integer, battery_level_percent integer,
        extra blob, flags blob, received_at integer not null, revision integer
    ) strict;
    -- What corrections replaced.
    create table replaced (
        id integer not null,
        revision integer not null,
        power_output_kw integer, voltage_v integer, current_a integer, frequency_hz integer,
        efficiency_percent integer, temperature_c integer, vibration_level integer,
        water_flow_rate integer, battery_level_percent integer,
        extra blob, flags blob, received_at integer not null,
        primary key (id, revision)
    ) without rowid, strict;
    -- Hours (since 1970) whose roll-ups do not know yet what stands in the rows.
    create table dirty (
        device integer not null,
        hour integer not null,
        primary key (device, hour)
    ) without rowid, strict;
    pragma user_version = 1;";

/// The columns of a row, as [`read_row`] takes them.
pub const COLUMNS: &str = "id, power_output_kw, voltage_v, current_a, frequency_hz, efficiency_percent, \
     temperature_c, vibration_level, water_flow_rate, battery_level_percent, extra, flags, received_at, revision";

/// The ids of a month's rows.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    start: UtcMs,
    end: UtcMs,
}

impl Ids {
    /// Those of `month`.
    pub fn of(month: Month) -> Ids {
        Ids { start: month.start(), end: month.end() }
    }

    /// The id of the device's row at `time`, which is in the month.
    pub fn at(self, device: i64, time: UtcMs) -> i64 {
        debug_assert!(self.start <= time && time < self.end && (0..=DEVICE_MAX).contains(&device));
        device << 32 | time.since_ms(self.start)
    }

    /// First and last id that the device's rows in `[from, to)` can have; `None` when there can be none.
    pub fn within(self, device: i64, from: UtcMs, to: UtcMs) -> Option<(i64, i64)> {
        let (from, last) = (from.max(self.start), to.min(self.end).plus_ms(-1));
        (from <= last).then(|| (self.at(device, from), self.at(device, last)))
    }

    /// Device and time of an id.
    pub fn parts(self, id: i64) -> (i64, UtcMs) {
        (id >> 32, self.start.plus_ms(id & 0xffff_ffff))
    }
}

/// Reads a row of [`COLUMNS`].
pub fn read_row(row: &Row<'_>, ids: Ids) -> rusqlite::Result<StoredRow> {
    let (device, time) = ids.parts(row.get(0)?);
    let mut canonical = [ABSENT; CANONICAL];
    for (column, value) in canonical.iter_mut().enumerate() {
        *value = row.get::<_, Option<i64>>(1 + column)?.unwrap_or(ABSENT);
    }
    let bytes = |index: usize| -> rusqlite::Result<Vec<u8>> {
        Ok(row.get_ref(index)?.as_blob_or_null()?.map(<[u8]>::to_vec).unwrap_or_default())
    };
    Ok(StoredRow {
        device,
        time,
        canonical,
        extra: bytes(CANONICAL + 1)?,
        flags: bytes(CANONICAL + 2)?,
        received_at: UtcMs(row.get(CANONICAL + 3)?),
        revision: row.get::<_, Option<u32>>(CANONICAL + 4)?.unwrap_or(0),
    })
}

/// The month files of a folder.
#[derive(Debug)]
pub struct Months {
    folder: PathBuf,
    known: RwLock<BTreeSet<Month>>,
}

impl Months {
    /// Those that are there.
    pub fn open(folder: &Path) -> io::Result<Months> {
        let mut known = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            known.extend(entry?.file_name().to_str().and_then(month_of));
        }
        Ok(Months { folder: folder.to_owned(), known: RwLock::new(known) })
    }

    /// Those that have a file and touch `[from, to)`, oldest first.
    pub fn within(&self, from: UtcMs, to: UtcMs) -> Vec<Month> {
        let known = self.known.read().expect("never poisoned: nothing panics inside");
        known.iter().copied().filter(|month| month.start() < to && month.end() > from).collect()
    }

    /// A connection that writes; makes the file when there is none.
    pub fn open_to_write(&self, month: Month) -> rusqlite::Result<Connection> {
        let connection = Connection::open(self.folder.join(file_name(month)))?;
        configure(&connection)?;
        make(&connection, SCHEMA)?;
        self.known.write().expect("never poisoned: nothing panics inside").insert(month);
        Ok(connection)
    }

    /// A connection that reads; the month must be one of [`Months::within`].
    pub fn open_to_read(&self, month: Month) -> rusqlite::Result<Connection> {
        open_to_read(&self.folder.join(file_name(month)))
    }
}

fn file_name(month: Month) -> String {
    format!("{month}.db")
}

fn month_of(file_name: &str) -> Option<Month> {
    Month::named(file_name.strip_suffix(".db")?)
}

/// Readies a file for its writer and makes the tables of an empty one; `schema` sets `user_version`.
pub fn make(connection: &Connection, schema: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        // Full: the answer to a batch promises that it survives a power cut.
        "pragma page_size = {PAGE_BYTES}; pragma journal_mode = wal; pragma synchronous = full;
        pragma wal_autocheckpoint = {CHECKPOINT_PAGES}; pragma journal_size_limit = {LOG_BYTES_MAX};"
    ))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        connection.execute_batch(&format!("begin immediate; {schema} commit;"))?;
    }
    Ok(())
}

/// A connection that reads a file which is there.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    // Read-only connections cannot open a file whose writer is gone: the log would have to be made.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&connection)?;
    connection.execute_batch("pragma query_only = on;")?;
    Ok(connection)
}

/// What every connection has.
pub fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(&format!("pragma busy_timeout = {BUSY_MS};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> UtcMs {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_has_its_file_and_its_ids() {
        let month = Month::of(time("2026-12-31T23:59:59.999Z"));
        assert_eq!((file_name(month).as_str(), month_of("2026-12.db")), ("2026-12.db", Some(month)));
        let ids = Ids::of(month);
        for at in [month.start(), time("2026-12-24T18:00:00.001Z"), month.end().plus_ms(-1)] {
            assert_eq!(ids.parts(ids.at(DEVICE_MAX, at)), (DEVICE_MAX, at));
        }
        assert_eq!(ids.within(3, month.end(), month.end().plus_ms(5)), None);
        assert_eq!(ids.within(3, UtcMs(i64::MIN), UtcMs(i64::MAX)), Some((3 << 32, 3 << 32 | 2_678_399_999)));
        for name in ["2026-12.db-wal", "2026-12"] {
            assert_eq!(month_of(name), None, "{name}");
        }
    }
}
