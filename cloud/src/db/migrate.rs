//! Brings a database to the tables of this version: of records, two folders, one per engine; of readings,
//! which are files of their own with SQLite, one folder for PostgreSQL.

use std::sync::LazyLock;

use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::{Db, DbError, transact};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

static READINGS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut readings = sqlx::migrate!("migrations/readings");
    // They have a history of their own beside that of the records.
    readings.dangerous_set_table_name("_readings_migrations");
    readings
});

/// Applies what is missing and gives a new database its epoch. Several instances may do it at once.
pub async fn migrate(db: &Db) -> Result<(), DbError> {
    match db {
        Db::Sqlite { write, .. } => SQLITE.run(write).await.map_err(database_error)?,
        Db::Postgres(pool) => {
            POSTGRES.run(pool).await.map_err(database_error)?;
            READINGS.run(pool).await.map_err(database_error)?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of a SQLite migration as it must stand in the PostgreSQL one.
    fn translate(line: &str) -> String {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut words: Vec<&str> = line.trim_start().splitn(3, ' ').collect();
        let end;
        if indent == "    " && words.len() > 1 {
            let kind = words[1].trim_end_matches([',', ';']);
            let flag = format!(" check ({} in (0, 1))", words[0]);
            let translated = match kind {
                "blob" => "uuid",
                "integer" if line.contains(&flag) => "boolean",
                "integer" => "bigint",
                "real" => "double precision",
                _ => return line.replace(") strict;", ");"),
            };
            end = words[1].replace(kind, translated);
            words[1] = &end;
            return format!("{indent}{}", words.join(" "))
                .replace(&flag, "")
                .replace("boolean not null default 0", "boolean not null default false")
                .replace("boolean not null default 1", "boolean not null default true");
        }
        line.replace(") strict;", ");")
    }

    #[test]
    fn both_folders_make_the_same_tables() {
        assert_eq!(SQLITE.migrations.len(), POSTGRES.migrations.len());
        for (sqlite, postgres) in SQLITE.migrations.iter().zip(POSTGRES.migrations.iter()) {
            assert_eq!((sqlite.version, &sqlite.description), (postgres.version, &postgres.description));
            let statements = |sql: &'static str| sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            let translated: Vec<String> = statements(sqlite.sql.as_str()).map(translate).collect();
            let found: Vec<String> = statements(postgres.sql.as_str()).map(str::to_owned).collect();
            assert_eq!(translated, found);
            // A table without `strict` would take text for a number.
            let tables = sqlite.sql.as_str().matches("create table").count();
            assert_eq!(tables, sqlite.sql.as_str().matches(") strict;").count());
        }
    }
}
