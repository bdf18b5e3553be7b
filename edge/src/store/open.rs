//! Opening the store: one owner, one file, and what an earlier run left in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverwatts_shared::words::GapReason;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::damage::{self, Lost};
use super::file::{Device, Stamp, StoreFile};
use super::gaps::{self, OpenGap};
use super::journal::{Entry, Open};
use super::traffic::Traffic;
use super::wear::Wear;
use super::{Left, Settings, StoreError, schema, writes};
use crate::clock::{Anchor, Source};
use crate::legacy;

/// Name of the database in the store's folder.
pub(super) const FILE: &str = "store.db";
/// Locked while a program has the store.
const LOCK: &str = "store.lock";

/// So many of the newest segments are looked at when the store is opened.
const LAST_SEALED: i64 = 64;

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be used.
    #[error("store.dir {} cannot be used: {cause}; make it writable, or name another", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another program has it.
    #[error("store.dir {} is in use by another riverwatts-edge; stop it, or give each gateway a folder of its own", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{} was written by a newer version ({found}, this program knows up to {known}); install that version again, or move the file away to begin a new store", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The disk does not let us read or write.
    #[error("{} cannot be opened: {cause}; check the disk and the rights", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: StoreError,
    },
    /// A bug.
    #[error("the thread of the store in {} ended by itself; please report the lines above", path.display())]
    Thread {
        /// The folder.
        path: PathBuf,
    },
}

impl OpenError {
    /// Whether it is no matter of the disk, so that another attempt would end alike.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, OpenError::Locked { .. } | OpenError::Newer { .. } | OpenError::Thread { .. })
    }
}

/// Opens the store of this folder, or begins one. A damaged file is set aside.
pub(super) fn open(settings: Settings, now: Duration) -> Result<StoreFile, OpenError> {
    let dir = &settings.dir;
    let folder = |cause| OpenError::Folder { path: dir.clone(), cause };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK)).map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: dir.clone() }),
        Err(TryLockError::Error(cause)) => return Err(folder(cause)),
    }
    let path = dir.join(FILE);
    load_or_begin(settings, lock, now).map_err(|cause| match cause {
        StoreError::Newer(found) => OpenError::Newer { path, found, known: schema::VERSION },
        cause => OpenError::File { path, cause },
    })
}

/// Opens the file; when it is damaged, sets it aside and begins a new one.
pub(super) fn load_or_begin(settings: Settings, lock: File, now: Duration) -> Result<StoreFile, StoreError> {
    let path = settings.dir.join(FILE);
    match load(&settings, &path, now) {
        Ok(loaded) => loaded.into_file(settings, lock, None),
        Err(StoreError::Damaged(cause)) => begin_again(settings, lock, now, &cause),
        Err(other) => Err(other),
    }
}

/// Sets the file aside and begins a new one, with a gap row for everything that goes with it.
pub(super) fn begin_again(settings: Settings, lock: File, now: Duration, cause: &str) -> Result<StoreFile, StoreError> {
    let path = settings.dir.join(FILE);
    // A disk that fails to read makes a file look damaged that is not.
    damage::read_whole(&path).map_err(StoreError::Unreadable)?;
    let lost = damage::lost(&path, settings.boot);
    let aside = damage::set_aside(&path).map_err(|error| StoreError::Damaged(format!("{cause}; {error}")))?;
    tracing::error!(cause, aside = %aside.display(), "the store is damaged: it was set aside and a new one is begun");
    load(&settings, &path, now)?.into_file(settings, lock, Some(&lost))
}

/// What the file says.
struct Loaded {
    connection: Connection,
    id: Uuid,
    epoch: Option<Uuid>,
    sequence_end: u64,
    receipted: u64,
    was_running: bool,
    boot: i64,
    devices: BTreeMap<i64, Device>,
    places: Vec<i64>,
    journal: BTreeMap<i64, Entry>,
    free_slots: BTreeSet<i64>,
    next_flush: i64,
    undated: BTreeSet<i64>,
    open_gaps: Vec<OpenGap>,
    dead_letters: u64,
    wear: Wear,
    traffic: Traffic,
    now: Duration,
}

fn load(settings: &Settings, path: &Path, now: Duration) -> Result<Loaded, StoreError> {
    let mut connection = schema::connect(path)?;
    match schema::version(&connection)? {
        0 => schema::create(&connection, Uuid::new_v4())?,
        schema::VERSION => {}
        older @ 1..schema::VERSION => schema::migrate(&connection, older)?,
        newer => return Err(StoreError::Newer(newer)),
    }
    writes::make(&connection)?;
    if let Some(words) = schema::check(&connection)? {
        return Err(StoreError::Damaged(words));
    }
    let boot = number_boot(&connection, settings.boot)?;
    let places = number_devices(&mut connection, &settings.keys)?;
    let bytes = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    let (id, epoch, end, receipted, was_running) =
        connection.query_row("select id, epoch, sequence_end, receipted, running from store", [], |row| {
            let (end, receipted): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok((bytes(Some(row.get(0)?)), bytes(row.get(1)?), end, receipted, row.get(4)?))
        })?;
    let journal = journal(&connection)?;
    let free_slots = connection
        .prepare("select slot from flushes where number not in (select number from journal)")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // The newest flushes are never sealed, so this only matters when the journal lost them.
    let sealed: i64 = connection.query_row(
        "select max((select coalesce(max(last), 0) from sealed), (select coalesce(max(last), 0) from settled), (select coalesce(max(last_flush), 0) from \
         (select last_flush from segments order by number desc limit ?1)))",
        [LAST_SEALED],
        |row| row.get(0),
    )?;
    let next_flush = journal.last_key_value().map_or(0, |(&number, _)| number).max(sealed) + 1;
    let (undated, devices, open_gaps) = (undated(&connection)?, devices(&connection)?, open_gaps(&connection)?);
    let dead_letters: i64 = connection.query_row("select count(*) from dead_letters", [], |row| row.get(0))?;
    Ok(Loaded {
        id: id.ok_or_else(|| StoreError::Damaged("the id of the store is none".to_owned()))?,
        epoch,
        sequence_end: end.unsigned_abs(),
        receipted: receipted.unsigned_abs(),
        was_running,
        boot,
        devices,
        places,
        journal,
        free_slots,
        next_flush,
        undated,
        open_gaps,
        dead_letters: dead_letters.unsigned_abs(),
        wear: Wear::load(&connection)?,
        traffic: Traffic::load(&connection)?,
        connection,
        now,
    })
}

impl Loaded {
    fn into_file(self, settings: Settings, lock: File, lost: Option<&[Lost]>) -> Result<StoreFile, StoreError> {
        let mut file = StoreFile {
            connection: self.connection,
            set_aside_bytes: damage::bytes_aside(&settings.dir.join(FILE)),
            settings,
            lock,
            id: self.id,
            epoch: self.epoch,
            receipted: self.receipted,
            boot: self.boot,
            devices: self.devices,
            places: self.places,
            journal: self.journal,
            free_slots: self.free_slots,
            next_flush: self.next_flush,
            undated: self.undated,
            open_gaps: self.open_gaps,
            segments_in_flight: BTreeSet::new(),
            gaps_in_flight: BTreeSet::new(),
            waiting: BTreeSet::new(),
            receipts: Vec::new(),
            first_receipt_at: None,
            sequence: self.sequence_end..self.sequence_end,
            live_until: self.next_flush - 1,
            sealed_at: self.now,
            opened_ms: self.now.as_millis() as i64,
            retaining: true,
            thinned_until: 0,
            lost: super::Lost::default(),
            full: None,
            fills_up: false,
            backlog: 0,
            dead_letters: self.dead_letters,
            commits: 0,
            wear: self.wear,
            traffic: self.traffic,
        };
        file.mending(StoreFile::find_last)?;
        file.begin(self.was_running, lost)?;
        file.backlog = file.mending(|file| file.count_backlog())?;
        Ok(file)
    }
}

impl StoreFile {
    /// Takes another handle of the file: the disk may have gone and come back. Gives whether the file
    /// holds what it held; what is remembered of it is right only then.
    pub(super) fn reconnect(&mut self) -> Result<bool, StoreError> {
        let path = self.settings.dir.join(FILE);
        if !path.try_exists().unwrap_or(true) {
            return Ok(false);
        }
        let connection = schema::connect(&path)?;
        let same = schema::version(&connection)? == schema::VERSION && {
            let id: Vec<u8> = connection.query_row("select id from store", [], |row| row.get(0))?;
            let newest: Option<i64> = connection.query_row("select max(number) from flushes", [], |row| row.get(0))?;
            id == self.id.as_bytes() && newest.unwrap_or(0) == self.next_flush - 1
        };
        if same {
            self.connection = connection;
        }
        Ok(same)
    }

    /// The newest reading of each device: sealed ones are written down, the journal has the rest.
    fn find_last(&mut self) -> Result<(), StoreError> {
        for (&number, entry) in &self.journal {
            for (device, segment) in self.read_flush(number, |_| true)? {
                if let (Some(known), Some(&ms)) = (self.devices.get_mut(&device), segment.times.last()) {
                    known.last = Some(Stamp { boot: entry.boot, ms });
                }
            }
        }
        Ok(())
    }

    /// Writes down that a run begins, and what the one before it left undone.
    fn begin(&mut self, was_running: bool, lost: Option<&[Lost]>) -> Result<(), StoreError> {
        let taken_over = legacy::newest(&self.settings.dir);
        let mut new = Vec::new();
        for (&number, device) in &mut self.devices {
            let Some(newest) = taken_over.get(&device.key) else { continue };
            // Times of a boot that is not dated yet are put behind the others when they are.
            if device.last.is_none_or(|last| last.boot.is_none() && last.ms < newest.0) {
                new.extend(device.last.is_none().then_some(number));
                device.last = Some(Stamp { boot: None, ms: newest.0 });
            }
        }
        let tx = self.connection.transaction()?;
        let mut opened = Vec::new();
        if was_running {
            opened = gaps::stopped_uncleanly(&tx, &self.devices, &self.open_gaps)?;
        } else {
            // The store that had what came since is gone.
            for number in new {
                opened.push(gaps::open(&tx, number, GapReason::StoreDamaged, self.devices[&number].last, None)?);
            }
        }
        for (number, device) in &self.devices {
            if let Some(newest) = taken_over.get(&device.key)
                && device.last == Some(Stamp { boot: None, ms: newest.0 })
            {
                tx.execute("update devices set last_boot = null, last_ms = ?2 where number = ?1", [*number, newest.0])?;
            }
        }
        if let Some(lost) = lost {
            opened.extend(damage::tell(&tx, &self.devices, self.boot, lost)?);
        }
        tx.execute("update store set running = 1", [])?;
        tx.commit()?;
        self.open_gaps.extend(opened);
        legacy::forget(&self.settings.dir);
        Ok(())
    }

    /// What those who go on with it need to know.
    pub(super) fn left(&self) -> Result<Left, StoreError> {
        let anchor = self.connection.query_row(
            "select anchor_ms, anchor_bound_ms, anchor_at_ms, anchor_source from boots where number = ?1",
            [self.boot],
            |row| {
                let anchor = row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?);
                // An earlier version did not write when and who: the worst of both is taken.
                let at_ms = row.get::<_, Option<i64>>(2)?.unwrap_or_default();
                let source = row.get::<_, Option<String>>(3)?;
                let source = source.and_then(|word| Source::of_word(&word)).unwrap_or(Source::Device);
                Ok(anchor.map(|(offset_ms, bound_ms)| Anchor { offset_ms, bound_ms, at_ms, source }))
            },
        )?;
        let last = |device: &i64| {
            let last = self.devices[device].last;
            let of = |boot| last.filter(|last| last.boot == boot).map(|last| last.ms);
            (of(None), of(Some(self.boot)))
        };
        let mut announced =
            self.connection.prepare("select key, announced from devices where announced is not null")?;
        let announced = announced.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Left {
            anchor,
            newest_ms: self.newest()?,
            floor_ms: self.floor()?,
            last: self.places.iter().map(last).collect(),
            announced: announced.collect::<rusqlite::Result<_>>()?,
        })
    }
}

fn number_boot(connection: &Connection, id: Uuid) -> rusqlite::Result<i64> {
    connection.execute("insert or ignore into boots (id) values (?1)", [id.as_bytes().as_slice()])?;
    connection.query_row("select number from boots where id = ?1", [id.as_bytes().as_slice()], |row| row.get(0))
}

fn number_devices(connection: &mut Connection, keys: &[String]) -> rusqlite::Result<Vec<i64>> {
    let tx = connection.transaction()?;
    let mut places = Vec::new();
    for key in keys {
        tx.prepare_cached("insert or ignore into devices (key) values (?1)")?.execute([key])?;
        let mut number = tx.prepare_cached("select number from devices where key = ?1")?;
        places.push(number.query_row([key], |row| row.get(0))?);
    }
    tx.commit()?;
    Ok(places)
}

pub(super) fn devices(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Device>> {
    let mut found = connection.prepare("select number, key, last_boot, last_ms from devices")?;
    let devices = found.query_map([], |row| {
        let boot = row.get(2)?;
        let last = row.get::<_, Option<i64>>(3)?.map(|ms| Stamp { boot, ms });
        Ok((row.get(0)?, Device { key: row.get(1)?, last }))
    })?;
    devices.collect()
}

pub(super) fn journal(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Entry>> {
    let mut found = connection.prepare("select number, boot, from_ms, rows, length(readings), slot from journal")?;
    let entries = found.query_map([], |row| {
        let entry = Entry {
            slot: row.get(5)?,
            boot: row.get(1)?,
            from_ms: row.get(2)?,
            rows: row.get::<_, i64>(3)?.unsigned_abs(),
            bytes: row.get::<_, i64>(4)?.unsigned_abs() as usize,
            open: Open::All,
            in_flight: false,
        };
        Ok((row.get(0)?, entry))
    })?;
    let mut journal: BTreeMap<i64, Entry> = entries.collect::<rusqlite::Result<_>>()?;
    let mut settled = connection.prepare("select first, last from settled")?;
    let mut ranges = settled.query([])?;
    while let Some(row) = ranges.next()? {
        for (_, entry) in journal.range_mut(row.get::<_, i64>(0)?..=row.get(1)?) {
            entry.open = Open::Only(BTreeSet::new());
        }
    }
    let mut held = connection.prepare("select flush, device from held")?;
    let mut rows = held.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(Entry { open: Open::Only(devices), .. }) = journal.get_mut(&row.get(0)?) {
            devices.insert(row.get(1)?);
        }
    }
    Ok(journal)
}

fn undated(connection: &Connection) -> rusqlite::Result<BTreeSet<i64>> {
    let mut found = connection.prepare(
        "select boot from journal where boot is not null union select boot from segments where boot is not null \
         union select from_boot from gaps where from_boot is not null union select to_boot from gaps where to_boot is not null \
         union select last_boot from devices where last_boot is not null",
    )?;
    let boots = found.query_map(params![], |row| row.get(0))?;
    boots.collect()
}

fn open_gaps(connection: &Connection) -> rusqlite::Result<Vec<OpenGap>> {
    let mut found = connection.prepare("select number, device, reason from gaps where to_ms is null")?;
    let gaps = found.query_map([], |row| {
        let reason = gaps::reason(row.get(2)?);
        Ok(OpenGap { number: row.get(0)?, device: row.get(1)?, reason })
    })?;
    gaps.collect()
}
