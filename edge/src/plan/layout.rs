//! Where the registers of a profile stand on one device.

use std::collections::{BTreeSet, HashSet};

use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Area, Feeds, Function, Profile, Register};

use super::{Block, Cadence};

/// The registers of one device at their PDU addresses.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) areas: Vec<Placed>,
}

/// One area of a profile at its place on the device.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The area; addresses are absolute.
    pub area: Area,
    /// By register: whether the device has it.
    present: Vec<bool>,
}

impl Layout {
    /// The layout of a profile with fixed addresses.
    pub fn fixed(profile: &Profile) -> Layout {
        let all = profile.areas.iter().filter(|area| area.models.is_empty());
        let placed = all.map(|area| Placed { area: area.clone(), present: vec![true; area.registers.len()] });
        Layout { areas: placed.collect() }.without_alternatives()
    }

    /// The layout of a profile on a device with these SunSpec models. Registers beyond the length
    /// of a model are left out; of areas that are alternatives, the first that is there is used.
    pub fn discovered(profile: &Profile, models: &[Model]) -> Layout {
        let found = profile.areas.iter().filter_map(|area| {
            if area.models.is_empty() {
                return Some(Placed { area: area.clone(), present: vec![true; area.registers.len()] });
            }
            let model = models.iter().find(|model| area.models.contains(&model.id))?;
            Some(place(area, model))
        });
        Layout { areas: found.collect() }.without_alternatives()
    }

    fn without_alternatives(mut self) -> Layout {
        let mut taken = HashSet::new();
        self.areas.retain(|placed| placed.area.one_of.as_ref().is_none_or(|word| taken.insert(word.clone())));
        self
    }

    /// The areas that the device has.
    pub fn areas(&self) -> &[Placed] {
        &self.areas
    }

    /// How often the device is asked for something, each cadence once.
    pub fn cadences(&self) -> BTreeSet<Cadence> {
        let registers = |placed: &'_ Placed| {
            let present = (0..placed.area.registers.len()).filter(|&index| placed.is_present(index));
            present.filter_map(|index| Cadence::of(&placed.area.registers[index])).collect::<Vec<_>>()
        };
        self.areas.iter().flat_map(registers).collect()
    }

    /// What the profile calls the values of a block.
    pub fn names(&self, block: &Block) -> Vec<String> {
        let area = self.area_of(block).map(|index| &self.areas[index]);
        let within =
            area.into_iter().flat_map(|placed| placed.within(block).map(|index| &placed.area.registers[index]));
        within.map(|register| register.name.clone()).collect()
    }

    /// By which function the registers of a block may be read instead.
    pub fn other_function(&self, block: &Block) -> Option<Function> {
        self.areas[self.area_of(block)?].area.other_function
    }

    /// Whether two blocks are of one area.
    pub fn share_area(&self, one: &Block, other: &Block) -> bool {
        let area = self.area_of(one);
        area.is_some() && area == self.area_of(other)
    }

    /// Reads the area of a block by its other function for good.
    pub fn switch(&mut self, block: &Block) {
        let Some(index) = self.area_of(block) else { return };
        let area = &mut self.areas[index].area;
        area.function = area.other_function.take().unwrap_or(area.function);
    }

    fn area_of(&self, block: &Block) -> Option<usize> {
        self.areas.iter().position(|placed| placed.within(block).next().is_some())
    }

    /// Whether the device has nothing that the profile could measure (identity does not count):
    /// then it is the wrong profile.
    pub fn is_empty(&self) -> bool {
        !self.areas.iter().any(|placed| {
            let measures = |(index, register): (usize, &Register)| {
                placed.is_present(index) && matches!(register.feeds, Feeds::Metric { .. })
            };
            placed.area.registers.iter().enumerate().any(measures)
        })
    }
}

impl Placed {
    /// Whether the device has the register with this index.
    pub fn is_present(&self, register: usize) -> bool {
        self.present[register]
    }

    /// Indices of the registers that lie in a block of the area's own unit and function.
    fn within(&self, block: &Block) -> impl Iterator<Item = usize> {
        let ours = self.area.unit == block.unit && self.area.function == block.function;
        let present = (0..self.area.registers.len()).filter(move |&index| ours && self.present[index]);
        present.filter(move |&index| {
            let register = &self.area.registers[index];
            block.covers(register.at, register.width())
        })
    }

    /// Indices of the registers to read for a cadence (`None`: all, also those that polling never
    /// reads), together with those that they
    /// depend on, in order of address.
    pub(super) fn wanted(&self, cadence: Option<Cadence>) -> Vec<usize> {
        let registers = &self.area.registers;
        let mut wanted = vec![false; registers.len()];
        for (index, register) in registers.iter().enumerate() {
            if cadence.is_none() || Cadence::of(register) == cadence {
                wanted[index] = true;
            }
        }
        for computed in &self.area.computed {
            if computed.from.iter().any(|&index| wanted[index]) {
                computed.from.iter().for_each(|&index| wanted[index] = true);
            }
        }
        for (index, register) in registers.iter().enumerate() {
            if wanted[index] {
                register.depends_on().for_each(|other| wanted[other] = true);
            }
        }
        let mut indices: Vec<_> = (0..registers.len()).filter(|&index| wanted[index] && self.present[index]).collect();
        indices.sort_by_key(|&index| (registers[index].at, registers[index].width()));
        indices
    }
}

/// The area at the place of its model.
fn place(area: &Area, model: &Model) -> Placed {
    let mut area = area.clone();
    let end = u32::from(model.length) + 2;
    let mut present = Vec::with_capacity(area.registers.len());
    for register in &mut area.registers {
        let fits = u32::from(register.at) + u32::from(register.width()) <= end;
        let at = register.at.checked_add(model.start).filter(|_| fits);
        present.push(at.is_some());
        register.at = at.unwrap_or(0);
    }
    let shift = |address: &u16| address.saturating_add(model.start);
    area.forbidden = area.forbidden.iter().map(|range| shift(range.start())..=shift(range.end())).collect();
    Placed { area, present }
}
