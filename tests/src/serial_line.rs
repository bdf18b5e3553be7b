//! A serial line without a wire: two pseudo-terminals, each for a program to open as its port, and
//! what one sends the other receives.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;
use tokio_serial::{SerialPort, SerialStream};

/// A line with two ends; it ends when dropped.
#[derive(Debug)]
pub struct SerialLine {
    ends: [PathBuf; 2],
    passing: JoinHandle<()>,
}

impl SerialLine {
    /// A new line.
    pub fn open() -> SerialLine {
        let [(mut near, near_end), (mut far, far_end)] = [SerialStream::pair().unwrap(), SerialStream::pair().unwrap()];
        let ends = [&near_end, &far_end].map(|end| end.name().expect("a pseudo-terminal has a name").into());
        let passing = tokio::spawn(async move {
            // Kept open, so that the line survives programs that come and go.
            let _ends = (near_end, far_end);
            let ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            panic!("the serial line broke: {ended:?}");
        });
        SerialLine { ends, passing }
    }

    /// The port for the gateway.
    pub fn near(&self) -> &Path {
        &self.ends[0]
    }

    /// The port for the devices.
    pub fn far(&self) -> &Path {
        &self.ends[1]
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        self.passing.abort();
    }
}
