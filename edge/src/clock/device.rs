//! The time that a device's clock means.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use riverwatts_shared::profile::ClockForm;
use riverwatts_shared::time::UtcMs;

/// The middle of the second that the clock says. A local time of `zone` that is there twice or never
/// when clocks are changed says nothing.
pub fn said(form: ClockForm, seconds: i64, zone: &TimeZone) -> Option<UtcMs> {
    let counted = Timestamp::from_second(seconds).ok()?;
    let time = match form {
        ClockForm::UnixS => counted,
        ClockForm::LocalS => {
            let shown = counted.to_zoned(TimeZone::UTC).datetime();
            zone.to_ambiguous_timestamp(shown).unambiguous().ok()?
        }
    };
    Some(UtcMs(UtcMs::from(time).0 + 500))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: ClockForm, zone: &str, shown: &str, expected: Option<&str>) {
        let shown: Timestamp = format!("{shown}Z").parse().unwrap();
        let expected = expected.map(|time| time.parse::<UtcMs>().unwrap());
        assert_eq!(said(form, shown.as_second(), &TimeZone::get(zone).unwrap()), expected, "{shown} in {zone}");
    }

    #[test]
    fn a_clock_in_utc_and_one_that_people_set_are_told_apart() {
        let (utc, alaska) = ("UTC", "America/Anchorage");
        check(ClockForm::UnixS, alaska, "2026-11-24T08:15:30", Some("2026-11-24T08:15:30.500Z"));
        check(ClockForm::LocalS, alaska, "2026-11-24T08:15:30", Some("2026-11-24T17:15:30.500Z"));
        check(ClockForm::LocalS, alaska, "2026-07-01T08:15:30", Some("2026-07-01T16:15:30.500Z"));
        check(ClockForm::LocalS, utc, "2026-07-01T08:15:30", Some("2026-07-01T08:15:30.500Z"));
        // A clock that nobody changes for summer.
        check(ClockForm::LocalS, "Etc/GMT+9", "2026-07-01T08:15:30", Some("2026-07-01T17:15:30.500Z"));
        // The hour that is there twice, and the one that is not.
        check(ClockForm::LocalS, alaska, "2026-11-01T01:30:00", None);
        check(ClockForm::LocalS, alaska, "2026-03-08T02:30:00", None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(said(ClockForm::UnixS, i64::MAX, &TimeZone::UTC), None);
    }
}
