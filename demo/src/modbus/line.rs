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
mod tests {
    use std::sync::Arc;

    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::devices::{Device, Kind};
    use crate::modbus::frame::{Framing, Request};
    use crate::site::{Laws, Site};

    const MS: Duration = Duration::from_millis(1);

    /// Two plain devices, as units 1 and 2.
    fn station() -> Station {
        let site = Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO));
        let devices = [1, 2].map(|number| (format!("plain-{number}"), Device::new(Kind::Plain(number), site.clone())));
        Station::shared(&devices).unwrap().0
    }

    /// Reads `count` registers of a unit.
    fn request(unit: u8, count: u8) -> Vec<u8> {
        Framing::Rtu.frame(unit, &[3, 0, 0, 0, count])
    }

    fn answer(unit: u8, count: u8) -> Vec<u8> {
        let request = Request { framing: Framing::Rtu, unit, pdu: &[3, 0, 0, 0, count] };
        let [Step::Send(frame)] = &*station().reply(&request) else { panic!("no answer") };
        frame.clone()
    }

    /// What the master hears of these transmissions, piece by piece, with the time of each.
    fn heard(pace: Pace, sent: &[(Duration, Vec<u8>)]) -> Vec<(Duration, Vec<u8>)> {
        let (mut traffic, station, mut heard) = (Traffic::new(pace), station(), Vec::new());
        let mut run_until = |traffic: &mut Traffic, end: Duration| {
            while let Some(at) = traffic.next().filter(|&at| at <= end) {
                let bytes = traffic.run(at, &station);
                if !bytes.is_empty() {
                    heard.push((at, bytes));
                }
            }
        };
        for (at, bytes) in sent {
            run_until(&mut traffic, *at);
            traffic.send(*at, bytes);
        }
        run_until(&mut traffic, Duration::from_secs(60));
        heard
    }

    fn whole(heard: &[(Duration, Vec<u8>)]) -> Vec<u8> {
        heard.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    fn slow() -> Pace {
        Pace::timed(9_600, Parity::None, Duration::ZERO)
    }

    #[test]
    fn bytes_come_one_after_the_other() {
        // Microseconds by hand: 8 bytes, the time to think, the first piece of 25 bytes, all of them.
        for (pace, silence_us, piece, first_us, last_us) in [
            (slow(), 3_645, 1, 13_020, 38_020),
            (Pace::timed(9_600, Parity::Even, 20 * MS), 4_010, 1, 30_312, 57_812),
            (Pace::timed(115_200, Parity::None, MS), 1_750, 11, 3_399, 4_614),
        ] {
            let heard = heard(pace, &[(Duration::ZERO, request(2, 10))]);
            assert_eq!(whole(&heard), answer(2, 10));
            let (first, last) = (&heard[0], heard.last().unwrap());
            assert_eq!((pace.silence().as_micros(), first.1.len()), (silence_us, piece));
            assert_eq!((first.0.as_micros(), last.0.as_micros()), (first_us, last_us));
        }
    }

    #[test]
    fn without_a_speed_an_answer_is_there_at_once_and_a_torn_request_is_forgotten() {
        let ask = request(1, 3);
        let pace = Pace::default();
        assert_eq!(heard(pace, &[(MS, ask.clone())]), [(MS, answer(1, 3))]);
        assert_eq!(heard(pace, &[(MS, ask[..3].to_vec()), (2 * MS, ask[3..].to_vec())]), [(2 * MS, answer(1, 3))]);
        for spoilt in [&[1, 3, 0][..], &[1, 3, 0, 0, 0, 1, 0, 0, 9, 9, 9], &[1, 16, 0, 0, 0, 1, 200, 0, 0]] {
            let sent = [(MS, spoilt.to_vec()), (60 * MS, ask.clone())];
            assert_eq!(heard(pace, &sent), [(60 * MS, answer(1, 3))], "after {spoilt:?}");
        }
        assert_eq!(heard(Pace::untimed(7 * MS), &[(MS, ask)])[0].0, 8 * MS);
    }

    #[test]
    fn who_speaks_while_another_does_spoils_both() {
        // The request takes 8.3 ms, the silence 3.6 ms, the answer 26 ms.
        let right = answer(1, 10);
        let heard_whole = |at| whole(&heard(slow(), &[(Duration::ZERO, request(1, 10)), (at, request(2, 1))]));
        let spoilt = heard_whole(20 * MS);
        assert_eq!(spoilt.len(), right.len(), "unit 2 heard nothing it could understand");
        let wrong = spoilt.iter().zip(&right).filter(|(one, other)| one != other).count();
        assert_eq!(wrong, 9, "bytes that were on the line together");
        // Behind the answer, but without the silence that parts frames.
        assert_eq!(heard_whole(39 * MS), right);
        assert_eq!(heard_whole(43 * MS), [right, answer(2, 1)].concat());
    }

    #[test]
    fn what_is_sent_too_fast_waits_and_what_is_too_much_is_lost() {
        let mut traffic = Traffic::new(slow());
        for _ in 0..100 {
            traffic.send(Duration::ZERO, &[0; 256]);
        }
        let end = slow().bytes(WAITING_MAX);
        assert!(traffic.run(end, &station()).is_empty() && traffic.next().is_none());
    }
}
