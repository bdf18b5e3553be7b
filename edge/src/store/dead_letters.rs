//! Readings that the cloud refused: a person looks at them and has them sent again, or gives them up.
//!
//! One that is sent again becomes a segment of the backlog whose `first_flush` is 0: the panel shows
//! the reading already, where it was first stored.

use std::collections::BTreeSet;

use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{GapReason, RejectCode};
use rusqlite::{Transaction, params};

use super::file::{Stamp, StoreFile};
use super::{DeadLetter, History, StoreError, gaps, packed};

/// Most dead letters; beyond, the oldest are given up, with gap rows.
pub(super) const DEAD_LETTERS_MAX: u64 = 10_000;
/// Readings no further apart than this are one segment, or one gap.
const APART_MS: i64 = 60_000;

/// Which dead letters: those that are all of what is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The one with this number.
    pub number: Option<i64>,
    /// Those with this word of the cloud.
    pub code: Option<RejectCode>,
    /// Those of the device with this key.
    pub device: Option<String>,
}

/// What becomes of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They wait in the backlog again.
    Resent,
    /// They are given up, with gap rows.
    Discarded,
}

/// A dead letter as it rests.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterRow {
    /// Its number, never used again.
    pub number: i64,
    /// Key of the device.
    pub device: String,
    /// The time of the reading.
    pub time: UtcMs,
    /// The cloud's word.
    pub code: String,
    /// The cloud's sentence.
    pub message: String,
    /// `None` when its bytes are not what was written.
    pub reading: Option<Reading>,
}

/// Dead letters of one device with one word of the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// The cloud's word.
    pub code: String,
    /// Key of the device.
    pub device: String,
    /// How many.
    pub count: u64,
    /// The time of the oldest reading.
    pub from: UtcMs,
    /// The time of the newest one.
    pub to: UtcMs,
    /// A sentence of the cloud about one of them.
    pub message: String,
}

/// The choice as a condition of SQL, with its parameters from `?1` to `?3`.
const CHOSEN: &str = "(?1 is null or number = ?1) and (?2 is null or code = ?2) \
     and (?3 is null or device = (select number from devices where key = ?3))";

/// A dead letter on its way out.
struct Letter {
    number: i64,
    device: i64,
    time_ms: i64,
    bytes: Vec<u8>,
}

/// Writes a dead letter in the place of an earlier one about the same reading. Gives by how many there
/// are more.
pub(super) fn bury(tx: &Transaction<'_>, device: i64, letter: &DeadLetter) -> rusqlite::Result<i64> {
    let DeadLetter { reading, code, message, .. } = letter;
    let earlier = tx
        .prepare_cached("delete from dead_letters where device = ?1 and time_ms = ?2")?
        .execute([device, reading.time.0])?;
    let bytes = packed::pack(&Segment::from_readings(std::slice::from_ref(reading)));
    tx.prepare_cached(
        "insert into dead_letters (device, time_ms, code, message, reading) values (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![device, reading.time.0, code.word(), message, bytes])?;
    Ok(1 - earlier as i64)
}

impl StoreFile {
    /// Ends the dead letters of this choice, all of them or none. Gives how many.
    pub(super) fn end_dead_letters(&mut self, fate: Fate, chosen: &Chosen) -> Result<u64, StoreError> {
        self.end_dead_letters_up_to(i64::MAX, fate, chosen)
    }

    /// Gives up the oldest dead letters beyond [`DEAD_LETTERS_MAX`].
    pub(super) fn limit_dead_letters(&mut self) -> Result<(), StoreError> {
        let Some(last) = self.dead_letters.checked_sub(DEAD_LETTERS_MAX + 1) else { return Ok(()) };
        let last = self.connection.query_row(
            "select number from dead_letters order by number limit 1 offset ?1",
            [last.cast_signed()],
            |row| row.get(0),
        )?;
        self.end_dead_letters_up_to(last, Fate::Discarded, &Chosen::default())?;
        Ok(())
    }

    fn end_dead_letters_up_to(&mut self, last: i64, fate: Fate, chosen: &Chosen) -> Result<u64, StoreError> {
        let tx = self.connection.transaction()?;
        let letters: Vec<Letter> = {
            let mut found = tx.prepare_cached(&format!(
                "select number, device, time_ms, reading from dead_letters \
                 where {CHOSEN} and number <= ?4 order by device, time_ms"
            ))?;
            let code = chosen.code.map(RejectCode::word);
            let rows = found.query_map(params![chosen.number, code, chosen.device, last], |row| {
                Ok(Letter { number: row.get(0)?, device: row.get(1)?, time_ms: row.get(2)?, bytes: row.get(3)? })
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let mut resent = 0;
        for run in letters.chunk_by(|one, next| one.device == next.device && next.time_ms - one.time_ms <= APART_MS) {
            match fate {
                Fate::Resent => resent += resend(&tx, run, self.next_flush - 1, &self.gaps_in_flight)?,
                Fate::Discarded => give_up(&tx, run, GapReason::DeadLetterDiscarded, &self.gaps_in_flight)?,
            }
        }
        for letter in &letters {
            tx.prepare_cached("delete from dead_letters where number = ?1")?.execute([letter.number])?;
        }
        tx.commit()?;
        let count = letters.len() as u64;
        self.dead_letters = self.dead_letters.saturating_sub(count);
        self.backlog += resent;
        Ok(count)
    }
}

/// Puts the readings of one device into the backlog; gives how many. `flush` is the newest one: what was
/// stored up to there is older than what comes.
fn resend(tx: &Transaction<'_>, run: &[Letter], flush: i64, in_flight: &BTreeSet<i64>) -> rusqlite::Result<u64> {
    let mut resent = 0;
    let mut joined: Option<Segment> = None;
    for letter in run {
        let Ok(segment) = packed::unpack(&letter.bytes) else {
            tracing::error!(number = letter.number, "a refused reading is broken and given up");
            give_up(tx, std::slice::from_ref(letter), GapReason::StoreDamaged, in_flight)?;
            continue;
        };
        let rest = match &mut joined {
            Some(before) => packed::join(before, segment),
            None => Some(segment),
        };
        if let Some(segment) = rest
            && let Some(full) = joined.replace(segment)
        {
            resent += wait_again(tx, letter.device, &full, flush)?;
        }
    }
    if let (Some(letter), Some(segment)) = (run.first(), joined) {
        resent += wait_again(tx, letter.device, &segment, flush)?;
    }
    Ok(resent)
}

fn wait_again(tx: &Transaction<'_>, device: i64, segment: &Segment, flush: i64) -> rusqlite::Result<u64> {
    let rows = segment.rows() as i64;
    tx.prepare_cached(
        "insert into segments (device, boot, first_flush, last_flush, from_ms, to_ms, rows, readings) \
         values (?1, null, 0, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![device, flush, segment.times.first(), segment.times.last(), rows, packed::pack(segment)])?;
    let number = tx.last_insert_rowid();
    tx.prepare_cached("insert into unsettled (segment, device, rows) values (?1, ?2, ?3)")?
        .execute([number, device, rows])?;
    Ok(rows.unsigned_abs())
}

fn give_up(tx: &Transaction<'_>, run: &[Letter], reason: GapReason, in_flight: &BTreeSet<i64>) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let span = (Stamp { boot: None, ms: first.time_ms }, Stamp { boot: None, ms: last.time_ms + 1 });
    gaps::write(tx, first.device, reason, span, Some(run.len() as u64), in_flight)
}

impl History {
    /// Dead letters of this choice, newest first, those before this number.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dead_letters(
        &self,
        chosen: &Chosen,
        before: Option<i64>,
        limit: usize,
    ) -> rusqlite::Result<Vec<DeadLetterRow>> {
        let connection = self.connect()?;
        let mut found = connection.prepare(&format!(
            "select number, (select key from devices where number = device), time_ms, code, message, reading \
             from dead_letters where {CHOSEN} and number < ?4 order by number desc limit ?5"
        ))?;
        let (code, before) = (chosen.code.map(RejectCode::word), before.unwrap_or(i64::MAX));
        let rows = found.query_map(params![chosen.number, code, chosen.device, before, limit as i64], |row| {
            let reading = packed::unpack(row.get_ref(5)?.as_blob()?).ok();
            Ok(DeadLetterRow {
                number: row.get(0)?,
                device: row.get(1)?,
                time: UtcMs(row.get(2)?),
                code: row.get(3)?,
                message: row.get(4)?,
                reading: reading.filter(|segment| segment.rows() > 0).map(|segment| segment.reading(0)),
            })
        })?;
        rows.collect()
    }

    /// All dead letters by device and word, the most first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dead_letter_groups(&self) -> rusqlite::Result<Vec<DeadLetterGroup>> {
        let connection = self.connect()?;
        let mut found = connection.prepare(
            "select code, key, count(*), min(time_ms), max(time_ms), max(message) from dead_letters \
             join devices on devices.number = device group by code, device order by count(*) desc, key, code",
        )?;
        let rows = found.query_map([], |row| {
            Ok(DeadLetterGroup {
                code: row.get(0)?,
                device: row.get(1)?,
                count: row.get::<_, i64>(2)?.unsigned_abs(),
                from: UtcMs(row.get(3)?),
                to: UtcMs(row.get(4)?),
                message: row.get(5)?,
            })
        })?;
        rows.collect()
    }
}
