//! The task between the buses and the store. It waits for neither: what the store does not take
//! stays in memory, up to a bound.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riverwatts_shared::profile::Identity;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::pending::Pending;
use super::{FromBus, Polled};
use crate::clock::SiteTime;
use crate::panel::Latest;
use crate::store::{Flush, Store, StoreError};

/// How long the last flush may take when the gateway stops.
const LAST_FLUSH: Duration = Duration::from_secs(3);
/// A disk that refused is tried again within this time, however rare flushes are.
const AGAIN_WITHIN: Duration = Duration::from_secs(60);
/// A commit that takes longer is told of.
const SLOW: Duration = Duration::from_secs(5);

/// What the recorder knows, for the panel and for announcements.
#[derive(Debug, Default)]
pub struct Recorded {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: Vec<Option<Latest>>,
    identities: Vec<Option<BTreeMap<Identity, String>>>,
    unflushed: u64,
}

impl Recorded {
    /// For so many devices.
    pub fn new(devices: usize) -> Self {
        let state = State { latest: vec![None; devices], identities: vec![None; devices], unflushed: 0 };
        Recorded { state: Mutex::new(state) }
    }

    /// The newest reading of a device.
    pub fn latest(&self, device: u16) -> Option<Latest> {
        self.state().latest.get(usize::from(device)).cloned().flatten()
    }

    /// What a device says about itself; `None` until it was asked.
    pub fn identity(&self, device: u16) -> Option<BTreeMap<Identity, String>> {
        self.state().identities.get(usize::from(device)).cloned().flatten()
    }

    /// Readings that are in memory only.
    pub fn unflushed(&self) -> u64 {
        self.state().unflushed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task.
#[derive(Debug)]
pub struct Recorder {
    store: Store,
    time: Arc<SiteTime>,
    recorded: Arc<Recorded>,
    pending: Pending,
    flush: Duration,
    /// How often uploads are wanted; a flush is not rarer.
    upload_every: watch::Receiver<Duration>,
    /// Whether a time server keeps the wall clock.
    synchronised: fn() -> bool,
    /// Whether the store did not take the last flush.
    refused: bool,
    /// When the store got the flush that it has in hand, and whether it was told that it is slow.
    handed_at: Instant,
    slow: bool,
}

/// A flush that the store has in hand.
type Flushing = Pin<Box<dyn Future<Output = Flushed> + Send>>;
/// The flush, and what the store says to it.
type Flushed = (Arc<Flush>, Result<(), StoreError>);

impl Recorder {
    /// `last`: the newest times stored of each device, UTC and monotonic.
    pub fn new(
        store: Store,
        time: Arc<SiteTime>,
        recorded: Arc<Recorded>,
        last: &[(Option<i64>, Option<i64>)],
        flush: Duration,
        upload_every: watch::Receiver<Duration>,
        synchronised: fn() -> bool,
    ) -> Self {
        let pending = Pending::new(last);
        let (refused, handed_at, slow) = (false, Instant::now(), false);
        Recorder { store, time, recorded, pending, flush, upload_every, synchronised, refused, handed_at, slow }
    }

    /// Records until the buses have ended; then everything is flushed.
    pub async fn run(mut self, mut from_buses: mpsc::Receiver<FromBus>) {
        let mut last_flush = Instant::now();
        let mut flushing: Option<Flushing> = None;
        loop {
            let longest = if self.refused { AGAIN_WITHIN } else { self.flush };
            let due = last_flush + self.flush.min(*self.upload_every.borrow_and_update()).min(longest);
            tokio::select! {
                message = from_buses.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                () = tokio::time::sleep_until(due) => {
                    last_flush = Instant::now();
                    self.close();
                    if flushing.is_some() {
                        self.tell_slow();
                    }
                    flushing = flushing.or_else(|| self.begin());
                }
                done = finished(&mut flushing) => {
                    flushing = None;
                    if self.end(done) {
                        flushing = self.begin();
                    }
                }
                () = changed(&mut self.upload_every) => {}
            }
        }
        self.drain(&mut from_buses, flushing).await;
    }

    /// Commits what is left, within [`LAST_FLUSH`].
    async fn drain(&mut self, from_buses: &mut mpsc::Receiver<FromBus>, mut flushing: Option<Flushing>) {
        let all = async {
            while let Some(message) = from_buses.recv().await {
                self.take(message);
            }
            self.close();
            loop {
                if flushing.is_none() {
                    flushing = self.begin();
                }
                let Some(commit) = &mut flushing else { return true };
                let done = commit.await;
                flushing = None;
                if !self.end(done) {
                    return false;
                }
            }
        };
        if tokio::time::timeout(LAST_FLUSH, all).await != Ok(true) {
            let readings = self.pending.readings();
            tracing::error!(readings, "readings are lost: the store did not take them before the end");
        }
    }

    fn take(&mut self, message: FromBus) {
        match message {
            FromBus::Identity { device, fields } => {
                if let Some(identity) = self.recorded.state().identities.get_mut(usize::from(device)) {
                    *identity = Some(fields);
                }
            }
            FromBus::Polled(polled) => {
                let Polled { device, monotonic, .. } = polled;
                let values = polled.values.clone();
                let time = self.pending.add(polled, &|at| self.time.date(at));
                if self.pending.is_full() {
                    self.close();
                }
                let mut state = self.recorded.state();
                state.unflushed = self.pending.readings();
                if let Some(latest) = state.latest.get_mut(usize::from(device)) {
                    *latest = Some(Latest { monotonic, time, values });
                }
            }
        }
    }

    /// Ends the flush that is being filled.
    fn close(&mut self) {
        if (self.synchronised)() {
            self.time.observe_synchronised();
        }
        self.pending.close(&|at| self.time.date(at));
    }

    /// Hands the next flush to the store.
    fn begin(&mut self) -> Option<Flushing> {
        let mut flush = self.pending.next().unwrap_or_default();
        if flush.news.is_none() {
            flush.news = self.time.keeper().take_news();
        }
        if flush.is_empty() {
            return None;
        }
        self.handed_at = Instant::now();
        let (store, flush) = (self.store.clone(), Arc::new(flush));
        Some(Box::pin(async move {
            let done = store.flush(Arc::clone(&flush)).await;
            (flush, done)
        }))
    }

    /// Takes the store's answer; whether the next flush may follow at once.
    fn end(&mut self, (flush, done): Flushed) -> bool {
        let committed = done.is_ok();
        self.refused = !committed;
        if self.slow && self.handed_at.elapsed() < SLOW {
            tracing::info!("the disk is as quick as it has to be again");
            self.slow = false;
        }
        match done {
            Ok(()) => self.pending.committed(&flush),
            Err(_) => self.pending.put_back(Arc::unwrap_or_clone(flush)),
        }
        self.recorded.state().unflushed = self.pending.readings();
        committed
    }
}

impl Recorder {
    /// Says once that a commit takes its time.
    fn tell_slow(&mut self) {
        if !self.slow && self.handed_at.elapsed() >= SLOW {
            let waiting = self.pending.readings();
            tracing::warn!(waiting, "the disk is slow; readings wait in memory");
            self.slow = true;
        }
    }
}

/// The answer of the store; never, while it has nothing in hand.
async fn finished(flushing: &mut Option<Flushing>) -> Flushed {
    match flushing {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

/// The next change; never, when whoever made changes has ended.
async fn changed(every: &mut watch::Receiver<Duration>) {
    if every.changed().await.is_err() {
        std::future::pending().await
    }
}
