//! One device on its bus: finding its registers, reading them, and how often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::profile::sunspec::{Discovery, DiscoveryError, NoAnswer};
use riverwatts_shared::profile::{Identity, Profile};
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::Clock;
use tokio::time::Instant;

use super::frame::Request;
use super::isolate::{Requests, Split};
use super::schedule::{SICK, Schedule};
use super::status::Outcome;
use super::wire::{Failure, Pace, Wire};
use crate::decode::{Image, decode};
use crate::plan::{Block, Cadence, Cost, Layout};
use crate::validate::Validator;

/// How often slow registers are read.
pub const SLOW_EVERY: Duration = Duration::from_secs(10);
/// How often registers that the device refused are asked for again.
pub const RETRY_EXCLUDED_EVERY: Duration = Duration::from_secs(600);
/// Most requests that one poll spends on isolating bad addresses.
pub const ISOLATE_MAX: usize = 32;

/// A device as its bus sees it.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its place in `edge.toml`.
    pub(super) number: u16,
    /// Its key, for the log.
    pub(super) id: String,
    pub(super) unit: u8,
    pub(super) pace: Pace,
    cost: Cost,
    pub(super) profile: Arc<Profile>,
    /// When it is polled.
    pub(super) schedule: Schedule,
    /// Silences in a row.
    pub(super) failures: u32,
    validator: Validator,
    known: Option<Known>,
    image: Image,
}

/// What was learnt about the device since it was last reached.
#[derive(Debug)]
struct Known {
    layout: Layout,
    fast: Requests,
    slow: Requests,
    identified: bool,
    slow_due: Instant,
    retry_excluded: Instant,
}

/// What one poll brought.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) outcome: Outcome,
    /// The last thing that went wrong.
    pub(super) error: Option<String>,
    /// When the last answer came, in monotonic time, and what the answers say.
    pub(super) reading: Option<(Duration, Vec<Value>)>,
    /// Read once after the device was reached.
    pub(super) identity: Option<BTreeMap<Identity, String>>,
    /// How long the answers took, and how many there were.
    pub(super) answers: (Duration, u32),
}

impl Unit {
    pub(super) fn new(number: u16, device: &crate::config::Device, pace: Pace, cost: Cost, due: Instant) -> Self {
        Unit {
            number,
            id: device.id.clone(),
            unit: device.unit,
            pace,
            cost,
            profile: Arc::clone(&device.profile),
            schedule: Schedule { interval: device.interval, due },
            failures: 0,
            validator: Validator::new(device.rated.power_w),
            known: None,
            image: Image::new(),
        }
    }

    /// The addresses that the device refuses.
    pub(super) fn excluded(&self) -> Vec<(u16, u16)> {
        let known = self.known.iter().flat_map(|known| [&known.fast, &known.slow]);
        known.flat_map(|requests| requests.excluded()).map(|block| (block.start, block.count)).collect()
    }

    /// Whether it has answered, and as the device that its profile is for.
    pub(super) fn is_recognised(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.identified)
    }

    /// Reads the device once. `timeout` may be shorter than its own.
    pub(super) async fn poll(&mut self, wire: &mut Wire, timeout: Duration, clock: &dyn Clock) -> Polled {
        let mut session = Session::new(wire, self.unit, Pace { timeout, ..self.pace }, clock);
        let mut identity = None;
        let stopped = self.read(&mut session, &mut identity).await.err();
        if let Some(Stop(failure)) = &stopped {
            session.note(failure);
        }
        let Session { outcome, error, heard, answered_at, answers, .. } = session;
        let reading =
            answered_at.zip(self.known.as_ref()).map(|(at, known)| (at, decode(&known.layout, &self.image).values));
        self.image.clear();
        match (heard, outcome) {
            (true, _) => self.failures = 0,
            (false, Outcome::Lost) => {}
            (false, _) => self.failures = self.failures.saturating_add(1),
        }
        if outcome == Outcome::Lost || self.failures >= SICK {
            // It may come back as another machine.
            self.known = None;
        }
        let mut reading = reading.filter(|(_, values)| !values.is_empty());
        if let Some((at, values)) = &mut reading {
            self.validator.validate(*at, values);
        }
        Polled { outcome, error, reading, identity, answers }
    }

    async fn read(
        &mut self,
        session: &mut Session<'_>,
        identity: &mut Option<BTreeMap<Identity, String>>,
    ) -> Result<(), Stop> {
        if self.known.is_none() {
            let layout = session.find(&self.profile).await?;
            self.known = Some(Known::new(layout, &self.cost));
        }
        let Some(known) = self.known.as_mut() else { return Ok(()) };
        let now = Instant::now();
        if now >= known.retry_excluded {
            *known = Known { identified: known.identified, ..Known::new(known.layout.clone(), &self.cost) };
        }
        // A device that fell silent is first asked for something else: perhaps only one block is ill.
        let first = self.failures as usize;
        session.read_all(&known.layout, &mut known.fast, first, &mut self.image).await?;
        if known.fast.is_empty() && !known.fast.excluded().is_empty() {
            return Err(Stop(Failure::Bad("the device refuses every register; is it the right profile?")));
        }
        if now >= known.slow_due {
            known.slow_due = now + SLOW_EVERY;
            session.read_all(&known.layout, &mut known.slow, 0, &mut self.image).await?;
        }
        if !known.identified && session.heard {
            let mut once = Requests::new(known.layout.blocks(Cadence::Once, &self.cost));
            let mut image = Image::new();
            let at = session.answered_at;
            session.read_all(&known.layout, &mut once, 0, &mut image).await?;
            session.answered_at = at.or(session.answered_at);
            let said = decode(&known.layout, &image);
            if said.unexpected.is_some() {
                self.image.clear();
                return Err(Stop(Failure::Bad(
                    "the device is not the one that its profile is for; choose another profile",
                )));
            }
            known.identified = true;
            *identity = Some(said.identity);
        }
        Ok(())
    }
}

impl Known {
    fn new(layout: Layout, cost: &Cost) -> Self {
        let now = Instant::now();
        Known {
            fast: Requests::new(layout.blocks(Cadence::Fast, cost)),
            slow: Requests::new(layout.blocks(Cadence::Slow, cost)),
            layout,
            identified: false,
            slow_due: now,
            retry_excluded: now + RETRY_EXCLUDED_EVERY,
        }
    }
}

/// The poll cannot go on.
struct Stop(Failure);

/// The requests of one poll.
struct Session<'a> {
    wire: &'a mut Wire,
    unit: u8,
    pace: Pace,
    clock: &'a dyn Clock,
    requests: usize,
    /// Whether the device answered anything, if only to refuse.
    heard: bool,
    answered_at: Option<Duration>,
    answers: (Duration, u32),
    outcome: Outcome,
    error: Option<String>,
}

impl<'a> Session<'a> {
    fn new(wire: &'a mut Wire, unit: u8, pace: Pace, clock: &'a dyn Clock) -> Self {
        Session {
            wire,
            unit,
            pace,
            clock,
            requests: 0,
            heard: false,
            answered_at: None,
            answers: (Duration::ZERO, 0),
            outcome: Outcome::Ok,
            error: None,
        }
    }

    fn note(&mut self, failure: &Failure) {
        self.outcome = match failure {
            Failure::Exception(_) => Outcome::Exception,
            Failure::Silent(_) => Outcome::Timeout,
            Failure::Bad(_) => Outcome::BadFrame,
            Failure::Lost(_) => Outcome::Lost,
        };
        self.error = Some(failure.to_string());
    }

    async fn request(&mut self, block: &Block) -> Result<(), Failure> {
        self.requests += 1;
        let unit = block.unit.unwrap_or(self.unit);
        let request = Request { unit, function: block.function, start: block.start, count: block.count };
        let started = Instant::now();
        let answer = self.wire.read(&request, self.pace).await;
        // With 10 and 11, a gateway answers in place of a device that does not.
        self.heard |= matches!(answer, Ok(()) | Err(Failure::Exception(0..=9 | 12..)));
        if answer.is_ok() {
            self.answered_at = Some(self.clock.monotonic());
            self.answers.0 += started.elapsed();
            self.answers.1 += 1;
        }
        answer
    }

    /// Where the registers stand on this device.
    async fn find(&mut self, profile: &Profile) -> Result<Layout, Stop> {
        let Some(discover) = &profile.discovery else { return Ok(Layout::fixed(profile)) };
        let mut discovery = Discovery::new(discover);
        let mut silence = None;
        while let Some((start, count)) = discovery.request() {
            let block = Block { unit: None, function: discover.function, start, count };
            match self.request(&block).await {
                Ok(()) => discovery.answer(Ok(self.wire.words())),
                Err(Failure::Exception(_)) => discovery.answer(Err(NoAnswer::Refused)),
                Err(lost @ Failure::Lost(_)) => return Err(Stop(lost)),
                Err(silent) => {
                    discovery.answer(Err(NoAnswer::Silent));
                    silence = Some(silent);
                }
            }
        }
        self.answered_at = None;
        let models = discovery.finish().map_err(|error| match (error, silence) {
            (DiscoveryError::Silent | DiscoveryError::Broken { .. }, Some(silence)) => Stop(silence),
            _ => Stop(Failure::Bad(wrong_device(error))),
        })?;
        let layout = Layout::discovered(profile, &models);
        if layout.is_empty() {
            return Err(Stop(Failure::Bad("none of its SunSpec models is one that the profile knows; choose another")));
        }
        Ok(layout)
    }

    /// Reads every block once, beginning with number `first`, isolating what the device refuses.
    async fn read_all(
        &mut self,
        layout: &Layout,
        requests: &mut Requests,
        first: usize,
        image: &mut Image,
    ) -> Result<(), Stop> {
        if requests.is_empty() {
            return Ok(());
        }
        let first = first % requests.len();
        let mut index = first;
        let mut left = requests.len();
        let most = self.requests + left + ISOLATE_MAX;
        while left > 0 && self.requests < most {
            index %= requests.len();
            let block = requests.block(index);
            let refused = match self.request(&block).await {
                Ok(()) => {
                    image.put(&block, self.wire.words());
                    requests.answered(index);
                    false
                }
                Err(failure @ Failure::Exception(code)) => {
                    self.note(&failure);
                    match code {
                        1..=3 => true,
                        10 | 11 => return Err(Stop(failure)),
                        // Perhaps only now.
                        _ => requests.failed(index),
                    }
                }
                Err(failure @ Failure::Silent(_)) if self.heard => {
                    self.note(&failure);
                    requests.failed(index)
                }
                Err(failure @ Failure::Bad(_)) if self.wire.is_connected() => {
                    self.note(&failure);
                    false
                }
                Err(failure) => return Err(Stop(failure)),
            };
            match refused.then(|| requests.refused(layout, index)) {
                Some(Split::Halved) => left += 1,
                Some(Split::Excluded(_)) => left -= 1,
                None => {
                    index += 1;
                    left -= 1;
                }
            }
        }
        requests.rejoin();
        Ok(())
    }
}

const fn wrong_device(error: DiscoveryError) -> &'static str {
    match error {
        DiscoveryError::NoMarker => {
            "no SunSpec marker found; switch SunSpec on at the device, or choose another profile"
        }
        DiscoveryError::Endless { .. } => "its list of SunSpec models does not end; the firmware is at fault",
        DiscoveryError::Silent | DiscoveryError::Broken { .. } => "it fell silent in its list of SunSpec models",
    }
}
