/* A wall clock that a check can move: CLOCK_REALTIME plus the seconds that stand in the file $KILO_ACCEPTANCE_CLOCK. Only for
   acceptance checks, by LD_PRELOAD. The monotonic clock stays as it is. The file is eight bytes, a signed number, mapped. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *moved(void) {
    static volatile long long *at;
    static long long none;
    if (!at) {
        const char *path = getenv("KILO_ACCEPTANCE_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        at = map == MAP_FAILED ? &none : map;
    }
    return at;
}

int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, out);
    if (!done && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += *moved();
    return done;
}

int gettimeofday(struct timeval *out, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int done = real(out, zone);
    if (!done && out) out->tv_sec += *moved();
    return done;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
