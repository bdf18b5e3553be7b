//! The file `series.db` and its writer: the ledger of batches, and the roll-ups. Waiting requests
//! share a transaction.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::queue::Jobs;
use super::super::{AnsweredBatch, Change, FORGOTTEN_MAX, REMEMBERED_MS, ReadingsError};
use super::month::{configure, make};
use super::rollups;

/// Requests after which a group is full.
const GROUP_MAX: usize = 256;
/// Stores whose highest sequence is remembered.
const STORES_MAX: usize = 16_384;
const LEDGER: &str = "
    -- Batches and their receipts, so that the same batch gets the same receipt.
    create table batches (
        store blob not null,
        sequence integer not null,
        hash blob not null,
        receipt blob not null,
        answered_at integer not null,
        primary key (store, sequence)
    ) without rowid, strict;
    create index batches_answered_at on batches (answered_at);";

const STORES: &str = "
    -- The highest sequence of each store that was ever answered, also once its batches are forgotten:
    -- a gateway that knows a higher one learns by it that this file is an older copy.
    create table stores (store blob not null primary key, sequence integer not null) without rowid, strict;
    insert into stores select store, max(sequence) from batches group by store;";

/// Version of the file.
const VERSION: i64 = 2;

type Answer<T> = oneshot::Sender<Result<T, ReadingsError>>;

/// What the writer is asked for.
pub enum Job {
    /// To put a batch into the ledger.
    Keep {
        /// The batch.
        batch: AnsweredBatch,
        /// Gets an answer after the commit.
        answer: Answer<()>,
    },
    /// To replace roll-ups.
    Replace {
        /// The new ones.
        changes: Vec<Change>,
        /// Gets an answer after the commit.
        answer: Answer<()>,
    },
    /// To answer.
    Ping {
        /// Gets the answer.
        answer: oneshot::Sender<()>,
    },
}

/// The highest sequence of each store that was answered: a higher one needs no look at the file.
#[derive(Debug, Default)]
pub struct Highest {
    stores: Mutex<HashMap<Uuid, Sequence>>,
}

#[derive(Debug, Default)]
struct Sequence {
    highest: u64,
    /// Whether the ledger was asked for it; else there may be higher ones.
    asked: bool,
}

impl Highest {
    /// The highest sequence of a store, when the ledger was asked for it.
    pub fn of(&self, store: Uuid) -> Option<u64> {
        self.lock().get(&store).filter(|sequence| sequence.asked).map(|sequence| sequence.highest)
    }

    /// Notes what stands in the ledger; `asked`: it is the highest there.
    pub fn note(&self, store: Uuid, sequence: u64, asked: bool) {
        let mut stores = self.lock();
        if stores.len() >= STORES_MAX && !stores.contains_key(&store) {
            stores.clear();
        }
        let known = stores.entry(store).or_default();
        known.highest = known.highest.max(sequence);
        known.asked |= asked;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Sequence>> {
        self.stores.lock().expect("never poisoned: nothing panics inside")
    }
}

/// Opens the file to write.
pub fn open(path: &Path) -> Result<Connection, ReadingsError> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    make(&connection, &format!("{LEDGER} {STORES} {} pragma user_version = {VERSION};", rollups::SCHEMA))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < VERSION {
        connection.execute_batch(&format!("begin immediate; {STORES} pragma user_version = {VERSION}; commit;"))?;
    }
    Ok(connection)
}

/// Works off the queue.
pub fn run(mut connection: Connection, highest: &Highest, jobs: &mut Jobs<Job>) {
    while let Some(group) = jobs.next_group(GROUP_MAX, |_| 1) {
        let mut wanted = Vec::new();
        let mut answers = Vec::new();
        for job in group {
            let (work, answer) = match job {
                Job::Keep { batch, answer } => (Wanted::Keep(batch), answer),
                Job::Replace { changes, answer } => (Wanted::Replace(changes), answer),
                Job::Ping { answer } => {
                    let _ = answer.send(()); // whoever asked may have gone
                    continue;
                }
            };
            wanted.push(work);
            answers.push(answer);
        }
        if wanted.is_empty() {
            continue;
        }
        let result = write(&mut connection, &wanted).map_err(ReadingsError::from);
        if result.is_ok() {
            for batch in wanted.iter().filter_map(Wanted::batch) {
                highest.note(batch.id.store, batch.id.sequence, false);
            }
        }
        for answer in answers {
            let _ = answer.send(result.clone()); // likewise
        }
    }
}

/// What a transaction does.
enum Wanted {
    Keep(AnsweredBatch),
    Replace(Vec<Change>),
}

impl Wanted {
    fn batch(&self) -> Option<&AnsweredBatch> {
        match self {
            Wanted::Keep(batch) => Some(batch),
            Wanted::Replace(_) => None,
        }
    }
}

fn write(connection: &mut Connection, group: &[Wanted]) -> rusqlite::Result<()> {
    // Marks of hours are taken away for good once their roll-ups stand here, so these must stay. A
    // receipt that a power cut takes back costs a repeat: the batch meets its own readings.
    let must_stay = group.iter().any(|wanted| wanted.batch().is_none());
    let synchronous = if must_stay { "full" } else { "normal" };
    connection.execute_batch(&format!("pragma synchronous = {synchronous};"))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut now = None;
    for wanted in group {
        match wanted {
            Wanted::Keep(batch) => {
                keep(&transaction, batch)?;
                now = now.max(Some(batch.at));
            }
            Wanted::Replace(changes) => {
                for change in changes {
                    rollups::replace(&transaction, change)?;
                }
            }
        }
    }
    if let Some(now) = now {
        forget(&transaction, now)?;
    }
    transaction.commit()
}

fn keep(connection: &Connection, batch: &AnsweredBatch) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "insert or ignore into batches (store, sequence, hash, receipt, answered_at) values (?, ?, ?, ?, ?)",
    )?;
    // SQLite's integers are signed; the bits are what counts.
    let sequence = batch.id.sequence as i64;
    insert.execute(params![batch.id.store.as_bytes(), sequence, batch.hash, batch.receipt, batch.at.0])?;
    let mut raise = connection.prepare_cached(
        "insert into stores (store, sequence) values (?1, ?2)
            on conflict (store) do update set sequence = max(sequence, excluded.sequence)",
    )?;
    let highest = i64::try_from(batch.id.sequence).unwrap_or(i64::MAX);
    raise.execute(params![batch.id.store.as_bytes(), highest])?;
    Ok(())
}

fn forget(connection: &Connection, now: UtcMs) -> rusqlite::Result<()> {
    let mut forget = connection.prepare_cached(
        "delete from batches where (store, sequence) in
            (select store, sequence from batches where answered_at < ?1 order by answered_at limit ?2)",
    )?;
    forget.execute(params![now.plus_ms(-REMEMBERED_MS).0, FORGOTTEN_MAX])?;
    Ok(())
}

/// The highest sequence of a store that was ever answered; 0 when there is none.
pub fn highest(connection: &Connection, store: Uuid) -> Result<u64, ReadingsError> {
    let mut select = connection.prepare_cached("select sequence from stores where store = ?1")?;
    let highest: Option<i64> = select.query_row([store.as_bytes()], |row| row.get(0)).optional()?;
    // Numbers beyond the signed ones: then the file is always asked.
    Ok(highest.map_or(0, |highest| if highest == i64::MAX { u64::MAX } else { highest.cast_unsigned() }))
}

/// What the ledger knows of a batch.
pub fn find_batch(connection: &Connection, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
    let mut find = connection
        .prepare_cached("select hash, receipt, answered_at from batches where store = ?1 and sequence = ?2")?;
    let found = find.query_row(params![id.store.as_bytes(), id.sequence as i64], |row| {
        Ok(AnsweredBatch { id, hash: row.get(0)?, receipt: row.get(1)?, at: UtcMs(row.get(2)?) })
    });
    Ok(found.optional()?)
}
