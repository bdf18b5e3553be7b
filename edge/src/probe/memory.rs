//! What was asked already, so that no device is asked the same thing twice in one probe.

use std::collections::{BTreeMap, BTreeSet};

use riverwatts_shared::profile::Discover;
use riverwatts_shared::profile::Function;
use riverwatts_shared::profile::sunspec::{Discovery, DiscoveryError, Model, NoAnswer};

use super::session::{Answer, Ended, Session};
use crate::bus::wire::Failure;
use crate::plan::Block;

/// Exception code: the device does not know the function.
const ILLEGAL_FUNCTION: u8 = 1;

/// The answers of one unit so far.
#[derive(Debug, Default)]
pub struct Memory {
    words: BTreeMap<(u8, Function, u16), u16>,
    failed: BTreeMap<(u8, Function, u16, u16), Failure>,
    /// Functions that the unit does not know.
    unknown: BTreeSet<(u8, Function)>,
    models: Option<Result<Vec<Model>, DiscoveryError>>,
}

impl Memory {
    /// The words of a block, from memory if it has them.
    ///
    /// # Errors
    /// When there are to be no more requests.
    pub async fn read(&mut self, session: &mut Session, unit: u8, block: &Block) -> Result<Answer, Ended> {
        let unit = block.unit.unwrap_or(unit);
        let Block { function, start, count, .. } = *block;
        if self.unknown.contains(&(unit, function)) {
            return Ok(Err(Failure::Exception(ILLEGAL_FUNCTION)));
        }
        if let Some(failure) = self.failed.get(&(unit, function, start, count)) {
            return Ok(Err(failure.clone()));
        }
        let known: Option<Vec<u16>> =
            (0..count).map(|index| self.words.get(&(unit, function, start.wrapping_add(index))).copied()).collect();
        if let Some(words) = known {
            return Ok(Ok(words));
        }
        let answer = session.read(unit, function, start, count).await?;
        match &answer {
            Ok(words) => {
                let addressed = (0..count).zip(words).map(|(index, word)| (start.wrapping_add(index), *word));
                self.words.extend(addressed.map(|(at, word)| ((unit, function, at), word)));
            }
            Err(failure) => {
                if *failure == Failure::Exception(ILLEGAL_FUNCTION) {
                    self.unknown.insert((unit, function));
                }
                self.failed.insert((unit, function, start, count), failure.clone());
            }
        }
        Ok(answer)
    }

    /// The SunSpec models of the unit; walked once.
    ///
    /// # Errors
    /// When there are to be no more requests.
    pub async fn models(
        &mut self,
        session: &mut Session,
        unit: u8,
        discover: &Discover,
    ) -> Result<Result<Vec<Model>, DiscoveryError>, Ended> {
        if let Some(models) = &self.models {
            return Ok(models.clone());
        }
        let mut discovery = Discovery::new(discover);
        while let Some((start, count)) = discovery.request() {
            match session.read(unit, discover.function, start, count).await? {
                Ok(words) => discovery.answer(Ok(&words)),
                Err(Failure::Exception(_)) => discovery.answer(Err(NoAnswer::Refused)),
                Err(_) => discovery.answer(Err(NoAnswer::Silent)),
            }
        }
        let models = discovery.finish();
        self.models = Some(models.clone());
        Ok(models)
    }
}
