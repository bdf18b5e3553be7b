//! The share of the time that the requests of a bus take.

use std::time::Duration;

use tokio::time::Instant;

use super::status::LOAD_WINDOW;

/// Measures it over windows of [`LOAD_WINDOW`].
#[derive(Debug)]
pub struct Load {
    since: Instant,
    busy: Duration,
    last: Option<f64>,
    now: Instant,
}

impl Load {
    /// Nothing was asked yet.
    pub fn new(now: Instant) -> Self {
        Load { since: now, busy: Duration::ZERO, last: None, now }
    }

    /// Until now, so long was spent on a poll.
    pub fn add(&mut self, now: Instant, busy: Duration) {
        self.busy += busy;
        self.now = now;
        if now - self.since >= LOAD_WINDOW {
            self.last = Some(self.current());
            self.since = now;
            self.busy = Duration::ZERO;
        }
    }

    /// The share, 0 to 1.
    pub fn share(&self) -> f64 {
        self.last.unwrap_or_else(|| self.current())
    }

    fn current(&self) -> f64 {
        let span = (self.now - self.since).as_secs_f64();
        if span > 0.0 { (self.busy.as_secs_f64() / span).min(1.0) } else { 0.0 }
    }
}
