//! Where things are: the programs beside the test, the repository's files, free ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports are taken from below the range out of which the kernel serves outgoing connections, and
/// each once, so that tests beside each other never meet.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
/// Ports that one run of the tests begins with, before others that run at the same time.
const PORTS_PER_RUN: u32 = 200;

/// A port of the loopback that nothing uses.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    let first = (std::process::id() * PORTS_PER_RUN % u32::from(count)) as u16;
    loop {
        let port = PORTS.start + (first + TAKEN.fetch_add(1, Ordering::Relaxed)) % count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A program of the workspace, from the target folder that this test was built into.
pub fn program(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    assert!(path.is_file(), "there is no {}; build it by: cargo build --workspace --bins", path.display());
    path
}

/// The Python that has the packages of `tests/requirements.txt`.
pub fn python() -> PathBuf {
    in_target("test-venv/bin/python", "scripts/test-packages")
}

/// The gateway for the processor of a Raspberry Pi.
pub fn gateway_for_aarch64() -> PathBuf {
    in_target("cross/build/aarch64-unknown-linux-gnu/debug/riverwatts-edge", "scripts/cross-build")
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").join(path)
}

/// A file of the target folder that `maker` leaves there.
fn in_target(path: &str, maker: &str) -> PathBuf {
    let found = profile_folder().ancestors().map(|folder| folder.join(path)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {path} in the target folder; make it by: {maker}"))
}

/// `target/debug` of `target/debug/deps/suites-…`, and of a program beside that folder.
pub(crate) fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("cargo puts tests into deps").to_owned()
    } else {
        folder.to_owned()
    }
}
