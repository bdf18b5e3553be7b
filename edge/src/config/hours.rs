//! Hours of the site's day, such as `22:00-06:00`.

use std::fmt;

use super::read::{Raw, Wrong, texts, wrong};

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Most spans of a day.
const SPANS_MAX: usize = 24;

/// A span of every day, over midnight where it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minute of the day at which it begins, below 1,440.
    pub from: u16,
    /// Minute at which it ends, from 1 to 1,440.
    pub until: u16,
}

impl Hours {
    /// Whether this minute of the day lies in it.
    pub const fn contains(self, minute: u16) -> bool {
        match self.from < self.until {
            true => self.from <= minute && minute < self.until,
            false => self.from <= minute || minute < self.until,
        }
    }

    /// Minutes from this one of the day until it begins.
    pub const fn begins_in(self, minute: u16) -> u16 {
        (self.from + DAY - minute) % DAY
    }

    fn parse(text: &str) -> Option<Hours> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let (hour, minute) = (digits(hour).then_some(hour)?, digits(minute).then_some(minute)?);
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
        };
        let (from, until) = text.split_once('-')?;
        let (from, until) = (minute(from)?, minute(until)?);
        let until = if until == 0 { DAY } else { until };
        (from != until && from < DAY).then_some(Hours { from, until })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// A list of hours; in a layer above the file with commas.
pub(super) fn hours(raw: Raw<'_>) -> Result<Vec<Hours>, Wrong> {
    let spans: Vec<String> = match raw {
        Raw::Text(text) => text.split(',').map(str::trim).filter(|span| !span.is_empty()).map(str::to_owned).collect(),
        Raw::Item(_) => texts(raw).map_err(|wrong| wrong.with_remedy("write it like [\"22:00-06:00\"]"))?,
    };
    if spans.len() > SPANS_MAX {
        return Err(wrong(format!("has {} spans, more than {SPANS_MAX}", spans.len()), "join some"));
    }
    let parsed = spans.iter().map(|span| {
        let remedy = "write the beginning and the end of each as hours and minutes: 22:00-06:00";
        Hours::parse(span).ok_or_else(|| wrong(format!("`{span}` is no span of a day"), remedy))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_lie_within_a_day_or_around_midnight() {
        for (text, inside, outside) in [
            ("08:00-17:30", vec![480, 1_049], vec![0, 479, 1_050]),
            ("22:00-06:00", vec![1_320, 1_439, 0, 359], vec![360, 1_319]),
            ("18:00-24:00", vec![1_080, 1_439], vec![0, 1_079]),
            ("18:00-00:00", vec![1_439], vec![0]),
            ("00:00-24:00", vec![0, 720, 1_439], vec![]),
        ] {
            let hours = Hours::parse(text).unwrap();
            assert!(inside.iter().all(|&minute| hours.contains(minute)), "{text}");
            assert!(!outside.iter().any(|&minute| hours.contains(minute)), "{text}");
        }
        for text in [
            "",
            "22:00",
            "22-06",
            "6:00-7:00",
            "22:00-22:00",
            "25:00-26:00",
            "24:00-06:00",
            "10:60-11:00",
            "+1:00-02:00",
        ] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
        assert_eq!(Hours::parse("22:00-06:00").unwrap().to_string(), "22:00-06:00");
    }

    #[test]
    fn the_beginning_of_hours_is_counted_over_midnight() {
        let hours = Hours { from: 1_320, until: 360 };
        assert_eq!((hours.begins_in(1_319), hours.begins_in(360), hours.begins_in(1_320)), (1, 960, 0));
        assert_eq!(Hours { from: 60, until: 120 }.begins_in(1_380), 120);
    }
}
