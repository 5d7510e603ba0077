/* A load generator for job queues: one thread, many connections, each of which adds a job, takes
 * one and finishes it, over and over; the same program for every server that is compared.
 *
 * Prints one line of JSON as loadgen does.
 *
 *   J1  an answer that is not the expected one ends the run: nothing is measured that did not work
 *   J2  an operation is a whole cycle; latency is from its first byte to the answer of its end
 *   J3  a connection takes only after it added, so there is always a job for who asks
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define PAYLOAD_MAX 16384
#define BUFFER_SIZE 65536
#define LEAVES_MAX 64

enum protocol { PROTOCOL_RESP, PROTOCOL_BEANSTALK };
enum step { STEP_PUT, STEP_TAKE, STEP_END, STEPS };

struct text {
    const char *ptr;
    size_t len;
};

struct connection {
    int fd;
    enum step step;
    int64_t begin_ns;
    size_t in_len;
    char in[BUFFER_SIZE];
};

struct load {
    enum protocol protocol;
    int port, connections, payload_size;
    long ops, started, done;
    char payload[PAYLOAD_MAX + 1];
    struct connection *all;
    int64_t *took_ns; /* of each cycle */
    int epoll;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "jobload: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- requests --------------------------------------------------------------------------------- */

static void send_text(const struct connection *conn, const char *text, size_t len)
{
    ssize_t n = send(conn->fd, text, len, MSG_NOSIGNAL);
    if (n != (ssize_t)len) {
        die("send: %s", n < 0 ? strerror(errno) : "the socket took a part");
    }
}

static void begin_cycle(struct load *load, struct connection *conn)
{
    char out[PAYLOAD_MAX + 128];
    if (load->started == load->ops) {
        return;
    }
    load->started++;
    conn->step = STEP_PUT;
    conn->begin_ns = now_ns();
    int len =
        load->protocol == PROTOCOL_RESP
            ? snprintf(out, sizeof out, "*3\r\n$8\r\nJOB.PUSH\r\n$5\r\nbench\r\n$%d\r\n%s\r\n",
                       load->payload_size, load->payload)
            : snprintf(out, sizeof out, "put 0 0 300 %d\r\n%s\r\n", load->payload_size,
                       load->payload);
    send_text(conn, out, (size_t)len);
}

static void send_take(const struct load *load, const struct connection *conn)
{
    static const char pull[] = "*4\r\n$8\r\nJOB.PULL\r\n$5\r\nbench\r\n$6\r\nWORKER\r\n$1\r\nw\r\n";
    static const char reserve[] = "reserve\r\n";
    if (load->protocol == PROTOCOL_RESP) {
        send_text(conn, pull, sizeof pull - 1);
    } else {
        send_text(conn, reserve, sizeof reserve - 1);
    }
}

static void send_end(const struct load *load, const struct connection *conn, struct text id,
                     struct text token)
{
    char out[1024];
    int len =
        load->protocol == PROTOCOL_RESP
            ? snprintf(out, sizeof out, "*3\r\n$7\r\nJOB.ACK\r\n$%zu\r\n%.*s\r\n$%zu\r\n%.*s\r\n",
                       id.len, (int)id.len, id.ptr, token.len, (int)token.len, token.ptr)
            : snprintf(out, sizeof out, "delete %.*s\r\n", (int)id.len, id.ptr);
    if (len < 0 || (size_t)len >= sizeof out) {
        die("an id is too long");
    }
    send_text(conn, out, (size_t)len);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* A reply of RESP as its leaves; returns its length, 0 when it is incomplete. */
static size_t read_resp(const char *p, size_t len, struct text *leaves, size_t *count)
{
    size_t at = 0;
    long open = 1; /* values still to come */
    *count = 0;
    while (open > 0) {
        const char *end = memchr(p + at, '\n', len - at);
        if (end == NULL) {
            return 0;
        }
        char kind = p[at];
        long number = strtol(p + at + 1, NULL, 10);
        struct text leaf = {.ptr = p + at + 1, .len = (size_t)(end - p) - at - 2};
        at = (size_t)(end - p) + 1;
        open--;
        if (kind == '-' || ((kind == '*' || kind == '$') && number < 0)) {
            die("the server answers %c%.*s", kind, (int)leaf.len, leaf.ptr);
        }
        if (kind == '*') {
            open += number;
            continue;
        }
        if (kind == '$') {
            leaf = (struct text){.ptr = p + at, .len = (size_t)number};
            at += (size_t)number + 2;
            if (at > len) {
                return 0;
            }
        }
        if (*count < LEAVES_MAX) {
            leaves[(*count)++] = leaf;
        }
    }
    return at;
}

/* The leaf behind one of this name. */
static struct text field(const struct text *leaves, size_t count, const char *name)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (leaves[i].len == strlen(name) && memcmp(leaves[i].ptr, name, leaves[i].len) == 0) {
            return leaves[i + 1];
        }
    }
    die("the answer has no '%s'", name);
}

/* An answer of beanstalkd: a word, an id, with RESERVED the job behind it; 0 when incomplete. */
static size_t read_beanstalk(const char *p, size_t len, enum step step, struct text *id)
{
    static const char *const words[STEPS] = {"INSERTED ", "RESERVED ", "DELETED"};
    const char *end = memchr(p, '\n', len);
    if (end == NULL) {
        return 0;
    }
    size_t line = (size_t)(end - p) + 1;
    size_t word = strlen(words[step]);
    if (line < word || memcmp(p, words[step], word) != 0) {
        die("the server answers %.*s", (int)line, p);
    }
    id->ptr = p + word;
    id->len = strcspn(id->ptr, " \r");
    if (step != STEP_TAKE) {
        return line;
    }
    size_t total = line + (size_t)strtol(id->ptr + id->len, NULL, 10) + 2;
    return total <= len ? total : 0;
}

/* Take the answer of the step and go on; false when it is incomplete. */
static bool take_answer(struct load *load, struct connection *conn)
{
    struct text leaves[LEAVES_MAX];
    struct text id = {0};
    struct text token = {0};
    size_t count = 0;
    size_t used = load->protocol == PROTOCOL_RESP
                      ? read_resp(conn->in, conn->in_len, leaves, &count)
                      : read_beanstalk(conn->in, conn->in_len, conn->step, &id);
    if (used == 0) {
        return false;
    }
    if (used != conn->in_len) {
        die("more was answered than was asked");
    }
    conn->in_len = 0; /* the bytes stay until the next read */
    switch (conn->step) {
    case STEP_PUT:
        conn->step = STEP_TAKE;
        send_take(load, conn);
        return true;
    case STEP_TAKE:
        if (load->protocol == PROTOCOL_RESP) {
            id = field(leaves, count, "id");
            token = field(leaves, count, "token");
        }
        conn->step = STEP_END;
        send_end(load, conn, id, token);
        return true;
    case STEP_END:
    case STEPS:
        break;
    }
    load->took_ns[load->done++] = now_ns() - conn->begin_ns;
    begin_cycle(load, conn);
    return true;
}

static void on_readable(struct load *load, struct connection *conn)
{
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, BUFFER_SIZE - conn->in_len, 0);
    if (n <= 0) {
        die("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of file");
    }
    conn->in_len += (size_t)n;
    if (!take_answer(load, conn) && conn->in_len == BUFFER_SIZE) {
        die("an answer is larger than %d bytes", BUFFER_SIZE);
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static void open_connection(struct load *load, struct connection *conn)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)load->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        die("connect to port %d: %s", load->port, strerror(errno));
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

static void run(struct load *load)
{
    for (int i = 0; i < load->connections; i++) {
        begin_cycle(load, &load->all[i]);
    }
    while (load->done < load->ops) {
        struct epoll_event events[256];
        int n = epoll_wait(load->epoll, events, 256, 60000);
        if (n == 0) {
            die("no answer for a minute");
        }
        for (int i = 0; i < n; i++) {
            on_readable(load, events[i].data.ptr);
        }
    }
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(const struct load *load, double seconds, double cpu)
{
    qsort(load->took_ns, (size_t)load->done, sizeof *load->took_ns, by_value);
    printf("{\"ops\": %ld, \"seconds\": %.6f, \"ops_per_second\": %.1f, \"generator_cpu\": %.4f, "
           "\"cycle_us\": {\"p50\": %.1f, \"p99\": %.1f}}\n",
           load->done, seconds, (double)load->done / seconds, cpu / seconds,
           (double)load->took_ns[load->done / 2] / 1000,
           (double)load->took_ns[load->done * 99 / 100] / 1000);
}

static long number(const char *text, long min, long max)
{
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < min || n > max) {
        die("'%s' is not a number from %ld to %ld", text, min, max);
    }
    return n;
}

int main(int argc, char **argv)
{
    struct load load = {.port = 6379, .connections = 50, .payload_size = 100, .ops = 10000};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--port") == 0) {
            load.port = (int)number(value, 1, 65535);
        } else if (strcmp(argv[i], "--ops") == 0) {
            load.ops = number(value, 1, 100000000);
        } else if (strcmp(argv[i], "--connections") == 0) {
            load.connections = (int)number(value, 1, CONNECTIONS_MAX);
        } else if (strcmp(argv[i], "--payload-size") == 0) {
            load.payload_size = (int)number(value, 1, PAYLOAD_MAX);
        } else if (strcmp(argv[i], "--protocol") == 0 && strcmp(value, "beanstalk") == 0) {
            load.protocol = PROTOCOL_BEANSTALK;
        } else if (strcmp(argv[i], "--protocol") != 0 || strcmp(value, "resp") != 0) {
            die("usage: jobload [--protocol resp|beanstalk] [--port n] [--ops n] "
                "[--connections n] [--payload-size n]");
        }
    }
    memset(load.payload, 'j', (size_t)load.payload_size);
    load.all = calloc((size_t)load.connections, sizeof *load.all);
    load.took_ns = calloc((size_t)load.ops, sizeof *load.took_ns);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.all == NULL || load.took_ns == NULL || load.epoll < 0) {
        die("out of memory");
    }
    for (int i = 0; i < load.connections; i++) {
        open_connection(&load, &load.all[i]);
    }
    double cpu = cpu_seconds();
    int64_t begin = now_ns();
    run(&load);
    report(&load, (double)(now_ns() - begin) / 1e9, cpu_seconds() - cpu);
    return 0;
}
