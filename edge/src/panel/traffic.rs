//! What the link has carried, how the data plan stands, and what waits for it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use riverwatts_shared::time::UtcMs;
use serde_json::{Value as Json, json};

use super::words::number;
use crate::store::Days;
use crate::upload::{BacklogWait, PlanState, Usage};

/// Days that are shown.
const DAYS: usize = 30;
const MB: f64 = 1_000_000.0;

/// Per cent, rounded down: 95 % is not told before it is reached.
const fn share(of: u64, whole: u64) -> u64 {
    (of as u128 * 100 / whole as u128) as u64
}

/// Bytes in megabytes, as a bill counts them: `12.4 MB`.
fn mb(bytes: u64) -> String {
    let mb = bytes as f64 / MB;
    format!("{} MB", number(mb, usize::from(mb < 100.0)))
}

fn local(time: UtcMs, zone: &str, form: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    time.to_timestamp().to_zoned(zone).strftime(form).to_string()
}

/// How the plan stands, as a person says it.
pub(super) fn meaning(usage: &Usage, zone: &str) -> String {
    let Usage { limit_bytes, used_bytes, forecast_bytes, end, state, .. } = usage;
    let ends = local(*end, zone, "%-d %B");
    let used = format!("{} % of the data plan is used", share(*used_bytes, *limit_bytes));
    match state {
        PlanState::Ok => format!("{used}; it will do until {ends}"),
        PlanState::Warning if forecast_bytes > limit_bytes => {
            format!("{used}; at this rate {} are needed until {ends}", mb(*forecast_bytes))
        }
        PlanState::Warning => format!("{used}, until {ends}"),
        PlanState::Saving => {
            format!("{used}: until {ends} only the newest values go, seldom, and everything else waits here")
        }
    }
}

/// What to do about it.
pub(super) const fn remedy(state: PlanState) -> &'static str {
    match state {
        PlanState::Ok => "",
        PlanState::Warning | PlanState::Saving => "raise upload.every, or take a larger plan and raise upload.plan_mb",
    }
}

pub(super) fn plan(usage: &Usage, zone: &str) -> Json {
    json!({
        "limit_bytes": usage.limit_bytes,
        "used_bytes": usage.used_bytes,
        "forecast_bytes": usage.forecast_bytes,
        "period_start": usage.start,
        "period_end": usage.end,
        "state": usage.state.word(),
        "meaning": meaning(usage, zone),
        "remedy": remedy(usage.state),
    })
}

/// Until when the backlog waits, as a person says it.
pub(super) fn until(wait: BacklogWait, zone: &str) -> String {
    match wait {
        BacklogWait::Hours(until) => format!("until {}", local(until, zone, "%H:%M")),
        BacklogWait::Plan(until) => format!("until {}, when the data plan's month ends", local(until, zone, "%-d %B")),
    }
}

pub(super) fn waits(wait: BacklogWait, zone: &str) -> Json {
    let (reason, time) = match wait {
        BacklogWait::Hours(until) => ("hours", until),
        BacklogWait::Plan(until) => ("plan", until),
    };
    json!({"reason": reason, "until": time, "meaning": until(wait, zone)})
}

/// The last days, oldest first.
pub(super) fn days(days: &Days) -> Vec<Json> {
    let newest = days.iter().rev().take(DAYS).collect::<Vec<_>>();
    let dated = newest.into_iter().rev().filter_map(|(&day, carried)| {
        let date = date(day)?;
        Some(json!({"day": date.to_string(), "sent_bytes": carried.sent, "received_bytes": carried.received}))
    });
    dated.collect()
}

fn date(day: i64) -> Option<Date> {
    let midnight = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(day.checked_mul(24)?)).ok()?;
    Some(midnight.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Carried;

    const ZONE: &str = "America/Anchorage";

    fn usage(used: u64, forecast: u64, state: PlanState) -> Usage {
        let [start, end] = ["2026-11-15T09:00:00Z", "2026-12-15T09:00:00Z"].map(|time| time.parse().unwrap());
        let [limit_bytes, used_bytes, forecast_bytes] = [500, used, forecast].map(|mb| mb * 1_000_000);
        Usage { limit_bytes, used_bytes, forecast_bytes, start, end, state }
    }

    #[test]
    fn the_plan_is_told_with_what_it_means() {
        for (usage, words) in [
            (usage(100, 400, PlanState::Ok), "20 % of the data plan is used; it will do until 15 December"),
            (
                usage(100, 612, PlanState::Warning),
                "20 % of the data plan is used; at this rate 612 MB are needed until 15 December",
            ),
            (usage(414, 490, PlanState::Warning), "82 % of the data plan is used, until 15 December"),
            (
                usage(480, 500, PlanState::Saving),
                "96 % of the data plan is used: until 15 December only the newest values go, seldom, and everything else waits here",
            ),
        ] {
            assert_eq!(meaning(&usage, ZONE), words);
        }
    }

    #[test]
    fn the_backlog_says_until_when_it_waits_on_the_clock_of_the_site() {
        let night = BacklogWait::Hours("2026-11-25T07:00:00Z".parse().unwrap());
        assert_eq!(until(night, ZONE), "until 22:00");
        let month = BacklogWait::Plan("2026-12-15T09:00:00Z".parse().unwrap());
        assert_eq!(until(month, ZONE), "until 15 December, when the data plan's month ends");
    }

    #[test]
    fn the_last_days_are_shown_by_their_date() {
        let carried = |day: i64| (day, Carried { sent: day.unsigned_abs(), received: 1 });
        let shown = days(&(20_700..20_782).map(carried).collect());
        assert_eq!(shown.len(), DAYS);
        assert_eq!(shown[0]["day"], "2026-10-26");
        assert_eq!(shown[29], json!({"day": "2026-11-24", "sent_bytes": 20_781, "received_bytes": 1}));
    }
}
