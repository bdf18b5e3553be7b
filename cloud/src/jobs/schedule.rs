//! What runs again and again: a schedule says when it was due last, and each of its times makes one job,
//! whoever looks. Times that nobody looked at make one job together.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, civil};
use riverwatts_shared::time::{Clock, UtcMs};
use riverwatts_shared::words::JobKind;
use tokio_util::sync::CancellationToken;

use super::worker::Waker;
use crate::db::column::Object;
use crate::db::{Db, DbError};
use crate::store::jobs::{self, NewJob};

/// How often it looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How far the clocks of instances may be apart.
const CLOCKS_APART_MS: i64 = 600_000;
/// When the service tidies up, every day in UTC.
const HOUSEKEEPING_AT: Time = civil::time(3, 30, 0, 0);

/// Once on every day of a zone's calendar. Where the clock skips the time it is due an hour later, where it
/// comes twice, the first time.
#[derive(Clone, Debug)]
pub struct Daily {
    /// When.
    pub at: Time,
    /// Whose calendar.
    pub zone: TimeZone,
}

impl Daily {
    /// The last time at which it was due, up to `now`.
    pub fn last(&self, now: UtcMs) -> UtcMs {
        let today = now.to_timestamp().to_zoned(self.zone.clone()).date();
        let on = |day: civil::Date| {
            let due = self.zone.to_ambiguous_zoned(day.to_datetime(self.at)).compatible();
            due.map_or(UtcMs(i64::MIN), |due| due.timestamp().into())
        };
        let due = on(today);
        if due <= now { due } else { on(today.saturating_sub(1.day())) }
    }
}

/// A job that is made again and again.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Tells it from others, for ever.
    pub name: &'static str,
    /// What is to be done.
    pub kind: JobKind,
    /// When.
    pub schedule: Daily,
}

/// Everything that is scheduled.
fn all() -> Vec<Scheduled> {
    let schedule = Daily { at: HOUSEKEEPING_AT, zone: TimeZone::UTC };
    vec![Scheduled { name: "housekeeping", kind: JobKind::Housekeeping, schedule }]
}

/// Makes jobs of what is due until `stop`.
pub async fn keep_schedules(db: &Db, clock: &dyn Clock, waker: &Waker, stop: CancellationToken) {
    let scheduled = all();
    let mut known = vec![None; scheduled.len()];
    loop {
        for (scheduled, known) in scheduled.iter().zip(&mut known) {
            match make_due(db, scheduled, known, clock.wall()).await {
                Ok(true) => waker.wake(),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, schedule = scheduled.name, "a schedule is behind"),
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Makes the job that was due last, unless its time is `known` or has its job already; answers whether.
pub async fn make_due(db: &Db, scheduled: &Scheduled, known: &mut Option<UtcMs>, now: UtcMs) -> Result<bool, DbError> {
    let due = scheduled.schedule.last(now);
    if *known == Some(due) {
        return Ok(false);
    }
    let key = Some(scheduled.name.to_owned());
    let new = NewJob { kind: scheduled.kind, payload: Object::default(), key, run_at: now };
    let made = jobs::enqueue_due(db, scheduled.name, due, now.plus_ms(CLOCKS_APART_MS), &new, now).await?;
    *known = Some(due);
    Ok(made.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcMs {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_whose_clock_skips_or_doubles_the_time_is_due_once() {
        let zone = TimeZone::get("America/Anchorage").unwrap();
        let daily = |hour, minute| Daily { at: civil::time(hour, minute, 0, 0), zone: zone.clone() };
        for (schedule, now, due) in [
            (daily(2, 30), "2026-03-07T11:29:59.999Z", "2026-03-06T11:30:00Z"),
            (daily(2, 30), "2026-03-07T11:30:00Z", "2026-03-07T11:30:00Z"),
            // The clock goes from 2:00 to 3:00: half past two is half past three.
            (daily(2, 30), "2026-03-08T11:29:59Z", "2026-03-07T11:30:00Z"),
            (daily(2, 30), "2026-03-08T11:30:00Z", "2026-03-08T11:30:00Z"),
            (daily(2, 30), "2026-03-09T10:30:00Z", "2026-03-09T10:30:00Z"),
            // The clock goes from 2:00 to 1:00: half past one comes twice.
            (daily(1, 30), "2026-11-01T09:30:00Z", "2026-11-01T09:30:00Z"),
            (daily(1, 30), "2026-11-01T10:30:00Z", "2026-11-01T09:30:00Z"),
            (daily(1, 30), "2026-11-02T10:29:59Z", "2026-11-01T09:30:00Z"),
            (daily(1, 30), "2026-11-02T10:30:00Z", "2026-11-02T10:30:00Z"),
        ] {
            assert_eq!(schedule.last(at(now)), at(due), "{schedule:?} at {now}");
        }
    }
}
