//! What was learnt about a device: where its registers stand, which of them it refuses, by which
//! function it wants to be asked. Kept when it falls silent or its connection is lost, until it
//! turns out to be another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::profile::Identity;
use riverwatts_shared::profile::sunspec::Model;

use super::isolate::Requests;
use super::rhythm::{Rhythm, Turn};
use super::status::Refused;
use crate::plan::{Block, Cadence, Cost, Layout};

/// A device as it was found.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) layout: Arc<Layout>,
    /// The chain in which they were found; empty where addresses are fixed.
    pub(super) models: Vec<Model>,
    /// By cadence, the most frequent first; last what is read once.
    pub(super) reads: Vec<Read>,
    /// What it said about itself.
    pub(super) identity: Option<BTreeMap<Identity, String>>,
    /// Whether the registers certainly stand where they stood.
    pub(super) found: bool,
    /// Whether it certainly is the machine that it was.
    pub(super) identified: bool,
}

/// What is read together.
#[derive(Debug)]
pub(super) struct Read {
    /// When; `None`: once the device was reached.
    pub(super) turn: Option<Turn>,
    pub(super) requests: Requests,
}

impl Known {
    pub(super) fn new(layout: Arc<Layout>, models: Vec<Model>, rhythm: &Rhythm, cost: &Cost) -> Self {
        let reads = reads(&layout, rhythm, cost);
        Known { layout, models, reads, identity: None, found: true, identified: false }
    }

    /// It may come back as another machine.
    pub(super) fn doubt(&mut self) {
        (self.found, self.identified) = (false, false);
    }

    /// Believes in every register again.
    pub(super) fn begin_anew(&mut self, rhythm: &Rhythm, cost: &Cost) {
        self.reads = reads(&self.layout, rhythm, cost);
    }

    /// Reads the area of a block by its other function from now on.
    pub(super) fn switch(&mut self, block: &Block) {
        let Some(other) = self.layout.other_function(block) else { return };
        for read in &mut self.reads {
            read.requests.switch(|own| self.layout.share_area(own, block), other);
        }
        Arc::make_mut(&mut self.layout).switch(block);
    }

    /// Whether the device refuses everything that is asked for.
    pub(super) fn is_refused(&self) -> bool {
        let mut regular = self.reads.iter().filter(|read| read.turn.is_some());
        regular.clone().all(|read| read.requests.is_empty())
            && regular.any(|read| read.requests.excluded().next().is_some())
    }

    /// How many values it refuses.
    pub(super) fn refusals(&self) -> usize {
        self.reads.iter().map(|read| read.requests.excluded().count()).sum()
    }

    /// The registers that it refuses, each once.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let mut blocks: Vec<&Block> = self.reads.iter().flat_map(|read| read.requests.excluded()).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let refused = |block: &Block| Refused {
            function: block.function,
            start: block.start,
            count: block.count,
            names: self.layout.names(block),
        };
        blocks.into_iter().map(refused).collect()
    }

    /// The share of the time that its requests take, when each cadence takes `cost`.
    pub(super) fn planned_load(&self, cost: impl Fn(&Requests) -> Duration) -> f64 {
        let regular = self.reads.iter().filter_map(|read| Some((read.turn?.every, &read.requests)));
        regular.map(|(every, requests)| cost(requests).as_secs_f64() / every.as_secs_f64()).sum()
    }
}

fn reads(layout: &Layout, rhythm: &Rhythm, cost: &Cost) -> Vec<Read> {
    let read =
        |cadence: Cadence| Read { turn: rhythm.turn(cadence), requests: Requests::new(layout.blocks(cadence, cost)) };
    let mut reads: Vec<Read> = layout.cadences().into_iter().map(read).collect();
    reads.sort_by_key(|read| read.turn.map_or(Duration::MAX, |turn| turn.every));
    reads
}
