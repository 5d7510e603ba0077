/* A load generator: one thread, many connections, a fixed number of operations, the same program
 * for every server that is compared.
 *
 * Each connection sends a batch of `pipeline` requests, waits for all replies, and sends the next.
 * Requests are laid out once and only their keys change, so that the generator costs less than any
 * server; it still reports its own share of a processor, because a generator that is busy measures
 * itself.  Prints one line of JSON.
 *
 *   G1  an error reply, or a GET that misses where all keys exist, ends the run: nothing is
 * measured that did not work G2  latency is from the system call that sent a batch to the one that
 * read the reply
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

#define KEY_LEN 16
#define CONNECTIONS_MAX 10000
#define PIPELINE_MAX 1024
#define VALUE_MAX 65536
#define READ_SIZE 262144
#define HEADER_MAX 64  /* of a request, before its value */
#define SUB_BUCKETS 64 /* per power of two: under 2 % of error */
#define BUCKETS (64 * SUB_BUCKETS)

enum kind { READ_OP, WRITE_OP, KINDS };

struct options {
    int port;
    long ops;
    long keys;
    int connections;
    int pipeline;
    int value_size;
    int get_percent;             /* 0 only SET, 100 only GET */
    bool sequential;             /* keys 0, 1, 2... instead of random ones */
    bool misses;                 /* a GET may find nothing */
    const char *commands[KINDS]; /* what reads one key, and what writes one */
    uint64_t seed;
};

struct request {
    char *bytes;
    size_t len;
    size_t key_at;
};

struct connection {
    int fd;
    int expected; /* replies of this batch still to come */
    int answered; /* replies of this batch that came */
    bool blocked; /* the socket took only a part of the batch */
    int64_t sent_ns;
    char *out;
    size_t out_len;
    size_t out_done;
    char *in; /* an incomplete reply */
    size_t in_len;
    uint8_t kinds[PIPELINE_MAX];
};

struct histogram {
    uint64_t count;
    uint64_t buckets[BUCKETS];
    int64_t max_ns;
};

struct load {
    struct options options;
    struct request requests[KINDS];
    struct histogram latency[KINDS];
    struct connection *connections;
    int epoll;
    long started;
    long done;
    long next_key;
    uint64_t random;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "loadgen: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void *must(void *ptr)
{
    if (ptr == NULL) {
        die("out of memory");
    }
    return ptr;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t next_random(struct load *load)
{
    uint64_t x = load->random; /* xorshift64* */
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    load->random = x;
    return x * UINT64_C(2685821657736338717);
}

static int bucket_of(uint64_t v)
{
    if (v < SUB_BUCKETS) {
        return (int)v;
    }
    int shift = 63 - __builtin_clzll(v) - 6;
    return (shift + 1) * SUB_BUCKETS + (int)((v >> shift) - SUB_BUCKETS);
}

/* The middle of a bucket. */
static double value_of(int bucket)
{
    int shift = bucket / SUB_BUCKETS - 1;
    if (shift < 0) {
        return bucket;
    }
    double low = (double)((uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << shift);
    return low + (double)(UINT64_C(1) << shift) / 2;
}

static double percentile_us(const struct histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)((double)h->count * percent / 100);
    uint64_t seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > wanted) {
            return value_of(i) / 1000;
        }
    }
    return (double)h->max_ns / 1000;
}

static void record(struct histogram *h, int64_t ns)
{
    h->count++;
    h->buckets[bucket_of((uint64_t)ns)]++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

/* Everything of a request before its key. */
static size_t put_header(char *out, int argc, const char *command)
{
    int len = snprintf(out, HEADER_MAX - KEY_LEN - 2, "*%d\r\n$%zu\r\n%s\r\n$%d\r\n", argc,
                       strlen(command), command, KEY_LEN);
    if (len >= HEADER_MAX - KEY_LEN - 2) {
        die("'%s' is too long for a command", command);
    }
    return (size_t)len;
}

static void lay_out_requests(struct load *load)
{
    const int size = load->options.value_size;
    struct request *get = &load->requests[READ_OP];
    struct request *set = &load->requests[WRITE_OP];
    get->bytes = must(calloc(1, HEADER_MAX));
    get->len = put_header(get->bytes, 2, load->options.commands[READ_OP]);
    get->key_at = get->len;
    memset(get->bytes + get->len, 'k', KEY_LEN);
    memcpy(get->bytes + get->len + KEY_LEN, "\r\n", 2);
    get->len += KEY_LEN + 2;

    set->bytes = must(calloc(1, HEADER_MAX + (size_t)size + 32));
    set->len = put_header(set->bytes, 3, load->options.commands[WRITE_OP]);
    set->key_at = set->len;
    memset(set->bytes + set->len, 'k', KEY_LEN);
    set->len += KEY_LEN;
    set->len += (size_t)snprintf(set->bytes + set->len, 32, "\r\n$%d\r\n", size);
    for (int i = 0; i < size; i++) {
        set->bytes[set->len++] = (char)('!' + i * 31 % 90);
    }
    memcpy(set->bytes + set->len, "\r\n", 2);
    set->len += 2;
}

/* Sixteen characters for key `n`: a letter, digits. */
static void put_key(char *out, uint64_t n)
{
    for (int i = KEY_LEN - 1; i > 0; i--) {
        out[i] = (char)('0' + n % 10);
        n /= 10;
    }
    out[0] = 'k';
}

/* Write the next batch into the connection's buffer; false when all operations have started. */
static bool fill_batch(struct load *load, struct connection *conn)
{
    const struct options *o = &load->options;
    long left = o->ops - load->started;
    int batch = left < o->pipeline ? (int)left : o->pipeline;
    conn->out_len = 0;
    conn->out_done = 0;
    for (int i = 0; i < batch; i++) {
        enum kind kind = WRITE_OP;
        uint64_t key = 0;
        if (o->sequential) {
            key = (uint64_t)(load->next_key++ % o->keys);
        } else {
            key = (next_random(load) >> 11) % (uint64_t)o->keys;
        }
        if (o->get_percent == 100 ||
            (o->get_percent > 0 && (int)((next_random(load) >> 20) % 100) < o->get_percent)) {
            kind = READ_OP;
        }
        const struct request *request = &load->requests[kind];
        memcpy(conn->out + conn->out_len, request->bytes, request->len);
        put_key(conn->out + conn->out_len + request->key_at, key);
        conn->out_len += request->len;
        conn->kinds[i] = (uint8_t)kind;
    }
    load->started += batch;
    conn->expected = batch;
    conn->answered = 0;
    return batch > 0;
}

static void watch(struct load *load, struct connection *conn, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(load->epoll, op, conn->fd, &event) != 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

/* Send what is left of the batch; the socket tells when it can take more. */
static void send_out(struct load *load, struct connection *conn)
{
    if (conn->out_done == 0) {
        conn->sent_ns = now_ns();
    }
    while (conn->out_done < conn->out_len) {
        ssize_t n = send(conn->fd, conn->out + conn->out_done, conn->out_len - conn->out_done,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            die("send: %s", strerror(errno));
        }
        conn->out_done += (size_t)n;
    }
    bool blocked = conn->out_done < conn->out_len;
    if (blocked != conn->blocked) {
        watch(load, conn, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
        conn->blocked = blocked;
    }
}

/* The length of the reply at `p`, 0 when it is incomplete. */
static size_t reply_len(const struct load *load, const char *p, size_t len)
{
    const char *end = memchr(p, '\n', len);
    if (end == NULL) {
        return 0;
    }
    size_t line = (size_t)(end - p) + 1;
    if (p[0] == '-') {
        die("the server answers %.*s", (int)line, p);
    }
    if (p[0] != '$') {
        return line;
    }
    if (p[1] == '-') {
        if (!load->options.misses) {
            die("a key is missing");
        }
        return line;
    }
    size_t body = 0;
    for (const char *digit = p + 1; *digit >= '0' && *digit <= '9'; digit++) {
        body = body * 10 + (size_t)(*digit - '0');
    }
    size_t total = line + body + 2;
    return total <= len ? total : 0;
}

/* Count the replies in `len` bytes; returns how many bytes they took. */
static size_t take_replies(struct load *load, struct connection *conn, const char *p, size_t len,
                           int64_t now)
{
    size_t used = 0;
    while (used < len && conn->answered < conn->expected) {
        size_t n = reply_len(load, p + used, len - used);
        if (n == 0) {
            break;
        }
        record(&load->latency[conn->kinds[conn->answered]], now - conn->sent_ns);
        conn->answered++;
        load->done++;
        used += n;
    }
    return used;
}

static void on_readable(struct load *load, struct connection *conn)
{
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, READ_SIZE - conn->in_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        die("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of file");
    }
    size_t len = conn->in_len + (size_t)n;
    size_t used = take_replies(load, conn, conn->in, len, now_ns());
    conn->in_len = len - used;
    if (conn->in_len == READ_SIZE) {
        die("a reply is larger than %d bytes", READ_SIZE);
    }
    memmove(conn->in, conn->in + used, conn->in_len);
    if (conn->answered == conn->expected && fill_batch(load, conn)) {
        send_out(load, conn);
    }
}

static void open_connection(struct load *load, struct connection *conn)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)load->options.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        die("connect to port %d: %s", load->options.port, strerror(errno));
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    size_t largest = load->requests[WRITE_OP].len;
    conn->out = must(malloc(largest * (size_t)load->options.pipeline));
    conn->in = must(malloc(READ_SIZE));
    watch(load, conn, EPOLL_CTL_ADD, EPOLLIN);
}

static void run(struct load *load)
{
    for (int i = 0; i < load->options.connections; i++) {
        if (fill_batch(load, &load->connections[i])) {
            send_out(load, &load->connections[i]);
        }
    }
    while (load->done < load->options.ops) {
        struct epoll_event events[256];
        int n = epoll_wait(load->epoll, events, 256, 60000);
        if (n == 0) {
            die("no reply for a minute");
        }
        for (int i = 0; i < n; i++) {
            if (events[i].events & EPOLLOUT) {
                send_out(load, events[i].data.ptr);
            }
            if (events[i].events & ~(uint32_t)EPOLLOUT) {
                on_readable(load, events[i].data.ptr);
            }
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

static void report(const struct load *load, double seconds, double cpu)
{
    static const char *const names[KINDS] = {"get", "set"};
    printf("{\"ops\": %ld, \"seconds\": %.6f, \"ops_per_second\": %.1f, \"generator_cpu\": %.4f",
           load->done, seconds, (double)load->done / seconds, cpu / seconds);
    for (int kind = 0; kind < KINDS; kind++) {
        const struct histogram *h = &load->latency[kind];
        if (h->count > 0) {
            printf(", \"%s_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
                   "\"max\": %.1f}",
                   names[kind], percentile_us(h, 50), percentile_us(h, 90), percentile_us(h, 99),
                   percentile_us(h, 99.9), (double)h->max_ns / 1000);
        }
    }
    printf("}\n");
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

static void parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--sequential") == 0) {
            o->sequential = true;
            continue;
        }
        if (strcmp(name, "--misses") == 0) {
            o->misses = true;
            continue;
        }
        if (++i == argc) {
            die("%s needs a value", name);
        }
        if (strcmp(name, "--port") == 0) {
            o->port = (int)number(argv[i], 1, 65535);
        } else if (strcmp(name, "--ops") == 0) {
            o->ops = number(argv[i], 1, INT64_MAX);
        } else if (strcmp(name, "--keys") == 0) {
            o->keys = number(argv[i], 1, INT64_C(1000000000));
        } else if (strcmp(name, "--connections") == 0) {
            o->connections = (int)number(argv[i], 1, CONNECTIONS_MAX);
        } else if (strcmp(name, "--pipeline") == 0) {
            o->pipeline = (int)number(argv[i], 1, PIPELINE_MAX);
        } else if (strcmp(name, "--value-size") == 0) {
            o->value_size = (int)number(argv[i], 1, VALUE_MAX);
        } else if (strcmp(name, "--get-percent") == 0) {
            o->get_percent = (int)number(argv[i], 0, 100);
        } else if (strcmp(name, "--get-command") == 0) {
            o->commands[READ_OP] = argv[i];
        } else if (strcmp(name, "--set-command") == 0) {
            o->commands[WRITE_OP] = argv[i];
        } else if (strcmp(name, "--seed") == 0) {
            o->seed = (uint64_t)number(argv[i], 1, INT64_MAX);
        } else {
            die("no such option: %s", name);
        }
    }
}

int main(int argc, char **argv)
{
    static struct load load;
    load.options = (struct options){.port = 6379,
                                    .ops = 100000,
                                    .keys = 100000,
                                    .connections = 50,
                                    .pipeline = 1,
                                    .value_size = 64,
                                    .get_percent = 0,
                                    .commands = {"GET", "SET"},
                                    .seed = 1};
    parse(&load.options, argc, argv);
    load.random = load.options.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    lay_out_requests(&load);
    load.connections = must(calloc((size_t)load.options.connections, sizeof *load.connections));
    for (int i = 0; i < load.options.connections; i++) {
        open_connection(&load, &load.connections[i]);
    }
    double cpu = cpu_seconds();
    int64_t start = now_ns();
    run(&load);
    report(&load, (double)(now_ns() - start) / 1e9, cpu_seconds() - cpu);
    return 0;
}
