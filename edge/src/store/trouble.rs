//! A disk that refuses: in what words, and when it is tried again. Pure.

use std::time::Duration;

/// First and longest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_secs(1);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A disk that takes longer for one piece of work is told of.
const SLOW: Duration = Duration::from_secs(5);

/// What keeps the store from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) words: String,
    pause: Duration,
    again_at: Duration,
}

impl Trouble {
    /// The disk refused; `before`: what it did the last time, if that was not mended.
    pub(super) fn after(before: Option<&Trouble>, words: String, now: Duration) -> Self {
        let pause = before.map_or(PAUSE_MIN, |before| (before.pause * 2).min(PAUSE_MAX));
        Trouble { words, pause, again_at: now + pause }
    }

    /// Whether it is time for another attempt.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.again_at
    }
}

/// What is to be said of work that has gone on since then.
pub(super) fn slow(since: Duration, now: Duration) -> Option<String> {
    let lasts = now.saturating_sub(since);
    (lasts >= SLOW).then(|| format!("the disk has not answered for {} s", lasts.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let (mut trouble, mut now, mut pauses) = (None, Duration::ZERO, Vec::new());
        for _ in 0..9 {
            let next = Trouble::after(trouble.as_ref(), "no".to_owned(), now);
            assert!(!next.is_due(now));
            let before = now;
            while !next.is_due(now) {
                now += PAUSE_MIN;
            }
            pauses.push((now - before).as_secs());
            trouble = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn work_that_lasts_is_told_of() {
        let at = Duration::from_secs;
        assert_eq!((slow(at(10), at(14)), slow(at(10), at(9))), (None, None));
        assert_eq!(slow(at(10), at(40)).as_deref(), Some("the disk has not answered for 30 s"));
    }
}
