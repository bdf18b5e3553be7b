//! The requests of one poll of one device, and what came of them.

use std::time::Duration;

use riverwatts_shared::profile::Profile;
use riverwatts_shared::profile::sunspec::{Discovery, DiscoveryError, Model, NoAnswer};
use riverwatts_shared::time::Clock;

use super::frame::Request;
use super::isolate::{Requests, Split};
use super::status::Outcome;
use super::wire::{Failure, Pace, Wire};
use crate::decode::Image;
use crate::plan::{Block, Layout};

/// Most requests that one poll spends on isolating bad addresses.
pub const ISOLATE_MAX: usize = 32;

/// Why the poll cannot go on as it was begun.
pub(super) enum Stop {
    /// It cannot go on at all.
    Failed(Failure),
    /// The device does not know the function of this block, and the profile knows another.
    OtherFunction(Block),
}

impl Stop {
    /// The device answers, but not as it should.
    pub(super) const fn bad(told: &'static str) -> Stop {
        Stop::Failed(Failure::Bad(told))
    }
}

/// The requests of one poll.
pub(super) struct Session<'a> {
    wire: &'a mut Wire,
    unit: u8,
    pace: Pace,
    /// How often a request without an answer is asked again.
    retries: u8,
    clock: &'a dyn Clock,
    pub(super) requests: usize,
    /// How many of them were asked again.
    pub(super) retried: u64,
    /// Whether the device answered anything, if only to refuse.
    pub(super) heard: bool,
    /// Whether a bad value was asked for again.
    asked_again: bool,
    bad: u32,
    pub(super) answered_at: Option<Duration>,
    pub(super) answers: Answers,
    pub(super) outcome: Outcome,
    pub(super) error: Option<String>,
}

/// How long the answers of a poll took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answers {
    sum: Duration,
    count: u32,
    /// The slowest.
    pub(super) slowest: Duration,
}

impl Answers {
    /// How long one took, where there was one.
    pub(super) fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(wire: &'a mut Wire, unit: u8, pace: Pace, retries: u8, clock: &'a dyn Clock) -> Self {
        Session {
            wire,
            unit,
            pace,
            retries,
            clock,
            requests: 0,
            retried: 0,
            heard: false,
            asked_again: false,
            bad: 0,
            answered_at: None,
            answers: Answers::default(),
            outcome: Outcome::Ok,
            error: None,
        }
    }

    pub(super) fn note(&mut self, failure: &Failure) {
        self.outcome = match failure {
            Failure::Exception(_) => Outcome::Exception,
            Failure::Silent(_) => Outcome::Timeout,
            Failure::Bad(_) => Outcome::BadFrame,
            Failure::Lost(_) | Failure::Unreachable(_) => Outcome::Lost,
        };
        self.error = Some(failure.to_string());
    }

    async fn request(&mut self, block: &Block) -> Result<(), Failure> {
        self.requests += 1;
        let unit = block.unit.unwrap_or(self.unit);
        let request = Request { unit, function: block.function, start: block.start, count: block.count };
        let mut answer = self.wire.read(&request, self.pace).await;
        for _ in 0..self.retries {
            if !matches!(answer, Err(Failure::Silent(_) | Failure::Bad(_))) {
                break;
            }
            self.retried += 1;
            answer = self.wire.read(&request, self.pace).await;
        }
        // With 10 and 11, a gateway answers in place of a device that does not.
        self.heard |= matches!(answer, Ok(()) | Err(Failure::Exception(0..=9 | 12..)));
        if answer.is_ok() {
            self.answered_at = Some(self.clock.monotonic());
            let took = self.wire.took();
            self.answers.sum += took;
            self.answers.count += 1;
            self.answers.slowest = self.answers.slowest.max(took);
        }
        answer
    }

    /// The SunSpec models of the device, and where the registers of the profile stand there.
    pub(super) async fn find(&mut self, profile: &Profile) -> Result<(Vec<Model>, Layout), Stop> {
        let Some(discover) = &profile.discovery else { return Ok((Vec::new(), Layout::fixed(profile))) };
        let mut discovery = Discovery::new(discover);
        let mut silence = None;
        while let Some((start, count)) = discovery.request() {
            let block = Block { unit: None, function: discover.function, start, count };
            match self.request(&block).await {
                Ok(()) => discovery.answer(Ok(self.wire.words())),
                Err(Failure::Exception(_)) => discovery.answer(Err(NoAnswer::Refused)),
                Err(lost @ (Failure::Lost(_) | Failure::Unreachable(_))) => return Err(Stop::Failed(lost)),
                Err(silent) => {
                    discovery.answer(Err(NoAnswer::Silent));
                    silence = Some(silent);
                }
            }
        }
        self.answered_at = None;
        let models = discovery.finish().map_err(|error| match (error, silence) {
            (DiscoveryError::Silent | DiscoveryError::Broken { .. }, Some(silence)) => Stop::Failed(silence),
            _ => Stop::bad(wrong_device(error)),
        })?;
        let layout = Layout::discovered(profile, &models);
        if layout.is_empty() {
            return Err(Stop::bad("none of its SunSpec models is one that the profile knows; choose another"));
        }
        Ok((models, layout))
    }

    /// Reads every block once, beginning with number `first`, isolating what the device refuses.
    /// Blocks that the image holds already are left out.
    pub(super) async fn read_all(
        &mut self,
        layout: &Layout,
        requests: &mut Requests,
        first: usize,
        image: &mut Image,
    ) -> Result<(), Stop> {
        let mut index = first.checked_rem(requests.len()).unwrap_or_default();
        let mut left = requests.len();
        let most = self.requests + left + ISOLATE_MAX;
        while left > 0 && self.requests < most {
            index %= requests.len();
            let block = requests.block(index);
            let refused = !image.holds(&block) && self.read(layout, requests, index, image).await?;
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

    /// Reads the block at `index`; true when the device does not have it as a whole.
    async fn read(
        &mut self,
        layout: &Layout,
        requests: &mut Requests,
        index: usize,
        image: &mut Image,
    ) -> Result<bool, Stop> {
        let block = requests.block(index);
        let Err(failure) = self.request(&block).await else {
            image.put(&block, self.wire.words());
            requests.answered(index);
            return Ok(false);
        };
        if failure == Failure::Exception(1) && layout.other_function(&block).is_some() {
            return Err(Stop::OtherFunction(block));
        }
        self.note(&failure);
        match failure {
            Failure::Exception(1..=3) => Ok(true),
            Failure::Exception(10 | 11) => Err(Stop::Failed(failure)),
            // It has the block, and is busy, for however long.
            Failure::Exception(5 | 6) => Ok(false),
            // Perhaps only now.
            Failure::Exception(_) => Ok(requests.failed(index)),
            // Some devices say nothing, or hang up, when asked for an address that they do not have.
            Failure::Silent(_) | Failure::Lost(_) if self.heard => Ok(requests.failed(index)),
            Failure::Bad(_) if self.wire.is_connected() && (self.heard || self.bad == 0) => {
                self.bad += 1;
                Ok(false)
            }
            _ => Err(Stop::Failed(failure)),
        }
    }

    /// Asks again for one value that the device refused long ago, at most one a poll. True when it
    /// was answered.
    pub(super) async fn ask_again(&mut self, requests: &mut Requests, image: &mut Image) -> bool {
        let now = tokio::time::Instant::now();
        let Some(block) = requests.to_ask_again(now).filter(|_| !self.asked_again) else { return false };
        self.asked_again = true;
        let answered = self.request(&block).await.is_ok();
        if answered {
            image.put(&block, self.wire.words());
            requests.readmit(&block);
        } else {
            requests.put_off(&block);
        }
        answered
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
