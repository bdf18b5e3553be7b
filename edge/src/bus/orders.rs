//! Writes that a bus carries out between its polls: few may wait, each holds only for a short time,
//! and polls go on while a written value takes its time to show.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::unit::Unit;
use super::wire::Wire;
use crate::write::{self, Begun, Outcome, Permit, Reached, Report};

/// Writes that may wait for a bus.
pub const ORDERS_MAX: usize = 8;
/// How often to look whether a written value shows.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A write that is permitted, and who waits for its outcome.
#[derive(Debug)]
pub struct Order {
    /// The permit.
    pub permit: Permit,
    /// Where the outcome goes; without one the bus has ended.
    pub answer: oneshot::Sender<Report>,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Write.
    Begin(Order),
    /// See whether what was written shows.
    Look(Showing),
}

/// Something written that does not show yet.
#[derive(Debug)]
pub(super) struct Showing {
    order: Order,
    begun: Begun,
    next: Instant,
    until: Instant,
}

/// The orders of a bus.
#[derive(Debug)]
pub(super) struct Orders {
    queue: mpsc::Receiver<Order>,
    showing: Option<Showing>,
}

impl Orders {
    pub(super) fn new(queue: mpsc::Receiver<Order>) -> Self {
        Orders { queue, showing: None }
    }

    /// The next step, when it is time for it; nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Step {
        if let Some(showing) = &self.showing {
            sleep_until(showing.next).await;
        }
        match self.showing.take() {
            Some(showing) => Step::Look(showing),
            None => match self.queue.recv().await {
                Some(order) => Step::Begin(order),
                // Nobody can order any more.
                None => std::future::pending().await,
            },
        }
    }

    /// The next step, if it is time for it.
    pub(super) fn ready(&mut self) -> Option<Step> {
        if self.showing.is_none() {
            return self.queue.try_recv().ok().map(Step::Begin);
        }
        self.showing.take_if(|showing| showing.next <= Instant::now()).map(Step::Look)
    }

    /// Takes the step on the wire of the order's device, one of `units`. `now` is monotonic.
    pub(super) async fn take(&mut self, step: Step, units: &[Unit], wire: &mut Wire, now: Duration) {
        let showing = match step {
            Step::Begin(order) => match begin(&order.permit, units, wire, now).await {
                Ok(begun) => {
                    let written = Instant::now();
                    Showing { begun, next: written, until: written + order.permit.write().within, order }
                }
                Err(report) => return answer(order, report),
            },
            Step::Look(showing) => showing,
        };
        let Some(unit) = device(&showing.order.permit, units) else { return };
        let mut reached = Reached { wire, pace: unit.pace, models: unit.models() };
        let seen = write::look(&showing.order.permit, &mut reached).await;
        let (permit, begun) = (&showing.order.permit, &showing.begun);
        let outcome = match seen {
            Ok(()) => Outcome::Done,
            Err(_) if Instant::now() < showing.until => {
                self.showing = Some(Showing { next: Instant::now() + LOOK_EVERY, ..showing });
                return;
            }
            Err(words) => {
                let unclear = begun.unclear.as_ref().map(|failure| format!("; the answer to it: {failure}"));
                let within = permit.write().within.as_secs_f64();
                Outcome::NotConfirmed(format!("{words} {within} s after the write{}", unclear.unwrap_or_default()))
            }
        };
        let old = Some(permit.write().told(begun.old));
        answer(showing.order, Report { old, outcome });
    }
}

async fn begin(permit: &Permit, units: &[Unit], wire: &mut Wire, now: Duration) -> Result<Begun, Report> {
    let refused = |words: &str| Err(Report { old: None, outcome: Outcome::Refused(words.to_owned()) });
    let Some(unit) = device(permit, units) else { return refused("the device is not on this bus") };
    if !permit.holds(now) {
        return refused("the bus was busy for too long, and interlocks may hold no more: ask again");
    }
    if !unit.is_recognised() {
        return refused("the device has not shown yet that it is the one its profile is for: ask again");
    }
    write::begin(permit, &mut Reached { wire, pace: unit.pace, models: unit.models() }).await
}

fn device<'u>(permit: &Permit, units: &'u [Unit]) -> Option<&'u Unit> {
    units.iter().find(|unit| unit.number == permit.device())
}

fn answer(order: Order, report: Report) {
    // Who does not wait for it any more does not miss it.
    let _ = order.answer.send(report);
}
