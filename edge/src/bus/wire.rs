//! One request at a time on one socket or serial port: quiet time, time-outs, late and foreign
//! answers.
//!
//! What happens to the connection after a failure:
//! - an exception is an answer; nothing happens;
//! - no answer: a socket is kept, since transaction ids tell a late answer from the next one, until
//!   [`SILENCES_MAX`] requests in a row brought nothing at all; a serial line (and RTU in a socket),
//!   where nothing tells them apart, is listened to until it is still, and the silent device is not
//!   asked again before its time-out has passed once more;
//! - a frame that is none: a socket has lost its step and is closed, a serial line is drained;
//! - a lost socket or a vanished port is opened again, later and later while that fails.
//!
//! Frames of other units and late ones are skipped and counted; waiting goes on.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use riverwatts_shared::profile::Function;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::connection::{Attempts, Connection};
use super::frame::{Exchange, FRAME_MAX, Request, exception_words};
use super::inbox::{Answer, Framing, Inbox, Strays};
use super::other::{Identify, rtu_frame, rtu_pdu, tcp_frame, tcp_pdu};
use super::silence::Silence;
use crate::config::Link;
use crate::plan::wire::Line;
use crate::write::Command;

/// Requests in a row without any answer after which a socket is taken for dead.
pub const SILENCES_MAX: u32 = 3;
/// A serial line is still when nothing came for this long, or for its own silence if longer.
const STILL: Duration = Duration::from_millis(20);
/// A serial line that babbles is not listened to for longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// Fewer bytes than a frame can have are no sign of life: drivers that switch on or off make such.
const NOISE_MIN: u64 = 4;

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
    /// The connection broke off when the device was asked.
    #[error("connection lost: {0}")]
    Lost(String),
    /// There is no connection.
    #[error("{0}")]
    Unreachable(String),
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
    pub(super) connection: Connection,
    line: Option<Line>,
    silence: Silence,
    transaction: u16,
    silences: u32,
    /// Whether the request that is under way went out.
    sent: bool,
    last: Option<Request>,
    inbox: Inbox,
    words: Vec<u16>,
    /// From the last request sent to its answer.
    took: Duration,
}

impl Wire {
    /// A wire that connects when it is first used. `gap` is the silence before a request to
    /// another unit than the last.
    pub fn new(link: Link, gap: Duration) -> Self {
        let line = link.serial().map(|serial| Line::new(serial, Duration::ZERO));
        Wire {
            line,
            connection: Connection::new(link),
            silence: Silence::new(line, gap),
            transaction: 0,
            silences: 0,
            sent: false,
            last: None,
            inbox: Inbox::new(),
            words: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.port.is_some()
    }

    /// How often a connection came about, and how often not.
    pub fn attempts(&self) -> Attempts {
        self.connection.attempts
    }

    /// What came in beside the answers.
    pub fn strays(&self) -> Strays {
        self.inbox.strays
    }

    /// Reads registers, see [`words`](Self::words). A socket that the other side closed after an
    /// earlier answer is opened again at once; reads may be repeated.
    pub async fn read(&mut self, request: &Request, pace: Pace) -> Result<(), Failure> {
        let used_before = self.is_connected();
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

    /// How long its answer took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Asks a device what it says about itself and gives the PDU that answers it. `length` says how long
    /// the PDU that begins so is to become, once that shows.
    pub(crate) async fn ask(
        &mut self,
        unit: u8,
        question: Identify,
        pace: Pace,
        length: fn(&[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, Failure> {
        if self.connection.open().await.map_err(Failure::Unreachable)? {
            self.silences = 0;
        }
        self.inbox.clear();
        self.silence.keep(unit, self.last.map(|last| last.unit), pace.quiet).await;
        let as_read = Request { unit, function: Function::Holding, start: 0, count: 1 };
        self.last = Some(as_read);
        self.transaction = self.transaction.wrapping_add(1);
        let (rtu, transaction) = (self.connection.is_rtu(), self.transaction);
        let frame = if rtu { rtu_frame(unit, &question.pdu()) } else { tcp_frame(transaction, unit, &question.pdu()) };
        let wire = self.line.map(|line| line.bytes((frame.len() + FRAME_MAX) as u32)).unwrap_or_default();
        let found = |bytes: &[u8]| match rtu {
            true => rtu_pdu(unit, bytes, length),
            false => tcp_pdu(transaction, unit, bytes),
        };
        let answer = self.converse(&frame, Instant::now() + pace.timeout + wire, found).await;
        match answer {
            Ok(Some(Ok(pdu))) => return Ok(pdu),
            _ if rtu => self.silence.owe(unit, pace.timeout),
            // Another answer may be on its way.
            _ => self.connection.close(),
        }
        if rtu && answer.is_ok() {
            self.drain(&as_read).await;
        }
        match answer {
            Ok(answer) => answer.unwrap_or(Err(Failure::Silent(pace.timeout))),
            Err(error) => {
                self.connection.close();
                Err(Failure::Lost(error.to_string()))
            }
        }
    }

    /// Sends a frame and reads until `found` finds its answer; `None` when that did not come in time.
    async fn converse<T>(
        &mut self,
        frame: &[u8],
        deadline: Instant,
        found: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.send(frame, deadline).await?;
        let (mut bytes, mut filled) = ([0; FRAME_MAX], 0);
        loop {
            if let Some(answer) = found(&bytes[..filled]) {
                return Ok(Some(answer));
            }
            let port = self.connection.port.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            match timeout_at(deadline, port.read(&mut bytes[filled..])).await {
                Ok(read) => match read? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => filled += read,
                },
                Err(_) => return Ok(None),
            }
            self.silence.broken();
        }
    }

    /// Writes, once. Only an exception says for sure that nothing was written; after any other failure
    /// look before you write again.
    pub async fn write(&mut self, command: &Command, pace: Pace) -> Result<(), Failure> {
        self.attempt(command, pace).await
    }

    async fn attempt(&mut self, request: &impl Exchange, pace: Pace) -> Result<(), Failure> {
        if self.connection.open().await.map_err(Failure::Unreachable)? {
            self.silences = 0;
            self.last = None;
            self.inbox.clear();
        }
        self.silence.keep(request.unit(), self.last.map(|last| last.unit), pace.quiet).await;
        let rtu = self.connection.is_rtu();
        let answer = match self.exchange(request, pace.timeout).await {
            Ok(answer) => answer,
            Err(error) => {
                self.connection.close();
                // Through a device server, the answer may come on the next connection.
                if rtu && self.sent {
                    self.silence.owe(request.unit(), pace.timeout);
                }
                // An end of file may carry the words "Success (os error 0)".
                let cause = error.raw_os_error().filter(|&code| code != 0).map(|_| error.to_string());
                return Err(Failure::Lost(cause.unwrap_or_else(|| "closed by the other side".to_owned())));
            }
        };
        self.last = Some(request.as_read());
        let result = match answer {
            Ok(Answer::Words) => Ok(()),
            Ok(Answer::Exception(code)) => Err(Failure::Exception(code)),
            Ok(Answer::Bad(words)) | Err(Unanswered::Noise(words)) => Err(Failure::Bad(words)),
            Err(Unanswered::Silence) => Err(Failure::Silent(pace.timeout)),
        };
        // Where nothing but time tells answers apart, one may still come.
        if rtu && answer.is_err() {
            self.silence.owe(request.unit(), pace.timeout);
        }
        match &result {
            Err(Failure::Silent(_)) => {
                self.silences += 1;
                if rtu {
                    self.drain(&request.as_read()).await;
                }
                if self.line.is_none() && self.silences >= SILENCES_MAX {
                    self.connection.close();
                }
            }
            Err(Failure::Bad(_)) if rtu => self.drain(&request.as_read()).await,
            Err(Failure::Bad(_)) => self.connection.close(),
            _ => self.silences = 0,
        }
        if pace.one_request && !rtu {
            self.connection.close();
        }
        result
    }

    /// One request and its answer. An outer error is one of the connection.
    async fn exchange(&mut self, request: &impl Exchange, timeout: Duration) -> io::Result<Result<Answer, Unanswered>> {
        let rtu = self.connection.is_rtu();
        let asked = Instant::now();
        let mut deadline = asked + timeout;
        self.sent = false;
        self.transaction = self.transaction.wrapping_add(1);
        let framing = if rtu { Framing::Rtu } else { Framing::Tcp(self.transaction) };
        if rtu {
            self.skip_waiting(&request.as_read())?;
            // The time-out is the device's; the wire's own time comes on top.
            if let Some(line) = &self.line {
                deadline += line.bytes((request.on_rtu().as_ref().len() + request.rtu_answer_bytes()) as u32);
            }
            self.send(request.on_rtu().as_ref(), deadline).await?;
        } else {
            self.send(request.on_tcp(self.transaction).as_ref(), deadline).await?;
        }

        let noise_before = self.inbox.strays.bytes;
        loop {
            if let Some(answer) = self.inbox.look(request, framing, &mut self.words) {
                self.took = asked.elapsed();
                return Ok(Ok(answer));
            }
            match timeout_at(deadline, self.receive()).await {
                Ok(received) => received?,
                Err(_) if self.inbox.has_begun(request, framing) => {
                    return Ok(Err(Unanswered::Noise("answer that broke off")));
                }
                Err(_) => break,
            }
        }
        if rtu {
            self.inbox.skip_rest();
        }
        let noisy = self.inbox.strays.bytes - noise_before >= NOISE_MIN;
        Ok(Err(if noisy { Unanswered::Noise("noise instead of an answer") } else { Unanswered::Silence }))
    }

    async fn send(&mut self, frame: &[u8], deadline: Instant) -> io::Result<()> {
        let port = self.connection.port.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let switch = self.connection.switch;
        if let Some((switch, driver)) = switch.zip(port.driver()) {
            switch.talk(driver)?;
        }
        self.sent = true;
        timeout_at(deadline, port.write_all(frame)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if let Some((switch, driver)) = switch.zip(port.driver()) {
            switch.listen(driver)?;
        }
        self.silence.broken();
        Ok(())
    }

    /// Takes in what comes next.
    async fn receive(&mut self) -> io::Result<()> {
        let port = self.connection.port.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        match port.read(self.inbox.room()).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => self.inbox.came(bytes),
        }
        self.silence.broken();
        Ok(())
    }

    /// Skips what came since the last answer.
    fn skip_waiting(&mut self, request: &Request) -> io::Result<()> {
        let last = self.last.unwrap_or(*request);
        self.inbox.skip_frames(&last);
        while let Some(received) = self.receive().now_or_never() {
            received?;
            self.inbox.skip_frames(&last);
        }
        self.inbox.skip_rest();
        Ok(())
    }

    /// Listens until the wire is still.
    async fn drain(&mut self, request: &Request) {
        let still = self.line.map_or(STILL, |line| line.silence().max(STILL));
        let end = Instant::now() + DRAIN_MAX;
        self.inbox.skip_frames(request);
        while Instant::now() < end {
            match timeout_at(Instant::now() + still, self.receive()).await {
                Ok(Ok(())) => self.inbox.skip_frames(request),
                Ok(Err(_)) => {
                    self.connection.close();
                    break;
                }
                Err(_) => break,
            }
        }
        self.inbox.skip_rest();
    }
}

/// Why there was no answer until the deadline.
#[derive(Debug, Clone, Copy)]
enum Unanswered {
    Silence,
    Noise(&'static str),
}
