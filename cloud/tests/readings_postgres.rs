//! What holds of readings in PostgreSQL beyond the contract: several instances on one database, rows of
//! others, partitions.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "support/postgres.rs"]
mod postgres;

use std::path::Path;

use postgres::Cluster;
use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::readings::{ListQuery, Readings, ReadingsError, Rows, Written};
use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::{Reading, Value};
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::{Clock, SystemClock, UtcMs};
use sqlx::{AssertSqlSafe, PgPool};

/// One minute before a month and a year end.
const EDGE: UtcMs = UtcMs(1_798_761_540_000);

async fn database() -> (Cluster, Db, PgPool) {
    let cluster = Cluster::start();
    let db = Db::open_postgres(&cluster.url()).await.unwrap();
    migrate(&db).await.unwrap();
    let Db::Postgres(pool) = &db else { panic!("a cluster is PostgreSQL") };
    let pool = pool.clone();
    (cluster, db, pool)
}

async fn open(db: &Db) -> Readings {
    Readings::open(db, Path::new("no files")).await.unwrap()
}

fn rows(device: i64, from: UtcMs, values: &[i64], revision: u32) -> Rows {
    let reading = |(at, value): (i64, &i64)| Reading {
        time: from.plus_ms(at * 1_000),
        values: vec![Value::ok(Metric::POWER, *value)],
    };
    let readings: Vec<Reading> = (0..).zip(values).map(reading).collect();
    Rows::new(Segment::from_readings(&readings), EDGE, revision).of_device(device, 120_000)
}

async fn write(readings: &Readings, rows: Rows) -> Result<Written, ReadingsError> {
    Ok(readings.write(vec![rows]).await?.remove(0).1)
}

async fn count(pool: &PgPool, what: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {what}"))).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_are_sent_the_same_store_each_reading_once() {
    let (_cluster, db, pool) = database().await;
    let instances = [open(&db).await, open(&db).await];
    // 60 spans of 20 devices, each sent to both at once; neighbouring ones share half of their readings.
    let sent = (0..120).map(|i| {
        let (readings, span) = (instances[i % 2].clone(), (i / 2) as i64);
        let rows = rows(1 + span % 20, EDGE.plus_ms(span / 20 * 25_000), &[7; 50], 0);
        tokio::spawn(async move { write(&readings, rows).await.unwrap() })
    });
    let (mut accepted, mut duplicates) = (0, 0);
    for written in sent.collect::<Vec<_>>() {
        let written = written.await.unwrap();
        assert_eq!((written.accepted + written.duplicates, written.conflicts.len()), (50, 0));
        accepted += written.accepted;
        duplicates += written.duplicates;
    }
    assert_eq!((accepted, duplicates), (20 * 100, 120 * 50 - 20 * 100));
    assert_eq!(count(&pool, "readings").await, 20 * 100);
    // What one wrote is the latest at the other.
    write(&instances[0], rows(1, EDGE.plus_ms(3_600_000), &[1], 0)).await.unwrap();
    write(&instances[1], rows(1, EDGE.plus_ms(7_200_000), &[2], 0)).await.unwrap();
    for readings in &instances {
        assert_eq!(readings.latest(vec![1]).await.unwrap()[0].time, EDGE.plus_ms(7_200_000));
        assert_eq!(readings.dirty_hours(1).await.unwrap().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_at_a_time_keeps_the_roll_ups() {
    let (_cluster, db, _pool) = database().await;
    let (first, second) = (open(&db).await, open(&db).await);
    assert!(first.leads().await.unwrap() && !second.leads().await.unwrap() && first.leads().await.unwrap());
    let refused = second.replace_windows(Vec::new()).await;
    assert!(matches!(refused, Err(ReadingsError::Busy)), "{refused:?}");
    first.close().await;
    assert!(second.leads().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_be_stored_does_not_spoil_its_group() {
    let (_cluster, db, pool) = database().await;
    let readings = open(&db).await;
    let refuse = "create function refuse() returns trigger language plpgsql as $$ begin
            if new.device = 13 then raise exception 'not this one'; end if; return new; end $$;
        create trigger refuse before insert on readings for each row execute function refuse()";
    sqlx::raw_sql(refuse).execute(&pool).await.unwrap();
    // Nothing is stored until all of them wait.
    let mut held = pool.begin().await.unwrap();
    sqlx::query("insert into readings_latest (device) values (1)").execute(&mut *held).await.unwrap();
    let sent = (1..=40).map(|device| {
        let readings = readings.clone();
        tokio::spawn(async move { write(&readings, rows(device, EDGE, &[1, 2, 3], 0)).await })
    });
    let sent: Vec<_> = sent.collect();
    held.rollback().await.unwrap();
    for (device, written) in (1..).zip(sent) {
        match written.await.unwrap() {
            Err(ReadingsError::Failed(_)) if device == 13 => {}
            written => assert_eq!((device, written.unwrap().accepted), (device, 3)),
        }
    }
    assert_eq!(count(&pool, "readings").await, 39 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_somebody_else_put_there_are_met_as_all_others() {
    let (_cluster, db, pool) = database().await;
    let readings = open(&db).await;
    write(&readings, rows(1, EDGE, &[1], 0)).await.unwrap();
    let sql = format!(
        "insert into readings (device, time, power_output_kw, received_at) values (1, {0}, 2, 0), (1, {0} + 1000, 9, 0)",
        EDGE.0 + 1_000
    );
    sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    let written = write(&readings, rows(1, EDGE.plus_ms(1_000), &[2, 3, 4], 0)).await.unwrap();
    assert_eq!(written, Written { accepted: 1, duplicates: 1, conflicts: vec![1] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_correction_replaces_is_kept() {
    let (_cluster, db, pool) = database().await;
    let readings = open(&db).await;
    for (revision, power) in [(0, 10), (1, 11), (3, 12)] {
        write(&readings, rows(1, EDGE, &[power, 5], revision)).await.unwrap();
    }
    let kept: Vec<(i64, i64, i64)> =
        sqlx::query_as("select time, revision, power_output_kw from readings_replaced order by revision")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(kept, [(EDGE.0, 0, 10), (EDGE.0, 1, 11)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_month_has_its_partition_and_the_next_one_waits() {
    let (_cluster, db, pool) = database().await;
    let readings = open(&db).await;
    let names = async || {
        let sql = "select cast(inhrelid::regclass as text) from pg_inherits
            where inhparent = 'readings'::regclass order by 1";
        sqlx::query_scalar::<_, String>(sql).fetch_all(&pool).await.unwrap()
    };
    let now = SystemClock::default().wall();
    let this = format!("readings_{}", now.to_string()[..7].replace('-', "_"));
    let ahead = names().await;
    assert!(ahead.len() == 2 && ahead[0] == this, "{ahead:?}");
    // Over the end of a year, in the past, in one request.
    let past = UtcMs(1_767_225_570_000);
    write(&readings, rows(1, past, &[1; 60], 0)).await.unwrap();
    for (month, stored) in [("2025_12", 30), ("2026_01", 30), ("2026_02", 0)] {
        assert_eq!(count(&pool, &format!("readings_{month}")).await, stored, "{month}");
    }
    let query = ListQuery { devices: vec![1], from: past, to: now, descending: true, after: None, limit: 100 };
    assert_eq!(readings.list(query).await.unwrap().len(), 60);
}
