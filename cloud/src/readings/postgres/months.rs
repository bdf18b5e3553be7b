//! Partitions of the table of readings, one a month, made before their rows come: with each month that is
//! needed the one after it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use riverwatts_shared::time::UtcMs;
use sqlx::PgPool;

use super::super::Rows;
use super::super::month::Month;

/// Held while a partition is made; the number is this project's own.
const LOCK: i64 = 0x7269_7665_7201;

/// The months that have a partition, as far as this process knows.
#[derive(Debug, Default)]
pub struct Months(Mutex<BTreeSet<Month>>);

impl Months {
    /// Sees to it that every row has its partition.
    pub async fn make_for(&self, pool: &PgPool, rows: impl Iterator<Item = &Rows>) -> sqlx::Result<()> {
        let mut wanted = BTreeSet::new();
        for rows in rows {
            let mut rest = rows.segment.times.as_slice();
            while let Some(&first) = rest.first() {
                let month = Month::of(UtcMs(first));
                rest = &rest[rest.partition_point(|&time| time < month.end().0)..];
                wanted.insert(month);
            }
        }
        for month in self.missing(wanted) {
            self.make(pool, month).await?;
        }
        Ok(())
    }

    /// Makes a month and the next.
    pub async fn make(&self, pool: &PgPool, month: Month) -> sqlx::Result<()> {
        for month in [month, month.next()] {
            make(pool, month).await?;
            self.0.lock().expect("never poisoned: nothing panics inside").insert(month);
        }
        Ok(())
    }

    fn missing(&self, wanted: BTreeSet<Month>) -> Vec<Month> {
        let made = self.0.lock().expect("never poisoned: nothing panics inside");
        wanted.into_iter().filter(|month| !made.contains(&month.next()) || !made.contains(month)).collect()
    }
}

async fn make(pool: &PgPool, month: Month) -> sqlx::Result<()> {
    let table = format!("readings_{}", month.to_string().replace('-', "_"));
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let made: bool = sqlx::query_scalar("select to_regclass($1) is not null").bind(&table).fetch_one(&mut *tx).await?;
    if !made {
        // To attach a table lets readers and writers go on; to make one as a partition does not.
        let (from, to) = (month.start().0, month.end().0);
        let statements = format!(
            "create table {table} (like readings including all);
             alter table readings attach partition {table} for values from ({from}) to ({to})"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *tx).await?;
    }
    tx.commit().await
}
