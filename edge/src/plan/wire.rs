//! What a request costs on a serial line, so that `check` can say whether a cycle fits.
//!
//! Source: MODBUS over Serial Line 1.02, 2.5.1: frames are parted by 3.5 characters of silence,
//! above 19,200 bit/s by 1.75 ms.

use std::time::Duration;

use riverwatts_shared::profile::{Function, Parity};

use super::Block;
use crate::config::{Config, Device, Serial};

/// Bytes of a read request: unit, function, address, count, checksum.
const REQUEST_BYTES: u32 = 8;
/// Bytes around the registers of an answer: unit, function, byte count, checksum.
const ANSWER_BYTES: u32 = 5;

/// A serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Speed, bit/s.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: u8,
    /// Silence before each request, where it is longer than Modbus asks.
    pub quiet: Duration,
}

impl Line {
    /// The line of a port.
    pub const fn new(serial: &Serial, quiet: Duration) -> Line {
        Line { baud: serial.baud, parity: serial.parity, stop_bits: serial.stop_bits, quiet }
    }

    /// The line that a device hangs on; `None` when that is a socket.
    pub fn of(config: &Config, device: &Device) -> Option<Line> {
        let bus = &config.buses[device.bus];
        let serial = bus.link.serial()?;
        let quiet = config.quiet(device).max(bus.gap);
        Some(Line::new(serial, quiet))
    }

    /// How long so many bytes take.
    pub fn bytes(&self, count: u32) -> Duration {
        let bits = 1 + 8 + u64::from(self.parity != Parity::None) + u64::from(self.stop_bits);
        Duration::from_micros((u64::from(count) * bits * 1_000_000).div_ceil(u64::from(self.baud.max(1))))
    }

    /// The silence that parts two frames.
    pub fn silence(&self) -> Duration {
        if self.baud > 19_200 { Duration::from_micros(1_750) } else { self.bytes(7) / 2 }
    }

    /// How long a request for so many registers, or coils, occupies the line at the least: silence,
    /// request, silence, answer. What the device needs to think comes on top.
    pub fn request(&self, function: Function, count: u16) -> Duration {
        let silence = self.silence();
        let words = if function.reads_bits() { count.div_ceil(8) } else { 2 * count };
        let request = silence.max(self.quiet) + self.bytes(REQUEST_BYTES);
        request + silence + self.bytes(ANSWER_BYTES + u32::from(words))
    }

    /// How long a cycle of blocks occupies the line at the least.
    pub fn cycle<'a>(&self, blocks: impl IntoIterator<Item = &'a Block>) -> Duration {
        blocks.into_iter().map(|block| self.request(block.function, block.count)).sum()
    }
}
