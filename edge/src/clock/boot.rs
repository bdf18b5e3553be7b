//! The kernel's clocks: which boot this is, how long it lasts, and whether its wall clock is kept
//! by a time server.

use std::fs;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use riverwatts_shared::time::{Clock, UtcMs};
use uuid::Uuid;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clock of one boot: its monotonic time goes on through a restart of the program, and through
/// sleep, so that what an earlier run left can still be dated.
#[derive(Debug, Clone)]
pub struct BootClock {
    id: Uuid,
    since: Since,
}

/// Where monotonic time begins.
#[derive(Debug, Clone, Copy)]
enum Since {
    /// At the start of the machine.
    Boot,
    /// At the start of the program, on a kernel that names no boot.
    Program(Instant),
}

impl BootClock {
    /// The clock of this boot. Without a boot id of the kernel, each run counts as a boot of its own.
    pub fn this_boot() -> Self {
        let named = fs::read_to_string(BOOT_ID).ok().and_then(|text| text.trim().parse().ok());
        match (named, boot_time()) {
            (Some(id), Some(_)) => BootClock { id, since: Since::Boot },
            _ => BootClock { id: Uuid::new_v4(), since: Since::Program(Instant::now()) },
        }
    }

    /// Names the boot; two times are comparable when their boots are the same.
    pub const fn boot_id(&self) -> Uuid {
        self.id
    }
}

impl Clock for BootClock {
    fn wall(&self) -> UtcMs {
        Timestamp::now().into()
    }

    fn monotonic(&self) -> Duration {
        match self.since {
            Since::Boot => boot_time().expect("the clock was there when this one was made"),
            Since::Program(started) => started.elapsed(),
        }
    }
}

/// Time since the start of the machine, sleep included.
#[expect(unsafe_code, reason = "this clock has no safe wrapper")]
fn boot_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, to where one is.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    (read == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Whether a time server keeps the wall clock: false on most machines without NTP and in most
/// containers.
#[expect(unsafe_code, reason = "the kernel's clock discipline has no safe wrapper")]
pub fn is_synchronised() -> bool {
    // SAFETY: a timex is plain integers, for which zeros are values; modes 0 only reads.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    (0..libc::TIME_ERROR).contains(&state) && timex.status & libc::STA_UNSYNC == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clocks_of_one_boot_agree() {
        let (one, other) = (BootClock::this_boot(), BootClock::this_boot());
        assert_eq!(one.boot_id(), other.boot_id());
        let (before, between, after) = (one.monotonic(), other.monotonic(), one.monotonic());
        assert!(before <= between && between <= after);
    }
}
