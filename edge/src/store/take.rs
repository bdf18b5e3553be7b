//! What goes into the next batch: in the live lane what was committed since the last time, newest
//! first in line after an outage; in the backlog lane everything else, oldest first. A reading is
//! in one lane only: what is on its way is not taken again until it is settled or released.

use std::collections::{BTreeMap, BTreeSet};

use riverwatts_shared::batch::{Item, Sealed};
use riverwatts_shared::segment::Segment;
use uuid::Uuid;

use super::file::StoreFile;
use super::journal::Open;
use super::{StoreError, gaps, packed};

/// Most gap rows in one batch.
const GAPS_MAX: usize = 256;

/// Which readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Those committed since the live lane was last taken.
    Live,
    /// The newest of them alone, and gaps; the others are left to the backlog.
    Newest,
    /// All others, oldest first.
    Backlog,
}

/// How much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Flushes, segments and gaps.
    pub units: usize,
    /// Readings; one unit may be more.
    pub readings: u64,
    /// Bytes at rest; one unit may be more.
    pub bytes: usize,
}

/// What to send, and what it settles.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// For the batch.
    pub items: Vec<Item>,
    /// Segments for the batch, as they rest.
    pub sealed: Vec<Sealed>,
    /// To settle or release.
    pub cargo: Cargo,
}

/// Which rows of the store a batch carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cargo {
    /// The store whose rows these are; numbers of another one mean something else.
    pub(super) store: Uuid,
    pub(super) flushes: Vec<i64>,
    /// Devices that are left out of these flushes.
    pub(super) withheld: BTreeSet<i64>,
    /// Readings of each device in these flushes.
    pub(super) rows: BTreeMap<i64, u64>,
    /// Number, device and readings.
    pub(super) segments: Vec<(i64, i64, u64)>,
    /// Number and device.
    pub(super) gaps: Vec<(i64, i64)>,
}

impl Cargo {
    /// How many things could be sent apart.
    pub fn units(&self) -> usize {
        self.flushes.len() + self.segments.len() + self.gaps.len()
    }

    /// How many readings it has.
    pub fn readings(&self) -> u64 {
        self.rows_except(&BTreeSet::new())
    }

    pub(super) fn rows_except(&self, kept: &BTreeSet<i64>) -> u64 {
        let sealed = self.segments.iter().map(|(_, device, rows)| (device, rows));
        self.rows.iter().chain(sealed).filter(|(device, _)| !kept.contains(device)).map(|(_, rows)| rows).sum()
    }
}

/// A batch in the making.
struct Loading {
    limits: Limits,
    units: usize,
    readings: u64,
    bytes: usize,
}

impl Loading {
    /// Whether one more unit of this size goes in.
    fn takes(&mut self, readings: u64, bytes: usize) -> bool {
        let fits = self.units == 0
            || self.units < self.limits.units
                && self.readings + readings <= self.limits.readings
                && self.bytes + bytes <= self.limits.bytes;
        if fits {
            self.units += 1;
            self.readings += readings;
            self.bytes += bytes;
        }
        fits
    }
}

impl StoreFile {
    /// What is next in this lane; `None` when there is nothing. It counts as on its way from now on.
    pub(super) fn take(&mut self, lane: Lane, limits: Limits) -> Result<Option<Outgoing>, StoreError> {
        let mut loading = Loading { limits, units: 0, readings: 0, bytes: 0 };
        let mut cargo = Cargo { store: self.id, withheld: self.waiting.clone(), ..Cargo::default() };
        let (mut items, mut sealed) = (Vec::new(), Vec::new());
        self.take_gaps(&mut loading, &mut cargo, &mut items)?;
        if lane == Lane::Backlog {
            self.take_segments(&mut loading, &mut cargo, &mut sealed)?;
        }
        self.take_flushes(lane, &mut loading, &mut cargo, &mut items)?;
        if lane != Lane::Backlog {
            self.live_until = self.next_flush - 1;
        }
        if cargo.units() == 0 {
            return Ok(None);
        }
        for number in &cargo.flushes {
            if let Some(entry) = self.journal.get_mut(number) {
                entry.in_flight = true;
            }
        }
        self.segments_in_flight.extend(cargo.segments.iter().map(|(number, ..)| number));
        self.gaps_in_flight.extend(cargo.gaps.iter().map(|(number, _)| number));
        Ok(Some(Outgoing { items, sealed, cargo }))
    }

    /// What was taken did not arrive, and may be taken again.
    pub(super) fn release(&mut self, cargo: &Cargo) {
        if cargo.store != self.id {
            return;
        }
        for number in &cargo.flushes {
            if let Some(entry) = self.journal.get_mut(number) {
                entry.in_flight = false;
            }
        }
        for (number, ..) in &cargo.segments {
            self.segments_in_flight.remove(number);
        }
        for (number, _) in &cargo.gaps {
            self.gaps_in_flight.remove(number);
        }
    }

    fn take_flushes(
        &mut self,
        lane: Lane,
        loading: &mut Loading,
        cargo: &mut Cargo,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        let mut ready = self
            .journal
            .iter()
            .filter(|(_, entry)| entry.boot.is_none() && !entry.in_flight && !entry.open.is_settled());
        let mut chosen: Vec<i64> = Vec::new();
        let mut choose = |(&number, entry): (&i64, &super::journal::Entry)| {
            let fits = loading.takes(entry.rows, entry.bytes);
            if fits {
                chosen.push(number);
            }
            fits
        };
        match lane {
            Lane::Live | Lane::Newest => {
                let most = if lane == Lane::Live { usize::MAX } else { 1 };
                let new = ready.rev().take_while(|(number, _)| **number > self.live_until);
                let _full = new.take(most).all(&mut choose);
            }
            Lane::Backlog => {
                let _full = ready.all(&mut choose);
            }
        }
        chosen.sort_unstable();

        let mut parts: BTreeMap<i64, Vec<Segment>> = BTreeMap::new();
        for number in chosen {
            let open = self.journal[&number].open.clone();
            let waiting = &self.waiting;
            let found = self.read_flush(number, |device| open.has(device) && !waiting.contains(&device))?;
            if found.is_empty() {
                // Of devices that wait, it stays until they do not; else it has nothing that is open.
                if let Some(entry) = self.journal.get_mut(&number)
                    && let Open::Only(devices) = &mut entry.open
                {
                    devices.retain(|device| self.waiting.contains(device));
                }
                continue;
            }
            cargo.flushes.push(number);
            for (device, segment) in found {
                *cargo.rows.entry(device).or_default() += segment.rows() as u64;
                let joined = parts.entry(device).or_default();
                let rest = match joined.last_mut() {
                    Some(last) => packed::join(last, segment),
                    None => Some(segment),
                };
                joined.extend(rest);
            }
        }
        for (device, segments) in parts {
            let key = &self.devices[&device].key;
            items.extend(segments.into_iter().map(|segment| Item::Segment { device: key.clone(), segment }));
        }
        Ok(())
    }

    fn take_segments(
        &mut self,
        loading: &mut Loading,
        cargo: &mut Cargo,
        sealed: &mut Vec<Sealed>,
    ) -> Result<(), StoreError> {
        let mut chosen = Vec::new();
        {
            let mut oldest = self.connection.prepare_cached(
                "select number, segments.device, segments.rows, length(readings) from unsettled \
                 join segments on number = segment where boot is null order by segment",
            )?;
            let mut rows = oldest.query([])?;
            while let Some(row) = rows.next()? {
                let (number, device, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let count = count.unsigned_abs();
                if self.segments_in_flight.contains(&number) || self.waiting.contains(&device) {
                    continue;
                }
                if !loading.takes(count, row.get::<_, i64>(3)? as usize) {
                    break;
                }
                chosen.push((number, device, count));
            }
        }
        for (number, device, rows) in chosen {
            sealed.push(Sealed { device: self.devices[&device].key.clone(), bytes: self.read_sealed(number)? });
            cargo.segments.push((number, device, rows));
        }
        Ok(())
    }

    fn take_gaps(&mut self, loading: &mut Loading, cargo: &mut Cargo, items: &mut Vec<Item>) -> Result<(), StoreError> {
        let mut finished = self.connection.prepare_cached(
            "select number, device, from_ms, to_ms, rows, reason from gaps \
             where settled = 0 and to_ms is not null and from_boot is null and to_boot is null order by number",
        )?;
        let mut rows = finished.query([])?;
        while let Some(row) = rows.next()? {
            let (number, device): (i64, i64) = (row.get(0)?, row.get(1)?);
            if self.gaps_in_flight.contains(&number) || self.waiting.contains(&device) {
                continue;
            }
            if cargo.gaps.len() >= GAPS_MAX || !loading.takes(0, 0) {
                break;
            }
            items.push(Item::Gap(gaps::told(row, &self.devices[&device].key)?));
            cargo.gaps.push((number, device));
        }
        Ok(())
    }
}
