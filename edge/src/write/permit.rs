//! The permit to write one value once, and the commands that follow from it. Only a proposal whose
//! interlocks hold makes a permit, and only a permit makes a command.

use std::time::Duration;

use riverwatts_shared::profile::{Accepted, Key, Target, Write, WriteFunction};

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
    pub(super) fn unlock(&self, step: usize, copied: &[u16]) -> Option<Command> {
        let unlock = self.write.unlock.get(step)?;
        let words = match &unlock.with {
            Key::Raw(raw) => unlock.target.words(*raw),
            Key::Copy(_) => copied.to_vec(),
        };
        Some(Command::new(self.unit(unlock.unit), unlock.target, words))
    }

    /// The command of the write.
    pub(crate) fn command(&self) -> Command {
        Command::new(self.unit(self.write.unit), self.write.target, self.accepted.words.clone())
    }
}

impl Command {
    const fn new(unit: u8, target: Target, words: Vec<u16>) -> Self {
        Command { unit, function: target.function, at: target.at, words }
    }

    /// Modbus address of the device.
    pub const fn unit(&self) -> u8 {
        self.unit
    }

    /// Which function code.
    pub const fn function(&self) -> WriteFunction {
        self.function
    }

    /// PDU address of the first coil or register.
    pub const fn at(&self) -> u16 {
        self.at
    }

    /// What is written.
    pub fn words(&self) -> &[u16] {
        &self.words
    }
}
