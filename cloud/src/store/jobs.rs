//! The queue of jobs as rows: put in by the caller's transaction, leased to one worker at a time, ended
//! under the fence of that lease.

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::{JobKind, JobState};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::column::{At, Object, Word};
use crate::db::page::{Listed, Page};
use crate::db::{Db, DbError, Tx, on, read, transact};

/// How often a job is begun before it is dead.
pub const ATTEMPTS_MAX: i64 = 8;
/// How long a job that is done is kept: 7 days.
pub const DONE_KEPT_MS: i64 = 7 * 86_400_000;
/// How long a dead one is kept, for an admin to see: 30 days.
pub const DEAD_KEPT_MS: i64 = 30 * 86_400_000;

/// A job to be done.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What is to be done.
    pub kind: JobKind,
    /// With what.
    pub payload: Object,
    /// Of jobs with the same key one waits or runs at a time.
    pub key: Option<String>,
    /// Not before.
    pub run_at: UtcMs,
}

/// A job as it is seen.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct Job {
    pub id: Uuid,
    pub kind: Word<JobKind>,
    pub payload: Word<Object>,
    pub state: Word<JobState>,
    /// When it runs, or ran last.
    pub run_at: At,
    /// How often it was begun.
    pub attempts: i64,
    /// Why it did not go well the last time.
    pub last_error: Option<String>,
    /// What it came to.
    pub result: Option<Word<Object>>,
    pub created_at: At,
    pub finished_at: Option<At>,
}

/// A job that this worker has until the lease is over.
#[derive(Clone, Debug, FromRow)]
pub struct Leased {
    /// Which.
    pub id: Uuid,
    /// Which lease of it.
    pub fence: i64,
    /// What is to be done.
    pub kind: Word<JobKind>,
    /// With what.
    pub payload: Word<Object>,
    /// How often it was begun, this time included.
    pub attempts: i64,
}

/// How a lease ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The job is done and came to this.
    Done(Object),
    /// It did not go well and runs again.
    Again {
        /// Why.
        error: String,
        /// When.
        run_at: UtcMs,
    },
    /// It did not go well and does not run again.
    Dead {
        /// Why.
        error: String,
    },
}

/// Jobs of one kind in one state.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct Counted {
    pub kind: Word<JobKind>,
    pub state: Word<JobState>,
    pub count: i64,
}

/// Puts a job in, in the caller's transaction; `None` when one with its key waits or runs already.
pub async fn enqueue(tx: &mut Tx, new: &NewJob, now: UtcMs) -> Result<Option<Job>, DbError> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(
            "insert into jobs (id, kind, payload, key, run_at, created_at) values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing returning *",
        )
        .bind(Uuid::now_v7())
        .bind(Word(new.kind))
        .bind(Word(new.payload.clone()))
        .bind(&new.key)
        .bind(At(new.run_at))
        .bind(At(now))
        .fetch_optional(conn)
        .await
    })?)
}

/// Puts the job of a schedule in that was due at `due_at`, once for each of its times. A time that lies
/// later than `wrong_after` was noted by a clock that was wrong, and holds up nothing.
pub async fn enqueue_due(
    db: &Db,
    name: &str,
    due_at: UtcMs,
    wrong_after: UtcMs,
    new: &NewJob,
    now: UtcMs,
) -> Result<Option<Job>, DbError> {
    transact!(db, |tx| {
        let noted = on!(tx, |conn| {
            sqlx::query(
                "insert into schedules (name, due_at) values ($1, $2)
                on conflict (name) do update set due_at = excluded.due_at
                where schedules.due_at < excluded.due_at or schedules.due_at > $3",
            )
            .bind(name)
            .bind(At(due_at))
            .bind(At(wrong_after))
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?;
        if noted == 0 { Ok(None) } else { enqueue(tx, new, now).await }
    })
}

/// When the next job is to be taken: it waits until then, or its lease is over then.
pub async fn next_at(db: &Db) -> Result<Option<UtcMs>, DbError> {
    let at: Option<At> = read!(db, |conn| {
        sqlx::query_scalar(
            "select min(case state when 'running' then lease_until else run_at end) from jobs
            where state in ('waiting', 'running')",
        )
        .fetch_one(conn)
        .await
    })?;
    Ok(at.map(|At(at)| at))
}

/// Takes at most `limit` jobs that wait to run at `now`, or whose lease is over, until `until`. One that
/// was begun too often and never ended is dead.
pub async fn lease(db: &Db, now: UtcMs, until: UtcMs, limit: usize) -> Result<Vec<Leased>, DbError> {
    transact!(db, |tx| {
        on!(tx, |conn| {
            sqlx::query(
                "update jobs set state = 'dead', lease_until = null, finished_at = $1,
                last_error = 'whoever ran it ended without a word'
                where state = 'running' and lease_until <= $1 and attempts >= $2",
            )
            .bind(At(now))
            .bind(ATTEMPTS_MAX)
            .execute(conn)
            .await
            .map(|_| ())
        })?;
        Ok(on!(tx, |conn| {
            sqlx::query_as(
                "update jobs set state = 'running', lease_until = $1, fence = fence + 1, attempts = attempts + 1
                where id in (
                    select id from jobs
                    where (state = 'waiting' and run_at <= $2) or (state = 'running' and lease_until <= $2)
                    order by run_at, id limit $3
                ) returning id, fence, kind, payload, attempts",
            )
            .bind(At(until))
            .bind(At(now))
            .bind(limit as i64)
            .fetch_all(conn)
            .await
        })?)
    })
}

/// Makes a lease longer; `false` when it is another's by now.
pub async fn prolong(db: &Db, lease: &Leased, until: UtcMs) -> Result<bool, DbError> {
    transact!(db, |tx| {
        let prolonged = on!(tx, |conn| {
            sqlx::query("update jobs set lease_until = $1 where id = $2 and fence = $3 and state = 'running'")
                .bind(At(until))
                .bind(lease.id)
                .bind(lease.fence)
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
        })?;
        Ok(prolonged == 1)
    })
}

/// Gives a job back that was cut short, as if it had not been begun; `false` when it is another's.
pub async fn give_back(db: &Db, lease: &Leased) -> Result<bool, DbError> {
    transact!(db, |tx| {
        let given = on!(tx, |conn| {
            sqlx::query(
                "update jobs set state = 'waiting', lease_until = null, attempts = attempts - 1
                where id = $1 and fence = $2 and state = 'running'",
            )
            .bind(lease.id)
            .bind(lease.fence)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(given == 1)
    })
}

/// Ends a lease; `false`, and nothing changes, when the job is another's by now.
pub async fn finish(db: &Db, lease: &Leased, ending: &Ending, now: UtcMs) -> Result<bool, DbError> {
    let (state, run_at, error, result, finished_at) = match ending {
        Ending::Done(result) => (JobState::Done, None, None, Some(result), Some(now)),
        Ending::Again { error, run_at } => (JobState::Waiting, Some(*run_at), Some(error), None, None),
        Ending::Dead { error } => (JobState::Dead, None, Some(error), None, Some(now)),
    };
    transact!(db, |tx| {
        let finished = on!(tx, |conn| {
            sqlx::query(
                "update jobs set state = $1, run_at = coalesce($2, run_at), last_error = $3, result = $4,
                finished_at = $5, lease_until = null where id = $6 and fence = $7 and state = 'running'",
            )
            .bind(Word(state))
            .bind(run_at.map(At))
            .bind(error)
            .bind(result.cloned().map(Word))
            .bind(finished_at.map(At))
            .bind(lease.id)
            .bind(lease.fence)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?;
        Ok(finished == 1)
    })
}

/// A page of all jobs, or of those in a state, of a kind.
pub async fn list(
    db: &Db,
    state: Option<JobState>,
    kind: Option<JobKind>,
    page: &Page,
) -> Result<Listed<Job>, DbError> {
    // Nothing is like no word.
    let word = |word: Option<&'static str>| word.unwrap_or("%");
    let rows = read!(db, |conn| {
        sqlx::query_as::<_, Job>(page.sql("select * from jobs where state like $3 and kind like $4", "id"))
            .bind(page.start())
            .bind(page.fetch_limit())
            .bind(word(state.map(JobState::word)))
            .bind(word(kind.map(JobKind::word)))
            .fetch_all(conn)
            .await
    })?;
    Ok(page.cut(rows, |job| job.id))
}

/// The job.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<Job>, DbError> {
    Ok(read!(db, |conn| sqlx::query_as("select * from jobs where id = $1").bind(id).fetch_optional(conn).await)?)
}

/// Lets a dead job begin anew, and one that waits run now. Others are [`DbError::Refused`].
pub async fn retry(db: &Db, id: Uuid, now: UtcMs) -> Result<Option<Job>, DbError> {
    transact!(db, |tx| {
        let changed = on!(tx, |conn| {
            sqlx::query_as(
                "update jobs set state = 'waiting', run_at = $1, attempts = 0, finished_at = null
                where id = $2 and state in ('waiting', 'dead') returning *",
            )
            .bind(At(now))
            .bind(id)
            .fetch_optional(conn)
            .await
        })?;
        or_refused(tx, id, changed, "the job runs or is done").await
    })
}

/// Ends a job that waits or runs: it is dead, and whoever runs it learns that when it makes its lease
/// longer. Others are [`DbError::Refused`].
pub async fn cancel(db: &Db, id: Uuid, now: UtcMs) -> Result<Option<Job>, DbError> {
    transact!(db, |tx| {
        let changed = on!(tx, |conn| {
            sqlx::query_as(
                "update jobs set state = 'dead', lease_until = null, fence = fence + 1, finished_at = $1,
                last_error = 'cancelled' where id = $2 and state in ('waiting', 'running') returning *",
            )
            .bind(At(now))
            .bind(id)
            .fetch_optional(conn)
            .await
        })?;
        or_refused(tx, id, changed, "the job has ended").await
    })
}

/// A job that did not change is refused when it is there.
async fn or_refused(tx: &mut Tx, id: Uuid, changed: Option<Job>, reason: &'static str) -> Result<Option<Job>, DbError> {
    if changed.is_some() {
        return Ok(changed);
    }
    let found: Option<Uuid> = on!(tx, |conn| {
        sqlx::query_scalar("select id from jobs where id = $1").bind(id).fetch_optional(conn).await
    })?;
    if found.is_some() { Err(DbError::Refused(reason)) } else { Ok(None) }
}

/// How many jobs of each kind wait, run and are dead.
pub async fn count(db: &Db) -> Result<Vec<Counted>, DbError> {
    Ok(read!(db, |conn| {
        sqlx::query_as(
            "select kind, state, count(*) as count from jobs where state in ('waiting', 'running', 'dead')
            group by kind, state",
        )
        .fetch_all(conn)
        .await
    })?)
}

/// Takes at most `limit` jobs away that ended long ago; answers how many.
pub async fn prune(db: &Db, now: UtcMs, limit: i64) -> Result<u64, DbError> {
    transact!(db, |tx| {
        Ok(on!(tx, |conn| {
            sqlx::query(
                "delete from jobs where id in (
                    select id from jobs where (state = 'done' and finished_at < $1)
                    or (state = 'dead' and finished_at < $2) limit $3
                )",
            )
            .bind(At(now.plus_ms(-DONE_KEPT_MS)))
            .bind(At(now.plus_ms(-DEAD_KEPT_MS)))
            .bind(limit)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
        })?)
    })
}
