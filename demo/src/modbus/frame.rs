//! Frames around requests and answers: with a header on TCP (MODBUS Messaging on TCP/IP V1.0b,
//! section 3.1.3), with a checksum on RTU (MODBUS over Serial Line V1.02, section 2.5.1).

use crate::modbus::pdu::PDU_MAX;

/// Length of the header on TCP, with the unit id.
const HEADER: usize = 7;
/// Longest frame with a header.
pub const TCP_MAX: usize = HEADER + PDU_MAX;
/// Longest RTU frame: unit, 253 bytes, checksum.
pub const RTU_MAX: usize = PDU_MAX + 3;

/// How frames are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By a header, which repeats the transaction id of the request.
    Tcp { transaction: [u8; 2] },
    /// By a checksum, and by silence.
    Rtu,
}

impl Framing {
    /// A frame of `unit` around this content.
    pub fn frame(self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        match self {
            Framing::Tcp { transaction: [high, low] } => {
                let [length_high, length_low] = (pdu.len() as u16 + 1).to_be_bytes(); // PDU_MAX fits
                [&[high, low, 0, 0, length_high, length_low, unit], pdu].concat()
            }
            Framing::Rtu => {
                let mut frame = [&[unit], pdu].concat();
                frame.extend(crc16(&frame).to_le_bytes());
                frame
            }
        }
    }
}

/// What a master sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// How its answer is to be framed.
    pub framing: Framing,
    /// Whom it is for.
    pub unit: u8,
    /// Function code and what follows.
    pub pdu: &'a [u8],
}

/// What the bytes of a master are.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// The beginning of a request.
    Partial,
    /// No request: on TCP none will follow, on RTU where the next begins is unknown until the line is quiet.
    Spoilt,
    /// A request of this many bytes.
    Whole(usize, Request<'a>),
}

/// The request with a header that begins `bytes`.
pub fn receive_tcp(bytes: &[u8]) -> Received<'_> {
    let &[id_high, id_low, protocol_high, protocol_low, length_high, length_low, ref rest @ ..] = bytes else {
        return Received::Partial;
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    // The length counts the unit id, too.
    if (protocol_high, protocol_low) != (0, 0) || !(2..=PDU_MAX + 1).contains(&length) {
        return Received::Spoilt;
    }
    let Some((&unit, pdu)) = rest.get(..length).and_then(<[u8]>::split_first) else { return Received::Partial };
    let framing = Framing::Tcp { transaction: [id_high, id_low] };
    Received::Whole(HEADER - 1 + length, Request { framing, unit, pdu })
}

/// The request with a checksum that begins `bytes`.
pub fn receive_rtu(bytes: &[u8]) -> Received<'_> {
    let Some(frame) = rtu_length(bytes).and_then(|length| bytes.get(..length)) else {
        return if bytes.len() < RTU_MAX { Received::Partial } else { Received::Spoilt };
    };
    let (body, checksum) = frame.split_at(frame.len() - 2);
    if checksum != crc16(body).to_le_bytes() {
        return Received::Spoilt;
    }
    Received::Whole(frame.len(), Request { framing: Framing::Rtu, unit: body[0], pdu: &body[1..] })
}

/// Requests have a fixed length, except the writes of several registers, which say theirs; other
/// functions are taken for a fixed one and fail the checksum.
fn rtu_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [_, 15 | 16, _, _, _, _, count, ..] => Some(9 + usize::from(count)),
        [_, 15 | 16, ..] => None,
        _ => Some(8),
    }
}

/// CRC-16/MODBUS: reflected polynomial 0xA001, starting with 0xFFFF; sent low byte first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // Catalogue of parametrised CRC algorithms, CRC-16/MODBUS: check value.
        assert_eq!(crc16(b"123456789"), 0x4B37);
        assert_eq!(crc16(&[1, 3, 0, 0, 0, 10]).to_le_bytes(), [0xC5, 0xCD]);
    }

    #[test]
    fn frames_look_as_the_standard_has_them() {
        let tcp = Framing::Tcp { transaction: [1, 2] };
        assert_eq!(tcp.frame(17, &[0x83, 2]), [1, 2, 0, 0, 0, 3, 17, 0x83, 2]);
        assert_eq!(Framing::Rtu.frame(1, &[3, 0, 0, 0, 10]), [1, 3, 0, 0, 0, 10, 0xC5, 0xCD]);
    }

    #[test]
    fn requests_on_rtu_are_as_long_as_their_function_says() {
        let whole = Framing::Rtu.frame(1, &[3, 0, 0, 0, 10]);
        let write = Framing::Rtu.frame(1, &[16, 0, 0, 0, 1, 2, 0, 5]);
        let request = |pdu| Request { framing: Framing::Rtu, unit: 1, pdu };
        for (bytes, expected) in [
            (&whole[..7], Received::Partial),
            (&[&whole[..], &[1]].concat(), Received::Whole(8, request(&[3, 0, 0, 0, 10]))),
            (&[&whole[..7], &[0]].concat(), Received::Spoilt),
            (&write[..6], Received::Partial),
            (&write[..10], Received::Partial),
            (&write, Received::Whole(11, request(&[16, 0, 0, 0, 1, 2, 0, 5]))),
            (&[16; RTU_MAX], Received::Spoilt),
            (&[], Received::Partial),
        ] {
            assert_eq!(receive_rtu(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn requests_on_tcp_are_as_long_as_their_header_says() {
        let framing = Framing::Tcp { transaction: [1, 2] };
        let request = Request { framing, unit: 17, pdu: &[3, 0, 0, 0, 1] };
        for (bytes, expected) in [
            (&[1, 2, 0, 0, 0][..], Received::Partial),
            (&[1, 2, 0, 0, 0, 6, 17, 3, 0, 0, 0], Received::Partial),
            (&[1, 2, 0, 0, 0, 6, 17, 3, 0, 0, 0, 1, 9], Received::Whole(12, request)),
            (&[1, 2, 0, 1, 0, 6, 17, 3, 0, 0, 0, 1], Received::Spoilt),
            (&[1, 2, 0, 0, 0, 1, 17], Received::Spoilt),
            (&[1, 2, 0, 0, 0, 255], Received::Spoilt),
        ] {
            assert_eq!(receive_tcp(bytes), expected, "{bytes:?}");
        }
    }
}
