//! Stored readings as columns and points again, for those who sum them up.

use riverwatts_shared::metric::{CANONICAL, Metric};
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::{ABSENT, Column, QualityRun, Segment};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::Quality;

use super::super::rows::{read_extra, read_flags};
use super::super::{ReadingsError, Side, StoredRow, failed};
use super::month::{COLUMNS, Ids, read_row};
use super::read::Readers;

/// Rows that are looked through for the nearest value of a metric.
const SCAN_ROWS_MAX: usize = 100_000;

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
            columns.times.push(ids.parts(row.get(0)?).1.0);
            for column in 0..CANONICAL {
                if let Some(value) = row.get_ref(1 + column)?.as_i64_or_null()? {
                    columns.push(Metric::canonical(column), value);
                }
            }
            if let Some(extra) = row.get_ref(CANONICAL + 1)?.as_blob_or_null()? {
                read_extra(extra, |metric, value| columns.push(metric, value)).map_err(failed)?;
            }
            if let Some(flags) = row.get_ref(CANONICAL + 2)?.as_blob_or_null()? {
                read_flags(flags, |metric, quality| columns.mark(metric, quality)).map_err(failed)?;
            }
        }
    }
    Ok(columns.finish())
}

/// Columns that grow row by row.
#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    /// Canonical metrics stand at their column's number, once they had a value.
    columns: Vec<Column>,
}

impl Columns {
    /// The value of a metric in the row whose time was pushed last.
    fn push(&mut self, metric: Metric, value: i64) {
        let row = self.times.len() - 1;
        let column = self.column(metric);
        column.values.resize(row, ABSENT);
        column.values.push(value);
    }

    fn mark(&mut self, metric: Metric, quality: Quality) {
        let row = self.times.len() as u32 - 1;
        let column = self.column(metric);
        match column.quality.last_mut() {
            Some(last) if last.to == row && last.quality == quality => last.to = row + 1,
            _ => column.quality.push(QualityRun { from: row, to: row + 1, quality }),
        }
    }

    fn column(&mut self, metric: Metric) -> &mut Column {
        let index = match self.columns.binary_search_by_key(&metric, |column| column.metric) {
            Ok(index) => index,
            Err(index) => {
                self.columns.insert(index, Column { metric, values: Vec::new(), quality: Vec::new() });
                index
            }
        };
        &mut self.columns[index]
    }

    fn finish(self) -> Segment {
        let Columns { times, mut columns } = self;
        for column in &mut columns {
            column.values.resize(times.len(), ABSENT);
        }
        Segment { times, columns, time_uncertainty_s: 0 }
    }
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
