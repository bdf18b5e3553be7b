//! A SQLite VFS before the system's own that writes down, in order, what SQLite asks of the disk.

#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::ffi::*;

/// What was asked of the disk; files by their name without the folder.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    Write { file: String, offset: usize, bytes: Vec<u8> },
    Truncate { file: String, length: usize },
    Sync { file: String },
    Delete { file: String },
}

/// The operations since [`begin`]; `None`: nobody wants to know.
static LOG: Mutex<Option<Vec<Operation>>> = Mutex::new(None);
/// The system's VFS and its name for ours.
static SYSTEM: OnceLock<System> = OnceLock::new();

struct System(*mut sqlite3_vfs);

// SAFETY: SQLite's own VFS lives as long as the program and may be used by every thread.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

/// Makes this VFS the one of every connection from now on, and begins to write down.
pub fn begin() {
    SYSTEM.get_or_init(|| {
        // SAFETY: the system's VFS is there once SQLite is initialised, which `find` does.
        let system = unsafe { sqlite3_vfs_find(std::ptr::null()) };
        assert!(!system.is_null());
        // SAFETY: `system` is a whole VFS. The copy lives for ever, as SQLite asks.
        let ours = Box::leak(Box::new(unsafe { std::ptr::read(system) }));
        ours.szOsFile += offset_of!(File, system) as c_int;
        ours.zName = c"recording".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: a whole VFS that is never freed.
        assert_eq!(unsafe { sqlite3_vfs_register(ours, 1) }, SQLITE_OK);
        System(system)
    });
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
}

/// How many operations there were.
pub fn length() -> usize {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Vec::len)
}

/// Ends writing down, and gives what was.
pub fn end() -> Vec<Operation> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}

fn note(operation: impl FnOnce() -> Operation) {
    if let Some(log) = LOG.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        log.push(operation());
    }
}

/// An open file of ours: SQLite gives the room, the system's file stands at its end.
#[repr(C)]
struct File {
    base: sqlite3_file,
    name: *mut String,
    system: sqlite3_file,
}

/// The file, and the system's functions for it.
///
/// # Safety
/// `file` was opened by [`open`].
unsafe fn parts<'f>(file: *mut sqlite3_file) -> (&'f str, *mut sqlite3_file, &'f sqlite3_io_methods) {
    // SAFETY: `open` made it so.
    unsafe {
        let file = file.cast::<File>();
        let system = &raw mut (*file).system;
        (&*(*file).name, system, &*(*system).pMethods)
    }
}

fn file_name(path: *const c_char) -> String {
    if path.is_null() {
        return String::new();
    }
    // SAFETY: SQLite's paths end with a nought.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
    Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = SYSTEM.get().expect("registered").0;
    // SAFETY: SQLite gives `szOsFile` bytes, which is room for both files.
    unsafe {
        let ours = file.cast::<File>();
        (*ours).base.pMethods = std::ptr::null();
        let code = (*system).xOpen.expect("there")(system, path, &raw mut (*ours).system, flags, out);
        if code == SQLITE_OK {
            (*ours).name = Box::into_raw(Box::new(file_name(path)));
            (*ours).base.pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, path: *const c_char, sync_dir: c_int) -> c_int {
    note(|| Operation::Delete { file: file_name(path) });
    let system = SYSTEM.get().expect("registered").0;
    // SAFETY: handed on.
    unsafe { (*system).xDelete.expect("there")(system, path, sync_dir) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once.
    unsafe {
        let (_, system, methods) = parts(file);
        drop(Box::from_raw((*file.cast::<File>()).name));
        methods.xClose.expect("there")(system)
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: `bytes` are `count`, as SQLite says.
    unsafe {
        let (name, system, methods) = parts(file);
        note(|| Operation::Write {
            file: name.to_owned(),
            offset: offset as usize,
            bytes: std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize).to_vec(),
        });
        methods.xWrite.expect("there")(system, bytes, count, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: handed on.
    unsafe {
        let (name, system, methods) = parts(file);
        note(|| Operation::Truncate { file: name.to_owned(), length: length as usize });
        methods.xTruncate.expect("there")(system, length)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `parts`. What is to be seen is the order; the real disk need not be waited for.
    let (name, ..) = unsafe { parts(file) };
    note(|| Operation::Sync { file: name.to_owned() });
    SQLITE_OK
}

/// Functions that only hand on to the system's file.
macro_rules! handed_on {
    ($($name:ident as $method:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> $result {
            // SAFETY: the same call to the file below.
            unsafe {
                let (_, system, methods) = parts(file);
                methods.$method.expect("there")(system, $($argument),*)
            }
        })*
    };
}

handed_on! {
    read as xRead(bytes: *mut c_void, count: c_int, offset: sqlite3_int64) -> c_int;
    file_size as xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock as xLock(level: c_int) -> c_int;
    unlock as xUnlock(level: c_int) -> c_int;
    check_reserved_lock as xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control as xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size as xSectorSize() -> c_int;
    device_characteristics as xDeviceCharacteristics() -> c_int;
    shm_map as xShmMap(page: c_int, bytes: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock as xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier as xShmBarrier() -> ();
    shm_unmap as xShmUnmap(remove: c_int) -> c_int;
}

/// Version 2 has shared memory, which the write-ahead log needs, and no mapping of files past us.
static METHODS: sqlite3_io_methods = {
    // SAFETY: every field is a number or an optional function, for which noughts stand.
    let mut methods: sqlite3_io_methods = unsafe { MaybeUninit::zeroed().assume_init() };
    methods.iVersion = 2;
    methods.xClose = Some(close);
    methods.xRead = Some(read);
    methods.xWrite = Some(write);
    methods.xTruncate = Some(truncate);
    methods.xSync = Some(sync);
    methods.xFileSize = Some(file_size);
    methods.xLock = Some(lock);
    methods.xUnlock = Some(unlock);
    methods.xCheckReservedLock = Some(check_reserved_lock);
    methods.xFileControl = Some(file_control);
    methods.xSectorSize = Some(sector_size);
    methods.xDeviceCharacteristics = Some(device_characteristics);
    methods.xShmMap = Some(shm_map);
    methods.xShmLock = Some(shm_lock);
    methods.xShmBarrier = Some(shm_barrier);
    methods.xShmUnmap = Some(shm_unmap);
    methods
};
