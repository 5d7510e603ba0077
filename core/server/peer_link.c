#include "server/peer_link.h"

#include "kit/alloc.h"
#include "kit/assert.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define READ_SIZE (64u * 1024)
#define KEEP_IN_MAX (1024u * 1024) /* a larger buffer is given back once its frame was told */
#define KEEPALIVE_S 5              /* silence before the kernel asks whether the other is there */
#define KEEPALIVE_EVERY_S 2
#define KEEPALIVE_TRIES 3

/* A frame that waits to leave. */
struct waiting {
    struct hl_list_node node;
    size_t len, sent;
    char bytes[];
};

static char read_buf[READ_SIZE]; /* links take turns on the loop's thread */
static char plain_buf[READ_SIZE];

static void pump(struct peer_link *link);

/* --- closing ---------------------------------------------------------------------------------- */

static void drop_waiting(struct peer_link *link, struct waiting *w)
{
    HL_ASSERT(link->queue_count > 0);
    HL_ASSERT(link->queue_size >= w->len);
    hl_list_remove(&w->node);
    link->queue_count--;
    link->queue_size -= w->len;
    hl_free(w);
}

static struct waiting *first_waiting(struct peer_link *link)
{
    return HL_LIST_ENTRY(link->queue.next, struct waiting, node);
}

static void on_closed(uv_handle_t *handle)
{
    struct peer_link *link = handle->data;
    while (!hl_list_empty(&link->queue)) {
        drop_waiting(link, first_waiting(link));
    }
    hl_buf_fini(&link->in);
    hl_buf_fini(&link->chunk);
    hl_tls_destroy(link->tls);
    hl_free(link);
}

void peer_link_fail(struct peer_link *link, const char *why)
{
    if (link->closing) {
        return;
    }
    link->closing = true;
    link->events->down(link, why);
    uv_close((uv_handle_t *)&link->tcp, on_closed);
}

void peer_link_hang_up(struct peer_link *link)
{
    link->hang_up = true;
    if (!link->writing && hl_list_empty(&link->queue)) {
        peer_link_fail(link, "");
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
    struct peer_link *link = write->data;
    link->writing = false;
    hl_buf_clear(&link->chunk);
    if (link->closing) {
        return;
    }
    if (status < 0) {
        peer_link_fail(link, uv_strerror(status));
        return;
    }
    pump(link);
}

/* Send what the kernel takes of these bytes; *put says how much.  False when it broke. */
static bool try_write(struct peer_link *link, const char *bytes, size_t len, size_t *put)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    int rc = uv_try_write((uv_stream_t *)&link->tcp, &buf, 1);
    *put = rc > 0 ? (size_t)rc : 0;
    if (rc < 0 && rc != UV_EAGAIN) {
        peer_link_fail(link, uv_strerror(rc));
        return false;
    }
    link->bytes_out += *put;
    return true;
}

/* Give the kernel a copy of these bytes, to be sent when it can. */
static void write_rest(struct peer_link *link, const char *bytes, size_t len)
{
    HL_ASSERT(!link->writing);
    HL_ASSERT(link->chunk.len == 0);
    hl_buf_append(&link->chunk, bytes, len);
    uv_buf_t buf = uv_buf_init(link->chunk.ptr, (unsigned)len);
    link->writing = true;
    link->write.data = link;
    link->bytes_out += len;
    int rc = uv_write(&link->write, (uv_stream_t *)&link->tcp, &buf, 1, on_written);
    if (rc < 0) {
        link->writing = false;
        peer_link_fail(link, uv_strerror(rc));
    }
}

/* Send what the engine made. */
static void ship_ciphertext(struct peer_link *link)
{
    struct hl_slice out = hl_tls_output(link->tls);
    if (link->closing || link->writing || out.len == 0) {
        return;
    }
    size_t put = 0;
    if (!try_write(link, out.ptr, out.len, &put)) {
        return;
    }
    hl_tls_sent(link->tls, put);
    out = hl_tls_output(link->tls);
    if (out.len != 0) {
        write_rest(link, out.ptr, out.len);
        hl_tls_sent(link->tls, out.len);
    }
}

static void pump_secure(struct peer_link *link)
{
    ship_ciphertext(link);
    while (!link->closing && !link->writing && link->ready && !hl_list_empty(&link->queue)) {
        struct waiting *w = first_waiting(link);
        size_t put = 0;
        hl_err err = hl_tls_write(link->tls, w->bytes + w->sent, w->len - w->sent, &put);
        if (err != HL_OK && err != HL_EFULL) {
            peer_link_fail(link, "TLS failed");
            return;
        }
        w->sent += put;
        if (w->sent == w->len) {
            drop_waiting(link, w);
        }
        ship_ciphertext(link);
    }
}

static void pump_plain(struct peer_link *link)
{
    while (!link->writing && link->ready && !hl_list_empty(&link->queue)) {
        struct waiting *w = first_waiting(link);
        size_t put = 0;
        if (!try_write(link, w->bytes + w->sent, w->len - w->sent, &put)) {
            return;
        }
        w->sent += put;
        if (w->sent < w->len) {
            write_rest(link, w->bytes + w->sent, w->len - w->sent);
        }
        drop_waiting(link, w);
    }
}

static void pump(struct peer_link *link)
{
    if (link->tls != NULL) {
        pump_secure(link);
    } else {
        pump_plain(link);
    }
    if (!link->closing && link->hang_up && !link->writing && hl_list_empty(&link->queue)) {
        peer_link_fail(link, "");
    }
}

/* Room for `len` more bytes: a single frame always has it. */
static bool make_room(struct peer_link *link, size_t len, bool drop_oldest, uint64_t *dropped)
{
    HL_LIST_EACH(it, &link->queue)
    {
        if (link->queue_size + len <= link->queue_max || !drop_oldest) {
            break;
        }
        struct waiting *w = HL_LIST_ENTRY(it, struct waiting, node);
        if (w->sent == 0) { /* L1 */
            drop_waiting(link, w);
            (*dropped)++;
        }
    }
    return link->queue_count == 0 || link->queue_size + len <= link->queue_max || drop_oldest;
}

hl_err peer_link_send(struct peer_link *link, struct hl_slice frame, bool drop_oldest,
                      uint64_t *dropped)
{
    HL_ASSERT(link->ready);
    HL_ASSERT(frame.len >= HL_FRAME_HEADER);
    if (link->closing || link->hang_up) {
        return HL_EFULL;
    }
    size_t put = 0;
    if (link->tls == NULL && !link->writing && hl_list_empty(&link->queue)) {
        if (!try_write(link, frame.ptr, frame.len, &put) || put == frame.len) {
            return HL_OK; /* the usual case: nothing was copied */
        }
        write_rest(link, frame.ptr + put, frame.len - put);
        return HL_OK;
    }
    if (!make_room(link, frame.len, drop_oldest, dropped)) {
        return HL_EFULL;
    }
    struct waiting *w = hl_malloc(sizeof *w + frame.len);
    w->len = frame.len;
    w->sent = 0;
    memcpy(w->bytes, frame.ptr, frame.len);
    hl_list_append(&link->queue, &w->node);
    link->queue_size += w->len;
    link->queue_count++;
    pump(link);
    return HL_OK;
}

/* --- receiving -------------------------------------------------------------------------------- */

bool peer_link_in_frame(const struct peer_link *link)
{
    return link->in.len != 0;
}

/* Tell the whole frames at the beginning of `bytes`; returns how many bytes they took, or len when
 * the link failed. */
static size_t tell_frames(struct peer_link *link, const char *bytes, size_t len)
{
    size_t at = 0;
    while (!link->closing && len - at >= HL_FRAME_HEADER) {
        struct hl_wire_frame frame = {0};
        uint32_t body_len = 0;
        struct hl_errmsg msg = {0};
        if (hl_wire_peek(bytes + at, &frame, &body_len, &msg) != HL_OK) {
            peer_link_fail(link, msg.text);
            return len;
        }
        if (body_len > link->body_max) {
            peer_link_fail(link, "a frame is longer than allowed");
            return len;
        }
        if (len - at < HL_FRAME_HEADER + (size_t)body_len) {
            break;
        }
        struct hl_slice whole = {.ptr = bytes + at, .len = HL_FRAME_HEADER + (size_t)body_len};
        if (hl_wire_decode(whole, &frame, &msg) != HL_OK) {
            peer_link_fail(link, msg.text);
            return len;
        }
        at += whole.len;
        link->events->frame(link, &frame, whole);
    }
    return link->closing ? len : at;
}

/* Plaintext arrived.  Whole frames are told from where they lie; only a rest is copied. */
static void take_bytes(struct peer_link *link, const char *bytes, size_t len)
{
    link->bytes_in += len;
    link->progress_ms = uv_now(link->tcp.loop);
    if (link->in.len == 0) {
        size_t taken = tell_frames(link, bytes, len);
        if (!link->closing) {
            hl_buf_append(&link->in, bytes + taken, len - taken);
        }
        return;
    }
    hl_buf_append(&link->in, bytes, len);
    size_t taken = tell_frames(link, link->in.ptr, link->in.len);
    if (link->closing) {
        return;
    }
    hl_buf_consume(&link->in, taken);
    if (link->in.len == 0 && link->in.cap > KEEP_IN_MAX) {
        hl_buf_fini(&link->in);
    }
}

static void take_ciphertext(struct peer_link *link, const char *bytes, size_t len)
{
    struct hl_errmsg msg = {0};
    hl_err err = hl_tls_feed(link->tls, bytes, len, &msg);
    ship_ciphertext(link); /* an alert too */
    if (err != HL_OK) {
        peer_link_fail(link, msg.text);
        return;
    }
    if (!link->closing && !link->ready && !hl_tls_is_handshaking(link->tls)) {
        link->ready = true;
        link->events->ready(link);
    }
    while (!link->closing) {
        size_t got = 0;
        err = hl_tls_read(link->tls, plain_buf, sizeof plain_buf, &got, &msg);
        if (err == HL_ENOENT) {
            break;
        }
        if (err != HL_OK) {
            peer_link_fail(link, err == HL_EFULL ? "closed by the other side" : msg.text);
            return;
        }
        take_bytes(link, plain_buf, got);
    }
    if (!link->closing) {
        pump(link);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(read_buf, sizeof read_buf);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct peer_link *link = stream->data;
    if (link->closing || len == 0) {
        return;
    }
    if (len < 0) {
        peer_link_fail(link, len == UV_EOF ? "closed by the other side" : uv_strerror((int)len));
        return;
    }
    if (link->tls != NULL) {
        take_ciphertext(link, buf->base, (size_t)len);
    } else {
        take_bytes(link, buf->base, (size_t)len);
    }
}

/* --- beginning -------------------------------------------------------------------------------- */

struct peer_link *peer_link_create(uv_loop_t *loop, const struct peer_link_events *events,
                                   void *owner, struct hl_tls *given_tls)
{
    struct peer_link *link = hl_calloc(1, sizeof *link);
    int rc = uv_tcp_init(loop, &link->tcp);
    HL_ASSERT(rc == 0);
    link->tcp.data = link;
    link->events = events;
    link->owner = owner;
    link->tls = given_tls;
    link->begun_ms = uv_now(loop);
    hl_list_init(&link->queue);
    return link;
}

/* Nagle off, and a peer that is gone without a word is noticed. */
static void set_options(struct peer_link *link)
{
    uv_os_fd_t fd = -1;
    (void)uv_tcp_nodelay(&link->tcp, 1);
    (void)uv_tcp_keepalive(&link->tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)&link->tcp, &fd) == 0) {
        const int every = KEEPALIVE_EVERY_S;
        const int tries = KEEPALIVE_TRIES;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &link->unanswered_ms,
                         sizeof link->unanswered_ms);
    }
}

static void begin(struct peer_link *link)
{
    set_options(link);
    link->progress_ms = uv_now(link->tcp.loop);
    int rc = uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
    if (rc < 0) {
        peer_link_fail(link, uv_strerror(rc));
        return;
    }
    if (link->tls == NULL) {
        link->ready = true;
        link->events->ready(link);
    } else if (!link->inbound) {
        take_ciphertext(link, "", 0); /* a client speaks first */
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct peer_link *link = connect->data;
    if (link->closing) {
        return;
    }
    if (status < 0) {
        peer_link_fail(link, uv_strerror(status));
        return;
    }
    begin(link);
}

void peer_link_connect(struct peer_link *link, const struct sockaddr *address)
{
    HL_ASSERT(!link->inbound);
    link->connect.data = link;
    int rc = uv_tcp_connect(&link->connect, &link->tcp, address, on_connected);
    if (rc < 0) {
        peer_link_fail(link, uv_strerror(rc));
    }
}

bool peer_link_accept(struct peer_link *link, uv_stream_t *server)
{
    link->inbound = true;
    if (uv_accept(server, (uv_stream_t *)&link->tcp) != 0) {
        return false;
    }
    begin(link);
    return true;
}
