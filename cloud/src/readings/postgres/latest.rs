//! The newest reading of each device. Which it is stands in a table, so that any instance knows; the
//! reading itself is kept in memory, and used as long as the table names the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use riverwatts_shared::time::UtcMs;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};

use super::super::StoredRow;
use super::read::{read_row, with_columns};

/// The newest readings as this process saw them last.
#[derive(Debug, Default)]
pub struct Latest {
    devices: Mutex<HashMap<i64, Arc<StoredRow>>>,
    /// The devices that have a row in the table.
    known: Mutex<HashSet<i64>>,
}

impl Latest {
    /// Takes a row that was committed; an older one than is known changes nothing.
    pub fn stored(&self, row: Arc<StoredRow>) {
        let mut devices = self.lock();
        let known = devices.entry(row.device).or_insert_with(|| Arc::clone(&row));
        if (known.time, known.revision) <= (row.time, row.revision) {
            *known = row;
        }
    }

    /// The newest reading of a device that this process knows of.
    pub fn get(&self, device: i64) -> Option<Arc<StoredRow>> {
        self.lock().get(&device).cloned()
    }

    /// Sees to it that every device has its row; in order, as all who hold several.
    pub async fn make_for(&self, pool: &PgPool, devices: &[i64]) -> sqlx::Result<()> {
        let missing: Vec<i64> = {
            let known = self.known.lock().expect("never poisoned: nothing panics inside");
            devices.iter().copied().filter(|device| !known.contains(device)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into readings_latest (device) select unnest($1::bigint[]) order by 1 on conflict do nothing",
        )
        .bind(&missing)
        .execute(pool)
        .await?;
        self.known.lock().expect("never poisoned: nothing panics inside").extend(missing);
        Ok(())
    }

    /// The newest readings of devices, in their order.
    pub async fn find(&self, connection: &mut PgConnection, devices: &[i64]) -> sqlx::Result<Vec<Arc<StoredRow>>> {
        let sql = "select device, time, revision from readings_latest where device = any($1) and time is not null";
        let named = sqlx::query(sql).bind(devices).fetch_all(&mut *connection).await?;
        let found = self.read(connection, &named).await?;
        Ok(devices.iter().filter_map(|device| found.get(device).cloned()).collect())
    }

    /// The newest readings of devices, which nobody else writes until the transaction ends.
    pub async fn hold(
        &self,
        connection: &mut PgConnection,
        devices: &[i64],
    ) -> sqlx::Result<HashMap<i64, Arc<StoredRow>>> {
        let sql =
            "select device, time, revision from readings_latest where device = any($1) order by device for update";
        let named = sqlx::query(sql).bind(devices).fetch_all(&mut *connection).await?;
        self.read(connection, &named).await
    }

    /// Names the newest readings of devices that are held.
    pub async fn name(connection: &mut PgConnection, newest: &HashMap<i64, Arc<StoredRow>>) -> sqlx::Result<()> {
        let column = |of: fn(&StoredRow) -> i64| newest.values().map(|row| of(row)).collect::<Vec<i64>>();
        sqlx::query(
            "update readings_latest set time = newest.time, revision = newest.revision
            from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as newest (device, time, revision)
            where readings_latest.device = newest.device",
        )
        .bind(column(|row| row.device))
        .bind(column(|row| row.time.0))
        .bind(column(|row| row.revision.into()))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// The readings that were named, from memory where it has them.
    async fn read(&self, connection: &mut PgConnection, named: &[PgRow]) -> sqlx::Result<HashMap<i64, Arc<StoredRow>>> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.lock();
            for named in named {
                let device: i64 = named.try_get(0)?;
                let (Some(time), revision) = (named.try_get(1)?, named.try_get::<Option<i64>, _>(2)?) else { continue };
                let is_named =
                    |row: &&Arc<StoredRow>| row.time == UtcMs(time) && i64::from(row.revision) == revision.unwrap_or(0);
                match known.get(&device).filter(is_named) {
                    Some(row) => drop(found.insert(device, Arc::clone(row))),
                    None => missing.push(device),
                }
            }
        }
        if !missing.is_empty() {
            let sql = with_columns(
                "select found.* from readings_latest, lateral (select {COLUMNS} from readings
                    where device = readings_latest.device and time = readings_latest.time limit 1) as found
                where readings_latest.device = any($1)",
            );
            for row in sqlx::query(sql).bind(&missing).fetch_all(connection).await? {
                let row = Arc::new(read_row(&row)?);
                found.insert(row.device, Arc::clone(&row));
                self.stored(row);
            }
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<StoredRow>>> {
        self.devices.lock().expect("never poisoned: nothing panics inside")
    }
}
