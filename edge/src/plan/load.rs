//! What a device asks of its bus: its requests by cadence, and the time that they take.

use std::time::Duration;

use super::wire::Line;
use super::{Block, Cadence, Cost, Layout};
use crate::config::{Config, Device};

/// The requests of one cadence of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// Which.
    pub cadence: Cadence,
    /// How often; `None`: once.
    pub every: Option<Duration>,
    /// The requests.
    pub blocks: Vec<Block>,
    /// How long they occupy a serial line at the least; `None` on a socket.
    pub least: Option<Duration>,
    /// How long they take when the device needs as long for an answer as [`Cost`] assumes.
    pub likely: Duration,
}

impl Cycle {
    /// Everything that is asked of a device by polling, the most frequent first.
    pub fn all(config: &Config, device: &Device, layout: &Layout) -> Vec<Cycle> {
        let line = Line::of(config, device);
        let cost = Cost::of(config, device);
        let cycle = |cadence| {
            let blocks = layout.blocks(cadence, &cost);
            let least = line.map(|line| line.cycle(&blocks));
            Cycle {
                cadence,
                every: cadence.every(device.interval, device.slow_interval),
                likely: cost.sum(&blocks),
                least,
                blocks,
            }
        };
        let mut cycles: Vec<Cycle> = layout.cadences().into_iter().map(cycle).collect();
        cycles.sort_by_key(|cycle| cycle.every.unwrap_or(Duration::MAX));
        cycles
    }

    /// The share of the time that the requests take.
    pub fn load(&self) -> f64 {
        self.share(self.likely)
    }

    /// The share of the time that they occupy the line at the least; `None` on a socket.
    pub fn least_load(&self) -> Option<f64> {
        self.least.map(|least| self.share(least))
    }

    fn share(&self, time: Duration) -> f64 {
        self.every.map_or(0.0, |every| time.as_secs_f64() / every.as_secs_f64())
    }
}
