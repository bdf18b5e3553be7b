//! What came in on a wire and was not yet understood. Answers are taken out; what stands before
//! them is skipped and counted, by kind.

use super::frame::{Exchange, FRAME_MAX, Received, Request, Stray};

/// What came in and answered no request of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strays {
    /// Answers to earlier requests.
    pub late: u64,
    /// Frames of other units and of other masters.
    pub foreign: u64,
    /// Bytes that are no frame.
    pub bytes: u64,
}

/// How frames look on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// With a transaction id.
    Tcp(u16),
    /// With a check sum.
    Rtu,
}

/// A buffer of one frame's length.
#[derive(Debug)]
pub struct Inbox {
    buffer: [u8; FRAME_MAX],
    filled: usize,
    /// Since the beginning.
    pub strays: Strays,
}

impl Inbox {
    /// Nothing came yet.
    pub fn new() -> Self {
        Inbox { buffer: [0; FRAME_MAX], filled: 0, strays: Strays::default() }
    }

    /// Where the next bytes go; never empty after [`look`](Self::look) found nothing, since no frame is
    /// longer than the buffer.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// So many bytes came.
    pub fn came(&mut self, bytes: usize) {
        self.filled += bytes;
    }

    /// Whether the answer to `request` has begun.
    pub fn has_begun(&self, request: &impl Exchange, framing: Framing) -> bool {
        match framing {
            Framing::Tcp(_) => self.filled > 0,
            Framing::Rtu => request.is_answered_by(&self.buffer[..self.filled]),
        }
    }

    /// Forgets what came on a connection that is no more.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Takes the answer to `request` out, if it is there: `Ok` with the registers in `words`, or the
    /// code of a refusal, or what is wrong with it.
    pub fn look(&mut self, request: &impl Exchange, framing: Framing, words: &mut Vec<u16>) -> Option<Answer> {
        loop {
            match self.front(request, framing, words) {
                Received::Words(length) => {
                    self.skip(length);
                    return Some(Answer::Words);
                }
                Received::Exception(length, code) => {
                    self.skip(length);
                    return Some(Answer::Exception(code));
                }
                Received::Bad(words) => return Some(Answer::Bad(words)),
                Received::Stray(length, stray) => self.stray(length, stray),
                Received::Partial => return None,
            }
        }
    }

    /// Skips all frames and what is none, now that nobody waits for them: on RTU, where `request` was
    /// the last.
    pub fn skip_frames(&mut self, request: &Request) {
        let mut unwanted = Vec::new();
        loop {
            match self.front(request, Framing::Rtu, &mut unwanted) {
                Received::Words(length) | Received::Exception(length, _) => self.stray(length, Stray::Late),
                Received::Stray(length, stray) => self.stray(length, stray),
                Received::Bad(_) => self.stray(1, Stray::Noise),
                Received::Partial => return,
            }
        }
    }

    /// Skips what lies here as noise.
    pub fn skip_rest(&mut self) {
        self.stray(self.filled, Stray::Noise);
    }

    fn front(&self, request: &impl Exchange, framing: Framing, words: &mut Vec<u16>) -> Received {
        let bytes = &self.buffer[..self.filled];
        match framing {
            Framing::Tcp(transaction) => request.receive_tcp(transaction, bytes, words),
            Framing::Rtu => request.receive_rtu(bytes, words),
        }
    }

    fn stray(&mut self, length: usize, stray: Stray) {
        match stray {
            Stray::Late => self.strays.late += 1,
            Stray::Foreign => self.strays.foreign += 1,
            Stray::Noise => self.strays.bytes += length as u64,
            Stray::Echo => {}
        }
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
    }
}

/// What a device answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Registers.
    Words,
    /// A refusal, with its code.
    Exception(u8),
    /// Something that is no answer.
    Bad(&'static str),
}
