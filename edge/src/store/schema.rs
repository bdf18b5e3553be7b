//! The tables of `store.db`, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// Version of the tables; kept in `user_version`.
pub(super) const VERSION: i64 = 3;
/// Small pages: a commit writes whole ones, and flash wears by pages written. At 100 readings a commit,
/// settled and sealed, 88 bytes a reading reach the disk; with pages of 4 KiB 123.
const PAGE_BYTES: u32 = 1_024;
/// Pages in the log before they move to the file: pages that change with each flush move once. With
/// 250 in place of 1,000 pages it is 99 bytes a reading; the 82 with 4,000 are not worth a longer start.
const CHECKPOINT_PAGES: u32 = 1_000;
/// Cache, in KiB: the working set is the end of the journal.
const CACHE_KIB: i32 = 128;
/// How long a reader of the history may make a commit wait.
const BUSY: Duration = Duration::from_secs(5);

// Times are UTC in ms where `boot` is null, else the monotonic ms of that boot.
// `readings` are packed by `super::packed`, with a checksum, since pages have none.
const TABLES: &str = "
-- One row: which store this is, and how it was left.
create table store (
    one integer primary key check (one = 1),
    id blob not null,
    -- Sequence numbers below are used up, or reserved by a run that may have used them.
    sequence_end integer not null,
    epoch blob,
    running integer not null,
    -- The highest sequence of this id that a receipt came for.
    receipted integer not null default 0
) strict;
-- `edge.toml` may change order, so devices are known by key. `last_` is their newest sealed reading.
create table devices (
    number integer primary key,
    key text not null unique,
    cloud_id blob,
    announced text,
    last_boot integer,
    last_ms integer
) strict;
-- `anchor_` is what the next run of the boot begins with; `dating_` is what undated rows are dated by, once.
-- `_bound_ms` is how far off they may be at the monotonic time `_at_ms`; it grows with the distance from it.
create table boots (
    number integer primary key,
    id blob not null unique,
    anchor_ms integer,
    anchor_bound_ms integer,
    anchor_at_ms integer,
    anchor_source text,
    dating_ms integer,
    dating_bound_ms integer,
    dating_at_ms integer,
    estimated integer not null default 0
) strict;
-- `source` is the clock that was believed.
create table jumps (
    number integer primary key,
    boot integer not null,
    at_ms integer not null,
    by_ms integer not null,
    source text
) strict;
-- The journal: one row a commit, all devices in it. The row of a sealed flush is used again: a commit so
-- changes one page, where a new row would change those that lead to it and those that list what is free.
create table flushes (
    slot integer primary key,
    number integer not null,
    boot integer,
    from_ms integer not null,
    rows integer not null,
    readings blob not null
) strict;
-- Flushes that are no more in the journal, as ranges, though their rows may still be there.
create table sealed (first integer primary key, last integer not null) strict;
create view journal as
    select * from flushes where not exists (select 1 from sealed where number between first and last);
-- Flushes of the journal that the cloud has, as ranges; and devices whose readings in them it has not.
create table settled (first integer primary key, last integer not null) strict;
create table held (flush integer not null, device integer not null, primary key (flush, device)) strict, without rowid;
-- Sealed: one device, many flushes; or, with `first_flush` 0, readings that the cloud refused and that go out
-- again, which are also where they were first. `receipted` is that of the store when they were sealed as settled:
-- no later receipt settled them.
create table segments (
    number integer primary key,
    device integer not null,
    boot integer,
    first_flush integer not null,
    last_flush integer not null,
    from_ms integer not null,
    to_ms integer not null,
    rows integer not null,
    readings blob not null,
    receipted integer
) strict;
create index segments_by_time on segments (device, to_ms);
create index segments_undated on segments (boot) where boot is not null;
-- Beside the segments, so that settling one does not write its readings again, and that a start need
-- not read them all.
create table unsettled (segment integer primary key, device integer not null, rows integer not null) strict;
-- Segments that were settled later than sealed, as ranges that may have others among them, and what
-- `receipted` was with that.
create table drained (number integer primary key, first integer not null, last integer not null, receipted integer not null) strict;
-- `to_ms` is null until the device has a reading again.
create table gaps (
    number integer primary key,
    device integer not null,
    reason integer not null,
    rows integer,
    from_boot integer,
    from_ms integer,
    to_boot integer,
    to_ms integer,
    settled integer not null default 0
) strict;
-- What was given to the disk, by day of UTC.
create table written (day integer primary key, bytes integer not null) strict;
-- What went over the link, in bytes by day of the site's calendar.
create table traffic (day integer primary key, sent integer not null, received integer not null) strict;
-- A number is never used again, so that nobody ends another than the one that they saw; a reading is here once.
create table dead_letters (
    number integer primary key autoincrement,
    device integer not null,
    time_ms integer not null,
    code text not null,
    message text not null,
    reading blob not null
) strict;
create unique index dead_letters_by_time on dead_letters (device, time_ms);
";

/// From version 1, whose flushes were deleted when they were sealed.
const FROM_1: &str = "
begin immediate;
alter table flushes rename to flushes_1;
create table flushes (
    slot integer primary key,
    number integer not null,
    boot integer,
    from_ms integer not null,
    rows integer not null,
    readings blob not null
) strict;
insert into flushes select number, number, boot, from_ms, rows, readings from flushes_1;
drop table flushes_1;
create table sealed (first integer primary key, last integer not null) strict;
create view journal as
    select * from flushes where not exists (select 1 from sealed where number between first and last);
create table written (day integer primary key, bytes integer not null) strict;
pragma user_version = 2;
commit;
";

/// From version 2, which did not count what went over the link, did not know whose clock it had nor which
/// receipt settled what, and had a reading among the refused as often as it was refused.
const FROM_2: &str = "
begin immediate;
alter table boots add column anchor_at_ms integer;
alter table boots add column anchor_source text;
alter table boots add column dating_at_ms integer;
alter table jumps add column source text;
create table traffic (day integer primary key, sent integer not null, received integer not null) strict;
alter table dead_letters rename to dead_letters_2;
create table dead_letters (
    number integer primary key autoincrement,
    device integer not null,
    time_ms integer not null,
    code text not null,
    message text not null,
    reading blob not null
) strict;
create unique index dead_letters_by_time on dead_letters (device, time_ms);
insert into dead_letters select * from dead_letters_2
    where number in (select max(number) from dead_letters_2 group by device, time_ms);
drop table dead_letters_2;
alter table store add column receipted integer not null default 0;
alter table segments add column receipted integer;
create table drained (number integer primary key, first integer not null, last integer not null, receipted integer not null) strict;
-- Receipts begin to count with a new id.
update store set id = randomblob(16), sequence_end = 1;
pragma user_version = 3;
commit;
";

/// Opens the file, or makes an empty one, with the settings of this program.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", CHECKPOINT_PAGES * PAGE_BYTES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// The version of the file; 0 when it has no tables yet.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables.
pub(super) fn create(connection: &Connection, id: uuid::Uuid) -> rusqlite::Result<()> {
    connection.execute_batch("begin immediate")?;
    connection.execute_batch(TABLES)?;
    connection.execute(
        "insert into store (one, id, sequence_end, running) values (1, ?1, 1, 0)",
        [id.as_bytes().as_slice()],
    )?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch("commit")
}

/// Brings the tables of version `from` to this one.
pub(super) fn migrate(connection: &Connection, from: i64) -> rusqlite::Result<()> {
    if from < 2 {
        connection.execute_batch(FROM_1)?;
    }
    connection.execute_batch(FROM_2)
}

/// What is wrong with the tables that a start needs, if anything. Segments are checked when read.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    for table in [
        "store",
        "devices",
        "boots",
        "flushes",
        "sealed",
        "settled",
        "held",
        "unsettled",
        "drained",
        "gaps",
        "dead_letters",
        "written",
        "traffic",
        "writes",
    ] {
        let mut found = connection.prepare(&format!("pragma quick_check('{table}')"))?;
        let words: String = found.query_row([], |row| row.get(0))?;
        if words != "ok" {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// Bytes in use, and bytes that the file has.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (whole, free) = (pages("page_count")?, pages("freelist_count")?);
    let bytes = |pages: i64| pages.unsigned_abs() * u64::from(PAGE_BYTES);
    Ok((bytes(whole - free), bytes(whole)))
}
