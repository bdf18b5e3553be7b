//! The transmitter of an RS-485 adapter is switched in the right order and for long enough.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use riverwatts_shared::profile::{Function, Parity};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use crate::bus::frame::{Request, crc};
use crate::bus::port::Port;
use crate::bus::rts::{Driver, Switch};
use crate::bus::wire::{Pace, Wire};
use crate::config::{Link, Rts, Serial};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Kernel { inverted: bool },
    Rts(bool),
    Write,
    Drain,
}

/// A port that writes down what is asked of it.
#[derive(Debug)]
struct Adapter {
    stream: DuplexStream,
    calls: Arc<Mutex<Vec<(Call, Instant)>>>,
    has_kernel_mode: bool,
    has_rts: bool,
}

impl Adapter {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push((call, Instant::now()));
    }
}

impl Driver for Adapter {
    fn switch_by_kernel(&mut self, inverted: bool) -> io::Result<()> {
        self.note(Call::Kernel { inverted });
        if self.has_kernel_mode { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    fn set_rts(&mut self, on: bool) -> io::Result<()> {
        self.note(Call::Rts(on));
        if self.has_rts { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.note(Call::Drain);
        Ok(())
    }
}

impl AsyncRead for Adapter {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Adapter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note(Call::Write);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Port for Adapter {
    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self)
    }
}

/// One character at 9,600 baud.
const CHARACTER: Duration = Duration::from_micros(1_042);

/// The calls for one request, with the time that passed since the call before.
async fn ask(rts: Rts, has_kernel_mode: bool) -> Vec<(Call, Duration)> {
    let (near, mut far) = duplex(64);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut adapter = Adapter { stream: near, calls: Arc::clone(&calls), has_kernel_mode, has_rts: true };
    let switch = Switch::set_up(&mut adapter, rts, CHARACTER).unwrap();
    let serial = Serial { port: String::new(), baud: 9_600, parity: Parity::None, stop_bits: 1, rs485_rts: rts };
    let mut wire = Wire::new(Link::Rtu(serial), Duration::ZERO);
    wire.connection.port = Some(Box::new(adapter));
    wire.connection.switch = switch;
    tokio::spawn(async move {
        let mut frame = [0; 8];
        far.read_exact(&mut frame).await.unwrap();
        let mut bytes = vec![1, 3, 2, 0, 42];
        bytes.extend(crc(&bytes).to_le_bytes());
        far.write_all(&bytes).await.unwrap();
    });
    let request = Request { unit: 1, function: Function::Holding, start: 0, count: 1 };
    let pace = Pace { quiet: Duration::ZERO, timeout: Duration::from_secs(5), one_request: false };
    assert_eq!(wire.read(&request, pace).await, Ok(()));
    let calls = calls.lock().unwrap();
    let before = calls.iter().map(|(_, at)| *at);
    let passed = calls.iter().skip(1).zip(before).map(|((_, at), before)| *at - before);
    calls.iter().map(|(call, _)| *call).zip([Duration::ZERO].into_iter().chain(passed)).collect()
}

#[tokio::test]
async fn where_the_driver_cannot_we_switch_around_each_frame() {
    for (rts, talking) in [(Rts::Talk, true), (Rts::Inverted, false)] {
        let calls = ask(rts, false).await;
        let order: Vec<Call> = calls.iter().map(|(call, _)| *call).collect();
        let kernel = Call::Kernel { inverted: !talking };
        let (talk, listen) = (Call::Rts(talking), Call::Rts(!talking));
        assert_eq!(order, [kernel, listen, talk, Call::Write, Call::Drain, listen]);
        let after_drain = calls.last().unwrap().1;
        assert!(after_drain >= CHARACTER, "the last character takes its time: {after_drain:?}");
    }
}

#[tokio::test]
async fn where_the_driver_can_it_is_left_to_it() {
    for (rts, inverted) in [(Rts::Talk, false), (Rts::Inverted, true)] {
        let order: Vec<Call> = ask(rts, true).await.into_iter().map(|(call, _)| call).collect();
        assert_eq!(order, [Call::Kernel { inverted }, Call::Write]);
    }
    let order: Vec<Call> = ask(Rts::Unused, true).await.into_iter().map(|(call, _)| call).collect();
    assert_eq!(order, [Call::Write]);
}

#[test]
fn a_driver_that_can_neither_is_told() {
    let mut adapter = Adapter { stream: duplex(1).0, calls: Arc::default(), has_kernel_mode: false, has_rts: false };
    assert!(Switch::set_up(&mut adapter, Rts::Talk, CHARACTER).is_err());
}
