//! Asks politely: one request at a time, a pause before each, an end in time, and a tally of how it went.

use std::time::Duration;

use riverwatts_shared::profile::Function;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::target::Target;
use crate::bus::Identify;
use crate::bus::frame::Request;
use crate::bus::wire::{Failure, Pace, Wire};

/// Connections lost in a row after which the link counts as gone.
const LOST_MAX: u32 = 3;
/// Pause before a connection that was lost is opened again.
const RECONNECT: Duration = Duration::from_secs(1);
/// Most answer times that are remembered.
const TIMES_MAX: usize = 10_000;

/// What a request brought.
pub type Answer = Result<Vec<u16>, Failure>;

/// Why there are no more requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Somebody stopped it.
    #[error("stopped")]
    Stopped,
    /// It took too long.
    #[error("the time was over; give more by --within")]
    OutOfTime,
    /// There is no connection.
    #[error("{0}")]
    Lost(String),
}

/// How requests went.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How long answers took, refusals included.
    times: Vec<Duration>,
    /// Requests that were refused.
    pub exceptions: u32,
    /// Requests without an answer.
    pub silent: u32,
    /// Answers that were none.
    pub bad: u32,
    /// Connections that broke.
    pub lost: u32,
}

/// How requests went, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Margins {
    /// Requests sent.
    pub requests: u32,
    /// Those that were answered, if only by a refusal.
    pub answered: u32,
    /// Median time from request to answer, ms.
    pub median_ms: Option<f64>,
    /// The longest.
    pub worst_ms: Option<f64>,
    /// Requests without an answer.
    pub silent: u32,
    /// Answers that were none.
    pub bad: u32,
    /// Connections that broke.
    pub lost: u32,
    /// What went wrong, per thousand requests.
    pub errors_per_1000: f64,
}

/// A wire that is probed.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    quiet: Duration,
    timeout: Duration,
    one_request: bool,
    end: Instant,
    stop: CancellationToken,
    last: Instant,
    lost_in_a_row: u32,
    heard: bool,
    tally: Tally,
}

impl Session {
    /// Nothing is opened before the first request. It ends when `stop` is cancelled, or after `within`.
    pub fn new(target: &Target, within: Duration, stop: CancellationToken) -> Session {
        let now = Instant::now();
        let bus = target.bus();
        Session {
            wire: Wire::new(bus.link.clone(), bus.gap),
            quiet: target.quiet,
            timeout: target.timeout,
            one_request: false,
            end: now + within,
            stop,
            last: now - target.quiet,
            lost_in_a_row: 0,
            heard: false,
            tally: Tally::default(),
        }
    }

    /// Keeps to what a device needs from now on.
    pub fn suit(&mut self, quiet: Duration, timeout: Duration, one_request: bool) {
        self.quiet = quiet;
        self.timeout = timeout;
        self.one_request = one_request;
    }

    /// How long an answer may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether anybody answered anything, if only to refuse.
    pub const fn heard(&self) -> bool {
        self.heard
    }

    /// How it went since the last time, or since the beginning.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Reads registers once.
    ///
    /// # Errors
    /// When there are to be no more requests; what the device does is in the answer.
    pub async fn read(&mut self, unit: u8, function: Function, start: u16, count: u16) -> Result<Answer, Ended> {
        self.wait().await?;
        let pace = self.pace();
        let request = Request { unit, function, start, count };
        let stop = self.stop.clone();
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            answer = self.wire.read(&request, pace) => answer,
        };
        let answer = answer.map(|()| self.wire.words().to_vec());
        self.count(answer.as_ref().err()).await?;
        Ok(answer)
    }

    /// Asks a device what it says about itself; see [`Wire::ask`].
    ///
    /// # Errors
    /// When there are to be no more requests.
    pub(crate) async fn ask(
        &mut self,
        unit: u8,
        question: Identify,
        length: fn(&[u8]) -> Option<usize>,
    ) -> Result<Result<Vec<u8>, Failure>, Ended> {
        self.wait().await?;
        let pace = self.pace();
        let stop = self.stop.clone();
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            answer = self.wire.ask(unit, question, pace, length) => answer,
        };
        self.last = Instant::now();
        if let Err(Failure::Lost(_) | Failure::Unreachable(_)) = &answer {
            self.count(answer.as_ref().err()).await?;
        }
        Ok(answer)
    }

    fn pace(&self) -> Pace {
        Pace { quiet: Duration::ZERO, timeout: self.timeout, one_request: self.one_request }
    }

    /// Keeps the pause, so that it is not taken for the device's time.
    async fn wait(&mut self) -> Result<(), Ended> {
        if self.stop.is_cancelled() {
            return Err(Ended::Stopped);
        }
        if Instant::now() >= self.end {
            return Err(Ended::OutOfTime);
        }
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Ended::Stopped),
            () = sleep_until(self.last + self.quiet) => Ok(()),
        }
    }

    async fn count(&mut self, failure: Option<&Failure>) -> Result<(), Ended> {
        self.last = Instant::now();
        match failure {
            None | Some(Failure::Exception(_)) => {
                // With 10 and 11, a gateway answers in place of a device that does not.
                self.heard |= !matches!(failure, Some(Failure::Exception(10 | 11)));
                self.tally.exceptions += u32::from(failure.is_some());
                if self.tally.times.len() < TIMES_MAX {
                    self.tally.times.push(self.wire.took());
                }
                self.lost_in_a_row = 0;
            }
            Some(Failure::Silent(_)) => self.tally.silent += 1,
            Some(Failure::Bad(_)) => self.tally.bad += 1,
            Some(Failure::Lost(words) | Failure::Unreachable(words)) => {
                self.tally.lost += 1;
                self.lost_in_a_row += 1;
                if self.wire.attempts().connections == 0 || self.lost_in_a_row >= LOST_MAX {
                    return Err(Ended::Lost(words.clone()));
                }
                sleep(RECONNECT).await;
            }
        }
        Ok(())
    }
}

impl Tally {
    /// In numbers.
    pub fn margins(&self) -> Margins {
        let mut times = self.times.clone();
        times.sort_unstable();
        let ms = |time: &Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        let answered = times.len() as u32;
        let errors = self.silent + self.bad + self.lost;
        let requests = answered + errors;
        Margins {
            requests,
            answered,
            median_ms: times.get(times.len() / 2).map(ms),
            worst_ms: times.last().map(ms),
            silent: self.silent,
            bad: self.bad,
            lost: self.lost,
            errors_per_1000: f64::from(errors) * 1_000.0 / f64::from(requests.max(1)),
        }
    }
}
