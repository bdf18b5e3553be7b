//! A page of readings of many devices in one order: month by month, the devices of each merged.

use std::collections::VecDeque;

use riverwatts_shared::time::UtcMs;
use rusqlite::Connection;

use super::super::{ListQuery, ReadingsError, StoredRow};
use super::month::{COLUMNS, Ids, read_row};
use super::read::Readers;

/// Rows read ahead of one device, at least.
const AHEAD_MIN: usize = 4;

/// The readings that `query` asks for.
pub fn list(readers: &Readers, query: &ListQuery) -> Result<Vec<StoredRow>, ReadingsError> {
    let mut found = Vec::new();
    let mut months = readers.months(query.from, query.to);
    if query.descending {
        months.reverse();
    }
    for month in months {
        if found.len() == query.limit {
            break;
        }
        let connection = readers.month(month)?;
        let mut merge = Merge::new(&connection, Ids::of(month), query);
        while found.len() < query.limit {
            match merge.next()? {
                Some(row) => found.push(row),
                None => break,
            }
        }
    }
    Ok(found)
}

/// The rows of one month.
struct Merge<'c> {
    connection: &'c Connection,
    ids: Ids,
    descending: bool,
    ahead: usize,
    sources: Vec<Source>,
}

/// The rows of one device in it: those read ahead, and the ids of those still to read.
struct Source {
    ahead: VecDeque<StoredRow>,
    rest: Option<(i64, i64)>,
}

impl<'c> Merge<'c> {
    fn new(connection: &'c Connection, ids: Ids, query: &ListQuery) -> Merge<'c> {
        let source = |&device: &i64| {
            let (from, to) = query.span_of(device);
            Source { ahead: VecDeque::new(), rest: ids.within(device, from, to) }
        };
        let sources: Vec<Source> = query.devices.iter().map(source).filter(|source| source.rest.is_some()).collect();
        let share = query.limit * 2 / sources.len().max(1);
        let ahead = share.clamp(AHEAD_MIN, query.limit.max(AHEAD_MIN));
        Merge { connection, ids, descending: query.descending, ahead, sources }
    }

    fn next(&mut self) -> Result<Option<StoredRow>, ReadingsError> {
        let mut best: Option<(usize, (UtcMs, i64))> = None;
        for index in 0..self.sources.len() {
            self.fill(index)?;
            let Some(row) = self.sources[index].ahead.front() else { continue };
            let key = (row.time, row.device);
            if best.is_none_or(|(_, first)| if self.descending { key > first } else { key < first }) {
                best = Some((index, key));
            }
        }
        Ok(best.and_then(|(index, _)| self.sources[index].ahead.pop_front()))
    }

    /// Reads on when nothing is left of what was read ahead.
    fn fill(&mut self, index: usize) -> Result<(), ReadingsError> {
        let source = &mut self.sources[index];
        let (Some((first, last)), true) = (source.rest, source.ahead.is_empty()) else { return Ok(()) };
        let order = if self.descending { "desc" } else { "asc" };
        let mut statement = self.connection.prepare_cached(&format!(
            "select {COLUMNS} from readings where id between ?1 and ?2 order by id {order} limit ?3"
        ))?;
        let mut rows = statement.query((first, last, self.ahead as i64))?;
        let mut at = None;
        while let Some(row) = rows.next()? {
            at = Some(row.get::<_, i64>(0)?);
            source.ahead.push_back(read_row(row, self.ids)?);
        }
        source.rest = match at {
            Some(at) if source.ahead.len() == self.ahead && self.descending => Some((first, at - 1)),
            Some(at) if source.ahead.len() == self.ahead => Some((at + 1, last)),
            _ => None,
        };
        Ok(())
    }
}
