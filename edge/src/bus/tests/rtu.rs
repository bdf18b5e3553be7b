//! Modbus RTU over a pseudo-terminal: the bus opens the one end by its name, as it would a port,
//! and a device of the test answers at the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use riverwatts_shared::profile::Function;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_serial::{SerialPort, SerialStream};

use super::*;
use crate::bus::frame::{Request, crc};
use crate::bus::wire::{Failure, Pace, Wire};
use crate::config::{Link, Rts, Serial};

/// What a device on the line does with a request.
#[derive(Debug, Clone)]
enum Answer {
    /// Register `n` holds `n`.
    Good,
    Exception(u8),
    Nothing,
    /// The right answer, too late; register `n` holds 666.
    Late(Duration),
    /// Noise before nothing.
    Noise,
    /// Noise, and after a moment more of it.
    Babble,
    /// An answer of which the last byte is missing.
    Torn,
    /// An answer with a wrong check sum.
    Wrong,
}

/// The far end of a line with devices on it.
struct Line {
    port: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    _kept: std::fs::File,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// `answer` gets the number of the request, its unit and its first register.
    fn start(answer: impl Fn(usize, u8, u16) -> Answer + Send + 'static) -> Line {
        let (mut far, near) = SerialStream::pair().unwrap();
        let port = near.name().unwrap();
        // Keeps the terminal alive without the lock of a serial port, which the bus wants.
        let kept = std::fs::File::open(&port).unwrap();
        drop(near);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut frame = [0; 8];
            while far.read_exact(&mut frame).await.is_ok() {
                assert_eq!(crc(&frame[..6]).to_le_bytes(), frame[6..], "requests follow each other without a shred");
                let (unit, function) = (frame[0], frame[1]);
                let start = u16::from_be_bytes([frame[2], frame[3]]);
                let registers = u16::from_be_bytes([frame[4], frame[5]]);
                let good = |value: &dyn Fn(u16) -> u16| {
                    let mut bytes = vec![unit, function, (registers * 2) as u8];
                    bytes.extend((start..start + registers).flat_map(|at| value(at).to_be_bytes()));
                    bytes.extend(crc(&bytes).to_le_bytes());
                    bytes
                };
                match answer(count.fetch_add(1, Ordering::SeqCst), unit, start) {
                    Answer::Good => far.write_all(&good(&|at| at)).await.unwrap(),
                    Answer::Exception(code) => {
                        let mut bytes = vec![unit, function | 0x80, code];
                        bytes.extend(crc(&bytes).to_le_bytes());
                        far.write_all(&bytes).await.unwrap();
                    }
                    Answer::Nothing => {}
                    Answer::Late(delay) => {
                        tokio::time::sleep(delay).await;
                        far.write_all(&good(&|_| 666)).await.unwrap();
                    }
                    Answer::Noise => far.write_all(&[0, 0xFF, 0x55, 0xFE]).await.unwrap(),
                    Answer::Babble => {
                        far.write_all(&[0, 0xFF]).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        far.write_all(&[0x55; 40]).await.unwrap();
                    }
                    Answer::Torn => {
                        let bytes = good(&|at| at);
                        far.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
                    }
                    Answer::Wrong => {
                        let mut bytes = good(&|at| at);
                        bytes[3] ^= 1;
                        far.write_all(&bytes).await.unwrap();
                    }
                }
            }
        });
        Line { port, asked, task, _kept: kept }
    }

    fn bus(&self) -> String {
        format!("kind = \"rtu\"\nport = \"{}\"\nbaud = 115200\ntimeout = \"100ms\"", self.port)
    }

    fn wire(&self) -> Wire {
        let serial = Serial {
            port: self.port.clone(),
            baud: 9_600,
            parity: riverwatts_shared::profile::Parity::None,
            stop_bits: 1,
            rs485_rts: Rts::Unused,
        };
        Wire::new(Link::Rtu(serial), Duration::ZERO)
    }
}

const PACE: Pace = Pace { quiet: Duration::ZERO, timeout: Duration::from_millis(80), one_request: false };

fn ask(unit: u8, start: u16, count: u16) -> Request {
    Request { unit, function: Function::Holding, start, count }
}

#[tokio::test]
async fn devices_on_a_serial_line_are_polled_at_their_rate() {
    let line = Line::start(|_, _, _| Answer::Good);
    let mut bus = run(&line.bus(), &[("a", 1), ("b", 2)]);
    let first = bus.reading(0).await;
    assert_eq!(["x_a", "x_b", "x_c", "x_d"].map(|name| value(&first, name)), [Some(0), Some(1), Some(4), Some(100)]);
    for _ in 0..9 {
        bus.reading(0).await;
    }
    let took = (bus.reading(0).await.monotonic - first.monotonic).as_millis();
    assert!((940..1_100).contains(&took), "ten intervals of 100 ms took {took} ms");
    let state = bus.until(|state| state.units[1].count(Outcome::Ok) > 5).await;
    assert!(state.connected && state.load > 0.0 && state.load < 0.9, "{state:?}");
    bus.end().await;
}

#[tokio::test]
async fn a_dead_device_on_a_serial_line_does_not_stop_the_others() {
    let line = Line::start(|_, unit, _| if unit == 9 { Answer::Nothing } else { Answer::Good });
    let mut bus = run(&line.bus(), &[("a", 1), ("dead", 9)]);
    bus.until_unit(1, |unit| unit.failures > 3).await;
    let before = bus.status.get();
    let begun = Instant::now();
    bus.until(|state| state.units[0].polls() >= before.units[0].polls() + 20).await;
    let rate = 20.0 / begun.elapsed().as_secs_f64();
    assert!(rate > 9.0, "the living device was polled {rate:.1} times a second");
    let after = bus.status.get();
    assert_eq!(after.units[0].polls(), after.units[0].count(Outcome::Ok));
    assert_eq!(after.connections, 1, "a port is not opened again for one silent device");
    bus.end().await;
}

#[tokio::test]
async fn a_late_answer_on_a_serial_line_is_never_taken_for_the_next() {
    // During the drain, and after it: the late answer has the length of the next one.
    for late in [110, 150] {
        let line = Line::start(move |number, _, _| match number {
            0 => Answer::Late(Duration::from_millis(late)),
            _ => Answer::Good,
        });
        let mut wire = line.wire();
        assert!(matches!(wire.read(&ask(1, 0, 2), PACE).await, Err(Failure::Silent(_))));
        assert_eq!(wire.read(&ask(1, 10, 2), PACE).await, Ok(()));
        assert_eq!(wire.words(), [10, 11]);
    }
}

#[tokio::test]
async fn what_is_no_frame_is_told_and_the_next_request_succeeds() {
    for (wrong, told) in [
        (Answer::Noise, "noise instead of an answer"),
        (Answer::Babble, "noise instead of an answer"),
        (Answer::Torn, "answer that broke off"),
        (Answer::Wrong, "answer with a wrong check sum"),
    ] {
        let line = Line::start(move |number, _, _| if number == 0 { wrong.clone() } else { Answer::Good });
        let mut wire = line.wire();
        assert_eq!(wire.read(&ask(1, 0, 2), PACE).await, Err(Failure::Bad(told)));
        assert_eq!(wire.read(&ask(1, 7, 2), PACE).await, Ok(()));
        assert_eq!((wire.words(), wire.attempts().connections), (&[7, 8][..], 1));
    }
}

#[tokio::test]
async fn frames_are_parted_by_their_silence() {
    let line = Line::start(|_, _, _| Answer::Exception(2));
    let mut wire = line.wire();
    let quiet = Duration::from_millis(25);
    _ = wire.read(&ask(1, 0, 1), PACE).await;
    for (pace, least) in [(PACE, Duration::from_micros(3_600)), (Pace { quiet, ..PACE }, quiet)] {
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(wire.read(&ask(1, 0, 1), pace).await, Err(Failure::Exception(2)));
        }
        let took = begun.elapsed();
        assert!(took >= least * 10, "ten requests with {least:?} of silence before each took {took:?}");
    }
    assert_eq!(line.asked.load(Ordering::SeqCst), 21);
}

#[tokio::test]
async fn a_long_silence_does_not_hold_up_the_end_of_the_gateway() {
    let line = Line::start(|_, _, _| Answer::Good);
    let mut wire = line.wire();
    let begun = Instant::now();
    let pace = Pace { quiet: Duration::from_secs(30), ..PACE };
    let stopped = tokio::time::timeout(Duration::from_millis(50), wire.read(&ask(1, 0, 1), pace)).await;
    assert!(stopped.is_err() && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_port_that_is_not_there_is_told_in_words() {
    let mut wire = Wire::new(
        Link::Rtu(Serial {
            port: "/dev/nothing-here".to_owned(),
            baud: 9_600,
            parity: riverwatts_shared::profile::Parity::None,
            stop_bits: 1,
            rs485_rts: Rts::Unused,
        }),
        Duration::ZERO,
    );
    let Err(Failure::Unreachable(told)) = wire.read(&ask(1, 0, 1), PACE).await else { panic!("no such port") };
    assert!(told.starts_with("port cannot be opened"), "{told}");
}

#[tokio::test]
async fn rtu_frames_go_through_a_socket_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut frame = [0; 8];
        while stream.read_exact(&mut frame).await.is_ok() {
            let mut bytes = vec![frame[0], frame[1], 2, 0, 42];
            bytes.extend(crc(&bytes).to_le_bytes());
            // In two pieces, as device servers do.
            stream.write_all(&bytes[..4]).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(&bytes[4..]).await.unwrap();
        }
    });
    let mut wire = Wire::new(Link::RtuTcp { address }, Duration::ZERO);
    assert_eq!(wire.read(&ask(5, 0, 1), PACE).await, Ok(()));
    assert_eq!(wire.words(), [42]);
}

#[tokio::test]
async fn a_device_server_that_hung_up_before_the_request_is_asked_again_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut frame = [0; 8];
            stream.read_exact(&mut frame).await.unwrap();
            let mut bytes = vec![frame[0], frame[1], 2, 0, 42];
            bytes.extend(crc(&bytes).to_le_bytes());
            stream.write_all(&bytes).await.unwrap();
        }
    });
    let mut wire = Wire::new(Link::RtuTcp { address }, Duration::ZERO);
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(wire.read(&ask(5, 0, 1), Pace { timeout: PATIENCE, ..PACE }).await, Ok(()));
    }
    assert!(begun.elapsed() < PATIENCE, "it owed no answer to what it was never asked");
}
