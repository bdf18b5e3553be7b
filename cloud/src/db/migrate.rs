//! Brings a database to the tables of this version; two folders, one per engine.

use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::{Db, DbError, transact};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Applies what is missing and gives a new database its epoch. Several instances may do it at once.
pub async fn migrate(db: &Db) -> Result<(), DbError> {
    match db {
        Db::Sqlite { write, .. } => SQLITE.run(write).await.map_err(database_error)?,
        Db::Postgres(pool) => POSTGRES.run(pool).await.map_err(database_error)?,
    }
    let epoch = Uuid::new_v4().to_string();
    transact!(db, |tx| {
        for (name, value) in [("epoch", epoch.as_str()), ("next_device_number", "1")] {
            super::on!(tx, |conn| {
                sqlx::query("insert into meta (name, value) values ($1, $2) on conflict (name) do nothing")
                    .bind(name)
                    .bind(value)
                    .execute(conn)
                    .await
                    .map(|_| ())
            })?;
        }
        Ok(())
    })
}

fn database_error(error: MigrateError) -> DbError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => DbError::Failed(sqlx::Error::Migrate(Box::new(other))),
    }
}
