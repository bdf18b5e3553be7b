//! The data plan of the link: what its billing month has carried, what it will have carried at its
//! end, and what follows from that: pure, with the time as a parameter.

use std::ops::Range;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use riverwatts_shared::time::UtcMs;

use crate::config::DataPlan;
use crate::store::{Carried, Days};

/// From this part of the plan on there is a warning, in per cent.
const WARNING: u64 = 80;
/// From this part on bytes are saved, until the month ends.
const SAVING: u64 = 95;
/// What saving makes last until then; the rest is for what a crash may make forgotten.
const SPENDABLE: u64 = 99;
/// A forecast that was beyond the plan has to fall below this part of it before all is well again:
/// else it would come and go with every upload.
const WELL_BELOW: u64 = 95;
/// Days before today that tell how much a day takes.
const RECENT_DAYS: i64 = 7;
/// Less time than this tells little of a day: at a start there is much to send.
const RECENT_MIN: Duration = Duration::from_secs(6 * 3_600);
/// Longest pause between two uploads that saves bytes.
const EVERY_MAX: Duration = Duration::from_secs(86_400);

/// How the plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanState {
    /// It will do.
    Ok,
    /// Most of it is used, or it will not do at this rate.
    Warning,
    /// Nearly all is used: only the newest values go, at intervals that make the rest last.
    Saving,
}

impl PlanState {
    /// `ok`, `warning` or `saving`.
    pub const fn word(self) -> &'static str {
        match self {
            PlanState::Ok => "ok",
            PlanState::Warning => "warning",
            PlanState::Saving => "saving",
        }
    }
}

/// The plan at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What the billing month may carry.
    pub limit_bytes: u64,
    /// What it has carried.
    pub used_bytes: u64,
    /// What it will have carried at its end.
    pub forecast_bytes: u64,
    /// When it began.
    pub start: UtcMs,
    /// When it ends.
    pub end: UtcMs,
    /// What this means.
    pub state: PlanState,
}

impl Usage {
    /// What may still be sent before bytes have to be saved.
    pub(super) const fn left_bytes(&self) -> u64 {
        part(self.limit_bytes, SAVING).saturating_sub(self.used_bytes)
    }

    /// The interval that makes the plan last until its month ends, when an upload costs so many bytes.
    pub(super) fn stretched(&self, now: UtcMs, cost_bytes: u64) -> Duration {
        let left = Duration::from_millis(self.end.since_ms(now).max(0).unsigned_abs());
        let uploads = part(self.limit_bytes, SPENDABLE).saturating_sub(self.used_bytes) / cost_bytes.max(1);
        let every =
            u32::try_from(uploads).map_or(Duration::ZERO, |uploads| left.checked_div(uploads).unwrap_or(EVERY_MAX));
        every.min(EVERY_MAX)
    }
}

const fn part(of: u64, per_cent: u64) -> u64 {
    of / 100 * per_cent
}

/// The number of the site's calendar day.
pub(super) fn day_of(zone: &TimeZone, now: UtcMs) -> i64 {
    number(local(zone, now))
}

/// How the plan stands, after what the days carried. `before`: how it stood last. `None` at the end of
/// the calendar.
pub(super) fn judge(plan: DataPlan, zone: &TimeZone, now: UtcMs, days: &Days, before: PlanState) -> Option<Usage> {
    let today = local(zone, now);
    let month = Month::of(plan.first_day, today)?;
    let (start, end) = (midnight(zone, month.first)?, midnight(zone, month.next)?);
    let used = carried(days, number(month.first)..number(month.next));
    let left_ms = end.since_ms(now).max(0);
    let forecast = used + (rate(zone, now, today, days) * left_ms as f64) as u64;
    let state = state(before, used, forecast, plan.limit_bytes);
    let forecast = if state == PlanState::Saving { forecast.min(plan.limit_bytes).max(used) } else { forecast };
    Some(Usage { limit_bytes: plan.limit_bytes, used_bytes: used, forecast_bytes: forecast, start, end, state })
}

fn state(before: PlanState, used: u64, forecast: u64, limit: u64) -> PlanState {
    let stays = before != PlanState::Ok && forecast > part(limit, WELL_BELOW);
    match () {
        () if used >= part(limit, SAVING) => PlanState::Saving,
        () if used >= part(limit, WARNING) || forecast > limit || stays => PlanState::Warning,
        () => PlanState::Ok,
    }
}

/// Bytes a millisecond of the last days. Of the first day nobody knows when it began, so with it and
/// without it the rate may be too low; the higher one counts.
fn rate(zone: &TimeZone, now: UtcMs, today: Date, days: &Days) -> f64 {
    let last = number(today);
    let first = days.range(last - RECENT_DAYS..=last).next().map_or(last, |(&day, _)| day);
    let since = |day: i64| {
        let began = today.checked_sub((last - day).days()).ok().and_then(|date| midnight(zone, date)).unwrap_or(now);
        let took_ms = now.since_ms(began).max(RECENT_MIN.as_millis() as i64);
        carried(days, day..last + 1) as f64 / took_ms as f64
    };
    since(first).max(since((first + 1).min(last)))
}

fn carried(days: &Days, span: Range<i64>) -> u64 {
    days.range(span).map(|(_, carried)| Carried::total(*carried)).sum()
}

/// A billing month.
struct Month {
    first: Date,
    next: Date,
}

impl Month {
    fn of(first_day: i8, today: Date) -> Option<Month> {
        let on = |date: Date| date.with().day(first_day).build().ok();
        let first = match today.day() < first_day {
            true => on(today.first_of_month().checked_sub(1.month()).ok()?)?,
            false => on(today)?,
        };
        Some(Month { first, next: on(first.first_of_month().checked_add(1.month()).ok()?)? })
    }
}

fn local(zone: &TimeZone, now: UtcMs) -> Date {
    now.to_timestamp().to_zoned(zone.clone()).date()
}

/// The first moment of a day.
fn midnight(zone: &TimeZone, date: Date) -> Option<UtcMs> {
    date.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp().into())
}

fn number(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;
    const PLAN: DataPlan = DataPlan { limit_bytes: 100 * MB, first_day: 15 };

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> UtcMs {
        text.parse().unwrap()
    }

    fn day(text: &str) -> i64 {
        number(text.parse().unwrap())
    }

    /// The same on each of these days.
    fn each(from: &str, to: &str, bytes: u64) -> Days {
        (day(from)..=day(to)).map(|day| (day, Carried { sent: bytes / 2, received: bytes - bytes / 2 })).collect()
    }

    #[test]
    fn a_billing_month_begins_at_midnight_of_the_site() {
        for (first_day, zone_name, now, start, end) in [
            (1, "UTC", "2026-02-10T12:00:00Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"),
            (1, "UTC", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00.000Z", "2028-03-01T00:00:00.000Z"),
            (28, "UTC", "2026-02-27T12:00:00Z", "2026-01-28T00:00:00.000Z", "2026-02-28T00:00:00.000Z"),
            (28, "UTC", "2026-02-28T00:00:00Z", "2026-02-28T00:00:00.000Z", "2026-03-28T00:00:00.000Z"),
            (15, "UTC", "2026-01-03T00:00:00Z", "2025-12-15T00:00:00.000Z", "2026-01-15T00:00:00.000Z"),
            // Nine hours behind; and eight, after the clock changes on the 8th.
            (1, "America/Anchorage", "2026-03-01T08:59:00Z", "2026-02-01T09:00:00.000Z", "2026-03-01T09:00:00.000Z"),
            (1, "America/Anchorage", "2026-03-01T09:00:00Z", "2026-03-01T09:00:00.000Z", "2026-04-01T08:00:00.000Z"),
            // There the clock goes from midnight to one o'clock.
            (6, "America/Asuncion", "2024-10-06T12:00:00Z", "2024-10-06T04:00:00.000Z", "2024-11-06T03:00:00.000Z"),
        ] {
            let plan = DataPlan { limit_bytes: MB, first_day };
            let usage = judge(plan, &zone(zone_name), at(now), &Days::new(), PlanState::Ok).unwrap();
            assert_eq!((usage.start.to_string().as_str(), usage.end.to_string().as_str()), (start, end), "{now}");
        }
    }

    #[test]
    fn what_is_used_is_what_the_days_of_the_month_carried_in_both_directions() {
        let days = each("2026-10-10", "2026-11-24", 2 * MB);
        let used = |now| judge(PLAN, &zone("Europe/Vienna"), at(now), &days, PlanState::Ok).unwrap().used_bytes;
        assert_eq!(used("2026-11-24T12:00:00Z"), 20 * MB);
        assert_eq!(used("2026-11-14T22:00:00Z"), 62 * MB);
        assert_eq!(used("2026-12-14T23:00:00Z"), 0, "a new month");
    }

    #[test]
    fn the_forecast_goes_on_as_the_last_days_went() {
        let check = |days: &Days, now, mb: u64| {
            let forecast = judge(PLAN, &zone("UTC"), at(now), days, PlanState::Ok).unwrap().forecast_bytes;
            assert!(forecast.abs_diff(mb * MB) < MB, "{now}: {forecast}, not {mb} MB");
        };
        let days = each("2026-10-01", "2026-11-23", 3 * MB);
        check(&days, "2026-11-24T00:00:00Z", 9 * 3 + 21 * 3);
        let mut rising = days.clone();
        rising.extend(each("2026-11-18", "2026-11-24", 6 * MB));
        check(&rising, "2026-11-25T00:00:00Z", 3 * 3 + 7 * 6 + 20 * 6);
        // The month before says what its first hours do not.
        check(&each("2026-10-01", "2026-11-14", 3 * MB), "2026-11-15T00:10:00Z", 90);
        // Silent days count.
        check(&each("2026-10-01", "2026-11-19", 3 * MB), "2026-11-24T00:00:00Z", 5 * 3 + 21 * 3 * 3 / 7);
    }

    #[test]
    fn the_first_hours_of_a_gateway_are_no_alarm_and_its_second_day_knows_the_first() {
        let forecast =
            |days: &Days, now| judge(PLAN, &zone("UTC"), at(now), days, PlanState::Ok).unwrap().forecast_bytes;
        let hour = each("2026-11-24", "2026-11-24", MB / 10);
        assert!(forecast(&hour, "2026-11-24T00:30:00Z") < 10 * MB);
        let mut days = each("2026-11-24", "2026-11-24", 2 * MB);
        assert!(forecast(&days, "2026-11-25T00:01:00Z") > 40 * MB);
        days.extend(each("2026-11-25", "2026-11-25", 4 * MB));
        assert!(forecast(&days, "2026-11-26T00:00:00Z") > 75 * MB, "its first day began at its end");
    }

    #[test]
    fn the_plan_warns_at_80_per_cent_or_by_its_forecast_and_saves_from_95() {
        use PlanState::{Ok, Saving, Warning};
        for (before, used, forecast, expected) in [
            (Ok, 0, 0, Ok),
            (Ok, 79, 100, Ok),
            (Ok, 80, 80, Warning),
            (Ok, 10, 101, Warning),
            (Warning, 10, 96, Warning),
            (Warning, 10, 95, Ok),
            (Ok, 10, 96, Ok),
            (Warning, 94, 300, Warning),
            (Ok, 95, 95, Saving),
            (Saving, 200, 200, Saving),
            (Saving, 0, 90, Ok),
        ] {
            assert_eq!(state(before, used * MB, forecast * MB, 100 * MB), expected, "{before:?} {used} {forecast}");
        }
    }

    #[test]
    fn saving_lasts_to_the_end_of_the_month_and_ends_with_it() {
        let days = each("2026-11-15", "2026-11-24", 96 * MB / 10);
        let before = judge(PLAN, &zone("UTC"), at("2026-11-25T00:00:00Z"), &days, PlanState::Ok).unwrap();
        assert_eq!((before.state, before.forecast_bytes), (PlanState::Saving, 100 * MB), "it will be held");
        let after = judge(PLAN, &zone("UTC"), at("2026-12-15T00:00:00Z"), &days, before.state).unwrap();
        assert_eq!((after.state, after.used_bytes), (PlanState::Ok, 0));
    }

    #[test]
    fn the_interval_is_stretched_so_that_what_is_left_lasts() {
        let usage = |used_bytes| Usage {
            limit_bytes: 100 * MB,
            used_bytes,
            forecast_bytes: 0,
            start: UtcMs(0),
            end: UtcMs(30 * 86_400_000),
            state: PlanState::Saving,
        };
        let now = UtcMs(20 * 86_400_000);
        // 3 MB for 10 days at 3,000 bytes: a hundred uploads a day.
        assert_eq!(usage(96 * MB).stretched(now, 3_000), Duration::from_secs(864));
        assert_eq!(usage(99 * MB).stretched(now, 3_000), EVERY_MAX);
        assert_eq!(usage(200 * MB).stretched(now, 3_000), EVERY_MAX);
        assert_eq!(usage(96 * MB).stretched(UtcMs(30 * 86_400_000), 3_000), Duration::ZERO);
    }

    #[test]
    fn a_month_of_saving_stays_within_the_plan() {
        let (zone, plan) = (zone("UTC"), DataPlan { limit_bytes: 10 * MB, first_day: 1 });
        let mut now = at("2026-11-05T00:00:00Z");
        let mut days = Days::from([(day("2026-11-04"), Carried { sent: 95 * MB / 10, received: 0 })]);
        let mut uploads = 0;
        let end = at("2026-12-01T00:00:00Z");
        while now < end {
            let usage = judge(plan, &zone, now, &days, PlanState::Saving).unwrap();
            assert_eq!(usage.state, PlanState::Saving);
            let cost = 2_000 + now.0.unsigned_abs() % 3_000;
            days.entry(day_of(&zone, now)).or_default().sent += cost;
            now = now.plus_ms(usage.stretched(now, 4_000).as_millis() as i64);
            uploads += 1;
        }
        let used: u64 = days.values().map(|carried| carried.total()).sum();
        assert!(used <= 10 * MB && uploads > 80, "{used} bytes by {uploads} uploads");
    }
}
