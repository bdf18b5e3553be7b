//! How many files and sockets the process may have open: systems begin with 1,024, and a bus takes
//! one or more.

use std::io;

use crate::config::{Bus, Link};

/// For the panel's connections, the store, the cloud, the runtime.
const OTHERS: u64 = 256;
/// For a serial bus: its port, and the runtime of its thread.
const SERIAL: u64 = 6;

/// Raises the limit to the highest allowed when the buses need it.
pub(super) fn make_room(buses: &[Bus]) {
    let of = |bus: &Bus| if matches!(bus.link, Link::Rtu(_)) { SERIAL } else { 1 };
    let needed = buses.iter().map(of).sum::<u64>() + OTHERS;
    match raise(needed) {
        Ok(allowed) if allowed < needed => {
            tracing::warn!(allowed, needed, "not all buses can be open at once; let the program open more files");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the number of open files is not known"),
    }
}

/// How many may be open now.
#[expect(unsafe_code, reason = "resource limits have no safe wrapper among our dependencies")]
fn raise(needed: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel only writes a struct of exactly this layout, which lives here.
    if unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the kernel only reads the struct.
        if unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}
