//! The file `series.db` and its writer: the ledger of batches, and the roll-ups. Waiting requests
//! share a transaction.

use std::path::Path;

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::super::{AnsweredBatch, Change, ReadingsError};
use super::month::{configure, make};
use super::queue::Jobs;
use super::rollups;

/// Requests after which a group is full.
const GROUP_MAX: usize = 256;
/// How long a batch is remembered after its answer: 45 days. A gateway that sends it again later
/// finds its readings as duplicates.
const REMEMBERED_MS: i64 = 45 * 86_400_000;
/// Most batches that are forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 1_000;

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
        change: Change,
        /// Gets an answer after the commit.
        answer: Answer<()>,
    },
    /// To answer.
    Ping {
        /// Gets the answer.
        answer: oneshot::Sender<()>,
    },
}

/// Opens the file to write.
pub fn open(path: &Path) -> Result<Connection, ReadingsError> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    make(&connection, &format!("{LEDGER} {} pragma user_version = 1;", rollups::SCHEMA))?;
    Ok(connection)
}

/// Works off the queue.
pub fn run(mut connection: Connection, jobs: &mut Jobs<Job>) {
    while let Some(group) = jobs.next_group(GROUP_MAX, |_| 1) {
        let mut wanted = Vec::new();
        let mut answers = Vec::new();
        for job in group {
            let (work, answer) = match job {
                Job::Keep { batch, answer } => (Wanted::Keep(batch), answer),
                Job::Replace { change, answer } => (Wanted::Replace(change), answer),
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
        for answer in answers {
            let _ = answer.send(result.clone()); // likewise
        }
    }
}

/// What a transaction does.
enum Wanted {
    Keep(AnsweredBatch),
    Replace(Change),
}

fn write(connection: &mut Connection, group: &[Wanted]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut now = None;
    for wanted in group {
        match wanted {
            Wanted::Keep(batch) => {
                keep(&transaction, batch)?;
                now = now.max(Some(batch.at));
            }
            Wanted::Replace(change) => rollups::replace(&transaction, change)?,
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

/// What the ledger knows of a batch.
pub fn find_batch(connection: &Connection, id: BatchId) -> Result<Option<AnsweredBatch>, ReadingsError> {
    let mut find = connection
        .prepare_cached("select hash, receipt, answered_at from batches where store = ?1 and sequence = ?2")?;
    let found = find.query_row(params![id.store.as_bytes(), id.sequence as i64], |row| {
        Ok(AnsweredBatch { id, hash: row.get(0)?, receipt: row.get(1)?, at: UtcMs(row.get(2)?) })
    });
    Ok(found.optional()?)
}
