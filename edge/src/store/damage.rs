//! A file that is no database any more: it is set aside, and what it is known to have held becomes
//! gap rows of the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use riverwatts_shared::words::GapReason;
use rusqlite::{Connection, OpenFlags, Transaction};
use uuid::Uuid;

use super::file::{Device, Stamp};
use super::gaps::{self, OpenGap};

/// Files kept aside; older ones are deleted.
const ASIDE_MAX: usize = 2;
/// What SQLite puts beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// What a device loses with the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lost {
    key: String,
    /// Its oldest reading that the cloud did not have, as far as the file still tells.
    from: Option<From>,
}

/// Where the loss begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Utc(i64),
    /// Monotonic time of the boot that goes on.
    ThisBoot(i64),
}

/// Reads what can still be read of a damaged file.
pub(super) fn lost(path: &Path, boot: Uuid) -> Vec<Lost> {
    // The log may be what is damaged; without it, older pages are read.
    read(path, boot).unwrap_or_default()
}

fn read(path: &Path, boot: Uuid) -> rusqlite::Result<Vec<Lost>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let keys: Vec<(i64, String)> = {
        let mut devices = connection.prepare("select number, key from devices")?;
        let rows = devices.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map_while(Result::ok).collect()
    };
    let mut oldest: BTreeMap<i64, From> = BTreeMap::new();
    let mut note = |device: i64, own: Option<Vec<u8>>, ms: i64| {
        let from = match own {
            None => From::Utc(ms),
            Some(id) if id == boot.as_bytes() => From::ThisBoot(ms),
            Some(_) => return,
        };
        oldest.entry(device).or_insert(from);
    };
    if let Ok(mut segments) = connection.prepare(
        "select device, id, from_ms from segments left join boots on boots.number = boot \
         where segments.number in (select segment from unsettled) order by segments.number",
    ) {
        let mut rows = segments.query([])?;
        while let Ok(Some(row)) = rows.next() {
            note(row.get(0)?, row.get(1)?, row.get(2)?);
        }
    }
    if let Ok(mut flushes) = connection.prepare(
        "select id, from_ms from journal left join boots on boots.number = boot \
         where not exists (select 1 from settled where journal.number between first and last) \
         order by journal.number limit 1",
    ) {
        let mut rows = flushes.query([])?;
        if let Ok(Some(row)) = rows.next() {
            for (device, _) in &keys {
                note(*device, row.get(0)?, row.get(1)?);
            }
        }
    }
    Ok(keys.into_iter().map(|(number, key)| Lost { from: oldest.get(&number).copied(), key }).collect())
}

/// Reads every byte, to see whether the disk gives them.
pub(super) fn read_whole(path: &Path) -> io::Result<()> {
    io::copy(&mut fs::File::open(path)?, &mut io::sink())?;
    Ok(())
}

/// Moves the file out of the way; gives its new name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = files_aside(path);
    while aside.len() >= ASIDE_MAX {
        remove(&aside.remove(0).1)?;
    }
    let number = aside.last().map_or(1, |(number, _)| number + 1);
    let to = PathBuf::from(format!("{}.damaged-{number}", path.display()));
    fs::rename(path, &to)?;
    for beside in BESIDE {
        let from = with(path, beside);
        if from.exists() {
            fs::rename(from, with(&to, beside))?;
        }
    }
    Ok(to)
}

/// Bytes of the files aside.
pub(super) fn bytes_aside(path: &Path) -> u64 {
    let files =
        files_aside(path).into_iter().flat_map(|(_, file)| BESIDE.map(|b| with(&file, b)).into_iter().chain([file]));
    files.filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum()
}

/// Begins the gap rows, at the first reading from now on where nothing else is known.
pub(super) fn tell(
    tx: &Transaction<'_>,
    devices: &BTreeMap<i64, Device>,
    boot: i64,
    lost: &[Lost],
) -> rusqlite::Result<Vec<OpenGap>> {
    let mut opened = Vec::new();
    for (&number, device) in devices {
        let own = lost.iter().find(|lost| lost.key == device.key);
        let from = own.and_then(|lost| lost.from).map(|from| match from {
            From::Utc(ms) => Stamp { boot: None, ms },
            From::ThisBoot(ms) => Stamp { boot: Some(boot), ms },
        });
        opened.push(gaps::open(tx, number, GapReason::StoreDamaged, from, None)?);
    }
    Ok(opened)
}

/// Numbers and names of the files aside, oldest first.
fn files_aside(path: &Path) -> Vec<(u64, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let prefix = format!("{}.damaged-", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()?;
        Some((number, entry.path()))
    });
    let mut aside: Vec<_> = numbered.collect();
    aside.sort_unstable();
    aside
}

fn remove(file: &Path) -> io::Result<()> {
    for beside in BESIDE.map(|beside| with(file, beside)) {
        if beside.exists() {
            fs::remove_file(beside)?;
        }
    }
    fs::remove_file(file)
}

fn with(path: &Path, beside: &str) -> PathBuf {
    PathBuf::from(format!("{}{beside}", path.display()))
}
