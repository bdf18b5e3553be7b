//! What can go wrong with records, by what the caller can do about it.

use sqlx::error::ErrorKind;

/// Why an operation on records was not done. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Another record holds this value: choose another.
    #[error("{field} is taken by another record")]
    Taken {
        /// The column, which is also the field of the body.
        field: String,
    },
    /// A record that is referred to does not exist (any more).
    #[error("refers to a record that does not exist")]
    MissingReference,
    /// The record changed since the caller read it: read it again.
    #[error("the record was changed meanwhile")]
    Stale,
    /// A rule forbids it; the text says which.
    #[error("{0}")]
    Refused(&'static str),
    /// Other transactions were in the way for too long: try later.
    #[error("too many transactions at once")]
    Contention(#[source] sqlx::Error),
    /// The database cannot be reached or is not ready: try later.
    #[error("database unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A bug, or a damaged database.
    #[error("database failed")]
    Failed(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
                    DbError::Unavailable(error)
                }
                _ => DbError::Failed(error),
            };
        };
        match database.kind() {
            ErrorKind::UniqueViolation => {
                DbError::Taken { field: taken_field(database.constraint(), database.message()) }
            }
            ErrorKind::ForeignKeyViolation => DbError::MissingReference,
            _ => match database.code().as_deref() {
                // Serialization failure and deadlock (PostgreSQL); busy and busy snapshot (SQLite).
                Some("40001" | "40P01" | "5" | "517") => DbError::Contention(error),
                // Shutting down, starting up, too many connections.
                Some("57P01" | "57P02" | "57P03" | "53300") => DbError::Unavailable(error),
                _ => DbError::Failed(error),
            },
        }
    }
}

/// The last column of the violated index: PostgreSQL names the index (`users_email`), SQLite its
/// columns (`UNIQUE constraint failed: users.email`).
fn taken_field(constraint: Option<&str>, message: &str) -> String {
    const KNOWN: [&str; 5] = ["serial_number", "site_id", "user_id", "email", "key"];
    let name = constraint.unwrap_or(message);
    // The name that PostgreSQL gives to a primary key says nothing of its columns.
    let name = if name == "site_members_pkey" { "site_members_user_id" } else { name };
    KNOWN.iter().find(|field| name.ends_with(*field)).map_or_else(|| name.to_owned(), |field| (*field).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violated_index_names_its_field_on_both_engines() {
        for (constraint, message, field) in [
            (Some("users_email"), "duplicate key value", "email"),
            (None, "UNIQUE constraint failed: users.email", "email"),
            (Some("devices_site_id_key"), "", "key"),
            (None, "UNIQUE constraint failed: devices.site_id, devices.key", "key"),
            (None, "UNIQUE constraint failed: devices.serial_number", "serial_number"),
            (Some("site_members_pkey"), "", "user_id"),
            (None, "UNIQUE constraint failed: site_members.site_id, site_members.user_id", "user_id"),
        ] {
            assert_eq!(taken_field(constraint, message), field);
        }
    }
}
