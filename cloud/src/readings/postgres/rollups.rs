//! Roll-ups in their table.

use std::collections::HashMap;

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Resolution;
use sqlx::{PgConnection, Row as _};

use super::super::rollups::{Change, Window};
use super::super::{ReadingsError, failed};
use super::copy::Copy;

/// Replaces roll-ups, in the caller's transaction.
pub async fn replace(connection: &mut PgConnection, changes: &[Change]) -> sqlx::Result<()> {
    let (mut devices, mut resolutions, mut froms, mut tos) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        for (resolution, from, to) in &change.replaced {
            devices.push(change.device);
            resolutions.push(number(*resolution));
            froms.push(from.0);
            tos.push(to.0);
        }
    }
    if !devices.is_empty() {
        sqlx::query(
            "delete from rollups using unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[])
                as gone (device, resolution, first, until)
            where rollups.device = gone.device and rollups.resolution = gone.resolution
                and rollups.start >= gone.first and rollups.start < gone.until",
        )
        .bind(devices)
        .bind(resolutions)
        .bind(froms)
        .bind(tos)
        .execute(&mut *connection)
        .await?;
    }
    insert(connection, changes).await?;
    for change in changes {
        if let Some(zone) = &change.day_zone {
            sqlx::query(
                "insert into rollup_day_zones (device, zone) values ($1, $2)
                on conflict (device) do update set zone = excluded.zone",
            )
            .bind(change.device)
            .bind(zone)
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, changes: &[Change]) -> sqlx::Result<()> {
    if changes.iter().all(|change| change.windows.is_empty()) {
        return Ok(());
    }
    let columns = "rollups (device, resolution, start, energy_wh, covered_ms, metrics)";
    let mut copy = Copy::begin(connection, columns).await?;
    for change in changes {
        for (resolution, window) in &change.windows {
            let fields = copy.row().await?;
            fields.begin(6);
            fields.bigint(change.device);
            fields.smallint(number(*resolution));
            fields.bigint(window.start.0);
            match window.energy_wh() {
                Some(energy_wh) => fields.bigint(energy_wh),
                None => fields.null(),
            }
            fields.bigint(window.covered_ms());
            fields.bytes(&window.pack());
        }
    }
    copy.finish().await
}

/// The windows of a device that begin in `[from, to)`, oldest first.
pub async fn windows(
    connection: &mut PgConnection,
    device: i64,
    resolution: Resolution,
    from: UtcMs,
    to: UtcMs,
) -> Result<Vec<Window>, ReadingsError> {
    let query = sqlx::query(
        "select start, metrics from rollups where device = $1 and resolution = $2 and start >= $3 and start < $4
        order by start",
    );
    let rows = query.bind(device).bind(number(resolution)).bind(from.0).bind(to.0).fetch_all(connection).await?;
    let window = |row: &sqlx::postgres::PgRow| Window::unpack(UtcMs(row.try_get(0)?), row.try_get(1)?).map_err(failed);
    rows.iter().map(window).collect()
}

/// When the first and the last window of a resolution begin.
pub async fn span(
    connection: &mut PgConnection,
    device: i64,
    resolution: Resolution,
) -> sqlx::Result<Option<(UtcMs, UtcMs)>> {
    let query = sqlx::query("select min(start), max(start) from rollups where device = $1 and resolution = $2");
    let row = query.bind(device).bind(number(resolution)).fetch_one(connection).await?;
    let (first, last): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(first.zip(last).map(|(first, last)| (UtcMs(first), UtcMs(last))))
}

/// The zone whose days the stored days are, of one device or of all.
pub async fn day_zones(connection: &mut PgConnection, device: Option<i64>) -> sqlx::Result<HashMap<i64, String>> {
    let query = sqlx::query_as("select device, zone from rollup_day_zones where $1 is null or device = $1");
    Ok(query.bind(device).fetch_all(connection).await?.into_iter().collect())
}

fn number(resolution: Resolution) -> i16 {
    resolution.number().into()
}
