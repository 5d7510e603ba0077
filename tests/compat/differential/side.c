/* See side.h.  Sockets of our own: hiredis hides the bytes that we came to compare. */
#include "side.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (64 * 1024)
#define LOG_PRINTED_MAX 3000 /* bytes of a dead server's log */

void side_start(struct side *side, const char *program, bool logged)
{
    *side = (struct side){.program = program, .logged = logged};
    struct server_options options = {
        .program = program,
        .flags = {"--save", "", "--appendonly", logged ? "yes" : "no"},
    };
    side->server = server_start(&options);
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        side->wires[i].fd = -1;
    }
}

static int connect_to(const struct side *side)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HL_ASSERT(fd >= 0);
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)server_port(side->server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        close(fd);
        return -1;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

bool side_revive(struct side *side)
{
    redisContext *c = server_try_connect(side->server);
    if (c != NULL) {
        redisFree(c);
        return false;
    }
    char *log = server_log(side->server);
    size_t len = strlen(log);
    fprintf(stderr, "%s ended by itself:\n%s\n", side->program,
            len > LOG_PRINTED_MAX ? log + len - LOG_PRINTED_MAX : log);
    free(log);
    server_close(side->server);
    struct wire wires[CONNECTION_COUNT];
    memcpy(wires, side->wires, sizeof wires);
    side_start(side, side->program, side->logged);
    memcpy(side->wires, wires, sizeof wires);
    return true;
}

static void wire_begin(struct wire *wire)
{
    hl_buf_clear(&wire->in);
    hl_reader_init(&wire->reader);
    wire->state = wire->fd < 0 ? WIRE_CLOSED : WIRE_OK;
    wire->count = 0;
    wire->sent = 0;
}

/* Find the replies in what arrived. */
static void wire_parse(struct wire *wire)
{
    enum hl_read_result result = HL_READ_MORE;
    while ((result = hl_reader_next(&wire->reader, wire->in.ptr, wire->in.len)) == HL_READ_REPLY) {
        if (wire->count == wire->cap) {
            wire->cap = wire->cap == 0 ? 128 : wire->cap * 2;
            wire->ends = hl_realloc(wire->ends, wire->cap * sizeof *wire->ends);
        }
        wire->ends[wire->count++] = wire->reader.pos;
    }
    if (result == HL_READ_ERROR) {
        wire->state = WIRE_GARBAGE;
    }
}

/* Move bytes in whichever direction is ready. */
static void wire_step(struct wire *wire, struct hl_slice bytes, short events)
{
    if ((events & POLLOUT) != 0 && wire->sent < bytes.len) {
        ssize_t n = send(wire->fd, bytes.ptr + wire->sent, bytes.len - wire->sent, MSG_NOSIGNAL);
        if (n > 0) {
            wire->sent += (size_t)n;
        } else if (errno != EAGAIN) {
            wire->sent = bytes.len; /* what was answered before is still worth reading */
        }
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        hl_buf_grow(&wire->in, READ_BYTES);
        ssize_t n = recv(wire->fd, wire->in.ptr + wire->in.len, READ_BYTES, 0);
        if (n > 0) {
            wire->in.len += (size_t)n;
            wire_parse(wire);
        } else if (n == 0 || errno != EAGAIN) {
            wire->state = WIRE_CLOSED;
        }
    }
}

static bool wire_waits(const struct wire *wire, size_t bytes, size_t count)
{
    return wire->state == WIRE_OK && (wire->count < count || wire->sent < bytes);
}

void exchange(struct side *a, struct side *b, int conn, struct hl_slice bytes, size_t count)
{
    struct wire *wires[2] = {&a->wires[conn], &b->wires[conn]};
    wire_begin(wires[0]);
    wire_begin(wires[1]);
    for (;;) {
        struct pollfd fds[2];
        nfds_t waiting = 0;
        for (int i = 0; i < 2; i++) {
            bool waits = wire_waits(wires[i], bytes.len, count);
            fds[i].fd = waits ? wires[i]->fd : -1;
            fds[i].events = (short)(POLLIN | (wires[i]->sent < bytes.len ? POLLOUT : 0));
            fds[i].revents = 0;
            waiting += waits;
        }
        if (waiting == 0) {
            return;
        }
        if (poll(fds, 2, REPLY_WAIT_MS_MAX) == 0) {
            for (int i = 0; i < 2; i++) {
                wires[i]->state = fds[i].fd >= 0 ? WIRE_SILENT : wires[i]->state;
            }
            return;
        }
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd >= 0) {
                wire_step(wires[i], bytes, fds[i].revents);
            }
        }
    }
}

struct hl_slice wire_reply(const struct wire *wire, size_t index)
{
    if (index >= wire->count) {
        return (struct hl_slice){0};
    }
    size_t start = index == 0 ? 0 : wire->ends[index - 1];
    return (struct hl_slice){.ptr = wire->in.ptr + start, .len = wire->ends[index] - start};
}

/* A pipeline on one side alone. */
static void run_alone(struct wire *wire, struct hl_slice bytes, size_t count)
{
    wire_begin(wire);
    while (wire_waits(wire, bytes.len, count)) {
        struct pollfd fd = {.fd = wire->fd, .events = POLLIN};
        fd.events |= (short)(wire->sent < bytes.len ? POLLOUT : 0);
        if (poll(&fd, 1, REPLY_WAIT_MS_MAX) == 0) {
            wire->state = WIRE_SILENT;
        } else {
            wire_step(wire, bytes, fd.revents);
        }
    }
}

void side_call(struct side *side, int conn, struct hl_slice bytes)
{
    run_alone(&side->wires[conn], bytes, 1);
}

static void run_lines(struct wire *wire, const char *const *lines, size_t count)
{
    struct hl_buf bytes = {0};
    for (size_t i = 0; i < count; i++) {
        hl_buf_printf(&bytes, "%s\r\n", lines[i]);
    }
    run_alone(wire, hl_buf_view(&bytes), count);
    hl_buf_fini(&bytes);
}

void side_reconnect(struct side *side)
{
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        if (side->wires[i].fd >= 0) {
            close(side->wires[i].fd);
        }
        side->wires[i].fd = connect_to(side);
    }
}

void side_crash(struct side *side)
{
    server_kill(side->server);
    server_restart(side->server);
    side_reconnect(side);
}

void side_reset(struct side *side)
{
    static const char *const clean[] = {
        "FLUSHALL",
        "ACL DELUSER alice bob",
        "CONFIG SET hash-max-listpack-entries 128",
        "CONFIG SET hash-max-listpack-value 64",
        "CONFIG SET maxmemory 0",
        "CONFIG SET maxmemory-policy noeviction",
        "CONFIG SET notify-keyspace-events ''",
        "CONFIG SET slowlog-log-slower-than 10000",
        "CONFIG SET timeout 0",
        "CONFIG SET proto-max-bulk-len 512mb",
    };
    static const char *const resp3[] = {"HELLO 3"};
    side_reconnect(side);
    run_lines(&side->wires[0], clean, HL_ARRAY_LEN(clean));
    run_lines(&side->wires[1], resp3, HL_ARRAY_LEN(resp3));
}

void side_close(struct side *side)
{
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        if (side->wires[i].fd >= 0) {
            close(side->wires[i].fd);
        }
        hl_buf_fini(&side->wires[i].in);
        hl_free(side->wires[i].ends);
    }
    server_close(side->server);
}

void raw_exchange(struct side *side, struct hl_slice bytes, struct hl_buf *out)
{
    struct wire wire = {.fd = connect_to(side)};
    bool half_closed = false;
    wire_begin(&wire);
    while (wire.state == WIRE_OK || wire.state == WIRE_GARBAGE) {
        struct pollfd fd = {.fd = wire.fd, .events = POLLIN};
        fd.events |= (short)(wire.sent < bytes.len ? POLLOUT : 0);
        if (wire.sent == bytes.len && !half_closed) {
            (void)shutdown(wire.fd, SHUT_WR);
            half_closed = true;
        }
        if (poll(&fd, 1, REPLY_WAIT_MS_MAX) == 0) {
            hl_buf_append_text(&wire.in, "(and the connection stays open)");
            break;
        }
        wire_step(&wire, bytes, fd.revents);
    }
    hl_buf_append_slice(out, hl_buf_view(&wire.in));
    hl_buf_fini(&wire.in);
    hl_free(wire.ends);
    if (wire.fd >= 0) {
        close(wire.fd);
    }
}
