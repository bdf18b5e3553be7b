//! The part of a site that one write needs: its device, those that its interlocks look at, and their
//! buses.

use std::time::Duration;

use crate::config::{Config, Device};

use super::Proposal;

/// So often they are asked, however seldom the site asks them.
const INTERVAL_MAX: Duration = Duration::from_secs(1);

/// The configuration with these devices only.
pub(super) fn narrow(config: &Config, proposal: &Proposal<'_>) -> Config {
    let mut kept: Vec<u16> = vec![proposal.number()];
    for interlock in proposal.interlocks() {
        if !kept.contains(&interlock.device) {
            kept.push(interlock.device);
        }
    }
    let place = |number: u16| kept.iter().position(|&kept| kept == number).unwrap_or_default() as u16;
    let devices = kept.iter().map(|&number| {
        let device = config.devices[usize::from(number)].clone();
        let mut writes = if number == proposal.number() { device.writes.clone() } else { Vec::new() };
        writes.retain(|opened| opened.write == proposal.place());
        for interlock in writes.iter_mut().flat_map(|opened| &mut opened.interlocks) {
            interlock.device = place(interlock.device);
        }
        Device { interval: device.interval.min(INTERVAL_MAX), writes, ..device }
    });
    Config { devices: devices.collect(), ..config.clone() }
}
