//! Whether the partition has room: a part of it is left to the system and its logs.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is left free unless `store.keep_free` says otherwise: so much, or this part of a small partition.
const KEEP_FREE: u64 = 256 << 20;
const KEEP_FREE_PART: u64 = 20;
/// What the store takes of a partition that has less than that: without it nothing could be kept.
const LEAST_BYTES: u64 = 4 << 20;
/// Free pages of its own that it keeps then, so that it need not grow for the next seal.
const OWN_ROOM: u64 = 1 << 20;

/// A limit that the store has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// `store.max_bytes`.
    MaxBytes(u64),
    /// `store.keep_free`: so much was to stay free.
    KeepFree(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::MaxBytes(bytes) => write!(f, "store.max_bytes ({bytes}) is reached"),
            Limit::KeepFree(bytes) => write!(f, "the partition has less than store.keep_free ({bytes}) left"),
        }
    }
}

/// That readings which the cloud does not have are given up for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) limit: Limit,
    /// Whether thinning was not enough.
    pub(super) drops: bool,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = if self.drops { "dropped" } else { "thinned to minutes" };
        write!(f, "{}: the oldest readings that were not sent are {fate}", self.limit)
    }
}

/// Whether a file in this folder, of so many bytes of which some are used, must not grow and has no
/// free pages to go on with.
pub(super) fn limit(dir: &Path, keep_free: Option<u64>, used: u64, whole: u64) -> Option<Limit> {
    // A partition that does not say what it has will refuse.
    let (free, size) = free_and_size(dir)?;
    let keep = keep_free.unwrap_or(KEEP_FREE.min(size / KEEP_FREE_PART));
    judge(free, keep, used, whole)
}

fn judge(free: u64, keep: u64, used: u64, whole: u64) -> Option<Limit> {
    let most = whole.saturating_sub(OWN_ROOM).max(LEAST_BYTES);
    (free < keep && used > most).then_some(Limit::KeepFree(keep))
}

/// Bytes of the partition that programs may still take, and that it has.
#[expect(unsafe_code, reason = "the standard library does not ask partitions")]
fn free_and_size(dir: &Path) -> Option<(u64, u64)> {
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statvfs64>::uninit();
    // SAFETY: the path ends with a nul, and the kernel only writes a struct of exactly this layout.
    let done = unsafe { libc::statvfs64(path.as_ptr(), found.as_mut_ptr()) };
    if done != 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so the struct is filled.
    let found = unsafe { found.assume_init() };
    #[expect(clippy::useless_conversion, reason = "it has 32 bits on small processors")]
    let block = u64::from(found.f_frsize);
    let of = |blocks: u64| blocks.saturating_mul(block);
    Some((of(found.f_bavail), of(found.f_blocks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_partition_says_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (free, size) = free_and_size(folder.path()).unwrap();
        assert!(free <= size && size > MIB, "{free} of {size}");
        assert_eq!(free_and_size(Path::new("/nowhere")), None);
    }

    #[test]
    fn below_the_reserve_only_what_the_file_has_is_used() {
        let full = Some(Limit::KeepFree(100 * MIB));
        for (free, used, whole, expected) in [
            (100 * MIB, 50 * MIB, 50 * MIB, None),
            (99 * MIB, 50 * MIB, 50 * MIB, full),
            (0, 49 * MIB, 50 * MIB, None),
            (0, 4 * MIB, 4 * MIB, None),
            (0, 4 * MIB + 1, 5 * MIB, full),
        ] {
            assert_eq!(judge(free, 100 * MIB, used, whole), expected, "{free} free, {used} of {whole} used");
        }
    }
}
