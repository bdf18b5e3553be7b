//! What requests and registers cost on a wire: the planner reads over unused registers where that
//! is cheaper than a further request.

use std::time::Duration;

use riverwatts_shared::profile::{Function, Parity};

use super::Block;
use super::wire::Line;
use crate::config::{Config, Device, Link};

/// How long a device is taken to need for an answer on a serial line.
pub const THINKING: Duration = Duration::from_millis(20);
/// How long a request and its answer are taken to need on a socket.
pub const ROUND_TRIP: Duration = Duration::from_millis(20);
/// What a register adds to that: two of some hundred bytes of a packet.
const SOCKET_REGISTER: Duration = Duration::from_micros(1);
/// Speed of the line behind a device server where nobody says.
const BAUD: u32 = 9_600;

/// What a further request and a further register cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// A request, without its registers.
    pub request: Duration,
    /// A register in it.
    pub register: Duration,
}

impl Cost {
    /// Registers are free: the fewest requests, and of those plans the one of fewest registers.
    pub const FEWEST: Cost = Cost { request: ROUND_TRIP, register: Duration::ZERO };

    /// The cost of asking a device on its bus.
    pub fn of(config: &Config, device: &Device) -> Cost {
        if let Some(line) = Line::of(config, device) {
            return Cost::serial(&line);
        }
        let bus = &config.buses[device.bus];
        let quiet = config.quiet(device).max(bus.gap);
        match &bus.link {
            Link::RtuTcp { .. } => {
                let baud = device.profile.link.baud.unwrap_or(BAUD);
                Cost::serial(&Line { baud, parity: Parity::None, stop_bits: 1, quiet })
            }
            Link::Tcp { .. } | Link::Rtu(_) => Cost { request: ROUND_TRIP + quiet, register: SOCKET_REGISTER },
        }
    }

    /// The cost of asking any device on a serial line.
    pub fn serial(line: &Line) -> Cost {
        Cost { request: line.request(Function::Holding, 0) + THINKING, register: line.bytes(2) }
    }

    /// The cost of a plan.
    pub fn sum(&self, blocks: &[Block]) -> Duration {
        blocks.iter().map(|block| self.request + self.registers(block.function, u32::from(block.count))).sum()
    }

    /// The cost of so many registers; sixteen bits cost as much as one register.
    pub(super) fn registers(&self, function: Function, count: u32) -> Duration {
        let registers = if function.reads_bits() { count.div_ceil(16) } else { count };
        self.register * registers
    }
}
