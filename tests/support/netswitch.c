/* A switch between network namespaces that breaks the network on command.
 *
 *     netswitch SEED PID...
 *
 * makes a device `net0` in the network namespace of each process, one port of the switch each, and
 * one in its own (the last port), prints "ready" and moves Ethernet frames between them until its
 * standard input ends.  Each line of it is a command about what port A sends to port B, answered
 * by "ok" when it is in force:
 *
 *     cut A B              nothing arrives
 *     loss A B PPM         a share of the frames does not, in millionths
 *     twice A B PPM        a share arrives twice
 *     delay A B US SPREAD  each arrives US microseconds late and up to SPREAD more, so that later
 *                          ones may overtake it
 *     heal                 all is well again; frames on their way arrive
 *
 * The kernel's own means for that (netem) are missing in many kernels of test machines.
 */
#include "base/heap.h"
#include "base/rng.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PORTS_MAX 16
#define FRAME_MAX 2048
#define WAITING_MAX 65536 /* frames; more are lost, as in a full switch */
#define MAC_LEN 6
#define HEAD_LEN 14
#define PPM 1000000
#define BATCH_MAX 64 /* frames of one port before the others have their turn */

struct link {
    bool cut;
    uint64_t loss_ppm, twice_ppm, delay_us, spread_us;
};

struct frame {
    struct hl_heap_node due;
    int to;
    size_t len;
    unsigned char bytes[FRAME_MAX];
};

static struct link links[PORTS_MAX][PORTS_MAX];
static int ports[PORTS_MAX];
static unsigned char macs[PORTS_MAX][MAC_LEN];
static int port_count;
static struct hl_heap waiting;
static struct hl_rng rng;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "netswitch: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, ": %s\n", strerror(errno));
    va_end(args);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool happens(uint64_t ppm)
{
    return ppm > 0 && hl_rng_below(&rng, PPM) < ppm;
}

/* The device of one more port, in the namespace that this process is in now. */
static void open_port(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    memcpy(request.ifr_name, "net0", sizeof "net0");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
        die("a device cannot be made");
    }
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0 || ioctl(any, SIOCGIFHWADDR, &request) != 0) {
        die("the device has no address");
    }
    memcpy(macs[port_count], request.ifr_hwaddr.sa_data, MAC_LEN);
    close(any);
    ports[port_count++] = fd;
}

static void enter(int ns, const char *whose)
{
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0) {
        die("the namespace of %s", whose);
    }
}

static void open_ports(int count, char **pids)
{
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < count; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%s/ns/net", pids[i]);
        int ns = open(path, O_RDONLY | O_CLOEXEC);
        enter(ns, pids[i]);
        close(ns);
        open_port();
    }
    enter(own, "this process");
    close(own);
    open_port();
}

static void deliver(int to, const unsigned char *bytes, size_t len)
{
    ssize_t n = write(ports[to], bytes, len);
    (void)n; /* a device that is full or down loses frames, as wires do */
}

static void send_frame(int from, int to, const unsigned char *bytes, size_t len)
{
    const struct link *link = &links[from][to];
    if (link->cut || happens(link->loss_ppm)) {
        return;
    }
    int copies = happens(link->twice_ppm) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        if (link->delay_us == 0 && link->spread_us == 0) {
            deliver(to, bytes, len);
            continue;
        }
        struct frame *frame = waiting.count < WAITING_MAX ? malloc(sizeof *frame) : NULL;
        if (frame == NULL) {
            return;
        }
        uint64_t late = link->delay_us + hl_rng_below(&rng, link->spread_us + 1);
        frame->due = (struct hl_heap_node){.due = now_ns() + (int64_t)late * 1000};
        frame->to = to;
        frame->len = len;
        memcpy(frame->bytes, bytes, len);
        hl_heap_add(&waiting, &frame->due);
    }
}

static void take_from(int from)
{
    unsigned char bytes[FRAME_MAX];
    for (int n = 0; n < BATCH_MAX; n++) {
        ssize_t len = read(ports[from], bytes, sizeof bytes);
        if (len <= HEAD_LEN) {
            return;
        }
        bool for_all = (bytes[0] & 1) != 0; /* broadcast and multicast */
        for (int to = 0; to < port_count; to++) {
            if (to != from && (for_all || memcmp(bytes, macs[to], MAC_LEN) == 0)) {
                send_frame(from, to, bytes, (size_t)len);
            }
        }
    }
}

/* Send what is due; nanoseconds until the next frame is, -1 when none waits. */
static int64_t send_due(void)
{
    struct hl_heap_node *first = NULL;
    while ((first = hl_heap_first(&waiting)) != NULL) {
        int64_t left = first->due - now_ns();
        if (left > 0) {
            return left;
        }
        struct frame *frame = (struct frame *)first; /* its first member */
        hl_heap_remove(&waiting, first);
        deliver(frame->to, frame->bytes, frame->len);
        free(frame);
    }
    return -1;
}

static bool obey(const char *line)
{
    char verb[16];
    unsigned a = 0;
    unsigned b = 0;
    unsigned long long x = 0;
    unsigned long long y = 0;
    int n = sscanf(line, "%15s %u %u %llu %llu", verb, &a, &b, &x, &y);
    if (n == 1 && strcmp(verb, "heal") == 0) {
        memset(links, 0, sizeof links);
        return true;
    }
    if (n < 3 || a >= (unsigned)port_count || b >= (unsigned)port_count) {
        return false;
    }
    struct link *link = &links[a][b];
    if (n == 3 && strcmp(verb, "cut") == 0) {
        link->cut = true;
    } else if (n == 4 && strcmp(verb, "loss") == 0) {
        link->loss_ppm = x;
    } else if (n == 4 && strcmp(verb, "twice") == 0) {
        link->twice_ppm = x;
    } else if (n == 5 && strcmp(verb, "delay") == 0) {
        link->delay_us = x;
        link->spread_us = y;
    } else {
        return false;
    }
    return true;
}

/* Read commands; false at the end of standard input. */
static bool take_commands(void)
{
    static char text[4096];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    len += (size_t)n;
    text[len] = '\0';
    char *line = text;
    for (char *end = NULL; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        puts(obey(line) ? "ok" : "what?");
    }
    fflush(stdout);
    len -= (size_t)(line - text);
    memmove(text, line, len);
    return len < sizeof text - 1;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc - 1 > PORTS_MAX) {
        fprintf(stderr, "usage: netswitch SEED PID...\n");
        return 2;
    }
    hl_rng_seed(&rng, strtoull(argv[1], NULL, 10));
    open_ports(argc - 2, argv + 2);
    puts("ready");
    fflush(stdout);
    struct pollfd polled[PORTS_MAX + 1];
    for (int i = 0; i < port_count; i++) {
        polled[i] = (struct pollfd){.fd = ports[i], .events = POLLIN};
    }
    polled[port_count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        int64_t left = send_due();
        struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        int n = ppoll(polled, (nfds_t)port_count + 1, left < 0 ? NULL : &wait, NULL);
        if (n < 0 && errno != EINTR) {
            die("poll");
        }
        for (int i = 0; n > 0 && i < port_count; i++) {
            if (polled[i].revents != 0) {
                take_from(i);
            }
        }
        if (n > 0 && polled[port_count].revents != 0 && !take_commands()) {
            return 0;
        }
    }
}
