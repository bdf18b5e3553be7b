//! The marks of hours whose roll-ups do not know yet what stands in the rows.

use std::collections::HashMap;

use riverwatts_shared::time::UtcMs;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::super::DirtyHour;
use crate::readings::rollups::HOUR_MS;

/// An hour (since 1970) of a device.
pub type DeviceHour = (i64, i64);

/// The database's clock: the only one that all instances have.
const NOW_MS: &str = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

/// Marks hours, which are in order, in the caller's transaction; answers the marks' versions.
pub async fn touch(connection: &mut PgConnection, hours: &[DeviceHour]) -> sqlx::Result<HashMap<DeviceHour, u64>> {
    if hours.is_empty() {
        return Ok(HashMap::new());
    }
    let (devices, hours): (Vec<i64>, Vec<i64>) = hours.iter().copied().unzip();
    let sql = format!(
        "insert into readings_dirty (device, hour, version, touched_at)
        select device, hour, nextval('readings_dirty_version'), {NOW_MS}
        from unnest($1::bigint[], $2::bigint[]) as touched (device, hour)
        on conflict (device, hour) do update set version = excluded.version, touched_at = excluded.touched_at
        returning device, hour, version"
    );
    let mut versions = HashMap::new();
    for row in sqlx::query(sqlx::AssertSqlSafe(sql)).bind(devices).bind(hours).fetch_all(connection).await? {
        versions.insert((row.try_get(0)?, row.try_get(1)?), row.try_get::<i64, _>(2)? as u64);
    }
    Ok(versions)
}

/// The marks of a device.
pub async fn of_device(connection: &mut PgConnection, device: i64) -> sqlx::Result<Vec<DirtyHour>> {
    let sql = format!("select device, hour, version, {NOW_MS} - touched_at from readings_dirty where device = $1");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(device).fetch_all(connection).await?;
    rows.iter().map(read_hour).collect()
}

/// The first marks, by device and hour, of hours that are over at `now` and untouched for so long.
pub async fn due(
    connection: &mut PgConnection,
    now: UtcMs,
    untouched_ms: u64,
    limit: usize,
) -> sqlx::Result<Vec<DirtyHour>> {
    let sql = format!(
        "select device, hour, version, {NOW_MS} - touched_at from readings_dirty
        where hour < $1 and touched_at <= {NOW_MS} - $2 order by device, hour limit $3"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.0.div_euclid(HOUR_MS));
    let rows = query.bind(untouched_ms as i64).bind(limit as i64).fetch_all(connection).await?;
    rows.iter().map(read_hour).collect()
}

/// How many marked hours are over at `now`.
pub async fn waiting(connection: &mut PgConnection, now: UtcMs) -> sqlx::Result<usize> {
    let query = sqlx::query_scalar::<_, i64>("select count(*) from readings_dirty where hour < $1");
    Ok(query.bind(now.0.div_euclid(HOUR_MS)).fetch_one(connection).await? as usize)
}

/// Those of `hours` whose marks are as they were.
pub async fn untouched(connection: &mut PgConnection, hours: &[DirtyHour]) -> sqlx::Result<Vec<DirtyHour>> {
    let (devices, numbers, versions) = columns(hours);
    let rows = sqlx::query(
        "select version from readings_dirty
        join unnest($1::bigint[], $2::bigint[], $3::bigint[]) as wanted (device, hour, version)
            using (device, hour, version)",
    )
    .bind(devices)
    .bind(numbers)
    .bind(versions)
    .fetch_all(connection)
    .await?;
    let found = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<i64>>>()?;
    Ok(hours.iter().filter(|hour| found.contains(&(hour.version as i64))).copied().collect())
}

/// Takes marks away that are as they were, in the caller's transaction.
pub async fn clean(connection: &mut PgConnection, done: &[DirtyHour]) -> sqlx::Result<()> {
    let (devices, hours, versions) = columns(done);
    // Held in order, as writers do: who holds several in another order could wait for each other.
    sqlx::query(
        "with gone as (
            select device, hour from readings_dirty
            join unnest($1::bigint[], $2::bigint[], $3::bigint[]) as done (device, hour, version)
                using (device, hour, version)
            order by device, hour for update of readings_dirty
        )
        delete from readings_dirty using gone
        where readings_dirty.device = gone.device and readings_dirty.hour = gone.hour",
    )
    .bind(devices)
    .bind(hours)
    .bind(versions)
    .execute(connection)
    .await?;
    Ok(())
}

fn columns(hours: &[DirtyHour]) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let column = |of: fn(&DirtyHour) -> i64| hours.iter().map(of).collect();
    (column(|hour| hour.device), column(|hour| hour.hour), column(|hour| hour.version as i64))
}

fn read_hour(row: &PgRow) -> sqlx::Result<DirtyHour> {
    Ok(DirtyHour {
        device: row.try_get(0)?,
        hour: row.try_get(1)?,
        version: row.try_get::<i64, _>(2)? as u64,
        untouched_ms: row.try_get::<i64, _>(3)?.max(0) as u64,
    })
}
