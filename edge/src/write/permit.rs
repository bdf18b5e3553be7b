//! The permit to write one value once, and the commands that follow from it. Only a proposal whose
//! interlocks hold makes a permit, and only a permit makes a command.

use std::time::Duration;

use riverwatts_shared::profile::sunspec::Model;
use riverwatts_shared::profile::{Accepted, Key, Target, Write, WriteFunction, address};

/// How long a permit holds: what it was given on may be another thing later.
pub const HOLDS: Duration = Duration::from_secs(5);

/// The permit to write one value to one device.
///
/// Nobody else can make one:
///
/// ```compile_fail
/// use riverwatts_edge::write::Permit;
/// use riverwatts_shared::profile::{Accepted, Write};
/// fn forge(write: Write, accepted: Accepted) -> Permit {
///     Permit::new(0, 1, write, accepted, std::time::Duration::ZERO)
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    device: u16,
    unit: u8,
    write: Write,
    accepted: Accepted,
    made: Duration,
}

/// What goes into one frame that writes.
///
/// Only a permit gives one:
///
/// ```compile_fail
/// use riverwatts_edge::write::Command;
/// use riverwatts_shared::profile::WriteFunction;
/// let command = Command { unit: 1, function: WriteFunction::Coil, at: 0, words: vec![0xFF00] };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    unit: u8,
    function: WriteFunction,
    at: u16,
    words: Vec<u16>,
}

impl Permit {
    pub(super) const fn new(device: u16, unit: u8, write: Write, accepted: Accepted, now: Duration) -> Self {
        Permit { device, unit, write, accepted, made: now }
    }

    /// The number of the device.
    pub const fn device(&self) -> u16 {
        self.device
    }

    /// The write.
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// The value.
    pub const fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Whether it still holds.
    pub fn holds(&self, now: Duration) -> bool {
        now.saturating_sub(self.made) <= HOLDS
    }

    /// Unit id of something of the device.
    pub(super) fn unit(&self, own: Option<u8>) -> u8 {
        own.unwrap_or(self.unit)
    }

    /// The command of the step number `step` before the write; `copied` are the words of the
    /// register that it copies, if it copies one.
    pub(super) fn unlock(&self, step: usize, copied: &[u16]) -> Command {
        let unlock = &self.write.unlock[step];
        let words = match &unlock.with {
            Key::Raw(raw) => unlock.target.words(*raw),
            Key::Copy(_) => copied.to_vec(),
        };
        Command::new(self.unit(unlock.unit), unlock.target, words)
    }

    /// The command of the write, on a device with these SunSpec models; `None` when it does not have
    /// the one that is written to.
    pub(crate) fn command(&self, models: &[Model]) -> Option<Command> {
        let Write { unit, models: wanted, target, .. } = &self.write;
        let words = self.accepted.words.clone();
        let at = address(wanted, target.at, words.len() as u16, models)?;
        Some(Command::new(self.unit(*unit), Target { at, ..*target }, words))
    }
}

impl Command {
    const fn new(unit: u8, target: Target, words: Vec<u16>) -> Self {
        Command { unit, function: target.function, at: target.at, words }
    }

    /// Modbus address of the device, function, and PDU address of the first coil or register.
    pub const fn target(&self) -> (u8, WriteFunction, u16) {
        (self.unit, self.function, self.at)
    }

    /// What is written.
    pub fn words(&self) -> &[u16] {
        &self.words
    }
}
