/* Kills the program before it writes to a file for the n-th time, put before the C library by
 * LD_PRELOAD. n stands in the file that LAST_WRITE names; nought: it lives. The log is no file here. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t *left;

__attribute__((constructor)) static void open_setting(void) {
    int file = open(getenv("LAST_WRITE"), O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    left = mapped;
    close(file);
}

static void count(int file) {
    struct stat state;
    if (file <= STDERR_FILENO || !left || __atomic_load_n(left, __ATOMIC_SEQ_CST) == 0) return;
    if (fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) return;
    if (__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST) == 0) kill(getpid(), SIGKILL);
}

ssize_t write(int file, const void *bytes, size_t length) {
    count(file);
    return syscall(SYS_write, file, bytes, length);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    count(file);
    return syscall(SYS_pwrite64, file, bytes, length, at);
}
