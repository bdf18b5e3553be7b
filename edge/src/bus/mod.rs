//! Polls the devices of each bus: one task per bus, which alone talks on its wire.
//!
//! A socket is driven on the gateway's runtime, a serial port on a thread of its own. Nothing here
//! waits for anything but the wire: readings are handed on by [`mpsc::Sender::try_send`], and what
//! does not fit is counted.

mod command;
pub mod frame;
mod isolate;
mod orders;
mod port;
mod schedule;
pub mod status;
mod unit;
pub mod wire;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use riverwatts_shared::time::Clock;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::orders::Orders;
pub use self::orders::{ORDERS_MAX, Order};
use self::schedule::{SICK, back_off};
use self::status::{BusState, LOAD_WINDOW, Status};
pub use self::unit::SLOW_EVERY;
use self::unit::{Polled, Unit};
use self::wire::{Pace, Wire};
use crate::config::Config;
use crate::plan::Cost;
use crate::record::{self, FromBus};

/// Stack of the thread of a serial bus, in bytes.
const STACK_BYTES: usize = 256 << 10;
/// Shortest time-out when a silent device is tried between the polls of living ones.
const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// Every so many attempts, a silent device gets its whole time-out, living ones or not.
const PROBE_WHOLE_EVERY: u32 = 4;

/// One bus and its devices.
#[derive(Debug)]
pub struct Bus {
    id: String,
    wire: Wire,
    units: Vec<Unit>,
    status: Arc<Status>,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<FromBus>,
    serial: bool,
    orders: Orders,
    writer: mpsc::Sender<Order>,
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
    /// The bus with this index in [`Config::buses`]. Polls are spread evenly from now on.
    pub fn new(config: &Config, index: usize, clock: Arc<dyn Clock>, out: mpsc::Sender<FromBus>) -> Self {
        let bus = &config.buses[index];
        let own = config.devices.iter().enumerate().filter(|(_, device)| device.bus == index);
        let count = own.clone().count().max(1) as u32;
        let start = Instant::now();
        let units = own.zip(0u32..).map(|((number, device), place)| {
            let one_request = device.profile.link.one_request;
            let pace = Pace { quiet: config.quiet(device), timeout: config.timeout(device), one_request };
            Unit::new(number as u16, device, pace, Cost::of(config, device), start + device.interval * place / count)
        });
        let units: Vec<Unit> = units.collect();
        let status = Arc::new(Status::new(units.iter().map(|unit| (unit.number, unit.unit))));
        let serial = bus.link.serial().is_some();
        let wire = Wire::new(bus.link.clone(), bus.gap);
        let (writer, queue) = mpsc::channel(ORDERS_MAX);
        Bus { id: bus.id.clone(), wire, units, status, clock, out, serial, orders: Orders::new(queue), writer }
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
        if !self.serial {
            return Ok(Driven::Task(tokio::spawn(self.drive(stop))));
        }
        let name = format!("bus {}", self.id);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        Ok(Driven::Thread(thread.spawn(move || runtime.block_on(self.drive(stop)))?))
    }

    /// Polls until `stop`.
    pub async fn drive(mut self, stop: CancellationToken) {
        let mut load = Load::new(Instant::now());
        let mut wrote = false;
        while let Some(next) = (0..self.units.len()).min_by_key(|&index| self.units[index].schedule.due) {
            let due = self.units[next].schedule.due;
            // Between two writes, a poll that is due has its turn.
            let polls_first = std::mem::take(&mut wrote) && due <= Instant::now();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(step) = self.orders.next(), if !polls_first => {
                    let started = Instant::now();
                    let taken = self.orders.take(step, &self.units, &mut self.wire, self.clock.monotonic());
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = taken => {}
                    }
                    load.add(Instant::now(), started.elapsed());
                    wrote = true;
                    continue;
                }
                () = sleep_until(due) => {}
            }
            let started = Instant::now();
            let timeout = self.timeout(next, started);
            let poll = self.units[next].poll(&mut self.wire, timeout, &*self.clock);
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                polled = poll => polled,
            };
            let now = Instant::now();
            load.add(now, now - started);
            self.settle(next, now, polled, &load);
        }
        stop.cancelled().await;
    }

    /// How long to wait for the answer of a device. A sick one mostly gets the time that is free
    /// until a living one is due.
    fn timeout(&self, next: usize, now: Instant) -> Duration {
        let unit = &self.units[next];
        let whole = unit.pace.timeout;
        if unit.failures < SICK || unit.failures.is_multiple_of(PROBE_WHOLE_EVERY) {
            return whole;
        }
        let living = self.units.iter().filter(|other| other.failures == 0).map(|other| other.schedule.due).min();
        let free = living.map_or(whole, |due| due.saturating_duration_since(now));
        free.max(PROBE_TIMEOUT_MIN).min(whole)
    }

    /// Hands the reading on, plans the next poll and writes down what happened.
    fn settle(&mut self, index: usize, now: Instant, polled: Polled, load: &Load) {
        let Polled { outcome, error, reading, identity, answers } = polled;
        let unit = &mut self.units[index];
        let pause = back_off(unit.failures, unit.schedule.interval, unit.pace.timeout);
        let overruns = unit.schedule.advance(now, pause);
        let answered_at = reading.as_ref().map(|(at, _)| *at);
        let mut dropped = 0;
        if let Some(fields) = &identity {
            dropped += hand_on(&self.out, FromBus::Identity { device: unit.number, fields: fields.clone() });
        }
        if let Some((monotonic, values)) = reading {
            dropped += hand_on(&self.out, FromBus::Polled(record::Polled { device: unit.number, monotonic, values }));
        }
        if dropped > 0 {
            tracing::warn!(bus = self.id, device.id = unit.id, "reading lost: the recorder is behind");
        }
        let monotonic = self.clock.monotonic();
        let connected = self.wire.is_connected();
        let connections = self.wire.connections();
        self.status.update(|state: &mut BusState| {
            state.connected = connected;
            state.connections = connections;
            state.load = load.share();
            if outcome == status::Outcome::Lost {
                state.last_error.clone_from(&error);
            }
            let kept = &mut state.units[index];
            let was_ill = kept.last_error.is_some() && kept.last_error_at > kept.last_ok_at;
            kept.outcomes[outcome as usize] += 1;
            kept.overruns += overruns;
            kept.dropped += dropped;
            kept.failures = unit.failures;
            if let Some(identity) = identity {
                kept.identity = identity;
            }
            if let Some(mean) = answers.0.checked_div(answers.1) {
                kept.round_trip = mean;
            }
            let excluded = unit.excluded();
            if excluded != kept.excluded {
                tracing::warn!(bus = self.id, device.id = unit.id, addresses = ?excluded, "registers that the device refuses are left out");
                kept.excluded = excluded;
            }
            if let Some(error) = error {
                if kept.last_error.as_ref() != Some(&error) || !was_ill {
                    tracing::warn!(bus = self.id, device.id = unit.id, error, "poll failed");
                }
                kept.last_error = Some(error);
                kept.last_error_at = Some(monotonic);
            } else if was_ill {
                tracing::info!(bus = self.id, device.id = unit.id, "device answers again");
            }
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

/// The share of the time that requests take.
#[derive(Debug)]
struct Load {
    since: Instant,
    busy: Duration,
    last: Option<f64>,
    now: Instant,
}

impl Load {
    fn new(now: Instant) -> Self {
        Load { since: now, busy: Duration::ZERO, last: None, now }
    }

    fn add(&mut self, now: Instant, busy: Duration) {
        self.busy += busy;
        self.now = now;
        if now - self.since >= LOAD_WINDOW {
            self.last = Some(self.current());
            self.since = now;
            self.busy = Duration::ZERO;
        }
    }

    fn current(&self) -> f64 {
        let span = (self.now - self.since).as_secs_f64();
        if span > 0.0 { (self.busy.as_secs_f64() / span).min(1.0) } else { 0.0 }
    }

    fn share(&self) -> f64 {
        self.last.unwrap_or_else(|| self.current())
    }
}

#[cfg(test)]
mod tests;
