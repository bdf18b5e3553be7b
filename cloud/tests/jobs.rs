//! What the queue of jobs promises, held to on SQLite and on PostgreSQL alike. The clock stands still
//! unless a test moves it.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[macro_use]
#[path = "support/contracts.rs"]
mod contracts;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/site.rs"]
mod site;

use std::collections::HashSet;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::time;
use jiff::tz::TimeZone;
use riverwatts_cloud::db::column::Object;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::db::page::Page;
use riverwatts_cloud::db::{Db, DbError, transact};
use riverwatts_cloud::jobs::rollup_repair::RollupRepair;
use riverwatts_cloud::jobs::schedule::{Daily, Scheduled, make_due};
use riverwatts_cloud::jobs::{JobError, LEASE, Means, Waker, keep_jobs, keep_working};
use riverwatts_cloud::readings::{Change, Readings, Rows};
use riverwatts_cloud::rollup::keep_rolling_up;
use riverwatts_cloud::store::idempotency::{self, Begun};
use riverwatts_cloud::store::jobs::{self, ATTEMPTS_MAX, DEAD_KEPT_MS, DONE_KEPT_MS, Ending, Job, Leased, NewJob};
use riverwatts_cloud::store::users::{self, NewUser};
use riverwatts_cloud::store::{devices, gateways, sessions, sites};
use riverwatts_shared::batch::Announcement;
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, ManualClock, UtcMs};
use riverwatts_shared::words::{JobKind, JobState, Resolution, UserRole};
use serde_json::json;
use site::{NOW, gateway, new_site};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

contracts! {
    a_job_is_put_in_with_its_transaction_or_not_at_all,
    one_job_of_a_key_waits_or_runs_at_a_time,
    two_workers_never_run_one_job_at_once,
    a_lease_that_is_made_longer_is_nobody_elses,
    a_worker_that_died_loses_its_job_and_its_late_end_is_refused,
    a_job_that_fails_waits_longer_each_time_and_is_dead_at_last,
    a_job_that_ends_its_worker_each_time_is_dead_at_last,
    what_can_never_go_well_is_dead_at_once,
    what_runs_at_the_end_of_the_service_is_given_back,
    a_cancelled_job_is_cut_and_stays_dead_until_somebody_wants_it,
    pages_of_jobs_are_of_a_state_and_of_a_kind,
    a_schedule_makes_one_job_for_each_of_its_times_whoever_looks,
    housekeeping_takes_away_what_ended_and_nothing_else,
    a_repair_computes_windows_anew_and_tells_how_many_were_wrong,
}

const LEASE_MS: i64 = LEASE.as_millis() as i64;

fn new_job(key: Option<&str>) -> NewJob {
    let key = key.map(str::to_owned);
    NewJob { kind: JobKind::Housekeeping, payload: Object::default(), key, run_at: NOW }
}

async fn put(db: &Db, new: NewJob) -> Option<Job> {
    transact!(db, |tx| { jobs::enqueue(tx, &new, NOW).await }).unwrap()
}

async fn put_one(db: &Db) -> Job {
    put(db, new_job(None)).await.unwrap()
}

async fn lease(db: &Db, at: UtcMs) -> Vec<Leased> {
    jobs::lease(db, at, at.plus_ms(LEASE_MS), 10).await.unwrap()
}

async fn find(db: &Db, id: Uuid) -> Job {
    jobs::find(db, id).await.unwrap().unwrap()
}

async fn in_state(db: &Db, state: JobState) -> Vec<Job> {
    let page = Page { after: None, descending: false, limit: 1_000 };
    jobs::list(db, Some(state), None, &page).await.unwrap().rows
}

fn result(of: serde_json::Value) -> Object {
    Object(of.as_object().unwrap().clone())
}

/// Waits for a job to be in a state.
async fn until(db: &Db, id: Uuid, state: JobState, attempts: i64) -> Job {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let job = find(db, id).await;
        if (job.state.0, job.attempts) == (state, attempts) {
            return job;
        }
        assert!(Instant::now() < deadline, "{job:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A worker that runs jobs by a function of the test.
struct Worker {
    waker: Waker,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    fn start<F>(db: &Db, clock: &Arc<ManualClock>, run: impl Fn(Leased) -> F + Send + Sync + 'static) -> Worker
    where
        F: Future<Output = Result<Object, JobError>> + Send + 'static,
    {
        let (waker, stop) = (Waker::default(), CancellationToken::new());
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let task = tokio::spawn({
            let (db, waker, stop) = (db.clone(), waker.clone(), stop.clone());
            async move { keep_working(&db, &clock, &waker, run, stop).await }
        });
        Worker { waker, stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

fn still() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

async fn a_job_is_put_in_with_its_transaction_or_not_at_all(db: &Db) {
    let refused: Result<(), DbError> = transact!(db, |tx| {
        jobs::enqueue(tx, &new_job(None), NOW).await?;
        Err(DbError::Refused("no"))
    });
    assert!(matches!(refused, Err(DbError::Refused("no"))));
    assert!(lease(db, NOW).await.is_empty());
    put_one(db).await;
    assert_eq!(lease(db, NOW).await.len(), 1);
}

async fn one_job_of_a_key_waits_or_runs_at_a_time(db: &Db) {
    let first = put(db, new_job(Some("a"))).await.unwrap();
    assert_eq!(put(db, new_job(Some("a"))).await, None, "it waits");
    assert!(put(db, new_job(Some("b"))).await.is_some());
    let leased = lease(db, NOW).await;
    assert_eq!(put(db, new_job(Some("a"))).await, None, "it runs");
    let first_lease = leased.iter().find(|job| job.id == first.id).unwrap();
    assert!(jobs::finish(db, first_lease, &Ending::Dead { error: String::new() }, NOW).await.unwrap());
    let second = put(db, new_job(Some("a"))).await.unwrap();
    assert_ne!(second.id, first.id);
    match jobs::retry(db, first.id, NOW).await {
        Err(DbError::Taken { field }) => assert_eq!(field, "key"),
        other => panic!("{other:?}"),
    }
}

async fn two_workers_never_run_one_job_at_once(db: &Db) {
    const JOBS: usize = 20;
    let mut put = HashSet::new();
    for _ in 0..JOBS {
        put.insert(put_one(db).await.id);
    }
    let begun: Arc<Mutex<Vec<Uuid>>> = Arc::default();
    let run = |begun: &Arc<Mutex<Vec<Uuid>>>| {
        let begun = Arc::clone(begun);
        move |job: Leased| {
            begun.lock().unwrap().push(job.id);
            async { Ok(Object::default()) }
        }
    };
    let clock = still();
    let workers = [Worker::start(db, &clock, run(&begun)), Worker::start(db, &clock, run(&begun))];
    for id in &put {
        until(db, *id, JobState::Done, 1).await;
    }
    for worker in workers {
        worker.end().await;
    }
    let begun = begun.lock().unwrap().clone();
    assert_eq!((begun.len(), begun.into_iter().collect::<HashSet<_>>()), (JOBS, put));
}

async fn a_lease_that_is_made_longer_is_nobody_elses(db: &Db) {
    put_one(db).await;
    let mine = lease(db, NOW).await.remove(0);
    let late = NOW.plus_ms(LEASE_MS);
    assert!(lease(db, late.plus_ms(-1)).await.is_empty());
    assert!(jobs::prolong(db, &mine, late.plus_ms(LEASE_MS)).await.unwrap());
    assert_eq!(jobs::next_at(db).await.unwrap(), Some(late.plus_ms(LEASE_MS)));
    assert!(lease(db, late).await.is_empty());
    assert_eq!(lease(db, late.plus_ms(LEASE_MS)).await.len(), 1);
}

async fn a_worker_that_died_loses_its_job_and_its_late_end_is_refused(db: &Db) {
    let job = put_one(db).await;
    let clock = still();
    let dying = Worker::start(db, &clock, |_| pending());
    until(db, job.id, JobState::Running, 1).await;
    dying.task.abort(); // as a kill does: nothing is given back
    assert!(dying.task.await.unwrap_err().is_cancelled());
    let stale = Leased { id: job.id, fence: 1, kind: job.kind, payload: job.payload.clone(), attempts: 1 };
    clock.advance(LEASE);
    let heir = Worker::start(db, &clock, |job| async move { Ok(result(json!({"fence": job.fence}))) });
    let done = until(db, job.id, JobState::Done, 2).await;
    heir.end().await;
    assert_eq!(done.result.unwrap().0, result(json!({"fence": 2})));
    assert!(!jobs::finish(db, &stale, &Ending::Done(Object::default()), NOW).await.unwrap());

    // While the other one still runs it, too.
    let job = put_one(db).await;
    let stale = lease(db, clock.wall()).await.remove(0);
    clock.advance(LEASE);
    let heir = lease(db, clock.wall()).await.remove(0);
    assert_eq!((stale.fence, heir.fence), (1, 2));
    let late = Ending::Dead { error: "too late".to_owned() };
    assert!(!jobs::finish(db, &stale, &late, clock.wall()).await.unwrap());
    assert!(!jobs::give_back(db, &stale).await.unwrap());
    assert!(!jobs::prolong(db, &stale, clock.wall().plus_ms(LEASE_MS)).await.unwrap());
    assert_eq!(find(db, job.id).await.state.0, JobState::Running);
    assert!(jobs::finish(db, &heir, &Ending::Done(Object::default()), clock.wall()).await.unwrap());
}

async fn a_job_that_fails_waits_longer_each_time_and_is_dead_at_last(db: &Db) {
    let job = put_one(db).await;
    let clock = still();
    let worker = Worker::start(db, &clock, |job| async move {
        assert!(job.attempts % 2 == 1, "a panic is a failure like others");
        Err(JobError::Passing("no river".to_owned()))
    });
    for (attempts, delay_s) in (1..).zip([30, 60, 120, 240, 480, 960, 1_920]) {
        worker.waker.wake();
        let failed = until(db, job.id, JobState::Waiting, attempts).await;
        assert_eq!(failed.run_at.0.since_ms(clock.wall()), delay_s * 1_000, "after {attempts}");
        let told = if attempts % 2 == 1 { "no river" } else { "panicked; the log says where" };
        assert_eq!(failed.last_error.as_deref(), Some(told));
        clock.advance(Duration::from_secs(delay_s as u64));
    }
    worker.waker.wake();
    let dead = until(db, job.id, JobState::Dead, ATTEMPTS_MAX).await;
    assert!(dead.last_error.is_some() && dead.finished_at.is_some());
    worker.end().await;

    let again = jobs::retry(db, job.id, clock.wall()).await.unwrap().unwrap();
    assert_eq!((again.state.0, again.attempts, again.finished_at), (JobState::Waiting, 0, None));
    let worker = Worker::start(db, &clock, |_| async { Ok(Object::default()) });
    let done = until(db, job.id, JobState::Done, 1).await;
    assert_eq!(done.last_error, None);
    worker.end().await;
    assert!(matches!(jobs::retry(db, job.id, NOW).await, Err(DbError::Refused(_))));
    assert_eq!(jobs::retry(db, Uuid::now_v7(), NOW).await.unwrap(), None);
}

async fn a_job_that_ends_its_worker_each_time_is_dead_at_last(db: &Db) {
    let job = put_one(db).await;
    let mut at = NOW;
    for attempts in 1..=ATTEMPTS_MAX {
        assert_eq!(lease(db, at).await[0].attempts, attempts);
        at = at.plus_ms(LEASE_MS);
    }
    assert!(lease(db, at).await.is_empty());
    let dead = find(db, job.id).await;
    assert_eq!(
        (dead.state.0, dead.last_error.as_deref()),
        (JobState::Dead, Some("whoever ran it ended without a word"))
    );
}

async fn what_can_never_go_well_is_dead_at_once(db: &Db) {
    let job = put_one(db).await;
    let worker = Worker::start(db, &still(), |_| async { Err(JobError::Hopeless("x".repeat(600))) });
    let dead = until(db, job.id, JobState::Dead, 1).await;
    assert_eq!(dead.last_error.map(|error| error.len()), Some(500));
    worker.end().await;
}

async fn what_runs_at_the_end_of_the_service_is_given_back(db: &Db) {
    let job = put_one(db).await;
    let clock = still();
    let worker = Worker::start(db, &clock, |_| pending());
    until(db, job.id, JobState::Running, 1).await;
    worker.end().await;
    let given = find(db, job.id).await;
    assert_eq!((given.state.0, given.attempts), (JobState::Waiting, 0));
    // At once, not when the lease would have ended.
    assert_eq!(lease(db, NOW).await.len(), 1);
}

async fn a_cancelled_job_is_cut_and_stays_dead_until_somebody_wants_it(db: &Db) {
    let job = put_one(db).await;
    let (alive, cut) = oneshot::channel::<()>();
    let alive = Mutex::new(Some(alive));
    let worker = Worker::start(db, &still(), move |_| {
        let alive = alive.lock().unwrap().take();
        async move {
            let _alive = alive;
            pending().await
        }
    });
    until(db, job.id, JobState::Running, 1).await;
    let cancelled = jobs::cancel(db, job.id, NOW).await.unwrap().unwrap();
    assert_eq!((cancelled.state.0, cancelled.last_error.as_deref()), (JobState::Dead, Some("cancelled")));
    worker.waker.wake();
    assert!(tokio::time::timeout(Duration::from_secs(5), cut).await.unwrap().is_err(), "it was dropped");
    worker.end().await;
    assert_eq!(find(db, job.id).await, cancelled);
    assert!(matches!(jobs::cancel(db, job.id, NOW).await, Err(DbError::Refused(_))));
    assert_eq!(jobs::cancel(db, Uuid::now_v7(), NOW).await.unwrap(), None);
    assert_eq!(jobs::retry(db, job.id, NOW).await.unwrap().unwrap().state.0, JobState::Waiting);
    assert_eq!(jobs::cancel(db, job.id, NOW).await.unwrap().unwrap().state.0, JobState::Dead);
}

async fn pages_of_jobs_are_of_a_state_and_of_a_kind(db: &Db) {
    let repair = RollupRepair { device_id: Uuid::now_v7(), from: NOW, to: NOW }.job(NOW);
    let repair = put(db, repair).await.unwrap();
    let first = put_one(db).await;
    let second = put_one(db).await;
    let page = |after| Page { after, descending: false, limit: 1 };
    let kind = Some(JobKind::Housekeeping);
    let one = jobs::list(db, Some(JobState::Waiting), kind, &page(None)).await.unwrap();
    assert_eq!((one.rows, one.next), (vec![first.clone()], Some(first.id)));
    let rest = jobs::list(db, None, kind, &page(Some(first.id))).await.unwrap();
    assert_eq!((rest.rows, rest.next), (vec![second], None));
    let kind = Some(JobKind::RollupRepair);
    assert_eq!(jobs::list(db, None, kind, &page(None)).await.unwrap().rows, [repair]);
    assert!(jobs::list(db, Some(JobState::Dead), kind, &page(None)).await.unwrap().rows.is_empty());
    let mut counts: Vec<_> = jobs::count(db).await.unwrap().into_iter().map(|of| (of.kind.0, of.count)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(JobKind::Housekeeping, 2), (JobKind::RollupRepair, 1)]);
}

async fn a_schedule_makes_one_job_for_each_of_its_times_whoever_looks(db: &Db) {
    let day_ms = 86_400_000;
    let zone = TimeZone::get("America/Anchorage").unwrap();
    let schedule = Daily { at: time(3, 0, 0, 0), zone };
    let daily = Scheduled { name: "daily", kind: JobKind::Housekeeping, schedule };
    let (mut here, mut elsewhere) = (None, None);
    assert!(make_due(db, &daily, &mut here, NOW).await.unwrap(), "what was never due is");
    assert!(!make_due(db, &daily, &mut elsewhere, NOW).await.unwrap(), "another instance");
    assert!(!make_due(db, &daily, &mut None, NOW.plus_ms(1)).await.unwrap(), "after a restart");
    let end = async |at| {
        for job in lease(db, at).await {
            assert!(jobs::finish(db, &job, &Ending::Done(Object::default()), at).await.unwrap());
        }
    };
    end(NOW).await;
    // Days that nobody saw make one job.
    let later = NOW.plus_ms(5 * day_ms);
    assert!(make_due(db, &daily, &mut here, later).await.unwrap());
    assert!(!make_due(db, &daily, &mut elsewhere, later).await.unwrap());
    // Behind by some seconds, it still sees the time before.
    let due = daily.schedule.last(later);
    assert!(!make_due(db, &daily, &mut None, due.plus_ms(-1)).await.unwrap());
    end(later).await;
    // A clock that was years ahead holds up nothing.
    assert!(make_due(db, &daily, &mut None, NOW.plus_ms(1_000 * day_ms)).await.unwrap());
    end(NOW.plus_ms(1_000 * day_ms)).await;
    assert!(make_due(db, &daily, &mut here, later.plus_ms(day_ms)).await.unwrap());
    assert_eq!(in_state(db, JobState::Done).await.len(), 3);
}

/// The service's own jobs, and its roll-ups where they are wanted.
async fn work(db: &Db, readings: &Readings, now: UtcMs, stop: CancellationToken) -> JoinHandle<()> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
    let waker = Waker::default();
    let means = Means { db: db.clone(), readings: readings.clone(), clock: Arc::clone(&clock) };
    tokio::spawn(async move {
        tokio::join!(
            keep_rolling_up(&means.db, &means.readings, clock.as_ref(), stop.clone()),
            keep_jobs(&means, &waker, stop)
        );
    })
}

async fn housekeeping_takes_away_what_ended_and_nothing_else(db: &Db) {
    let folder = tempfile::tempdir().unwrap();
    let readings = Readings::open_sqlite(folder.path()).unwrap();
    let new = NewUser {
        email: "a@x".to_owned(),
        password_hash: String::new(),
        first_name: "A".to_owned(),
        last_name: "B".to_owned(),
        role: UserRole::Admin,
        is_active: true,
        email_verified: false,
        created_by: None,
        metadata: Object::default(),
    };
    let person = users::create(db, &new, NOW).await.unwrap().id;
    let site = sites::create(db, &new_site(), NOW).await.unwrap();
    // A day later the first of each pair is over.
    let later = NOW.plus_ms(gateways::HOLDS_MS);
    for (name, since) in [("over", NOW.plus_ms(-1)), ("holds", NOW.plus_ms(1))] {
        let token = sessions::NewToken { hash: name.to_owned(), expires_at: since.plus_ms(gateways::HOLDS_MS) };
        sessions::start(db, person, &token, NOW).await.unwrap();
        gateways::create(db, site.id, name, name, since).await.unwrap();
        assert!(matches!(idempotency::begin(db, person, name, "h", since).await.unwrap(), Begun::First));
        for (kept_ms, ending) in
            [(DONE_KEPT_MS, Ending::Done(Object::default())), (DEAD_KEPT_MS, Ending::Dead { error: name.to_owned() })]
        {
            put_one(db).await;
            let job = lease(db, NOW).await.remove(0);
            let ended = since.plus_ms(gateways::HOLDS_MS - kept_ms);
            assert!(jobs::finish(db, &job, &ending, ended).await.unwrap());
        }
    }
    let stop = CancellationToken::new();
    let working = work(db, &readings, later, stop.clone()).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let done = loop {
        let done = in_state(db, JobState::Done).await;
        if let Some(done) =
            done.into_iter().find(|job| job.result.as_ref().is_some_and(|result| !result.0.0.is_empty()))
        {
            break done;
        }
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    };
    stop.cancel();
    working.await.unwrap();
    let pruned = json!({"sessions": 1, "idempotency_keys": 1, "enrollment_codes": 1, "jobs": 2});
    assert_eq!(done.result.unwrap().0, result(pruned));
    assert!(sessions::find(db, "holds", later).await.unwrap().is_some());
    assert!(gateways::enroll(db, "holds", "credential", later).await.unwrap().is_some());
    assert!(matches!(idempotency::begin(db, person, "holds", "h", later).await.unwrap(), Begun::Running));
    assert_eq!((in_state(db, JobState::Done).await.len(), in_state(db, JobState::Dead).await.len()), (2, 1));
}

async fn a_repair_computes_windows_anew_and_tells_how_many_were_wrong(db: &Db) {
    const HOUR_MS: i64 = 3_600_000;
    let folder = tempfile::tempdir().unwrap();
    let readings = Readings::open_sqlite(folder.path()).unwrap();
    let site = sites::create(db, &new_site(), NOW).await.unwrap();
    let gateway = gateway(db, site.id, "first").await;
    let announcement =
        Announcement { key: "turbine-1".to_owned(), interval_ms: Some(60_000), ..Announcement::default() };
    let device = devices::announce(db, &gateway, &[announcement], NOW).await.unwrap().devices.remove(0);
    let from = UtcMs(NOW.0.div_euclid(HOUR_MS) * HOUR_MS).plus_ms(-10 * HOUR_MS);
    let reading = |minute: i64| Reading {
        time: from.plus_ms(minute * 60_000),
        values: vec![Value::ok(Metric::POWER, minute % 7)],
    };
    let stored: Vec<Reading> = (0..4 * 60).map(reading).collect();
    let rows = Rows::new(Segment::from_readings(&stored), NOW, 0).of_device(device.number, 180_000);
    readings.write(vec![rows]).await.unwrap();

    let stop = CancellationToken::new();
    let working = work(db, &readings, NOW, stop.clone()).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while readings.hours_waiting(NOW).await.unwrap() > 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(20)).await;
    }
    let windows =
        async |resolution| readings.windows(device.number, resolution, from, from.plus_ms(4 * HOUR_MS)).await.unwrap();
    let (mut minutes, hours) = (windows(Resolution::Minute).await, windows(Resolution::Hour).await);
    // Three minutes and an hour go wrong in the second hour, and a minute that is not repaired in the fourth.
    let at = |hour: i64| from.plus_ms(hour * HOUR_MS);
    let change = Change {
        device: device.number,
        replaced: vec![
            (Resolution::Minute, at(1), at(1).plus_ms(180_000)),
            (Resolution::Hour, at(1), at(2)),
            (Resolution::Minute, at(3), at(3).plus_ms(60_000)),
        ],
        ..Change::default()
    };
    readings.replace_windows(vec![change]).await.unwrap();

    let repair = RollupRepair { device_id: device.id, from: at(1).plus_ms(1), to: at(2).plus_ms(1) };
    let job = put(db, repair.job(NOW)).await.unwrap();
    let done = until(db, job.id, JobState::Done, 1).await;
    assert_eq!(done.result.unwrap().0, result(json!({"hours": 2, "windows_changed": 4})));
    assert_eq!(windows(Resolution::Hour).await, hours);
    minutes.remove(3 * 60);
    assert_eq!(windows(Resolution::Minute).await, minutes);

    let nobody = RollupRepair { device_id: Uuid::now_v7(), ..repair };
    let job = put(db, nobody.job(NOW)).await.unwrap();
    let dead = until(db, job.id, JobState::Dead, 1).await;
    assert_eq!(dead.last_error.as_deref(), Some("the device was deleted"));
    stop.cancel();
    working.await.unwrap();
}
