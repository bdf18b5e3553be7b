//! The socket or port of a bus: opened when it is needed, later and later while that fails.

use std::time::Duration;

use tokio::time::Instant;

use super::port::{Port, open};
use super::rts::Switch;
use crate::config::Link;

/// First and longest pause between two attempts to connect.
pub const RECONNECT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How often connections came about, and how often not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// Connections.
    pub connections: u64,
    /// Attempts without one.
    pub refused: u64,
    /// Connections after such attempts: somebody put the cable back, or switched something on.
    pub returns: u64,
}

/// A socket or port that may be open.
#[derive(Debug)]
pub struct Connection {
    link: Link,
    /// While it is open.
    pub port: Option<Box<dyn Port>>,
    /// Where we have to switch its transmitter.
    pub switch: Option<Switch>,
    /// Since the beginning.
    pub attempts: Attempts,
    failed: u32,
    next_attempt: Instant,
    /// Why the last attempt failed.
    refusal: String,
}

impl Connection {
    /// Not yet open.
    pub fn new(link: Link) -> Self {
        Connection {
            link,
            port: None,
            switch: None,
            attempts: Attempts::default(),
            failed: 0,
            next_attempt: Instant::now(),
            refusal: String::new(),
        }
    }

    /// Whether silence and check sums part the frames, rather than lengths.
    pub fn is_rtu(&self) -> bool {
        !matches!(self.link, Link::Tcp { .. })
    }

    /// Opens it unless it is open; true when that was needed.
    ///
    /// # Errors
    /// Why it cannot be opened, in words; also while it is too early for a further attempt.
    pub async fn open(&mut self) -> Result<bool, String> {
        if self.port.is_some() {
            return Ok(false);
        }
        if Instant::now() < self.next_attempt {
            return Err(self.refusal.clone());
        }
        match open(&self.link).await {
            Ok((port, switch)) => {
                (self.port, self.switch) = (Some(port), switch);
                self.attempts.connections += 1;
                self.attempts.returns += u64::from(self.failed > 0);
                self.failed = 0;
                Ok(true)
            }
            Err(words) => {
                let [first, longest] = RECONNECT;
                let pause = first.saturating_mul(1 << self.failed.min(16)).min(longest);
                self.failed += 1;
                self.attempts.refused += 1;
                self.next_attempt = Instant::now() + pause;
                self.refusal.clone_from(&words);
                Err(words)
            }
        }
    }

    /// Closes it.
    pub fn close(&mut self) {
        self.port = None;
    }
}
