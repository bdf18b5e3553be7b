/* A disk that refuses, put before the C library by LD_PRELOAD. The file that BROKEN_DISK names holds
 * two numbers: the error that the store's disk answers with, nought for none, and how many milliseconds
 * each sync takes. A full disk (ENOSPC) lets what is there be written over; a read-only one (EROFS) lets
 * nothing be opened for writing; a broken one (EIO) cannot be read either. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t *setting;

__attribute__((constructor)) static void open_setting(void) {
    int file = syscall(SYS_openat, AT_FDCWD, getenv("BROKEN_DISK"), O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, 2 * sizeof *setting, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    setting = mapped;
    close(file);
}

static int64_t get(int which) { return setting ? __atomic_load_n(setting + which, __ATOMIC_SEQ_CST) : 0; }

/* Its size, or -1 for what is no file; the log is none here. */
static int64_t size_of(int file) {
    struct stat state;
    if (file <= STDERR_FILENO || fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) return -1;
    return state.st_size;
}

/* The error of a write that makes the file reach to `end`. */
static int refuses(int file, int64_t end) {
    int error = get(0);
    int64_t size = error ? size_of(file) : -1;
    if (size < 0 || (error == ENOSPC && end <= size)) return 0;
    errno = error;
    return 1;
}

ssize_t write(int file, const void *bytes, size_t length) {
    if (refuses(file, INT64_MAX)) return -1;
    return syscall(SYS_write, file, bytes, length);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    if (refuses(file, at + (int64_t)length)) return -1;
    return syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t at) {
    if (get(0) == EIO && size_of(file) >= 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, file, bytes, length, at);
}

int ftruncate64(int file, off64_t length) {
    if (refuses(file, length)) return -1;
    return syscall(SYS_ftruncate, file, length);
}

static int sync_file(long call, int file) {
    int64_t ms = get(1);
    if (ms > 0 && size_of(file) >= 0) nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    if (get(0) == EIO && refuses(file, INT64_MAX)) return -1;
    return syscall(call, file);
}

int fsync(int file) { return sync_file(SYS_fsync, file); }

int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int error = get(0);
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;
    if (strstr(path, "/store/") && (error == EIO || (error == EROFS && writes))) {
        errno = error;
        return -1;
    }
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
