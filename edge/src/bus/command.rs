//! Modbus frames of the four writing functions: pure, no I/O. They are made of a [`Command`], which
//! only a permit gives; a [`Request`] can name no function that writes.
//!
//! Source: MODBUS Application Protocol V1.1b3, 6.5, 6.6, 6.11 and 6.12: the device answers with the
//! beginning of the request.

use riverwatts_shared::profile::WriteFunction;

use super::frame::{FRAME_MAX, Received, Request, crc};
use crate::write::Command;

/// Something that is sent, and how its answer is told.
pub(super) trait Exchange {
    fn unit(&self) -> u8;
    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]>;
    fn on_rtu(&self) -> impl AsRef<[u8]>;
    fn rtu_answer_bytes(&self) -> usize;
    fn receive_tcp(&self, transaction: u16, bytes: &[u8], words: &mut Vec<u16>) -> Received;
    fn receive_rtu(&self, bytes: &[u8], words: &mut Vec<u16>) -> Received;
}

/// Length of an answer without unit and framing: function, address, value or count.
const ECHO_BYTES: usize = 5;

impl Exchange for Request {
    fn unit(&self) -> u8 {
        self.unit
    }

    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]> {
        Request::on_tcp(self, transaction)
    }

    fn on_rtu(&self) -> impl AsRef<[u8]> {
        Request::on_rtu(self)
    }

    fn rtu_answer_bytes(&self) -> usize {
        Request::rtu_answer_bytes(self)
    }

    fn receive_tcp(&self, transaction: u16, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        Request::receive_tcp(self, transaction, bytes, words)
    }

    fn receive_rtu(&self, bytes: &[u8], words: &mut Vec<u16>) -> Received {
        Request::receive_rtu(self, bytes, words)
    }
}

impl Exchange for Command {
    fn unit(&self) -> u8 {
        Command::unit(self)
    }

    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]> {
        let pdu = pdu(self);
        let length = 1 + pdu.len() as u16; // a handful of registers
        let mut frame = [transaction.to_be_bytes(), [0, 0], length.to_be_bytes()].concat();
        frame.push(Command::unit(self));
        frame.extend(pdu);
        frame
    }

    fn on_rtu(&self) -> impl AsRef<[u8]> {
        let mut frame = vec![Command::unit(self)];
        frame.extend(pdu(self));
        frame.extend(crc(&frame).to_le_bytes());
        frame
    }

    fn rtu_answer_bytes(&self) -> usize {
        ECHO_BYTES + 3
    }

    fn receive_tcp(&self, transaction: u16, bytes: &[u8], _: &mut Vec<u16>) -> Received {
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
        match frame {
            [unit, pdu @ ..] if *unit == Command::unit(self) => echo(self, pdu),
            _ => Received::Bad("answer of another unit"),
        }
    }

    fn receive_rtu(&self, bytes: &[u8], _: &mut Vec<u16>) -> Received {
        let code = self.function().code();
        let length = match *bytes {
            [] => return Received::Partial,
            [unit, ..] if unit != Command::unit(self) => return Received::Bad("answer of another unit, or noise"),
            [_] => return Received::Partial,
            [_, function, ..] if function == code => 1 + ECHO_BYTES,
            [_, function, ..] if function == code | 0x80 => 3,
            _ => return Received::Bad("answer to another function"),
        };
        let Some(frame) = bytes.get(..length + 2) else { return Received::Partial };
        let (content, check) = frame.split_at(length);
        if crc(content).to_le_bytes() != *check {
            return Received::Bad("answer with a wrong check sum");
        }
        echo(self, &content[1..])
    }
}

/// Function code and what follows.
fn pdu(command: &Command) -> Vec<u8> {
    let words = command.words();
    let mut pdu = vec![command.function().code()];
    pdu.extend(command.at().to_be_bytes());
    match command.function() {
        WriteFunction::Coil | WriteFunction::Register => {
            pdu.extend(words.iter().take(1).flat_map(|word| word.to_be_bytes()));
        }
        WriteFunction::Coils => {
            pdu.extend([0, 1, 1]);
            pdu.push(words.iter().any(|&word| word != 0).into());
        }
        WriteFunction::Registers => {
            pdu.extend((words.len() as u16).to_be_bytes());
            pdu.push(2 * words.len() as u8); // a handful
            pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
    }
    pdu
}

/// What an answer says: the beginning of the request again, or an exception.
fn echo(command: &Command, answer: &[u8]) -> Received {
    let code = command.function().code();
    match *answer {
        [function, exception] if function == code | 0x80 => Received::Exception(exception),
        [function, ..] if function != code => Received::Bad("answer to another function"),
        _ if *answer == pdu(command)[..ECHO_BYTES] => Received::Words,
        _ => Received::Bad("answer that names another value than was written"),
    }
}
