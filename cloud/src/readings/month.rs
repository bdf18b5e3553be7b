//! Calendar months (UTC), by which engines divide what they store.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use riverwatts_shared::time::UtcMs;

/// A calendar month: years × 12 + month (0 to 11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Month(i32);

impl Month {
    /// The month of a time.
    pub fn of(time: UtcMs) -> Month {
        let date = time.to_timestamp().to_zoned(TimeZone::UTC).date();
        Month(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    /// The month that was written as `2026-11`.
    pub fn named(name: &str) -> Option<Month> {
        let (year, month) = name.split_once('-')?;
        let month = Month(year.parse::<i32>().ok()? * 12 + month.parse::<i32>().ok()? - 1);
        (month.to_string() == name).then_some(month)
    }

    /// The one after it.
    pub fn next(self) -> Month {
        Month(self.0 + 1)
    }

    /// When it begins.
    pub fn start(self) -> UtcMs {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        let first = Date::new(year as i16, month as i8, 1).expect("made of a date");
        UtcMs::from(first.to_zoned(TimeZone::UTC).expect("UTC has every date").timestamp())
    }

    /// When the next one begins.
    pub fn end(self) -> UtcMs {
        self.next().start()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_its_name_and_its_edges() {
        let time = |text: &str| text.parse::<UtcMs>().unwrap();
        let month = Month::of(time("2026-12-31T23:59:59.999Z"));
        assert_eq!((month.to_string().as_str(), Month::named("2026-12")), ("2026-12", Some(month)));
        assert_eq!((month.start(), month.end()), (time("2026-12-01T00:00:00Z"), time("2027-01-01T00:00:00Z")));
        for name in ["2026-13", "2026-1", "2026-12.db", "x"] {
            assert_eq!(Month::named(name), None, "{name}");
        }
    }
}
