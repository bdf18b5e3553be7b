//! Reads from a device what a profile says of it, isolating what the device refuses.

use riverwatts_shared::profile::sunspec::DiscoveryError;
use riverwatts_shared::profile::{Profile, Register};

use super::memory::Memory;
use super::session::{Ended, Session};
use crate::bus::wire::Failure;
use crate::decode::{Decoded, Image, decode};
use crate::plan::{Block, Cadence, Cost, Layout, Placed};

/// Requests without an answer after which a device that answered nothing else is asked no more; one where nobody
/// has answered anything yet.
const SILENCES_MAX: u32 = 3;

/// What a device said to the questions of a profile.
#[derive(Debug)]
pub struct Look {
    /// Where the registers stand.
    pub layout: Layout,
    /// What was read.
    pub answered: Vec<(Block, Vec<u16>)>,
    /// Single values that the device refused, and why.
    pub refused: Vec<(Block, Failure)>,
    /// What it means.
    pub decoded: Decoded,
}

/// Why there is nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLook {
    /// There is no list of SunSpec models, and the profile needs one.
    NoModels(DiscoveryError),
    /// None of its models is one of the profile.
    OtherModels(Vec<u16>),
}

impl Look {
    /// The words of a register, where they were read.
    pub fn words(&self, placed: &Placed, register: &Register) -> Option<&[u16]> {
        let holds = |block: &Block| {
            (block.unit, block.function) == (placed.area.unit, placed.area.function)
                && block.covers(register.at, register.width())
        };
        let (block, words) = self.answered.iter().find(|(block, _)| holds(block))?;
        let from = usize::from(register.at - block.start);
        words.get(from..from + usize::from(register.width()))
    }

    /// Every register that the device should have, with its area.
    pub fn registers(&self) -> impl Iterator<Item = (&Placed, &Register)> {
        self.layout.areas().iter().flat_map(|placed| {
            let present = placed.area.registers.iter().enumerate().filter(|(index, _)| placed.is_present(*index));
            present.map(move |(_, register)| (placed, register))
        })
    }
}

/// Where the registers of the profile stand on this device.
///
/// # Errors
/// When there are to be no more requests.
pub async fn find(
    session: &mut Session,
    memory: &mut Memory,
    unit: u8,
    profile: &Profile,
) -> Result<Result<Layout, NoLook>, Ended> {
    let Some(discover) = &profile.discovery else { return Ok(Ok(Layout::fixed(profile))) };
    let models = match memory.models(session, unit, discover).await? {
        Ok(models) => models,
        Err(error) => return Ok(Err(NoLook::NoModels(error))),
    };
    let layout = Layout::discovered(profile, &models);
    if layout.is_empty() {
        return Ok(Err(NoLook::OtherModels(models.iter().map(|model| model.id).collect())));
    }
    Ok(Ok(layout))
}

/// Reads everything that the profile knows; at most `extra` requests go into isolating what is refused.
///
/// # Errors
/// When there are to be no more requests.
pub async fn look(
    session: &mut Session,
    memory: &mut Memory,
    unit: u8,
    mut layout: Layout,
    extra: usize,
) -> Result<Look, Ended> {
    let mut waiting = blocks(&layout);
    waiting.reverse();
    let mut left = waiting.len() + extra;
    let mut image = Image::new();
    let mut silences = 0;
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    while let Some(block) = waiting.pop() {
        let patience = if session.heard() { SILENCES_MAX } else { 1 };
        if left == 0 || (silences >= patience && answered.is_empty()) {
            refused.push((block, Failure::Bad("not asked: too much before it brought nothing")));
            continue;
        }
        left -= 1;
        match memory.read(session, unit, &block).await? {
            Ok(words) => {
                image.put(&block, &words);
                answered.push((block, words));
            }
            Err(failure) => {
                if let Some(function) = layout.other_function(&block).filter(|_| failure == Failure::Exception(1)) {
                    let area: Vec<_> = waiting.iter().map(|other| layout.share_area(other, &block)).collect();
                    layout.switch(&block);
                    waiting.push(block);
                    let others = waiting.iter_mut().zip(area.into_iter().chain([true]));
                    others.filter(|(_, same)| *same).for_each(|(other, _)| other.function = function);
                    left += 1;
                    continue;
                }
                let halved = match failure {
                    Failure::Exception(2..=4) => layout.bisect(&block),
                    // Some devices are silent where others refuse.
                    Failure::Silent(_) if !answered.is_empty() => layout.bisect(&block),
                    _ => None,
                };
                silences += u32::from(matches!(failure, Failure::Silent(_)));
                match halved {
                    Some((low, high)) => waiting.extend([high, low]),
                    None => refused.push((block, failure)),
                }
            }
        }
    }
    let decoded = decode(&layout, &image);
    Ok(Look { layout, answered, refused, decoded })
}

/// The requests that read all that the profile knows.
pub fn blocks(layout: &Layout) -> Vec<Block> {
    layout.blocks(None, &Cost::FEWEST)
}

/// The requests that the gateway makes at every poll.
pub fn fast_blocks(layout: &Layout) -> Vec<Block> {
    layout.blocks(Cadence::Fast, &Cost::FEWEST)
}
