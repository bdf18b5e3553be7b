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
