/* Gives one process a clock that exists only as numbers: preloaded, it answers for the C library's clock functions. The oscillator
 * drifts against CLOCK_MONOTONIC_RAW, which is the truth here; adjtimex steers the numbers as Linux steers its clock.
 * Once a second it writes down how far the process's clock is from the truth. The host's clock is only ever read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define S 1000000000LL

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t origin, epoch, monotonic;      /* the truth's zero; what it means; CLOCK_MONOTONIC then */
static double drift, swing, period;           /* ppm, ppm, s */
static double raw, wall, steps;               /* ns since the origin: oscillator, clock, what of it were steps */
static double frequency, slewing, offset, left = 1e9; /* ppm; ns in this second; ns to come; ns of this second */
static long tick = 10000, constant = 2, status = STA_UNSYNC, maxerror = 16000000, esterror = 16000000;
static int ready;

static int64_t real(clockid_t id)
{
    struct timespec t;
    syscall(SYS_clock_gettime, id, &t);
    return t.tv_sec * S + t.tv_nsec;
}

static double number(const char *name, double otherwise)
{
    const char *text = getenv(name);
    return text ? atof(text) : otherwise;
}

static void start(void)
{
    if (ready)
        return;
    ready = 1;
    origin = getenv("CLOCK_ORIGIN") ? atoll(getenv("CLOCK_ORIGIN")) : real(CLOCK_MONOTONIC_RAW);
    epoch = getenv("CLOCK_EPOCH") ? atoll(getenv("CLOCK_EPOCH")) : real(CLOCK_REALTIME);
    monotonic = real(CLOCK_MONOTONIC) - (real(CLOCK_MONOTONIC_RAW) - origin);
    drift = number("CLOCK_DRIFT", 0);
    swing = number("CLOCK_SWING", 0);
    period = number("CLOCK_PERIOD", 600);
    wall = number("CLOCK_AHEAD", 0);
}

/* Everything up to now; called with the lock. */
static void advance(void)
{
    start();
    double truth = real(CLOCK_MONOTONIC_RAW) - origin, turn = 2 * M_PI / period;
    double now = truth * (1 + drift * 1e-6) + swing * 1e-6 / turn * 1e9 * (1 - cos(turn * truth * 1e-9));
    while (raw < now) {
        double rate = 1 + ((tick - 10000) * 100 + frequency) * 1e-6 + slewing * 1e-9;
        double piece = now - raw;
        if (piece * rate > left)
            piece = left / rate;
        if (piece < 0.5)
            piece = 0.5;
        raw += piece;
        wall += piece * rate;
        left -= piece * rate;
        if (left <= 0) {
            slewing = offset / (4L << constant);
            offset -= slewing;
            left += 1e9;
            maxerror += 500;
        }
    }
}

static void put(double since, int64_t from, struct timespec *t)
{
    int64_t n = from + (int64_t)since;
    t->tv_sec = n / S;
    t->tv_nsec = n % S;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    pthread_mutex_lock(&lock);
    advance();
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        put(wall, epoch, t);
        break;
    case CLOCK_MONOTONIC_RAW:
        put(raw, monotonic, t);
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        put(wall - steps, monotonic, t);
        break;
    default:
        pthread_mutex_unlock(&lock);
        return syscall(SYS_clock_gettime, id, t);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

static void step(double by)
{
    wall += by;
    steps += by;
}

int clock_settime(clockid_t id, const struct timespec *t)
{
    if (id != CLOCK_REALTIME)
        return errno = EINVAL, -1;
    pthread_mutex_lock(&lock);
    advance();
    step((double)(t->tv_sec * S + t->tv_nsec - epoch) - wall);
    pthread_mutex_unlock(&lock);
    return 0;
}

int settimeofday(const struct timeval *t, const struct timezone *zone)
{
    (void)zone;
    struct timespec to = {t ? t->tv_sec : 0, t ? t->tv_usec * 1000 : 0};
    return t ? clock_settime(CLOCK_REALTIME, &to) : 0;
}

int adjtimex(struct timex *x)
{
    pthread_mutex_lock(&lock);
    advance();
    unsigned modes = x->modes;
    if ((modes & ADJ_OFFSET_SINGLESHOT) == ADJ_OFFSET_SINGLESHOT) {
        if (modes == ADJ_OFFSET_SINGLESHOT)
            offset = x->offset * 1e3;
        modes = 0;
    }
    if (modes & ADJ_SETOFFSET)
        step(x->time.tv_sec * 1e9 + x->time.tv_usec * (modes & ADJ_NANO ? 1.0 : 1e3));
    if (modes & ADJ_STATUS)
        status = (x->status & ~STA_RONLY) | (status & STA_NANO);
    if (modes & ADJ_NANO)
        status |= STA_NANO;
    if (modes & ADJ_MICRO)
        status &= ~STA_NANO;
    if (modes & ADJ_FREQUENCY)
        frequency = x->freq / 65536.0;
    if (modes & ADJ_TICK)
        tick = x->tick;
    if (modes & ADJ_MAXERROR)
        maxerror = x->maxerror;
    if (modes & ADJ_ESTERROR)
        esterror = x->esterror;
    if (modes & ADJ_TIMECONST)
        constant = x->constant + (status & STA_NANO ? 0 : 4);
    constant = constant < 0 ? 0 : constant > 10 ? 10 : constant;
    if (modes & ADJ_OFFSET && status & STA_PLL)
        offset = x->offset * (status & STA_NANO ? 1.0 : 1e3);
    memset(x, 0, sizeof *x);
    x->offset = offset / (status & STA_NANO ? 1 : 1e3);
    x->freq = frequency * 65536;
    x->maxerror = maxerror;
    x->esterror = esterror;
    x->status = status;
    x->constant = constant;
    x->precision = 1;
    x->tolerance = 32768000;
    x->tick = tick;
    int64_t now = epoch + (int64_t)wall;
    x->time.tv_sec = now / S;
    x->time.tv_usec = status & STA_NANO ? now % S : now % S / 1000;
    pthread_mutex_unlock(&lock);
    return status & STA_UNSYNC ? TIME_ERROR : TIME_OK;
}

int ntp_adjtime(struct timex *x)
{
    return adjtimex(x);
}

int clock_adjtime(clockid_t id, struct timex *x)
{
    return id == CLOCK_REALTIME ? adjtimex(x) : (errno = EINVAL, -1);
}

/* The kernel stamps packets by the host's clock: refused, unless CLOCK_STAMPS asks for stamps moved to the simulated one. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == SOL_SOCKET && (name == SO_TIMESTAMP || name == SO_TIMESTAMPNS || name == SO_TIMESTAMPING)
        && !getenv("CLOCK_STAMPS"))
        return errno = ENOPROTOOPT, -1;
    return syscall(SYS_setsockopt, fd, level, name, value, length);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t length = syscall(SYS_recvmsg, fd, message, flags);
    for (struct cmsghdr *c = length < 0 ? NULL : CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SO_TIMESTAMPNS && c->cmsg_type != SO_TIMESTAMPING))
            continue;
        struct timespec stamp, now;
        memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t age = real(CLOCK_REALTIME) - (stamp.tv_sec * S + stamp.tv_nsec);
        put(0, now.tv_sec * S + now.tv_nsec - age, &stamp);
        memcpy(CMSG_DATA(c), &stamp, sizeof stamp);
    }
    return length;
}

static void *record(void *path)
{
    for (;;) {
        struct timespec second = {1, 0};
        syscall(SYS_nanosleep, &second, NULL);
        pthread_mutex_lock(&lock);
        advance();
        double truth = real(CLOCK_MONOTONIC_RAW) - origin, error = wall - truth;
        pthread_mutex_unlock(&lock);
        char line[64];
        int length = snprintf(line, sizeof line, "%.3f %.0f\n", truth * 1e-9, error);
        int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (file >= 0 && write(file, line, length) < 0)
            perror("truth");
        close(file);
    }
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_mutex_lock(&lock);
    advance();
    pthread_mutex_unlock(&lock);
    if (getenv("CLOCK_TRUTH"))
        pthread_create(&thread, NULL, record, getenv("CLOCK_TRUTH"));
}
