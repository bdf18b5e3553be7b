/* A wall clock for one program, put before the C library's by LD_PRELOAD: shifted, and said to be
 * synchronised or not, by two numbers in the file that WALL_CLOCK names. All other clocks stay the
 * machine's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t unset[2];
static const volatile int64_t *setting = unset; /* shift in ms; whether synchronised */

__attribute__((constructor)) static void open_setting(void) {
    int file = open(getenv("WALL_CLOCK"), O_RDONLY | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof unset, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || mapped == MAP_FAILED) abort();
    setting = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = time->tv_sec * 1000000000LL + time->tv_nsec + setting[0] * 1000000LL;
        time->tv_sec = ns / 1000000000LL;
        time->tv_nsec = ns % 1000000000LL;
    }
    return result;
}

int adjtimex(struct timex *state) {
    memset(state, 0, sizeof *state);
    state->status = setting[1] ? 0 : STA_UNSYNC;
    return setting[1] ? TIME_OK : TIME_ERROR;
}

int ntp_adjtime(struct timex *state) { return adjtimex(state); }
