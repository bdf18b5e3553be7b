//! Switches the transmitter of an RS-485 adapter by RTS: by the kernel where the driver can, which
//! is exact; else by us around each frame.

use std::io;
use std::thread;
use std::time::Duration;

use crate::config::Rts;

/// What the driver of a serial port offers for it. None of it waits but `drain`, for the time that
/// a frame takes on the line.
pub trait Driver {
    /// Lets the kernel switch: RTS is on while talking, or off where `inverted`.
    fn switch_by_kernel(&mut self, inverted: bool) -> io::Result<()>;
    /// Switches the line.
    fn set_rts(&mut self, on: bool) -> io::Result<()>;
    /// Waits until everything written has left the buffers.
    fn drain(&mut self) -> io::Result<()>;
}

/// Switching by us.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    talking: bool,
    character: Duration,
}

impl Switch {
    /// Sees to it that the transmitter is switched; `None` when nobody here has to. `character` is
    /// how long one takes on the line: the last may still be in the adapter when the buffers are empty.
    ///
    /// # Errors
    /// When the driver does neither.
    pub fn set_up(driver: &mut dyn Driver, rts: Rts, character: Duration) -> io::Result<Option<Switch>> {
        let inverted = match rts {
            Rts::Unused => return Ok(None),
            Rts::Talk => false,
            Rts::Inverted => true,
        };
        if driver.switch_by_kernel(inverted).is_ok() {
            return Ok(None);
        }
        let switch = Switch { talking: !inverted, character };
        driver.set_rts(!switch.talking)?;
        Ok(Some(switch))
    }

    /// Before a frame.
    pub fn talk(&self, driver: &mut dyn Driver) -> io::Result<()> {
        driver.set_rts(self.talking)
    }

    /// After a frame, which was written and may not have left yet. Blocks for its time on the line:
    /// a runtime's timer would leave the transmitter on while the device begins to answer.
    pub fn listen(&self, driver: &mut dyn Driver) -> io::Result<()> {
        let drained = driver.drain();
        thread::sleep(self.character);
        driver.set_rts(!self.talking)?;
        drained
    }
}
