//! Modbus frames of the four read functions, on TCP and on RTU: pure, no I/O.
//!
//! Of our own, since a gateway must know more than a client library tells: whether what comes is late
//! or foreign (it is then skipped, and the socket kept), noise, torn or of the wrong length.
//! Source: MODBUS Application Protocol V1.1b3, MODBUS Messaging on TCP/IP V1.0b, MODBUS over
//! Serial Line V1.02.

use riverwatts_shared::profile::Function;

/// Longest frame of either kind, in bytes.
pub const FRAME_MAX: usize = 260;
/// Length of a read request on TCP, in bytes.
pub const TCP_REQUEST: usize = 12;
/// Length of a read request on RTU, in bytes.
pub const RTU_REQUEST: usize = 8;

/// One read of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Modbus address of the device.
    pub unit: u8,
    /// Which table of registers.
    pub function: Function,
    /// PDU address of the first register.
    pub start: u16,
    /// How many registers, 1 to 125.
    pub count: u16,
}

/// What the bytes received so far begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// The beginning of a frame, or nothing.
    Partial,
    /// So many bytes that are not meant for this request; to be skipped.
    Stray(usize, Stray),
    /// A frame of so many bytes; the registers asked for are in the vector.
    Words(usize),
    /// A frame of so many bytes: the device refuses, with this exception code.
    Exception(usize, u8),
    /// An answer to this request that is none.
    Bad(&'static str),
}

/// What is skipped on the way to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// A whole frame that answers an earlier request.
    Late,
    /// A whole frame of another unit, to another function, or of another master.
    Foreign,
    /// Bytes that are no frame.
    Noise,
    /// The request itself: some adapters hear what they say.
    Echo,
}

/// Something that is sent, and how its answer is told.
pub trait Exchange {
    /// Modbus address of the device.
    fn unit(&self) -> u8;
    /// What reads there: late answers are told from foreign ones by it.
    fn as_read(&self) -> Request;
    /// The frame on TCP.
    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]>;
    /// The frame on RTU.
    fn on_rtu(&self) -> impl AsRef<[u8]>;
    /// Length of the regular answer on RTU, in bytes.
    fn rtu_answer_bytes(&self) -> usize;
    /// Reads an answer on TCP. `bytes` begins with a frame.
    fn receive_tcp(&self, transaction: u16, bytes: &[u8], words: &mut Vec<u16>) -> Received;
    /// Reads an answer on RTU, where nothing but the frames themselves says where one begins: a whole
    /// frame with a right check sum is one, whoever sent it. Nothing inside another's frame is taken
    /// for an answer.
    fn receive_rtu(&self, bytes: &[u8], words: &mut Vec<u16>) -> Received;
    /// Whether these bytes on RTU look like the beginning of the answer.
    fn is_answered_by(&self, bytes: &[u8]) -> bool;
}

/// Highest address of a unit on a serial line.
const UNIT_MAX: u8 = 247;
/// Length of the frames that answer a write, in bytes; a read request is as long.
pub const FIXED: usize = 8;
/// Length of an exception on RTU, in bytes.
pub const EXCEPTION: usize = 5;

impl Request {
    fn pdu(&self) -> [u8; 5] {
        let [start_high, start_low] = self.start.to_be_bytes();
        let [count_high, count_low] = self.count.to_be_bytes();
        [self.function.code(), start_high, start_low, count_high, count_low]
    }

    /// The frame on TCP.
    pub fn tcp_frame(&self, transaction: u16) -> [u8; TCP_REQUEST] {
        let [high, low] = transaction.to_be_bytes();
        let [function, a, b, c, d] = self.pdu();
        [high, low, 0, 0, 0, 6, self.unit, function, a, b, c, d]
    }

    /// The frame on RTU.
    pub fn rtu_frame(&self) -> [u8; RTU_REQUEST] {
        let [function, a, b, c, d] = self.pdu();
        let [low, high] = crc(&[self.unit, function, a, b, c, d]).to_le_bytes();
        [self.unit, function, a, b, c, d, low, high]
    }

    /// How many bytes of data the regular answer has.
    fn data_bytes(&self) -> usize {
        let count = usize::from(self.count);
        if self.function.reads_bits() { count.div_ceil(8) } else { count * 2 }
    }

    /// How long the frame is that these bytes begin, if it is the answer.
    fn rtu_length(&self, bytes: &[u8]) -> Option<usize> {
        match *bytes {
            [unit, code, ..] if unit == self.unit && code == self.function.code() | 0x80 => Some(EXCEPTION),
            [unit, code, count, ..]
                if unit == self.unit && code == self.function.code() && usize::from(count) == self.data_bytes() =>
            {
                Some(self.data_bytes() + 5)
            }
            _ => None,
        }
    }

    /// Reads the content of a frame of `whole` bytes.
    fn receive_pdu(&self, whole: usize, pdu: &[u8], words: &mut Vec<u16>) -> Received {
        let code = self.function.code();
        match *pdu {
            [function, exception] if function == code | 0x80 => Received::Exception(whole, exception),
            [function, count, ref data @ ..] if function == code => {
                if usize::from(count) != data.len() || data.len() != self.data_bytes() {
                    return Received::Bad("answer of a wrong length");
                }
                words.clear();
                if self.function.reads_bits() {
                    // The lowest bit of the first byte is the first coil.
                    words.extend((0..usize::from(self.count)).map(|at| u16::from(data[at / 8] >> (at % 8) & 1)));
                    return Received::Words(whole);
                }
                words.extend(data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
                Received::Words(whole)
            }
            _ => Received::Bad("answer to another function"),
        }
    }
}

impl Exchange for Request {
    fn unit(&self) -> u8 {
        self.unit
    }

    fn as_read(&self) -> Request {
        *self
    }

    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]> {
        self.tcp_frame(transaction)
    }

    fn on_rtu(&self) -> impl AsRef<[u8]> {
        self.rtu_frame()
    }

    fn rtu_answer_bytes(&self) -> usize {
        self.data_bytes() + 5
    }

    fn receive_tcp(&self, transaction: u16, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        match tcp_content(transaction, self.unit, bytes) {
            Ok((whole, pdu)) => self.receive_pdu(whole, pdu, words),
            Err(received) => received,
        }
    }

    fn receive_rtu(&self, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        if bytes.starts_with(&self.rtu_frame()) {
            return Received::Stray(RTU_REQUEST, Stray::Echo);
        }
        let Some(length) = self.rtu_length(bytes) else {
            return others(bytes, [self.unit, self.function.code()], |rest| self.rtu_length(rest));
        };
        match bytes.get(..length).map(is_sound) {
            None => Received::Partial,
            // So short that noise may look like it; the answer may still come.
            Some(false) if length == EXCEPTION => Received::Stray(1, Stray::Noise),
            Some(false) => Received::Bad("answer with a wrong check sum"),
            Some(true) => self.receive_pdu(length, &bytes[1..length - 2], words),
        }
    }

    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        self.rtu_length(bytes).is_some()
    }
}

/// Length of the frame that begins `bytes` on TCP, and function and data of it, if it answers this
/// transaction of this unit.
pub fn tcp_content(transaction: u16, unit: u8, bytes: &[u8]) -> Result<(usize, &[u8]), Received> {
    let &[id_high, id_low, protocol_high, protocol_low, length_high, length_low, ref body @ ..] = bytes else {
        return Err(Received::Partial);
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if (protocol_high, protocol_low) != (0, 0) || !(3..=FRAME_MAX - 6).contains(&length) {
        return Err(Received::Bad("answer that is not Modbus TCP"));
    }
    let Some(frame) = body.get(..length) else { return Err(Received::Partial) };
    let whole = 6 + length;
    if u16::from_be_bytes([id_high, id_low]) != transaction {
        return Err(Received::Stray(whole, Stray::Late));
    }
    match *frame {
        [other, ..] if other != unit => Err(Received::Stray(whole, Stray::Foreign)),
        [_, ref pdu @ ..] => Ok((whole, pdu)),
        [] => Err(Received::Bad("empty answer")),
    }
}

/// What bytes on RTU are that are not the beginning of the answer, which `answer` tells the length of;
/// `own` are unit and function asked for.
pub fn others(bytes: &[u8], own: [u8; 2], answer: impl Fn(&[u8]) -> Option<usize>) -> Received {
    let lengths = others_lengths(bytes);
    if let Some(length) = lengths.into_iter().flatten().find(|&length| bytes.get(..length).is_some_and(is_sound)) {
        return Received::Stray(length, if bytes.starts_with(&own) { Stray::Late } else { Stray::Foreign });
    }
    if lengths.into_iter().flatten().all(|length| length <= bytes.len()) {
        return if bytes.is_empty() { Received::Partial } else { Received::Stray(1, Stray::Noise) };
    }
    // What could be the beginning of another's frame is noise, if the answer stands behind it.
    let is_answer = |from: &usize| {
        let rest = &bytes[*from..];
        answer(rest).is_some_and(|length| rest.get(..length).is_some_and(is_sound))
    };
    (1..bytes.len()).find(is_answer).map_or(Received::Partial, |from| Received::Stray(from, Stray::Noise))
}

/// How long the frame of anybody may be that these bytes begin: an answer or a request.
fn others_lengths(bytes: &[u8]) -> [Option<usize>; 2] {
    // Where it cannot be told yet, longer than what is there.
    let later = Some(bytes.len() + 1);
    match *bytes {
        [] | [0, ..] => [None; 2],
        [unit, ..] if unit > UNIT_MAX => [None; 2],
        [_] => [later, None],
        [_, 0x81..=0xFF, ..] => [Some(EXCEPTION), None],
        [_, 1..=4, count, ..] => [Some(EXCEPTION + usize::from(count)), Some(FIXED)],
        [_, 1..=4] => [later, None],
        [_, 5 | 6 | 15 | 16, ..] => [Some(FIXED), None],
        _ => [None; 2],
    }
}

/// Whether the check sum at the end is right.
pub fn is_sound(frame: &[u8]) -> bool {
    let (content, check) = frame.split_at(frame.len() - 2);
    crc(content).to_le_bytes() == *check
}

/// What an exception code means, in words.
pub const fn exception_words(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal address",
        3 => "illegal value",
        4 => "device failure",
        5 => "acknowledged, not done",
        6 => "device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "device behind the gateway does not answer",
        _ => "unknown exception",
    }
}

/// CRC-16/MODBUS; its low byte goes first on the wire.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}
