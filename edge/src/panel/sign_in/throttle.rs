//! Slows down guessing: after some failures each further attempt waits longer, of one address and,
//! less so, of all together. Pure, with time as a parameter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Failures that cost no wait: people mistype.
const FREE: u32 = 5;
/// The same of all addresses together.
const FREE_OF_ALL: u32 = 30;
/// The first wait; each further one is twice as long.
const WAIT: Duration = Duration::from_secs(1);
/// Longest wait of an address: 300 guesses a day.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Longest wait of all together: 8,640 guesses a day by however many, and nobody locks others out for long.
const WAIT_OF_ALL_MAX: Duration = Duration::from_secs(10);
/// After so long without an attempt, failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);
/// Most addresses that are remembered; then the one that was heard longest ago is forgotten.
const ADDRESSES_MAX: usize = 256;

/// Counts attempts that have not turned out well.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    by_address: HashMap<IpAddr, Failures>,
    of_all: Failures,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Duration,
    next: Duration,
}

impl Failures {
    /// How long until an attempt is heard.
    fn left(&self, now: Duration) -> Duration {
        self.next.saturating_sub(now)
    }

    fn add(&mut self, now: Duration, free: u32, wait_max: Duration) {
        if now.saturating_sub(self.last) > FORGET_AFTER {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        if let Some(beyond) = self.count.checked_sub(free) {
            self.next = now + WAIT.saturating_mul(1 << beyond.min(16)).min(wait_max);
        }
    }
}

impl Throttle {
    /// Counts an attempt as failed until [`Throttle::succeed`] takes it back, so that many at once count
    /// too.
    ///
    /// # Errors
    /// When it comes too early: how long to wait.
    pub(super) fn attempt(&mut self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let own = self.by_address.get(&address).copied().unwrap_or_default();
        let left = own.left(now).max(self.of_all.left(now));
        if !left.is_zero() {
            return Err(left);
        }
        if self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&address) {
            let oldest = self.by_address.iter().min_by_key(|(_, failures)| failures.last).map(|(address, _)| *address);
            oldest.and_then(|address| self.by_address.remove(&address));
        }
        self.by_address.entry(address).or_default().add(now, FREE, WAIT_MAX);
        self.of_all.add(now, FREE_OF_ALL, WAIT_OF_ALL_MAX);
        Ok(())
    }

    /// The last attempt of this address turned out well.
    pub(super) fn succeed(&mut self, address: IpAddr) {
        self.by_address.remove(&address);
        self.of_all.count = self.of_all.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        IpAddr::from(last.to_be_bytes())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How many attempts are heard of an address that tries all the time.
    fn heard(throttle: &mut Throttle, from: u64, to: u64, address: impl Fn(u64) -> IpAddr) -> usize {
        (from..to).filter(|&second| throttle.attempt(address(second), at(second)).is_ok()).count()
    }

    #[test]
    fn who_guesses_waits_longer_each_time_and_who_knows_does_not() {
        let mut throttle = Throttle::default();
        for second in 0..100 {
            assert_eq!(throttle.attempt(address(1), at(second)), Ok(()));
            throttle.succeed(address(1));
        }
        for (second, wait) in [(100, 0), (100, 0), (100, 0), (100, 0), (100, 1), (101, 2), (103, 4), (107, 8)] {
            assert_eq!(throttle.attempt(address(1), at(second)), Ok(()));
            assert_eq!(throttle.by_address[&address(1)].left(at(second)), at(wait));
        }
        assert_eq!(throttle.attempt(address(1), at(107)), Err(at(8)));
        assert_eq!(throttle.attempt(address(2), at(107)), Ok(()), "another address does not wait");
        throttle.succeed(address(2));
        let day = heard(&mut throttle, 1_000, 87_400, |_| address(1));
        assert!((250..320).contains(&day), "{day} guesses a day");
    }

    #[test]
    fn many_addresses_together_are_slow_too_and_memory_is_bounded() {
        let mut throttle = Throttle::default();
        let day = heard(&mut throttle, 0, 86_400, |second| address(second as u32));
        assert!((8_600..8_750).contains(&day), "{day} guesses a day");
        assert_eq!(throttle.by_address.len(), ADDRESSES_MAX);
        assert!(throttle.attempt(address(1), at(90_100)).is_ok());
        assert_eq!(throttle.of_all.count, 1, "an hour of silence");
    }
}
