/* See link.h.
 *
 * Invariants:
 *   L1  after link_drop() no function of the owner is called; the memory lives until libuv has let
 *       go of the handle and of every write and look-up.
 *   L2  on_down() is called once at most.
 */
#include "worker/link.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <stdio.h>

#define READ_CHUNK (64 * 1024)

struct link {
    struct link_owner owner;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* a Unix socket */
    } as;
    uv_loop_t *loop;
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct addrinfo *addresses, *next; /* to try */
    struct hl_tls *tls;                /* NULL: in clear */
    redisReader *reader;
    struct hl_buf pending; /* to be sent once up */
    char host[256], port[8];
    unsigned users; /* things of libuv that point here */
    bool open, looking, up, down, dropped;
    char chunk[READ_CHUNK];
};

/* A write under way. */
struct sending {
    uv_write_t write;
    struct link *link;
    char bytes[];
};

static void try_next(struct link *link);

static void leave(struct link *link)
{
    HL_ASSERT(link->users > 0);
    link->users--;
    if (link->users != 0 || !link->dropped) {
        return;
    }
    if (link->addresses != NULL) {
        uv_freeaddrinfo(link->addresses);
    }
    hl_tls_destroy(link->tls);
    redisReaderFree(link->reader);
    hl_buf_fini(&link->pending);
    hl_free(link);
}

static void on_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    link->open = false;
    leave(link);
}

static void close_handle(struct link *link)
{
    if (link->open && !uv_is_closing(&link->as.handle)) {
        uv_close(&link->as.handle, on_closed);
    }
}

static void fail(struct link *link, const char *why)
{
    if (!link->dropped && !link->down) {
        link->down = true;
        link->owner.on_down(link->owner.ctx, why);
    }
}

static void on_sent(uv_write_t *write, int status)
{
    struct sending *sending = write->data;
    struct link *link = sending->link;
    hl_free(sending);
    if (status < 0) {
        fail(link, uv_strerror(status));
    }
    leave(link);
}

static void send_raw(struct link *link, struct hl_slice bytes)
{
    if (bytes.len == 0 || link->down) {
        return;
    }
    struct sending *sending = hl_malloc(sizeof *sending + bytes.len);
    sending->link = link;
    sending->write.data = sending;
    memcpy(sending->bytes, bytes.ptr, bytes.len);
    uv_buf_t buf = uv_buf_init(sending->bytes, (unsigned)bytes.len);
    link->users++;
    int rc = uv_write(&sending->write, &link->as.stream, &buf, 1, on_sent);
    if (rc < 0) {
        hl_free(sending);
        fail(link, uv_strerror(rc));
        leave(link);
    }
}

/* Send what the engine has made. */
static void send_output(struct link *link)
{
    struct hl_slice output = hl_tls_output(link->tls);
    send_raw(link, output);
    hl_tls_sent(link->tls, output.len);
}

/* Send what waits, as far as the engine takes it. */
static void flush(struct link *link)
{
    if (!link->up || link->down) {
        return;
    }
    if (link->tls == NULL) {
        send_raw(link, hl_buf_view(&link->pending));
        hl_buf_clear(&link->pending);
        return;
    }
    size_t done = 0;
    while (done < link->pending.len && !link->down) {
        size_t put = 0;
        hl_err err =
            hl_tls_write(link->tls, link->pending.ptr + done, link->pending.len - done, &put);
        if (err == HL_EINVAL) {
            fail(link, "TLS failed");
            break;
        }
        done += put;
        send_output(link);
    }
    hl_buf_consume(&link->pending, done);
}

/* Hand over every whole reply. */
static void take_replies(struct link *link, const char *bytes, size_t len)
{
    if (redisReaderFeed(link->reader, bytes, len) != REDIS_OK) {
        fail(link, "the server sent no RESP");
        return;
    }
    while (!link->dropped && !link->down) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            fail(link, "the server sent no RESP");
            return;
        }
        if (reply == NULL) {
            return;
        }
        link->owner.on_reply(link->owner.ctx, reply);
        freeReplyObject(reply);
    }
}

static void come_up(struct link *link)
{
    link->up = true;
    link->owner.on_up(link->owner.ctx);
    if (!link->dropped) {
        flush(link);
    }
}

static void take_ciphertext(struct link *link, const char *bytes, size_t len)
{
    struct hl_errmsg msg = {0};
    bool handshaking = hl_tls_is_handshaking(link->tls);
    hl_err err = hl_tls_feed(link->tls, bytes, len, &msg);
    send_output(link);
    if (err != HL_OK) {
        fail(link, msg.text);
        return;
    }
    if (handshaking && !hl_tls_is_handshaking(link->tls)) {
        come_up(link);
    }
    while (!link->dropped && !link->down && !hl_tls_is_handshaking(link->tls)) {
        char plain[16 * 1024];
        size_t got = 0;
        err = hl_tls_read(link->tls, plain, sizeof plain, &got, &msg);
        if (err == HL_ENOENT) {
            return;
        }
        if (err != HL_OK) {
            fail(link, msg.text[0] != '\0' ? msg.text : "the server closed the connection");
            return;
        }
        take_replies(link, plain, got);
    }
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct link *link = handle->data;
    *buf = uv_buf_init(link->chunk, sizeof link->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    link->users++; /* the owner may drop it meanwhile */
    if (got < 0) {
        fail(link, got == UV_EOF ? "the server closed the connection" : uv_strerror((int)got));
    } else if (link->tls != NULL) {
        take_ciphertext(link, buf->base, (size_t)got);
    } else {
        take_replies(link, buf->base, (size_t)got);
    }
    leave(link);
}

static void begin(struct link *link)
{
    if (link->addresses != NULL) {
        (void)uv_tcp_nodelay(&link->as.tcp, 1);
        (void)uv_tcp_keepalive(&link->as.tcp, 1, 30);
    }
    int rc = uv_read_start(&link->as.stream, give_chunk, on_read);
    if (rc < 0) {
        fail(link, uv_strerror(rc));
    } else if (link->tls != NULL) {
        take_ciphertext(link, NULL, 0);
    } else {
        come_up(link);
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct link *link = connect->data;
    if (!link->dropped) {
        if (status == 0) {
            begin(link);
        } else if (link->next != NULL && status != UV_ECANCELED) {
            try_next(link);
        } else {
            fail(link, uv_strerror(status));
        }
    }
    leave(link);
}

/* A handle that failed to connect is closed; its memory is needed for the next address, so that one
 * waits for the end of the closing. */
static void on_reopen(uv_handle_t *handle)
{
    struct link *link = handle->data;
    link->open = false;
    if (!link->dropped) {
        try_next(link);
    }
    leave(link);
}

static void try_next(struct link *link)
{
    if (link->open) {
        if (!uv_is_closing(&link->as.handle)) {
            uv_close(&link->as.handle, on_reopen);
        }
        return;
    }
    struct addrinfo *address = link->next;
    link->next = address->ai_next;
    int rc = uv_tcp_init(link->loop, &link->as.tcp);
    HL_ASSERT(rc == 0);
    link->as.tcp.data = link;
    link->open = true;
    link->users++; /* for the handle */
    link->connect.data = link;
    link->users++;
    rc = uv_tcp_connect(&link->connect, &link->as.tcp, address->ai_addr, on_connect);
    if (rc < 0) {
        fail(link, uv_strerror(rc));
        leave(link);
    }
}

static void on_address(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct link *link = lookup->data;
    link->looking = false;
    link->addresses = addresses;
    link->next = addresses;
    if (!link->dropped) {
        if (status < 0) {
            fail(link, uv_strerror(status));
        } else {
            try_next(link);
        }
    }
    leave(link);
}

/* A Unix socket is there or it is not: nothing to look up. */
static void connect_path(struct link *link)
{
    int rc = uv_pipe_init(link->loop, &link->as.pipe, 0);
    HL_ASSERT(rc == 0);
    link->as.pipe.data = link;
    link->open = true;
    link->users++; /* for the handle */
    link->connect.data = link;
    link->users++;
    uv_pipe_connect(&link->connect, &link->as.pipe, link->host, on_connect);
}

struct link *link_open(uv_loop_t *loop, const char *host, int port,
                       const struct hl_tls_context *tls, const struct link_owner *owner)
{
    struct link *link = hl_calloc(1, sizeof *link);
    link->owner = *owner;
    link->reader = redisReaderCreate();
    HL_ASSERT(link->reader != NULL);
    (void)snprintf(link->host, sizeof link->host, "%s", host);
    (void)snprintf(link->port, sizeof link->port, "%d", port);
    if (tls != NULL) {
        link->tls = hl_tls_create(tls, link->host);
        HL_ASSERT(link->tls != NULL);
    }
    link->loop = loop;
    if (host[0] == '/') {
        connect_path(link);
        return link;
    }
    link->lookup.data = link;
    link->looking = true;
    link->users++;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int rc = uv_getaddrinfo(loop, &link->lookup, on_address, link->host, link->port, &hints);
    HL_ASSERT(rc == 0); /* it fails for names that are too long only */
    return link;
}

void link_send(struct link *link, struct hl_slice bytes)
{
    hl_buf_append_slice(&link->pending, bytes);
    flush(link);
}

void link_drop(struct link *link)
{
    if (link == NULL || link->dropped) {
        return;
    }
    link->users++;
    link->dropped = true;
    if (link->looking) {
        (void)uv_cancel((uv_req_t *)&link->lookup);
    }
    close_handle(link);
    leave(link);
}
