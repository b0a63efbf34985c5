/* Lets one unmodified program run in a simulated world: preloaded, it asks the world, at the other end of the socket
 * that is the program's standard input, wherever the program would ask the kernel for time, wait, chance, or the network. Time
 * passes only while the program waits, by as much as the world says, so that the same world gives the same run on any machine.
 * src/simulation/program.rs is the world's side. The host's clock is neither read nor set. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define S 1000000000LL
#define DATA 512

enum { READ, WAIT, SEND, RECEIVE, ADJUST, RANDOM };

/* Numbers are as the host has them: both ends are on one. */
struct message {
    int64_t what;     /* one of the above; in an answer 1 when the world has ended */
    int64_t number[10];
    int64_t wall;     /* in an answer: both clocks, ns */
    int64_t monotonic;
    int64_t length;
    unsigned char data[DATA];
};

static int64_t wall, monotonic;
static int known;

static void transfer(ssize_t (*how)(int, void *, size_t), struct message *m)
{
    for (size_t done = 0; done < sizeof *m;) {
        ssize_t n = how(0, (char *)m + done, sizeof *m - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(70);
        done += n;
    }
}

static ssize_t put(int fd, void *data, size_t length)
{
    return write(fd, data, length);
}

static ssize_t get(int fd, void *data, size_t length)
{
    return read(fd, data, length);
}

static void ask(struct message *m)
{
    transfer(put, m);
    transfer(get, m);
    if (m->what)
        _exit(0);
    wall = m->wall;
    monotonic = m->monotonic;
    known = 1;
}

/* No time passes between two questions, so what the last answer said still holds. */
static void look(void)
{
    struct message m = {.what = READ};
    if (!known)
        ask(&m);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int64_t now;
    look();
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        now = wall;
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        now = monotonic;
        break;
    default:
        return errno = EINVAL, -1;
    }
    t->tv_sec = now / S;
    t->tv_nsec = now % S;
    return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    (void)zone;
    look();
    t->tv_sec = wall / S;
    t->tv_usec = wall % S / 1000;
    return 0;
}

time_t time(time_t *t)
{
    look();
    if (t)
        *t = wall / S;
    return wall / S;
}

/* The world's clock is set through adjtimex alone. */
int clock_settime(clockid_t id, const struct timespec *t)
{
    (void)id, (void)t;
    return errno = EPERM, -1;
}

int settimeofday(const struct timeval *t, const struct timezone *zone)
{
    (void)t, (void)zone;
    return errno = EPERM, -1;
}

int adjtimex(struct timex *x)
{
    struct message m = {.what = ADJUST, .number = {x->modes, x->freq, x->tick, x->status, x->maxerror, x->esterror,
                                                   x->time.tv_sec, x->time.tv_usec, x->offset, x->constant}};
    ask(&m);
    if (m.length)
        return errno = m.length, -1;
    memset(x, 0, sizeof *x);
    x->freq = m.number[1];
    x->tick = m.number[2];
    x->status = m.number[3];
    x->maxerror = m.number[4];
    x->esterror = m.number[5];
    x->precision = 1;
    x->tolerance = 32768000;
    x->time.tv_sec = wall / S;
    x->time.tv_usec = x->status & STA_NANO ? wall % S : wall % S / 1000;
    return x->status & STA_UNSYNC ? TIME_ERROR : TIME_OK;
}

int ntp_adjtime(struct timex *x)
{
    return adjtimex(x);
}

int clock_adjtime(clockid_t id, struct timex *x)
{
    return id == CLOCK_REALTIME ? adjtimex(x) : (errno = EINVAL, -1);
}

/* Of all descriptors only those that the world knows ever become ready. */
int select(int count, fd_set *restrict reading, fd_set *restrict writing, fd_set *restrict failing,
           struct timeval *restrict timeout)
{
    struct message m = {.what = WAIT};
    m.number[0] = timeout ? timeout->tv_sec * S + timeout->tv_usec * 1000 : INT64_MAX;
    for (int fd = 0; reading && fd < count && fd < 64; fd++)
        if (FD_ISSET(fd, reading))
            m.number[1] |= 1LL << fd;
    ask(&m);
    if (reading)
        FD_ZERO(reading);
    if (writing)
        FD_ZERO(writing);
    if (failing)
        FD_ZERO(failing);
    if (m.number[0] < 0)
        return 0;
    FD_SET(m.number[0], reading);
    return 1;
}

static int is_network(int fd)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_INET;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
    struct message m = {.what = SEND, .number = {fd}};
    if (!is_network(fd))
        return syscall(SYS_sendmsg, fd, header, flags);
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        if (m.length + header->msg_iov[i].iov_len > DATA)
            return errno = EMSGSIZE, -1;
        memcpy(m.data + m.length, header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
        m.length += header->msg_iov[i].iov_len;
    }
    ssize_t sent = m.length;
    ask(&m);
    return sent;
}

/* One message at a time, from whom the socket is connected to, and without control data. */
ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
    struct message m = {.what = RECEIVE, .number = {fd}};
    if (!is_network(fd))
        return syscall(SYS_recvmsg, fd, header, flags);
    ask(&m);
    if (m.length == 0)
        return errno = EAGAIN, -1;
    if (header->msg_iovlen < 1 || header->msg_iov[0].iov_len < (size_t)m.length)
        return errno = EMSGSIZE, -1;
    memcpy(header->msg_iov[0].iov_base, m.data, m.length);
    if (header->msg_name && getpeername(fd, header->msg_name, &header->msg_namelen))
        return -1;
    header->msg_controllen = 0;
    header->msg_flags = 0;
    return m.length;
}

int recvmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags, struct timespec *timeout)
{
    (void)timeout;
    ssize_t length = count ? recvmsg(fd, &headers[0].msg_hdr, flags) : 0;
    if (length > 0)
        headers[0].msg_len = length;
    return length > 0 ? 1 : length;
}

/* The kernel would stamp packets by the host's clock; that a socket has failed is never so here. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == SOL_SOCKET && (name == SO_TIMESTAMP || name == SO_TIMESTAMPNS || name == SO_TIMESTAMPING))
        return errno = ENOPROTOOPT, -1;
    return syscall(SYS_setsockopt, fd, level, name, value, length);
}

ssize_t getrandom(void *to, size_t length, unsigned flags)
{
    (void)flags;
    for (size_t done = 0; done < length;) {
        struct message m = {.what = RANDOM, .length = length - done < DATA ? length - done : DATA};
        size_t piece = m.length;
        ask(&m);
        memcpy((char *)to + done, m.data, piece);
        done += piece;
    }
    return length;
}
