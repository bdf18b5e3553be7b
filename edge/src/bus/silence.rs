//! The silence that a wire keeps before a request: the line's own, that of the device, that between two
//! devices, and the time in which a device may still answer an old request.

use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::plan::wire::Line;

/// The end of a silence on a serial line is slept through on the thread of its bus: a runtime's timer
/// has steps of a millisecond. Short, so that the end of the gateway need not wait.
const PRECISE: Duration = Duration::from_millis(4);

/// When the wire was heard last, and who may still speak.
#[derive(Debug)]
pub struct Silence {
    line: Option<Line>,
    gap: Duration,
    /// When the last byte was sent or received.
    last_byte: Instant,
    /// Devices that may still answer an old request, and until when.
    owing: Vec<(u8, Instant)>,
}

impl Silence {
    /// `line` where it is a serial one. `gap` is the silence before a request to another unit than the last.
    pub fn new(line: Option<Line>, gap: Duration) -> Self {
        Silence { line, gap, last_byte: Instant::now(), owing: Vec::new() }
    }

    /// A byte was sent or received.
    pub fn broken(&mut self) {
        self.last_byte = Instant::now();
    }

    /// For so long from now on, an answer of `unit` may be one to an old request.
    pub fn owe(&mut self, unit: u8, timeout: Duration) {
        let now = Instant::now();
        self.owing.retain(|&(other, until)| other != unit && until > now);
        self.owing.push((unit, now + timeout));
    }

    /// Waits until `unit` may be asked, which needs `quiet`, after `last` was.
    pub async fn keep(&self, unit: u8, last: Option<u8>, quiet: Duration) {
        let line = self.line.map(|line| line.silence()).unwrap_or_default();
        let gap = if last.is_some_and(|last| last != unit) { self.gap } else { Duration::ZERO };
        let silence = self.last_byte + line.max(quiet).max(gap);
        let owing = self.owing.iter().find(|(owing, _)| *owing == unit);
        let until = owing.map_or(silence, |&(_, until)| until.max(silence));
        let left = || until.saturating_duration_since(Instant::now());
        match self.line {
            None if left().is_zero() => {}
            None => sleep_until(until).await,
            Some(_) => {
                if left() > PRECISE {
                    sleep_until(until - PRECISE / 2).await;
                }
                thread::sleep(left());
            }
        }
    }
}
