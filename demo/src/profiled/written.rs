//! What masters wrote to a virtual device: it takes what its profile says can be written, and shows it
//! where the profile says that it shows, over what the script has there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use riverwatts_shared::profile::{Seen, Write};

use super::layout::Placed;
use super::words::{self, Part};
use crate::devices::{Image, Refusal};

/// The writes of a profile, and what came of them.
#[derive(Debug)]
pub(super) struct Written {
    writes: Vec<Write>,
    /// By unit, function code that reads, and address.
    shown: Mutex<BTreeMap<(u8, u8, u16), Part>>,
}

impl Written {
    /// Nothing is written yet; `own` is the device's unit id. Writes to SunSpec models are left out.
    pub(super) fn nothing(writes: &[Write], own: u8) -> Written {
        let writes: Vec<Write> = writes.iter().filter(|write| write.models.is_empty()).cloned().collect();
        let places = writes.iter().map(|write| &write.shows).filter(|seen| !seen.name.contains('.'));
        let words = places.flat_map(|seen| {
            let key = move |offset| (seen.unit.unwrap_or(own), seen.function.code(), seen.at + offset);
            (0..seen.count).map(move |offset| (key(offset), Part { word: 0, mask: 0xFFFF }))
        });
        let shown = Mutex::new(words.collect());
        Written { writes, shown }
    }

    /// Takes a write, if it is one of the profile. `own` is the device's unit id.
    pub(super) fn take(
        &self,
        (own, unit): (u8, u8),
        (code, at): (u8, u16),
        sent: &[u16],
        areas: &[Placed],
    ) -> Result<(), Refusal> {
        let targets = |write: &Write| {
            let unlocks = write.unlock.iter().map(|unlock| unlock.target);
            [write.target].into_iter().chain(unlocks).collect::<Vec<_>>()
        };
        let of_unit = || self.writes.iter().filter(|write| write.unit.unwrap_or(own) == unit);
        if !of_unit().flat_map(targets).any(|target| target.function.code() == code) {
            return Err(Refusal::Function);
        }
        let mut here =
            of_unit().filter(|write| write.target.function.code() == code && write.target.at == at).peekable();
        if here.peek().is_none() {
            let unlocks = of_unit().flat_map(|write| &write.unlock).map(|unlock| unlock.target);
            let unlocked = unlocks.into_iter().any(|target| target.function.code() == code && target.at == at);
            return if unlocked { Ok(()) } else { Err(Refusal::Address) };
        }
        let Some((write, reads)) = here.find_map(|write| Some((write, write.shown_after(sent)?))) else {
            return Err(Refusal::Value);
        };
        let seen = &write.shows;
        let mut shown = self.shown();
        for (address, part) in (seen.at..=u16::MAX).zip(parts(seen, reads, areas)) {
            let there = shown.entry((seen.unit.unwrap_or(own), seen.function.code(), address));
            let there = there.or_insert(Part { word: 0, mask: 0 });
            *there = Part { word: there.word & !part.mask | part.word & part.mask, mask: there.mask | part.mask };
        }
        Ok(())
    }

    /// Whether something shows there that may be in no area.
    pub(super) fn has(&self, unit: u8, function: u8) -> bool {
        self.shown().keys().any(|(of, code, _)| (*of, *code) == (unit, function))
    }

    /// Lays what was written over the registers.
    pub(super) fn show(&self, unit: u8, function: u8, image: &mut Image) {
        let shown = self.shown();
        for ((_, _, at), part) in shown.iter().filter(|((of, code, _), _)| (*of, *code) == (unit, function)) {
            let there = image.read(*at, 1).map_or(0, |words| words[0]);
            image.words(*at, &[there & !part.mask | part.word]);
        }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<(u8, u8, u16), Part>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A raw number where it shows.
fn parts(seen: &Seen, reads: i64, areas: &[Placed]) -> Vec<Part> {
    let mut registers =
        areas.iter().flat_map(|placed| placed.area.registers.iter().map(move |register| (placed, register)));
    let found = registers.find(|(placed, register)| format!("{}.{}", placed.area.name, register.name) == seen.name);
    match (found, seen.form) {
        (Some((_, register)), _) => words::of_bits(register, words::bits(register.kind, reads.into())),
        (None, Some(form)) => form.words(reads).into_iter().map(|word| Part { word, mask: 0xFFFF }).collect(),
        (None, None) => Vec::new(),
    }
}
