//! One request, one answer (MODBUS Application Protocol V1.1b3, sections 6 and 7).

use crate::devices::{Device, Refusal};

/// Function code "read coils".
pub const READ_COILS: u8 = 1;
/// Function code "read discrete inputs".
pub const READ_DISCRETE: u8 = 2;
/// Function code "read holding registers".
pub const READ_HOLDING: u8 = 3;
/// Function code "read input registers".
pub const READ_INPUT: u8 = 4;
/// Function code "write single coil".
pub const WRITE_COIL: u8 = 5;
/// Function code "write single register".
pub const WRITE_REGISTER: u8 = 6;
/// Function code "write multiple coils"; of one coil here.
pub const WRITE_COILS: u8 = 15;
/// Function code "write multiple registers".
pub const WRITE_REGISTERS: u8 = 16;
/// Longest request or answer without its framing, in bytes.
pub const PDU_MAX: usize = 253;

/// Added to the function code of a refusal.
pub const EXCEPTION: u8 = 0x80;

const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_DATA_ADDRESS: u8 = 2;
const ILLEGAL_DATA_VALUE: u8 = 3;

/// What `device` answers as `unit` to a request; `None` when it is too short to be one, or the device dead.
pub fn answer(device: &Device, unit: u8, request: &[u8]) -> Option<Vec<u8>> {
    let (&function, arguments) = request.split_first().filter(|_| !device.is_silent())?;
    let answer = match function {
        WRITE_COIL | WRITE_REGISTER | WRITE_COILS | WRITE_REGISTERS => write(device, unit, request),
        _ => read(device, unit, function, arguments),
    };
    Some(answer.unwrap_or_else(|code| vec![function | EXCEPTION, code]))
}

/// The answer to a write is how it begins: function, address, and value or count.
fn write(device: &Device, unit: u8, request: &[u8]) -> Result<Vec<u8>, u8> {
    let &[function, a, b, c, d, ref data @ ..] = request else { return Err(ILLEGAL_DATA_VALUE) };
    let (at, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let words = match (function, data) {
        (WRITE_COIL | WRITE_REGISTER, []) => vec![second],
        (WRITE_COILS, [1, bits]) if second == 1 => vec![u16::from(bits & 1)],
        (WRITE_REGISTERS, [bytes, words @ ..])
            if usize::from(*bytes) == words.len() && words.len() == 2 * usize::from(second) =>
        {
            words.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        }
        _ => return Err(ILLEGAL_DATA_VALUE),
    };
    match device.write(unit, function, at, &words) {
        Ok(()) => Ok(vec![function, a, b, c, d]),
        Err(Refusal::Function) => Err(ILLEGAL_FUNCTION),
        Err(Refusal::Address) => Err(ILLEGAL_DATA_ADDRESS),
        Err(Refusal::Value) => Err(ILLEGAL_DATA_VALUE),
    }
}

fn read(device: &Device, unit: u8, function: u8, arguments: &[u8]) -> Result<Vec<u8>, u8> {
    let image = device.registers(unit, function).ok_or(ILLEGAL_FUNCTION)?;
    let &[a, b, c, d] = arguments else { return Err(ILLEGAL_DATA_VALUE) };
    let (address, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if count == 0 || count > device.registers_max(unit, function) {
        return Err(ILLEGAL_DATA_VALUE);
    }
    let words = image.read(address, count).ok_or(ILLEGAL_DATA_ADDRESS)?;
    if matches!(function, READ_COILS | READ_DISCRETE) {
        // The lowest bit of the first byte is the first coil.
        let byte = |bits: &[u16]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit & 1) as u8);
        let data: Vec<u8> = words.chunks(8).map(byte).collect();
        return Ok([vec![function, data.len() as u8], data].concat()); // at most 16: nobody answers more than 125
    }
    let mut answer = vec![function, 2 * count as u8]; // at most 250: nobody answers more than 125 registers
    answer.extend(words.into_iter().flat_map(u16::to_be_bytes));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::devices::Kind;
    use crate::profiled::{self, Profiled, Script};
    use crate::site::{Laws, Site};
    use crate::story::{Event, Story};

    #[test]
    fn requests_outside_the_map_get_the_right_exception() {
        let site = Arc::new(Site::new(Laws::new(1, 1.0), Arc::new(ManualClock::at(UtcMs(0))), Duration::ZERO));
        let check = |kind: Kind, request: &[u8], expected: &[u8]| {
            let got = answer(&Device::new(kind, site.clone()), kind.units()[0], request).unwrap();
            assert_eq!(got, expected, "{kind:?} {request:?}");
        };
        check(Kind::Turbine, &[3, 0x9C, 0x40, 0, 2], &[3, 4, 0x53, 0x75, 0x6E, 0x53]);
        check(Kind::Turbine, &[3, 0, 0, 0, 2], &[0x83, 2]);
        check(Kind::Turbine, &[3, 0xFF, 0xFF, 0, 2], &[0x83, 2]);
        check(Kind::Turbine, &[4, 0x9C, 0x40, 0, 2], &[0x84, 1]);
        check(Kind::Turbine, &[0x2B, 0x0E], &[0xAB, 1]);
        check(Kind::Turbine, &[3, 0x9C, 0x40, 0, 0], &[0x83, 3]);
        check(Kind::Turbine, &[3, 0x9C, 0x40, 0, 126], &[0x83, 3]);
        check(Kind::Turbine, &[3, 0x9C, 0x40, 0], &[0x83, 3]);
        check(Kind::Meter, &[4, 0, 0, 0, 81], &[0x84, 3]);
        check(Kind::Meter, &[3, 0, 0, 0, 2], &[0x83, 1]);
        check(Kind::Battery, &[4, 0x01, 0x08, 0, 1], &[4, 2, 0, 0]);
        check(Kind::Battery, &[4, 0x03, 0x20, 0, 1], &[0x84, 2]);
    }

    #[test]
    fn what_a_profile_opens_can_be_written_and_shows_where_it_says() {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        let profile = profiled::load("waveshare-relay-8ch").unwrap();
        let off = ["x_relay_1=0", "x_relay_3=0"].map(str::to_owned);
        let script = Script::read(&off, None, &profiled::names(&profile).unwrap()).unwrap();
        let device = Device::of_profile(Arc::new(Profiled::new(&profile, 1, &script, 1.0, clock).unwrap()));
        for (request, expected) in [
            (&[1, 0, 0, 0, 8][..], &[1, 1, 0b1111_1010][..]),
            (&[5, 0, 2, 0xFF, 0], &[5, 0, 2, 0xFF, 0]),
            (&[1, 0, 0, 0, 8], &[1, 1, 0b1111_1110]),
            (&[5, 0, 7, 0, 0], &[5, 0, 7, 0, 0]),
            (&[5, 2, 0, 0, 15], &[5, 2, 0, 0, 15]),
            (&[1, 0, 0, 0, 8], &[1, 1, 0b0111_1111]),
            (&[5, 0, 2, 0, 1], &[0x85, 3]),
            (&[5, 2, 0, 0xFF, 0], &[0x85, 3]),
            (&[5, 0, 8, 0xFF, 0], &[0x85, 2]),
            (&[15, 0, 2, 0, 1, 1, 1], &[0x8F, 1]),
            (&[6, 0, 2, 0, 1], &[0x86, 1]),
            (&[16, 0, 2, 0, 1, 2, 0], &[0x90, 3]),
            (&[1, 0, 0, 0, 8], &[1, 1, 0b0111_1111]),
        ] {
            assert_eq!(answer(&device, 1, request).unwrap(), expected, "{request:?}");
        }
    }

    #[test]
    fn a_pair_of_key_and_complement_is_taken_and_half_of_it_is_not() {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        let profile = profiled::load("deepsea-gencomm").unwrap();
        let script = Script::read(&[], None, &profiled::names(&profile).unwrap()).unwrap();
        let device = Device::of_profile(Arc::new(Profiled::new(&profile, 1, &script, 1.0, clock).unwrap()));
        for (request, expected) in [
            (&[16, 0x10, 8, 0, 2, 4, 0x8B, 0x75, 0x74, 0x8B][..], &[0x90, 3][..]),
            (&[16, 0x10, 8, 0, 2, 4, 0x8B, 0x75, 0x74, 0x8A], &[16, 0x10, 8, 0, 2]),
            (&[3, 3, 4, 0, 1], &[3, 2, 0, 1]),
        ] {
            assert_eq!(answer(&device, 10, request).unwrap(), expected, "{request:?}");
        }
    }

    #[test]
    fn a_dead_sensor_answers_nothing_and_the_others_go_on() {
        let story = Story::new(1, 0.0, &[Event::DeadSensor]);
        let dies_s = story.next_turn(0.0).unwrap().at_s;
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        let site = Arc::new(Site::new(Laws::new(1, 1.0).with_story(story), clock.clone(), Duration::ZERO));
        let answers = |kind| answer(&Device::new(kind, site.clone()), 1, &[3, 0, 0, 0, 1]).is_some();
        assert!(answers(Kind::Radar));
        clock.advance(Duration::from_secs_f64(dies_s + 1.0));
        assert!(!answers(Kind::Radar) && answers(Kind::Meter) && answers(Kind::Turbine));
    }
}
