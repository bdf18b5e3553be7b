//! What the card was given to write, by day, so that a forecast of its life has more to go by than
//! this run. A day is one of UTC, and the newest reading says which: the clock may not know.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use rusqlite::{Connection, Transaction};

use super::StoreError;
use super::file::StoreFile;

const DAY_MS: i64 = 86_400_000;
/// Days that are remembered.
const DAYS_MAX: i64 = 8;
/// A run shorter than this says nothing of a day.
const RUN_MIN: Duration = Duration::from_secs(600);

/// Bytes by day.
#[derive(Debug, Default)]
pub(super) struct Wear {
    days: BTreeMap<i64, u64>,
    /// How much of this run is in them.
    booked: u64,
}

/// What is known of the card's wear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes since this run began.
    pub this_run: u64,
    /// Bytes since midnight UTC, those of earlier runs included.
    pub today: u64,
    /// Bytes of a usual day; `None` until something is known of one.
    pub a_day: Option<u64>,
}

impl Wear {
    /// What earlier runs noted.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut found = connection.prepare("select day, bytes from written")?;
        let days = found.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        Ok(Wear { days: days.collect::<rusqlite::Result<_>>()?, booked: 0 })
    }

    /// Notes what this run wrote so far.
    pub(super) fn book(&mut self, tx: &Transaction<'_>, day: i64, this_run: u64) -> rusqlite::Result<()> {
        let bytes = self.days.get(&day).copied().unwrap_or(0) + this_run.saturating_sub(self.booked);
        tx.prepare_cached("insert or replace into written (day, bytes) values (?1, ?2)")?
            .execute([day, bytes.cast_signed()])?;
        tx.prepare_cached("delete from written where day <= ?1")?.execute([day - DAYS_MAX])?;
        self.days.insert(day, bytes);
        self.days.retain(|&kept, _| kept > day - DAYS_MAX);
        self.booked = this_run;
        Ok(())
    }

    /// `day`: today, if known; `ran`: for how long this run lasts.
    pub(super) fn written(&self, day: Option<i64>, this_run: u64, ran: Duration) -> Written {
        let noted = day.and_then(|day| self.days.get(&day)).copied().unwrap_or(0);
        // The first day began in its middle.
        let whole: Vec<u64> =
            day.iter().flat_map(|day| self.days.range(..day)).skip(1).map(|(_, &bytes)| bytes).collect();
        let so_far = || (ran >= RUN_MIN).then(|| (this_run as f64 * DAY_MS as f64 / ran.as_millis() as f64) as u64);
        let a_day = if whole.is_empty() { so_far() } else { Some(whole.iter().sum::<u64>() / whole.len() as u64) };
        Written { this_run, today: noted + this_run.saturating_sub(self.booked), a_day }
    }
}

impl StoreFile {
    /// The day of the newest reading.
    pub(super) fn day(&self) -> Option<i64> {
        let dated = self.devices.values().filter_map(|device| device.last).filter(|last| last.boot.is_none());
        dated.map(|last| last.ms.div_euclid(DAY_MS)).max()
    }

    /// Notes what was written, where the day is known.
    pub(super) fn book_written(&mut self) -> Result<(), StoreError> {
        let Some(day) = self.day() else { return Ok(()) };
        let tx = self.connection.transaction()?;
        self.wear.book(&tx, day, this_run())?;
        tx.commit()?;
        Ok(())
    }
}

/// What the kernel counted as given to the disk by this process: the store's file and log, and
/// little else.
pub(super) fn this_run() -> u64 {
    counted().unwrap_or_default()
}

fn counted() -> io::Result<u64> {
    let counters = fs::read_to_string("/proc/self/io")?;
    let written = counters.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    written.and_then(|number| number.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("create table written (day integer primary key, bytes integer not null)").unwrap();
        connection
    }

    fn book(connection: &mut Connection, wear: &mut Wear, day: i64, this_run: u64) {
        let tx = connection.transaction().unwrap();
        wear.book(&tx, day, this_run).unwrap();
        tx.commit().unwrap();
    }

    #[test]
    fn a_new_gateway_judges_by_its_run_once_that_is_long_enough() {
        let wear = Wear::default();
        assert_eq!(wear.written(Some(9), 50, HOUR / 12), Written { this_run: 50, today: 50, a_day: None });
        assert_eq!(wear.written(None, 50, HOUR).a_day, Some(1_200));
    }

    #[test]
    fn days_are_remembered_and_whole_ones_are_what_is_usual() {
        let mut connection = table();
        let mut wear = Wear::default();
        book(&mut connection, &mut wear, 1, 10);
        book(&mut connection, &mut wear, 1, 15);
        book(&mut connection, &mut wear, 2, 115);
        let mut wear = Wear::load(&connection).unwrap();
        book(&mut connection, &mut wear, 3, 300);
        assert_eq!(wear.written(Some(3), 320, HOUR), Written { this_run: 320, today: 320, a_day: Some(100) });
        let wear = Wear::load(&connection).unwrap();
        assert_eq!(wear.written(Some(3), 5, HOUR), Written { this_run: 5, today: 305, a_day: Some(100) });
        assert_eq!(wear.written(Some(4), 5, HOUR), Written { this_run: 5, today: 5, a_day: Some(200) });
    }

    #[test]
    fn old_days_are_forgotten() {
        let mut connection = table();
        let mut wear = Wear::default();
        (0..20).for_each(|day| book(&mut connection, &mut wear, day, 10 * day.unsigned_abs()));
        assert_eq!(wear.days.keys().copied().collect::<Vec<_>>(), (12..20).collect::<Vec<_>>());
        assert_eq!(Wear::load(&connection).unwrap().days, wear.days);
    }
}
