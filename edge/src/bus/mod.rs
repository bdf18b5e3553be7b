//! Polls the devices of each bus: one task per bus, which alone talks on its wire.
//!
//! A socket is driven on the gateway's runtime, a serial port on a thread of its own. Nothing here
//! waits for anything but the wire: readings are handed on by [`mpsc::Sender::try_send`], and what
//! does not fit is counted.

mod back_off;
mod command;
mod connection;
pub mod frame;
mod inbox;
mod isolate;
mod known;
mod load;
mod orders;
mod other;
mod port;
mod rhythm;
mod rts;
mod schedule;
mod session;
mod silence;
mod spread;
pub mod status;
mod unit;
pub mod wire;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use riverwatts_shared::time::Clock;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::back_off::{Attempt, pause};
use self::load::Load;
pub use self::orders::{ORDERS_MAX, Order};
use self::orders::{Orders, Step};
pub(crate) use self::other::Identify;
use self::rhythm::Rhythm;
pub use self::rhythm::period;
use self::status::{BusState, Outcome, Status};
use self::unit::{Polled, Unit};
use self::wire::Wire;
use crate::config::Config;
use crate::plan::Layout;
use crate::plan::wire::Line;
use crate::record::{self, FromBus};

/// Stack of the thread of a serial bus, in bytes.
const STACK_BYTES: usize = 256 << 10;
/// Longest sleep of a bus: one with nobody to ask shows that it lives.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// One bus and its devices.
#[derive(Debug)]
pub struct Bus {
    id: String,
    wire: Wire,
    line: Option<Line>,
    units: Vec<Unit>,
    status: Arc<Status>,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<FromBus>,
    orders: Orders,
    writer: mpsc::Sender<Order>,
    load: Load,
    /// How often the connection came back, as far as the devices were told.
    returns: u64,
}

/// A bus that is being driven; ends once its token is cancelled.
#[derive(Debug)]
pub enum Driven {
    /// On the runtime.
    Task(JoinHandle<()>),
    /// On a thread of its own.
    Thread(thread::JoinHandle<()>),
}

impl Bus {
    /// The buses of [`Config::buses`]. The polls of all devices are spread evenly from now on.
    pub fn all(config: &Config, clock: &Arc<dyn Clock>, out: &mpsc::Sender<FromBus>) -> Vec<Bus> {
        let start = Instant::now();
        let mut layouts: HashMap<&str, Arc<Layout>> = HashMap::new();
        let mut places = 0u32..;
        let mut buses = Vec::with_capacity(config.buses.len());
        for (index, bus) in config.buses.iter().enumerate() {
            let own = config.devices.iter().enumerate().filter(|(_, device)| device.bus == index);
            let mut units = Vec::new();
            for ((number, device), place) in own.zip(&mut places) {
                let profile = &device.profile;
                let layout = || Arc::new(Layout::fixed(profile));
                let fixed = profile.discovery.is_none();
                let fixed = fixed.then(|| Arc::clone(layouts.entry(&profile.name).or_insert_with(layout)));
                units.push(Unit::new(config, number, fixed, Rhythm::new(device, place, start)));
            }
            let (writer, queue) = mpsc::channel(ORDERS_MAX);
            buses.push(Bus {
                id: bus.id.clone(),
                wire: Wire::new(bus.link.clone(), bus.gap),
                line: bus.link.serial().map(|serial| Line::new(serial, Duration::ZERO)),
                status: Arc::new(Status::new(units.iter().map(|unit| (unit.number, unit.unit)))),
                units,
                clock: Arc::clone(clock),
                out: out.clone(),
                orders: Orders::new(queue),
                writer,
                load: Load::new(start),
                returns: 0,
            });
        }
        buses
    }

    /// Where orders for its devices go; a full queue is for the caller to tell.
    pub fn writer(&self) -> mpsc::Sender<Order> {
        self.writer.clone()
    }

    /// What the bus knows of itself, also while it is driven.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Begins to poll.
    ///
    /// # Errors
    /// When the system gives no thread to a serial bus.
    pub fn start(self, stop: CancellationToken) -> io::Result<Driven> {
        if self.line.is_none() {
            return Ok(Driven::Task(tokio::spawn(self.drive(stop))));
        }
        let name = format!("bus {}", self.id);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        Ok(Driven::Thread(thread.spawn(move || runtime.block_on(self.drive(stop)))?))
    }

    /// Polls until `stop`.
    pub async fn drive(mut self, stop: CancellationToken) {
        let schedules = |units: &[Unit], now| schedule::next(units.iter().map(|unit| &unit.schedule), now);
        let mut wrote = false;
        while let Some(next) = schedules(&self.units, Instant::now()) {
            let (due, now) = (self.units[next].schedule.due, Instant::now());
            // Between two writes, a poll that is due has its turn.
            let step = if due > now {
                let look = now + LOOK_EVERY;
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    step = self.orders.next() => Some(step),
                    () = sleep_until(due.min(look)) => {
                        if look < due {
                            self.status.update(|state| state.looks += 1);
                        }
                        continue;
                    }
                }
            } else if wrote {
                None
            } else {
                self.orders.ready()
            };
            wrote = step.is_some();
            if let Some(step) = step {
                // In a box, since it is rare and its state larger than that of a poll.
                let write = Box::pin(self.write(step));
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = write => continue,
                }
            }
            let started = Instant::now();
            let timeout = self.timeout(next, started);
            let poll = self.units[next].poll(&mut self.wire, timeout, &*self.clock);
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                polled = poll => polled,
            };
            self.settle(next, started, polled);
        }
        stop.cancelled().await;
    }

    /// Carries out what was ordered, as far as it goes now.
    async fn write(&mut self, step: Step) {
        let started = Instant::now();
        self.orders.take(step, &self.units, &mut self.wire, self.clock.monotonic()).await;
        let now = Instant::now();
        self.load.add(now, now - started);
    }

    /// How many devices are silent, unless all are: then nobody is held up by them.
    fn silent(&self) -> Option<u32> {
        let silent = self.units.iter().filter(|unit| unit.schedule.failures > 0).count();
        (silent < self.units.len()).then_some(silent as u32)
    }

    /// How long to wait for the answer of a device. One that is silent mostly gets what the others do
    /// not need; one that was never heard is silent as soon as it failed.
    fn timeout(&self, next: usize, now: Instant) -> Duration {
        let unit = &self.units[next];
        let timeout = unit.pace.timeout;
        let silent = unit.schedule.is_sick() || unit.schedule.failures > 0 && unit.answers.mean().is_none();
        let Some(count) = self.silent().filter(|_| silent) else { return timeout };
        let living = self.units.iter().filter(|other| other.schedule.failures == 0);
        let free = living.map(|other| other.schedule.due.saturating_duration_since(now)).min();
        let waited = now.saturating_duration_since(unit.polled_at);
        let answer = unit.answers.slowest;
        Attempt { silent: count, timeout, answer, waited, free: free.unwrap_or(timeout) }.patience()
    }

    /// Plans the next poll: a silent device is left alone for a while, unless it could not be asked.
    fn plan(&mut self, index: usize, now: Instant, spent: Duration, unreachable: bool) -> u64 {
        let silent = self.silent();
        let unit = &mut self.units[index];
        let schedule = &mut unit.schedule;
        let pause = match unreachable {
            true => Duration::ZERO,
            false => pause(schedule.failures, schedule.interval, unit.pace.timeout, spent, silent),
        };
        let overruns = schedule.advance(now, pause);
        let returns = self.wire.attempts().returns;
        if returns != self.returns {
            self.returns = returns;
            // Whoever was silent before may be there again.
            self.units.iter_mut().filter(|unit| unit.schedule.failures > 0).for_each(|unit| unit.schedule.resume(now));
        }
        overruns
    }

    /// Hands the reading on, plans the next poll and writes down what happened.
    fn settle(&mut self, index: usize, started: Instant, polled: Polled) {
        let Polled { outcome, unreachable, error, reading, identity, refused, retried } = polled;
        let now = Instant::now();
        self.load.add(now, now - started);
        let overruns = self.plan(index, now, now - started, unreachable);
        let unit = &mut self.units[index];
        let answered_at = reading.as_ref().map(|(at, _)| *at);
        let mut dropped = 0;
        if let Some(fields) = &identity {
            dropped += hand_on(&self.out, FromBus::Identity { device: unit.number, fields: fields.clone() });
        }
        if let Some((monotonic, values)) = reading {
            let polled = record::Polled { device: unit.number, monotonic, values, lost_before: unit.lost };
            let lost = hand_on(&self.out, FromBus::Polled(polled));
            unit.lost = if lost > 0 { unit.lost + lost } else { 0 };
            dropped += lost;
        }
        let unit = &self.units[index];
        if dropped > 0 {
            tracing::warn!(bus = self.id, device.id = unit.id, "reading lost: the recorder is behind");
        }
        let monotonic = self.clock.monotonic();
        let planned_load = self.units.iter().map(|unit| unit.planned_load(self.line.as_ref())).sum();
        self.status.update(|state: &mut BusState| {
            let attempts = self.wire.attempts();
            state.connected = self.wire.is_connected();
            state.connections = attempts.connections;
            state.refused_connections = attempts.refused;
            state.load = self.load.share();
            state.planned_load = planned_load;
            state.strays = self.wire.strays();
            if outcome == Outcome::Lost {
                state.last_error.clone_from(&error);
            }
            let kept = &mut state.units[index];
            let was_ill = kept.last_error.is_some() && kept.last_error_at > kept.last_ok_at;
            kept.outcomes[outcome as usize] += 1;
            kept.overruns += overruns;
            kept.dropped += dropped;
            kept.retries += retried;
            kept.failures = unit.schedule.failures;
            let wait = unit.schedule.due.saturating_duration_since(now);
            kept.next_at = unit.schedule.is_sick().then(|| monotonic + wait);
            if let Some(identity) = identity {
                kept.identity = identity;
            }
            kept.round_trip = unit.answers.mean().unwrap_or_default();
            if let Some(refused) = refused {
                let names: Vec<&str> = refused.iter().flat_map(|one| &one.names).map(String::as_str).collect();
                tracing::warn!(bus = self.id, device.id = unit.id, registers = ?names, "registers that the device refuses are left out");
                kept.refused = refused;
            }
            if let Some(error) = error {
                // How long was waited differs from attempt to attempt, and is no news.
                let is_silent_still = (kept.last_outcome, outcome) == (Some(Outcome::Timeout), Outcome::Timeout);
                let is_news = kept.last_error.as_ref() != Some(&error) && !is_silent_still;
                if is_news || !was_ill {
                    tracing::warn!(bus = self.id, device.id = unit.id, error, "poll failed");
                }
                kept.last_error = Some(error);
                kept.last_error_at = Some(monotonic);
            } else if was_ill {
                tracing::info!(bus = self.id, device.id = unit.id, "device answers again");
            }
            kept.last_outcome = Some(outcome);
            kept.last_ok_at = answered_at.or(kept.last_ok_at);
        });
    }
}

impl Driven {
    /// Waits for the end.
    pub async fn join(self) {
        let ended = match self {
            Driven::Task(task) => task.await.map_err(|error| error.to_string()),
            Driven::Thread(thread) => {
                let joined = tokio::task::spawn_blocking(move || thread.join().map_err(|_| "panicked".to_owned()));
                joined.await.unwrap_or_else(|error| Err(error.to_string()))
            }
        };
        if let Err(error) = ended {
            tracing::error!(error, "a bus ended by a bug");
        }
    }
}

/// One message to the recorder; 1 when it had no room.
fn hand_on(out: &mpsc::Sender<FromBus>, message: FromBus) -> u64 {
    match out.try_send(message) {
        Ok(()) | Err(TrySendError::Closed(_)) => 0,
        Err(TrySendError::Full(_)) => 1,
    }
}

#[cfg(test)]
mod tests;
