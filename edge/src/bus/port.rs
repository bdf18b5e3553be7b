//! Opens what a bus hangs on: a TCP socket or a serial port.

use std::fmt;
use std::io;
use std::time::Duration;

use riverwatts_shared::profile::Parity;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{SerialPortBuilderExt, SerialStream};

use crate::config::{Link, Serial};

/// How long a TCP connection may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An open socket or port.
pub trait Port: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug> Port for T {}

/// Opens the socket or port; what goes wrong is told in words a technician can use. Addresses are
/// left out: the words go to the log too.
pub async fn open(link: &Link) -> Result<Box<dyn Port>, String> {
    match link {
        Link::Tcp { address } | Link::RtuTcp { address } => Ok(Box::new(connect(address).await?)),
        Link::Rtu(serial) => Ok(Box::new(open_serial(serial)?)),
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

fn open_serial(serial: &Serial) -> Result<SerialStream, String> {
    let parity = match serial.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if serial.stop_bits == 2 { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
    let builder = tokio_serial::new(&serial.port, serial.baud).parity(parity).stop_bits(stop_bits);
    let wrong = |error: &dyn fmt::Display| format!("port cannot be opened: {error}");
    let stream = builder.open_native_async().map_err(|error| wrong(&error))?;
    if serial.rs485_rts {
        switch_by_rts(&stream).map_err(|error| wrong(&format!("rs485_rts is not possible here: {error}")))?;
    }
    Ok(stream)
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

/// Lets the kernel switch the transmitter on and off by RTS.
#[expect(unsafe_code, reason = "no safe wrapper of TIOCSRS485 among our dependencies")]
fn switch_by_rts(stream: &SerialStream) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let settings = SerialRs485 {
        flags: SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND,
        delay_rts_before_send_ms: 0,
        delay_rts_after_send_ms: 0,
        padding: [0; 5],
    };
    // SAFETY: the descriptor is open while `stream` lives, and the kernel only reads a struct of
    // exactly this layout.
    match unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCSRS485, &raw const settings) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
