//! What the panel is told, from recorder, store and uploader together, and what it can have them do.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use riverwatts_shared::reading::Reading;
use riverwatts_shared::segment::Segment;
use riverwatts_shared::time::UtcMs;

use crate::clock::{Distrust, SiteTime};
use crate::config::Config;
use crate::panel::{Changes, ClockState, Figures, Latest, LinkState, StoreState};
use crate::record::Recorded;
use crate::store::{Chosen, DeadLetterGroup, DeadLetterRow, Fate, JumpRow, Oldest, Store, WriteRow};
use crate::upload::Link;

/// Everything that knows something.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) config: Arc<Config>,
    pub(super) time: Arc<SiteTime>,
    pub(super) recorded: Arc<Recorded>,
    pub(super) store: Store,
    pub(super) link: Arc<Link>,
}

impl Figures for Known {
    fn latest(&self, device: u16) -> Option<Latest> {
        self.recorded.latest(device)
    }

    fn history(&self, device: u16, limit: usize) -> Result<Vec<Reading>, String> {
        let Some(device) = self.config.devices.get(usize::from(device)) else { return Ok(Vec::new()) };
        self.store.history().newest(&device.id, limit).map_err(|error| error.to_string())
    }

    fn walk(&self, device: u16, span: Range<i64>, see: &mut dyn FnMut(&Segment)) -> Result<(), String> {
        let Some(device) = self.config.devices.get(usize::from(device)) else { return Ok(()) };
        let seen = |segment: &Segment| {
            see(segment);
            true
        };
        self.store.history().walk(&device.id, span, seen).map_err(|error| error.to_string())
    }

    fn writes(&self, limit: usize) -> Result<Vec<WriteRow>, String> {
        self.store.history().writes(limit).map_err(|error| error.to_string())
    }

    fn dead_letters(&self, chosen: &Chosen, before: Option<i64>, limit: usize) -> Result<Vec<DeadLetterRow>, String> {
        self.store.history().dead_letters(chosen, before, limit).map_err(|error| error.to_string())
    }

    fn dead_letter_groups(&self) -> Result<Vec<DeadLetterGroup>, String> {
        self.store.history().dead_letter_groups().map_err(|error| error.to_string())
    }

    fn jumps(&self, limit: usize) -> Result<Vec<JumpRow>, String> {
        self.store.history().jumps(limit).map_err(|error| error.to_string())
    }

    fn store(&self) -> StoreState {
        let figures = self.store.figures();
        let age_ms = figures.oldest.and_then(|oldest| match oldest {
            Oldest::Utc(ms) => Some(self.time.now()?.since_ms(UtcMs(ms))),
            Oldest::Monotonic(ms) => Some(self.time.monotonic().as_millis() as i64 - ms),
            Oldest::Unknown => None,
        });
        StoreState {
            unflushed_readings: self.recorded.unflushed(),
            flushes: figures.commits,
            backlog_readings: figures.backlog,
            oldest_unsent: age_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())),
            dead_letters: figures.dead_letters,
            written: figures.written,
            traffic: figures.traffic,
            card_endurance: self.config.store.card_endurance_bytes,
            lost: figures.lost,
            full: figures.full,
            error: figures.error,
        }
    }

    fn link(&self) -> LinkState {
        self.link.state()
    }

    fn clock(&self) -> ClockState {
        let now = self.time.monotonic();
        let keeper = self.time.keeper();
        ClockState {
            source: keeper.source(),
            uncertainty_s: keeper.date(now).map_or(0, |dated| dated.uncertainty_s),
            slewing_ms: keeper.slewing_ms(now),
            distrust: keeper.distrust(),
        }
    }

    fn now(&self) -> Option<UtcMs> {
        self.time.now()
    }
}

impl Changes for Known {
    fn take_time(&self, said: UtcMs) -> Result<(), Distrust> {
        self.time.observe_confirmed(said)
    }

    fn end_dead_letters(&self, fate: Fate, chosen: Chosen) -> BoxFuture<'_, Result<u64, String>> {
        let ended = self.store.end_dead_letters(fate, chosen);
        Box::pin(async { ended.await.map_err(|error| error.to_string()) })
    }
}
