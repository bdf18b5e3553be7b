//! One request at a time on one socket or serial port: connecting and reconnecting, quiet time,
//! time-outs, late and foreign answers.
//!
//! What happens to the connection after a failure:
//! - an exception is an answer; nothing happens;
//! - no answer: a socket is kept, since transaction ids tell a late answer from the next one, until
//!   [`SILENCES_MAX`] requests in a row brought nothing at all; a serial line (and RTU in a socket),
//!   where nothing tells them apart, is listened to until it is still, and the silent device is not
//!   asked again before its time-out has passed once more;
//! - a frame that is none: a socket has lost its step and is closed, a serial line is drained;
//! - a lost socket or a vanished port is opened again, later and later while that fails.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::command::Exchange;
use super::frame::{FRAME_MAX, Received, Request, exception_words};
use super::port::{Port, open};
use crate::config::Link;
use crate::plan::wire::Line;
use crate::write::Command;

/// Requests in a row without any answer after which a socket is taken for dead.
pub const SILENCES_MAX: u32 = 3;
/// First and longest pause between two attempts to connect.
pub const RECONNECT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A serial line is still when nothing came for this long, or for its own silence if longer.
const STILL: Duration = Duration::from_millis(20);
/// A serial line that babbles is not listened to for longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// Silences up to this long are slept through on the thread of a serial bus: a runtime's timer has
/// steps of a millisecond.
const PRECISE_MAX: Duration = Duration::from_millis(50);

/// Why a request brought no words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The device is there and refuses: exception code.
    #[error("exception {0}: {words}", words = exception_words(*.0))]
    Exception(u8),
    /// Nothing came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// Something came that is no answer.
    #[error("{0}")]
    Bad(&'static str),
    /// There is no connection.
    #[error("{0}")]
    Lost(String),
}

/// How long to wait before and after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Silence to keep before the request.
    pub quiet: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Whether the device closes a socket after each answer, so that it is not to be used again.
    pub one_request: bool,
}

/// The wire of one bus.
#[derive(Debug)]
pub struct Wire {
    link: Link,
    line: Option<Line>,
    gap: Duration,
    port: Option<Box<dyn Port>>,
    connections: u64,
    failed_attempts: u32,
    next_attempt: Instant,
    /// Why the last attempt failed.
    last_refusal: String,
    transaction: u16,
    silences: u32,
    last_unit: Option<u8>,
    /// A device that may still answer an old request, and until when.
    owing: Option<(u8, Instant)>,
    /// When the last byte was sent or received.
    last_byte: Instant,
    buffer: [u8; FRAME_MAX],
    words: Vec<u16>,
}

impl Wire {
    /// A wire that connects when it is first used. `gap` is the silence before a request to
    /// another unit than the last.
    pub fn new(link: Link, gap: Duration) -> Self {
        let line = link.serial().map(|serial| Line {
            baud: serial.baud,
            parity: serial.parity,
            stop_bits: serial.stop_bits,
            quiet: Duration::ZERO,
        });
        let now = Instant::now();
        Wire {
            link,
            line,
            gap,
            port: None,
            connections: 0,
            failed_attempts: 0,
            next_attempt: now,
            last_refusal: String::new(),
            transaction: 0,
            silences: 0,
            last_unit: None,
            owing: None,
            last_byte: now,
            buffer: [0; FRAME_MAX],
            words: Vec::new(),
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.port.is_some()
    }

    /// How often a connection came about.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Reads registers, see [`words`](Self::words). A socket that the other side closed after an earlier answer is opened
    /// again at once; reads may be repeated.
    pub async fn read(&mut self, request: &Request, pace: Pace) -> Result<(), Failure> {
        let used_before = self.port.is_some();
        let mut result = self.attempt(request, pace).await;
        if used_before && matches!(result, Err(Failure::Lost(_))) {
            result = self.attempt(request, pace).await;
        }
        result
    }

    /// The registers that the last successful [`read`](Self::read) brought, as many as were asked for.
    pub fn words(&self) -> &[u16] {
        &self.words
    }

    /// Writes, once. Only an exception says for sure that nothing was written; after any other failure
    /// look before you write again.
    pub async fn write(&mut self, command: &Command, pace: Pace) -> Result<(), Failure> {
        self.attempt(command, pace).await
    }

    async fn attempt(&mut self, request: &impl Exchange, pace: Pace) -> Result<(), Failure> {
        self.connect().await?;
        self.keep_quiet(request.unit(), pace.quiet).await;
        let outcome = match self.exchange(request, pace.timeout).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.port = None;
                // An end of file may carry the words "Success (os error 0)".
                let cause = error.raw_os_error().filter(|&code| code != 0).map(|_| error.to_string());
                let cause = cause.unwrap_or_else(|| "closed by the other side".to_owned());
                return Err(Failure::Lost(format!("connection lost: {cause}")));
            }
        };
        self.last_unit = Some(request.unit());
        match &outcome {
            Err(Failure::Silent(_)) => {
                self.silences += 1;
                if self.framed_by_time() {
                    self.drain().await;
                    self.owing = Some((request.unit(), Instant::now() + pace.timeout));
                }
                if self.line.is_none() && self.silences >= SILENCES_MAX {
                    self.port = None;
                }
            }
            Err(Failure::Bad(_)) if self.framed_by_time() => self.drain().await,
            Err(Failure::Bad(_)) => self.port = None,
            _ => self.silences = 0,
        }
        if pace.one_request && !self.framed_by_time() {
            self.port = None;
        }
        outcome
    }

    /// Whether silence alone parts the frames.
    fn framed_by_time(&self) -> bool {
        !matches!(self.link, Link::Tcp { .. })
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        if self.port.is_some() {
            return Ok(());
        }
        if Instant::now() < self.next_attempt {
            return Err(Failure::Lost(self.last_refusal.clone()));
        }
        match open(&self.link).await {
            Ok(port) => {
                self.port = Some(port);
                self.connections += 1;
                self.failed_attempts = 0;
                self.silences = 0;
                self.last_unit = None;
                self.owing = None;
                Ok(())
            }
            Err(words) => {
                let [first, longest] = RECONNECT;
                let pause = first.saturating_mul(1 << self.failed_attempts.min(16)).min(longest);
                self.failed_attempts += 1;
                self.next_attempt = Instant::now() + pause;
                self.last_refusal.clone_from(&words);
                Err(Failure::Lost(words))
            }
        }
    }

    /// Waits until the wire was silent for long enough.
    async fn keep_quiet(&self, unit: u8, quiet: Duration) {
        let line = self.line.map(|line| line.silence()).unwrap_or_default();
        let gap = if self.last_unit.is_some_and(|last| last != unit) { self.gap } else { Duration::ZERO };
        let silence = self.last_byte + line.max(quiet).max(gap);
        let until = match self.owing {
            Some((owing, until)) if owing == unit => until.max(silence),
            _ => silence,
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if self.line.is_some() && left <= PRECISE_MAX {
            std::thread::sleep(left);
        } else {
            sleep_until(until).await;
        }
    }

    /// One request and its answer. An outer error is one of the connection.
    async fn exchange(&mut self, request: &impl Exchange, timeout: Duration) -> std::io::Result<Result<(), Failure>> {
        let rtu = self.framed_by_time();
        let Some(port) = self.port.as_mut() else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let deadline = Instant::now() + timeout;
        let mut deadline = deadline;
        if rtu {
            // What still lies there answers an earlier request.
            while let Some(stale) = port.read(&mut self.buffer).now_or_never() {
                if stale? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            // The time-out is the device's; the wire's own time comes on top.
            if let Some(line) = &self.line {
                deadline += line.bytes((request.on_rtu().as_ref().len() + request.rtu_answer_bytes()) as u32);
            }
        }
        self.transaction = self.transaction.wrapping_add(1);
        let sent = match rtu {
            true => timeout_at(deadline, port.write_all(request.on_rtu().as_ref())).await,
            false => timeout_at(deadline, port.write_all(request.on_tcp(self.transaction).as_ref())).await,
        };
        let Ok(sent) = sent else { return Err(std::io::ErrorKind::TimedOut.into()) };
        sent?;

        let mut filled = 0;
        loop {
            let received = match rtu {
                true => request.receive_rtu(&self.buffer[..filled], &mut self.words),
                false => request.receive_tcp(self.transaction, &self.buffer[..filled], &mut self.words),
            };
            match received {
                Received::Words => return Ok(Ok(())),
                Received::Exception(code) => return Ok(Err(Failure::Exception(code))),
                Received::Bad(words) => return Ok(Err(Failure::Bad(words))),
                Received::Late(length) => {
                    self.buffer.copy_within(length..filled, 0);
                    filled -= length;
                    continue;
                }
                Received::Partial if filled == self.buffer.len() => {
                    return Ok(Err(Failure::Bad("answer without an end")));
                }
                Received::Partial => {}
            }
            match timeout_at(deadline, port.read(&mut self.buffer[filled..])).await {
                Err(_) if filled > 0 => return Ok(Err(Failure::Bad("answer that broke off"))),
                Err(_) => return Ok(Err(Failure::Silent(timeout))),
                Ok(read) => match read? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    read => filled += read,
                },
            }
            self.last_byte = Instant::now();
        }
    }

    /// Reads and forgets until the wire is still.
    async fn drain(&mut self) {
        let Some(port) = self.port.as_mut() else { return };
        let still = self.line.map_or(STILL, |line| line.silence().max(STILL));
        let end = Instant::now() + DRAIN_MAX;
        while Instant::now() < end {
            match timeout_at(Instant::now() + still, port.read(&mut self.buffer)).await {
                Err(_) => return,
                Ok(Ok(read)) if read > 0 => self.last_byte = Instant::now(),
                Ok(_) => {
                    self.port = None;
                    return;
                }
            }
        }
    }
}
