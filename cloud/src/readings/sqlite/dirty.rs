//! Which hours of which devices have roll-ups that do not know yet what stands in the rows. The marks
//! stand in the month files, written together with the rows; this is their index in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use rusqlite::{Connection, params};

use super::super::month::Month;
use super::super::{DirtyHour, ReadingsError};
use super::month::Months;
use crate::readings::rollups::HOUR_MS;
use riverwatts_shared::time::UtcMs;

/// An hour (since 1970) of a device.
pub type DeviceHour = (i64, i64);

/// The marks of all month files.
#[derive(Debug, Default)]
pub struct Dirty {
    marks: Mutex<HashMap<DeviceHour, Mark>>,
}

#[derive(Debug)]
struct Mark {
    /// Grows with every write that touches the hour.
    version: u64,
    touched: Instant,
    /// The files that it stands in: those of the rows, not of the hour.
    months: Vec<Month>,
}

/// Marks every hour that has rows, since all roll-ups are gone with their file.
pub fn mark_all(months: &Months) -> Result<(), ReadingsError> {
    for month in months.within(UtcMs(i64::MIN), UtcMs(i64::MAX)) {
        tracing::warn!(%month, "roll-ups are missing: they are computed anew");
        months.open_to_write(month)?.execute(
            "insert or ignore into dirty select distinct id >> 32, (?1 + (id & 0xffffffff)) / ?2 from readings",
            params![month.start().0, HOUR_MS],
        )?;
    }
    Ok(())
}

impl Dirty {
    /// The marks that are there.
    pub fn read(months: &Months) -> Result<Dirty, ReadingsError> {
        let dirty = Dirty::default();
        for month in months.within(UtcMs(i64::MIN), UtcMs(i64::MAX)) {
            let connection = months.open_to_read(month)?;
            let mut statement = connection.prepare("select device, hour from dirty")?;
            let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let found = found.collect::<Result<Vec<DeviceHour>, _>>()?;
            dirty.touch(month, &found);
        }
        Ok(dirty)
    }

    /// Writes those of `hours` that the file of `month` does not have, in the caller's transaction.
    pub fn write(&self, connection: &Connection, month: Month, hours: &[DeviceHour]) -> rusqlite::Result<()> {
        let missing: Vec<DeviceHour> = {
            let marks = self.lock();
            let stands = |hour: &DeviceHour| marks.get(hour).is_some_and(|mark| mark.months.contains(&month));
            hours.iter().copied().filter(|hour| !stands(hour)).collect()
        };
        let mut insert = connection.prepare_cached("insert or ignore into dirty (device, hour) values (?1, ?2)")?;
        for (device, hour) in missing {
            insert.execute(params![device, hour])?;
        }
        Ok(())
    }

    /// Notes that a write to `month`, now committed, touched these hours; answers the marks' versions.
    pub fn touch(&self, month: Month, hours: &[DeviceHour]) -> Vec<(i64, u64)> {
        let now = Instant::now();
        let mut marks = self.lock();
        let touch = |&(device, hour): &DeviceHour| {
            let fresh = || Mark { version: 0, touched: now, months: Vec::new() };
            let mark = marks.entry((device, hour)).or_insert_with(fresh);
            mark.version += 1;
            mark.touched = now;
            if !mark.months.contains(&month) {
                mark.months.push(month);
            }
            (hour, mark.version)
        };
        hours.iter().map(touch).collect()
    }

    /// The marks that `wanted` says, by device and hour.
    pub fn hours(&self, wanted: impl Fn(&DirtyHour) -> bool) -> Vec<DirtyHour> {
        let marks = self.lock();
        let hour = |(&(device, hour), mark): (&DeviceHour, &Mark)| {
            let untouched_ms = mark.touched.elapsed().as_millis() as u64;
            DirtyHour { device, hour, version: mark.version, untouched_ms }
        };
        marks.iter().map(hour).filter(wanted).collect()
    }

    /// Those of `done` that nobody touched since, with the files that their marks stand in.
    pub fn untouched(&self, done: &[DirtyHour]) -> Vec<(DeviceHour, Vec<Month>)> {
        let marks = self.lock();
        let mark = |hour: &DirtyHour| {
            let key = (hour.device, hour.hour);
            let mark = marks.get(&key).filter(|mark| mark.version == hour.version)?;
            Some((key, mark.months.clone()))
        };
        done.iter().filter_map(mark).collect()
    }

    /// Notes that the file of `month` has the marks of these hours no longer.
    pub fn cleaned(&self, month: Month, hours: impl Iterator<Item = DeviceHour>) {
        let mut marks = self.lock();
        for hour in hours {
            if let Some(mark) = marks.get_mut(&hour) {
                mark.months.retain(|&of| of != month);
                if mark.months.is_empty() {
                    marks.remove(&hour);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceHour, Mark>> {
        self.marks.lock().expect("never poisoned: nothing panics inside")
    }
}
