//! Records as rows: what is stored and found, on either database. No rules of work, no HTTP.
//! What a person asks for goes through [`Sight`]; what the service itself needs does not.

pub mod configurations;
pub mod devices;
pub mod gaps;
pub mod gateways;
pub mod idempotency;
pub mod jobs;
pub mod members;
pub mod meta;
pub mod sessions;
pub mod sites;
pub mod subscriptions;
pub mod users;

use riverwatts_shared::time::UtcMs;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::column::At;

/// Which sites a person sees: admins all, technicians and viewers those they are members of,
/// customers those they subscribe to. The rule itself is the view `sight` of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    user_id: Uuid,
}

impl Sight {
    /// What this user sees now.
    pub const fn of(user_id: Uuid) -> Sight {
        Sight { user_id }
    }

    /// Bound to the `user_id` of the view.
    pub const fn user_id(self) -> Uuid {
        self.user_id
    }
}

/// The next `updated_at` of a record: now, but always later than the one before, because it is the
/// record's version too.
fn next_version(before: At, now: UtcMs) -> At {
    At(now.max(before.0.plus_ms(1)))
}

/// Refuses a change that is based on another version than the stored one.
fn check_version(stored: At, expected: Option<UtcMs>) -> Result<(), DbError> {
    match expected {
        Some(expected) if expected != stored.0 => Err(DbError::Stale),
        _ => Ok(()),
    }
}
