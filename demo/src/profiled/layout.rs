//! Where the registers of a profile stand on a virtual device: at their addresses, or in a chain of
//! SunSpec models made for the purpose.

use std::collections::{BTreeMap, HashSet};

use riverwatts_shared::profile::sunspec::{END, MARKER};
use riverwatts_shared::profile::{Area, Function, Profile};

/// An area at its place; its addresses are absolute.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) area: Area,
    /// What stands at addresses that no register takes, but a master may read over.
    pub(super) filling: BTreeMap<u16, u16>,
}

/// The areas that the virtual device has: of alternatives the first, of models with one layout the
/// last, which has the most phases. `None` when they do not fit the addresses.
pub(super) fn place(profile: &Profile) -> Option<Vec<Placed>> {
    let mut taken = HashSet::new();
    let chosen = profile.areas.iter().filter(|area| area.one_of.as_ref().is_none_or(|word| taken.insert(word)));
    match &profile.discovery {
        None => Some(chosen.map(fixed).collect()),
        Some(discover) => chain(*discover.bases.first()?, discover.function, chosen),
    }
}

fn fixed(area: &Area) -> Placed {
    let mut spans: Vec<_> =
        area.registers.iter().map(|register| (register.at, register.at + (register.width() - 1))).collect();
    spans.sort_unstable();
    let mut filling = BTreeMap::new();
    for pair in spans.windows(2) {
        let hole = pair[0].1.saturating_add(1)..pair[1].0;
        if hole.len() <= usize::from(area.gap_max) {
            filling.extend(hole.filter(|at| !area.forbidden.iter().any(|range| range.contains(at))).map(|at| (at, 0)));
        }
    }
    Placed { area: area.clone(), filling }
}

/// Marker, models one after another, end.
fn chain<'a>(base: u16, function: Function, areas: impl Iterator<Item = &'a Area>) -> Option<Vec<Placed>> {
    let mut placed = Vec::new();
    let mut at = base.checked_add(2)?;
    for area in areas {
        let mut area = area.clone();
        let end = area.registers.iter().map(|register| u32::from(register.at) + u32::from(register.width())).max()?;
        let next = u16::try_from(u32::from(at) + end.max(2)).ok()?;
        area.registers.iter_mut().for_each(|register| register.at += at);
        let mut filling: BTreeMap<u16, u16> = (at..next).map(|address| (address, 0)).collect();
        filling.extend([(at, *area.models.last()?), (at + 1, next - at - 2)]);
        placed.push(Placed { area, filling });
        at = next;
    }
    let marker = [(base, MARKER[0]), (base + 1, MARKER[1]), (at, END), (at.checked_add(1)?, 0)];
    placed.iter_mut().find(|placed| placed.area.function == function)?.filling.extend(marker);
    Some(placed)
}
