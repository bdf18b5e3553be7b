//! What a bus knows of itself, for the panel, `/metrics` and `status`: counters and the last words.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riverwatts_shared::profile::{Function, Identity};

pub use super::inbox::Strays;

/// How one poll of one device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was answered.
    Ok,
    /// The device refused something.
    Exception,
    /// It did not answer.
    Timeout,
    /// Something came that was no answer.
    BadFrame,
    /// There was no connection.
    Lost,
}

impl Outcome {
    /// Every outcome, in the order of [`UnitState::outcomes`].
    pub const ALL: [Outcome; 5] = [Outcome::Ok, Outcome::Exception, Outcome::Timeout, Outcome::BadFrame, Outcome::Lost];

    /// The label in `/metrics`.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Exception => "exception",
            Outcome::Timeout => "timeout",
            Outcome::BadFrame => "bad_frame",
            Outcome::Lost => "lost",
        }
    }
}

/// The state of a bus that its task writes and others read; held only to copy.
#[derive(Debug, Default)]
pub struct Status {
    state: Mutex<BusState>,
}

/// A bus at one moment.
#[derive(Debug, Clone, Default)]
pub struct BusState {
    /// Whether the socket or port is open.
    pub connected: bool,
    /// How often it was opened.
    pub connections: u64,
    /// How often it could not be opened.
    pub refused_connections: u64,
    /// Share of the time that requests took, 0 to 1, over the last [`LOAD_WINDOW`].
    pub load: f64,
    /// Share of the time that the plan takes: on a serial line what its requests need at the least,
    /// on a socket what they took. Above 1, polls are left out.
    pub planned_load: f64,
    /// What came in and answered no request of its time.
    pub strays: Strays,
    /// How often the bus found that nobody was to be asked for long.
    pub looks: u64,
    /// What went wrong last with the connection itself.
    pub last_error: Option<String>,
    /// Its devices, in the order of `edge.toml`.
    pub units: Vec<UnitState>,
}

/// Span over which the load is computed.
pub const LOAD_WINDOW: Duration = Duration::from_secs(10);

/// One device of a bus at one moment.
#[derive(Debug, Clone, Default)]
pub struct UnitState {
    /// Number of the device: its place in `edge.toml`.
    pub device: u16,
    /// Modbus address.
    pub unit: u8,
    /// Polls by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Polls that could not take place because the bus was busy.
    pub overruns: u64,
    /// Readings that could not be handed on because the recorder was behind.
    pub dropped: u64,
    /// Requests that were asked again within their poll.
    pub retries: u64,
    /// Silences in a row, nought while the device answers.
    pub failures: u32,
    /// Monotonic time at which it is asked again, while it is silent and asked less often.
    pub next_at: Option<Duration>,
    /// Mean duration of the last answers.
    pub round_trip: Duration,
    /// How the last poll ended.
    pub last_outcome: Option<Outcome>,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
    /// Monotonic time of it.
    pub last_error_at: Option<Duration>,
    /// Monotonic time of the last reading.
    pub last_ok_at: Option<Duration>,
    /// Registers that the device refuses and that are left out.
    pub refused: Vec<Refused>,
    /// What the device says about itself.
    pub identity: BTreeMap<Identity, String>,
}

/// Registers that a device refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// How they were asked for.
    pub function: Function,
    /// PDU address of the first.
    pub start: u16,
    /// How many.
    pub count: u16,
    /// What the profile calls the values in them.
    pub names: Vec<String>,
}

impl UnitState {
    /// How many polls were begun.
    pub fn polls(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// How many polls ended so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }
}

impl Status {
    /// A bus with these devices (number and unit), not yet connected.
    pub fn new(units: impl IntoIterator<Item = (u16, u8)>) -> Self {
        let units = units.into_iter().map(|(device, unit)| UnitState { device, unit, ..UnitState::default() });
        Status { state: Mutex::new(BusState { units: units.collect(), ..BusState::default() }) }
    }

    /// A copy of the state.
    pub fn get(&self) -> BusState {
        self.lock().clone()
    }

    /// How many polls ended with an answer, over all devices.
    pub fn answered(&self) -> u64 {
        let state = self.lock();
        state.units.iter().map(|unit| unit.count(Outcome::Ok) + unit.count(Outcome::Exception)).sum()
    }

    /// Grows while the bus lives: polls of all devices, and finding that none is due.
    pub fn progress(&self) -> u64 {
        let state = self.lock();
        state.looks + state.units.iter().map(UnitState::polls).sum::<u64>()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut BusState)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, BusState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
