//! Opens what a bus hangs on: a TCP socket or a serial port.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use riverwatts_shared::profile::Parity;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialStream};

use super::rts::{Driver, Switch};
use crate::config::{Link, Serial};
use crate::plan::wire::Line;

/// How long a TCP connection may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An open socket or port.
pub trait Port: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug {
    /// What switches its transmitter, where it is a serial one.
    fn driver(&mut self) -> Option<&mut dyn Driver> {
        None
    }
}

impl Port for TcpStream {}

#[cfg(test)]
impl Port for tokio::io::DuplexStream {}

impl Port for SerialStream {
    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self)
    }
}

/// Opens the socket or port, and says whether we have to switch its transmitter; what goes wrong is
/// told in words a technician can use. Addresses are left out: the words go to the log too.
pub async fn open(link: &Link) -> Result<(Box<dyn Port>, Option<Switch>), String> {
    match link {
        Link::Tcp { address } | Link::RtuTcp { address } => Ok((Box::new(connect(address).await?), None)),
        Link::Rtu(serial) => {
            let (port, switch) = open_serial(serial)?;
            Ok((Box::new(port), switch))
        }
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("cannot be reached: {error}")),
        Err(_) => return Err(format!("cannot be reached: no connection within {CONNECT_TIMEOUT:?}")),
    };
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

fn open_serial(serial: &Serial) -> Result<(SerialStream, Option<Switch>), String> {
    let parity = match serial.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if serial.stop_bits == 2 { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
    let builder = tokio_serial::new(&serial.port, serial.baud).parity(parity).stop_bits(stop_bits);
    let wrong = |error: &dyn fmt::Display| format!("port cannot be opened: {error}");
    let mut stream = builder.open_native_async().map_err(|error| wrong(&error))?;
    let character = Line::new(serial, Duration::ZERO).bytes(1);
    let switch = Switch::set_up(&mut stream, serial.rs485_rts, character);
    let switch = switch.map_err(|error| wrong(&format!("rs485_rts is not possible here: {error}")))?;
    Ok((stream, switch))
}

/// The kernel's `struct serial_rs485` (`linux/serial.h`).
#[repr(C)]
struct SerialRs485 {
    flags: u32,
    delay_rts_before_send_ms: u32,
    delay_rts_after_send_ms: u32,
    padding: [u32; 5],
}

const SER_RS485_ENABLED: u32 = 1;
const SER_RS485_RTS_ON_SEND: u32 = 1 << 1;
const SER_RS485_RTS_AFTER_SEND: u32 = 1 << 2;

#[expect(unsafe_code, reason = "no safe wrapper of TIOCSRS485 and tcdrain among our dependencies")]
impl Driver for SerialStream {
    fn switch_by_kernel(&mut self, inverted: bool) -> io::Result<()> {
        let mut settings = SerialRs485 {
            flags: SER_RS485_ENABLED | if inverted { SER_RS485_RTS_AFTER_SEND } else { SER_RS485_RTS_ON_SEND },
            delay_rts_before_send_ms: 0,
            delay_rts_after_send_ms: 0,
            padding: [0; 5],
        };
        // SAFETY: the descriptor is open while `self` lives, and the kernel only reads and writes a
        // struct of exactly this layout.
        match unsafe { libc::ioctl(self.as_raw_fd(), libc::TIOCSRS485, &raw mut settings) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn set_rts(&mut self, on: bool) -> io::Result<()> {
        Ok(self.write_request_to_send(on)?)
    }

    fn drain(&mut self) -> io::Result<()> {
        // SAFETY: the descriptor is open while `self` lives.
        match unsafe { libc::tcdrain(self.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
