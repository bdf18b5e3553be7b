//! The newest reading of each device, in memory. The writer puts in what it stored; what was stored
//! before is looked up in the month files when first asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use riverwatts_shared::time::UtcMs;

use super::super::{ReadingsError, StoredRow};
use super::month::{COLUMNS, Ids, read_row};
use super::read::Readers;

/// The newest readings that are known.
#[derive(Debug, Default)]
pub struct Latest {
    devices: Mutex<HashMap<i64, Newest>>,
}

#[derive(Debug, Default)]
struct Newest {
    row: Option<Arc<StoredRow>>,
    /// Whether what was stored before is known too.
    complete: bool,
}

impl Latest {
    /// Takes a row that was committed; one older than what is known changes nothing.
    pub fn stored(&self, row: StoredRow) {
        let mut devices = self.lock();
        let newest = devices.entry(row.device).or_default();
        if newest.row.as_ref().is_none_or(|known| known.time <= row.time) {
            newest.row = Some(Arc::new(row));
        }
    }

    /// Those of `devices` whose past is not known.
    pub fn missing(&self, devices: &[i64]) -> Vec<i64> {
        let known = self.lock();
        devices.iter().copied().filter(|device| !known.get(device).is_some_and(|newest| newest.complete)).collect()
    }

    /// Takes what [`find`] found. What the writer put in meanwhile stays, unless it is older.
    pub fn learn(&self, found: Vec<(i64, Option<StoredRow>)>) {
        let mut devices = self.lock();
        for (device, row) in found {
            let newest = devices.entry(device).or_default();
            newest.complete = true;
            if let Some(row) = row
                && newest.row.as_ref().is_none_or(|known| known.time < row.time)
            {
                newest.row = Some(Arc::new(row));
            }
        }
    }

    /// The newest reading of each of `devices` that has one.
    pub fn get(&self, devices: &[i64]) -> Vec<Arc<StoredRow>> {
        let known = self.lock();
        devices.iter().filter_map(|device| known.get(device)?.row.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Newest>> {
        self.devices.lock().expect("never poisoned: nothing panics inside")
    }
}

/// The newest reading of each device in the month files.
pub fn find(readers: &Readers, devices: &[i64]) -> Result<Vec<(i64, Option<StoredRow>)>, ReadingsError> {
    let mut found: Vec<(i64, Option<StoredRow>)> = devices.iter().map(|&device| (device, None)).collect();
    let all = (UtcMs(i64::MIN), UtcMs(i64::MAX));
    for month in readers.months(all.0, all.1).into_iter().rev() {
        let connection = readers.month(month)?;
        let ids = Ids::of(month);
        let mut newest = connection.prepare_cached(&format!(
            "select {COLUMNS} from readings where id between ?1 and ?2 order by id desc limit 1"
        ))?;
        for (device, row) in found.iter_mut().filter(|(_, row)| row.is_none()) {
            let Some((first, last)) = ids.within(*device, all.0, all.1) else { continue };
            let mut rows = newest.query([first, last])?;
            *row = rows.next()?.map(|row| read_row(row, ids)).transpose()?;
        }
        if found.iter().all(|(_, row)| row.is_some()) {
            break;
        }
    }
    Ok(found)
}
