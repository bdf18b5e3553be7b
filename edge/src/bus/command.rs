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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Overrides, parse};
    use crate::write::{Permit, Proposal};

    const PROFILE: &str = r#"
format = 1
manufacturer = "Nobody"
model = "Test"
device = "controller"
confidence = "low"
sources = ["made up"]
[[area]]
name = "main"
function = "holding"
registers = [{ name = "mode", at = 0, type = "u16", metric = "x_mode" }]
[[write]]
name = "coil"
function = "coil"
at = 172
values = [{ name = "on", raw = 0xFF00 }]
[[write]]
name = "coils"
function = "coils"
at = 19
values = [{ name = "off", raw = 0 }, { name = "on", raw = 1 }]
[[write]]
name = "register"
function = "register"
at = 1
range = [0, 100]
[[write]]
name = "registers"
function = "registers"
at = 1
type = "u32"
range = [0, 1000000]
[[write]]
name = "pair"
function = "registers"
at = 4104
complement = true
access = "wo"
values = [{ name = "stop", raw = 35700, reads = 0 }]
read_back = { register = "main.mode" }
"#;

    /// The permit to write a value to unit 17.
    fn permit(name: &str, value: &str) -> Permit {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.toml"), PROFILE).unwrap();
        let text = format!(
            "profiles = [\".\"]\n[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"10.0.0.1\"\n[[device]]\nid = \"d\"\n\
             bus = \"lan\"\nunit = 17\nprofile = \"test\"\nwrites = [\"{name}\"]\n[[device.interlock]]\n\
             writes = [\"{name}\"]\nalways = true\n"
        );
        let config = parse(&text, "edge.toml", folder.path(), &Overrides::default()).unwrap();
        Proposal::new(&config, "d", name, value).unwrap().permit(|_, _| None, Duration::ZERO).unwrap()
    }

    /// Codes 5 and 6: the examples of the standard, sections 6.5 and 6.6.
    #[test]
    fn frames_look_as_the_standard_has_them() {
        for (name, value, pdu) in [
            ("coil", "on", &[5, 0, 0xAC, 0xFF, 0][..]),
            ("coils", "on", &[15, 0, 0x13, 0, 1, 1, 1]),
            ("coils", "off", &[15, 0, 0x13, 0, 1, 1, 0]),
            ("register", "3", &[6, 0, 1, 0, 3]),
            ("registers", "655362", &[16, 0, 1, 0, 2, 4, 0, 0x0A, 0, 2]),
            ("pair", "stop", &[16, 0x10, 0x08, 0, 2, 4, 0x8B, 0x74, 0x74, 0x8B]),
        ] {
            let command = permit(name, value).command();
            let tcp = [&[1, 2, 0, 0, 0, pdu.len() as u8 + 1, 17], pdu].concat();
            assert_eq!(command.on_tcp(0x0102).as_ref(), tcp, "{name}");
            let mut rtu = [&[17], pdu].concat();
            rtu.extend(crc(&rtu).to_le_bytes());
            assert_eq!(command.on_rtu().as_ref(), rtu, "{name}");
        }
    }

    #[test]
    fn only_the_beginning_of_the_request_is_an_answer_to_it() {
        let command = permit("registers", "3").command();
        for (pdu, expected) in [
            (&[16, 0, 1, 0, 2][..], Received::Words),
            (&[0x90, 2], Received::Exception(2)),
            (&[16, 0, 1, 0, 3], Received::Bad("answer that names another value than was written")),
            (&[16, 0, 2, 0, 2], Received::Bad("answer that names another value than was written")),
            (&[6, 0, 1, 0, 2], Received::Bad("answer to another function")),
            (&[16, 0, 1], Received::Bad("answer that names another value than was written")),
        ] {
            let tcp = [&[0, 7, 0, 0, 0, pdu.len() as u8 + 1, 17], pdu].concat();
            assert_eq!(command.receive_tcp(7, &tcp, &mut Vec::new()), expected, "{pdu:?}");
            assert_eq!(command.receive_tcp(8, &tcp, &mut Vec::new()), Received::Late(tcp.len()));
            let last = tcp.len() - 1;
            assert_eq!(command.receive_tcp(7, &tcp[..last], &mut Vec::new()), Received::Partial);
            if pdu.len() == 3 {
                continue; // nothing on a line says that a frame is short
            }
            let mut rtu = [&[17], pdu].concat();
            rtu.extend(crc(&rtu).to_le_bytes());
            assert_eq!(command.receive_rtu(&rtu, &mut Vec::new()), expected, "{pdu:?}");
        }
        for (bytes, expected) in [
            (&[][..], Received::Partial),
            (&[17, 16, 0, 1, 0, 2, 0], Received::Partial),
            (&[17, 16, 0, 1, 0, 2, 0, 0], Received::Bad("answer with a wrong check sum")),
            (&[18, 16, 0, 1], Received::Bad("answer of another unit, or noise")),
        ] {
            assert_eq!(command.receive_rtu(bytes, &mut Vec::new()), expected, "{bytes:?}");
        }
        let foreign = [0, 7, 0, 0, 0, 6, 18, 16, 0, 1, 0, 2];
        assert_eq!(command.receive_tcp(7, &foreign, &mut Vec::new()), Received::Bad("answer of another unit"));
    }
}
