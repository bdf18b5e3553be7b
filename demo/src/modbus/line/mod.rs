//! A serial line as its bytes see it: each takes its time, a device thinks before it speaks, and who
//! speaks while another does spoils both. Pure: time is a parameter, since the line began.

use std::collections::VecDeque;
use std::time::Duration;

use riverwatts_shared::profile::Parity;

use crate::faults::Step;
use crate::modbus::frame::{Received, receive_rtu};
use crate::modbus::station::Station;

/// Bytes on their way are handed on in pieces of at most this time.
const PIECE_MAX: Duration = Duration::from_millis(1);
/// Without line time, a request that stops for this long is given up.
const BROKEN_OFF: Duration = Duration::from_millis(50);
/// Most bytes of the master that wait for the line; further ones are lost, as behind a serial port.
const WAITING_MAX: usize = 4096;

/// How fast a line is, and how long devices think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    line: Option<Speed>,
    answer_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Speed {
    baud: u32,
    bits: u32,
}

impl Pace {
    /// A line of this speed: a byte has a start bit, eight data bits, a parity bit if any, a stop
    /// bit. Answers begin `answer_after` the last byte of the request, and after 3.5 characters of
    /// silence at the earliest: by that a device knows that the request is over.
    pub fn timed(baud: u32, parity: Parity, answer_after: Duration) -> Pace {
        let bits = 10 + u32::from(parity != Parity::None);
        Pace { line: Some(Speed { baud, bits }), answer_after }
    }

    /// A line on which bytes take no time.
    pub fn untimed(answer_after: Duration) -> Pace {
        Pace { line: None, answer_after }
    }

    /// How long so many bytes take.
    pub fn bytes(&self, count: usize) -> Duration {
        self.line.map_or(Duration::ZERO, |Speed { baud, bits }| {
            Duration::from_nanos(count as u64 * u64::from(bits) * 1_000_000_000 / u64::from(baud))
        })
    }

    /// The silence that parts frames (MODBUS over Serial Line V1.02, section 2.5.1.1).
    pub fn silence(&self) -> Duration {
        match self.line {
            Some(Speed { baud, .. }) if baud > 19_200 => Duration::from_micros(1_750),
            _ => self.bytes(7) / 2,
        }
    }

    fn broken_off(&self) -> Duration {
        if self.line.is_some() { self.silence() } else { BROKEN_OFF }
    }

    fn answer_after(&self) -> Duration {
        self.answer_after.max(self.silence())
    }

    /// Bytes of a piece.
    fn piece(&self) -> usize {
        let pieces = PIECE_MAX.as_nanos().checked_div(self.bytes(1).as_nanos());
        pieces.map_or(usize::MAX, |pieces| (pieces as usize).max(1))
    }
}

/// What is on the line, and what soon will be.
#[derive(Debug)]
pub struct Traffic {
    pace: Pace,
    speaking: Vec<Speech>,
    /// What devices are about to say; while one is, it hears nothing.
    replies: Vec<Reply>,
    /// What devices heard of a request, and when the last of it.
    heard: Vec<u8>,
    heard_at: Duration,
    /// When the last answer ended.
    answered_at: Option<Duration>,
}

#[derive(Debug)]
struct Reply {
    unit: u8,
    /// When the first of its steps is due.
    at: Duration,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Speech {
    by_master: bool,
    begins: Duration,
    bytes: Vec<u8>,
    /// How many bytes are through.
    done: usize,
}

impl Traffic {
    /// A silent line.
    pub fn new(pace: Pace) -> Traffic {
        Traffic {
            pace,
            speaking: Vec::new(),
            replies: Vec::new(),
            heard: Vec::new(),
            heard_at: Duration::ZERO,
            answered_at: None,
        }
    }

    /// The master begins to send; its port does so when it is through with what it was given before.
    pub fn send(&mut self, now: Duration, bytes: &[u8]) {
        let mut own = self.speaking.iter().filter(|speech| speech.by_master);
        let waiting: usize = own.clone().map(|speech| speech.bytes.len()).sum();
        let begins = own.next_back().map_or(now, |before| before.ends(&self.pace).max(now));
        let mut bytes = bytes[..bytes.len().min(WAITING_MAX.saturating_sub(waiting))].to_vec();
        // Devices take what follows an answer without a pause for its tail. A pause that is short
        // by up to half a character passes: two clocks are never alike.
        let parted = self.pace.silence() * 6 / 7;
        if let Some(first) = bytes.first_mut().filter(|_| self.answered_at.is_some_and(|end| begins < end + parted)) {
            spoil(first);
        }
        self.begin(Speech { by_master: true, begins, bytes, done: 0 });
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Duration> {
        let speaking = self.speaking.iter().map(|speech| speech.next(&self.pace));
        speaking.chain(self.replies.iter().map(|reply| reply.at)).min()
    }

    /// Lets happen what is due, and gives the bytes that the master hears.
    pub fn run(&mut self, now: Duration, station: &Station) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(at) = self.next().filter(|&at| at <= now) {
            if let Some(index) = self.replies.iter().position(|reply| reply.at == at) {
                self.step(index);
            } else if let Some(index) = self.speaking.iter().position(|speech| speech.next(&self.pace) == at) {
                self.move_on(index, at, station, &mut out);
            }
        }
        out
    }

    /// The next step of a reply is due.
    fn step(&mut self, index: usize) {
        let reply = &mut self.replies[index];
        let begins = reply.at;
        match reply.steps.pop_front() {
            Some(Step::Wait(pause)) => reply.at += pause,
            Some(Step::Send(bytes)) => {
                reply.at += self.pace.bytes(bytes.len());
                self.begin(Speech { by_master: false, begins, bytes, done: 0 });
            }
            // A line has no connections to close.
            Some(Step::Close) | None => drop(self.replies.swap_remove(index)),
        }
    }

    /// Puts bytes on the line; those that are there at the same time spoil each other.
    fn begin(&mut self, mut speech: Speech) {
        for other in &mut self.speaking {
            let (from, to) = (other.begins.max(speech.begins), other.ends(&self.pace).min(speech.ends(&self.pace)));
            other.spoil(from, to, &self.pace);
            speech.spoil(from, to, &self.pace);
        }
        self.speaking.push(speech);
    }

    /// The next piece of a speech is through.
    fn move_on(&mut self, index: usize, at: Duration, station: &Station, out: &mut Vec<u8>) {
        let speech = &mut self.speaking[index];
        let until = speech.next_count(&self.pace);
        let piece = &speech.bytes[speech.done..until];
        speech.done = until;
        let ended = until == speech.bytes.len();
        if speech.by_master {
            if speech.begins > self.heard_at + self.pace.broken_off() {
                self.heard.clear();
            }
            self.heard.extend_from_slice(piece);
            self.heard_at = at;
        } else {
            out.extend_from_slice(piece);
            self.answered_at = Some(at);
        }
        let by_master = speech.by_master;
        if ended {
            self.speaking.remove(index);
        }
        if ended && by_master {
            self.listen(station);
        }
    }

    /// Devices look at what they heard.
    fn listen(&mut self, station: &Station) {
        loop {
            match receive_rtu(&self.heard) {
                Received::Partial => return,
                Received::Spoilt => return self.heard.clear(),
                Received::Whole(length, request) => {
                    if self.replies.iter().all(|reply| reply.unit != request.unit) {
                        let at = self.heard_at + self.pace.answer_after();
                        self.replies.push(Reply { unit: request.unit, at, steps: station.reply(&request).into() });
                    }
                    self.heard.drain(..length);
                }
            }
        }
    }
}

impl Speech {
    fn ends(&self, pace: &Pace) -> Duration {
        self.begins + pace.bytes(self.bytes.len())
    }

    /// How many bytes are through after the next piece; the master's come as a whole.
    fn next_count(&self, pace: &Pace) -> usize {
        let piece = if self.by_master { usize::MAX } else { pace.piece() };
        self.done.saturating_add(piece).min(self.bytes.len())
    }

    fn next(&self, pace: &Pace) -> Duration {
        self.begins + pace.bytes(self.next_count(pace))
    }

    fn spoil(&mut self, from: Duration, to: Duration, pace: &Pace) {
        for index in self.done..self.bytes.len() {
            let begins = self.begins + pace.bytes(index);
            if begins < to && from < begins + pace.bytes(1) {
                spoil(&mut self.bytes[index]);
            }
        }
    }
}

/// Never gives the byte back, however many speak at once.
fn spoil(byte: &mut u8) {
    *byte = byte.wrapping_add(0x5B);
}

#[cfg(test)]
mod tests;
