//! Finds the models of a SunSpec device: the marker `SunS`, then a chain of (id, length, body)
//! up to the end id. Pure: the bus reads what [`Discovery::request`] asks and hands in the answer.
//!
//! Source: SunSpec Device Information Model Specification 1.1, section 6; order of the bases as
//! in pysunspec2.

use super::model::Discover;

/// The two registers of the marker, `SunS`.
pub const MARKER: [u16; 2] = [0x5375, 0x6E53];
/// The model id that ends the chain.
pub const END: u16 = 0xFFFF;
/// Most models of one device that are walked; real ones have fewer than 30.
pub const MODELS_MAX: usize = 64;
/// How often one header is asked for before a silent device is given up.
const ATTEMPTS_MAX: u8 = 3;

/// One model of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Its number in the SunSpec registry.
    pub id: u16,
    /// PDU address of its id word.
    pub start: u16,
    /// Registers that follow id and length.
    pub length: u16,
}

/// Why a request brought no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The device answered with an exception: it is there, but nothing stands at that address.
    Refused,
    /// Nothing came in time, or nothing that could be read.
    Silent,
}

/// Why the models could not be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Nobody answered: try again later.
    #[error("the device does not answer; check power, wiring and unit id")]
    Silent,
    /// The device answers, but not as a SunSpec device.
    #[error("no SunSpec marker found; switch SunSpec on at the device, or choose another profile")]
    NoMarker,
    /// The device fell silent in the middle of the chain: try again later.
    #[error("the device fell silent at address {at}, in the middle of its list of models")]
    Broken {
        /// PDU address of the header that was asked for.
        at: u16,
    },
    /// The chain does not end, or runs out of the address space.
    #[error("the list of models does not end by address {at}; the device's firmware is at fault")]
    Endless {
        /// PDU address at which the walk was given up.
        at: u16,
    },
}

/// The walk along the chain of models.
#[derive(Debug, Clone)]
pub struct Discovery {
    bases: Vec<u16>,
    models: Vec<Model>,
    state: State,
    attempts: u8,
    heard: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Marker { index: usize },
    Header { at: u16 },
    Done,
    Failed(DiscoveryError),
}

impl Discovery {
    /// A walk that begins with the first base.
    pub fn new(discover: &Discover) -> Self {
        let state = if discover.bases.is_empty() {
            State::Failed(DiscoveryError::NoMarker)
        } else {
            State::Marker { index: 0 }
        };
        Discovery { bases: discover.bases.clone(), models: Vec::new(), state, attempts: 0, heard: false }
    }

    /// PDU address and count of the registers to read next; `None` when the walk is over.
    pub fn request(&self) -> Option<(u16, u16)> {
        match self.state {
            State::Marker { index } => Some((self.bases[index], 2)),
            State::Header { at } => Some((at, 2)),
            State::Done | State::Failed(_) => None,
        }
    }

    /// Takes the answer to the last request.
    pub fn answer(&mut self, answer: Result<&[u16], NoAnswer>) {
        self.attempts += 1;
        self.heard |= answer != Err(NoAnswer::Silent);
        let next = match self.state {
            State::Marker { index } => self.after_marker(index, answer),
            State::Header { at } => self.after_header(at, answer),
            State::Done | State::Failed(_) => return,
        };
        if next != self.state {
            self.attempts = 0;
        }
        self.state = next;
    }

    fn after_marker(&self, index: usize, answer: Result<&[u16], NoAnswer>) -> State {
        if answer == Ok(&MARKER) {
            return match self.bases[index].checked_add(2) {
                Some(at) => State::Header { at },
                None => State::Failed(DiscoveryError::Endless { at: u16::MAX }),
            };
        }
        match (index + 1 < self.bases.len(), self.heard) {
            (true, _) => State::Marker { index: index + 1 },
            (false, true) => State::Failed(DiscoveryError::NoMarker),
            (false, false) => State::Failed(DiscoveryError::Silent),
        }
    }

    fn after_header(&mut self, at: u16, answer: Result<&[u16], NoAnswer>) -> State {
        let (id, length) = match answer {
            Ok(&[END, _]) => return State::Done,
            Ok(&[id, length]) => (id, length),
            // Some firmwares forget the end id: behind the last model nothing is mapped.
            Err(NoAnswer::Refused) if !self.models.is_empty() => return State::Done,
            _ if self.attempts < ATTEMPTS_MAX => return State::Header { at },
            _ => return State::Failed(DiscoveryError::Broken { at }),
        };
        let next = at.checked_add(2).and_then(|body| body.checked_add(length));
        match next {
            Some(next) if self.models.len() < MODELS_MAX => {
                self.models.push(Model { id, start: at, length });
                State::Header { at: next }
            }
            _ => State::Failed(DiscoveryError::Endless { at }),
        }
    }

    /// The models in the order of the chain, once [`Discovery::request`] gives `None`.
    ///
    /// # Errors
    /// Why the walk failed; [`DiscoveryError::Silent`] also when it is not over.
    pub fn finish(self) -> Result<Vec<Model>, DiscoveryError> {
        match self.state {
            State::Done => Ok(self.models),
            State::Failed(error) => Err(error),
            State::Marker { .. } => Err(DiscoveryError::Silent),
            State::Header { at } => Err(DiscoveryError::Broken { at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::profile::Function;

    fn walk() -> Discovery {
        Discovery::new(&Discover { bases: vec![40_000, 0, 50_000], function: Function::Holding })
    }

    /// Walks a device with these words; addresses without words are refused.
    fn discover(words: &BTreeMap<u16, u16>) -> (Result<Vec<Model>, DiscoveryError>, usize) {
        let mut walk = walk();
        let mut requests = 0;
        while let Some((start, count)) = walk.request() {
            let found: Option<Vec<u16>> =
                (0..count).map(|index| words.get(&start.checked_add(index)?).copied()).collect();
            walk.answer(found.as_deref().ok_or(NoAnswer::Refused));
            requests += 1;
            assert!(requests < 1_000, "the walk is bounded");
        }
        (walk.finish(), requests)
    }

    /// A device with the marker at `base` and models of these ids and lengths.
    fn device(base: u16, models: &[(u16, u16)]) -> BTreeMap<u16, u16> {
        let mut words = BTreeMap::from([(base, MARKER[0]), (base + 1, MARKER[1])]);
        let mut at = base + 2;
        for &(id, length) in models {
            words.extend([(at, id), (at + 1, length)]);
            at = at.saturating_add(2).saturating_add(length);
        }
        words
    }

    fn model(id: u16, start: u16, length: u16) -> Model {
        Model { id, start, length }
    }

    #[test]
    fn the_chain_is_walked_from_whatever_base_holds_the_marker() {
        for base in [40_000, 0, 50_000] {
            let (models, _) = discover(&device(base, &[(1, 65), (103, 50), (END, 0)]));
            assert_eq!(models, Ok(vec![model(1, base + 2, 65), model(103, base + 69, 50)]), "{base}");
        }
    }

    #[test]
    fn a_chain_without_its_end_is_taken_as_far_as_it_goes() {
        let (models, requests) = discover(&device(0, &[(1, 66), (113, 60)]));
        assert_eq!(models.map(|models| models.len()), Ok(2));
        assert_eq!(requests, 5);
    }

    #[test]
    fn chains_that_never_end_are_given_up() {
        let zeros: Vec<_> = (0..2_000).map(|_| (0, 0)).collect();
        assert_eq!(discover(&device(0, &zeros)).0, Err(DiscoveryError::Endless { at: 2 + 2 * MODELS_MAX as u16 }));
        assert_eq!(discover(&device(40_000, &[(1, 60_000)])).0, Err(DiscoveryError::Endless { at: 40_002 }));
    }

    #[test]
    fn silence_and_a_missing_marker_are_told_apart() {
        assert_eq!(discover(&BTreeMap::new()).0, Err(DiscoveryError::NoMarker));
        let mut silent = walk();
        while silent.request().is_some() {
            silent.answer(Err(NoAnswer::Silent));
        }
        assert_eq!(silent.finish(), Err(DiscoveryError::Silent));
    }

    #[test]
    fn a_header_lost_on_the_way_is_asked_for_again_a_few_times() {
        let mut walk = walk();
        walk.answer(Ok(&MARKER));
        walk.answer(Err(NoAnswer::Silent));
        walk.answer(Ok(&[1])); // an answer too short
        assert_eq!(walk.request(), Some((40_002, 2)));
        walk.answer(Ok(&[1, 66]));
        assert_eq!(walk.request(), Some((40_070, 2)));
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(walk.request(), Some((40_070, 2)));
            walk.answer(Err(NoAnswer::Silent));
        }
        assert_eq!(walk.request(), None);
        assert_eq!(walk.finish(), Err(DiscoveryError::Broken { at: 40_070 }));
    }
}
