//! Read Device Identification: function code 0x2B with MEI type 0x0E, which only reads.
//!
//! Source: MODBUS Application Protocol V1.1b3, 6.21.

use std::collections::BTreeMap;

use riverwatts_shared::profile::Identity;

use super::session::{Ended, Session};
use crate::bus::Identify;

/// Function code and MEI type.
const ASK: [u8; 2] = Identify::CODES;
/// The basic objects, which every device with this function has.
const BASIC: u8 = Identify::BASIC;
/// Most answers that one identification is spread over.
const ANSWERS_MAX: usize = 4;
/// Bytes of the answer before its first object.
const HEAD: usize = 7;

/// Id and text of one object.
type Object = (u8, String);

/// What a device says of itself by this function; empty when it does not know it.
///
/// # Errors
/// When there are to be no more requests.
pub async fn identify(session: &mut Session, unit: u8) -> Result<BTreeMap<Identity, String>, Ended> {
    let mut said = BTreeMap::new();
    let mut next = 0;
    for _ in 0..ANSWERS_MAX {
        let Ok(pdu) = session.ask(unit, Identify { from: next }, length).await? else { break };
        let Some((objects, more)) = parse(&pdu) else { break };
        for (id, text) in objects {
            let field = match id {
                0 => Identity::Manufacturer,
                1 => Identity::Model,
                2 => Identity::FirmwareVersion,
                _ => continue,
            };
            if !text.is_empty() {
                said.insert(field, text);
            }
        }
        match more {
            Some(object) if object > next => next = object,
            _ => break,
        }
    }
    Ok(said)
}

/// Length of the answer that begins so.
fn length(pdu: &[u8]) -> Option<usize> {
    let &function = pdu.first()?;
    if function != ASK[0] {
        return Some(2); // a refusal, or nothing that could be read
    }
    let mut at = HEAD;
    for _ in 0..*pdu.get(HEAD - 1)? {
        at += 2 + usize::from(*pdu.get(at + 1)?);
    }
    Some(at)
}

/// The objects of an answer, by id, and the one to go on with.
fn parse(pdu: &[u8]) -> Option<(Vec<Object>, Option<u8>)> {
    let &[function, kind, BASIC, _, more, next, count, ref objects @ ..] = pdu else { return None };
    if [function, kind] != ASK {
        return None;
    }
    let mut rest = objects;
    let mut found = Vec::new();
    for _ in 0..count {
        let &[id, length, ref tail @ ..] = rest else { return None };
        let (text, tail) = tail.split_at_checked(usize::from(length))?;
        let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
        found.push((id, text.trim().to_owned()));
        rest = tail;
    }
    Some((found, (more != 0).then_some(next)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the standard, 6.21.
    const ANSWER: &[u8] =
        b"\x2B\x0E\x01\x01\x00\x00\x03\x00\x16Company identification\x01\x0DProduct code \x02\x05V2.11";

    #[test]
    fn the_example_of_the_standard_is_read() {
        let (objects, more) = parse(ANSWER).unwrap();
        let texts: Vec<_> = objects.iter().map(|(id, text)| (*id, text.as_str())).collect();
        assert_eq!(texts, [(0, "Company identification"), (1, "Product code"), (2, "V2.11")]);
        assert_eq!(more, None);
    }

    #[test]
    fn the_length_shows_with_the_last_object_and_not_before() {
        for end in 0..ANSWER.len() - 5 {
            assert_ne!(length(&ANSWER[..end]), Some(end), "{end}");
        }
        assert_eq!(length(&ANSWER[..ANSWER.len() - 5]), Some(ANSWER.len()));
        assert_eq!(length(&[0xAB]), Some(2));
        assert_eq!(length(&[]), None);
    }

    #[test]
    fn what_is_torn_or_foreign_is_nothing() {
        for end in 0..ANSWER.len() {
            assert_eq!(parse(&ANSWER[..end]), None, "{end}");
        }
        assert_eq!(parse(&[0xAB, 1]), None);
    }
    proptest! {
        #[test]
        fn no_bytes_make_a_panic_or_a_length_that_objects_exceed(bytes: Vec<u8>, head in Just(&ANSWER[..6])) {
            for pdu in [bytes.clone(), [head, &bytes].concat()] {
                let objects = parse(&pdu).map(|(objects, _)| objects.len());
                if objects.is_some() {
                    prop_assert!(length(&pdu).is_some_and(|length| length <= pdu.len()));
                }
            }
        }
    }
}
