//! Modbus frames of the four read functions, on TCP and on RTU: pure, no I/O.
//!
//! Of our own, since a gateway must know more than a client library tells: whether an answer is a
//! late one (it is then skipped, and the socket kept), foreign, torn or of the wrong length.
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

/// What the bytes received so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// The beginning of a frame.
    Partial,
    /// A whole frame of this many bytes that answers an earlier request; to be skipped.
    Late(usize),
    /// The registers asked for are in the vector.
    Words,
    /// The device refuses, with this exception code.
    Exception(u8),
    /// No answer to this request.
    Bad(&'static str),
}

impl Request {
    fn pdu(&self) -> [u8; 5] {
        let [start_high, start_low] = self.start.to_be_bytes();
        let [count_high, count_low] = self.count.to_be_bytes();
        [self.function.code(), start_high, start_low, count_high, count_low]
    }

    /// The frame on TCP.
    pub fn on_tcp(&self, transaction: u16) -> [u8; TCP_REQUEST] {
        let [high, low] = transaction.to_be_bytes();
        let [function, a, b, c, d] = self.pdu();
        [high, low, 0, 0, 0, 6, self.unit, function, a, b, c, d]
    }

    /// The frame on RTU.
    pub fn on_rtu(&self) -> [u8; RTU_REQUEST] {
        let [function, a, b, c, d] = self.pdu();
        let [low, high] = crc(&[self.unit, function, a, b, c, d]).to_le_bytes();
        [self.unit, function, a, b, c, d, low, high]
    }

    /// Length of the regular answer on RTU, in bytes.
    pub fn rtu_answer_bytes(&self) -> usize {
        self.data_bytes() + 5
    }

    /// How many bytes of data the regular answer has.
    fn data_bytes(&self) -> usize {
        let count = usize::from(self.count);
        if self.function.reads_bits() { count.div_ceil(8) } else { count * 2 }
    }

    /// Reads an answer on TCP. `bytes` begins with a frame.
    pub fn receive_tcp(&self, transaction: u16, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        let &[id_high, id_low, protocol_high, protocol_low, length_high, length_low, ref body @ ..] = bytes else {
            return Received::Partial;
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if (protocol_high, protocol_low) != (0, 0) || !(3..=FRAME_MAX - 6).contains(&length) {
            return Received::Bad("answer that is not Modbus TCP");
        }
        let Some(frame) = body.get(..length) else { return Received::Partial };
        if u16::from_be_bytes([id_high, id_low]) != transaction {
            return Received::Late(6 + length);
        }
        match *frame {
            [unit, ..] if unit != self.unit => Received::Bad("answer of another unit"),
            [_, ref pdu @ ..] => self.receive_pdu(pdu, words),
            [] => Received::Bad("empty answer"),
        }
    }

    /// Reads an answer on RTU. `bytes` begins with a frame.
    pub fn receive_rtu(&self, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        match bytes.first() {
            None => return Received::Partial,
            Some(&unit) if unit != self.unit => return Received::Bad("answer of another unit, or noise"),
            Some(_) => {}
        }
        let pdu = match bytes.get(1) {
            None => return Received::Partial,
            Some(&code) if code == self.function.code() => match bytes.get(2) {
                None => return Received::Partial,
                Some(&count) => 2 + usize::from(count),
            },
            Some(&code) if code == self.function.code() | 0x80 => 2,
            Some(_) => return Received::Bad("answer to another function"),
        };
        let Some(frame) = bytes.get(..pdu + 3) else { return Received::Partial };
        let (content, check) = frame.split_at(pdu + 1);
        if crc(content).to_le_bytes() != *check {
            return Received::Bad("answer with a wrong check sum");
        }
        self.receive_pdu(&content[1..], words)
    }

    fn receive_pdu(&self, pdu: &[u8], words: &mut Vec<u16>) -> Received {
        let code = self.function.code();
        match *pdu {
            [function, exception] if function == code | 0x80 => Received::Exception(exception),
            [function, count, ref data @ ..] if function == code => {
                if usize::from(count) != data.len() || data.len() != self.data_bytes() {
                    return Received::Bad("answer of a wrong length");
                }
                words.clear();
                if self.function.reads_bits() {
                    // The lowest bit of the first byte is the first coil.
                    words.extend((0..usize::from(self.count)).map(|at| u16::from(data[at / 8] >> (at % 8) & 1)));
                    return Received::Words;
                }
                words.extend(data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
                Received::Words
            }
            _ => Received::Bad("answer to another function"),
        }
    }
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
        assert_eq!(READ.on_tcp(0x0102), [1, 2, 0, 0, 0, 6, 0x11, 3, 0, 0x6B, 0, 3]);
        assert_eq!(READ.on_rtu(), [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87]);
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
            (&[0, 6, 0, 0, 0, 3, 17, 0x83, 2], Received::Late(9)),
            (&[0, 7, 0, 0, 0, 3, 17, 0x83, 2], Received::Exception(2)),
            (&[0, 7, 0, 0, 0, 3, 17, 0x84, 2], Received::Bad("answer to another function")),
            (&[0, 7, 0, 0, 0, 3, 18, 0x83, 2], Received::Bad("answer of another unit")),
            (&[0, 7, 0, 0, 0, 7, 17, 3, 4, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
            (&[0, 7, 0, 0, 0, 7, 17, 3, 6, 0, 1, 0, 2], Received::Bad("answer of a wrong length")),
            (b"HTTP/1.1 400", Received::Bad("answer that is not Modbus TCP")),
            (&[0, 7, 0, 0, 0xFF, 0xFF], Received::Bad("answer that is not Modbus TCP")),
        ] {
            assert_eq!(tcp(bytes), (expected, Vec::new()), "{bytes:?}");
        }
        let answer = tcp(&[0, 7, 0, 0, 0, 9, 17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]);
        assert_eq!(answer, (Received::Words, vec![0x022B, 0, 0x64]));
    }

    /// The example of the standard, section 6.1: coils 20 to 38.
    #[test]
    fn bits_become_words_of_nought_and_one() {
        let coils = Request { unit: 17, function: Function::Coil, start: 19, count: 19 };
        let mut words = Vec::new();
        let answer = [0, 7, 0, 0, 0, 6, 17, 1, 3, 0xCD, 0x6B, 0x05];
        assert_eq!(coils.receive_tcp(7, &answer, &mut words), Received::Words);
        assert_eq!(words, [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]);
        assert_eq!(coils.rtu_answer_bytes(), 8);
        let short = [0, 7, 0, 0, 0, 5, 17, 1, 2, 0xCD, 0x6B];
        assert_eq!(coils.receive_tcp(7, &short, &mut words), Received::Bad("answer of a wrong length"));
    }

    fn rtu(mut content: Vec<u8>) -> (Received, Vec<u16>) {
        content.extend(crc(&content).to_le_bytes());
        let mut words = Vec::new();
        (READ.receive_rtu(&content, &mut words), words)
    }

    #[test]
    fn rtu_answers_are_told_apart() {
        assert_eq!(rtu(vec![17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64]), (Received::Words, vec![0x022B, 0, 0x64]));
        assert_eq!(rtu(vec![17, 0x83, 2]).0, Received::Exception(2));
        assert_eq!(rtu(vec![17, 3, 4, 0, 1, 0, 2]).0, Received::Bad("answer of a wrong length"));
        assert_eq!(rtu(vec![17, 4, 2, 0, 1]).0, Received::Bad("answer to another function"));
        assert_eq!(rtu(vec![16, 3, 2, 0, 1]).0, Received::Bad("answer of another unit, or noise"));
        let mut words = Vec::new();
        let torn = [17, 3, 6, 2, 0x2B, 0, 0, 0, 0x64, 0, 0];
        assert_eq!(READ.receive_rtu(&torn, &mut words), Received::Bad("answer with a wrong check sum"));
        assert_eq!(READ.receive_rtu(&torn[..7], &mut words), Received::Partial);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic_or_other_words_than_asked_for(bytes: Vec<u8>, transaction: u16) {
            let mut words = Vec::new();
            if READ.receive_tcp(transaction, &bytes, &mut words) == Received::Words {
                prop_assert_eq!(words.len(), 3);
            }
            if READ.receive_rtu(&bytes, &mut words) == Received::Words {
                prop_assert_eq!(words.len(), 3);
            }
        }
    }
}
