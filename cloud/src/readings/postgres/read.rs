//! Readings out of their table.

use std::collections::VecDeque;

use futures_util::TryStreamExt as _;
use riverwatts_shared::metric::{CANONICAL, Metric};
use riverwatts_shared::rollup::Point;
use riverwatts_shared::segment::{ABSENT, Segment};
use riverwatts_shared::time::UtcMs;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::super::columns::Columns;
use super::super::{ListQuery, ReadingsError, SCAN_ROWS_MAX, Side, StoredRow, failed};

/// The columns of a row, as [`read_row`] takes them.
pub const COLUMNS: &str = "device, time, power_output_kw, voltage_v, current_a, frequency_hz, efficiency_percent, \
     temperature_c, vibration_level, water_flow_rate, battery_level_percent, received_at, revision, extra, flags";
/// Where the canonical metrics begin in it.
const FIRST: usize = 2;
/// Rows read ahead of one device, at least.
const AHEAD_MIN: i64 = 4;
/// Rows that are looked at first for the nearest value of a metric; each time it is missed, four times more.
const SCAN_ROWS_MIN: usize = 16;

/// Reads a row of [`COLUMNS`].
pub fn read_row(row: &PgRow) -> sqlx::Result<StoredRow> {
    let mut canonical = [ABSENT; CANONICAL];
    for (column, value) in canonical.iter_mut().enumerate() {
        *value = row.try_get::<Option<i64>, _>(FIRST + column)?.unwrap_or(ABSENT);
    }
    let bytes = |index: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<Vec<u8>>, _>(index)?.unwrap_or_default());
    Ok(StoredRow {
        device: row.try_get(0)?,
        time: UtcMs(row.try_get(1)?),
        canonical,
        received_at: UtcMs(row.try_get(FIRST + CANONICAL)?),
        revision: row.try_get::<Option<i64>, _>(FIRST + CANONICAL + 1)?.unwrap_or(0) as u32,
        extra: bytes(FIRST + CANONICAL + 2)?,
        flags: bytes(FIRST + CANONICAL + 3)?,
    })
}

/// A statement with the columns of a row in it.
pub fn with_columns(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.replace("{COLUMNS}", COLUMNS))
}

/// The device's readings in `[from, to)`.
pub async fn segment(
    connection: &mut PgConnection,
    device: i64,
    from: UtcMs,
    to: UtcMs,
) -> Result<Segment, ReadingsError> {
    let sql =
        with_columns("select {COLUMNS} from readings where device = $1 and time >= $2 and time < $3 order by time");
    let mut rows = sqlx::query(sql).bind(device).bind(from.0).bind(to.0).fetch(connection);
    let mut columns = Columns::default();
    while let Some(row) = rows.try_next().await? {
        columns.begin(UtcMs(row.try_get(1)?));
        for column in 0..CANONICAL {
            if let Some(value) = row.try_get(FIRST + column)? {
                columns.push(Metric::canonical(column), value);
            }
        }
        if let Some(extra) = row.try_get(FIRST + CANONICAL + 2)? {
            columns.push_extra(extra).map_err(failed)?;
        }
        if let Some(flags) = row.try_get(FIRST + CANONICAL + 3)? {
            columns.push_flags(flags).map_err(failed)?;
        }
    }
    Ok(columns.finish())
}

/// What stands around `[first, last]` of a device: the nearest reading before, the first from `first` on,
/// the nearest behind.
pub async fn around(
    connection: &mut PgConnection,
    device: i64,
    first: i64,
    last: i64,
) -> sqlx::Result<[Option<StoredRow>; 3]> {
    let sql = with_columns(
        "(select {COLUMNS}, 0 from readings where device = $1 and time < $2 order by time desc limit 1)
        union all (select {COLUMNS}, 1 from readings where device = $1 and time >= $2 order by time limit 1)
        union all (select {COLUMNS}, 2 from readings where device = $1 and time > $3 order by time limit 1)",
    );
    let mut found = [None, None, None];
    for row in sqlx::query(sql).bind(device).bind(first).bind(last).fetch_all(connection).await? {
        let place: i32 = row.try_get(FIRST + CANONICAL + 4)?;
        found[place as usize] = Some(read_row(&row)?);
    }
    Ok(found)
}

/// The value of `metric` nearest to `time` on one side that may be summed; `time` itself is on neither.
pub async fn nearest(
    connection: &mut PgConnection,
    device: i64,
    metric: Metric,
    time: UtcMs,
    side: Side,
) -> sqlx::Result<Option<Point>> {
    let sql = match side {
        Side::Before => "select {COLUMNS} from readings where device = $1 and time < $2 order by time desc limit $3",
        Side::After => "select {COLUMNS} from readings where device = $1 and time > $2 order by time limit $3",
    };
    let (mut from, mut limit, mut scanned) = (time.0, SCAN_ROWS_MIN, 0);
    while scanned < SCAN_ROWS_MAX {
        let mut rows =
            sqlx::query(with_columns(sql)).bind(device).bind(from).bind(limit as i64).fetch(&mut *connection);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            let row = read_row(&row)?;
            if let Some(value) = row.summed(metric) {
                return Ok(Some(Point { time: row.time, value }));
            }
            from = row.time.0;
            count += 1;
        }
        if count < limit {
            return Ok(None);
        }
        scanned += count;
        limit = (limit * 4).min(SCAN_ROWS_MAX / 8);
    }
    Ok(None)
}

/// The readings that `query` asks for: those of its devices merged, some of each read ahead.
pub async fn list(connection: &mut PgConnection, query: &ListQuery) -> sqlx::Result<Vec<StoredRow>> {
    let source = |&device: &i64| {
        let (from, to) = query.span_of(device);
        Source { device, ahead: VecDeque::new(), rest: (from < to).then_some((from.0, to.0)) }
    };
    let mut sources: Vec<Source> = query.devices.iter().map(source).collect();
    let most = (query.limit as i64).max(AHEAD_MIN);
    let mut ahead = (most * 2 / sources.len().max(1) as i64).clamp(AHEAD_MIN, most);
    let mut found = Vec::new();
    while found.len() < query.limit {
        if sources.iter().any(Source::is_wanting) {
            read_ahead(connection, &mut sources, query.descending, ahead).await?;
            ahead = (ahead * 2).min(most);
        }
        let key = |source: &Source| source.ahead.front().map(|row| (row.time, row.device));
        let with_rows = sources.iter_mut().filter(|source| !source.ahead.is_empty());
        let next = if query.descending {
            with_rows.max_by_key(|source| key(source))
        } else {
            with_rows.min_by_key(|source| key(source))
        };
        let Some(row) = next.and_then(|source| source.ahead.pop_front()) else { break };
        found.push(row);
    }
    Ok(found)
}

/// The rows of one device: those read ahead, and the times `[from, to)` of those still to read.
struct Source {
    device: i64,
    ahead: VecDeque<StoredRow>,
    rest: Option<(i64, i64)>,
}

impl Source {
    fn is_wanting(&self) -> bool {
        self.rest.is_some() && self.ahead.is_empty()
    }
}

/// Reads on where nothing is left of what was read ahead.
async fn read_ahead(
    connection: &mut PgConnection,
    sources: &mut [Source],
    descending: bool,
    ahead: i64,
) -> sqlx::Result<()> {
    let (mut devices, mut froms, mut tos) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources.iter().filter(|source| source.is_wanting()) {
        let (from, to) = source.rest.unwrap_or_default();
        devices.push(source.device);
        froms.push(from);
        tos.push(to);
    }
    let sql = "select found.* from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as source (number, first, until),
        lateral (select {COLUMNS} from readings where device = source.number and time >= first and time < until
            order by time {order} limit $4) as found";
    let sql = with_columns(&sql.replace("{order}", if descending { "desc" } else { "asc" }));
    let rows = sqlx::query(sql).bind(&devices).bind(&froms).bind(&tos).bind(ahead).fetch_all(connection).await?;
    let mut rows = rows.iter().map(read_row).peekable();
    for source in sources.iter_mut().filter(|source| source.is_wanting()) {
        while let Some(row) = rows.next_if(|row| row.as_ref().map_or(true, |row| row.device == source.device)) {
            source.ahead.push_back(row?);
        }
        source.rest = match (source.rest, source.ahead.back()) {
            (Some((from, _)), Some(last)) if source.ahead.len() as i64 == ahead && descending => {
                Some((from, last.time.0))
            }
            (Some((_, to)), Some(last)) if source.ahead.len() as i64 == ahead => Some((last.time.0 + 1, to)),
            _ => None,
        };
    }
    Ok(())
}
