//! A room: the newest of every device in it, and the frames that its sockets have not taken yet. It
//! tells at most so many frames a second; what changes meanwhile waits for the next, newest only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use riverwatts_shared::time::{Clock, UtcMs};
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::frame::{Backfilled, Head};
use super::rooms::RoomId;

/// Frames that may wait for one socket; what it misses beyond comes to it as the newest only.
pub const FRAMES_MAX: usize = 32;
/// Pause between frames when there is always something to tell.
const FRAME_EVERY: Duration = Duration::from_millis(50);
/// How far a burst may run ahead of that.
const BURST: Duration = Duration::from_secs(1);
/// Gaps that may wait for a frame.
const GAPS_MAX: usize = 1_000;

/// A reading as it is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its device.
    pub device_id: Uuid,
    /// Its time, and its revision: which of two is the newer.
    pub version: (UtcMs, u32),
    /// The reading.
    pub json: Bytes,
}

/// A frame with its place in the order.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Counts the frames of the room.
    pub seq: u64,
    /// The frame.
    pub bytes: Bytes,
}

/// What its sockets share.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seq: u64,
    frames: Sender<Frame>,
    devices: HashMap<Uuid, Changed<Told>>,
    gateways: HashMap<Uuid, Changed<Bytes>>,
    waiting: Waiting,
    /// When the next frame would be due if all came evenly.
    due: Instant,
    has_timer: bool,
}

/// What changed for a socket that let go of the frames that waited for it.
#[derive(Debug)]
pub struct Changes {
    /// Number of the room's last frame.
    pub seq: u64,
    /// The frames that follow.
    pub frames: Receiver<Frame>,
    /// The newest of what was let go, as frames for this socket alone.
    pub own: Vec<Bytes>,
    /// Times of the newest readings of the devices that were left out.
    pub newest: HashMap<Uuid, UtcMs>,
}

/// Something with the number of the frame that told it last; 0: only snapshots did.
#[derive(Debug)]
struct Changed<T> {
    seq: u64,
    now: T,
}

/// What the next frames will tell.
#[derive(Debug, Default)]
struct Waiting {
    devices: BTreeSet<Uuid>,
    gateways: BTreeSet<Uuid>,
    backfilled: BTreeMap<Uuid, (UtcMs, UtcMs)>,
    gaps: Vec<Bytes>,
}

impl Room {
    /// An empty one.
    pub fn new(id: RoomId, clock: Arc<dyn Clock>) -> Room {
        let state = State {
            seq: 0,
            frames: channel(FRAMES_MAX).0,
            devices: HashMap::new(),
            gateways: HashMap::new(),
            waiting: Waiting::default(),
            due: Instant::now(),
            has_timer: false,
        };
        Room { id, clock, state: Mutex::new(state) }
    }

    /// Its frames from now on, and the number of the last one before.
    pub fn enter(&self) -> (u64, Receiver<Frame>) {
        let state = self.state();
        (state.seq, state.frames.subscribe())
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.state().frames.receiver_count() == 0
    }

    /// The head of a frame for one socket, which stands behind the frame with this number.
    pub fn head(&self, seq: u64) -> Head {
        Head { room: self.id, seq, at: self.clock.wall() }
    }

    /// Time of the newest reading of a device that it knows.
    pub fn newest(&self, device_id: Uuid) -> Option<UtcMs> {
        self.state().devices.get(&device_id).map(|device| device.now.version.0)
    }

    /// Takes what was read for a snapshot after frame `since`, unless it knows newer.
    pub fn learn(&self, readings: Vec<Told>, gateways: Vec<(Uuid, Bytes)>, since: u64) {
        let state = &mut *self.state();
        for (id, json) in gateways {
            let seq = state.gateways.get(&id).map_or(0, |known| known.seq);
            if seq <= since && !state.waiting.gateways.contains(&id) {
                state.gateways.insert(id, Changed { seq, now: json });
            }
        }
        for told in readings {
            let known = state.devices.get(&told.device_id);
            if known.is_none_or(|known| known.now.version < told.version) {
                state.devices.insert(told.device_id, Changed { seq: 0, now: told });
            }
        }
    }

    /// The newest of these devices and of those that came since frame `since`; and the frames that
    /// follow. All of it belongs to one moment.
    pub fn snapshot(&self, devices: &[Uuid], since: u64) -> (u64, Receiver<Frame>, Bytes) {
        let state = &mut *self.state();
        state.send(self.head(0), Instant::now());
        let listed = devices.iter().filter_map(|id| state.devices.get(id)).filter(|device| device.seq <= since);
        let readings = listed.chain(state.devices.values().filter(|device| device.seq > since));
        let gateways = state.gateways.values().map(|gateway| &gateway.now);
        let bytes = self.head(state.seq).snapshot(readings.map(|device| &device.now.json), gateways);
        (state.seq, state.frames.subscribe(), bytes)
    }

    /// What changed since frame `since`, but for the readings of `except`. All of it belongs to one moment.
    pub fn changes(&self, since: u64, except: &[Uuid]) -> Changes {
        let state = &mut *self.state();
        state.send(self.head(0), Instant::now());
        let head = self.head(state.seq);
        let devices = state.devices.iter().filter(|(id, device)| device.seq > since && !except.contains(id));
        let mut devices = devices.map(|(_, device)| &device.now.json).peekable();
        let mut gateways = state.gateways.values().filter(|gateway| gateway.seq > since).peekable();
        let mut own = Vec::new();
        if devices.peek().is_some() {
            own.push(head.reading(devices));
        }
        if gateways.peek().is_some() {
            own.push(head.status(gateways.map(|gateway| &gateway.now), std::iter::empty()));
        }
        let newest = except.iter().filter_map(|id| Some((*id, state.devices.get(id)?.now.version.0))).collect();
        Changes { seq: state.seq, frames: state.frames.subscribe(), own, newest }
    }

    /// Takes new readings; what is not newer than what was told changes nothing.
    pub fn tell_readings<'r>(self: &Arc<Self>, readings: impl Iterator<Item = &'r Told>) {
        self.tell(|state| {
            for told in readings {
                let seq = match state.devices.get(&told.device_id) {
                    Some(known) if known.now.version >= told.version => continue,
                    Some(known) => known.seq,
                    None => 0,
                };
                state.devices.insert(told.device_id, Changed { seq, now: told.clone() });
                state.waiting.devices.insert(told.device_id);
            }
        });
    }

    /// Takes spans of the past in which readings arrived.
    pub fn tell_backfilled(self: &Arc<Self>, spans: impl Iterator<Item = Backfilled>) {
        self.tell(|state| {
            for Backfilled { device_id, from, to } in spans {
                let span = state.waiting.backfilled.entry(device_id).or_insert((from, to));
                *span = (span.0.min(from), span.1.max(to));
            }
        });
    }

    /// Takes gateways whose link changed, each as JSON.
    pub fn tell_gateways<'g>(self: &Arc<Self>, gateways: impl Iterator<Item = &'g (Uuid, Bytes)>) {
        self.tell(|state| {
            for (id, json) in gateways {
                let seq = state.gateways.get(id).map_or(0, |known| known.seq);
                state.gateways.insert(*id, Changed { seq, now: json.clone() });
                state.waiting.gateways.insert(*id);
            }
        });
    }

    /// Takes gaps, each as JSON.
    pub fn tell_gaps(self: &Arc<Self>, gaps: impl Iterator<Item = Bytes>) {
        self.tell(|state| {
            let room = GAPS_MAX - state.waiting.gaps.len();
            state.waiting.gaps.extend(gaps.take(room));
        });
    }

    /// Forgets everything for what is in sight now, and tells it to all.
    pub fn begin_anew(&self, readings: Vec<Told>, gateways: Vec<(Uuid, Bytes)>) {
        let state = &mut *self.state();
        state.seq += 1;
        let seq = state.seq;
        state.waiting = Waiting::default();
        state.devices = readings.into_iter().map(|told| (told.device_id, Changed { seq, now: told })).collect();
        state.gateways = gateways.into_iter().map(|(id, json)| (id, Changed { seq, now: json })).collect();
        let readings = state.devices.values().map(|device| &device.now.json);
        let bytes = self.head(seq).snapshot(readings, state.gateways.values().map(|gateway| &gateway.now));
        let _ = state.frames.send(Frame { seq, bytes }); // nobody may be there any more
    }

    fn tell(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let now = Instant::now();
        let open_at = state.due.checked_sub(BURST).unwrap_or(now);
        if now >= open_at {
            state.send(self.head(0), now);
        } else if !state.has_timer {
            state.has_timer = true;
            let room = Arc::clone(self);
            tokio::spawn(async move {
                sleep_until(open_at).await;
                let mut state = room.state();
                state.has_timer = false;
                state.send(room.head(0), Instant::now());
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("never poisoned: nothing panics inside")
    }
}

impl State {
    /// Tells what waits.
    fn send(&mut self, mut head: Head, now: Instant) {
        let Waiting { devices, gateways, backfilled, gaps } = std::mem::take(&mut self.waiting);
        head.seq = self.seq;
        let mut frames = Vec::new();
        if !devices.is_empty() {
            head.seq += 1;
            let changed = devices.iter().map(|id| note(&mut self.devices, *id, head.seq).json).collect::<Vec<_>>();
            frames.push((head.seq, head.reading(changed.iter())));
        }
        if !gateways.is_empty() || !backfilled.is_empty() {
            head.seq += 1;
            let changed = gateways.iter().map(|id| note(&mut self.gateways, *id, head.seq)).collect::<Vec<_>>();
            let spans = backfilled.into_iter().map(|(device_id, (from, to))| Backfilled { device_id, from, to });
            frames.push((head.seq, head.status(changed.iter(), spans)));
        }
        if !gaps.is_empty() {
            head.seq += 1;
            frames.push((head.seq, head.gap(gaps.iter())));
        }
        self.seq = head.seq;
        for (seq, bytes) in frames {
            self.due = self.due.max(now) + FRAME_EVERY;
            let _ = self.frames.send(Frame { seq, bytes }); // nobody may be there any more
        }
    }
}

/// Notes that a frame tells this one, and answers it.
fn note<T: Clone>(all: &mut HashMap<Uuid, Changed<T>>, id: Uuid, seq: u64) -> T {
    let changed = all.get_mut(&id).expect("what waits is there");
    changed.seq = seq;
    changed.now.clone()
}
