//! A pseudo-terminal that looks like a serial port with devices on it, served by a thread of its
//! own: a runtime's timer has steps of a millisecond, and a byte at 115,200 baud takes 87 µs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use crate::modbus::frame::RTU_MAX;
use crate::modbus::line::{Pace, Traffic};
use crate::modbus::station::Station;

/// Stack of the thread, in bytes.
const STACK_BYTES: usize = 1 << 20;
/// How late the kernel may wake the thread on purpose, to save wake-ups; 50 µs otherwise.
const TIMER_SLACK_NS: libc::c_ulong = 1;

/// A pseudo-terminal under a name of our choice; the name goes when it is dropped.
#[derive(Debug)]
pub struct SerialLine {
    path: PathBuf,
    device_end: File,
    /// Kept open, so that the line survives a master that comes and goes.
    _master_end: File,
}

impl SerialLine {
    /// Opens a pseudo-terminal in raw mode and links it as `path`, replacing a link that an earlier run left.
    pub fn open(path: &Path) -> io::Result<SerialLine> {
        let (device_end, master_end) = SerialStream::pair()?;
        let name = master_end.name().ok_or_else(|| io::Error::other("a pseudo-terminal without a name"))?;
        let kept = File::open(&name)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(name, path)?,
        }
        Ok(SerialLine { path: path.to_owned(), device_end: without_runtime(&device_end)?, _master_end: kept })
    }

    /// Where a master finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers for `station` until `stop`.
    pub async fn serve(self, station: Arc<Station>, pace: Pace, stop: CancellationToken) {
        let path = self.path.clone();
        if let Err(error) = self.served(station, pace, stop).await {
            tracing::warn!(path = %path.display(), %error, "virtual serial line ended");
        }
    }

    async fn served(self, station: Arc<Station>, pace: Pace, stop: CancellationToken) -> io::Result<()> {
        let (stopping, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new().name("serial line".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || self.drive(&stopped, &station, pace))?;
        let mut ended = tokio::task::spawn_blocking(move || thread.join());
        let ended = tokio::select! {
            ended = &mut ended => ended,
            () = stop.cancelled() => {
                drop(stopping);
                ended.await
            }
        };
        ended?.map_err(|_| io::Error::other("its thread panicked"))?
    }

    /// On the thread: until the other end of `stopped` is closed.
    fn drive(mut self, stopped: &UnixStream, station: &Station, pace: Pace) -> io::Result<()> {
        wake_in_time()?;
        let begun = Instant::now();
        let mut traffic = Traffic::new(pace);
        let mut lateness = Lateness::default();
        let mut buffer = [0; RTU_MAX];
        loop {
            let now = begun.elapsed();
            let due = traffic.next().unwrap_or(now);
            let bytes = traffic.run(now, station);
            if !bytes.is_empty() {
                lateness.add(now.saturating_sub(due));
                // A master that does not read loses bytes, as it would behind a serial port.
                if let Err(error) = self.device_end.write(&bytes)
                    && error.kind() != io::ErrorKind::WouldBlock
                {
                    return Err(error);
                }
            }
            let limit = traffic.next().map(|at| at.saturating_sub(begun.elapsed()));
            let [readable, stop] = wait([self.device_end.as_fd(), stopped.as_fd()], limit)?;
            if stop {
                lateness.tell(&self.path);
                return Ok(());
            }
            if readable {
                let read = self.device_end.read(&mut buffer)?;
                traffic.send(begun.elapsed(), &buffer[..read]);
            }
        }
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // the folder may be gone already
    }
}

/// How late bytes left after the time of the line: what a measurement at the line has to allow for.
#[derive(Debug, Default)]
struct Lateness {
    pieces: u32,
    sum: Duration,
    worst: Duration,
}

impl Lateness {
    fn add(&mut self, late: Duration) {
        self.pieces = self.pieces.saturating_add(1);
        self.sum += late;
        self.worst = self.worst.max(late);
    }

    fn tell(&self, path: &Path) {
        let Some(mean_us) = self.sum.as_micros().checked_div(u128::from(self.pieces)) else { return };
        let worst_us = self.worst.as_micros();
        tracing::info!(path = %path.display(), pieces = self.pieces, mean_us, worst_us, "lateness of the serial line");
    }
}

/// The same descriptor, which the runtime does not watch.
fn without_runtime(stream: &SerialStream) -> io::Result<File> {
    #[expect(unsafe_code, reason = "tokio-serial lends its descriptor only as a number")]
    // SAFETY: the descriptor is open while `stream` lives, and is duplicated before it ends.
    let fd = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    Ok(File::from(fd.try_clone_to_owned()?))
}

/// Which of the two can be read, or was closed, within `limit`.
fn wait(fds: [BorrowedFd<'_>; 2], limit: Option<Duration>) -> io::Result<[bool; 2]> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: limit.subsec_nanos() as libc::c_long,
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    #[expect(unsafe_code, reason = "the standard library waits for no descriptor")]
    // SAFETY: both pointers are to values that live until the call returns; the count is that of the array.
    let ready = unsafe { libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit, ptr::null()) };
    match ready {
        0.. => Ok(polled.map(|polled| polled.revents != 0)),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok([false; 2]),
            error => Err(error),
        },
    }
}

/// Lets the kernel wake this thread when it asked for it, not up to 50 µs later.
fn wake_in_time() -> io::Result<()> {
    #[expect(unsafe_code, reason = "the standard library does not set the slack of timers")]
    // SAFETY: plain system call on integers, which concerns this thread alone.
    match unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
