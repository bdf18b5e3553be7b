//! Tries the usual settings of a serial line until something answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use riverwatts_shared::profile::{Function, Parity, Profile};

use super::session::{Answer, Ended, Session};
use super::target::Target;
use crate::bus::wire::Failure;
use crate::config::{Bus, Link, Serial};

/// Speeds in the order in which devices leave their factories.
const BAUDS: [u32; 7] = [9_600, 19_200, 115_200, 38_400, 57_600, 4_800, 2_400];
/// Parity and stop bits, likewise.
const FRAMINGS: [(Parity, u8); 4] = [(Parity::None, 1), (Parity::Even, 1), (Parity::Odd, 1), (Parity::None, 2)];
/// Most units that are asked at each setting.
const UNITS_MAX: usize = 8;

/// Every setting to try, in order.
pub fn settings() -> impl Iterator<Item = (u32, Parity, u8)> {
    BAUDS.into_iter().flat_map(|baud| FRAMINGS.map(|(parity, stop_bits)| (baud, parity, stop_bits)))
}

/// The units that are asked at each setting: those that profiles say devices leave the factory with, and the first.
pub fn likely_units(ids: &[u8], profiles: &[Arc<Profile>]) -> Vec<u8> {
    let factory: BTreeSet<u8> = profiles.iter().filter_map(|profile| profile.link.unit).collect();
    let (likely, others): (Vec<u8>, Vec<u8>) = ids.iter().copied().partition(|unit| factory.contains(unit));
    likely.into_iter().chain(others).take(UNITS_MAX).collect()
}

/// The bus with the first setting at which a unit of `ids` answers. `open` makes a session on a target.
///
/// # Errors
/// When there are to be no more requests.
pub async fn sweep(
    target: &Target,
    ids: &[u8],
    mut open: impl FnMut(&Target) -> Session,
    heard: &mut Vec<String>,
) -> Result<Option<Target>, Ended> {
    let Link::Rtu(serial) = &target.bus().link else { return Ok(Some(target.clone())) };
    for (baud, parity, stop_bits) in settings() {
        let link = Link::Rtu(Serial { baud, parity, stop_bits, ..serial.clone() });
        let tried = target.with_bus(Bus { link, ..target.bus().clone() });
        tracing::info!(baud, ?parity, stop_bits, "trying");
        let mut session = open(&tried);
        for &unit in ids {
            let answer = session.read(unit, Function::Holding, 0, 1).await?;
            if is_answer(&answer) {
                tracing::info!(baud, ?parity, stop_bits, unit, "answers");
                return Ok(Some(tried));
            }
            if let Err(Failure::Bad(error)) = answer {
                heard.push(format!("something speaks at {baud} bit/s, parity {parity:?}, unit {unit}: {error}"));
            }
        }
    }
    Ok(None)
}

fn is_answer(answer: &Answer) -> bool {
    matches!(answer, Ok(_) | Err(Failure::Exception(0..=9 | 12..)))
}

#[cfg(test)]
mod tests {
    use riverwatts_shared::profile::{builtin, builtin_names, parse};

    use super::*;

    #[test]
    fn the_settings_of_every_profile_are_among_those_that_are_tried() {
        let settings: BTreeSet<_> =
            settings().map(|(baud, parity, stop_bits)| (baud, parity as u8, stop_bits)).collect();
        for name in builtin_names() {
            let link = parse(name, builtin(name).unwrap()).unwrap().link;
            let (Some(baud), Some(parity)) = (link.baud, link.parity) else { continue };
            let stop_bits = link.stop_bits.unwrap_or(1);
            assert!(settings.contains(&(baud, parity as u8, stop_bits)), "{name}: {baud} {parity:?} {stop_bits}");
        }
    }

    #[test]
    fn factory_units_are_asked_first() {
        let profiles: Vec<_> = builtin_names()
            .map(|name| Arc::new(parse(&format!("{name}.toml"), builtin(name).unwrap()).unwrap()))
            .collect();
        let ids: Vec<u8> = (1..=247).collect();
        let likely = likely_units(&ids, &profiles);
        assert_eq!(likely.len(), UNITS_MAX);
        assert!(likely.starts_with(&[1, 3, 10]), "{likely:?}");
    }
}
