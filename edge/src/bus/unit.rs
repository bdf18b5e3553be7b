//! One device on its bus: one poll of it, and what is remembered from one to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Identity, Profile};
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::Clock;
use tokio::time::Instant;

use super::known::Known;
use super::rhythm::Rhythm;
use super::schedule::Schedule;
use super::session::{Answers, Session, Stop};
use super::status::{Outcome, Refused};
use super::wire::{Failure, Pace, Wire};
use crate::config::{Config, Device};
use crate::decode::{Decoded, Image, decode};
use crate::plan::wire::Line;
use crate::plan::{Cost, Layout};
use crate::validate::Validator;

/// A device as its bus sees it.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its place in `edge.toml`.
    pub(super) number: u16,
    /// Its key, for the log.
    pub(super) id: String,
    pub(super) unit: u8,
    pub(super) pace: Pace,
    retries: u8,
    cost: Cost,
    profile: Arc<Profile>,
    /// Where its registers stand, where that is fixed.
    fixed: Option<Arc<Layout>>,
    rhythm: Rhythm,
    /// When it is polled.
    pub(super) schedule: Schedule,
    /// When the last poll ended.
    pub(super) polled_at: Instant,
    /// How long its last answers took.
    pub(super) answers: Answers,
    /// Readings lost on the way to the recorder since one arrived.
    pub(super) lost: u64,
    validator: Validator,
    known: Option<Known>,
    image: Image,
}

/// What one poll brought.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) outcome: Outcome,
    /// Whether there was no connection to ask on.
    pub(super) unreachable: bool,
    /// The last thing that went wrong.
    pub(super) error: Option<String>,
    /// When the last answer came, in monotonic time, and what the answers say.
    pub(super) reading: Option<(Duration, Vec<Value>)>,
    /// Read once after the device was reached.
    pub(super) identity: Option<BTreeMap<Identity, String>>,
    /// The registers that it refuses, if that changed.
    pub(super) refused: Option<Vec<Refused>>,
    /// How often something was asked again.
    pub(super) retried: u64,
}

impl Unit {
    /// The device with this number in `edge.toml`. `fixed` is where its registers stand, unless that
    /// is to be found out.
    pub(super) fn new(config: &Config, number: usize, fixed: Option<Arc<Layout>>, rhythm: Rhythm) -> Self {
        let device = &config.devices[number];
        let Device { profile, priority, .. } = device;
        let first = rhythm.first();
        Unit {
            number: number as u16,
            id: device.id.clone(),
            unit: device.unit,
            pace: Pace {
                quiet: config.quiet(device),
                timeout: config.timeout(device),
                one_request: profile.link.one_request,
            },
            retries: config.retries(device),
            cost: Cost::of(config, device),
            profile: Arc::clone(profile),
            fixed,
            rhythm,
            schedule: Schedule { interval: rhythm.period(), due: first, priority: *priority, failures: 0 },
            polled_at: first,
            answers: Answers::default(),
            lost: 0,
            validator: Validator::new(device.rated.power_w),
            known: None,
            image: Image::new(),
        }
    }

    /// The share of the time of its bus that it is meant to take: on a line what its requests need at
    /// the least, elsewhere what they took.
    pub(super) fn planned_load(&self, line: Option<&Line>) -> f64 {
        let Some(known) = &self.known else { return 0.0 };
        match line {
            Some(line) => {
                let line = Line { quiet: self.pace.quiet, ..*line };
                known.planned_load(|requests| line.cycle(requests.blocks()))
            }
            None => {
                let answer = self.answers.mean().unwrap_or_default();
                known.planned_load(|requests| answer * requests.len() as u32)
            }
        }
    }

    /// Whether it has answered, and as the device that its profile is for.
    pub(super) fn is_recognised(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.identified)
    }

    /// The SunSpec models that it was found to have.
    pub(super) fn models(&self) -> &[Model] {
        self.known.as_ref().map_or(&[], |known| &known.models)
    }

    /// Reads the device once. `timeout` may be shorter than its own.
    pub(super) async fn poll(&mut self, wire: &mut Wire, timeout: Duration, clock: &dyn Clock) -> Polled {
        let refusals = self.known.as_ref().map_or(0, Known::refusals);
        let retries = if self.schedule.failures == 0 { self.retries } else { 0 };
        let mut session = Session::new(wire, self.unit, Pace { timeout, ..self.pace }, retries, clock);
        let mut identity = None;
        let mut unreachable = false;
        if let Err(Stop::Failed(failure)) = self.read(&mut session, &mut identity).await {
            unreachable = matches!(failure, Failure::Unreachable(_));
            session.note(&failure);
        }
        let Session { outcome, error, heard, answered_at, answers, requests, retried, .. } = session;
        let mut reading =
            answered_at.zip(self.known.as_ref()).map(|(at, known)| (at, decode(&known.layout, &self.image).values));
        self.image.clear();
        self.polled_at = Instant::now();
        if answers.mean().is_some() {
            self.answers = answers;
        }
        if heard {
            self.schedule.failures = 0;
        } else if requests > 0 && !unreachable {
            self.schedule.failures = self.schedule.failures.saturating_add(1);
        }
        if let Some(known) = self.known.as_mut().filter(|_| outcome == Outcome::Lost || self.schedule.is_sick()) {
            known.doubt();
        }
        reading = reading.filter(|(_, values)| !values.is_empty());
        if let Some((at, values)) = &mut reading {
            self.validator.validate(*at, values);
        }
        let refused = self.known.as_ref().filter(|known| known.refusals() != refusals).map(Known::refused);
        Polled { outcome, unreachable, error, reading, identity, refused, retried }
    }

    async fn read(
        &mut self,
        session: &mut Session<'_>,
        identity: &mut Option<BTreeMap<Identity, String>>,
    ) -> Result<(), Stop> {
        self.find(session).await?;
        let Some(known) = &mut self.known else { return Ok(()) };
        let now = Instant::now();
        // A device that fell silent is first asked for something else: perhaps only one block is ill.
        let mut first = self.schedule.failures as usize;
        for index in 0..known.reads.len() {
            let Some(mut turn) = known.reads[index].turn.filter(|turn| turn.is_due(now)) else { continue };
            read_all(session, known, index, first, &mut self.image).await?;
            first = 0;
            turn.taken(now);
            let nothing_left = known.is_refused();
            let read = &mut known.reads[index];
            read.turn = Some(turn);
            if session.ask_again(&mut read.requests, &mut self.image).await && nothing_left {
                known.begin_anew(&self.rhythm, &self.cost);
                return Ok(());
            }
        }
        if known.is_refused() {
            return Err(Stop::bad("the device refuses every register; is it the right profile?"));
        }
        if session.heard && !known.identified {
            let said = identify(session, known).await?;
            if said.unexpected.is_some() {
                self.image.clear();
                let told = "the device is not the one that its profile is for; choose another profile";
                return Err(Stop::bad(told));
            }
            if known.identity.as_ref().is_some_and(|known| *known != said.identity) {
                known.begin_anew(&self.rhythm, &self.cost);
            }
            known.identity = Some(said.identity.clone());
            known.identified = true;
            *identity = Some(said.identity);
        }
        Ok(())
    }

    /// Where the registers stand; what was learnt before counts as long as they stand there.
    async fn find(&mut self, session: &mut Session<'_>) -> Result<(), Stop> {
        let (models, layout) = match (&self.known, &self.fixed) {
            (Some(known), fixed) if known.found || fixed.is_some() => return Ok(()),
            (None, Some(fixed)) => (Vec::new(), Arc::clone(fixed)),
            _ => {
                let (models, layout) = session.find(&self.profile).await?;
                (models, Arc::new(layout))
            }
        };
        match self.known.as_mut().filter(|known| known.models == models) {
            Some(known) => known.found = true,
            None => self.known = Some(Known::new(layout, models, &self.rhythm, &self.cost)),
        }
        Ok(())
    }
}

/// Reads one cadence, each area by the function that the device knows.
async fn read_all(
    session: &mut Session<'_>,
    known: &mut Known,
    index: usize,
    first: usize,
    image: &mut Image,
) -> Result<(), Stop> {
    loop {
        let requests = &mut known.reads[index].requests;
        match session.read_all(&known.layout, requests, first, image).await {
            Err(Stop::OtherFunction(block)) => known.switch(&block),
            done => return done,
        }
    }
}

/// What the device says about itself. Its time is not that of the reading.
async fn identify(session: &mut Session<'_>, known: &mut Known) -> Result<Decoded, Stop> {
    let mut image = Image::new();
    let at = session.answered_at;
    for index in 0..known.reads.len() {
        if known.reads[index].turn.is_none() {
            read_all(session, known, index, 0, &mut image).await?;
        }
    }
    session.answered_at = at.or(session.answered_at);
    Ok(decode(&known.layout, &image))
}
