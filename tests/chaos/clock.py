"""Moves the wall clock of chosen processes while they run, by a library loaded before libc."""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift;
static int (*real)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_c11_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void open_shift(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    real = dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");  /* dlsym finds the one before it */
    real_c11_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
    if (!real_wait) real_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (file >= 0) {
        void *found = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        shift = found == MAP_FAILED ? 0 : found;
        close(file);
    }
}

int clock_gettime(clockid_t which, struct timespec *at) {
    int result = real(which, at);
    if (!result && shift && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += *shift;
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return result;
}

/* The kernel waits by its own clock: by slices, so that a step is seen by who waits already. A monotonic time is a small number. */
#define BY_SLICES(wait, timed_out)                                                                            \
    if (!shift || until->tv_sec < 1000000000) return wait(cond, mutex, until);                                \
    for (;;) {                                                                                                \
        struct timespec slice, end = *until;                                                                  \
        real(CLOCK_REALTIME, &slice);                                                                         \
        slice.tv_sec += 1;                                                                                    \
        end.tv_sec -= *shift;                                                                                 \
        int last = end.tv_sec < slice.tv_sec || (end.tv_sec == slice.tv_sec && end.tv_nsec <= slice.tv_nsec); \
        int result = wait(cond, mutex, last ? &end : &slice);                                                 \
        if (result != timed_out || last) return result;                                                       \
    }

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    BY_SLICES(real_wait, ETIMEDOUT)
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
    BY_SLICES(real_c11_wait, thrd_timedout)
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """Shifts the wall clock of processes with `environment` by the seconds of the last `step`.

    Monotonic clocks do not change.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(file)}

    def step(self, seconds: int) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("<q", seconds))


@contextmanager
def shifted() -> Iterator[Clock]:
    """Yields a clock. Raises RuntimeError without a C compiler, which its library needs."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise RuntimeError("clock_back needs a C compiler (cc)")
    with tempfile.TemporaryDirectory(prefix="chaos-clock-") as name:
        folder = Path(name)
        source, library, file = folder / "clock.c", folder / "clock.so", folder / "shift"
        source.write_text(_SOURCE)
        file.write_bytes(bytes(8))
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"],
            check=True,
        )
        yield Clock(library, file)
