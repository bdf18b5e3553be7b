//! The windows of the four resolutions: minutes, quarters and hours stand on UTC, a day is a
//! calendar day of the site's zone (23 or 25 hours when the clock changes).

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::time::UtcMs;
use crate::words::Resolution;

const DAY_MS: i64 = 86_400_000;

/// Start of the window that holds `time`.
pub fn window_start(resolution: Resolution, zone: &TimeZone, time: UtcMs) -> UtcMs {
    match resolution {
        Resolution::Minute => aligned(time, 60_000),
        Resolution::Quarter => aligned(time, 900_000),
        Resolution::Hour => aligned(time, 3_600_000),
        Resolution::Day => {
            let day = time.to_timestamp().to_zoned(zone.clone()).start_of_day();
            day.as_ref().map_or_else(|_| aligned(time, DAY_MS), at) // the last days of the calendar
        }
    }
}

/// End of the window that holds `time`, which is the start of the next.
pub fn window_end(resolution: Resolution, zone: &TimeZone, time: UtcMs) -> UtcMs {
    match resolution {
        Resolution::Minute => aligned(time, 60_000).plus_ms(60_000),
        Resolution::Quarter => aligned(time, 900_000).plus_ms(900_000),
        Resolution::Hour => aligned(time, 3_600_000).plus_ms(3_600_000),
        Resolution::Day => {
            let day = time.to_timestamp().to_zoned(zone.clone()).tomorrow().and_then(|next| next.start_of_day());
            day.as_ref().map_or_else(|_| aligned(time, DAY_MS).plus_ms(DAY_MS), at)
        }
    }
}

/// The edges of all windows that touch `[from, to)`, for [`roll_up`](super::sum::roll_up).
pub fn window_edges(resolution: Resolution, zone: &TimeZone, from: UtcMs, to: UtcMs) -> Vec<UtcMs> {
    let start = window_start(resolution, zone, from);
    let next = |&edge: &UtcMs| (edge < to).then(|| window_end(resolution, zone, edge));
    std::iter::successors(Some(start), next).collect()
}

fn at(zoned: &Zoned) -> UtcMs {
    zoned.timestamp().into()
}

fn aligned(time: UtcMs, width_ms: i64) -> UtcMs {
    time.plus_ms(-time.0.rem_euclid(width_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resolution: Resolution, zone: &str, time: &str, start: &str, end: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let time = time.parse().unwrap();
        let found = [window_start, window_end].map(|edge| edge(resolution, &zone, time).to_string());
        assert_eq!(found, [start, end].map(|edge| format!("{edge}:00.000Z")), "{resolution} of {time}");
    }

    #[test]
    fn minutes_quarters_and_hours_stand_on_utc() {
        let time = "2026-11-24T08:15:30.250Z";
        check(Resolution::Minute, "Asia/Kathmandu", time, "2026-11-24T08:15", "2026-11-24T08:16");
        check(Resolution::Quarter, "Asia/Kathmandu", time, "2026-11-24T08:15", "2026-11-24T08:30");
        check(Resolution::Hour, "Asia/Kathmandu", time, "2026-11-24T08:00", "2026-11-24T09:00");
        check(Resolution::Minute, "UTC", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59", "1970-01-01T00:00");
    }

    #[test]
    fn a_day_is_the_calendar_day_of_the_zone() {
        let day = Resolution::Day;
        check(day, "Asia/Kathmandu", "2026-11-24T18:15:00Z", "2026-11-24T18:15", "2026-11-25T18:15");
        check(day, "Asia/Kathmandu", "2026-11-24T18:14:59.999Z", "2026-11-23T18:15", "2026-11-24T18:15");
        // 23 hours in spring, 25 in autumn.
        check(day, "America/Anchorage", "2026-03-08T12:00:00Z", "2026-03-08T09:00", "2026-03-09T08:00");
        check(day, "America/Anchorage", "2026-11-01T12:00:00Z", "2026-11-01T08:00", "2026-11-02T09:00");
        // A day that has no midnight begins at one o'clock.
        check(day, "America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00", "2026-09-07T03:00");
    }

    #[test]
    fn edges_surround_the_span() {
        let edges = |from, to| window_edges(Resolution::Minute, &TimeZone::UTC, UtcMs(from), UtcMs(to));
        assert_eq!(edges(1, 60_001), [0, 60_000, 120_000].map(UtcMs));
        assert_eq!(edges(60_000, 120_000), [60_000, 120_000].map(UtcMs));
        assert_eq!(edges(60_001, 60_001), [60_000, 120_000].map(UtcMs));
    }

    #[test]
    fn windows_end_after_they_start_even_beyond_the_calendar() {
        for &resolution in Resolution::ALL {
            for time in [i64::MIN, -400_000_000_000_000, 300_000_000_000_000, i64::MAX - DAY_MS].map(UtcMs) {
                let end = window_end(resolution, &TimeZone::UTC, time);
                assert!(window_start(resolution, &TimeZone::UTC, time) <= time && time < end, "{resolution} {time:?}");
            }
        }
    }
}
