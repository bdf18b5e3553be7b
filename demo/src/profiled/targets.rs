//! What each register of an area shall show: its own metric's value, or its part of a computed one.

use riverwatts_shared::metric::Metric;
use riverwatts_shared::profile::{Area, Computed, Feeds, Operation};

use super::encode::EncodeError;
use super::number::Target;
use super::rest;
use super::values::Values;

/// By register; `None` for those that show no number.
pub(super) fn targets(area: &Area, values: &Values) -> Result<Vec<Option<Target>>, EncodeError> {
    let mut targets: Vec<Option<Target>> =
        area.registers.iter().map(|register| measured(&register.feeds).map(|metric| own(metric, values))).collect();
    for computed in &area.computed {
        let has_register = area.registers.iter().any(|register| measured(&register.feeds) == Some(computed.metric));
        let whole = own(computed.metric, values);
        if whole.given && !has_register {
            let part = |&index: &usize| targets[index].filter(|part| part.given).map(|part| part.metric);
            if let Some(part) = computed.from.iter().find_map(part) {
                return Err(EncodeError::Computed { metric: computed.metric, part });
            }
        }
        let parts = parts(area, computed, whole);
        for (&index, part) in computed.from.iter().zip(parts) {
            if targets[index].is_none() || (whole.given && !has_register) {
                targets[index] = Some(part);
            }
        }
    }
    Ok(targets)
}

/// The least and the greatest target of each register in all of these rows of values.
pub(super) fn extremes<'a>(
    area: &Area,
    rows: impl Iterator<Item = &'a Values>,
) -> Result<[Vec<Option<Target>>; 2], EncodeError> {
    let nothing = vec![None; area.registers.len()];
    let mut extremes = [nothing.clone(), nothing];
    for values in rows {
        for (index, target) in targets(area, values)?.into_iter().enumerate() {
            let [least, most] = &mut extremes;
            least[index] = least[index].into_iter().chain(target).min_by_key(|target| target.stored);
            most[index] = most[index].into_iter().chain(target).max_by_key(|target| target.stored);
        }
    }
    Ok(extremes)
}

/// The metric that a register feeds.
pub(super) fn measured(feeds: &Feeds) -> Option<Metric> {
    match feeds {
        Feeds::Metric { metric, .. } => Some(*metric),
        _ => None,
    }
}

fn own(metric: Metric, values: &Values) -> Target {
    let given = values.number(metric);
    Target { metric, stored: given.unwrap_or_else(|| rest::value(metric)).into(), given: given.is_some() }
}

/// What the registers of a computed value show, in the order of the profile. A sum goes to the
/// coarsest register first, in whole steps, so that a number in two registers of different weight
/// comes out as the device would write it; registers of one weight share it.
fn parts(area: &Area, computed: &Computed, whole: Target) -> Vec<Target> {
    let count = computed.from.len();
    if computed.operation != Operation::Sum {
        return vec![whole; count];
    }
    let step = |place: usize| area.registers[computed.from[place]].scale.as_f64().abs();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| step(b).total_cmp(&step(a)));
    let mut parts = vec![whole; count];
    let mut rest = whole.stored;
    for (done, &place) in order.iter().enumerate() {
        let exponent = i32::from(computed.metric.info().exponent);
        let next_is_finer = order.get(done + 1).is_some_and(|&next| step(next) < step(place));
        let coarse = area.registers[computed.from[place]].scale.in_units_of(exponent);
        let part = match coarse.map(|scale| i128::from(scale.abs())).filter(|&scale| next_is_finer && scale > 0) {
            Some(step) => rest / step * step,
            None => rest / (count - done) as i128,
        };
        parts[place].stored = part;
        rest -= part;
    }
    parts
}
