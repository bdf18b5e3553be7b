//! Modbus frames of the four writing functions: pure, no I/O. They are made of a [`Command`], which
//! only a permit gives; a [`Request`] can name no function that writes.
//!
//! Source: MODBUS Application Protocol V1.1b3, 6.5, 6.6, 6.11 and 6.12: the device answers with the
//! beginning of the request.

use riverwatts_shared::profile::WriteFunction;

use super::frame::{EXCEPTION, Exchange, FIXED, Received, Request, Stray, is_sound, others, tcp_content};
use super::other::{rtu_frame, tcp_frame};
use crate::write::Command;

/// Length of an answer without unit and framing: function, address, value or count.
const ECHO_BYTES: usize = 5;

impl Exchange for Command {
    fn unit(&self) -> u8 {
        self.target().0
    }

    fn as_read(&self) -> Request {
        let (unit, function, start) = self.target();
        Request { unit, function: function.reads(), start, count: 1 }
    }

    fn on_tcp(&self, transaction: u16) -> impl AsRef<[u8]> {
        tcp_frame(transaction, self.unit(), &pdu(self))
    }

    fn on_rtu(&self) -> impl AsRef<[u8]> {
        rtu_frame(self.unit(), &pdu(self))
    }

    fn rtu_answer_bytes(&self) -> usize {
        FIXED
    }

    fn receive_tcp(&self, transaction: u16, bytes: &[u8], _: &mut Vec<u16>) -> Received {
        match tcp_content(transaction, self.unit(), bytes) {
            Ok((whole, answer)) => echo(self, whole, answer),
            Err(received) => received,
        }
    }

    fn receive_rtu(&self, bytes: &[u8], _: &mut Vec<u16>) -> Received {
        // What an adapter hears of itself is told from the answer where it is longer; what looks the
        // same is taken for it, and what shows decides.
        let request = rtu_frame(self.unit(), &pdu(self));
        if request.len() > FIXED && bytes.starts_with(&request) {
            return Received::Stray(request.len(), Stray::Echo);
        }
        let Some(length) = rtu_length(self, bytes) else {
            return others(bytes, [self.unit(), code(self)], |rest| rtu_length(self, rest));
        };
        match bytes.get(..length).map(is_sound) {
            None => Received::Partial,
            Some(false) if request.starts_with(bytes) => Received::Partial,
            Some(false) if length == EXCEPTION => Received::Stray(1, Stray::Noise),
            Some(false) => Received::Bad("answer with a wrong check sum"),
            Some(true) => echo(self, length, &bytes[1..length - 2]),
        }
    }

    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        rtu_length(self, bytes).is_some()
    }
}

fn code(command: &Command) -> u8 {
    command.target().1.code()
}

/// How long the frame is that these bytes begin, if it is the answer.
fn rtu_length(command: &Command, bytes: &[u8]) -> Option<usize> {
    let [unit, function, ..] = *bytes else { return None };
    match function {
        _ if unit != command.unit() => None,
        _ if function == code(command) => Some(FIXED),
        _ if function == code(command) | 0x80 => Some(EXCEPTION),
        _ => None,
    }
}

/// Function code and what follows.
fn pdu(command: &Command) -> Vec<u8> {
    let (_, function, at) = command.target();
    let words = command.words();
    let mut pdu = vec![function.code()];
    pdu.extend(at.to_be_bytes());
    match function {
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

/// What the content of a frame of `whole` bytes says: the beginning of the request again, or an
/// exception.
fn echo(command: &Command, whole: usize, answer: &[u8]) -> Received {
    let code = code(command);
    match *answer {
        [function, exception] if function == code | 0x80 => Received::Exception(whole, exception),
        [function, ..] if function != code => Received::Bad("answer to another function"),
        _ if *answer == pdu(command)[..ECHO_BYTES] => Received::Words(whole),
        _ => Received::Bad("answer that names another value than was written"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::bus::frame::crc;
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
            let command = permit(name, value).command(&[]).unwrap();
            let tcp = [&[1, 2, 0, 0, 0, pdu.len() as u8 + 1, 17], pdu].concat();
            assert_eq!(command.on_tcp(0x0102).as_ref(), tcp, "{name}");
            let mut rtu = [&[17], pdu].concat();
            rtu.extend(crc(&rtu).to_le_bytes());
            assert_eq!(command.on_rtu().as_ref(), rtu, "{name}");
        }
    }

    #[test]
    fn only_the_beginning_of_the_request_is_an_answer_to_it() {
        let command = permit("registers", "3").command(&[]).unwrap();
        for (pdu, expected) in [
            (&[16, 0, 1, 0, 2][..], Ok(())),
            (&[0x90, 2], Err(Some(2))),
            (&[16, 0, 1, 0, 3], Err(None)),
            (&[16, 0, 2, 0, 2], Err(None)),
        ] {
            let wrong = || Received::Bad("answer that names another value than was written");
            let expected = |whole: usize| match expected {
                Ok(()) => Received::Words(whole),
                Err(Some(code)) => Received::Exception(whole, code),
                Err(None) => wrong(),
            };
            let tcp = [&[0, 7, 0, 0, 0, pdu.len() as u8 + 1, 17], pdu].concat();
            let receive = |transaction, bytes: &[u8]| command.receive_tcp(transaction, bytes, &mut Vec::new());
            assert_eq!(receive(7, &tcp), expected(tcp.len()), "{pdu:?}");
            assert_eq!(receive(8, &tcp), Received::Stray(tcp.len(), Stray::Late));
            assert_eq!(receive(7, &tcp[..tcp.len() - 1]), Received::Partial);
            let mut rtu = [&[17], pdu].concat();
            rtu.extend(crc(&rtu).to_le_bytes());
            assert_eq!(command.receive_rtu(&rtu, &mut Vec::new()), expected(rtu.len()), "{pdu:?}");
            assert_eq!(command.receive_rtu(&rtu[..4], &mut Vec::new()), Received::Partial, "{pdu:?}");
        }
        let short = [0, 7, 0, 0, 0, 4, 17, 16, 0, 1];
        let received = command.receive_tcp(7, &short, &mut Vec::new());
        assert_eq!(received, Received::Bad("answer that names another value than was written"));
        let foreign = [0, 7, 0, 0, 0, 6, 18, 16, 0, 1, 0, 2];
        assert_eq!(command.receive_tcp(7, &foreign, &mut Vec::new()), Received::Stray(12, Stray::Foreign));
        let torn = [17, 16, 0, 1, 0, 2, 0, 0];
        assert_eq!(command.receive_rtu(&torn, &mut Vec::new()), Received::Bad("answer with a wrong check sum"));
    }

    #[test]
    fn what_an_adapter_hears_of_itself_is_no_answer_where_it_is_longer() {
        let command = permit("registers", "655362").command(&[]).unwrap();
        let sent = rtu_frame(command.unit(), &pdu(&command));
        assert_eq!(command.receive_rtu(&sent, &mut Vec::new()), Received::Stray(sent.len(), Stray::Echo));
        assert_eq!(command.receive_rtu(&sent[..10], &mut Vec::new()), Received::Partial);
        assert_eq!(command.receive_rtu(&[], &mut Vec::new()), Received::Partial);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic(bytes: Vec<u8>, transaction: u16) {
            let command = permit("coil", "on").command(&[]).unwrap();
            let _ = command.receive_tcp(transaction, &bytes, &mut Vec::new());
            let _ = command.receive_rtu(&bytes, &mut Vec::new());
        }
    }
}
