//! Stored readings as columns and points again, for those who sum them up.

use riverwatts_shared::metric::{CANONICAL, Metric};
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;

use super::super::columns::Columns;
use super::super::{ReadingsError, SCAN_ROWS_MAX, Side, StoredRow, failed};
use super::month::{COLUMNS, Ids, read_row};
use super::read::Readers;

/// The device's readings in `[from, to)`.
pub fn segment(readers: &Readers, device: i64, from: UtcMs, to: UtcMs) -> Result<Segment, ReadingsError> {
    let mut columns = Columns::default();
    for month in readers.months(from, to) {
        let ids = Ids::of(month);
        let Some((first, last)) = ids.within(device, from, to) else { continue };
        let connection = readers.month(month)?;
        let mut select = connection
            .prepare_cached(&format!("select {COLUMNS} from readings where id between ?1 and ?2 order by id"))?;
        let mut rows = select.query([first, last])?;
        while let Some(row) = rows.next()? {
            columns.begin(ids.parts(row.get(0)?).1);
            for column in 0..CANONICAL {
                if let Some(value) = row.get_ref(1 + column)?.as_i64_or_null()? {
                    columns.push(Metric::canonical(column), value);
                }
            }
            if let Some(extra) = row.get_ref(CANONICAL + 1)?.as_blob_or_null()? {
                columns.push_extra(extra).map_err(failed)?;
            }
            if let Some(flags) = row.get_ref(CANONICAL + 2)?.as_blob_or_null()? {
                columns.push_flags(flags).map_err(failed)?;
            }
        }
    }
    Ok(columns.finish())
}

/// The value of `metric` nearest to `time` on one side that may be summed; `time` itself is on neither.
pub fn nearest(
    readers: &Readers,
    device: i64,
    metric: Metric,
    time: UtcMs,
    side: Side,
) -> Result<Option<Point>, ReadingsError> {
    let mut scanned = 0;
    let mut found = None;
    scan(readers, device, time, side, |row| {
        found = row.summed(metric).map(|value| Point { time: row.time, value });
        scanned += 1;
        found.is_none() && scanned < SCAN_ROWS_MAX
    })?;
    Ok(found)
}

/// The reading nearest to `time` on one side; `time` itself is on neither.
pub fn beside(readers: &Readers, device: i64, time: UtcMs, side: Side) -> Result<Option<StoredRow>, ReadingsError> {
    let mut found = None;
    scan(readers, device, time, side, |row| {
        found = Some(row);
        false
    })?;
    Ok(found)
}

/// Gives the device's readings on one side of `time` to `take`, the nearest first, while it wants more.
fn scan(
    readers: &Readers,
    device: i64,
    time: UtcMs,
    side: Side,
    mut take: impl FnMut(StoredRow) -> bool,
) -> Result<(), ReadingsError> {
    let (from, to, order) = match side {
        Side::Before => (UtcMs(i64::MIN), time, "desc"),
        Side::After => (time.plus_ms(1), UtcMs(i64::MAX), "asc"),
    };
    let mut months = readers.months(from, to);
    if side == Side::Before {
        months.reverse();
    }
    for month in months {
        let ids = Ids::of(month);
        let Some((first, last)) = ids.within(device, from, to) else { continue };
        let connection = readers.month(month)?;
        let mut select = connection.prepare_cached(&format!(
            "select {COLUMNS} from readings where id between ?1 and ?2 order by id {order}"
        ))?;
        let mut rows = select.query([first, last])?;
        while let Some(row) = rows.next()? {
            if !take(read_row(row, ids)?) {
                return Ok(());
            }
        }
    }
    Ok(())
}
