//! Slows down guessing: so many failures per key and time, then nothing until the time is over.

use std::collections::HashMap;
use std::sync::Mutex;

use riverwatts_shared::time::UtcMs;

/// Length of a window, in ms.
const WINDOW_MS: i64 = 15 * 60_000;
/// Most keys that are remembered; when it is reached, the window that ends first is forgotten.
const KEYS_MAX: usize = 10_000;

/// Counts failures per key in fixed windows.
#[derive(Debug, Default)]
pub struct Throttle {
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    ends: UtcMs,
    failures: u32,
}

/// Too many failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {retry_after_s} s")]
pub struct Throttled {
    /// Seconds until the window ends.
    pub retry_after_s: u32,
}

impl Throttle {
    /// Counts an attempt at `key` as failed until [`Throttle::succeed`] takes it back, so that many
    /// attempts at once count too. At most `failures_max` are let through per window.
    pub fn attempt(&self, key: &str, failures_max: u32, now: UtcMs) -> Result<(), Throttled> {
        let mut windows = self.windows.lock().expect("never poisoned: nothing panics inside");
        if windows.len() >= KEYS_MAX && !windows.contains_key(key) {
            windows.retain(|_, window| window.ends > now);
            if windows.len() >= KEYS_MAX {
                let first = windows.iter().min_by_key(|(_, window)| window.ends).map(|(key, _)| key.clone());
                first.and_then(|key| windows.remove(&key));
            }
        }
        let fresh = Window { ends: now.plus_ms(WINDOW_MS), failures: 0 };
        let window = windows.entry(key.to_owned()).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        if window.failures >= failures_max {
            let retry_after_s = (window.ends.since_ms(now) + 999) / 1_000;
            return Err(Throttled { retry_after_s: retry_after_s as u32 });
        }
        window.failures += 1;
        Ok(())
    }

    /// Takes back one attempt that turned out well.
    pub fn succeed(&self, key: &str) {
        let mut windows = self.windows.lock().expect("never poisoned: nothing panics inside");
        if let Some(window) = windows.get_mut(key) {
            window.failures = window.failures.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_and_successes_do_not() {
        let throttle = Throttle::default();
        let now = UtcMs(0);
        for _ in 0..10 {
            assert_eq!(throttle.attempt("a", 2, now), Ok(()));
            throttle.succeed("a");
        }
        assert_eq!(throttle.attempt("a", 2, now), Ok(()));
        assert_eq!(throttle.attempt("a", 2, now), Ok(()));
        assert_eq!(throttle.attempt("a", 2, UtcMs(1)), Err(Throttled { retry_after_s: 900 }));
        assert_eq!(throttle.attempt("b", 2, now), Ok(()));
        assert_eq!(throttle.attempt("a", 2, UtcMs(WINDOW_MS)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for i in 0..KEYS_MAX as i64 + 10 {
            assert_eq!(throttle.attempt(&i.to_string(), 1, UtcMs(i)), Ok(()));
        }
        assert_eq!(throttle.windows.lock().unwrap().len(), KEYS_MAX);
    }
}
