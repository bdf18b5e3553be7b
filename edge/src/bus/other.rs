//! Frames of what is asked beside the four reads: what a device says about itself. Pure.

use super::frame::crc;
use super::wire::Failure;

/// Bytes before the PDU on TCP: transaction, protocol, length, unit.
const HEADER: usize = 7;

/// Read device identification, function code 43, type 14: the basic objects from this one on. It is a
/// type of its own, and not a PDU of whatever function, so that nothing here can write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identify {
    pub(crate) from: u8,
}

impl Identify {
    /// Function code and type, with which the answer begins, too.
    pub(crate) const CODES: [u8; 2] = [0x2B, 0x0E];
    /// Which objects: maker, model, version.
    pub(crate) const BASIC: u8 = 1;

    /// Function code and what follows.
    pub(crate) const fn pdu(self) -> [u8; 4] {
        let [function, kind] = Identify::CODES;
        [function, kind, Identify::BASIC, self.from]
    }
}

/// The frame on RTU.
pub(super) fn rtu_frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    frame.extend(crc(&frame).to_le_bytes());
    frame
}

/// The frame on TCP.
pub(super) fn tcp_frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let [high, low] = transaction.to_be_bytes();
    let [length_high, length_low] = (pdu.len() as u16 + 1).to_be_bytes();
    let mut frame = vec![high, low, 0, 0, length_high, length_low, unit];
    frame.extend(pdu);
    frame
}

/// The PDU in the bytes received so far; `None` while more must come.
pub(super) fn rtu_pdu(unit: u8, bytes: &[u8], length: fn(&[u8]) -> Option<usize>) -> Option<Result<Vec<u8>, Failure>> {
    let (&first, pdu) = bytes.split_first()?;
    if first != unit {
        return Some(Err(Failure::Bad("answer of another unit, or noise")));
    }
    let length = length(pdu)?;
    let (pdu, check) = pdu.split_at_checked(length)?;
    let check = check.get(..2)?;
    match crc(&bytes[..=length]).to_le_bytes() == *check {
        true => Some(Ok(pdu.to_vec())),
        false => Some(Err(Failure::Bad("answer with a wrong check sum"))),
    }
}

/// The PDU in the bytes received so far, answers to earlier requests skipped; `None` while more must come.
pub(super) fn tcp_pdu(transaction: u16, unit: u8, mut bytes: &[u8]) -> Option<Result<Vec<u8>, Failure>> {
    loop {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[2..4] != [0, 0] || !(3..=254).contains(&length) {
            return Some(Err(Failure::Bad("answer that is not Modbus TCP")));
        }
        let (pdu, rest) = rest.split_at_checked(length - 1)?;
        if header[..2] != transaction.to_be_bytes() {
            bytes = rest;
            continue;
        }
        return Some(match header[6] == unit {
            true => Ok(pdu.to_vec()),
            false => Err(Failure::Bad("answer of another unit")),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(pdu: &[u8]) -> Option<usize> {
        pdu.first().map(|_| 3)
    }

    #[test]
    fn a_pdu_comes_back_from_its_frame_once_it_is_whole() {
        let pdu = [0x2B, 0x0E, 1];
        let rtu = rtu_frame(17, &pdu);
        let tcp = tcp_frame(7, 17, &pdu);
        for end in 0..rtu.len() {
            assert_eq!(rtu_pdu(17, &rtu[..end], three), None, "{end}");
        }
        for end in 0..tcp.len() {
            assert_eq!(tcp_pdu(7, 17, &tcp[..end]), None, "{end}");
        }
        assert_eq!(rtu_pdu(17, &rtu, three), Some(Ok(pdu.to_vec())));
        assert_eq!(tcp_pdu(7, 17, &tcp), Some(Ok(pdu.to_vec())));
        let late = [tcp_frame(6, 17, &[1, 2]), tcp].concat();
        assert_eq!(tcp_pdu(7, 17, &late), Some(Ok(pdu.to_vec())));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let mut rtu = rtu_frame(17, &[0x2B, 0x0E, 1]);
        assert_eq!(rtu_pdu(18, &rtu, three), Some(Err(Failure::Bad("answer of another unit, or noise"))));
        rtu[2] ^= 1;
        assert_eq!(rtu_pdu(17, &rtu, three), Some(Err(Failure::Bad("answer with a wrong check sum"))));
        let tcp = tcp_frame(7, 17, &[0x2B, 0x0E]);
        assert_eq!(tcp_pdu(7, 18, &tcp), Some(Err(Failure::Bad("answer of another unit"))));
        assert_eq!(tcp_pdu(7, 17, b"HTTP/1.1 400"), Some(Err(Failure::Bad("answer that is not Modbus TCP"))));
    }
}
