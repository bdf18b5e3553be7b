//! What goes wrong with the answers of virtual devices, as a [`script`] says: whose, when, what.
//! Chance comes from a seed, so that the same requests meet the same faults again.

mod reply;
pub mod script;

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverwatts_shared::time::Clock;

use crate::modbus::frame::Request;
use crate::noise::{Noise, Stream};
pub use reply::{Reply, Step};

/// Chances are given in millionths.
const CERTAIN: u64 = 1_000_000;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    whom: Whom,
    /// Since the devices began to answer.
    from: Duration,
    until: Duration,
    /// Only requests that touch these registers, first and last.
    registers: Option<(u16, u16)>,
    often: Often,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    All,
    Device(String),
    Unit(u8),
}

/// Which of the requests that a fault could meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Every(u64),
    /// Millionths.
    Chance(u64),
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// There is none.
    Silence,
    /// It comes later; after the master's time-out, if that is shorter.
    Delay(Duration),
    /// A refusal with this code.
    Exception(u8),
    /// From the first to the last of some registers stand these words, again and again.
    Sentinel { first: u32, last: u32, words: Vec<u16> },
    /// It has the next unit's id.
    WrongUnit,
    /// It has another transaction id.
    WrongTransaction,
    /// Its checksum is wrong.
    BadCrc,
    /// So many bytes are missing at its end.
    Truncated(usize),
    /// Noise of the same length.
    Garbage,
    /// So many bytes of noise beside it.
    Noise(usize, Beside),
    /// The next unit says something else before it.
    Foreign,
    /// It comes byte by byte, with this pause between two.
    Slow(Duration),
    /// The connection is closed.
    Drop(Moment),
    /// A further connection is not served.
    OneConnection(Second),
}

impl What {
    /// Its word in a script.
    pub(crate) fn word(&self) -> &'static str {
        let word = script::WORDS.into_iter().find(|(_, what)| discriminant(what) == discriminant(self));
        word.expect("every fault has a word").0
    }

    /// Whether a right answer arrives nevertheless.
    fn leaves_right(&self) -> bool {
        match self {
            What::Silence | What::WrongUnit | What::WrongTransaction | What::BadCrc => false,
            What::Truncated(_) | What::Garbage | What::Drop(Moment::Before | Moment::Middle) => false,
            What::Delay(_) | What::Exception(_) | What::Sentinel { .. } | What::Noise(..) => true,
            What::Foreign | What::Slow(_) | What::Drop(Moment::After) | What::OneConnection(_) => true,
        }
    }
}

/// Where noise is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Before,
    After,
}

/// When a connection is closed, seen from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    Middle,
    After,
}

/// What becomes of a further connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// It is closed at once.
    Refused,
    /// It is not answered before the first has ended.
    Waits,
}

/// The faults of the devices at one address.
#[derive(Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    chance: Noise,
    clock: Arc<dyn Clock>,
    /// How many requests each fault could have met, by its number and the unit.
    met: Mutex<HashMap<(usize, u8), u64>>,
}

impl Faults {
    /// The faults of a script; their time begins with that of `clock`.
    pub fn new(faults: Vec<Fault>, seed: u64, clock: Arc<dyn Clock>) -> Faults {
        Faults { faults, chance: Noise::new(seed), clock, met: Mutex::default() }
    }

    /// What the master gets instead of `answer` (function code and what follows) from this device.
    pub fn reply(&self, device: &str, request: &Request<'_>, answer: Option<Vec<u8>>) -> Reply {
        let now = self.clock.monotonic();
        let mut whats = Vec::new();
        let mut seed = 0;
        for (number, fault) in self.faults.iter().enumerate() {
            if fault.concerns(device, request.unit, now) && fault.touches(request.pdu) {
                let count = self.count(number, request.unit);
                // Devices at different addresses have the same units, and chances of their own.
                let named = device.bytes().map(u64::from);
                let bits = self.chance.bits(Stream::Faults, named.chain([number as u64, count]));
                let meets = match fault.often {
                    Often::Every(every) => count.is_multiple_of(every),
                    Often::Chance(millionths) => bits % CERTAIN < millionths,
                };
                if meets {
                    whats.push(&fault.what);
                    seed ^= bits;
                }
            }
        }
        reply::reply(request, answer, &whats, |place| self.chance.bits(Stream::Faults, [seed, place]))
    }

    /// What becomes of a further connection now, if it is not served.
    pub fn second_connection(&self) -> Option<Second> {
        let now = self.clock.monotonic();
        self.faults.iter().find_map(|fault| match fault.what {
            What::OneConnection(second) if fault.lasts(now) => Some(second),
            _ => None,
        })
    }

    /// Counts a request, and says the how manieth it is.
    fn count(&self, number: usize, unit: u8) -> u64 {
        let mut met = self.met.lock().expect("never poisoned: nothing panics inside");
        let count = met.entry((number, unit)).or_default();
        *count += 1;
        *count
    }
}

impl Fault {
    /// Whether it is meant for this device at all.
    pub fn is_for(&self, device: &str, unit: u8) -> bool {
        match &self.whom {
            Whom::All => true,
            Whom::Device(id) => id == device,
            Whom::Unit(number) => *number == unit,
        }
    }

    fn lasts(&self, now: Duration) -> bool {
        (self.from..self.until).contains(&now)
    }

    fn concerns(&self, device: &str, unit: u8, now: Duration) -> bool {
        !matches!(self.what, What::OneConnection(_)) && self.is_for(device, unit) && self.lasts(now)
    }

    fn touches(&self, pdu: &[u8]) -> bool {
        let Some((first, last)) = self.registers else { return true };
        span(pdu).is_some_and(|(start, end)| u32::from(first) < end && start <= u32::from(last))
    }
}

/// The registers of a request: the first, and the one behind the last.
fn span(pdu: &[u8]) -> Option<(u32, u32)> {
    let &[_, a, b, c, d, ..] = pdu else { return None };
    let start = u32::from(u16::from_be_bytes([a, b]));
    Some((start, start + u32::from(u16::from_be_bytes([c, d]))))
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::time::{ManualClock, UtcMs};

    use super::*;
    use crate::modbus::frame::Framing;

    fn fault(whom: Whom, often: Often) -> Fault {
        Fault { whom, from: Duration::ZERO, until: Duration::MAX, registers: None, often, what: What::Silence }
    }

    /// Of so many requests of `plain-<unit>`, which are not answered.
    fn silences(faults: &Faults, unit: u8, count: u64) -> Vec<u64> {
        let request = Request { framing: Framing::Rtu, unit, pdu: &[3, 0, 16, 0, 4] };
        let answered =
            |_: &u64| !faults.reply(&format!("plain-{unit}"), &request, Some(vec![0x83, 2])).steps.is_empty();
        (1..=count).filter(|number| !answered(number)).collect()
    }

    fn faults(list: Vec<Fault>, seed: u64) -> (Faults, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UtcMs(0)));
        (Faults::new(list, seed, clock.clone()), clock)
    }

    #[test]
    fn a_fault_meets_every_so_manieth_request_of_whom_it_is_for() {
        let list =
            vec![fault(Whom::Device("plain-1".to_owned()), Often::Every(2)), fault(Whom::Unit(2), Often::Every(1))];
        let (faults, _) = faults(list, 1);
        assert_eq!(silences(&faults, 1, 3), [2]);
        assert_eq!(silences(&faults, 2, 3), [1, 2, 3]);
        assert_eq!(silences(&faults, 3, 3), [0; 0]);
        assert_eq!(silences(&faults, 1, 3), [1, 3], "the count goes on");
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let of = |seed, unit| silences(&faults(vec![fault(Whom::All, Often::Chance(250_000))], seed).0, unit, 1_000);
        let first = of(7, 1);
        assert_eq!(first, of(7, 1));
        assert!((200..300).contains(&first.len()), "{} of 1000 at a chance of a quarter", first.len());
        assert!(first != of(8, 1) && first != of(7, 2));
    }

    #[test]
    fn a_fault_lasts_from_its_beginning_to_its_end() {
        let (from, until) = (Duration::from_secs(10), Duration::from_secs(20));
        let (faults, clock) = faults(vec![Fault { from, until, ..fault(Whom::All, Often::Every(1)) }], 1);
        let mut silent = Vec::new();
        for second in 0..30 {
            silent.extend(silences(&faults, 1, 1).iter().map(|_| second));
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(silent, (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_fault_of_registers_meets_requests_that_touch_them() {
        for (registers, met) in [((0, 15), false), ((15, 16), true), ((19, 19), true), ((20, 65_535), false)] {
            let list = vec![Fault { registers: Some(registers), ..fault(Whom::All, Often::Every(1)) }];
            assert_eq!(!silences(&faults(list, 1).0, 1, 1).is_empty(), met, "{registers:?} and 16 to 19");
        }
    }

    #[test]
    fn a_second_connection_is_refused_while_the_fault_lasts_and_requests_are_answered() {
        let what = What::OneConnection(Second::Waits);
        let until = Duration::from_secs(5);
        let (faults, clock) = faults(vec![Fault { until, what, ..fault(Whom::All, Often::Every(1)) }], 1);
        assert_eq!((faults.second_connection(), silences(&faults, 1, 2)), (Some(Second::Waits), vec![]));
        clock.advance(until);
        assert_eq!(faults.second_connection(), None);
    }
}
