//! Points in time and the clocks that tell them.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A UTC instant in whole milliseconds since 1970-01-01; as text always
/// `2026-11-24T08:15:30.250Z` (RFC 3339, UTC, milliseconds).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UtcMs(pub i64);

impl UtcMs {
    /// The whole duration from `earlier` to `self`, in milliseconds; negative when `self` is earlier.
    pub fn since_ms(self, earlier: UtcMs) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved by `ms` (either sign), saturating.
    pub fn plus_ms(self, ms: i64) -> UtcMs {
        UtcMs(self.0.saturating_add(ms))
    }

    /// The same instant for calendar arithmetic; clamps to the range of [`Timestamp`] (years -9999 to 9999).
    pub fn to_timestamp(self) -> Timestamp {
        // Whole seconds: the milliseconds of the last one are refused.
        let ms = self.0.clamp(Timestamp::MIN.as_second() * 1_000, Timestamp::MAX.as_second() * 1_000);
        Timestamp::from_millisecond(ms).expect("clamped to the range of Timestamp")
    }
}

impl From<Timestamp> for UtcMs {
    fn from(timestamp: Timestamp) -> Self {
        UtcMs(timestamp.as_millisecond())
    }
}

impl fmt::Display for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_timestamp())
    }
}

/// A text that is no RFC 3339 time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no time; write it like 2026-11-24T08:15:30.250Z")]
pub struct ParseTimeError {
    text: String,
}

impl FromStr for UtcMs {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let error = || ParseTimeError { text: text.to_owned() };
        // jiff also reads forms that are no RFC 3339 (a bracketed zone, a space, no seconds).
        let rfc3339 = text.len() >= 20 && text.as_bytes()[10] == b'T' && !text.ends_with(']');
        if !rfc3339 {
            return Err(error());
        }
        text.parse::<Timestamp>().map(UtcMs::from).map_err(|_| error())
    }
}

impl Serialize for UtcMs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for UtcMs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UtcMs".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Where the pure parts get the time from, so that tests can hold it still.
pub trait Clock: Send + Sync + fmt::Debug {
    /// What the machine believes the time to be; may jump in either direction.
    fn wall(&self) -> UtcMs;
    /// Time since some fixed instant of this boot; never jumps, never goes back.
    fn monotonic(&self) -> Duration;
}

/// The clock of the operating system; its monotonic time starts when it is made.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> UtcMs {
        Timestamp::now().into()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to move; for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that says `wall` and zero monotonic time.
    pub fn at(wall: UtcMs) -> Self {
        ManualClock { wall_ms: AtomicI64::new(wall.0), monotonic_ms: AtomicU64::new(0) }
    }

    /// Lets `duration` pass on both.
    pub fn advance(&self, duration: Duration) {
        let ms = duration.as_millis() as u64;
        self.wall_ms.fetch_add(ms as i64, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as a person or a time server would.
    pub fn set_wall(&self, wall: UtcMs) {
        self.wall_ms.store(wall.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UtcMs {
        UtcMs(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst))
    }
}

/// Why a text is no duration of the settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no duration; write it like 500ms, 10s, 15m, 24h or 7d")]
pub struct ParseDurationError {
    text: String,
}

/// Reads a duration as the settings write it: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let error = || ParseDurationError { text: text.to_owned() };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| error())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(error()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_z() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_508_130_250, "2026-11-24T08:15:30.250Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(UtcMs(ms).to_string(), text);
            assert_eq!(text.parse::<UtcMs>(), Ok(UtcMs(ms)));
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_its_ends() {
        assert_eq!(UtcMs(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(UtcMs(i64::MIN).to_string(), "-009999-01-02T01:59:59.000Z");
    }

    #[test]
    fn only_rfc_3339_is_a_time() {
        assert_eq!("2026-11-24T08:15:30+02:00".parse::<UtcMs>(), "2026-11-24T06:15:30Z".parse());
        for text in
            ["", "now", "2026-11-24", "2026-11-24 08:15:30Z", "2026-11-24T08:15:30", "2026-11-24T08:15:30Z[UTC]"]
        {
            assert!(text.parse::<UtcMs>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
