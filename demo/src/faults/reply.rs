//! What becomes of one answer on its way: pure.

use std::time::Duration;

use super::{Beside, Moment, What, span};
use crate::modbus::frame::{Framing, Request};
use crate::modbus::pdu::{EXCEPTION, READ_HOLDING, READ_INPUT};

/// Silence between the frames of two units, where silence parts them.
const BETWEEN: Duration = Duration::from_millis(5);

/// What happens on the wire, one step after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for so long.
    Wait(Duration),
    /// These bytes.
    Send(Vec<u8>),
    /// The connection ends.
    Close,
}

impl Step {
    /// How long it takes.
    pub fn wait(&self) -> Duration {
        if let Step::Wait(pause) = self { *pause } else { Duration::ZERO }
    }
}

/// What the master gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What happens on the wire.
    pub steps: Vec<Step>,
    /// What was said in a frame that is right (function code and what follows).
    pub said: Option<Vec<u8>>,
    /// The words of the faults that it met.
    pub faults: Vec<&'static str>,
}

impl Reply {
    /// The answer as it is.
    pub fn right(request: &Request<'_>, answer: Option<Vec<u8>>) -> Reply {
        reply(request, answer, &[], |_| 0)
    }
}

/// Applies faults to an answer; `noise` gives chance for a place.
pub(super) fn reply(
    request: &Request<'_>,
    answer: Option<Vec<u8>>,
    whats: &[&What],
    noise: impl Fn(u64) -> u64,
) -> Reply {
    let faults = whats.iter().map(|what| what.word()).collect();
    let drop = whats.iter().find_map(|what| if let What::Drop(moment) = what { Some(*moment) } else { None });
    let mut steps = Vec::new();
    let delay: Duration = whats.iter().map(|what| if let What::Delay(by) = what { *by } else { Duration::ZERO }).sum();
    if !delay.is_zero() {
        steps.push(Step::Wait(delay));
    }
    let said = content(request, answer, whats);
    if let (Some(said), None | Some(Moment::Middle | Moment::After)) = (&said, drop) {
        before(request, said, whats, &noise, &mut steps);
        let mut frame = frame(request, said, whats, &noise);
        if drop == Some(Moment::Middle) {
            frame.truncate(frame.len() / 2);
        }
        let pause = whats.iter().find_map(|what| if let What::Slow(pause) = what { Some(*pause) } else { None });
        match pause {
            None => steps.push(Step::Send(frame)),
            Some(pause) => {
                let bytes = frame.into_iter().flat_map(|byte| [Step::Wait(pause), Step::Send(vec![byte])]);
                steps.extend(bytes.skip(1)); // the first byte waits for none
            }
        }
        noises(Beside::After, whats, &noise, &mut steps);
    }
    if drop.is_some() {
        steps.push(Step::Close);
    }
    Reply { steps, said: said.filter(|_| whats.iter().all(|what| what.leaves_right())), faults }
}

/// What the device says.
fn content(request: &Request<'_>, answer: Option<Vec<u8>>, whats: &[&What]) -> Option<Vec<u8>> {
    let mut answer = answer?;
    let function = *request.pdu.first()?;
    for what in whats {
        match what {
            What::Silence => return None,
            What::Exception(code) => answer = vec![function | EXCEPTION, *code],
            What::Sentinel { first, last, words } if matches!(answer[0], READ_HOLDING | READ_INPUT) => {
                let (start, _) = span(request.pdu)?;
                for (address, register) in (start..).zip(answer[2..].chunks_exact_mut(2)) {
                    if (*first..=*last).contains(&address) {
                        let word = words[(address - first) as usize % words.len()];
                        register.copy_from_slice(&word.to_be_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    Some(answer)
}

/// The frame around it.
fn frame(request: &Request<'_>, said: &[u8], whats: &[&What], noise: &impl Fn(u64) -> u64) -> Vec<u8> {
    let (mut framing, mut unit) = (request.framing, request.unit);
    for what in whats {
        match (what, &mut framing) {
            (What::WrongUnit, _) => unit = next(unit),
            (What::WrongTransaction, Framing::Tcp { transaction: [high, _] }) => *high ^= 0x80,
            _ => {}
        }
    }
    let mut frame = framing.frame(unit, said);
    for what in whats {
        match what {
            What::BadCrc => frame.last_mut().into_iter().for_each(|byte| *byte ^= 0xFF),
            What::Truncated(missing) => frame.truncate(frame.len().saturating_sub(*missing).max(1)),
            What::Garbage => frame = bytes(frame.len(), noise),
            _ => {}
        }
    }
    frame
}

/// What is heard before the answer.
fn before(request: &Request<'_>, said: &[u8], whats: &[&What], noise: &impl Fn(u64) -> u64, steps: &mut Vec<Step>) {
    if whats.contains(&&What::Foreign) {
        // Other numbers, so that who takes them is caught.
        let other = said.iter().enumerate().map(|(at, &byte)| if at < 2 { byte } else { !byte });
        let other: Vec<u8> = other.collect();
        steps.push(Step::Send(request.framing.frame(next(request.unit), &other)));
        if request.framing == Framing::Rtu {
            steps.push(Step::Wait(BETWEEN));
        }
    }
    noises(Beside::Before, whats, noise, steps);
}

fn noises(beside: Beside, whats: &[&What], noise: &impl Fn(u64) -> u64, steps: &mut Vec<Step>) {
    for what in whats {
        if let What::Noise(count, at) = what
            && *at == beside
        {
            steps.push(Step::Send(bytes(*count, noise)));
        }
    }
}

fn bytes(count: usize, noise: &impl Fn(u64) -> u64) -> Vec<u8> {
    (0..).map(|place| noise(place) as u8).take(count).collect()
}

/// The unit id after this one, of those that devices can have.
fn next(unit: u8) -> u8 {
    unit % 247 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: Framing = Framing::Tcp { transaction: [1, 2] };
    /// Reads two registers from 16 on.
    const READ: &[u8] = &[3, 0, 16, 0, 2];
    const SAID: &[u8] = &[3, 4, 0x0A, 0x0B, 0x0C, 0x0D];

    fn met(framing: Framing, whats: &[&What]) -> Reply {
        let request = Request { framing, unit: 7, pdu: READ };
        reply(&request, Some(SAID.to_vec()), whats, |place| 0xE0 + place)
    }

    /// On TCP: what is sent after header and unit, and whether it is right.
    #[track_caller]
    fn check(whats: &[&What], expected: &[Step], right: bool) {
        let reply = met(TCP, whats);
        assert_eq!((reply.steps.as_slice(), reply.said.is_some()), (expected, right), "{whats:?}");
    }

    #[test]
    fn each_fault_does_to_an_answer_what_its_word_says() {
        let header =
            |id_high: u8, unit: u8, pdu: &[u8]| [&[id_high, 2, 0, 0, 0, pdu.len() as u8 + 1, unit], pdu].concat();
        let whole = header(1, 7, SAID);
        let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
        let second = Duration::from_secs(1);
        check(&[], &[send(&whole)], true);
        check(&[&What::Silence], &[], false);
        check(&[&What::Delay(second), &What::Delay(second)], &[Step::Wait(2 * second), send(&whole)], true);
        check(&[&What::Exception(6)], &[send(&header(1, 7, &[0x83, 6]))], true);
        let sentinel = What::Sentinel { first: 17, last: 30, words: vec![0x8000, 1] };
        check(&[&sentinel], &[send(&header(1, 7, &[3, 4, 0x0A, 0x0B, 0x80, 0]))], true);
        check(&[&What::WrongUnit], &[send(&header(1, 8, SAID))], false);
        check(&[&What::WrongTransaction], &[send(&header(0x81, 7, SAID))], false);
        check(&[&What::Truncated(3)], &[send(&whole[..10])], false);
        check(&[&What::Truncated(99)], &[send(&whole[..1])], false);
        let noise: Vec<u8> = (0xE0..0xED).collect();
        check(&[&What::Garbage], &[send(&noise)], false);
        check(&[&What::Noise(2, Beside::Before)], &[send(&noise[..2]), send(&whole)], true);
        check(&[&What::Noise(2, Beside::After)], &[send(&whole), send(&noise[..2])], true);
        let other = header(1, 8, &[3, 4, 0xF5, 0xF4, 0xF3, 0xF2]);
        check(&[&What::Foreign], &[send(&other), send(&whole)], true);
        check(&[&What::Drop(Moment::Before)], &[Step::Close], false);
        check(&[&What::Drop(Moment::Middle)], &[send(&whole[..6]), Step::Close], false);
        check(&[&What::Drop(Moment::After)], &[send(&whole), Step::Close], true);
        check(&[&What::Silence, &What::Drop(Moment::After)], &[Step::Close], false);
    }

    #[test]
    fn a_slow_answer_is_whole_in_the_end_with_a_pause_between_its_bytes() {
        let pause = Duration::from_millis(5);
        let Reply { steps, said, .. } = met(Framing::Rtu, &[&What::Slow(pause)]);
        let sent = |step: &Step| if let Step::Send(bytes) = step { bytes.clone() } else { Vec::new() };
        assert_eq!(steps.iter().flat_map(sent).collect::<Vec<_>>(), Framing::Rtu.frame(7, SAID));
        assert_eq!(steps.iter().filter(|step| **step == Step::Wait(pause)).count(), 8);
        assert!(steps.len() == 17 && said.is_some());
    }

    #[test]
    fn on_rtu_frames_are_parted_and_a_checksum_can_be_wrong() {
        let right = Framing::Rtu.frame(7, SAID);
        let foreign = met(Framing::Rtu, &[&What::Foreign]).steps;
        assert_eq!(foreign[1..], [Step::Wait(BETWEEN), Step::Send(right.clone())]);
        let Reply { steps, said, .. } = met(Framing::Rtu, &[&What::BadCrc]);
        let [Step::Send(wrong)] = &*steps else { panic!("{steps:?}") };
        assert!(wrong[..8] == right[..8] && wrong[8] != right[8] && said.is_none());
    }
}
