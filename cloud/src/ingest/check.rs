//! Which readings may be stored: those of times that can be true, with values that are exact everywhere.

use riverwatts_shared::metric::VALUE_MAX;
use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::{ABSENT, Segment};
use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::RejectCode;

/// How long readings are kept as rows: 400 days. Older ones come too late.
pub const HORIZON_MS: i64 = 400 * 86_400_000;
/// How far a gateway's clock may be ahead of ours: 10 minutes.
pub const AHEAD_MS: i64 = 10 * 60_000;

/// One reading that is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its time.
    pub time: UtcMs,
    /// Why.
    pub code: RejectCode,
}

/// What may be known of a time at `now`; `None` when it can be true.
pub fn check_time(time: UtcMs, now: UtcMs) -> Option<RejectCode> {
    if time > now.plus_ms(AHEAD_MS) {
        Some(RejectCode::QuarantinedTime)
    } else if time < now.plus_ms(-HORIZON_MS) {
        Some(RejectCode::BeyondRetention)
    } else {
        None
    }
}

/// Takes out of a segment what may not be stored.
pub fn check(segment: Segment, now: UtcMs) -> (Segment, Vec<Refused>) {
    let too_large = |value: &i64| *value != ABSENT && value.unsigned_abs() > VALUE_MAX as u64;
    let times_fit = segment.times.first().is_none_or(|&first| check_time(UtcMs(first), now).is_none())
        && segment.times.last().is_none_or(|&last| check_time(UtcMs(last), now).is_none());
    if times_fit && !segment.columns.iter().any(|column| column.values.iter().any(too_large)) {
        return (segment, Vec::new());
    }
    let mut kept: Vec<Reading> = Vec::new();
    let mut refused = Vec::new();
    for (row, &time) in segment.times.iter().enumerate() {
        let time = UtcMs(time);
        let out_of_range = || {
            let large = segment.columns.iter().any(|column| too_large(&column.values[row]));
            large.then_some(RejectCode::OutOfRange)
        };
        match check_time(time, now).or_else(out_of_range) {
            Some(code) => refused.push(Refused { time, code }),
            None => kept.push(segment.reading(row)),
        }
    }
    let kept = Segment { time_uncertainty_s: segment.time_uncertainty_s, ..Segment::from_readings(&kept) };
    (kept, refused)
}

/// The reason as a sentence.
pub fn sentence(code: RejectCode) -> &'static str {
    match code {
        RejectCode::Conflict => "another reading is stored under this device and time",
        RejectCode::Invalid => "is no reading",
        RejectCode::OutOfRange => "a value is too large to be exact",
        RejectCode::UnknownDevice => "no such device at this gateway's site; announce it first",
        RejectCode::QuarantinedTime => "the time lies in the future",
        RejectCode::BeyondRetention => "the time lies further back than readings are kept",
    }
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::reading::Value;

    use super::*;

    const NOW: UtcMs = UtcMs(1_795_508_130_000);

    #[test]
    fn only_what_may_be_stored_stays() {
        let reading = |time: UtcMs, value| Reading { time, values: vec![Value::ok(Metric::POWER, value)] };
        let good =
            [reading(NOW.plus_ms(-HORIZON_MS), 1), reading(NOW, VALUE_MAX), reading(NOW.plus_ms(AHEAD_MS), -VALUE_MAX)];
        let all = [
            reading(good[0].time.plus_ms(-1), 1),
            good[0].clone(),
            reading(NOW.plus_ms(-1), VALUE_MAX + 1),
            good[1].clone(),
            reading(NOW.plus_ms(1), -VALUE_MAX - 1),
            good[2].clone(),
            reading(good[2].time.plus_ms(1), 1),
        ];
        let segment = Segment { time_uncertainty_s: 9, ..Segment::from_readings(&all) };
        let (kept, refused) = check(segment, NOW);
        assert_eq!(kept, Segment { time_uncertainty_s: 9, ..Segment::from_readings(&good) });
        let refused: Vec<(UtcMs, RejectCode)> = refused.iter().map(|refused| (refused.time, refused.code)).collect();
        let expected = [
            (all[0].time, RejectCode::BeyondRetention),
            (all[2].time, RejectCode::OutOfRange),
            (all[4].time, RejectCode::OutOfRange),
            (all[6].time, RejectCode::QuarantinedTime),
        ];
        assert_eq!(refused, expected);
    }
}
