//! The worker: takes jobs that are due, a few at a time, keeps their leases while they run, and writes
//! down how they ended. What runs at the end of the service is cut and given back.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use riverwatts_shared::time::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::JobError;
use crate::db::column::Object;
use crate::db::{Db, DbError};
use crate::store::jobs::{self, ATTEMPTS_MAX, Ending, Leased};

/// Jobs that run at once in one instance.
const RUNNING_MAX: usize = 2;
/// How long a job is a worker's without a sign of life: as long as it waits when its worker died.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often a worker makes the lease longer, which is also how soon it learns that another instance
/// cancelled the job.
const PROLONG_EVERY: Duration = Duration::from_secs(10);
/// How often it looks for jobs of other instances, and for those whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wait before the second attempt; it doubles from one to the next.
const DELAY: Duration = Duration::from_secs(30);
/// Longest wait.
const DELAY_MAX: Duration = Duration::from_secs(3_600);
/// How long giving a job back may take at the end of the service; else its lease runs out.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(5);
/// Longest reason that is kept, in characters.
const ERROR_CHARS_MAX: usize = 500;

/// Tells the worker of this process that jobs were put in or cancelled; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Bells>);

#[derive(Debug, Default)]
struct Bells {
    /// For the one who takes.
    taker: Notify,
    /// For those who keep a lease.
    keepers: Notify,
}

impl Waker {
    /// To be called after the commit.
    pub fn wake(&self) {
        self.0.taker.notify_one();
        self.0.keepers.notify_waiters();
    }
}

/// Runs jobs by `run` until `stop`; then what runs is cut and given back.
pub async fn keep_working<R, F>(db: &Db, clock: &Arc<dyn Clock>, waker: &Waker, run: R, stop: CancellationToken)
where
    R: Fn(Leased) -> F,
    F: Future<Output = Result<Object, JobError>> + Send + 'static,
{
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        match take(db, clock.as_ref(), RUNNING_MAX - running.len()).await {
            Ok(taken) => {
                for job in taken {
                    let attempt =
                        Attempt { db: db.clone(), clock: Arc::clone(clock), waker: waker.clone(), job: job.clone() };
                    running.spawn(attempt.attend(run(job), stop.clone()));
                }
            }
            Err(error) => tracing::error!(error = %JobError::from(error), "jobs cannot be taken"),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(_) = running.join_next() => {}
            () = waker.0.taker.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Jobs whose time has come. It looks before it writes: mostly there are none.
async fn take(db: &Db, clock: &dyn Clock, limit: usize) -> Result<Vec<Leased>, DbError> {
    let now = clock.wall();
    match jobs::next_at(db).await? {
        Some(at) if at <= now && limit > 0 => jobs::lease(db, now, now.plus_ms(LEASE.as_millis() as i64), limit).await,
        _ => Ok(Vec::new()),
    }
}

/// A job in hand.
struct Attempt {
    db: Db,
    clock: Arc<dyn Clock>,
    waker: Waker,
    job: Leased,
}

impl Attempt {
    /// Lets it run to its end, to that of its lease or of the service.
    async fn attend<F>(self, run: F, stop: CancellationToken)
    where
        F: Future<Output = Result<Object, JobError>>,
    {
        let Leased { id, kind, attempts, .. } = &self.job;
        let (kind, attempt) = (kind.0.word(), *attempts);
        let begun = Instant::now();
        let ended = tokio::select! {
            biased;
            ended = AssertUnwindSafe(run).catch_unwind() => ended,
            () = self.keep_lease() => {
                tracing::warn!(job.id = %id, kind, attempt, "a job is another's by now, or was cancelled");
                return count(kind, "lost", begun);
            }
            () = stop.cancelled() => {
                self.give_back().await;
                return count(kind, "cut", begun);
            }
        };
        let (ending, outcome) = self.ending(ended);
        let duration_ms = begun.elapsed().as_millis() as u64;
        match &ending {
            Ending::Done(_) => tracing::info!(job.id = %id, kind, attempt, duration_ms, "a job is done"),
            Ending::Again { error, run_at } => {
                tracing::warn!(job.id = %id, kind, attempt, duration_ms, error, %run_at, "a job runs again later");
            }
            Ending::Dead { error } => {
                tracing::error!(job.id = %id, kind, attempt, duration_ms, error, "a job is dead");
            }
        }
        match jobs::finish(&self.db, &self.job, &ending, self.clock.wall()).await {
            Ok(true) => count(kind, outcome, begun),
            Ok(false) => {
                tracing::warn!(job.id = %id, kind, attempt, "a job ended too late, it is another's by now");
                count(kind, "lost", begun);
            }
            // It runs once more when its lease is over.
            Err(error) => {
                tracing::error!(job.id = %id, kind, error = %JobError::from(error), "the end of a job is not kept")
            }
        }
    }

    /// Ends when the lease is lost.
    async fn keep_lease(&self) {
        let mut until = self.clock.wall().plus_ms(LEASE.as_millis() as i64);
        loop {
            tokio::select! {
                () = tokio::time::sleep(PROLONG_EVERY) => {}
                () = self.waker.0.keepers.notified() => {}
            }
            let next = self.clock.wall().plus_ms(LEASE.as_millis() as i64);
            match jobs::prolong(&self.db, &self.job, next).await {
                Ok(true) => until = next,
                Ok(false) => return,
                Err(_) if self.clock.wall() < until => {} // nobody else can have it yet
                Err(_) => return,
            }
        }
    }

    async fn give_back(&self) {
        let Leased { id, kind, .. } = &self.job;
        match tokio::time::timeout(GIVE_BACK_WITHIN, jobs::give_back(&self.db, &self.job)).await {
            Ok(Ok(_)) => tracing::info!(job.id = %id, kind = %kind.0, "a job was cut at the end"),
            _ => {
                tracing::warn!(job.id = %id, kind = %kind.0, "a job was cut at the end and waits for its lease to end")
            }
        }
    }

    fn ending(&self, ended: Result<Result<Object, JobError>, Box<dyn Any + Send>>) -> (Ending, &'static str) {
        let short = |error: String| error.chars().take(ERROR_CHARS_MAX).collect();
        match ended {
            Ok(Ok(result)) => (Ending::Done(result), "done"),
            Ok(Err(JobError::Hopeless(error))) => (Ending::Dead { error: short(error) }, "dead"),
            Ok(Err(JobError::Passing(error))) => self.again(short(error)),
            Err(_) => self.again("panicked; the log says where".to_owned()),
        }
    }

    fn again(&self, error: String) -> (Ending, &'static str) {
        if self.job.attempts >= ATTEMPTS_MAX {
            return (Ending::Dead { error }, "dead");
        }
        let delay = delay(self.job.attempts);
        (Ending::Again { error, run_at: self.clock.wall().plus_ms(delay.as_millis() as i64) }, "failed")
    }
}

/// How long to wait after so many attempts.
fn delay(attempts: i64) -> Duration {
    let doublings = (attempts - 1).clamp(0, 16) as u32;
    DELAY.saturating_mul(1 << doublings).min(DELAY_MAX)
}

fn count(kind: &'static str, outcome: &'static str, begun: Instant) {
    let duration = metrics::histogram!("riverwatts_jobs_duration_seconds", "kind" => kind, "outcome" => outcome);
    duration.record(begun.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_an_hour() {
        let delays: Vec<u64> = (1..=9).map(|attempts| delay(attempts).as_secs()).collect();
        assert_eq!(delays, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }
}
