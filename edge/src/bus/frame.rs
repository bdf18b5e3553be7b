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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const READ: Request = Request { unit: 17, function: Function::Holding, start: 107, count: 3 };

    /// The example of the standard, section 6.3: registers 108 to 110.
    #[test]
    fn requests_look_as_the_standard_has_them() {
        assert_eq!(READ.tcp_frame(0x0102), [1, 2, 0, 0, 0, 6, 0x11, 3, 0, 0x6B, 0, 3]);
        assert_eq!(READ.rtu_frame(), [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87]);
    }

    fn tcp(bytes: &[u8]) -> (Received, Vec<u16>) {
        let mut words = Vec::new();
        (READ.receive_tcp(7, bytes, &mut words), words)
    }

    #[test]
    fn tcp_answers_are_told_apart() {
        for (bytes, expected) in [
            (&[][..], Received::Partial),
            (&[0, 7, 0, 0, 0], Received::Partial),
            (&[0, 7, 0, 0, 0, 9, 17, 3, 6, 0, 1, 0, 2, 0], Received::Partial),
            (&[0, 6, 0, 0, 0, 3, 17, 0x83, 2], Received::Stray(9, Stray::Late)),
            (&[0, 7, 0, 0, 0, 3, 17, 0x83, 2], Received::Exception(9, 2)),
            (&[0, 7, 0, 0, 0, 3, 17, 0x84, 2], Received::Bad("answer to another function")),
            (&[0, 7, 0, 0, 0, 3, 18, 0x83, 2], Received::Stray(9, Stray::Foreign)),
            (&[0, 7, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
            (&[0, 7, 0, 0, 0, 7, 17, 3, 6, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
            (b"HTTP/1.1 400", Received::Bad("answer that is not Modbus TCP")),
            (&[0, 7, 0, 0, 0xFF, 0xFF], Received::Bad("answer that is not Modbus TCP")),
        ] {
            assert_eq!(tcp(bytes), (expected, Vec::new()), "{bytes:?}");
        }
        let answer = tcp(&[0, 7, 0, 0, 0, 9, 17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
        assert_eq!(answer, (Received::Words(15), vec![0x022B, 0, 0x64]));
    }

    /// The example of the standard, section 6.1: coils 20 to 38.
    #[test]
    fn bits_become_words_of_nought_and_one() {
        let coils = Request { unit: 17, function: Function::Coil, start: 19, count: 19 };
        let mut words = Vec::new();
        let answer = [0, 7, 0, 0, 0, 6, 17, 1, 3, 0xCD, 0x6B, 0x05];
        assert_eq!(coils.receive_tcp(7, &answer, &mut words), Received::Words(12));
        assert_eq!(words, [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
        assert_eq!(coils.rtu_answer_bytes(), 8);
        let short = [0, 7, 0, 0, 0, 5, 17, 1, 2, 0xCD, 0x6B];
        assert_eq!(coils.receive_tcp(7, &short, &mut words), Received::Bad("answer of a wrong length"));
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut frame = content.to_vec();
        frame.extend(crc(content).to_le_bytes());
        frame
    }

    fn rtu(bytes: &[u8]) -> (Received, Vec<u16>) {
        let mut words = Vec::new();
        (READ.receive_rtu(bytes, &mut words), words)
    }

    #[test]
    fn rtu_answers_are_told_apart() {
        let good = sealed(&[17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
        assert_eq!(rtu(&good), (Received::Words(11), vec![0x022B, 0, 0x64]));
        for length in 0..good.len() {
            assert_eq!(rtu(&good[..length]).0, Received::Partial);
        }
        let torn = [&good[..9], &[0, 0]].concat();
        for (bytes, expected) in [
            (sealed(&[17, 0x83, 2]), Received::Exception(5, 2)),
            (torn, Received::Bad("answer with a wrong check sum")),
            (sealed(&[17, 3, 4, 0, 1, 0, 2]), Received::Stray(9, Stray::Late)),
            (sealed(&[17, 4, 2, 0, 1]), Received::Stray(7, Stray::Foreign)),
            (sealed(&[16, 3, 6, 0, 1, 0, 2, 0, 3]), Received::Stray(11, Stray::Foreign)),
            (sealed(&[16, 0x83, 2]), Received::Stray(5, Stray::Foreign)),
            (sealed(&[16, 6, 0, 1, 0, 2]), Received::Stray(8, Stray::Foreign)),
            (sealed(&[16, 3, 0, 0, 0, 2]), Received::Stray(8, Stray::Foreign)),
            (READ.rtu_frame().to_vec(), Received::Stray(8, Stray::Echo)),
            (vec![0], Received::Stray(1, Stray::Noise)),
            (vec![0xFF, 17, 3], Received::Stray(1, Stray::Noise)),
            (vec![16, 0x2B, 14, 1], Received::Stray(1, Stray::Noise)),
            (sealed(&[247, 3, 2, 0, 1]), Received::Stray(7, Stray::Foreign)),
        ] {
            assert_eq!(rtu(&bytes).0, expected, "{bytes:02X?}");
        }
    }

    #[test]
    fn an_answer_is_found_behind_what_only_looks_like_a_frame() {
        let answer = sealed(&[17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
        for noise in [&[3, 3, 250][..], &[9], &[17], &[17, 3], &[17, 3, 9, 1, 2, 3], &[0xFF, 0, 17]] {
            let bytes = [noise, &answer].concat();
            let mut from = 0;
            let mut words = Vec::new();
            while let Received::Stray(length, Stray::Noise) = READ.receive_rtu(&bytes[from..], &mut words) {
                from += length;
            }
            assert_eq!((from, words), (noise.len(), vec![0x022B, 0, 0x64]), "behind {noise:02X?}");
        }
        // Another's whole frame is skipped whole, whatever its registers hold.
        let mut content = vec![16, 3, answer.len() as u8];
        content.extend(&answer);
        let foreign = sealed(&content);
        assert_eq!(rtu(&foreign).0, Received::Stray(foreign.len(), Stray::Foreign));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic_or_other_words_than_asked_for(bytes: Vec<u8>, transaction: u16) {
            let mut words = Vec::new();
            if let Received::Words(length) = READ.receive_tcp(transaction, &bytes, &mut words) {
                prop_assert_eq!((words.len(), length), (3, 15));
            }
            match READ.receive_rtu(&bytes, &mut words) {
                Received::Words(length) => prop_assert_eq!((words.len(), length), (3, 11)),
                Received::Stray(length, _) => prop_assert!((1..=bytes.len()).contains(&length)),
                _ => {}
            }
        }
    }
}
